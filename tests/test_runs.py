"""A training run's folder: what is begun, gone on with, and finished."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from fashion16.errors import TrainingError, WorkspaceError
from fashion16.runs import Run


def _write_history(run: Run, n: int) -> None:
    pd.DataFrame({"epoch": range(n), "loss": [1.0 / (epoch + 1) for epoch in range(n)]}).to_csv(
        run.history_file, index=False
    )


def test_a_new_run_has_its_settings_and_no_history(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "small", {"epochs": 3})
    assert run.folder.name.endswith("-small")
    assert run.settings == {"epochs": 3}
    assert not run.is_finished
    assert len(run.history()) == 0


def test_an_interrupted_run_with_the_same_settings_goes_on(tmp_path: Path) -> None:
    first = Run.begin(tmp_path, "small", {"epochs": 3})
    assert Run.begin(tmp_path, "small", {"epochs": 3}) == first


@pytest.mark.parametrize(("name", "settings"), [("small", {"epochs": 4}), ("other", {"epochs": 3})])
def test_other_settings_or_another_name_begin_a_new_run(tmp_path: Path, name: str, settings: dict[str, int]) -> None:
    first = Run.begin(tmp_path, "small", {"epochs": 3})
    second = Run.begin(tmp_path, name, settings)
    assert second.folder != first.folder
    assert first.settings == {"epochs": 3}


def test_a_finished_run_does_not_go_on(tmp_path: Path) -> None:
    first = Run.begin(tmp_path, "small", {})
    first.resume_folder.mkdir()
    first.finish({"accuracy": 0.9})
    assert first.is_finished
    assert first.result == {"accuracy": 0.9}
    assert not first.resume_folder.exists()
    assert Run.begin(tmp_path, "small", {}).folder != first.folder


def test_a_fresh_run_leaves_the_interrupted_one_alone(tmp_path: Path) -> None:
    first = Run.begin(tmp_path, "small", {})
    _write_history(first, 2)
    second = Run.begin(tmp_path, "small", {}, fresh=True)
    assert second.folder != first.folder
    assert len(first.history()) == 2


def test_epochs_that_will_be_repeated_are_dropped(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "small", {})
    _write_history(run, 5)
    run.keep_epochs(3)
    assert run.history()["epoch"].tolist() == [0, 1, 2]
    run.keep_epochs(9)
    assert run.history()["epoch"].tolist() == [0, 1, 2]


def test_a_damaged_history_is_our_own_error(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "small", {})
    run.history_file.write_bytes(b"\xff\xfe\x00epoch\n1,2,3\n1\n")
    with pytest.raises(TrainingError, match="damaged"):
        run.history()


def test_a_folder_that_cannot_be_made_is_our_own_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WorkspaceError, match="could not be written"):
        Run.begin(tmp_path / "file" / "runs", "small", {})


def test_runs_begun_in_the_same_moment_have_folders_of_their_own(tmp_path: Path) -> None:
    runs = [Run.begin(tmp_path, "small", {}, fresh=True) for _ in range(20)]
    assert len({run.folder for run in runs}) == 20
    assert all(run.settings == {} and (run.folder / "settings.json").is_file() for run in runs)
