"""What every training run has: a history written as it goes, the best weights, and going on after a kill.

Works on any Keras model; the backend is Keras's.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

from fashion16.errors import TrainingError
from fashion16.training import checkpoints
from fashion16.training.runs import Progress, Run

CONTAINER_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
NOT_INSTALLED = "Training needs TensorFlow. Run: pip install -r requirements-train.txt"
NOTE_EVERY = 1.0  # seconds between two notes of how far a run is
# epoch from 0, share of the epoch done, and the figures so far
Report = Callable[[int, float, dict[str, float]], None]


def require_keras() -> None:
    """Look for Keras without loading it, which takes seconds.

    Raises:
        TrainingError: it is not installed.
    """
    if find_spec("keras") is None:
        raise TrainingError(NOT_INSTALLED)


def import_keras() -> Any:
    """Keras, quietly.

    Raises:
        TrainingError: it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # noqa: TID251
    try:
        import keras
    except ImportError as error:
        raise TrainingError(NOT_INSTALLED) from error
    return keras


def require_memory(n_bytes: int) -> None:
    """Refuse to begin what would be killed halfway.

    Raises:
        TrainingError: less memory than this is free.
    """
    import psutil  # here, because only training needs it

    free = psutil.virtual_memory().available
    for limit, used in CONTAINER_LIMITS:  # a container may have less than its machine
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):
            continue  # no container, or one without a limit ("max")
    if free < n_bytes:
        raise TrainingError(
            f"Training needs about {n_bytes / 1e9:.1f} GB of memory, and {max(0, free) / 1e9:.1f} GB are free. "
            "Close other programs, or train on a larger machine."
        )


def fit(
    network: Any,
    run: Run,
    epochs: int,
    steps: int,
    data: dict[str, Any],
    report: Report | None = None,
    validate: Callable[[], dict[str, float]] | None = None,
    patience: int | None = None,
    at_least: float | None = None,
) -> float:
    """Train a compiled network, from the run's last whole epoch on; the best epoch's weights stay in its resume folder.

    Args:
        steps: batches an epoch, for the report.
        data: what Keras's `fit` is given to train and, without `validate`, to validate on.
        validate: called at the end of an epoch; its figures, `val_accuracy` among them, go into the history.
        patience: stop after this number of epochs without a better `val_accuracy`.
        at_least: weights are kept only when their `val_accuracy` is above this.

    Returns:
        The seconds of all epochs, those before an interruption with them.

    Raises:
        TrainingError: what was kept of the run is damaged.
        WorkspaceError: the run's folder may not be written, or the disk is full.
    """
    import keras

    done = checkpoints.go_on(network, run)
    run.keep_epochs(done)
    history = run.history()
    best = max([*history.get("val_accuracy", []), *([] if at_least is None else [at_least])], default=None)
    if patience is not None and _tired(history.get("val_accuracy", []), patience):
        return float(history["seconds"].sum())  # killed between its last epoch and its end
    run.resume_folder.mkdir(parents=True, exist_ok=True)
    so_far = float(history["seconds"].sum()) if "seconds" in history else 0.0
    run.note_progress(Progress(len(history), 0.0, epochs, so_far, {}))  # the first batch takes a while
    history_writer = keras.callbacks.CSVLogger(str(run.history_file), append=True)
    callbacks = [
        _watcher(network, run, epochs, steps, report, validate, patience),
        history_writer,  # after the watcher, whose figures it writes down
        checkpoints.writer(run, best),
    ]
    try:
        network.fit(**data, initial_epoch=done, epochs=epochs, verbose=0, callbacks=callbacks)
    finally:
        if history_writer.csv_file:  # Keras closes it at the end only, and not when the training is stopped
            history_writer.csv_file.close()
    return float(run.history()["seconds"].sum())


def _watcher(
    network: Any,
    run: Run,
    epochs: int,
    steps: int,
    report: Report | None,
    validate: Callable[[], dict[str, float]] | None,
    patience: int | None,
) -> Any:
    import keras

    class Watcher(keras.callbacks.Callback):
        """Times and validates each epoch, notes its learning rate, tells how far it is, and stops in time."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch, self.start, self.next_note = epoch, perf_counter(), 0.0
            history = run.history()
            self.before = float(history["seconds"].sum()) if "seconds" in history else 0.0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if perf_counter() >= self.next_note:
                self.next_note = perf_counter() + NOTE_EVERY
                self.note(batch / steps, dict(logs or {}))

        def note(self, share: float, figures: dict[str, float]) -> None:
            seconds = self.before + perf_counter() - self.start
            run.note_progress(Progress(self.epoch, share, epochs, round(seconds, 2), figures))
            if report:
                report(self.epoch, share, figures)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if validate:
                logs |= validate()
            logs["learning_rate"] = float(keras.ops.convert_to_numpy(network.optimizer.learning_rate))
            logs["seconds"] = round(perf_counter() - self.start, 2)
            if patience is not None:
                # from the history, which an interruption doesn't lose; Keras's EarlyStopping would start counting again
                before = run.history().get("val_accuracy", [])
                network.stop_training = _tired([*before, logs["val_accuracy"]], patience)
            self.note(1.0, dict(logs))

    return Watcher()


def _tired(accuracies: Any, patience: int) -> bool:
    """Whether the best of these is at least `patience` epochs ago."""
    values = list(accuracies)
    return bool(values) and len(values) - 1 - values.index(max(values)) >= patience


def dtype_policy(bfloat16: bool) -> str:
    """Keras's policy: 16 bits to compute in where they are wanted and the processor has them."""
    return "mixed_bfloat16" if bfloat16 and has_bfloat16() else "float32"


@contextmanager
def computing_in(policy: str) -> Iterator[None]:
    """Layers made in the block compute by this policy of Keras's; those made later don't."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


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
