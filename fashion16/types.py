"""Arrays by name and shape, and what reports progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


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


Pixels = npt.NDArray[np.uint8]


# done and total, in bytes or items; called often, so keep it cheap
Progress = Callable[[int, int], None]


Floats = npt.NDArray[np.float32]


Codes = npt.NDArray[np.uint8]


Keys = npt.NDArray[np.int64]


Ids = npt.NDArray[np.int64]


Rows = npt.NDArray[np.int64]
