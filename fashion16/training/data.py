"""Labelled pictures in memory, to train with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fashion16.collections.stored import StoredCollection


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures in memory to train with.

    Attributes:
        pictures: (n, h, w) or (n, h, w, 3) uint8, all of one size.
        labels: (n,).
        splits: (n,), each train, validation or test.
        revision: the catalogue's, whose labels these are; 0 where they come from a data set itself.
    """

    pictures: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.str_]
    splits: npt.NDArray[np.str_]
    revision: int = 0

    def of(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> LabelledPictures:
        """Those of these rows."""
        return LabelledPictures(self.pictures[rows], self.labels[rows], self.splits[rows], self.revision)


def labelled_pictures(stored: StoredCollection) -> LabelledPictures:
    """All labelled pictures of the collection in memory, with today's labels.

    Raises:
        DataError: the collection is not imported.
    """
    pictures = stored.pictures()
    with stored.catalogue() as catalogue:
        today = catalogue.labels()
    return LabelledPictures(np.asarray(pictures[today.positions]), today.labels, today.splits, today.revision)
