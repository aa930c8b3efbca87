"""How a category's items lie in its buckets, how they would lie by chance, and how under other settings.

Hyperplanes that cut the items at random would give each bucket a binomial number of them. Real ones are uneven: a
search that probes large buckets compares more codes than their number promises.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binom

from fashion16.estimate import Figure
from fashion16.search.hyperplanes import RandomHyperplanes, keys_of
from fashion16.search.index import CategoryIndex, K
from fashion16.search.partition import Partition, encode, unit_blocks
from fashion16.types import Codes, Floats, Ids, Rows

Sizes = npt.NDArray[np.int64]

SEED = 16
TIE = 1e-5  # cosines nearer than this are the same one, summed in another order


@dataclass(frozen=True)
class BucketFigures:
    """How evenly items lie in buckets.

    Attributes:
        items: how many there are.
        key_bits: bits of a bucket's name.
        possible: how many buckets there are, 2**key_bits for one category.
        used: buckets with an item.
        largest: items of the fullest bucket.
        median: items of the middle one of the used buckets.
        empty_share: the share of the possible buckets that have no item.
        gini: Gini's coefficient of all sizes: 0 where all are equal, near 1 where one bucket has everything.
        expected_candidates: items in the bucket of an item drawn at random, itself too: the sum of squared sizes by
            the number of items.
    """

    items: int
    key_bits: int
    possible: int
    used: int
    largest: int
    median: float
    empty_share: float
    gini: float
    expected_candidates: float


def sizes_of(partition: Partition) -> Sizes:
    """Items in each bucket, shape (2**key_bits,)."""
    return np.diff(partition.starts).astype(np.int64, copy=False)


def figures(sizes: Sizes, key_bits: int | None = None) -> BucketFigures:
    """The figures of these buckets, (b,); `key_bits` where they are those of several categories together."""
    n, used, buckets = int(sizes.sum()), sizes[sizes > 0], len(sizes)
    ranks = np.arange(1, buckets + 1)
    return BucketFigures(
        items=n,
        key_bits=int(buckets).bit_length() - 1 if key_bits is None else key_bits,
        possible=buckets,
        used=len(used),
        largest=int(sizes.max(initial=0)),
        median=float(np.median(used)) if n else 0.0,
        empty_share=1 - len(used) / buckets if buckets else 0.0,
        gini=float(2 * (ranks * np.sort(sizes)).sum() / (buckets * n) - (buckets + 1) / buckets) if n else 0.0,
        expected_candidates=float((sizes.astype(np.float64) ** 2).sum() / n) if n else 0.0,
    )


def overview(index: CategoryIndex) -> pd.DataFrame:
    """A row for each category: `category`, the fields of BucketFigures, and `n_probes`.

    n_probes are the buckets that a search probes by itself; 0 where the size of the category decides.
    """
    rows = [
        {"category": name, **asdict(figures(sizes_of(p))), "n_probes": index.tuning(name).n_probes or 0}
        for name, p in sorted(index.partitions.items())
    ]
    return pd.DataFrame(rows, columns=["category", *BucketFigures.__dataclass_fields__, "n_probes"])


def whole(index: CategoryIndex) -> BucketFigures:
    """The figures of all buckets of all categories together; `key_bits` is the largest."""
    partitions = list(index.partitions.values())
    sizes = np.concatenate([np.zeros(0, np.int64), *map(sizes_of, partitions)])
    return figures(sizes, max((partition.key_bits for partition in partitions), default=0))


def histogram(sizes: Sizes, most: int = 60) -> pd.DataFrame:
    """How many buckets have how many items, in at most `most` rows.

    Each size has a row of its own where that is few enough, else the rows widen in proportion to the size, as suits
    a logarithmic axis: the largest of real buckets may have a hundred times the items of the middle one.

    Columns: low and high, the sizes of the row, both inclusive; buckets, how many there are; random, how many are to
    be expected if every item fell into a bucket at random.
    """
    n, buckets = int(sizes.sum()), len(sizes)
    chance = binom(n, 1 / buckets)
    largest = max(int(sizes.max()), int(chance.ppf(1 - 0.5 / buckets)))  # the largest by chance is to be seen too
    low = np.arange(largest + 1)
    if len(low) > most:
        low = np.unique(np.append(0, np.floor(np.geomspace(1, largest + 1, most)).astype(np.int64)[:-1]))
    high = np.append(low[1:] - 1, largest)
    counts = np.bincount(np.searchsorted(low, sizes, side="right") - 1, minlength=len(low))
    expected = buckets * (chance.cdf(high) - chance.cdf(low - 1))
    return pd.DataFrame({"low": low, "high": high, "buckets": counts, "random": expected})


def rank_sizes(sizes: Sizes, points: int = 400) -> pd.DataFrame:
    """The sizes, largest first, at no more than `points` ranks, which suit a linear and a logarithmic axis.

    Columns: rank, from 1; size; random, the size to be expected at this rank if every item fell into a bucket at
    random, by the binomial distribution's quantile in the middle of the rank.
    """
    n, buckets = int(sizes.sum()), len(sizes)
    ranks = np.arange(1, buckets + 1)
    if buckets > points:
        spread = [np.geomspace(1, buckets, points // 2), np.linspace(1, buckets, points // 2)]
        ranks = np.unique(np.rint(np.concatenate(spread)).astype(np.int64))
    expected = binom(n, 1 / buckets).ppf(1 - (ranks - 0.5) / buckets).astype(np.int64)
    return pd.DataFrame({"rank": ranks, "size": np.sort(sizes)[::-1][ranks - 1], "random": expected})


def gray_map(key_bits: int) -> Rows:
    """The bucket of each cell of a map, (2**ceil(b / 2), 2**floor(b / 2)): cells side by side differ in one bit.

    Rows and columns count in Gray's code, so that neighbours on the map are neighbours across one hyperplane:
    Gray, "Pulse code communication", US patent 2,632,058, 1953.
    """
    across = key_bits // 2
    down, right = np.arange(2 ** (key_bits - across)), np.arange(2**across)
    cells: Rows = (down ^ down >> 1)[:, None] << across | (right ^ right >> 1)[None, :]
    return cells


def bucket_items(partition: Partition, bucket: int) -> Ids:
    """The items of a bucket, (n,), in order of id.

    Raises:
        ValueError: there is no bucket of this number.
    """
    return partition.ids[_rows_of(partition, bucket)]


def alikeness(partition: Partition, bucket: int | None = None) -> float | None:
    """The mean cosine of all pairs of different items of a bucket, or of the category; None below two items.

    Raises:
        ValueError: there is no bucket of this number.
    """
    rows = slice(0, len(partition)) if bucket is None else _rows_of(partition, bucket)
    if (n := rows.stop - rows.start) < 2:
        return None
    total = np.zeros(partition.embeddings.shape[1])
    for _, block in unit_blocks(partition.embeddings[rows]):
        total += block.sum(axis=0)
    return float(_mean_cosine(total, n))


@dataclass(frozen=True)
class WhatIf:
    """A category under settings that its index does not have.

    Attributes:
        n_bits: bits of a code.
        key_bits: bits of a bucket's name.
        seed: of the hyperplanes.
        n_probes: buckets probed; None where the size of the category decides, as in a search.
        sizes: items of each bucket, (2**key_bits,).
        figures: how even they are.
        bytes_per_item: of code, embedding and id, in memory and in the index file.
        recall_at_20: the share of the 20 nearest items, the query's own among them, that a search finds.
        candidates: the mean number of items whose codes a search compares.
    """

    n_bits: int
    key_bits: int
    seed: int
    n_probes: int | None
    sizes: Sizes
    figures: BucketFigures
    bytes_per_item: int
    recall_at_20: Figure
    candidates: float


def rebucket(partition: Partition, key_bits: int, seed: int) -> Sizes:
    """The sizes, (2**key_bits,), that a category's buckets would have with hyperplanes of this seed.

    The hyperplanes go through the point that today's go through. Where they are today's, the sizes are the index's.

    Raises:
        ValueError: key_bits is not in 0 to 16.
    """
    # the first hyperplanes of a seed do not depend on how many are drawn
    hyperplanes = RandomHyperplanes.draw(partition.hyperplanes.mean, max(8, 8 * -(-key_bits // 8)), seed)
    return np.bincount(keys_of(_codes(partition, hyperplanes), key_bits), minlength=2**key_bits)


def what_if(
    partition: Partition, n_bits: int, key_bits: int, seed: int, n_probes: int | None = None, queries: int = 60
) -> WhatIf:
    """Rehash a category and search it with some of its own items; the index is left as it is.

    Args:
        n_probes: buckets to probe; None as in a search.
        queries: items that are searched with, drawn with a fixed seed.

    Raises:
        ValueError: n_bits is no positive multiple of 8, key_bits is not in 0 to 16 or more than n_bits, or there
            are no items.
        SearchError: n_probes is below 1.
    """
    n, d = partition.embeddings.shape
    if not n:
        raise ValueError("a category without items cannot be searched")
    hyperplanes = RandomHyperplanes.draw(partition.hyperplanes.mean, n_bits, seed)
    codes = _codes(partition, hyperplanes)
    trial = Partition.sort(partition.ids, codes, partition.embeddings, hyperplanes, key_bits)
    rows = np.random.default_rng(SEED).choice(n, min(queries, n), replace=False)
    photos = partition.unit(rows)
    found = CategoryIndex(hyperplanes, {"": trial}).search(photos, [""], K, n_probes)
    # by similarity and not by id: of items that are equally near to the query, either may be the twentieth
    hits = (found.similarities >= _twentieth(partition, photos)[:, None] - TIE).sum(axis=1)
    return WhatIf(
        n_bits=n_bits,
        key_bits=key_bits,
        seed=seed,
        n_probes=n_probes,
        sizes=sizes_of(trial),
        figures=figures(sizes_of(trial)),
        bytes_per_item=n_bits // 8 + d * partition.embeddings.itemsize + partition.ids.itemsize,
        recall_at_20=Figure.mean(hits / min(K, n)),
        candidates=float(found.candidates.mean()),
    )


def _twentieth(partition: Partition, queries: Floats) -> Floats:
    """The cosine of each query, (q, d), with its twentieth nearest item, or with its farthest of fewer: (q,)."""
    k = min(K, len(partition))
    best = np.full((len(queries), k), -1, np.float32)
    for _, block in unit_blocks(partition.embeddings):
        best = np.partition(np.concatenate([best, queries @ block.T], axis=1), -k, axis=1)[:, -k:]
    farthest: Floats = np.minimum(best.min(axis=1), 1)  # as a search gives it
    return farthest


def _codes(partition: Partition, hyperplanes: RandomHyperplanes) -> Codes:
    first = partition.hyperplanes.planes[:, : hyperplanes.n_bits]
    # not the very same ones: another computer may have drawn them
    if first.shape == hyperplanes.planes.shape and np.allclose(first, hyperplanes.planes, atol=1e-4):
        return partition.codes[:, : hyperplanes.n_bits // 8]
    return encode(partition.embeddings, hyperplanes)


def _mean_cosine(total: npt.NDArray[Any], n: int | Sizes) -> npt.NDArray[np.float64]:
    """The mean cosine of the pairs of n unit vectors with this sum, (…, d): its square holds each pair twice."""
    found: npt.NDArray[np.float64] = ((total * total).sum(axis=-1) - n) / (n * (n - 1))
    return found


def _rows_of(partition: Partition, bucket: int) -> slice:
    if not 0 <= bucket < 2**partition.key_bits:
        raise ValueError(f"bucket must be in 0 to {2**partition.key_bits - 1}, received {bucket}")
    return slice(int(partition.starts[bucket]), int(partition.starts[bucket + 1]))
