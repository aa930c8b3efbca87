"""Training runs on disk: a folder each, with what was set, how it went, and what came of it.

<date>-<name>/settings.json   what the run was started with
<date>-<name>/history.csv     a row an epoch, written as the epoch ends
<date>-<name>/result.json     what came of it; a run without it was interrupted and can go on
<date>-<name>/resume/         weights and optimizer to go on with, gone when the run ends
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from fashion16.atomic import replacing
from fashion16.errors import TrainingError, WorkspaceError


@dataclass(frozen=True)
class Run:
    """One training run's folder."""

    folder: Path

    @classmethod
    def begin(cls, runs: Path, name: str, settings: dict[str, Any], fresh: bool = False) -> Run:
        """The newest interrupted run of this name with the same settings, or a new one.

        Args:
            fresh: begin a new run even when an interrupted one could go on.

        Raises:
            WorkspaceError: the folder may not be written.
        """
        if not fresh:
            for folder in sorted(runs.glob(f"*-{name}"), reverse=True):
                run = cls(folder)
                if not run.is_finished and run.settings == settings:
                    return run
        run = cls(_new_folder(runs, name))
        with replacing(run.folder / "settings.json") as partial:
            partial.write_text(json.dumps(settings, indent=2) + "\n")
        return run

    @property
    def settings(self) -> dict[str, Any]:
        """What the run was started with; empty where it cannot be read."""
        return _read_json(self.folder / "settings.json")

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return (self.folder / "result.json").is_file()

    @property
    def result(self) -> dict[str, Any]:
        """What came of it; empty while it is not finished."""
        return _read_json(self.folder / "result.json")

    @property
    def history_file(self) -> Path:
        """A row an epoch."""
        return self.folder / "history.csv"

    @property
    def resume_folder(self) -> Path:
        """What is needed to go on after an interruption."""
        return self.folder / "resume"

    def history(self) -> pd.DataFrame:
        """The history so far, a row an epoch, in order; empty before the first epoch has ended."""
        try:
            rows = pd.read_csv(self.history_file)
        except (FileNotFoundError, pd.errors.EmptyDataError):
            return pd.DataFrame({"epoch": pd.Series(dtype=int)})
        except (OSError, ValueError) as error:
            raise TrainingError(f"{self.history_file} is damaged ({error}). Remove the run's folder.") from error
        return rows

    def keep_epochs(self, n: int) -> None:
        """Drop what the history holds beyond the first n epochs: a run that goes on writes them anew."""
        rows = self.history()
        if len(rows) > n:
            with replacing(self.history_file) as partial:
                rows[rows["epoch"] < n].to_csv(partial, index=False)

    def finish(self, result: dict[str, Any]) -> None:
        """Write what came of the run, and remove what was kept to resume it."""
        with replacing(self.folder / "result.json") as partial:
            partial.write_text(json.dumps(result, indent=2) + "\n")
        shutil.rmtree(self.resume_folder, ignore_errors=True)


def _new_folder(runs: Path, name: str) -> Path:
    while True:
        folder = runs / f"{datetime.now(UTC).strftime('%Y-%m-%d-%H%M%S-%f')[:-3]}-{name}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue  # another run was begun in this millisecond
        except OSError as error:
            raise WorkspaceError(
                f"{folder} could not be written ({error.strerror}). Check that the folder may be written.", folder
            ) from error
        return folder


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
