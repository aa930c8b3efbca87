"""Commands that run as processes of their own: watched, stopped, killed, and left alone by whoever started them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fashion16 import jobs, settings
from fashion16.collections.workspace import Workspace
from fashion16.errors import BusyError, WorkspaceError
from fashion16.files import locks
from fashion16.jobs import LOG_SHOWN, JobState, Reporter
from tests.conftest import REPOSITORY
from tests.pictures import SHOP, photos, tree
from tests.sources.test_web import Site, picture, silent

PATIENCE = 120  # seconds; a shared machine may be slow


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


@pytest.fixture
def folder(home: Workspace) -> Iterator[Path]:
    """The job's folder; a job that a failed test left is killed."""
    folder = home.collection(SHOP).job_folder
    yield folder
    if locks.is_taken(folder / "lock"):
        os.killpg(int((folder / "pid").read_text()), signal.SIGKILL)


@pytest.fixture
def site() -> Iterator[Site]:
    """A server that does not answer, until it is told to."""
    with Site(hat=silent) as running:
        yield running


def start(home: Workspace, *arguments: str) -> None:
    jobs.start(home.collection(SHOP).job_folder, arguments, home_variable(home))


def home_variable(home: Workspace) -> dict[str, str]:
    return {settings.HOME.variable: str(home.root)}


def waiting(home: Workspace, site: Site) -> list[str]:
    """A command that goes on for as long as the server does not answer."""
    table = tree(home.root, {"urls.csv": f"url,label\n{site.url}/hat,Hat\n"}) / "urls.csv"
    return ["import", SHOP, "--urls", str(table), "--allow-private", "--no-index"]


def until_asked(site: Site, folder: Path) -> None:
    """Wait until the job is at its server."""
    wait(lambda: site.paths or not locks.is_taken(folder / "lock"))
    assert site.paths, (folder / "log.txt").read_text()


def wait(condition: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def ended(folder: Path) -> JobState:
    """The state of the job once it has ended."""
    wait(lambda: not locks.is_taken(folder / "lock"))
    state = jobs.state(folder)
    assert state is not None and not state.running
    return state


def test_a_job_that_ends_well_says_what_it_did(home: Workspace, folder: Path, tmp_path: Path) -> None:
    heap = tree(tmp_path / "heap", photos("Hat", range(5)))
    assert jobs.state(folder) is None
    start(home, "import", SHOP, "--from", str(heap), "--no-index")
    begun = jobs.state(folder)
    assert begun is not None
    assert begun.arguments == ("import", SHOP, "--from", str(heap), "--no-index")
    assert begun.began_at.endswith("+00:00")
    state = ended(folder)
    assert (state.exit_status, state.message, state.was_cut_short) == (0, "", False)
    assert (state.step, state.done, state.total) == ("Importing", 5, 5)
    assert "5 added" in state.log
    with home.collection(SHOP).catalogue() as catalogue:
        assert catalogue.count() == 5


def test_a_job_that_fails_says_why(home: Workspace, folder: Path, tmp_path: Path) -> None:
    start(home, "import", SHOP, "--from", str(tmp_path / "gone"))
    state = ended(folder)
    assert (state.exit_status, state.was_cut_short) == (1, True)
    assert state.message == f"There is nothing at {tmp_path / 'gone'} that can be opened. Correct its name."
    assert "There is nothing at" in state.log


def test_a_running_job_is_seen_stopped_and_goes_on(home: Workspace, folder: Path, site: Site) -> None:
    command = waiting(home, site)
    start(home, *command)
    until_asked(site, folder)
    state = jobs.state(folder)
    assert state is not None
    assert (state.running, state.exit_status, state.message, state.was_cut_short) == (True, None, "", False)
    with pytest.raises(BusyError, match=f"“{SHOP}” is being worked on already. Wait until that has ended."):
        start(home, "--version")
    assert state.arguments == tuple(command)
    jobs.stop(folder)
    state = ended(folder)
    assert (state.exit_status, state.was_cut_short) == (130, True)
    jobs.stop(folder)  # it has ended: nothing to stop
    site.answers["/hat"] = picture
    start(home, *command)
    state = ended(folder)
    assert (state.exit_status, state.done, state.total, state.was_cut_short) == (0, 1, 1, False)


def test_a_killed_job_was_cut_short_and_its_last_words_are_not_those_of_an_earlier_one(
    home: Workspace, folder: Path, site: Site
) -> None:
    start(home, "--version")
    assert ended(folder).exit_status == 0
    start(home, *waiting(home, site))
    until_asked(site, folder)
    os.killpg(int((folder / "pid").read_text()), signal.SIGKILL)
    state = ended(folder)
    assert (state.exit_status, state.message, state.was_cut_short) == (None, "", True)
    assert state.arguments[0] == "import"


def test_a_job_outlives_who_started_it_and_can_be_stopped_even_so(home: Workspace, folder: Path, site: Site) -> None:
    # a shell starts what runs in the background with Ctrl-C ignored, and that is inherited
    program = (
        "import json, os, signal, sys; from pathlib import Path; from fashion16 import jobs\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"jobs.start(Path({str(folder)!r}), {waiting(home, site)!r}, {home_variable(home)!r})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    starter = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, timeout=PATIENCE)
    assert starter.returncode == -signal.SIGKILL
    until_asked(site, folder)
    state = jobs.state(folder)
    assert state is not None and state.running
    jobs.stop(folder)
    assert ended(folder).was_cut_short


def test_a_folder_that_cannot_be_written_is_our_own_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WorkspaceError, match="could not be written"):
        jobs.start(tmp_path / "file" / "shop", ["--version"], {})


