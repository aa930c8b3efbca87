"""A command that runs as a process of its own, so that a page may be reloaded, and its server end, meanwhile.

    <folder>/job.json        the command's arguments, and when it began
    <folder>/lock            held by the process as long as it lives, however it ends
    <folder>/progress.json   what it is at: step, done, total, per second
    <folder>/result.json     its exit status and its last words; missing where it was killed
    <folder>/log.txt         what it printed

`start` is called by the app, `Reporter` by the command itself.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from types import UnionType
from typing import Any

from fashion16 import settings
from fashion16.errors import BusyError, WorkspaceError
from fashion16.files import locks
from fashion16.files.atomic import replacing
from fashion16.text import shown

log = logging.getLogger(__name__)

REPORT_EVERY = 0.3  # seconds; a page looks once a second
LOG_SHOWN = 4_000  # characters of the log's end

# what the files say, and of which kind it is
JOB = {"arguments": list, "began_at": str}
PROGRESS = {"step": str, "done": int, "total": int, "rate": int | float}
RESULT = {"exit_status": int, "message": str}


@dataclass(frozen=True)
class JobState:
    """What is known of a job.

    Attributes:
        arguments: of the command.
        began_at: ISO 8601, UTC.
        running: whether its process lives.
        step: what it is at, empty in the beginning.
        done, total: of the step's pictures, bytes or thousandths; total is 0 where it is not known.
        rate: of `done`, a second.
        exit_status: None while it runs, and where it was killed.
        message: what went wrong, in one sentence; empty where nothing did.
        log: the end of what it printed.
    """

    arguments: tuple[str, ...]
    began_at: str
    running: bool
    step: str = ""
    done: int = 0
    total: int = 0
    rate: float = 0.0
    exit_status: int | None = None
    message: str = ""
    log: str = ""

    @property
    def was_cut_short(self) -> bool:
        """Whether the same command has something left to do: it was stopped, killed, or failed."""
        return not self.running and self.exit_status != 0


def start(folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run `fashion16` with these arguments as a process of its own, which outlives this one.

    Args:
        environment: variables to set for it beside the present ones.

    Raises:
        BusyError: a job of this folder runs.
        WorkspaceError: the folder may not be written.
    """
    lock = locks.take(folder / "lock")
    if lock is None:
        raise BusyError(f"“{folder.name}” is being worked on already. Wait until that has ended.", folder)
    try:
        for name in ("progress.json", "result.json", "log.txt", "pid"):
            (folder / name).unlink(missing_ok=True)
        job = {"arguments": list(arguments), "began_at": datetime.now(UTC).isoformat(timespec="seconds")}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        with (folder / "log.txt").open("wb") as written:
            process = subprocess.Popen(
                [sys.executable, "-m", "fashion16.cli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment, settings.JOB.variable: str(folder)},  # noqa: TID251
                start_new_session=True,
                pass_fds=[lock],  # it holds the lock from its first moment to its last
            )
        (folder / "pid").write_text(str(process.pid))
        log.info("job of %s started as process %d: %s", folder.name, process.pid, shown(" ".join(arguments)))
    except OSError as error:
        raise WorkspaceError(f"{folder} could not be written ({error.strerror}).", folder) from error
    finally:
        os.close(lock)
    # somebody has to ask for its end, or its remains stay until the server's
    threading.Thread(target=_wait, args=(process, folder.name), name=f"job {process.pid}", daemon=True).start()


def _wait(process: subprocess.Popen[bytes], name: str) -> None:
    status = process.wait()
    log.log(logging.WARNING if status else logging.INFO, "job of %s ended with status %d", name, status)


def state(folder: Path) -> JobState | None:
    """What is known of the folder's last job; None where there was none."""
    job = _read(folder / "job.json", JOB)
    if not job:
        return None
    running = locks.is_taken(folder / "lock")
    facts = _read(folder / "progress.json", PROGRESS) | ({} if running else _read(folder / "result.json", RESULT))
    tail = ""
    with suppress(OSError):
        tail = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")[-LOG_SHOWN:]
    return JobState(tuple(map(str, job.get("arguments", ()))), job.get("began_at", ""), running, log=tail, **facts)


def stop(folder: Path) -> None:
    """Ask the folder's job to stop, as Ctrl-C does. What it has done stays, and the same command goes on."""
    if locks.is_taken(folder / "lock"):
        log.info("job of %s is asked to stop", folder.name)
        with suppress(OSError, ValueError):
            os.killpg(int((folder / "pid").read_text()), signal.SIGINT)


class Reporter:
    """What a command tells the page that started it; tells nobody where it was started by hand."""

    def __init__(self) -> None:
        """Find out who listens."""
        self._folder = settings.job_folder()
        self._step, self._began, self._first, self._last = "", 0.0, 0, 0.0
        if self._folder is not None and threading.current_thread() is threading.main_thread():
            # a server that a shell started in the background has Ctrl-C ignored, and its jobs inherit that
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def progress(self, step: str, done: int, total: int) -> None:
        """Report a step's progress; called often."""
        if self._folder is None:
            return
        now = monotonic()
        if step != self._step:
            self._step, self._began, self._first, self._last = step, now, done, 0.0
        if now - self._last < REPORT_EVERY and done != total:
            return
        self._last = now
        rate = (done - self._first) / (now - self._began) if now > self._began else 0.0
        self._write("progress.json", {"step": step, "done": done, "total": total, "rate": rate})

    def result(self, exit_status: int, message: str = "") -> None:
        """Report how the command ended."""
        self._write("result.json", {"exit_status": exit_status, "message": message})

    def _write(self, name: str, facts: dict[str, Any]) -> None:
        if self._folder is None or not self._folder.is_dir():
            return
        # a page that cannot be reached must not stop the work
        with suppress(WorkspaceError), replacing(self._folder / name, durable=False) as partial:
            partial.write_text(json.dumps(facts), encoding="utf-8")


def _read(path: Path, kinds: Mapping[str, type | UnionType]) -> dict[str, Any]:
    """What a file says, as far as it is of these kinds: it may be broken, or of another version."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(facts, dict):
        return {}
    return {name: facts[name] for name, kind in kinds.items() if isinstance(facts.get(name), kind)}
