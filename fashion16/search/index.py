"""The hash index: per category, items sorted by bucket, with their codes and embeddings.

Classify first, then search within the category: Chen, He, Zheng, "Clothing image retrieval method based on
deep learning", Computer Systems & Applications 28(3), 2019. Codes choose the candidates, the cosine of their
embeddings ranks them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from fashion16.errors import SearchError
from fashion16.search.hyperplanes import RandomHyperplanes, pack, probe_order
from fashion16.search.partition import AUTOMATIC, Partition, Stored, Tuning, to_int16
from fashion16.types import Floats, Ids, Keys, Rows

# One query gives threads nothing to share, and faiss's would go on spinning where the encoder's need the cores:
# on two cores the next picture took a quarter longer to encode.
faiss.omp_set_num_threads(1)

K = 20  # the paper's
N_BITS = 512  # at a recall of 0.99 the fastest length of docs/peers.md, or as fast as that
MAX_N_BITS = 4096
SEED = 2019  # not the seed of the encoder's rotation: the same one twice would undo it
# Comparing codes that lie in a row is quick: all of a category take less time than those in half of its buckets, the
# most promising ones, whose codes are gathered first, and recall is higher: docs/peers.md.
SCAN_LIMIT = 1_000_000
# Candidates by Hamming distance that are re-ranked by cosine: at least this number, and this share of a large category.
# Of the least: recall@20 is 0.999 in categories of 7,000 and 0.992 in those of 32,582, and 400 would leave it below
# 0.99: benchmarks/index_search.py. Of the share: new pictures find 0.993 of their neighbours among 325,820, with 600
# candidates 0.980: docs/reproduction.md.
RERANK, RERANK_SHARE = 600, 1 / 300
FIRST = 32  # candidates of each category that tell whether a search of several should re-rank more of it
# Queries whose codes are compared together. faiss counts the distances of each in a table of the candidates times the
# bits of a code, and those of more queries do not fit a cache: with 256, many at once take three times as long.
BLOCK = 4


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
    """One partition per category behind one set of hyperplanes, each through the middle of its own category.

    What is pinned of a category in `tunings` holds for it as long as the index lives, also when it loses all its
    items and gets some back; another tuning makes another index.

    Safe to share between threads: a change replaces whole partitions under a lock, and a search reads the
    partitions it began with.
    """

    def __init__(
        self,
        hyperplanes: RandomHyperplanes,
        partitions: Mapping[str, Partition],
        tunings: Mapping[str, Tuning] | None = None,
    ) -> None:
        """An index of these partitions; a partition whose bits are pinned otherwise is rebucketed.

        Raises:
            TuningError: a category cannot be tuned so.
        """
        self.hyperplanes = hyperplanes
        self._tunings = {name: tuning for name, tuning in (tunings or {}).items() if tuning != AUTOMATIC}
        for name, tuning in self._tunings.items():
            tuning.check(name, hyperplanes.n_bits)
        self._partitions = {name: part.bucketed(self.tuning(name).key_bits) for name, part in partitions.items()}
        self._lock = threading.Lock()

    @classmethod
    def build(
        cls,
        embeddings: Floats,
        ids: Ids,
        categories: npt.NDArray[np.str_],
        n_bits: int = N_BITS,
        seed: int = SEED,
        tunings: Mapping[str, Tuning] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> CategoryIndex:
        """An index of embeddings (n, d), their ids (n,) and categories (n,).

        Args:
            progress: called with the number of items that are in it, and of all.

        Raises:
            TuningError: a category cannot be tuned so.
        """
        n, d = embeddings.shape
        if ids.shape != (n,) or categories.shape != (n,):
            raise ValueError(f"ids and categories must have shape ({n},), received {ids.shape} and {categories.shape}")
        mean = embeddings.mean(axis=0) if n else np.zeros(d, np.float32)
        index = cls(RandomHyperplanes.draw(mean, n_bits, seed), {}, tunings)
        for category in np.unique(categories):
            its = categories == category
            index.add(ids[its], embeddings[its], str(category))
            if progress:
                progress(len(index), n)
        return index

    @property
    def partitions(self) -> dict[str, Partition]:
        """The partitions by category, as they are now."""
        return dict(self._partitions)

    @property
    def tunings(self) -> dict[str, Tuning]:
        """What is pinned, by category; a category that has no items may be among them."""
        return dict(self._tunings)

    def tuning(self, category: str) -> Tuning:
        """What is pinned of a category."""
        return self._tunings.get(category, AUTOMATIC)

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
            result[at] = partition.unit(rows)
        return result[places]

    def search(
        self,
        queries: Floats,
        categories: Iterable[str],
        k: int = K,
        n_probes: int | None = None,
        rerank: int | None = None,
    ) -> Neighbours:
        """The k most similar items of these categories for each query, shape (nq, d), unit length.

        Args:
            n_probes: buckets to probe in each category; None for as many as are pinned of it, else to decide by
                its size: a small one is scanned, in a large one buckets are probed until there are enough candidates.
            rerank: candidates per category, by Hamming distance, whose cosines are computed; None to decide by
                its size.

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
        searched = []
        for name in chosen:
            partition = partitions[name]
            probes = self.tuning(name).n_probes if n_probes is None else n_probes
            searched.append((partition, probes, max(rerank or max(RERANK, round(RERANK_SHARE * len(partition))), k)))
        for start in range(0, nq, BLOCK):
            looks = _looks(queries[start : start + BLOCK], searched, k)
            for row, its in enumerate(looks, start=start):
                found.candidates[row] = sum(look.candidates for look in its)
                found.buckets[row] = sum(look.buckets for look in its)
                _keep_best(found, row, its)
        return found

    def add(self, ids: Ids, embeddings: Floats, category: str) -> None:
        """Add items with their embeddings (n, d) to a category, made when it is new."""
        with self._lock:
            self._partitions = self._with(self._partitions, category, ids, to_int16(embeddings))

    def remove(self, ids: Iterable[int]) -> None:
        """Take items out; ids that are not in the index are ignored."""
        with self._lock:
            self._partitions = _without(self._partitions, np.fromiter(ids, np.int64))

    def move(self, ids: Iterable[int], category: str) -> None:
        """Move items to another category, made when it is new: their embeddings go along, and are hashed as its own.

        Raises:
            SearchError: an id that is not in the index; nothing is moved.
        """
        wanted = np.unique(np.fromiter(ids, np.int64))
        with self._lock:
            partitions = self._partitions
            found = _locate(partitions, wanted)
            if sum(len(rows) for rows in found.values()) != len(wanted):
                raise SearchError("An item that is not in the index cannot be moved. Rebuild the index.")
            moved = [(partitions[name].ids[r], partitions[name].embeddings[r]) for name, r in found.items()]
            remaining = _without(partitions, wanted)
            if moved:
                remaining = self._with(remaining, category, *map(np.concatenate, zip(*moved, strict=True)))
            self._partitions = remaining

    def _with(
        self, partitions: dict[str, Partition], category: str, ids: Ids, embeddings: Stored
    ) -> dict[str, Partition]:
        if len(ids) == 0:
            return partitions
        old, key_bits = partitions.get(category), self.tuning(category).key_bits
        if old:
            new = old.plus(ids, embeddings, key_bits)
        else:
            new = Partition.hash(ids, embeddings, self.hyperplanes, key_bits)
        return {**partitions, category: new}


