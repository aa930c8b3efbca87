"""Batches of two kinds of pictures for one network: small ones at a small side, photos at a large one.

Needs Keras (requirements-train.txt).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from fashion16.images import to_network
from fashion16.training.augmentation import PHOTOS, SMALL_PICTURES, like_fashion_mnist, view
from fashion16.types import Floats, Pixels

EIGHTH = 8  # one small picture in eight is a photo made small


@dataclass(frozen=True)
class Kind:
    """Pictures of one kind: (n, h, h) or (n, h, h, 3) uint8, what each may be (n, c), and the side to show them at."""

    pictures: npt.NDArray[np.uint8]
    targets: Floats
    side: int
    batch: int


class TrainingBatches(keras.utils.PyDataset):
    """An epoch: every small picture once, every photo `passes` times, in mixed order, each in a new view.

    What an epoch holds depends on the seed and its number only, so that a resumed run sees what it would have.
    """

    def __init__(self, small: Kind, photos: Kind, passes: int, seed: int, epoch: int = 0) -> None:
        super().__init__()
        self.small, self.photos, self.passes, self.seed, self.epoch = small, photos, passes, seed, epoch
        self.own = small.batch - small.batch // EIGHTH
        self.n_small = len(small.pictures) // self.own
        self.n_photos = passes * len(photos.pictures) // photos.batch
        self._order()

    def __len__(self) -> int:
        return self.n_small + self.n_photos

    def on_epoch_end(self) -> None:
        """Go on to the next epoch's order."""
        self.epoch += 1
        self._order()

    def __getitem__(self, index: int) -> tuple[Floats, Floats]:
        """Pictures (n, side, side, 3) in [0, 255], and what each may be (n, c)."""
        rng = np.random.default_rng([self.seed, self.epoch, index])
        number = self.schedule[index]
        if number >= 0:
            rows = self.small_order[number * self.own : (number + 1) * self.own]
            views = [view(self.small.pictures[row], self.small.side, SMALL_PICTURES, rng) for row in rows]
            others = rng.integers(len(self.photos.pictures), size=self.small.batch // EIGHTH)
            for row in others:
                shrunk = like_fashion_mnist(self.photos.pictures[row], rng)
                views.append(view(shrunk, self.small.side, SMALL_PICTURES, rng))
            targets = np.concatenate([self.small.targets[rows], self.photos.targets[others]])
        else:
            number = -1 - number
            rows = self.photo_order[number * self.photos.batch : (number + 1) * self.photos.batch]
            views = [view(self.photos.pictures[row], self.photos.side, PHOTOS, rng) for row in rows]
            targets = self.photos.targets[rows]
        return np.stack(views).astype(np.float32), targets

    def _order(self) -> None:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.small_order = rng.permutation(len(self.small.pictures))
        self.photo_order = np.concatenate([rng.permutation(len(self.photos.pictures)) for _ in range(self.passes)])
        # 0 and up: a batch of small pictures; -1 and down: a batch of photos
        self.schedule = rng.permutation(np.concatenate([np.arange(self.n_small), -1 - np.arange(self.n_photos)]))
        # Keras takes the shape of all batches from the first two: one of each kind, so that the side stays open
        first = [int(np.argmax(self.schedule >= 0)), int(np.argmax(self.schedule < 0))]
        rest = np.delete(self.schedule, first)
        self.schedule = np.concatenate([self.schedule[first], rest])


class PlainBatches(keras.utils.PyDataset):
    """Pictures of one kind as they are served, in order, with what each may be."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind = kind

    def __len__(self) -> int:
        return -(-len(self.kind.pictures) // self.kind.batch)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Pictures (n, side, side, 3) in [0, 255], and what each may be (n, c)."""
        rows = slice(index * self.kind.batch, (index + 1) * self.kind.batch)
        pictures: list[Pixels] = [to_network(picture, self.kind.side) for picture in self.kind.pictures[rows]]
        return np.stack(pictures).astype(np.float32), self.kind.targets[rows]
