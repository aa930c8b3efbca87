"""Larger collections than we have, to measure with: real embeddings, each changed as a real distortion changes one.

An item is normalise(e + c): e the embedding of a real picture, c what distorting another real picture did to its
embedding. Such items crowd as real ones do, which vectors drawn at random don't. They are called synthetic wherever
they are reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from fashion16.images import distort
from fashion16.search.encoder import EncodesPictures, encode_all
from fashion16.types import Floats, Pixels, Progress

Ids = npt.NDArray[np.int64]
Labels = npt.NDArray[np.str_]
Block = tuple[Floats, Labels]

BLOCK = 32_768  # items that are float32 at a time: 34 MB of 256 dimensions


def measured_changes(
    encoder: EncodesPictures,
    pictures: Sequence[Pixels],
    n: int = 2000,
    seed: int = 16,
    side: int = 64,
    progress: Progress | None = None,
) -> Floats:
    """What `distort` does to the embeddings of n of these pictures, drawn without repeating one; of all where fewer.

    Args:
        side: pixels a side at which the collection is encoded.
        progress: called with the pictures that are encoded, each of them twice, and their number.

    Returns:
        Embedding of the distorted picture less embedding of the picture, shape (m, d), float32.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(pictures), min(n, len(pictures)), replace=False)

    def counted(copies: Iterable[Pixels], before: int) -> Iterator[Pixels]:
        for done, copy in enumerate(copies, start=before + 1):
            yield copy
            if progress:
                progress(done, 2 * len(drawn))

    plain = encode_all(encoder, counted((pictures[int(row)] for row in drawn), 0), side)
    copies = (distort(pictures[int(row)], rng) for row in drawn)
    return encode_all(encoder, counted(copies, len(drawn)), side) - plain


class SyntheticItems:
    """n items made of fewer real embeddings; they are made block by block, and nothing of them is kept.

    Item t has the id t. Every real embedding is used equally often, give or take one, each time with another change,
    until it has met all of them. What item t is depends on the seed and on t alone, so that the first items of a
    larger collection are those of a smaller one.
    """

    def __init__(self, embeddings: Floats, labels: Labels, changes: Floats, n: int, seed: int = 16) -> None:
        """n items of real embeddings (m, d) with labels (m,), by the changes (c, d).

        Raises:
            ValueError: the shapes don't fit each other, or there is nothing to make items of.
        """
        m, d = embeddings.shape
        if labels.shape != (m,) or changes.ndim != 2 or changes.shape[1] != d:
            raise ValueError(
                f"labels must have shape ({m},) and changes {d} columns, received {labels.shape} and {changes.shape}"
            )
        if not m or not len(changes) or n < 1:
            raise ValueError(f"n, embeddings and changes must not be empty, received {n}, {m} and {len(changes)}")
        self._embeddings, self._labels, self._changes, self.n = embeddings, labels, changes, n
        rng = np.random.default_rng(seed)
        self._order = rng.permutation(m)  # so that a part of them is a sample of all
        self._first_change: Ids = rng.integers(len(changes), size=(m,))

    def __len__(self) -> int:
        return self.n

    def blocks(self, size: int = BLOCK) -> Iterator[Block]:
        """Embeddings (b, d), unit length, and labels (b,), of all items in order of id, `size` of them at a time."""
        for start in range(0, self.n, size):
            yield self.items(np.arange(start, min(start + size, self.n)))

    def items(self, ids: Ids) -> Block:
        """Embeddings (b, d), unit length, and labels (b,), of the items with these ids (b,)."""
        rows, changes = self._origins(ids)
        return _unit(self._embeddings[rows] + self._changes[changes]), self._labels[rows]

    def queries(self, n: int, seed: int = 1) -> Block:
        """Embeddings (n, d) and labels (n,) of distorted copies of n items: close to one of them, but none itself.

        An item is drawn twice only where there are fewer than n, and changed by another change than made it, unless
        there is one alone.
        """
        rng = np.random.default_rng(seed)
        ids = rng.choice(self.n, n, replace=n > self.n)
        embeddings, labels = self.items(ids)
        _, own = self._origins(ids)
        c = len(self._changes)
        other = (own + rng.integers(1, max(c, 2), size=n)) % c
        return _unit(embeddings + self._changes[other]), labels

    def _origins(self, ids: Ids) -> tuple[Ids, Ids]:
        """For each item, the row of the real embedding and the row of the change that it is made of."""
        times_used = ids // len(self._order)
        rows: Ids = self._order[ids % len(self._order)]
        return rows, (self._first_change[rows] + times_used) % len(self._changes)


class Truth(NamedTuple):
    """The exact neighbours of queries, by cosine, one row a query, most similar first, -1 where there are fewer.

    Attributes:
        everywhere: (nq, k) ids among all items.
        in_category: (nq, k) ids among the items of the query's category.
    """

    everywhere: Ids
    in_category: Ids


def exact_neighbours(
    queries: Floats, categories: Labels, blocks: Iterable[Block], k: int, progress: Progress | None = None, n: int = 0
) -> Truth:
    """The exact neighbours of queries (nq, d) in categories (nq,), among items that come block by block.

    Ids are the items' numbers in the order in which they come. All is float32 and of unit length.

    Args:
        progress: called with the items that have been compared, and n, how many there will be.
    """
    nq, _ = queries.shape
    everywhere = faiss.ResultHeap(nq, k, keep_max=True)
    in_category = faiss.ResultHeap(nq, k, keep_max=True)
    asked = {name: np.flatnonzero(categories == name) for name in np.unique(categories)}
    start = 0
    for embeddings, labels in blocks:
        ids = np.arange(start, start + len(embeddings))
        everywhere.add_result(*_best(queries, embeddings, ids, k))
        for name, its_queries in asked.items():
            rows = np.flatnonzero(labels == name)
            if len(rows):
                found = _best(queries[its_queries], embeddings[rows], ids[rows], k)
                in_category.add_result_subset(its_queries, *found)
        start += len(embeddings)
        if progress:
            progress(start, n)
    everywhere.finalize()
    in_category.finalize()
    return Truth(everywhere.I, in_category.I)


def _best(queries: Floats, embeddings: Floats, ids: Ids, k: int) -> tuple[Floats, Ids]:
    """Cosines and ids of each query's nearest in one block, at most k of them."""
    similarities, rows = faiss.knn(queries, embeddings, min(k, len(ids)), metric=faiss.METRIC_INNER_PRODUCT)
    return similarities, ids[rows]


def _unit(vectors: Floats) -> Floats:
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    result: Floats = vectors / np.maximum(lengths, np.float32(1e-12))[:, None]
    return result
