"""Training the paper's category network, with a history, and going on after an interruption."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fashion16.errors import TrainingError
from fashion16.training.checkpoints import best_weights
from fashion16.training.data import LabelledPictures
from fashion16.training.fitting import Report, computing_in, dtype_policy, fit, git_commit, import_keras, require_keras
from fashion16.training.run_settings import CATEGORY_CNN, CategorySettings
from fashion16.training.runs import Run

# pictures (n, 28, 28, 1) and the numbers of their categories (n,), by split
Part = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]
Parts = dict[str, Part]


def train_category_cnn(
    data: LabelledPictures,
    runs: Path,
    settings: CategorySettings | None = None,
    fresh: bool = False,
    report: Report | None = None,
) -> Run:
    """Train on the training split, keep the epoch best on the validation split, and test it once.

    A run that was killed goes on after its last whole epoch when the same call is made again.

    Raises:
        TrainingError: TensorFlow is not installed, or a split has no pictures.
        BusyError: another process trains the run that would go on.
        WorkspaceError: the folder of the runs may not be written.
    """
    require_keras()
    settings = settings or CategorySettings()
    commit = git_commit()  # now, because the program may change while it trains
    categories = np.unique(data.labels)
    parts = {split: _part(data, split, categories) for split in ("train", "validation", "test")}
    started_with = asdict(settings) | {"categories": categories.tolist(), "label_revision": data.revision}
    run = Run.begin(runs, CATEGORY_CNN, started_with, fresh)

    with run.held():
        keras = import_keras()  # not before: a run that another process trains is refused at once
        keras.utils.set_random_seed(settings.seed)
        network, dtype = _network(settings, parts, len(categories))
        pictures, labels = parts["train"]
        given = {
            "x": pictures,
            "y": labels,
            "batch_size": settings.batch,
            "validation_data": parts["validation"],
            "validation_batch_size": 1024,
        }
        seconds = fit(network, run, settings.epochs, _batches(settings, parts), given, report)
        network.load_weights(best_weights(run))
        test_loss, test_accuracy = network.evaluate(*parts["test"], batch_size=1024, verbose=0)
        history = run.history()
        run.finish(
            {
                "test_accuracy": round(float(test_accuracy), 4),
                "test_loss": round(float(test_loss), 4),
                "test_pictures": len(parts["test"][0]),
                "best_epoch": int(history["epoch"][history["val_accuracy"].idxmax()]) + 1,
                "validation_accuracy": round(float(history["val_accuracy"].max()), 4),
                "parameters": network.count_params(),
                "seconds": round(seconds, 1),
                "dtype": dtype,
                "git_commit": commit,
            }
        )
    return run


def _network(settings: CategorySettings, parts: Parts, n_categories: int) -> tuple[Any, str]:
    """The compiled network, and the type of number it computes with."""
    import keras

    from fashion16.training import category_cnn

    dtype = dtype_policy(settings.bfloat16)
    mean = parts["train"][0].mean(axis=0, dtype=np.float64).astype(np.float32) / 255
    with computing_in(dtype):
        network = category_cnn.build(n_categories, mean)
    steps = settings.epochs * _batches(settings, parts)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps) if settings.decay else None
    network.compile(
        keras.optimizers.Adam(rate or settings.learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return network, dtype


def _batches(settings: CategorySettings, parts: Parts) -> int:
    """Batches of an epoch, the last one perhaps smaller."""
    return math.ceil(len(parts["train"][0]) / settings.batch)


def _part(data: LabelledPictures, split: str, categories: npt.NDArray[np.str_]) -> Part:
    rows = data.splits == split
    if not rows.any():
        raise TrainingError(f"There are no pictures in the {split} split. Import the collection again.")
    return data.pictures[rows][..., None], np.searchsorted(categories, data.labels[rows])
