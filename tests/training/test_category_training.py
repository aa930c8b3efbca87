"""The paper's category network: its table, and a training that survives being killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from fashion16.errors import TrainingError
from fashion16.training import category_cnn
from fashion16.training.category_training import train_category_cnn
from fashion16.training.data import LabelledPictures
from fashion16.training.run_settings import CategorySettings
from tests.conftest import REPOSITORY

FEW_EPOCHS = CategorySettings(epochs=3, batch=32, bfloat16=False)


def bright_or_dark(n: int = 240) -> LabelledPictures:
    """Pictures whose category is seen at a glance: "dark" up to a grey of 100, "bright" from 150."""
    rng = np.random.default_rng(16)
    bright = np.arange(n) % 2 == 1
    level = np.where(bright, rng.integers(150, 250, n), rng.integers(0, 100, n))
    pictures = np.clip(level[:, None, None] + rng.integers(-5, 6, (n, 28, 28)), 0, 255).astype(np.uint8)
    splits = np.array(["train", "train", "train", "train", "validation", "test"])[np.arange(n) // 2 % 6]
    return LabelledPictures(pictures, np.where(bright, "bright", "dark"), splits, revision=7)


def test_the_layers_are_those_of_the_papers_table() -> None:
    network = category_cnn.build(10, np.zeros((28, 28, 1), np.float32))
    shapes = {layer.name: layer.output.shape[1:] for layer in network.layers}
    assert shapes == {
        "pictures": (28, 28, 1),
        "divided_by_255": (28, 28, 1),
        "mean_removed": (28, 28, 1),
        "conv1": (28, 28, 16),
        "conv2": (28, 28, 32),
        "pool1": (14, 14, 32),
        "conv3": (14, 14, 64),
        "conv4": (14, 14, 128),
        "pool2": (7, 7, 128),
        "dropout1": (7, 7, 128),
        "flatten": (6272,),
        "dense1": (256,),
        "dropout2": (256,),
        "dense2": (10,),
        "softmax": (10,),
    }
    assert [network.get_layer(name).rate for name in ("dropout1", "dropout2")] == [0.25, 0.5]
    assert {network.get_layer(f"conv{i}").kernel_size for i in (1, 2, 3, 4)} == {(3, 3)}
    # 160 + 4,640 + 18,496 + 73,856 for the convolutions, 1,605,888 + 2,570 for the dense layers
    assert network.count_params() == 1_705_610


def test_pictures_are_divided_by_255_and_their_mean_is_removed() -> None:
    mean = np.full((28, 28, 1), 0.25, np.float32)
    network = category_cnn.build(2, mean)
    picture = np.full((1, 28, 28, 1), 255, np.uint8)
    divided = network.get_layer("divided_by_255")(picture)
    np.testing.assert_allclose(np.asarray(network.get_layer("mean_removed")(divided)), 0.75, atol=1e-6)


def test_a_run_learns_and_leaves_its_settings_history_and_result(tmp_path: Path) -> None:
    run = train_category_cnn(bright_or_dark(), tmp_path, FEW_EPOCHS)
    assert run.is_finished
    assert run.settings["categories"] == ["bright", "dark"]
    assert run.settings["label_revision"] == 7
    history = run.history()
    assert history["epoch"].tolist() == [0, 1, 2]
    wanted = {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"}
    assert wanted <= set(history.columns)
    assert history["learning_rate"].is_monotonic_decreasing
    assert run.result["test_accuracy"] == 1.0
    assert run.result["test_pictures"] == 40
    assert not run.resume_folder.exists()


def test_a_killed_run_goes_on_after_its_last_whole_epoch(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from fashion16.training.category_training import train_category_cnn
from tests.training.test_category_training import FEW_EPOCHS, bright_or_dark

def until_the_second_epoch(epoch, share, figures):
    if epoch == 1:
        os.kill(os.getpid(), signal.SIGKILL)

train_category_cnn(bright_or_dark(), Path(sys.argv[1]), FEW_EPOCHS, report=until_the_second_epoch)
"""
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=REPOSITORY, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    trained: list[int] = []

    def note(epoch: int, share: float, figures: dict[str, float]) -> None:
        if share == 1.0:
            trained.append(epoch)

    run = train_category_cnn(bright_or_dark(), tmp_path, FEW_EPOCHS, report=note)
    assert trained == [1, 2]
    assert run.history()["epoch"].tolist() == [0, 1, 2]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_split_without_pictures_is_our_own_error(tmp_path: Path) -> None:
    data = bright_or_dark()
    only_train = LabelledPictures(data.pictures, data.labels, np.full(len(data.labels), "train"), 0)
    with pytest.raises(TrainingError, match="no pictures in the validation split"):
        train_category_cnn(only_train, tmp_path, FEW_EPOCHS)
    assert list(tmp_path.iterdir()) == []
