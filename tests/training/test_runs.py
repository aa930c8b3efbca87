"""A training run's folder: what is begun, gone on with, and finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fashion16.errors import BusyError, TrainingError, WorkspaceError
from fashion16.training.runs import Progress, Run, runs_in, settings_difference, smoothed
from tests.conftest import REPOSITORY


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


def test_the_runs_of_a_folder_come_newest_first(tmp_path: Path) -> None:
    for name in (
        "2026-01-02-030405-006-encoder",
        "2026-01-02-030405-007-category-cnn",
        "2025-12-31-235959-999-encoder",
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.json").write_text("{}")
    (tmp_path / "2026-09-09-090909-009-encoder").mkdir()  # killed before it had begun
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").write_text("")
    found = runs_in(tmp_path)
    assert [run.name for run in found] == [
        "2026-01-02-030405-007-category-cnn",
        "2026-01-02-030405-006-encoder",
        "2025-12-31-235959-999-encoder",
    ]
    assert [run.kind for run in found] == ["category-cnn", "encoder", "encoder"]
    assert found[0].begun_at == datetime(2026, 1, 2, 3, 4, 5, 7000, UTC)
    assert runs_in(tmp_path / "nowhere") == []


def test_a_new_run_says_when_it_was_begun(tmp_path: Path) -> None:
    begun_at = Run.begin(tmp_path, "small", {}).begun_at
    assert begun_at is not None
    assert timedelta(0) <= datetime.now(UTC) - begun_at < timedelta(minutes=1)
    assert Run(tmp_path / "by-hand").begun_at is None
    assert Run(tmp_path / "2026-99-99-999999-999-small").begun_at is None


def test_a_run_is_live_while_it_is_held_and_nobody_else_gets_it(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "small", {})
    assert not run.is_live
    with run.held():
        assert run.is_live
        again = Run.begin(tmp_path, "small", {})
        with pytest.raises(BusyError, match=f"Another process trains {run.name}. Wait .* --fresh"), again.held():
            pass
        assert run.is_live
    assert not run.is_live
    with run.held():
        run.finish({})
    assert not run.is_live
    assert sorted(path.name for path in run.folder.iterdir()) == ["result.json", "settings.json"]


def test_a_killed_process_lets_go_of_its_run(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "small", {})
    code = "import sys; from pathlib import Path; from fashion16.training.runs import Run\n"
    code += "with Run(Path(sys.argv[1])).held(): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(run.folder)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert run.is_live
        os.kill(process.pid, signal.SIGKILL)
    assert not run.is_live
    with run.held():
        assert run.is_live


HEADER = "epoch,loss,val_accuracy\r\n"


@pytest.mark.parametrize(
    ("written", "epochs"),
    [
        ("", []),
        ("epoch,lo", []),
        (HEADER, []),
        (HEADER + "0,0.5,0.8\r\n1,0.4,0.8", [0]),
        (HEADER + "0,0.5,0.8\r\n1,0.4,0.81\r", [0]),
        (HEADER + "0,0.5,0.8\r\n1,0.4,0.81\r\n", [0, 1]),
    ],
)
def test_only_whole_rows_are_read_of_a_history_that_is_being_written(
    tmp_path: Path, written: str, epochs: list[int]
) -> None:
    run = Run.begin(tmp_path, "small", {})
    run.history_file.write_bytes(written.encode())
    assert run.history()["epoch"].tolist() == epochs
    assert run.remaining_seconds() is None


def test_the_last_row_of_a_finished_run_needs_no_line_end(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "small", {})
    run.history_file.write_text("epoch,loss\n0,0.5\n1,0.4")
    run.finish({})
    assert run.history()["loss"].tolist() == [0.5, 0.4]


def test_half_a_row_of_a_killed_process_is_gone_before_the_next_is_appended(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "small", {})
    run.history_file.write_text("epoch,loss\n0,0.5\n1,0.")
    run.keep_epochs(1)
    with run.history_file.open("a") as file:
        file.write("1,0.25\n")
    assert run.history()["loss"].tolist() == [0.5, 0.25]
    # and half a header would pass for one
    run.history_file.write_text("epoch,lo")
    run.keep_epochs(0)
    assert not run.history_file.exists()


def test_progress_is_what_was_noted_until_the_run_ends(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "small", {})
    assert run.progress() is None
    noted = Progress(2, 0.25, 20, 45.0, {"loss": 0.5})
    run.note_progress(noted)  # there is no folder to write into yet, which stops nobody
    assert run.progress() is None
    run.resume_folder.mkdir()
    run.note_progress(noted)
    assert run.progress() == noted
    run.finish({})
    assert run.progress() is None
    assert run.remaining_seconds() is None


@pytest.mark.parametrize(
    "written",
    [
        "",
        '{"epoch": 2, "sha',
        "[]",
        '{"epoch": 2}',
        '{"epoch": "x", "share": 0, "epochs": 3, "seconds": 1, "figures": {}}',
        '{"epoch": 1, "share": 0, "epochs": 3, "seconds": 1, "figures": [1]}',
        '{"epoch": Infinity, "share": 0, "epochs": 3, "seconds": 1, "figures": {}}',
        "\x00",
        "[" * 100_000,
    ],
)
def test_damaged_progress_is_none(tmp_path: Path, written: str) -> None:
    run = Run.begin(tmp_path, "small", {})
    run.resume_folder.mkdir()
    (run.resume_folder / "progress.json").write_text(written)
    assert run.progress() is None
    assert run.remaining_seconds() is None


def test_what_remains_is_reckoned_from_the_past_epochs(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "small", {})
    run.resume_folder.mkdir()
    run.note_progress(Progress(0, 0.0, 10, 0.0, {}))
    assert run.remaining_seconds() is None
    # a quarter of the first epoch in 5 s: 20 s an epoch, and 9.75 epochs left
    run.note_progress(Progress(0, 0.25, 10, 5.0, {}))
    assert run.remaining_seconds() == pytest.approx(195)
    # the median of three epochs is 12 s, and 6.5 are left
    run.history_file.write_text("epoch,seconds\n0,30\n1,12\n2,10\n")
    run.note_progress(Progress(3, 0.5, 10, 57.0, {}))
    assert run.remaining_seconds() == pytest.approx(78)
    # with a history that cannot be read, from all so far: 57 s for 3.5 epochs
    run.history_file.write_bytes(b"\xff\n")
    assert run.remaining_seconds() == pytest.approx(57 / 3.5 * 6.5)


def test_settings_that_differ_are_told_side_by_side(tmp_path: Path) -> None:
    a = Run.begin(tmp_path, "small", {"epochs": 3, "decay": True, "seed": 16, "classes": ["Bag", "Coat"]})
    b = Run.begin(tmp_path, "small", {"epochs": 4, "decay": True, "seed": 16, "classes": ["Bag"], "further": False})
    assert settings_difference(a, b).to_dict("list") == {
        "setting": ["epochs", "classes", "further"],
        "a": ["3", "Bag, Coat", ""],
        "b": ["4", "Bag", "false"],
    }
    assert settings_difference(a, a).empty
    assert list(settings_difference(a, a)) == ["setting", "a", "b"]


def test_smoothing_is_tensorboards_without_the_bias_to_nought() -> None:
    # running sums 1, 0.5 * 1 + 0.5 * 3..., each divided by 1 - 0.5 ** n
    np.testing.assert_allclose(smoothed([1, 3, 5], 0.5), [1, (0.25 * 1 + 0.5 * 3) / 0.75, 3.375 / 0.875])
    np.testing.assert_array_equal(smoothed([1.0, 4.0, 2.0], 0), [1, 4, 2])
    np.testing.assert_allclose(smoothed(np.full(5, 7.0), 0.9), 7)
    assert len(smoothed([], 0.5)) == 0


def test_smoothing_leaves_a_gap_and_goes_on_behind_it() -> None:
    np.testing.assert_allclose(
        smoothed([np.nan, 1, np.nan, np.inf, 3], 0.5), [np.nan, 1, np.nan, np.nan, (0.25 * 1 + 0.5 * 3) / 0.75]
    )


@pytest.mark.parametrize("weight", [-0.1, 1.0, np.nan])
def test_a_weight_that_smooths_everything_away_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight must be in"):
        smoothed([1.0], weight)
