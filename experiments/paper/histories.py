"""Table 1 and figure 4 of the paper: how training went, from the runs that are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashion16.estimate import Figure
from fashion16.evaluation import paper
from fashion16.training.run_settings import CATEGORY_CNN, ENCODER
from fashion16.training.runs import Run, runs_in


@dataclass(frozen=True)
class History:
    """How the training of a finished run went.

    Attributes:
        settings, result: as the run's own files have them.
        accuracy: on the test pictures; None where it was not tested.
        epochs: the columns of its history that the paper's table has.
    """

    name: str
    settings: dict[str, Any]
    result: dict[str, Any]
    accuracy: Figure | None
    epochs: list[dict[str, float]]


@dataclass(frozen=True)
class Histories:
    """One run of the category network, or None; those of the encoder, the newest first."""

    category_cnn: History | None
    encoder: list[History]


def histories(runs: Path, trained: str | None = None) -> Histories:
    """The finished runs in a folder that the paper's table can be told from.

    Args:
        trained: the category network's run to take, where it is there; else the newest of the paper's epochs.

    Raises:
        TrainingError: a history is damaged.
    """
    finished = [run for run in runs_in(runs) if run.is_finished]
    networks = [run for run in finished if run.kind == CATEGORY_CNN and run.settings.get("epochs") == paper.EPOCHS]
    networks = [run for run in networks if run.name == trained] or networks
    encoders = [history(run) for run in finished if run.kind == ENCODER]
    return Histories(history(networks[0]) if networks else None, encoders)


def history(run: Run) -> History:
    """That of a finished run."""
    result, epochs = run.result, run.history()
    n, accuracy = result.get("test_pictures"), result.get("test_accuracy")
    told = ["epoch", *(name for name in epochs if "accuracy" in name or name in ("loss", "val_loss", "seconds"))]
    return History(
        name=run.name,
        settings=run.settings,
        result=result,
        accuracy=Figure.share(round(accuracy * n), n) if n and accuracy is not None else None,
        epochs=epochs[told].to_dict("records"),
    )