def test_a_job_that_cannot_begin_holds_no_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(folder / "gone"))
    with pytest.raises(WorkspaceError, match="could not be written"):
        jobs.start(folder, ["--version"], {})
    assert not locks.is_taken(folder / "lock")


def test_the_number_of_an_earlier_job_s_process_is_forgotten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # by now it may be another program's, which nobody wants to stop
    tree(folder, {"pid": "1"})
    monkeypatch.setattr(sys, "executable", str(folder / "gone"))
    with pytest.raises(WorkspaceError):
        jobs.start(folder, ["--version"], {})
    assert not (folder / "pid").exists()
    with locks.only_one(folder / "lock"):
        jobs.stop(folder)


# what is read


@pytest.mark.parametrize("broken", ["", "{", "[]", "null", '"x"', '{"done"', "\udcff", "[" * 50_000])
@pytest.mark.parametrize("name", ["progress.json", "result.json", "job.json"])
def test_a_broken_file_is_no_news(folder: Path, name: str, broken: str) -> None:
    tree(folder, {"job.json": '{"arguments": ["embed"], "began_at": "2026"}'})
    (folder / name).write_bytes(broken.encode("utf-8", "surrogateescape"))
    state = jobs.state(folder)
    if name == "job.json":
        assert state is None
    else:
        assert state == JobState(("embed",), "2026", False)


@pytest.mark.parametrize(
    ("progress", "known"),
    [
        (
            {"step": "Encoding", "done": 3, "total": 9, "rate": 1.5},
            {"step": "Encoding", "done": 3, "total": 9, "rate": 1.5},
        ),
        ({"step": "Encoding", "eta": 7, "running": True, "log": "x"}, {"step": "Encoding"}),
        ({"step": None, "done": "many", "total": [], "rate": "fast"}, {}),
        ({"done": 4, "total": None, "rate": 2}, {"done": 4, "rate": 2}),
    ],
)
def test_of_a_file_of_another_version_what_is_known_is_taken(
    folder: Path, progress: dict[str, Any], known: dict[str, Any]
) -> None:
    tree(folder, {"job.json": '{"arguments": ["embed"], "began_at": "2026"}', "progress.json": json.dumps(progress)})
    assert jobs.state(folder) == JobState(("embed",), "2026", False, **known)


@pytest.mark.parametrize("job", ['{"arguments": 7}', '{"arguments": "embed"}', '{"began_at": 5}', '{"x": 1}'])
def test_what_is_no_job_is_none(folder: Path, job: str) -> None:
    tree(folder, {"job.json": job, "result.json": '{"exit_status": 0, "message": ""}'})
    assert jobs.state(folder) is None


def test_while_a_job_runs_an_earlier_result_does_not_count(folder: Path) -> None:
    tree(folder, {"job.json": '{"arguments": [], "began_at": ""}', "result.json": '{"exit_status": 1, "message": "x"}'})
    with locks.only_one(folder / "lock"):
        state = jobs.state(folder)
    assert state == JobState((), "", True)
    assert not state.was_cut_short
    state = jobs.state(folder)
    assert state is not None and (state.exit_status, state.message, state.was_cut_short) == (1, "x", True)


def test_of_a_long_log_the_end_is_shown(folder: Path) -> None:
    tree(folder, {"job.json": '{"arguments": []}', "log.txt": b"\xff" + "é".encode() * 10_000 + b" the end"})
    state = jobs.state(folder)
    assert state is not None
    assert len(state.log) == LOG_SHOWN
    assert state.log.endswith("é the end")


# what a command says


@pytest.fixture
def reporter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Reporter:
    folder.mkdir(parents=True)
    monkeypatch.setenv(settings.JOB.variable, str(folder))
    return Reporter()


def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "progress.json").read_text())
    return found


def test_progress_is_told_at_once_then_now_and_then_and_at_the_end(
    folder: Path, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(jobs, "monotonic", lambda: now)
    reporter.progress("Importing", 10, 100)
    assert told(folder) == {"step": "Importing", "done": 10, "total": 100, "rate": 0.0}
    now = 1000.2
    reporter.progress("Importing", 20, 100)
    assert told(folder)["done"] == 10
    now = 1002.0
    reporter.progress("Importing", 30, 100)
    # 20 more in 2 seconds: what was there before it began does not count
    assert told(folder) == {"step": "Importing", "done": 30, "total": 100, "rate": 10.0}
    now = 1002.1
    reporter.progress("Importing", 100, 100)
    assert told(folder)["done"] == 100
    reporter.progress("Encoding", 16, 100)
    assert told(folder) == {"step": "Encoding", "done": 16, "total": 100, "rate": 0.0}
    assert [path.name for path in folder.iterdir()] == ["progress.json"]


def test_what_a_reporter_writes_is_what_is_read(folder: Path, reporter: Reporter) -> None:
    tree(folder, {"job.json": '{"arguments": []}'})
    reporter.progress("Importing", 3, 4)
    reporter.result(1, "“Röcke” cannot be read.")
    state = jobs.state(folder)
    assert state == JobState((), "", False, "Importing", 3, 4, 0.0, 1, "“Röcke” cannot be read.")


def test_a_folder_that_went_away_does_not_stop_the_work(folder: Path, reporter: Reporter) -> None:
    folder.rmdir()
    reporter.progress("Importing", 3, 4)
    reporter.result(0)
    assert not folder.exists()


def test_a_command_started_by_hand_tells_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.JOB.variable, raising=False)
    monkeypatch.chdir(tmp_path)
    by_hand = Reporter()
    by_hand.progress("Importing", 3, 4)
    by_hand.result(0)
    assert list(tmp_path.iterdir()) == []
