"""One query followed through the buckets of its category, and recall against what a search costs.

The truth is the exact cosine of the stored embeddings: what is lost to rounding them is not seen here, what is
lost to hashing them is. Query-directed probing: Lv et al., "Multi-probe LSH", VLDB 2007.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fashion16.errors import SearchError
from fashion16.estimate import Figure
from fashion16.search.hyperplanes import RandomHyperplanes, keys_of, probe_order
from fashion16.search.index import SEED as INDEX_SEED
from fashion16.search.index import CategoryIndex, K
from fashion16.search.partition import Partition, encode, unit_blocks
from fashion16.types import Codes, Floats, Ids, Keys, Progress, Rows

SEED = 16
BITS = (64, 128, 256, 512, 1024)
BLOCK = 8192  # rows that are compared at once: as float32 all of them take four times the memory
TIE = 1e-6  # cosines nearer than this are the same one, summed in another order
TOLD = 20  # searches between two calls of progress


@dataclass(frozen=True)
class Followed:
    """One query's code, the buckets in the order in which they are probed, and its true neighbours.

    Attributes:
        bits: (n_bits,) bool, the query's code.
        margins: (n_bits,) float32, the signed distance to each hyperplane, positive where the bit is 1.
        key_bits: how many first bits name the bucket.
        probes: a row for each bucket, in order: `order` from 1; `bucket`; `flipped`, how many of the bits that name
            it differ from the query's; `distance`, the sum of the squared distances to the hyperplanes between;
            `items`; `candidates`, the items so far; `true`, how many of the true neighbours lie in it; `found`, their
            share so far.
        true_ids: (k,) int64, the items with the largest cosine, largest first, ties by id.
        true_buckets: (k,) int64, the buckets they lie in.
        true_similarities: (k,) float32, their cosines.
    """

    bits: npt.NDArray[np.bool_]
    margins: Floats
    key_bits: int
    probes: pd.DataFrame
    true_ids: Ids
    true_buckets: Keys
    true_similarities: Floats


def follow(
    index: CategoryIndex, category: str, embedding: Floats, k: int = K, leave_out: int | None = None
) -> Followed:
    """Follow an embedding, (d,) of unit length, through all buckets of a category.

    Args:
        leave_out: the id of an item that is no neighbour, for a query that is itself in the category. It is counted
            among the items of its bucket: a search compares it, too.

    Raises:
        SearchError: a category that the index does not have, or k below 1.
    """
    if k < 1:
        raise SearchError(f"k must be at least 1, received {k}.")
    partition = _partition(index, category)
    margins = partition.hyperplanes.project(embedding[None])[0]
    nearest, similarities = _nearest(partition, embedding, k, leave_out)
    true_buckets = keys_of(partition.codes[nearest], partition.key_bits)
    order = probe_order(margins, partition.key_bits)
    flips = order ^ order[0]  # the query's own bucket is the first
    items = np.diff(partition.starts)[order]
    true = np.bincount(true_buckets, minlength=len(order))[order]
    probes = pd.DataFrame(
        {
            "order": np.arange(1, len(order) + 1),
            "bucket": order,
            "flipped": np.bitwise_count(flips).astype(np.int64),
            "distance": _distances(margins[: partition.key_bits], flips),
            "items": items,
            "candidates": np.cumsum(items),
            "true": true,
            "found": np.cumsum(true) / max(len(nearest), 1),
        }
    )
    return Followed(
        margins > 0, margins, partition.key_bits, probes, partition.ids[nearest], true_buckets, similarities
    )


def recall_by_probes(
    index: CategoryIndex,
    category: str,
    n_queries: int = 200,
    seed: int = SEED,
    progress: Progress | None = None,
    points: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Recall@20 and the cost of real searches, by the number of buckets that are probed.

    The queries are items of the category, drawn at random, with their stored embeddings. Each is left out of its own
    results and of the truth: it always finds itself. With more probes recall may fall a little where a search has more
    candidates than it re-ranks by cosine: those farther off by their codes make way for others.

    Args:
        seed: of the queries.
        progress: called with the number of searches done, and of all.
        points: numbers of probes; None for the powers of two up to all buckets.

    Returns:
        A row for each point, fewest probes first, and one for what a search does by itself: `n_probes`, 0 where the
        category's size decides (up to index.SCAN_LIMIT items that is a scan of all codes); `recall` with its 95 %
        interval `low` to `high`, of `n` queries; `candidates`, the mean number of items whose codes were compared;
        `buckets`, the mean number probed, 0 for a scan; `milliseconds`, the median of a search; `default`, whether a
        search does so by itself.

    Raises:
        SearchError: a category that the index does not have, or with fewer than two items, or a point below 1.
    """
    if points is not None and min(points, default=1) < 1:
        raise SearchError(f"The numbers of buckets to probe must be at least 1, received {min(points)}.")
    trial = _Trial.draw(_partition(index, category), category, n_queries, seed)
    buckets = 2**trial.partition.key_bits
    wanted = [2**bit for bit in range(trial.partition.key_bits + 1)] if points is None else points
    pinned = index.tuning(category).n_probes
    usual = 0 if pinned is None else min(pinned, buckets)
    numbers = sorted({min(number, buckets) for number in wanted} | ({usual} if usual else set()))
    numbers += [] if usual else [0]
    tell = _Told(progress, len(numbers) * len(trial.rows))
    rows = [
        {"n_probes": number, "default": number == usual, **trial.measure(index, number or None, tell)}
        for number in numbers
    ]
    columns = ["n_probes", "recall", "low", "high", "n", "candidates", "buckets", "milliseconds", "default"]
    return pd.DataFrame(rows, columns=columns)


