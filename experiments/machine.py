"""The computer that something was measured on, by which times can be compared."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fashion16 import __version__
from fashion16.machine import cores
from fashion16.training.fitting import git_commit

LIBRARIES = ("numpy", "faiss-cpu", "scikit-learn")


def computer() -> dict[str, Any]:
    """Its kind: cpu, and the cores that this process may use."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux, or a processor without a name
    return {"cpu": name, "cores": cores()}


def load() -> float | None:
    """How many processes wanted a core, on average over the last minute; None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def facts() -> dict[str, Any]:
    """`computer` with its memory, the most that this process has had of it, the system, versions and the commit."""
    return {
        **computer(),
        **_memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), "fashion16": __version__}
        | {name: _version(name) for name in LIBRARIES},
        "git_commit": git_commit(),
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # built under another name
        return "unknown"


def _memory() -> dict[str, int | None]:
    try:
        import resource  # Windows has none
    except ImportError:
        return {"memory_bytes": None, "peak_memory_bytes": None}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "peak_memory_bytes": peak}
