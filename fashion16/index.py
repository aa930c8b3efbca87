"""The hash index: per category, items sorted by bucket, with their codes and embeddings.

Classify first, then search within the category: Chen, He, Zheng, "Clothing image retrieval method based on
deep learning", Computer Systems & Applications 28(3), 2019. Codes choose the candidates, the cosine of their
embeddings ranks them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from fashion16.errors import SearchError
from fashion16.lsh import Codes, Floats, Keys, RandomHyperplanes, pack, probe_order
from fashion16.partition import Bytes, Ids, Partition, Rows, to_int8

# One query gives threads nothing to share, and faiss's would go on spinning where the encoder's need the cores:
# on two cores the next picture took a quarter longer to encode.
faiss.omp_set_num_threads(1)

K = 20  # the paper's
N_BITS = 512
SEED = 2019  # not the seed of the encoder's rotation: the same one twice would undo it
# Comparing codes that lie in a row is so quick that all 70,000 take less time than a third of them by buckets, and
# with higher recall: benchmarks/index_search.py.
SCAN_LIMIT = 100_000
# Candidates by Hamming distance that are re-ranked by cosine: recall@20 0.994, benchmarks/index_search.py.
RERANK = 300


class Neighbours(NamedTuple):
    """What a search found, one row a query, most similar first.

    Attributes:
        similarities: (nq, k) float32 cosines, -1 where there are fewer than k.
        ids: (nq, k) int64, -1 where there are fewer than k.
        candidates: (nq,) items whose codes were compared.
        buckets: (nq,) buckets probed; 0 where whole categories were scanned.
    """

    similarities: Floats
    ids: Ids
    candidates: npt.NDArray[np.int64]
    buckets: npt.NDArray[np.int64]


class CategoryIndex:
    """One partition per category behind one set of hyperplanes.

    Safe to share between threads: a change replaces whole partitions under a lock, and a search reads the
    partitions it began with.
    """

    def __init__(self, hyperplanes: RandomHyperplanes, partitions: dict[str, Partition]) -> None:
        self.hyperplanes = hyperplanes
        self._partitions = dict(partitions)
        self._lock = threading.Lock()

    @classmethod
    def build(
        cls,
        embeddings: Floats,
        ids: Ids,
        categories: npt.NDArray[np.str_],
        n_bits: int = N_BITS,
        seed: int = SEED,
    ) -> CategoryIndex:
        """An index of embeddings (n, d), their ids (n,) and categories (n,)."""
        n, d = embeddings.shape
        if ids.shape != (n,) or categories.shape != (n,):
            raise ValueError(f"ids and categories must have shape ({n},), received {ids.shape} and {categories.shape}")
        mean = embeddings.mean(axis=0) if n else np.zeros(d, np.float32)
        index = cls(RandomHyperplanes.draw(mean, n_bits, seed), {})
        for category in np.unique(categories):
            its = categories == category
            index.add(ids[its], embeddings[its], str(category))
        return index

    @property
    def partitions(self) -> dict[str, Partition]:
        """The partitions by category, as they are now."""
        return dict(self._partitions)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that have items, in order of name."""
        return tuple(sorted(self._partitions))

    def __len__(self) -> int:
        return sum(len(partition) for partition in self._partitions.values())

    def category_of(self, item_id: int) -> str | None:
        """The category in which the item lies, None when it is not in the index."""
        return next(iter(_locate(self._partitions, np.array([item_id], np.int64))), None)

    def known(self, ids: Iterable[int]) -> list[int]:
        """Those of the ids that are in the index."""
        wanted = np.fromiter(ids, np.int64)
        return [int(i) for p in self._partitions.values() for i in wanted[_matches(p.ids, wanted)[0]]]

    def embeddings(self, ids: Sequence[int] | Ids) -> Floats:
        """The stored embeddings of these items, unit length, shape (n, d), zero rows for unknown ids."""
        wanted, places = np.unique(np.asarray(ids, np.int64), return_inverse=True)
        result = np.zeros((len(wanted), self.hyperplanes.dimensions), np.float32)
        for partition in self._partitions.values():
            at, rows = _matches(partition.ids, wanted)
            result[at] = partition.embeddings[rows].astype(np.float32) / partition.lengths[rows, None]
        return result[places]

    def search(
        self,
        queries: Floats,
        categories: Iterable[str],
        k: int = K,
        n_probes: int | None = None,
        rerank: int = RERANK,
    ) -> Neighbours:
        """The k most similar items of these categories for each query, shape (nq, d), unit length.

        Args:
            n_probes: buckets to probe in each category; None to decide by the category's size: a small one
                is scanned, in a large one buckets are probed until there are enough candidates.
            rerank: candidates per category, by Hamming distance, whose cosines are computed.

        Raises:
            SearchError: a category that the index does not have, or k or n_probes below 1.
        """
        nq, _ = queries.shape
        partitions = self._partitions
        chosen = list(dict.fromkeys(categories))
        if unknown := [name for name in chosen if name not in partitions]:
            raise SearchError(f"The index has no category “{unknown[0]}”. It has: {', '.join(sorted(partitions))}.")
        if k < 1 or (n_probes is not None and n_probes < 1):
            raise SearchError(f"k and n_probes must be at least 1, received {k} and {n_probes}.")
        found = Neighbours(np.full((nq, k), -1, np.float32), np.full((nq, k), -1, np.int64), *np.zeros((2, nq), int))
        projections = self.hyperplanes.project(queries)
        codes = pack(projections)
        for row in range(nq):
            similarities, ids = [np.zeros(0, np.float32)], [np.zeros(0, np.int64)]
            for name in chosen:
                partition = partitions[name]
                rows, n_buckets = _candidates(partition, projections[row], n_probes)
                nearest = _nearest_codes(partition.codes, codes[row], rows, max(rerank, k))
                similarities.append(partition.cosines(queries[row], nearest))
                ids.append(partition.ids[nearest])
                found.candidates[row] += len(partition) if rows is None else len(rows)
                found.buckets[row] += n_buckets
            _keep_best(found, row, np.concatenate(similarities), np.concatenate(ids))
        return found

    def add(self, ids: Ids, embeddings: Floats, category: str) -> None:
        """Add items with their embeddings (n, d) to a category, made when it is new."""
        codes = self.hyperplanes.encode(embeddings)
        with self._lock:
            self._partitions = _with(self._partitions, category, ids, codes, to_int8(embeddings))

    def remove(self, ids: Iterable[int]) -> None:
        """Take items out; ids that are not in the index are ignored."""
        with self._lock:
            self._partitions = _without(self._partitions, np.fromiter(ids, np.int64))

    def move(self, ids: Iterable[int], category: str) -> None:
        """Move items to another category, made when it is new: their codes and embeddings go along.

        Raises:
            SearchError: an id that is not in the index; nothing is moved.
        """
        wanted = np.unique(np.fromiter(ids, np.int64))
        with self._lock:
            partitions = self._partitions
            found = _locate(partitions, wanted)
            if sum(len(rows) for rows in found.values()) != len(wanted):
                raise SearchError("An item that is not in the index cannot be moved. Rebuild the index.")
            moved = [
                (partitions[name].ids[r], partitions[name].codes[r], partitions[name].embeddings[r])
                for name, r in found.items()
            ]
            remaining = _without(partitions, wanted)
            if moved:
                remaining = _with(remaining, category, *map(np.concatenate, zip(*moved, strict=True)))
            self._partitions = remaining


