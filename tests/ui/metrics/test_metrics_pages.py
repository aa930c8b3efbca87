"""The Metrics page as a script: its runs, and the buttons that begin what takes minutes."""

from __future__ import annotations

import os
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from fashion16 import jobs, settings
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.errors import BusyError
from fashion16.files import locks
from fashion16.training.run_settings import EncoderSettings
from fashion16.training.runs import Progress, Run, runs_in
from tests.reading import as_read
from tests.training_runs import ENCODER, FIRST, HISTORY, RESULT, SECOND, category_settings, own_runs, write_run
from tests.ui.apps import at
from ui.metrics import train_buttons, training

NAME = DEFAULT_COLLECTION


@pytest.fixture
def home(small_workspace: Workspace) -> Workspace:
    return own_runs(small_workspace.root)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the page starts, which are not run."""
    found: list[list[str]] = []

    def start(folder: Path, arguments: list[str]) -> None:
        assert folder.name == NAME
        found.append(arguments)

    monkeypatch.setattr("ui.shared.jobs.start", start)
    return found


shown = partial(at, "4_Metrics.py")


def texts(app: AppTest) -> str:
    return "\n".join(
        str(element.value) for kind in (app.markdown, app.info, app.caption, app.warning) for element in kind
    )


def labels(app: AppTest) -> set[str]:
    return {button.label for button in app.button}


def two_runs(home: Workspace) -> None:
    write_run(home, FIRST, category_settings(home), result=RESULT)
    write_run(home, SECOND, category_settings(home, seed=17), HISTORY[:2], RESULT | {"test_accuracy": 0.5})


def test_without_runs_the_page_says_what_to_do(app: AppTest) -> None:
    shown(app)
    assert "No network has been trained here yet" in texts(app)
    assert app.code[0].value == "fashion16 train category-cnn --epochs 20"


def test_the_newest_run_is_shown_and_any_number_can_be_chosen(app: AppTest, home: Workspace) -> None:
    two_runs(home)
    shown(app)
    assert app.multiselect(key="runs").value == [SECOND]
    assert app.multiselect(key="runs").options == [SECOND, FIRST]
    app.multiselect(key="runs").set_value([SECOND, FIRST]).run()
    assert not app.exception
    app.multiselect(key="runs").set_value([]).run()
    assert not app.exception
    assert "Choose one run or more" in texts(app)


def test_a_link_names_its_runs_and_how_they_are_drawn(app: AppTest, home: Workspace) -> None:
    two_runs(home)
    shown(app, runs=[FIRST, SECOND], smoothing="0.5", axis="Minutes", log="true")
    assert app.multiselect(key="runs").value == [FIRST, SECOND]
    assert app.slider(key="smoothing").value == 0.5
    assert app.toggle(key="log").value
    assert app.segmented_control(key="axis").value == "Minutes"


def test_the_table_has_each_run_s_settings_revision_and_result(home: Workspace) -> None:
    two_runs(home)
    broken = write_run(home, ENCODER, {"epochs": 7, "classes": ["Bag", "Hat"]}, HISTORY[:1])
    frame = training.summary(runs_in(home.runs_folder)).set_index("run")
    assert frame.index.tolist() == [ENCODER, SECOND, FIRST]
    assert frame["state"].tolist() == ["interrupted", "finished", "finished"]
    assert frame["epochs"].tolist() == ["1 of 7", "2 of 3", "3 of 3"]
    assert frame.loc[FIRST, "test accuracy"] == 0.75
    assert frame.loc[FIRST, "validation accuracy"] == 0.8
    assert (frame.loc[FIRST, "best epoch"], frame.loc[FIRST, "minutes"]) == (2, 3.0)
    assert (frame.loc[SECOND, "seed"], frame.loc[SECOND, "batch"], frame.loc[SECOND, "label revision"]) == (17, 128, 0)
    assert (frame.loc[ENCODER, "labels"], frame.loc[FIRST, "labels"]) == (2, 10)
    assert frame.loc[FIRST, "commit"] == "0123456789"
    broken.history_file.write_text('a,b\n"1,2\n')
    assert training.best_epoch(Run(home.runs_folder / SECOND), HISTORY) == 2


def test_two_runs_settings_are_compared(app: AppTest, home: Workspace) -> None:
    two_runs(home)
    shown(app)
    frames = [frame.value for frame in app.dataframe]
    (difference,) = (frame for frame in frames if "setting" in frame)
    assert difference.to_dict("records") == [{"setting": "seed", SECOND: "17", FIRST: "16"}]
    app.selectbox(key="one").set_value(FIRST).run()
    assert not app.exception
    assert "They were started with the same settings." in texts(app)


def test_a_damaged_history_costs_one_run_and_not_the_page(app: AppTest, home: Workspace) -> None:
    two_runs(home)
    (home.runs_folder / SECOND / "history.csv").write_text('epoch,loss\n"0,1\n')
    shown(app)
    assert "is damaged" in texts(app)
    assert app.multiselect(key="runs").options == [SECOND, FIRST]


def test_a_run_under_way_is_shown_first_with_what_is_left_of_it(app: AppTest, home: Workspace) -> None:
    two_runs(home)
    live = write_run(home, ENCODER, {"epochs": 4}, HISTORY[:2])
    live.resume_folder.mkdir()
    with live.held():
        live.note_progress(Progress(2, 0.5, 4, 112.5, {"loss": 0.75, "accuracy": 0.8}))
        shown(app)
        assert app.multiselect(key="runs").value == [ENCODER]
        (bar,) = app.get("progress")
        assert bar.value == 62  # two and a half epochs of four
        # epochs took 60 and 30 seconds, and one and a half are left
        assert bar.proto.text.split(" · ") == [
            "**encoder, 04 Jan 2026 03\\:04**", "epoch 3 of 4", "50% of it", "about 68 s left", "loss 0.750",
            "accuracy 0.800",
        ]  # fmt: skip
        assert "Stop" not in labels(app)  # it was not started here
        assert "was interrupted" not in texts(app)
    app.run()
    assert not app.exception
    assert not app.get("progress")
    assert "**encoder, 04 Jan 2026 03\\:04** was interrupted after 2 of 4 epochs" in texts(app)


def test_the_epoch_under_way_is_the_last_point(home: Workspace) -> None:
    live = write_run(home, ENCODER, {"epochs": 4}, HISTORY[:2])
    live.resume_folder.mkdir()
    live.note_progress(Progress(2, 0.5, 4, 112.5, {"loss": 0.75}))
    last = training._history(live, so_far=True).iloc[-1]
    assert (last["epoch"], last["loss"], last["seconds"]) == (1.5, 0.75, 22.5)
    assert pd.isna(last["val_loss"])
    assert len(training._history(live)) == 2
    # the epoch has ended, and its row is written: nothing is drawn twice
    live.note_progress(Progress(1, 0.5, 4, 75.0, {"loss": 0.75}))
    assert len(training._history(live, so_far=True)) == 2


def test_an_interrupted_run_goes_on_by_the_command_it_was_started_with(
    app: AppTest, home: Workspace, started: list[list[str]]
) -> None:
    write_run(home, FIRST, category_settings(home, epochs=9, seed=5), HISTORY[:2])
    shown(app)
    assert "was interrupted after 2 of 9 epochs; the same command goes on" in texts(app)
    app.button(key=f"go_on_{FIRST}").click().run()
    assert started == [["train", "category-cnn", NAME, "--epochs", "9", "--seed", "5"]]


def test_a_run_of_other_labels_or_settings_is_not_gone_on_with(home: Workspace) -> None:
    opened = home.open()
    settings = category_settings(home)
    good = write_run(home, FIRST, settings)
    assert train_buttons.go_on(good, opened) is not None
    for number, other in enumerate(
        ({"label_revision": 1}, {"categories": ["Bag"]}, {"learning_rate": 0.5}, {"epochs": "many"}, {"seed": None})
    ):
        run = write_run(home, f"2026-01-02-03040{number}-007-category-cnn", settings | other)
        assert train_buttons.go_on(run, opened) is None
    opened.catalogue.correct(1, "Bag", "ann", 0)
    assert train_buttons.go_on(good, opened) is None
    opened.close()


def test_an_encoder_goes_on_once_its_photos_are_named(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = home.open()
    settings = asdict(EncoderSettings(seed=3, further=True)) | {"classes": ["Bag"], "label_revision": 0}
    run = write_run(home, ENCODER, settings)
    assert train_buttons.go_on(run, opened) is None
    monkeypatch.setattr(st, "session_state", {"train_photos": "/photos.zip", "train_split": ""})
    assert train_buttons.go_on(run, opened) == [
        "train", "encoder", "--photos", "/photos.zip", "--epochs", "7", "--seed", "3", "--photo-passes", "2",
        "--learning-rate", "5e-05", "--further",
    ]  # fmt: skip
    opened.close()


def test_the_buttons_start_their_commands(app: AppTest, started: list[list[str]]) -> None:
    shown(app)
    app.button(key="evaluate").click().run()
    app.number_input(key="train_epochs").set_value(5)
    app.button(key="train").click().run()
    assert not app.exception
    assert started == [["evaluate", NAME], ["train", "category-cnn", NAME, "--epochs", "5", "--seed", "16"]]


def test_the_encoder_is_trained_once_its_photos_are_there(
    app: AppTest, started: list[list[str]], tmp_path: Path
) -> None:
    shown(app)
    app.segmented_control(key="train_kind").set_value(train_buttons.ENCODER).run()
    app.button(key="train").click().run()
    assert as_read(app.error[0]) == "Name the ZIP file of the public clothing dataset."
    app.text_input(key="train_photos").set_value(str(tmp_path / "photos.zip"))
    app.button(key="train").click().run()
    assert as_read(app.error[0]) == f"There is no file at {tmp_path / 'photos.zip'}."
    (tmp_path / "photos.zip").touch()
    app.button(key="train").click().run()
    assert not app.error
    assert started == [["train", "encoder", "--photos", str(tmp_path / "photos.zip"), "--epochs", "7"]]


def test_strangers_may_look_and_start_nothing(app: AppTest, home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    two_runs(home)
    write_run(home, ENCODER, {"epochs": 4}, HISTORY[:2])
    monkeypatch.delenv(settings.MANAGE.variable)
    shown(app)
    assert labels(app).isdisjoint({"Evaluate now", "Start", "Go on", "Stop"})
    assert app.multiselect(key="runs").options == [ENCODER, SECOND, FIRST]


def test_without_tensorflow_the_page_says_what_to_install(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_buttons, "NEEDED", ("no_such_package",))
    shown(app)
    assert "Start" not in labels(app)
    assert "pip install -r requirements-train.txt" in [code.value for code in app.code]
    assert not app.button(key="evaluate").disabled


def test_while_a_command_runs_no_other_can_be_started(app: AppTest, home: Workspace) -> None:
    folder = home.collection(NAME).job_folder
    handle = locks.take(folder / "lock")
    assert handle is not None
    (folder / "job.json").write_text('{"arguments": ["train", "category-cnn"], "began_at": ""}')
    (folder / "progress.json").write_text('{"step": "Epoch 3 of 20", "done": 250, "total": 1000, "rate": 5}')
    shown(app)
    assert app.button(key="evaluate").disabled
    assert f"**{NAME}** has a network in training" in texts(app)
    (bar,) = app.get("progress")
    assert (bar.value, bar.proto.text) == (25, "Epoch 3 of 20 · 25%")
    with pytest.raises(BusyError):
        jobs.start(folder, ["evaluate", NAME], {})
    os.close(handle)
    (folder / "result.json").write_text('{"exit_status": 0, "message": ""}')
    app.run()
    assert not app.exception
    assert "has a trained network: see Training" in app.success[0].value
    assert not app.button(key="evaluate").disabled
