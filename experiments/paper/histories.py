"""Table 1 and figure 4 of the paper: how training went, from the runs that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fashion16.estimate import Figure
from fashion16.evaluation import paper
from fashion16.training import category_training
from fashion16.training.runs import Run, runs_in


def histories(runs: Path, trained: str | None = None) -> dict[str, Any]:
    """The finished runs in a folder that the paper's table can be told from.

    Args:
        trained: the category network's run to take, where it is there; else the newest of the paper's epochs.

    Returns:
        category_cnn: one run, or None; encoder: the encoder's, the newest first. Of each name, settings, result,
        accuracy (on the test pictures, a figure; None where it was not tested) and epochs, a dict each.

    Raises:
        TrainingError: a history is damaged.
    """
    finished = [run for run in runs_in(runs) if run.is_finished]
    networks = [
        run for run in finished if run.kind == category_training.NAME and run.settings.get("epochs") == paper.EPOCHS
    ]
    networks = [run for run in networks if run.name == trained] or networks
    return {
        "category_cnn": history(networks[0]) if networks else None,
        "encoder": [history(run) for run in finished if run.kind == "encoder"],
    }


def history(run: Run) -> dict[str, Any]:
    """A finished run: see `histories`."""
    result, epochs = run.result, run.history()
    n, accuracy = result.get("test_pictures"), result.get("test_accuracy")
    told = ["epoch", *(name for name in epochs if "accuracy" in name or name in ("loss", "val_loss", "seconds"))]
    return {
        "name": run.name,
        "settings": run.settings,
        "result": result,
        "accuracy": Figure.share(round(accuracy * n), n) if n and accuracy is not None else None,
        "epochs": epochs[told].to_dict("records"),
    }
