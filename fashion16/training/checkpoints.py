"""What a training goes on from: weights as they stood after a whole epoch, and those of the best one.

    after-0013.weights.h5    network and optimizer after 13 epochs
    best-0012.weights.h5     after the epoch that was best on the validation split; none while none was good enough

Each is a file of its own, there whole or not at all, and what it takes the place of is removed after it. Keras's own
callbacks write over the file that they would go on from: a training that is stopped meanwhile has lost all of it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fashion16.errors import TrainingError
from fashion16.files.atomic import replacing
from fashion16.training.runs import Run

ENDING = ".weights.h5"  # Keras writes to no other
AFTER, BEST = "after", "best"
FILE = re.compile(rf"(?:{AFTER}|{BEST})-(\d+){re.escape(ENDING)}")


def epochs_done(run: Run) -> int:
    """Whole epochs behind the weights that the run will go on with."""
    return max(_kept(run, AFTER), default=0)


def best_weights(run: Run) -> Path:
    """The file with the weights of the epoch that was best on the validation split.

    Raises:
        TrainingError: there is none.
    """
    kept = _kept(run, BEST)
    if not kept:
        raise TrainingError(f"No epoch's weights are kept in {run.folder}. Remove it, and start the run again.")
    return kept[max(kept)]


def go_on(network: Any, run: Run) -> int:
    """Give a compiled network the weights, and its optimizer the state, to go on with; returns `epochs_done`.

    What is kept of an unfinished epoch, which will be trained again, is removed.

    Raises:
        TrainingError: the weights are damaged.
    """
    done = epochs_done(run)
    for path in run.resume_folder.glob(f"*{ENDING}"):
        found = FILE.fullmatch(path.name)
        if not found or int(found[1]) > done:
            path.unlink()
    if done:
        path = _kept(run, AFTER)[done]
        network.optimizer.build(network.trainable_variables)
        try:
            network.load_weights(path)
        except (OSError, ValueError, KeyError) as error:
            raise TrainingError(f"{path} is damaged. Remove {run.folder}, and start the run again.") from error
    return done


def writer(run: Run, best: float | None) -> Any:
    """A callback that keeps what there is to go on with, and the best weights, after each epoch.

    It has to be the last one, so that an epoch counts as done only when everything else of it is on disk.

    Args:
        best: the highest `val_accuracy` so far; weights must have a higher one to be kept.
    """
    import keras

    class Writer(keras.callbacks.Callback):
        """Writes the best weights before those to go on with: these say that the epoch is done."""

        def __init__(self) -> None:
            super().__init__()
            self.best = best

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            accuracy = logs["val_accuracy"]
            if self.best is None or accuracy > self.best:
                self.best = accuracy
                _write(self.model, run, BEST, epoch + 1)
            _write(self.model, run, AFTER, epoch + 1)
            for kind in (AFTER, BEST):
                for _, older in sorted(_kept(run, kind).items())[:-1]:
                    older.unlink()

    return Writer()


def _write(network: Any, run: Run, kind: str, n: int) -> None:
    with replacing(run.resume_folder / f"{kind}-{n:04d}{ENDING}", f".partial{ENDING}") as partial:
        network.save_weights(partial)


def _kept(run: Run, kind: str) -> dict[int, Path]:
    """The files of a kind, by the number of epochs."""
    found = ((FILE.fullmatch(path.name), path) for path in run.resume_folder.glob(f"{kind}-*{ENDING}"))
    return {int(match[1]): path for match, path in found if match}