def _candidates(partition: Partition, projection: Floats, n_probes: int | None) -> tuple[Rows | None, int]:
    """Rows whose codes are to be compared, None for all of them, and the number of buckets they lie in."""
    if n_probes is None and len(partition) <= SCAN_LIMIT:
        return None, 0
    order = probe_order(projection, partition.key_bits)
    sizes = partition.starts[order + 1] - partition.starts[order]
    if n_probes is None:
        n_probes = int(np.searchsorted(np.cumsum(sizes), SCAN_LIMIT)) + 1
    probed: Keys = order[:n_probes]
    starts, sizes = partition.starts[probed], sizes[:n_probes]
    # the rows start, start + 1, … of each bucket, without a loop
    offsets = np.cumsum(sizes) - sizes
    rows = np.arange(sizes.sum()) + np.repeat(starts - offsets, sizes)
    return rows, len(probed)


def _nearest_codes(codes: Codes, query: Codes, rows: Rows | None, most: int) -> Rows:
    """The rows with the smallest Hamming distance to the query's code, at most so many, in no order."""
    chosen = codes if rows is None else codes[rows]
    rows = np.arange(len(codes)) if rows is None else rows
    if len(rows) <= most:
        return rows
    _, nearest = faiss.knn_hamming(query[None, :], chosen, most, variant="mc")
    result: Rows = rows[nearest[0]]
    return result


def _keep_best(found: Neighbours, row: int, similarities: Floats, ids: Ids) -> None:
    # by similarity, ties by id, so that the same search always has the same answer
    best = np.lexsort((ids, -similarities))[: found.ids.shape[1]]
    found.similarities[row, : len(best)] = np.minimum(similarities[best], 1.0)
    found.ids[row, : len(best)] = ids[best]


def _matches(ids: Ids, wanted: Ids) -> tuple[Rows, Rows]:
    """Places in `wanted` and rows in `ids` that hold the same id."""
    if len(wanted) == 1:  # the usual case: one look at each id instead of a sort
        rows = np.flatnonzero(ids == wanted[0])
        return np.zeros(len(rows), np.int64), rows
    _, at, rows = np.intersect1d(wanted, ids, return_indices=True)
    return at, rows


def _locate(partitions: dict[str, Partition], wanted: Ids) -> dict[str, Rows]:
    """The rows of these ids in each category that has any."""
    found = {name: _matches(partition.ids, wanted)[1] for name, partition in partitions.items()}
    return {name: rows for name, rows in found.items() if len(rows)}


def _without(partitions: dict[str, Partition], ids: Ids) -> dict[str, Partition]:
    changed = dict(partitions)
    for name, rows in _locate(partitions, ids).items():
        smaller = partitions[name].without(rows)
        if len(smaller):
            changed[name] = smaller
        else:
            del changed[name]
    return changed


def _with(
    partitions: dict[str, Partition], category: str, ids: Ids, codes: Codes, embeddings: Bytes
) -> dict[str, Partition]:
    if len(ids) == 0:
        return partitions
    old = partitions.get(category)
    new = old.plus(ids, codes, embeddings) if old else Partition.sort(ids, codes, embeddings)
    return {**partitions, category: new}
