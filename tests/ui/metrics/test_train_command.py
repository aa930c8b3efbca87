"""The commands that train, as a page starts them: watched, stopped, gone on with."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fashion16 import jobs, settings
from fashion16.collections.workspace import Workspace
from fashion16.evaluation import report
from fashion16.files import locks
from fashion16.jobs import JobState
from fashion16.training.runs import Run, runs_in
from tests.evaluations import FEW, publish_tests

NAME = "fashion-mnist"
JOB = "training"
PATIENCE = 180  # seconds; a shared machine may be slow, and TensorFlow is large


@pytest.fixture
def home(small_template: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace of 400 pictures and no models, for the others' runs are links to ours; a job left is killed."""
    shutil.copytree(small_template / "data", tmp_path / "data")
    home = Workspace(tmp_path)
    publish_tests(home)
    yield home
    folder = home.collection(JOB).job_folder
    if locks.is_taken(folder / "lock"):
        os.killpg(int((folder / "pid").read_text()), signal.SIGKILL)


def home_variable(home: Workspace) -> dict[str, str]:
    return {settings.HOME.variable: str(home.root)}


def start(home: Workspace, *arguments: str) -> None:
    jobs.start(home.collection(JOB).job_folder, ("train", "category-cnn", *arguments), home_variable(home))


def state(home: Workspace) -> JobState:
    found = jobs.state(home.collection(JOB).job_folder)
    assert found is not None
    return found


def wait(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def only_run(home: Workspace) -> Run:
    (run,) = runs_in(home.runs_folder)
    return run


def test_a_training_is_watched_stopped_and_gone_on_with_to_its_end(home: Workspace) -> None:
    epochs = 4
    start(home, "--epochs", str(epochs))
    wait(lambda: not state(home).running or state(home).step.startswith("Epoch 2 "))
    now = state(home)
    assert now.running, now.log
    assert (now.step, now.total) == (f"Epoch 2 of {epochs}", 1000)
    run = only_run(home)
    assert run.is_live
    assert run.kind == "category-cnn"
    progress = run.progress()
    assert progress is not None
    assert progress.epoch >= 1
    assert progress.epochs == epochs
    assert progress.seconds > 0
    assert "loss" in progress.figures or progress.share == 0
    remaining = run.remaining_seconds()
    assert remaining is not None and remaining > 0

    jobs.stop(home.collection(JOB).job_folder)
    wait(lambda: not state(home).running)
    assert state(home).exit_status == 130, state(home).log
    assert "The same command goes on after the last whole epoch." in state(home).log
    assert not run.is_live
    assert not run.is_finished
    done = run.history()
    assert 1 <= len(done) < epochs

    # whoever gives the same command while another process trains is told, and nothing is mixed up
    with run.held():
        start(home, "--epochs", str(epochs))
        wait(lambda: not state(home).running)
        assert state(home).message.startswith(f"Another process trains {run.name}. Wait until it has ended")

    start(home, "--epochs", str(epochs))
    wait(lambda: not state(home).running)
    ended = state(home)
    assert ended.exit_status == 0, ended.log
    assert (ended.step, ended.done, ended.total) == (f"Epoch {epochs} of {epochs}", 1000, 1000)
    assert only_run(home) == run
    assert sorted(path.name for path in run.folder.iterdir()) == ["history.csv", "result.json", "settings.json"]
    history = run.history()
    assert history["epoch"].tolist() == list(range(epochs))
    assert history["seconds"].tolist()[: len(done)] == done["seconds"].tolist()  # they were not trained again
    assert run.result["test_pictures"] == 50
    assert run.name in ended.log


def test_an_evaluation_tells_its_steps(measurable: Workspace) -> None:
    jobs.start(
        measurable.collection(JOB).job_folder,
        ("evaluate", NAME, "--quick"),
        home_variable(measurable),
    )
    wait(lambda: not state(measurable).running)
    ended = state(measurable)
    assert ended.exit_status == 0, ended.log
    assert (ended.step, ended.done, ended.total) == ("Speed", 50, 50)
    assert "Medians of 50 searches" in ended.log
    assert not measurable.collection(NAME).evaluation_file.exists()


def test_each_step_of_an_evaluation_counts_to_its_end(measurable: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "QUICK", FEW)
    steps: list[str] = []
    ends: dict[str, tuple[int, int]] = {}
    report.evaluate(
        measurable.collection(NAME),
        quick=True,
        step=steps.append,
        progress=lambda *done: ends.update({steps[-1]: done}),
    )
    assert steps[0].lower() == "encoding the test pictures"
    assert ends[steps[0]] == (50, 50)
    assert all(done == total for done, total in ends.values())


@pytest.fixture
def measurable(small_workspace: Workspace) -> Workspace:
    """A small workspace with something to measure."""
    publish_tests(small_workspace)
    return small_workspace
