"""What a catalogue holds, row by row: items as they come and as they are, corrections, labels at a revision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ImportedItem:
    """One picture on its way into the catalogue. It has either a `position` or a `file`.

    Attributes:
        position: its place in the pictures array.
        sha256: of the file as it came, or of its pixels where it came in an array.
        label: None where it has none.
        source: its name in the data set it came from, a path, a row or a URL; with `file` it is unique.
        file: where the picture is stored, as `PictureStore` names it.
        width, height: of the picture as it is stored, in pixels.
        fetched_at: when it was fetched from the web, ISO 8601, UTC.
    """

    position: int | None
    sha256: str
    label: str | None
    split: str
    source: str
    file: str | None = None
    width: int | None = None
    height: int | None = None
    fetched_at: str | None = None


@dataclass(frozen=True, slots=True)
class Came:
    """How an item that is a file came: with which label, and under which name and size it is stored."""

    label: str | None
    file: str
    width: int
    height: int


@dataclass(frozen=True)
class Item:
    """One picture of the collection, with the label that the catalogue gives it now."""

    id: int
    file: str | None
    position: int | None
    sha256: str
    original_label: str | None
    label: str | None
    status: str
    split: str
    version: int
    source: str
    width: int | None = None
    height: int | None = None
    fetched_at: str | None = None


@dataclass(frozen=True)
class Correction:
    """One row of history: at `at` (ISO 8601, UTC), `who` changed the label of an item."""

    id: int
    item_id: int
    old_label: str | None
    new_label: str | None
    who: str
    at: str


@dataclass(frozen=True)
class Labels:
    """Items in order of id, with their labels at one revision.

    Attributes:
        ids: (n,) int64.
        positions: (n,) int64, the place of each in the pictures array, -1 where it is a file.
        labels: (n,) str, empty where there is none.
        splits: (n,) str.
    """

    ids: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    labels: npt.NDArray[np.str_]
    splits: npt.NDArray[np.str_]
    revision: int

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Labels:
        """Some of the items, by their rows or by a mask."""
        return Labels(self.ids[rows], self.positions[rows], self.labels[rows], self.splits[rows], self.revision)

    @property
    def labelled(self) -> Labels:
        """Those that have a label."""
        return self.of(self.labels != "")

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The row of each in the collection's pictures and embeddings, (n,).

        Of an array the position; else the id, counted from 0: ids are given without gaps, and never twice.
        """
        return np.where(self.positions >= 0, self.positions, self.ids - 1)