def recall_by_bits(
    index: CategoryIndex,
    category: str,
    bits: Sequence[int] = BITS,
    n_queries: int = 200,
    seed: int = SEED,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Recall@20 and the cost of real searches, by the length of the codes.

    The stored embeddings are rehashed in memory, with hyperplanes through the category's middle; a shorter code
    is the first bits of the longest. There are as many buckets as the category has. The index's own length is always
    among them, and is measured with the index itself. Searches are as a search is by itself.

    Args:
        bits: positive multiples of 8.
        seed: of the queries, which are drawn and left out as in `recall_by_probes`.
        progress: called with the number of searches done, and of all.

    Returns:
        A row for each length, shortest first: `n_bits`, `recall` with its 95 % interval `low` to `high`, of `n`
        queries; `bytes` of a code; `candidates`, the mean number of items whose codes were compared; `milliseconds`,
        the median of a search; `default`, whether it is the index's length.

    Raises:
        SearchError: a category that the index does not have, or with fewer than two items.
        ValueError: a length that is no positive multiple of 8.
    """
    if wrong := [n_bits for n_bits in bits if n_bits <= 0 or n_bits % 8]:
        raise ValueError(f"bits must be positive multiples of 8, received {wrong[0]}")
    trial = _Trial.draw(_partition(index, category), category, n_queries, seed)
    own_length = index.hyperplanes.n_bits
    lengths = sorted({*bits, own_length})
    longest = RandomHyperplanes.draw(trial.partition.hyperplanes.mean, lengths[-1], INDEX_SEED)
    codes = encode(trial.partition.embeddings, longest)
    tell = _Told(progress, len(lengths) * len(trial.rows))
    rows = []
    for n_bits in lengths:
        default = n_bits == own_length
        searched = index if default else _shortened(longest, codes, n_bits, category, trial.partition)
        figures = trial.measure(searched, index.tuning(category).n_probes, tell)
        rows.append({"n_bits": n_bits, "bytes": n_bits // 8, "default": default, **figures})
    columns = ["n_bits", "recall", "low", "high", "n", "bytes", "candidates", "milliseconds", "default"]
    return pd.DataFrame(rows, columns=columns)


@dataclass
class _Told:
    """Reports progress of many searches, not after each one: drawing a bar takes longer than a search."""

    progress: Progress | None
    total: int
    done: int = 0

    def one_more(self) -> None:
        self.done += 1
        if self.progress and (self.done % TOLD == 0 or self.done == self.total):
            self.progress(self.done, self.total)


@dataclass(frozen=True)
class _Trial:
    """Items of a category to search with, and the cosine of the last true neighbour of each.

    By cosine and not by id: of items that are equally near to the query, either may be the twentieth.
    """

    partition: Partition
    category: str
    rows: Rows
    last_true: Floats

    @classmethod
    def draw(cls, partition: Partition, category: str, n_queries: int, seed: int) -> _Trial:
        n = len(partition)
        if n < 2:
            raise SearchError(f"“{category}” has a single item, and recall is of others. Choose another category.")
        chosen = np.random.default_rng(seed).choice(n, max(1, min(n_queries, n)), replace=False)
        rows = np.argsort(partition.ids, kind="stable")[chosen]  # the same items however they lie in buckets
        best = np.full((len(rows), min(K, n - 1)), -np.inf, np.float32)
        queries = partition.unit(rows)
        for start, block in unit_blocks(partition.embeddings):
            cosines = queries @ block.T
            own = np.flatnonzero((rows >= start) & (rows < start + len(block)))
            cosines[own, rows[own] - start] = -np.inf
            both = np.concatenate([best, cosines], axis=1)
            best = np.partition(both, -best.shape[1], axis=1)[:, -best.shape[1] :]
        return cls(partition, category, rows, np.minimum(best.min(axis=1), 1))  # as a search gives it

    def measure(self, index: CategoryIndex, n_probes: int | None, tell: _Told) -> dict[str, Any]:
        """Recall and cost of a search with each of the rows, one at a time, as photos come."""
        k = min(K, len(self.partition) - 1)
        queries, ids = self.partition.unit(self.rows), self.partition.ids[self.rows]
        recalls, compared, probed, times = np.zeros((4, len(self.rows)))
        for number, (item_id, last_true) in enumerate(zip(ids, self.last_true, strict=True)):
            began = perf_counter()
            found = index.search(queries[number : number + 1], [self.category], K + 1, n_probes)
            times[number] = 1000 * (perf_counter() - began)
            others = found.similarities[0][(found.ids[0] != item_id) & (found.ids[0] >= 0)][:k]
            recalls[number] = (others >= last_true - TIE).sum() / k
            compared[number], probed[number] = found.candidates[0], found.buckets[0]
            tell.one_more()
        figure = asdict(Figure.mean(recalls))
        costs = {"candidates": compared.mean(), "buckets": probed.mean(), "milliseconds": median(times)}
        return {"recall": figure.pop("value"), **figure, **costs}


def _partition(index: CategoryIndex, category: str) -> Partition:
    partitions = index.partitions
    if category not in partitions:
        raise SearchError(f"The index has no category “{category}”. It has: {', '.join(sorted(partitions))}.")
    return partitions[category]


def _nearest(partition: Partition, embedding: Floats, k: int, leave_out: int | None) -> tuple[Rows, Floats]:
    """The rows with the largest cosine, largest first, and their cosines: (k,) each, or fewer."""
    cosines = np.empty(len(partition), np.float32)
    for start in range(0, len(partition), BLOCK):
        cosines[start : start + BLOCK] = partition.unit(slice(start, start + BLOCK)) @ embedding
    rows = np.lexsort((partition.ids, -cosines))
    if leave_out is not None:
        rows = rows[partition.ids[rows] != leave_out]
    nearest: Rows = rows[:k]
    return nearest, np.minimum(cosines[nearest], 1.0)


def _distances(margins: Floats, flips: Keys) -> Floats:
    """The sum of the squares of those margins, (key_bits,), whose bits are flipped, (b,): as probe_order sums them."""
    distances = np.zeros(len(flips), np.float32)
    for place, margin in enumerate(margins):
        flipped = flips >> (len(margins) - 1 - place) & 1
        distances += flipped.astype(np.float32) * (margin * margin)
    return distances


def _shortened(
    hyperplanes: RandomHyperplanes, codes: Codes, n_bits: int, category: str, partition: Partition
) -> CategoryIndex:
    """An index of this category alone, with the first bits of these codes."""
    first = RandomHyperplanes(np.ascontiguousarray(hyperplanes.planes[:, :n_bits]), hyperplanes.mean)
    key_bits = min(partition.key_bits, n_bits)
    its = Partition.sort(partition.ids, codes[:, : n_bits // 8], partition.embeddings, first, key_bits)
    return CategoryIndex(first, {category: its})
