"""Random-hyperplane hashing: embeddings to packed codes, codes to buckets, and which buckets to probe.

Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from fashion16.types import Codes, Floats, Keys

ROTATION_SEED = 16  # not the index's: its hyperplanes would be the embedding's axes


# 2**16 subset costs are enumerated and sorted in about 5 ms; a category of two million items needs no more
MAX_KEY_BITS = 16


@dataclass(frozen=True)
class RandomHyperplanes:
    """Sign-of-projection codes: vectors at angle t agree on a bit with probability 1 - t / pi.

    Attributes:
        planes: (d, n_bits) float32, one unit normal a column.
        mean: (d,) float32, taken off each embedding first. Embeddings of pictures crowd into a narrow
            cone, those of one category into a narrower one; through its middle the hyperplanes cut it, past it most
            bits would be the same for all.
    """

    planes: Floats
    mean: Floats

    @classmethod
    def draw(cls, mean: Floats, n_bits: int, seed: int) -> RandomHyperplanes:
        """`n_bits` hyperplanes for embeddings with this mean, orthogonal within each block of d.

        Orthogonal hyperplanes estimate angles with less variance than independent ones:
        Ji et al., "Super-bit locality-sensitive hashing", NeurIPS 2012.

        Raises:
            ValueError: n_bits is no positive multiple of 8.
        """
        if n_bits <= 0 or n_bits % 8:
            raise ValueError(f"n_bits must be a positive multiple of 8, received {n_bits}")
        d = len(mean)
        rng = np.random.default_rng(seed)
        blocks = []
        with threadpool_limits(1, "blas"):  # threads that wait for each other took seconds on a busy machine
            for start in range(0, n_bits, d):
                basis, _ = np.linalg.qr(rng.standard_normal((d, d)))
                blocks.append(basis[:, : min(d, n_bits - start)])
        planes = np.concatenate(blocks, axis=1)
        return cls(planes.astype(np.float32), np.asarray(mean, np.float32))

    def around(self, mean: Floats) -> RandomHyperplanes:
        """The same directions through another point, shape (d,)."""
        return RandomHyperplanes(self.planes, np.asarray(mean, np.float32))

    @property
    def n_bits(self) -> int:
        """Bits of a code."""
        return int(self.planes.shape[1])

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return int(self.planes.shape[0])

    def project(self, embeddings: Floats) -> Floats:
        """Signed distance from each hyperplane, shape (n, n_bits)."""
        n, d = embeddings.shape
        if d != self.dimensions:
            raise ValueError(f"embeddings must have {self.dimensions} columns, received {embeddings.shape}")
        projections = (embeddings - self.mean) @ self.planes
        return projections.astype(np.float32, copy=False)

    def encode(self, embeddings: Floats) -> Codes:
        """Packed codes, shape (n, n_bits // 8), uint8, first hyperplane in the highest bit."""
        return pack(self.project(embeddings))


def pack(projections: Floats) -> Codes:
    """The sign of each projection as one bit: (n, n_bits) to (n, n_bits // 8), uint8."""
    return np.packbits(projections > 0, axis=1)


def keys_of(codes: Codes, key_bits: int) -> Keys:
    """The bucket of each code, that is its first `key_bits` bits as a number, shape (n,)."""
    if not 0 <= key_bits <= min(MAX_KEY_BITS, 8 * codes.shape[1]):
        raise ValueError(f"key_bits must be in 0 to {min(MAX_KEY_BITS, 8 * codes.shape[1])}, received {key_bits}")
    head = np.zeros((len(codes), 3), np.int64)
    head[:, : min(3, codes.shape[1])] = codes[:, :3]
    return (head[:, 0] << 16 | head[:, 1] << 8 | head[:, 2]) >> (24 - key_bits)


def probe_order(projection: Floats, key_bits: int) -> Keys:
    """All 2**key_bits buckets, the most promising first, for one query's projection, shape (n_bits,).

    The score of a bucket is the sum of the squared distances to the hyperplanes that separate it from
    the query, as in query-directed probing: Lv et al., "Multi-probe LSH", VLDB 2007. They grow the order
    with a heap, because their buckets are too many to list; ours are few, so all scores are summed at once.
    """
    costs = np.zeros(1, np.float32)
    for distance in projection[:key_bits]:  # the bit of a later hyperplane is the lower one
        flipped = costs + distance * distance
        costs = np.stack([costs, flipped], axis=1).ravel()
    own = int(keys_of(pack(projection[None, :]), key_bits)[0])
    return np.argsort(costs, kind="stable") ^ own
