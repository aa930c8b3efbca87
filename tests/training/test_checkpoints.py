"""Training that is stopped at the worst moments, on a network small enough to watch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

from fashion16.errors import TrainingError, WorkspaceError
from fashion16.training.checkpoints import best_weights, epochs_done, go_on
from fashion16.training.fitting import fit
from fashion16.training.runs import Run

ACCURACIES = (0.5, 0.7, 0.6, 0.8, 0.75)  # the best so far after epochs 1, 2 and 4


def network() -> keras.Model:
    keras.utils.set_random_seed(16)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model


def train(run: Run, model: keras.Model | None = None, epochs: int = len(ACCURACIES)) -> keras.Model:
    """All batches in one, so that an epoch comes out the same whenever it is trained."""
    model = model or network()
    x = np.random.default_rng(16).standard_normal((32, 3)).astype(np.float32)
    left = list(ACCURACIES[epochs_done(run) :])
    fit(
        model,
        run,
        epochs,
        1,
        {"x": x, "y": x.sum(axis=1), "batch_size": 32},
        validate=lambda: {"val_accuracy": left.pop(0)},
    )
    return model


def stopped_at(model: keras.Model, write: int, how: Callable[[Path], None]) -> keras.Model:
    """The network, whose so-manieth file of weights is not written: `how` is called with its path instead."""
    save, count = model.save_weights, iter(range(1, 100))

    def save_weights(path: Path, *arguments: Any, **named: Any) -> None:
        if next(count) == write:
            how(path)
        save(path, *arguments, **named)

    model.save_weights = save_weights
    return model


def interrupted(path: Path) -> None:
    path.write_bytes(b"\x89HDF\r\n\x1a\n half of the weights")
    raise KeyboardInterrupt


def files(run: Run) -> list[str]:
    return sorted(path.name for path in run.resume_folder.glob("*.h5"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> keras.Model:
    """The network after a training that nobody stopped."""
    return train(Run.begin(tmp_path_factory.mktemp("whole"), "tiny", {}))


def test_the_last_epoch_and_the_best_one_are_kept(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "tiny", {})
    assert epochs_done(run) == 0
    train(run, epochs=3)
    assert files(run) == ["after-0003.weights.h5", "best-0002.weights.h5"]
    assert epochs_done(run) == 3
    train(run)
    assert files(run) == ["after-0005.weights.h5", "best-0004.weights.h5"]
    assert best_weights(run).name == "best-0004.weights.h5"


def test_whenever_a_training_is_stopped_while_it_writes_it_comes_out_the_same(
    tmp_path: Path, whole: keras.Model, repeated: Callable[[int], int]
) -> None:
    # the best weights and those to go on with are written after epochs 1, 2 and 4, those to go on with after 3 and 5
    # too; epochs that are whole when each of these writes is stopped
    whole_epochs = {3: 1, 1: 0, 2: 0, 4: 1, 5: 2, 6: 3, 7: 3, 8: 4}
    for write in list(whole_epochs)[: repeated(len(whole_epochs))]:
        run = Run.begin(tmp_path / str(write), "tiny", {})
        with pytest.raises(KeyboardInterrupt):
            train(run, stopped_at(network(), write, interrupted))
        assert epochs_done(run) == whole_epochs[write]
        assert not list(run.resume_folder.glob(".*.h5"))
        finished = train(run)
        for one, other in zip(finished.get_weights(), whole.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
        assert run.history()["val_accuracy"].tolist() == list(ACCURACIES)
        assert files(run) == ["after-0005.weights.h5", "best-0004.weights.h5"]


def test_a_killed_training_leaves_nothing_that_is_taken_for_weights(tmp_path: Path) -> None:
    run, killed = Run.begin(tmp_path / "runs", "tiny", {}), tmp_path / "killed"

    def kill(path: Path) -> None:
        path.write_bytes(b"half")
        shutil.copytree(run.folder, killed)  # a killed process cleans nothing up
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(run, stopped_at(network(), 7, kill))  # the weights after epoch 4, whose best ones are written
    left = Run(killed)
    half, *kept = files(left)
    assert half.startswith(".after-0004.weights.h5.")
    assert kept == ["after-0003.weights.h5", "best-0002.weights.h5", "best-0004.weights.h5"]
    assert epochs_done(left) == 3
    assert go_on(network(), left) == 3
    assert files(left) == ["after-0003.weights.h5", "best-0002.weights.h5"]


def test_no_epoch_may_be_good_enough(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "tiny", {})
    x = np.zeros((8, 3), np.float32)
    fit(network(), run, 1, 1, {"x": x, "y": x[:, 0]}, validate=lambda: {"val_accuracy": 0.5}, at_least=0.5)
    assert files(run) == ["after-0001.weights.h5"]
    with pytest.raises(
        TrainingError, match=r"No epoch's weights are kept in .*-tiny. Remove it, and start the run again"
    ):
        best_weights(run)


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all", "another network"])
def test_damaged_weights_are_named(tmp_path: Path, content: bytes | str) -> None:
    run = Run.begin(tmp_path, "tiny", {})
    train(run, epochs=1)
    path = run.resume_folder / "after-0001.weights.h5"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        other = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
        other.compile("adam", "mse")
        other.save_weights(path)
    with pytest.raises(
        TrainingError, match=r"after-0001.weights.h5 is damaged. Remove .*-tiny, and start the run again"
    ):
        train(run)


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, "tiny", {})

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    with pytest.raises(WorkspaceError, match=r"best-0001.weights.h5 could not be written \(No space left on device\)"):
        train(run, stopped_at(network(), 1, full))
    assert epochs_done(run) == 0
