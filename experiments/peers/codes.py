"""faiss's binary indexes, over our codes.

Codes are compared by Hamming distance; where `rerank` is set, that number of candidates is ranked by the cosine of
the same embeddings in 16 bits a value that our index keeps.
"""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np

from experiments.peers.items import Items
from experiments.peers.knobs import PER_CENTROID, Setting, depths, grid, lists_for, sample, serialised
from experiments.synthetic import Ids, Labels
from fashion16.search.partition import Stored, key_bits_for
from fashion16.types import Floats


class _Binary:
    """A binary index of faiss over our codes, and the stored embeddings to re-rank with."""

    slow_build = in_category = False
    batches = True
    index: Any

    def __init__(self, items: Items, threads: int) -> None:
        self.hyperplanes = items.hyperplanes
        self.stored = np.array(items.stored)
        codes = np.array(items.codes)
        self.index = self.made(codes)
        self.index.add(codes)

    def made(self, codes: np.ndarray[Any, np.dtype[np.uint8]]) -> Any:
        """An empty index, trained where it needs to be."""
        raise NotImplementedError

    def tune(self, **knobs: Any) -> None:
        """Set the index's own knobs."""

    def coded(self, queries: Floats) -> Any:
        return self.hyperplanes.encode(queries)

    def search(self, queries: Floats, categories: Labels, k: int, rerank: int = 0, **knobs: Any) -> Ids:
        self.tune(**knobs)
        _, found = self.index.search(self.coded(queries), max(rerank, k))
        return found if rerank <= k else reranked(queries, found, k, self.stored)

    def bytes(self) -> int:
        return serialised(self.index) + self.stored.nbytes


class BinaryFlat(_Binary):
    """Every code is compared."""

    name = "faiss IndexBinaryFlat"

    @staticmethod
    def settings(n: int) -> list[Setting]:
        return [{"rerank": rerank} for rerank in (0, 100, 200, 300, 600, 1000, 3000, 10_000)]

    def made(self, codes: Any) -> Any:
        return faiss.IndexBinaryFlat(8 * codes.shape[1])

    def search(self, queries: Floats, categories: Labels, k: int, rerank: int = 0, **knobs: Any) -> Ids:
        # counting distances is faster than a heap once there are many candidates; its memory grows with both
        self.index.use_heap, self.index.query_batch_size = rerank < 100, 8 if rerank >= 100 else 32
        return super().search(queries, categories, k, rerank)


class BinaryHash(_Binary):
    """Buckets by the first bits of a code, and those that differ in at most `nflip` bits."""

    name = "faiss IndexBinaryHash"

    @staticmethod
    def settings(n: int) -> list[Setting]:
        return grid(nflip=(1, 2, 3, 4, 5), rerank=depths(n))

    def made(self, codes: Any) -> Any:
        return faiss.IndexBinaryHash(8 * codes.shape[1], key_bits_for(*codes.shape))

    def tune(self, **knobs: Any) -> None:
        self.index.nflip = knobs["nflip"]


class BinaryMultiHash(BinaryHash):
    """The same with four tables, of the first bits, the next ones, and so on."""

    name = "faiss IndexBinaryMultiHash"
    TABLES = 4

    @staticmethod
    def settings(n: int) -> list[Setting]:
        return grid(nflip=(0, 1, 2, 3), rerank=depths(n))

    def made(self, codes: Any) -> Any:
        return faiss.IndexBinaryMultiHash(8 * codes.shape[1], self.TABLES, key_bits_for(*codes.shape))


class BinaryIVF(_Binary):
    """Codes by the nearest of some thousand centroids; the nearest `nprobe` lists are searched."""

    name = "faiss IndexBinaryIVF"

    @staticmethod
    def settings(n: int) -> list[Setting]:
        return grid(nprobe=(8, 32, 128, 512), rerank=depths(n))

    def made(self, codes: Any) -> Any:
        bits, n_lists = 8 * codes.shape[1], lists_for(len(codes))
        self.quantizer = faiss.IndexBinaryFlat(bits)
        index = faiss.IndexBinaryIVF(self.quantizer, bits, n_lists)
        index.train(sample(codes, PER_CENTROID * n_lists))
        return index

    def tune(self, **knobs: Any) -> None:
        self.index.nprobe = min(knobs["nprobe"], self.index.nlist)


class LSH(_Binary):
    """faiss's own random hyperplanes, each through the median: as many bits as we have."""

    name = "faiss IndexLSH"

    @staticmethod
    def settings(n: int) -> list[Setting]:
        return BinaryFlat.settings(n)

    def __init__(self, items: Items, threads: int) -> None:
        super().__init__(items, threads)
        self.index = faiss.IndexLSH(items.dimensions, 8 * items.codes.shape[1], True, True)
        self.index.train(next(items.embeddings))
        for embeddings in items.embeddings:
            self.index.add(embeddings)

    def made(self, codes: Any) -> Any:
        return faiss.IndexBinaryFlat(8 * codes.shape[1])

    def coded(self, queries: Floats) -> Any:
        return queries


def reranked(queries: Floats, candidates: Ids, k: int, stored: Stored) -> Ids:
    """The k of each query's candidates (nq, r), -1 for none, whose stored embeddings have the highest cosine."""
    found = np.full((len(queries), k), -1, np.int64)
    for row, (query, its) in enumerate(zip(queries, candidates, strict=True)):
        rows = its[its >= 0]
        cosines = np.vecdot(stored[rows].astype(np.float32), query)
        best = np.argsort(-cosines)[:k] if len(rows) <= 4 * k else _largest(cosines, k)
        found[row, : len(best)] = rows[best]
    return found


def _largest(values: Floats, k: int) -> Ids:
    few = np.argpartition(-values, k)[:k]
    order: Ids = few[np.argsort(-values[few])]
    return order
