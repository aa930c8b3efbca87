"""Only one process at a time: a lock that the system takes back when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

from fashion16.errors import BusyError, WorkspaceError

TRIES = 5  # because somebody may only be looking whether it is taken


def take(path: Path) -> int | None:
    """Take the lock on a file, made when it is new; its handle, which holds the lock until it is closed.

    A process that was started with the handle holds the lock too. None where another one has it.

    Raises:
        WorkspaceError: the folder may not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if _locked(handle):
                return handle
        except OSError:
            os.close(handle)
            raise
    except OSError as error:
        raise WorkspaceError(
            f"{path} could not be written ({error.strerror}). Give yourself the right.", path
        ) from error
    os.close(handle)
    return None


def is_taken(path: Path) -> bool:
    """Whether a process holds the lock on this file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # shared, so that those who only look don't see one another
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _locked(handle: int) -> bool:
    for _ in range(TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            sleep(0.01)
    return False


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock on a file for the block.

    Raises:
        BusyError: another process holds it.
        WorkspaceError: the folder may not be written.
    """
    if (handle := take(path)) is None:
        raise BusyError(
            f"Another process is at work on “{path.parent.name}”. Wait until it has ended, and try again.", path
        )
    try:
        yield
    finally:
        os.close(handle)
