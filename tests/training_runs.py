"""Training runs for tests: in a folder of the test's own, and written by hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from fashion16.collections.workspace import Workspace
from fashion16.training.run_settings import CategorySettings
from fashion16.training.runs import Run

FIRST, SECOND = "2026-01-02-030405-006-category-cnn", "2026-01-03-030405-006-category-cnn"
ENCODER = "2026-01-04-030405-006-encoder"
HISTORY = pd.DataFrame(
    {
        "epoch": [0, 1, 2],
        "accuracy": [0.5, 0.7, 0.9],
        "learning_rate": [0.001, 0.0005, 0.0],
        "loss": [2.0, 1.0, 0.5],
        "seconds": [60.0, 30.0, 90.0],
        "val_accuracy": [0.4, 0.8, 0.6],
        "val_loss": [2.5, 1.5, 1.75],
    }
)
RESULT = {
    "test_accuracy": 0.75,
    "best_epoch": 2,
    "seconds": 180.0,
    "dtype": "float32",
    "git_commit": "0123456789abcdef",
}


def own_runs(root: Path) -> Workspace:
    """The workspace at `root`, whose encoder is a link to the repository's, with a folder of runs of its own.

    A quarter of its pictures are in the test split, so that networks can be tested.
    """
    encoder = root / "models" / "encoder"
    shared = encoder.resolve()
    encoder.unlink()
    encoder.mkdir()
    for path in shared.iterdir():
        if path.name != "runs":
            (encoder / path.name).symlink_to(path)
    workspace = Workspace(root)
    with workspace.collection().catalogue() as catalogue, catalogue._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE items SET split = 'test' WHERE id > 300")
    return workspace


def category_settings(workspace: Workspace, epochs: int = 3, seed: int = 16) -> dict[str, Any]:
    """What a run of today's labels is started with."""
    with workspace.collection().catalogue() as catalogue:
        labels, revision = sorted(catalogue.label_counts()), catalogue.revision()
    return asdict(CategorySettings(epochs=epochs, seed=seed)) | {"categories": labels, "label_revision": revision}


def write_run(
    workspace: Workspace,
    name: str,
    settings: dict[str, Any],
    history: pd.DataFrame = HISTORY,
    result: dict[str, Any] | None = None,
) -> Run:
    """A run's folder as training leaves it; without a result it was interrupted."""
    run = Run(workspace.runs_folder / name)
    run.folder.mkdir(parents=True)
    (run.folder / "settings.json").write_text(json.dumps(settings))
    history.to_csv(run.history_file, index=False)
    if result is not None:
        run.finish(result)
    return run
