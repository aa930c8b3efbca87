"""Training runs on disk: a folder each, with what was set, how it went, and what came of it.

<date>-<name>/settings.json   what the run was started with
<date>-<name>/history.csv     a row an epoch, written as the epoch ends
<date>-<name>/result.json     what came of it; a run without it was interrupted and can go on
<date>-<name>/resume/         what is needed until the run ends, and gone then: weights and optimizer to go on with;
                              lock, held by the process that trains, however it ends; progress.json, how far it is
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fashion16.errors import BusyError, TrainingError, WorkspaceError
from fashion16.files import locks
from fashion16.files.atomic import replacing

STAMP = "%Y-%m-%d-%H%M%S-%f"  # of the moment a run was begun, to the millisecond
FOLDER = re.compile(r"(\d{4}-\d\d-\d\d-\d{6}-\d{3})-(.+)")


@dataclass(frozen=True)
class Progress:
    """How far a run that has not ended is.

    Attributes:
        epoch: the one it is in, from 0.
        share: of this epoch's batches.
        epochs: those it may take; with patience it can end before.
        seconds: of training so far, those before an interruption with them.
        figures: of the epoch as it stands, loss and accuracy among them.
    """

    epoch: int
    share: float
    epochs: int
    seconds: float
    figures: dict[str, float]


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
    def name(self) -> str:
        """The folder's."""
        return self.folder.name

    @property
    def kind(self) -> str:
        """What is trained: category-cnn or encoder."""
        found = FOLDER.fullmatch(self.name)
        return found[2] if found else self.name

    @property
    def begun_at(self) -> datetime | None:
        """When it was begun, UTC; None where the folder's name does not say."""
        found = FOLDER.fullmatch(self.name)
        try:
            return datetime.strptime(found[1], STAMP).replace(tzinfo=UTC) if found else None
        except ValueError:
            return None

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

    @property
    def is_live(self) -> bool:
        """Whether a process trains it now."""
        return locks.is_taken(self._lock_file)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The run is live in the block, and no other process trains it.

        Raises:
            BusyError: another process does.
            WorkspaceError: the folder may not be written.
        """
        if (handle := locks.take(self._lock_file)) is None:
            raise BusyError(
                f"Another process trains {self.name}. Wait until it has ended, or begin one of your own with: --fresh",
                self.folder,
            )
        try:
            yield
        finally:
            os.close(handle)

    def history(self) -> pd.DataFrame:
        """The whole rows of the history so far, one an epoch, in order; empty before the first epoch has ended.

        Raises:
            TrainingError: the file is damaged.
        """
        none = pd.DataFrame({"epoch": pd.Series(dtype=int)})
        try:
            text = self.history_file.read_bytes().decode()
            return pd.read_csv(io.StringIO(text if self.is_finished else _whole_lines(text)))
        except (FileNotFoundError, pd.errors.EmptyDataError):
            return none
        except (OSError, ValueError) as error:
            raise TrainingError(f"{self.history_file} is damaged ({error}). Remove the run's folder.") from error

    def keep_epochs(self, n: int) -> None:
        """Drop what the history holds beyond the first n epochs: a resumed run writes them again.

        Half a row, of a process that was killed while it wrote it, goes too.
        """
        rows = self.history()
        rows = rows[rows["epoch"] < n]
        if rows.empty:
            self.history_file.unlink(missing_ok=True)
            return
        with replacing(self.history_file) as partial:
            rows.to_csv(partial, index=False)

    def note_progress(self, progress: Progress) -> None:
        """Write down how far the run is, for whoever looks; a folder that cannot be written does not stop it."""
        if not self._progress_file.parent.is_dir():
            return
        with suppress(WorkspaceError), replacing(self._progress_file, durable=False) as partial:
            partial.write_text(json.dumps(asdict(progress)))

    def progress(self) -> Progress | None:
        """How far the run is, or was when it was interrupted; None where nothing is known, and when it has ended."""
        if self.is_finished:
            return None
        facts = _read_json(self._progress_file)
        try:
            return Progress(
                int(facts["epoch"]),
                float(facts["share"]),
                int(facts["epochs"]),
                float(facts["seconds"]),
                {str(key): float(value) for key, value in facts["figures"].items()},
            )
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
            return None

    def remaining_seconds(self) -> float | None:
        """What is left at the pace so far, at most: patience may end it before. None where nothing is known."""
        now = self.progress()
        if now is None:
            return None
        done = now.epoch + now.share
        try:
            seconds = self.history().get("seconds", pd.Series(dtype=float)).dropna()
        except TrainingError:
            seconds = pd.Series(dtype=float)
        if len(seconds):
            an_epoch = float(seconds.median())  # the first one is slower, and a computer may sleep
        elif done > 0:
            an_epoch = now.seconds / done
        else:
            return None
        return max(0.0, an_epoch * (now.epochs - done))

    def finish(self, result: dict[str, Any]) -> None:
        """Write what came of the run, and remove what was kept to resume it."""
        with replacing(self.folder / "result.json") as partial:
            partial.write_text(json.dumps(result, indent=2) + "\n")
        shutil.rmtree(self.resume_folder, ignore_errors=True)

    @property
    def _lock_file(self) -> Path:
        return self.resume_folder / "lock"

    @property
    def _progress_file(self) -> Path:
        return self.resume_folder / "progress.json"


def runs_in(folder: Path) -> list[Run]:
    """The runs in a folder, the newest first; none where there is no such folder."""
    try:
        found = [path for path in folder.iterdir() if FOLDER.fullmatch(path.name)]
    except OSError:
        return []
    return [Run(path) for path in sorted(found, reverse=True) if (path / "settings.json").is_file()]


def settings_difference(a: Run, b: Run) -> pd.DataFrame:
    """The settings that differ, in order: setting, a, b; as text, empty where a run has no such setting."""
    left, right = a.settings, b.settings
    names = [*left, *(name for name in right if name not in left)]
    rows = [
        (name, _as_text(left, name), _as_text(right, name))
        for name in names
        if name not in left or name not in right or left[name] != right[name]
    ]
    return pd.DataFrame(rows, columns=["setting", "a", "b"], dtype=str)


def smoothed(values: Sequence[float] | npt.NDArray[np.floating[Any]], weight: float) -> npt.NDArray[np.float64]:
    """The exponential moving average (n,) of values (n,), without the bias towards 0 of its first ones.

    As TensorBoard's: each value counts `weight` times as much as the one after it. A gap stays one.

    Raises:
        ValueError: the weight is not in [0, 1).
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight must be in [0, 1), received {weight}")
    raw = pd.Series(values, dtype=float).replace([np.inf, -np.inf], np.nan)
    return np.asarray(raw.ewm(alpha=1 - weight, ignore_na=True).mean().where(raw.notna()), np.float64)


def _new_folder(runs: Path, name: str) -> Path:
    while True:
        folder = runs / f"{datetime.now(UTC).strftime(STAMP)[:-3]}-{name}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue  # another run was begun in this millisecond
        except OSError as error:
            raise WorkspaceError(
                f"{folder} could not be written ({error.strerror}). Check that the folder may be written.", folder
            ) from error
        return folder


def _whole_lines(text: str) -> str:
    """Less the last line where it is still being written."""
    return text[: text.rfind("\n") + 1]


def _as_text(settings: dict[str, Any], name: str) -> str:
    value = settings.get(name, "")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