class _Look(NamedTuple):
    """What one query has found in one partition, in no order; codes compared, and buckets that they lie in."""

    similarities: Floats
    ids: Ids
    candidates: int
    buckets: int


def _looks(queries: Floats, searched: Sequence[tuple[Partition, int | None, int]], k: int) -> Iterator[list[_Look]]:
    """For each query what it finds in each partition, with the number of buckets probed and of rows re-ranked.

    In several partitions a query first re-ranks its few nearest of each, and then as many as it should of those
    partitions alone that have one of the k best: most have nothing to show it.
    """
    few = max(FIRST, k) if len(searched) > 1 else None
    found = [list(_look(queries, partition, n_probes, few or most)) for partition, n_probes, most in searched]
    if few is not None:
        kth = [_kth(np.concatenate([look.similarities for look in its]), k) for its in zip(*found, strict=True)]
        for (partition, n_probes, most), its in zip(searched, found, strict=True):
            rows = [row for row, look in enumerate(its) if look.similarities.max(initial=-2) >= kth[row]]
            for row, look in zip(rows, _look(queries[rows], partition, n_probes, most), strict=True):
                its[row] = look
    return map(list, zip(*found, strict=True)) if found else iter([[]] * len(queries))


def _look(queries: Floats, partition: Partition, n_probes: int | None, most: int) -> Iterator[_Look]:
    for query, (rows, candidates, buckets) in zip(queries, _nearest(partition, queries, n_probes, most), strict=True):
        yield _Look(partition.cosines(query, rows), partition.ids[rows], candidates, buckets)


def _nearest(partition: Partition, queries: Floats, n_probes: int | None, most: int) -> Iterator[tuple[Rows, int, int]]:
    """For each query, at most `most` rows whose codes are nearest to its own, unordered.

    With them, how many codes were compared, and the buckets that they lie in, 0 for all of them.
    """
    n = len(partition)
    projections = partition.hyperplanes.project(queries)
    codes = pack(projections)
    if n_probes is None and n <= SCAN_LIMIT:
        few = n <= most
        nearest = [np.arange(n)] * len(codes) if few else faiss.knn_hamming(codes, partition.codes, most, "mc")[1]
        yield from ((rows, n, 0) for rows in nearest)
        return
    for projection, code in zip(projections, codes, strict=True):
        rows, n_buckets = _candidates(partition, projection, n_probes)
        if len(rows) > most:
            _, nearest = faiss.knn_hamming(code[None, :], partition.codes[rows], most, variant="mc")
            yield rows[nearest[0]], len(rows), n_buckets
        else:
            yield rows, len(rows), n_buckets


def _candidates(partition: Partition, projection: Floats, n_probes: int | None) -> tuple[Rows, int]:
    """The rows of the buckets that one query probes, and how many buckets these are."""
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


def _kth(similarities: Floats, k: int) -> float:
    """The k-th highest; where there are no more than k, less than all."""
    return float(np.partition(similarities, -k)[-k]) if len(similarities) > k else -np.inf


def _keep_best(found: Neighbours, row: int, looks: Sequence[_Look]) -> None:
    if not looks:
        return
    similarities = np.concatenate([look.similarities for look in looks])
    ids = np.concatenate([look.ids for look in looks])
    k = found.ids.shape[1]
    near = np.flatnonzero(similarities >= _kth(similarities, k))
    # by similarity, ties by id, so that the same search always has the same answer
    best = near[np.lexsort((ids[near], -similarities[near]))[:k]]
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
