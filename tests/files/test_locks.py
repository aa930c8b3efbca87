"""Only one process at a time, and a lock that goes with its holder, however that ends."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fashion16.errors import BusyError, WorkspaceError
from fashion16.files import locks
from fashion16.files.locks import is_taken, only_one, take
from tests.conftest import REPOSITORY

HOLDER = """
import sys
from pathlib import Path
from fashion16.files.locks import take
print(take(Path(sys.argv[1])) is not None, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop" / "import.lock"


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that takes the lock, and waits."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_a_lock_that_nobody_took_is_free_and_looking_makes_no_file(path: Path) -> None:
    assert not is_taken(path)
    assert not path.parent.exists()


def test_a_lock_is_taken_once_until_it_is_let_go(path: Path) -> None:
    with only_one(path):
        assert is_taken(path)
        assert take(path) is None
        with pytest.raises(BusyError, match="Another process is at work on “shop”. Wait until it has ended") as caught:
            only_one(path).__enter__()
        assert caught.value.path == path
        with only_one(path.with_name("other.lock")):
            pass
    assert not is_taken(path)
    with only_one(path):
        pass


def test_a_lock_is_let_go_when_the_block_fails(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_one(path):
        raise ZeroDivisionError
    assert not is_taken(path)


def test_another_process_s_lock_goes_when_it_is_killed(path: Path) -> None:
    with holder(path) as process:
        assert is_taken(path)
        with pytest.raises(BusyError):
            only_one(path).__enter__()
        process.kill()
        process.wait()
        assert not is_taken(path)
        with only_one(path):
            assert is_taken(path)


def test_a_child_that_inherits_the_handle_holds_the_lock_until_it_ends(path: Path) -> None:
    handle = take(path)
    assert handle is not None
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[handle]) as heir:
        os.close(handle)
        assert is_taken(path)
        heir.kill()
        heir.wait()
    assert not is_taken(path)


def test_a_child_that_does_not_inherit_it_holds_nothing(path: Path) -> None:
    handle = take(path)
    assert handle is not None
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as child:
        os.close(handle)
        assert not is_taken(path)
        child.kill()


@pytest.fixture
def looking(path: Path) -> Iterator[int]:
    """The handle of somebody who is just looking whether the lock is taken."""
    with only_one(path):
        pass
    handle = os.open(path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    yield handle
    with suppress(OSError):
        os.close(handle)


def test_two_who_look_at_once_do_not_take_each_other_for_the_holder(path: Path, looking: int) -> None:
    assert not is_taken(path)


def test_who_takes_it_waits_for_somebody_who_only_looks(
    path: Path, looking: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            os.close(looking)

    monkeypatch.setattr(locks, "sleep", sleep)
    with only_one(path):
        assert len(waits) == 2
        assert is_taken(path)


def test_of_many_who_take_it_at_once_one_does(path: Path) -> None:
    barrier = threading.Barrier(6)
    handles: list[int | None] = []

    def grab() -> None:
        barrier.wait()
        handles.append(take(path))

    threads = [threading.Thread(target=grab) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = [handle for handle in handles if handle is not None]
    os.close(won)


def test_a_folder_that_cannot_be_made_is_our_own_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "shop" / "import.lock"
    with pytest.raises(WorkspaceError, match=r"could not be written \(Not a directory\). Give yourself") as caught:
        take(path)
    assert caught.value.path == path
    assert not is_taken(path)


def test_a_file_system_without_locks_is_our_own_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    open_files = len(os.listdir("/proc/self/fd"))
    with pytest.raises(WorkspaceError, match="No locks available"):
        take(path)
    assert len(os.listdir("/proc/self/fd")) == open_files
