"""The real app as a process of its own, and a real browser to look at it with."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

REPOSITORY = Path(__file__).resolve().parent.parent
# the one without a window of its own first: it takes a third less time for a page
CHROMIUM_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# a browser that talks to nobody but the app, and whose camera needs no permission
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


def chromium() -> str | None:
    """The installed Chromium; None to let Playwright take its own."""
    return next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)


class Server:
    """`streamlit run` on a free port, with its log kept; use it in a `with` block."""

    def __init__(self, home: Path, log: Path, address: str | None = "127.0.0.1", **environment: str) -> None:
        """`address`: what it listens to; None for all, as `make app` does."""
        self.home, self.log, self.address, self.environment = home, log, address, environment
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Server:
        command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless", "true"]
        # watching files for changes makes the end of the server slow
        command += ["--server.fileWatcherType", "none"]
        command += ["--server.port", str(self.port), *(["--server.address", self.address] if self.address else [])]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "FASHION16_HOME": str(self.home), **self.environment},
                start_new_session=True,
            )
        self._wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=20)

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise RuntimeError(f"The server did not start:\n{self.log.read_text()}")

    def peak_memory(self) -> int:
        """The most memory the process has had, in bytes (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def has_loaded(self, library: str) -> bool:
        """Whether a shared library with this word in its path is in the process (Linux)."""
        return library in Path(f"/proc/{self.process.pid}/maps").read_text()
