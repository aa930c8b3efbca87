"""The hash index: per category, items sorted by bucket, with their codes and embeddings.

Classify first, then search within the category: Chen, He, Zheng, "Clothing image retrieval method based on
deep learning", Computer Systems & Applications 28(3), 2019. Codes choose the candidates, the cosine of their
embeddings ranks them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from fashion16.errors import SearchError
from fashion16.lsh import MAX_KEY_BITS, Codes, Floats, Keys, RandomHyperplanes, keys_of, pack, probe_order

Ids = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.int8]
Rows = npt.NDArray[np.int64]

# One query gives threads nothing to share, and faiss's would go on spinning where the encoder's need the cores:
# on two cores the next picture took a quarter longer to encode.
faiss.omp_set_num_threads(1)

K = 20  # the paper's
ITEMS_PER_BUCKET = 32
N_BITS = 512
SEED = 2019  # not the seed of the encoder's rotation: the same one twice would undo it
# Comparing this many codes costs less than choosing buckets does; see benchmarks/index_search.py.
SCAN_LIMIT = 20_000
# Candidates by Hamming distance that are re-ranked by cosine: recall@20 0.98 and more, benchmarks/index_search.py.
RERANK = 400


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


@dataclass(frozen=True)
class Partition:
    """The items of one category, sorted by bucket. Never changed: a change makes a new one.

    Attributes:
        ids: (n,) int64.
        codes: (n, n_bits // 8) uint8.
        embeddings: (n, d) int8, each row scaled to its own largest value.
        key_bits: how many first bits of a code name its bucket.
    """

    ids: Ids
    codes: Codes
    embeddings: Bytes
    key_bits: int

    @classmethod
    def sort(cls, ids: Ids, codes: Codes, embeddings: Bytes, key_bits: int | None = None) -> Partition:
        """A partition of rows in any order; `key_bits` for about 32 items a bucket unless given."""
        bits = key_bits_for(len(ids), 8 * codes.shape[1]) if key_bits is None else key_bits
        order = np.lexsort((ids, keys_of(codes, bits)))
        return cls(ids[order], codes[order], embeddings[order], bits)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def starts(self) -> Rows:
        """Row at which each bucket begins, shape (2**key_bits + 1,)."""
        keys = keys_of(self.codes, self.key_bits)
        return np.searchsorted(keys, np.arange(2**self.key_bits + 1))

    @cached_property
    def lengths(self) -> Floats:
        """Euclidean length of each int8 row, shape (n,)."""
        squares = np.empty(len(self), np.float32)
        for start in range(0, len(self), 8192):  # in blocks: as float32 the rows take four times the memory
            block = self.embeddings[start : start + 8192].astype(np.float32)
            squares[start : start + len(block)] = np.einsum("nd,nd->n", block, block)
        return np.sqrt(np.maximum(squares, 1.0))

    def cosines(self, query: Floats, rows: Rows | slice) -> Floats:
        """Cosine of the query, shape (d,), with these rows."""
        # einsum and not @, whose threads would take longer to wake up than these few hundred rows take
        products = np.einsum("nd,d->n", self.embeddings[rows].astype(np.float32), query)
        result: Floats = products / self.lengths[rows]
        return result

    def without(self, rows: Rows) -> Partition:
        """The partition less these rows."""
        return Partition(
            np.delete(self.ids, rows),
            np.delete(self.codes, rows, axis=0),
            np.delete(self.embeddings, rows, axis=0),
            self.key_bits,
        )

    def plus(self, ids: Ids, codes: Codes, embeddings: Bytes) -> Partition:
        """The partition with these rows put into their buckets; bucketed anew when it has outgrown them."""
        n = len(self) + len(ids)
        if abs(key_bits_for(n, 8 * self.codes.shape[1]) - self.key_bits) > 1:
            return Partition.sort(
                np.concatenate([self.ids, ids]),
                np.concatenate([self.codes, codes]),
                np.concatenate([self.embeddings, embeddings]),
            )
        keys = keys_of(codes, self.key_bits)
        order = np.argsort(keys, kind="stable")  # np.insert keeps the order of rows that go to one place
        at = self.starts[keys[order] + 1]  # the end of the bucket
        return Partition(
            np.insert(self.ids, at, ids[order]),
            np.insert(self.codes, at, codes[order], axis=0),
            np.insert(self.embeddings, at, embeddings[order], axis=0),
            self.key_bits,
        )


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
        found = [wanted[_matches(p.ids, wanted)[0]] for p in self._partitions.values()]
        return [int(i) for i in np.concatenate([np.zeros(0, np.int64), *found])]

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
        found = Neighbours(
            np.full((nq, k), -1.0, np.float32),
            np.full((nq, k), -1, np.int64),
            np.zeros(nq, np.int64),
            np.zeros(nq, np.int64),
        )
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


def key_bits_for(n: int, n_bits: int) -> int:
    """Bits of a bucket's name, so that n items lie about 32 to a bucket."""
    return int(np.clip(np.round(np.log2(max(n, 1) / ITEMS_PER_BUCKET)), 0, min(MAX_KEY_BITS, n_bits)))


def to_int8(embeddings: Floats) -> Bytes:
    """Each row scaled so that its largest value is 127, and rounded: cosines change by 0.0003 on average."""
    largest = np.abs(embeddings).max(axis=1, keepdims=True, initial=1e-12)
    scaled: Bytes = np.rint(embeddings * (127.0 / largest)).astype(np.int8)
    return scaled


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
