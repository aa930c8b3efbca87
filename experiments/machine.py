"""The computer that something was measured on, by which times can be compared."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fashion16 import __version__
from fashion16.machine import cores
from fashion16.training.fitting import git_commit

LIBRARIES = ("numpy", "faiss-cpu", "scikit-learn")


@dataclass(frozen=True)
class Computer:
    """Its kind: the processor's name, and the cores that this process may use."""

    cpu: str
    cores: int


@dataclass(frozen=True)
class Machine(Computer):
    """A computer and what ran on it.

    Attributes:
        memory_bytes: None where the system does not say.
        peak_memory_bytes: the most that this process has had; None where the system does not say.
        versions: of Python, of Fashion-16 and of the libraries that take the time.
        git_commit: None outside a repository.
    """

    memory_bytes: int | None
    peak_memory_bytes: int | None
    system: str
    versions: dict[str, str]
    git_commit: str | None


def computer() -> Computer:
    """The kind of this one."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux, or a processor without a name
    return Computer(name, cores())


def load() -> float | None:
    """How many processes wanted a core, on average over the last minute; None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def facts() -> Machine:
    """This one, with what runs on it now."""
    return Machine(
        **vars(computer()),
        **_memory(),
        system=f"{platform.system()} {platform.machine()}",
        versions={"python": platform.python_version(), "fashion16": __version__}
        | {name: _version(name) for name in LIBRARIES},
        git_commit=git_commit(),
    )


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
