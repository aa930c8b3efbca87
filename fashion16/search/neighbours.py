"""The nearest other items of many items at once, by the cosine of their embeddings: exact, or nearly so for many items.

A search of the hash index answers one query; what judges a whole collection asks for all of its items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from fashion16.search.index import CategoryIndex
from fashion16.types import Floats, Ids, Progress, Rows

LISTED = 16  # neighbours of an item: those that vote about its label, and copies, which do not
EXACT_UP_TO = 20_000  # of more items the nearest cells are looked through: ten seconds for 70,000 instead of a minute
PROBES = 16  # cells; recall 0.998
BLOCK = 4096


def nearest_others(embeddings: Floats, report: Callable[[int], None] = lambda done: None) -> tuple[Floats, Rows]:
    """Cosines and rows of the nearest others of each item, (n, 16), most similar first; row -1 where there is none.

    Of all items at once: the hash index would take two and a half minutes for 70,000.
    """
    n, d = embeddings.shape
    index: Any = faiss.IndexFlatIP(d)
    if n > EXACT_UP_TO:
        cells = int(2 * n**0.5)
        index = faiss.IndexIVFFlat(index, d, cells, faiss.METRIC_INNER_PRODUCT)
        index.nprobe, index.cp.niter = PROBES, 10
        index.train(embeddings[:: max(1, n // (64 * cells))])  # faiss's k-means has a fixed seed
    index.add(embeddings)
    similarities, nearest = np.empty((n, LISTED), np.float32), np.empty((n, LISTED), np.int64)
    for start in range(0, n, BLOCK):
        block = slice(start, start + BLOCK)
        cosines, rows = index.search(embeddings[block], LISTED + 1)
        cosines[rows < 0] = -2  # after all others
        itself = rows == np.arange(start, start + len(rows))[:, None]
        # itself last and then cut off; ties by row, so that the same items always have the same answer
        order = np.lexsort((rows, -cosines, itself), axis=1)[:, :LISTED]
        similarities[block] = np.take_along_axis(cosines, order, axis=1)
        nearest[block] = np.take_along_axis(rows, order, axis=1)
        report(min(start + BLOCK, n))
    return similarities, nearest


def nearest_known(index: CategoryIndex, ids: Ids, known: Ids, k: int, progress: Progress | None) -> Ids:
    """The k nearest of the known items for each of the ids, other than itself, nearest first, (n, k); padded with -1.

    Args:
        ids: sorted, (n,).
        known: sorted.
    """
    queries = index.embeddings(ids)
    best = np.full((len(ids), k + 1), -np.inf, np.float32)
    nearest = np.full((len(ids), k + 1), -1, np.int64)
    done = 0
    for partition in index.partitions.values():
        rows = np.flatnonzero(np.isin(partition.ids, known))
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            cosines, at = faiss.knn(queries, partition.unit(block), k + 1, metric=faiss.METRIC_INNER_PRODUCT)
            found = np.where(at < 0, -1, partition.ids[block[at]])
            cosines[(at < 0) | (found == ids[:, None])] = -np.inf
            both, of_both = np.concatenate([best, cosines], axis=1), np.concatenate([nearest, found], axis=1)
            # ties by id, so that the same items always have the same answer
            order = np.lexsort((of_both, -both), axis=1)[:, : k + 1]
            best, nearest = np.take_along_axis(both, order, axis=1), np.take_along_axis(of_both, order, axis=1)
            done += len(block)
            if progress:
                progress(done, len(known))
    return np.where(np.isneginf(best), -1, nearest)[:, :k]
