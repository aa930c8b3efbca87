"""What may be wrong with an index: bits that tell nothing, items that are not found, copies, and foreign neighbours.

Everything is worked out block by block: as float32 all embeddings would take four times the memory of the index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from fashion16.errors import SearchError
from fashion16.search.hyperplanes import keys_of
from fashion16.search.index import RERANK, CategoryIndex
from fashion16.search.neighbours import nearest_known
from fashion16.search.partition import Partition, encode
from fashion16.search.searcher import NEAR_DUPLICATE
from fashion16.types import Codes, Floats, Ids, Progress, Rows

SEED = 16
BLOCK = 4096
SEARCHES = 128  # between two calls of progress
SAME = 1 - 1e-4  # the cosine of a stored embedding with itself: rounding leaves its length at almost 1
# Products of bits that are summed for their correlations, a second's work: all items of 38,000 where codes have 512
# bits; of more, as many items as make this number of products.
PRODUCTS = 10**10
CHUNK_BITS = (64, 32, 16)
MOST_PAIRS = 100_000

Doubles = npt.NDArray[np.float64]


def bit_balance(partition: Partition) -> pd.DataFrame:
    """How even each bit is, and the bit most like it.

    Columns: `bit` from 0; `ones`, the share of the items that have a 1; `most_like`, the other bit with the largest
    correlation, of either sign; `correlation`, Pearson's with that bit, 0 where either is the same for all items.
    """
    n_bits = 8 * partition.codes.shape[1]
    ones = np.zeros(n_bits)
    for start in range(0, len(partition), BLOCK):
        ones += np.unpackbits(partition.codes[start : start + BLOCK], axis=1).sum(axis=0)
    correlation = _correlations(partition, n_bits)
    np.fill_diagonal(correlation, 0)
    most_like = np.abs(correlation).argmax(axis=1)
    # where a bit is like no other, the first other one stands for all
    most_like[(most_like == np.arange(n_bits))] = 1
    return pd.DataFrame(
        {
            "bit": np.arange(n_bits),
            "ones": ones / max(len(partition), 1),
            "most_like": most_like,
            "correlation": correlation[np.arange(n_bits), most_like],
        }
    )


def bit_correlation(partition: Partition, bits: int = 64) -> Floats:
    """Pearson's correlation of the first bits with each other: (bits, bits).

    1 on the diagonal; 0 beside it where one of the bits is the same for all items.
    """
    correlation = _correlations(partition, min(bits, 8 * partition.codes.shape[1]))
    np.fill_diagonal(correlation, 1)
    return correlation.astype(np.float32)


def lost_items(index: CategoryIndex, categories: Sequence[str] | None = None, progress: Progress | None = None) -> Ids:
    """Items that a search of their category, with their own stored embedding, does not find, in order of id.

    An item is found when the first result has a cosine of 1, be it itself or a copy. It is not, when its bucket is not
    probed, or when too many codes are nearer to that of its embedding than its own is: its code, or its embedding, is
    damaged, or too much was rounded off. Searched is as a search is by itself, with what is pinned.

    Not every item is searched for. Where two codes differ in fewer than m bits, at least one of m chunks of them is
    equal, so those with an equal chunk are no fewer than those nearer: Norouzi, Punjani, Fleet, "Fast search in Hamming
    space with multi-index hashing", CVPR 2012. If these are fewer than a search re-ranks, and the item is in the bucket
    that is probed first, it is certainly found.

    Args:
        categories: where to look; None for all.
        progress: called with the number of items looked at, and of all.

    Raises:
        SearchError: a category that the index does not have.
    """
    partitions = index.partitions
    chosen = index.categories if categories is None else tuple(dict.fromkeys(categories))
    if unknown := [name for name in chosen if name not in partitions]:
        raise SearchError(f"The index has no category “{unknown[0]}”. It has: {', '.join(sorted(partitions))}.")
    total, done = sum(len(partitions[name]) for name in chosen), 0
    lost = [np.zeros(0, np.int64)]
    for name in chosen:
        partition = partitions[name]
        # as it is now: others may move items while we look
        searched = CategoryIndex(index.hyperplanes, {name: partition}, {name: index.tuning(name)})
        doubtful = np.flatnonzero(~_certainly_found(partition))
        done += len(partition) - len(doubtful)
        for start in range(0, len(doubtful), SEARCHES):
            rows = doubtful[start : start + SEARCHES]
            found = searched.search(partition.unit(rows), [name], k=1)
            lost.append(partition.ids[rows[found.similarities[:, 0] < SAME]])
            done += len(rows)
            if progress:
                progress(done, total)
        if progress and not len(doubtful):
            progress(done, total)
    return np.sort(np.concatenate(lost))


def near_duplicates(partition: Partition, most: int = MOST_PAIRS) -> pd.DataFrame:
    """Pairs of items of one bucket that are nearly the same picture, the most alike first.

    Two that lie in different buckets are not seen: the more alike two items are, the likelier they share one.

    Args:
        most: pairs; where many copies make more, buckets after the one that reaches it are not looked at.

    Returns:
        A row for each pair, once: `bucket`, `id`, `twin` (the larger id), `similarity`, their cosine, at least
        search.NEAR_DUPLICATE.
    """
    found = [(np.zeros(0, np.int64), np.zeros((0, 2), np.int64), np.zeros(0, np.float32))]
    starts, pairs = partition.starts, 0
    for bucket in np.flatnonzero(np.diff(starts) > 1):
        if pairs >= most:
            break
        for first, second, similarities in _alike(partition, int(starts[bucket]), int(starts[bucket + 1])):
            ids = np.sort(np.stack([partition.ids[first], partition.ids[second]], axis=1), axis=1)
            found.append((np.full(len(ids), bucket), ids, similarities))
            pairs += len(ids)
            if pairs >= most:
                break
    buckets, ids, similarities = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((ids[:, 1], ids[:, 0], -similarities))[:most]
    return pd.DataFrame(
        {
            "bucket": buckets[order],
            "id": ids[order, 0],
            "twin": ids[order, 1],
            "similarity": np.minimum(similarities[order], 1.0),
        }
    )


def foreign_neighbours(
    index: CategoryIndex,
    labels: Mapping[int, str],
    sample: int = 1000,
    k: int = 10,
    seed: int = SEED,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """What labels the nearest neighbours of items carry, in all categories: the most foreign items first.

    Neighbours are nearest by the exact cosine of the stored embeddings, among the items with a label.

    Args:
        labels: of each item by its id; an item without one, or with an empty one, is left out.
        sample: items to look at, drawn at random.
        k: neighbours of each.
        progress: called with the number of items compared with all of the sample, and of all.

    Returns:
        A row for each item of the sample: `id`; `label`; `neighbours_label`, the most frequent, of several the one of
        the nearest; `share` of the neighbours with another label than the item's. By share, largest first, then by id.

    Raises:
        ValueError: k or sample is below 1.
    """
    if k < 1 or sample < 1:
        raise ValueError(f"k and sample must be at least 1, received {k} and {sample}")
    now = CategoryIndex(index.hyperplanes, index.partitions)  # others may move items while we look
    there = np.concatenate([np.zeros(0, np.int64), *(partition.ids for partition in now.partitions.values())])
    known = np.array(sorted(i for i in there.tolist() if labels.get(i)), np.int64)
    names, of_known = np.unique(np.array([labels[i] for i in known.tolist()], np.str_), return_inverse=True)
    chosen = np.random.default_rng(seed).choice(len(known), min(sample, len(known)), replace=False)
    chosen.sort()
    ids = known[chosen]
    theirs = nearest_known(now, ids, known, k, progress)
    some = (theirs >= 0).any(axis=1)  # an item that is alone has no neighbours
    ids, theirs, own = ids[some], theirs[some], of_known[chosen[some]]
    carried = np.where(theirs < 0, -1, of_known[np.searchsorted(known, np.maximum(theirs, 0))])
    votes = ((carried[:, :, None] == carried[:, None, :]) & (carried[:, :, None] >= 0)).sum(axis=2)
    most = carried[np.arange(len(ids)), votes.argmax(axis=1)] if len(ids) else own  # the first of equals is nearest
    share = ((carried >= 0) & (carried != own[:, None])).sum(axis=1) / np.maximum((carried >= 0).sum(axis=1), 1)
    table = pd.DataFrame({"id": ids, "label": names[own], "neighbours_label": names[most], "share": share})
    return table.sort_values(["share", "id"], ascending=[False, True], ignore_index=True)


def _correlations(partition: Partition, bits: int) -> Doubles:
    """Pearson's correlation of the first bits, 0 for a bit that is the same for all."""
    most = max(BLOCK, PRODUCTS // bits**2)
    # at equal distances: rows lie by bucket, and each has its part
    rows = np.linspace(0, len(partition) - 1, min(len(partition), most)).astype(np.int64)
    products, ones = np.zeros((bits, bits)), np.zeros(bits)
    for start in range(0, len(rows), BLOCK):
        block = np.unpackbits(partition.codes[rows[start : start + BLOCK]], axis=1, count=bits).astype(np.float32)
        products += block.T @ block  # whole numbers, which float32 sums exactly in a block
        ones += block.sum(axis=0)
    n = max(len(rows), 1)
    deviation = np.sqrt(ones * (n - ones))
    scale = np.outer(deviation, deviation)
    correlation: Doubles = np.divide(n * products - np.outer(ones, ones), scale, np.zeros_like(scale), where=scale > 0)
    return correlation


def _certainly_found(partition: Partition) -> npt.NDArray[np.bool_]:
    """Which items any search of the partition with their own embedding must find, (n,): see lost_items."""
    asked = encode(partition.embeddings, partition.hyperplanes)
    differing = np.bitwise_count(asked ^ partition.codes).sum(axis=1, dtype=np.int64)
    few = np.zeros(len(partition), bool)
    for chunk_bits in CHUNK_BITS:  # few long chunks tell most items, and are counted sooner
        chunks, left_over = divmod(8 * partition.codes.shape[1], chunk_bits)
        rows = np.flatnonzero(~few & (differing < chunks))
        if not left_over and len(rows):
            few[rows] = _equal_chunks(partition.codes, asked[rows], chunk_bits) <= RERANK
    same_bucket = keys_of(asked, partition.key_bits) == keys_of(partition.codes, partition.key_bits)
    # an embedding of zeros has no direction, and a cosine of 0 with itself
    directed = partition.embeddings.any(axis=1)
    certain: npt.NDArray[np.bool_] = few & same_bucket & directed
    return certain


def _equal_chunks(codes: Codes, asked: Codes, chunk_bits: int) -> Rows:
    """Over all chunks of a code, how many of the codes have the same chunk as each of the asked ones.

    A code that has several chunks in common is counted several times: the sum is no less than the number of codes.
    """
    chunk = np.dtype(f"u{chunk_bits // 8}")
    theirs = np.ascontiguousarray(codes).view(chunk)
    wanted = np.ascontiguousarray(asked).view(chunk)
    equal = np.zeros(len(asked), np.int64)
    for column in range(theirs.shape[1]):
        in_order = np.sort(theirs[:, column])
        left = np.searchsorted(in_order, wanted[:, column], side="left")
        equal += np.searchsorted(in_order, wanted[:, column], side="right") - left
    return equal


def _alike(partition: Partition, start: int, stop: int) -> Iterator[tuple[Rows, Rows, Floats]]:
    """The pairs of near-duplicates among these rows, tile by tile: the first's rows, the second's, and cosines."""
    for top in range(start, stop, BLOCK):
        upper = partition.unit(slice(top, min(top + BLOCK, stop)))
        for left in range(top, stop, BLOCK):
            lower = upper if left == top else partition.unit(slice(left, min(left + BLOCK, stop)))
            cosines = upper @ lower.T
            first, second = np.nonzero(cosines >= NEAR_DUPLICATE)
            once = first + top < second + left
            first, second = first[once], second[once]
            yield first + top, second + left, cosines[first, second]
