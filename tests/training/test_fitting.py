"""What training runs share, on a network small enough to watch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import psutil
import pytest

from fashion16.errors import TrainingError
from fashion16.training import fitting
from fashion16.training.checkpoints import best_weights, epochs_done
from fashion16.training.data import LabelledPictures
from fashion16.training.fitting import fit, require_memory
from fashion16.training.runs import Progress, Run


def network() -> keras.Model:
    keras.utils.set_random_seed(16)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def given() -> dict[str, Any]:
    x = np.random.default_rng(16).standard_normal((32, 3)).astype(np.float32)
    return {"x": x, "y": x.sum(axis=1), "batch_size": 8}


def validation(accuracies: list[float]) -> Any:
    """One figure an epoch, from a list; then somebody presses Ctrl-C."""
    left = list(accuracies)

    def validate() -> dict[str, float]:
        if not left:
            raise KeyboardInterrupt
        return {"val_accuracy": left.pop(0), "val_loss": 1.0}

    return validate


def test_a_run_without_progress_stops_after_its_patience(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "tiny", {})
    fit(network(), run, 9, 4, given(), validate=validation([0.5, 0.7, 0.6, 0.7, 0.9]), patience=2)
    assert run.history()["val_accuracy"].tolist() == [0.5, 0.7, 0.6, 0.7]


def test_an_interruption_does_not_give_it_new_patience(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "tiny", {})
    with pytest.raises(KeyboardInterrupt):
        fit(network(), run, 9, 4, given(), validate=validation([0.7, 0.6]), patience=2)
    assert epochs_done(run) == 2
    fit(network(), run, 9, 4, given(), validate=validation([0.5, 0.9]), patience=2)
    assert run.history()["val_accuracy"].tolist() == [0.7, 0.6, 0.5]
    # and asked again, it has nothing left to do
    assert fit(network(), run, 9, 4, given(), patience=2) == pytest.approx(run.history()["seconds"].sum())


def test_the_best_epochs_weights_are_kept_over_an_interruption(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "tiny", {})
    model = network()
    best: list[Any] = []

    def validate_and_keep() -> dict[str, float]:
        best.append(model.get_weights()[0].copy())
        if len(best) == 2:
            raise KeyboardInterrupt
        return {"val_accuracy": 0.9, "val_loss": 1.0}

    with pytest.raises(KeyboardInterrupt):
        fit(model, run, 3, 4, given(), validate=validate_and_keep)
    fit(network(), run, 3, 4, given(), validate=validation([0.8, 0.7]))
    kept = network()
    kept.load_weights(best_weights(run))
    np.testing.assert_array_equal(kept.get_weights()[0], best[0])
    assert run.history()["epoch"].tolist() == [0, 1, 2]


def test_a_run_notes_how_far_it_is_and_goes_on_counting_after_an_interruption(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "tiny", {})
    noted: list[Progress] = []

    def report(epoch: int, share: float, figures: dict[str, float]) -> None:
        now = run.progress()
        assert now is not None
        assert (now.epoch, now.share, now.figures) == (epoch, share, figures)
        noted.append(now)

    with pytest.raises(KeyboardInterrupt):
        fit(network(), run, 3, 4, given(), report, validation([0.7, 0.8]))
    # at the first batch of each epoch and at its end: four batches take less than a second
    assert [(now.epoch, now.share) for now in noted] == [(0, 0.0), (0, 1.0), (1, 0.0), (1, 1.0), (2, 0.0)]
    assert noted[1].figures["val_accuracy"] == 0.7
    first = run.history()["seconds"].sum()
    noted.clear()
    fit(network(), run, 3, 4, given(), report, validation([0.9]))
    assert [(now.epoch, now.share, now.epochs) for now in noted] == [(2, 0.0, 3), (2, 1.0, 3)]
    assert noted[0].seconds >= first
    assert noted[1].seconds == pytest.approx(run.history()["seconds"].sum(), abs=0.05)


def test_a_run_that_goes_on_says_at_once_what_it_has_behind_it(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "tiny", {})
    with pytest.raises(KeyboardInterrupt):
        fit(network(), run, 3, 4, given(), validate=validation([0.7, 0.8]))
    seconds = run.history()["seconds"].sum()

    def stop_at_once(**_: object) -> None:
        raise KeyboardInterrupt

    model = network()
    model.fit = stop_at_once
    with pytest.raises(KeyboardInterrupt):
        fit(model, run, 3, 4, given())
    assert run.progress() == Progress(2, 0.0, 3, pytest.approx(seconds), {})


def test_more_memory_than_is_free_is_refused_before_anything_is_done() -> None:
    require_memory(1)
    with pytest.raises(TrainingError, match=r"needs about [\d.]+ GB of memory, and [\d.]+ GB are free. Close other"):
        require_memory(10 * psutil.virtual_memory().total)


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, used = tmp_path / "memory.max", tmp_path / "memory.current"
    monkeypatch.setattr(fitting, "CONTAINER_LIMITS", ((str(limit), str(used)),))
    limit.write_text("3000000000\n")
    used.write_text("2900000000\n")
    with pytest.raises(TrainingError, match=r"about 0.2 GB of memory, and 0.1 GB are free"):
        require_memory(200_000_000)
    limit.write_text("max\n")
    require_memory(200_000_000)


def test_pictures_of_some_rows_keep_labels_splits_and_revision() -> None:
    pictures = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    data = LabelledPictures(pictures, np.array(list("abcd")), np.array(["train", "test"] * 2), 7)
    few = data.of(data.splits == "test")
    assert few.pictures[:, 0, 0].tolist() == [1, 3]
    assert (few.labels.tolist(), few.splits.tolist(), few.revision) == (["b", "d"], ["test", "test"], 7)
