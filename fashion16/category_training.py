"""Training the paper's category network, with a history, and going on after an interruption."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from fashion16.errors import TrainingError
from fashion16.runs import Run

NAME = "category-cnn"
# epoch from 0, share of the epoch done, and the figures so far
Report = Callable[[int, float, dict[str, float]], None]
# pictures (n, 28, 28, 1) and the numbers of their categories (n,), by split
Part = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]
Parts = dict[str, Part]


@dataclass(frozen=True)
class CategorySettings:
    """What a run is started with; the defaults are the recommended run.

    Attributes:
        epochs: the paper's.
        decay: the learning rate falls to nothing along half a cosine; without, the last epochs only jitter.
        bfloat16: compute in 16 bits where the processor has them, about twice as fast.
    """

    epochs: int = 20
    batch: int = 128
    learning_rate: float = 1e-3
    decay: bool = True
    seed: int = 16
    bfloat16: bool = True


@dataclass(frozen=True)
class Pictures:
    """A data set in memory: pictures (n, 28, 28) uint8, labels (n,) str, splits (n,) str, and their revision."""

    pictures: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.str_]
    splits: npt.NDArray[np.str_]
    revision: int


def train_category_cnn(
    data: Pictures,
    runs: Path,
    settings: CategorySettings | None = None,
    fresh: bool = False,
    report: Report | None = None,
) -> Run:
    """Train on the training split, keep the epoch best on the validation split, and test it once.

    A run that was killed goes on after its last whole epoch when the same call is made again.

    Raises:
        TrainingError: TensorFlow is not installed, or a split has no pictures.
        WorkspaceError: the folder of the runs may not be written.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import keras
    except ImportError as error:
        raise TrainingError("Training needs TensorFlow. Run: pip install -r requirements-train.txt") from error
    settings = settings or CategorySettings()
    commit = git_commit()  # now, because the program may change while it trains
    categories = np.unique(data.labels)
    parts = {split: _part(data, split, categories) for split in ("train", "validation", "test")}
    started_with = asdict(settings) | {"categories": categories.tolist(), "label_revision": data.revision}
    run = Run.begin(runs, NAME, started_with, fresh)

    keras.utils.set_random_seed(settings.seed)
    network, dtype = _network(settings, parts, len(categories))
    seconds = _fit(network, run, settings, parts, report)
    network.load_weights(_best_weights(run))
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

    from fashion16 import category_cnn

    dtype = "mixed_bfloat16" if settings.bfloat16 and has_bfloat16() else "float32"
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        mean = parts["train"][0].mean(axis=0, dtype=np.float64).astype(np.float32) / 255
        network = category_cnn.build(n_categories, mean)
    finally:
        keras.config.set_dtype_policy(before)
    steps = settings.epochs * _batches(settings, parts)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps) if settings.decay else None
    network.compile(
        keras.optimizers.Adam(rate or settings.learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return network, dtype


def _batches(settings: CategorySettings, parts: Parts) -> int:
    """Batches of an epoch, the last one perhaps smaller."""
    return math.ceil(len(parts["train"][0]) / settings.batch)


def _fit(network: Any, run: Run, settings: CategorySettings, parts: Parts, report: Report | None) -> float:
    """The seconds that all epochs took, those before an interruption with them."""
    import keras

    done = _epochs_done(run)
    run.keep_epochs(done)
    history = run.history()
    best = float(history["val_accuracy"].max()) if len(history) else None
    run.resume_folder.mkdir(parents=True, exist_ok=True)
    network.fit(
        *parts["train"],
        batch_size=settings.batch,
        epochs=settings.epochs,
        validation_data=parts["validation"],
        validation_batch_size=1024,
        verbose=0,
        callbacks=[
            _watcher(network, report, _batches(settings, parts)),
            # after the watcher, whose seconds and learning rate it writes down
            keras.callbacks.CSVLogger(str(run.history_file), append=True),
            keras.callbacks.ModelCheckpoint(
                str(_best_weights(run)),
                monitor="val_accuracy",
                save_best_only=True,
                save_weights_only=True,
                initial_value_threshold=best,
            ),
            # last, so that an epoch counts as done only when everything else of it is on disk
            keras.callbacks.BackupAndRestore(
                str(run.resume_folder / "backup"), double_checkpoint=True, delete_checkpoint=False
            ),
        ],
    )
    return float(run.history()["seconds"].sum())


def _watcher(network: Any, report: Report | None, steps: int) -> Any:
    import keras

    class Watcher(keras.callbacks.Callback):  # type: ignore[misc]
        """Times each epoch, notes its learning rate, and tells how far it is."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch, self.start = epoch, perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if report and batch % 20 == 0:
                report(self.epoch, batch / steps, dict(logs or {}))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["learning_rate"] = float(keras.ops.convert_to_numpy(network.optimizer.learning_rate))
            logs["seconds"] = round(perf_counter() - self.start, 2)
            if report:
                report(epoch, 1.0, dict(logs))

    return Watcher()


def _part(data: Pictures, split: str, categories: npt.NDArray[np.str_]) -> Part:
    rows = data.splits == split
    if not rows.any():
        raise TrainingError(f"There are no pictures in the {split} split. Import the collection again.")
    return data.pictures[rows][..., None], np.searchsorted(categories, data.labels[rows])


def _epochs_done(run: Run) -> int:
    """Whole epochs behind the weights that the run will go on with."""
    path = run.resume_folder / "backup" / "training_metadata.json"
    if not path.is_file():
        return 0
    try:
        return int(json.loads(path.read_text())["epoch"])
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path} is damaged. Remove {run.folder}, and begin the run anew.") from error


def _best_weights(run: Run) -> Path:
    return run.resume_folder / "best.weights.h5"


def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16 (asked of Linux; elsewhere no)."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def git_commit() -> str | None:
    """The commit of this program, None when it is not in a repository."""
    here = Path(__file__).resolve().parent
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
