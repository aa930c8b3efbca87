"""Small stand-ins whose answers can be worked out in one's head."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from fashion16.images import Pixels
from fashion16.lsh import Floats


@dataclass
class FakeEncoder:
    """The mean colour of each quadrant, less mid-grey, as a unit vector of 12; counts its batches."""

    batches: list[int] = field(default_factory=list)
    digest: str = hashlib.sha256(b"fake").hexdigest()

    def encode(self, pictures: Pixels) -> Floats:
        self.batches.append(len(pictures))
        half = pictures.shape[1] // 2
        quadrants = (pictures[:, y : y + half, x : x + half] for y in (0, half) for x in (0, half))
        means = np.concatenate([quadrant.mean(axis=(1, 2)) for quadrant in quadrants], axis=1) - 127.5
        return (means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def unit_vectors(n: int, d: int, seed: int) -> Floats:
    """Random directions, shape (n, d)."""
    vectors = np.random.default_rng(seed).standard_normal((n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
