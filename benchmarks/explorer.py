"""The Index explorer's work on the server for one redraw of each view, in a collection of 325,820 items.

The items are synthetic: Fashion-MNIST's embeddings again and again, each time with a little noise. Needs the
embeddings of the collection: run `fashion16 embed fashion-mnist` first (three minutes).
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, process_time

import numpy as np

from fashion16.collections.embeddings import labelled_embeddings
from fashion16.collections.workspace import Workspace
from fashion16.explore import buckets
from fashion16.search.encoder import EncoderCard
from fashion16.search.index import N_BITS, SEED, CategoryIndex
from fashion16.search.partition import Partition
from ui.explorer import bucket_charts
from ui.explorer.buckets import bucket_table
from ui.shared import csv

ITEMS = 325_820
NOISE = 0.02  # in each of the 256 numbers of an embedding of length 1: a copy has a cosine of 0.95 with its original
ROUNDS = 7
LIMIT = 500  # milliseconds


def main() -> None:
    """Print a row for each view: the first redraw, the median of the next ones, and what goes to the browser."""
    workspace = Workspace()
    digest = EncoderCard.read(workspace.encoder_folder / "encoder.json").digest
    today, embeddings, _ = labelled_embeddings(workspace.collection(), digest)
    rng = np.random.default_rng(16)
    rows = np.arange(ITEMS) % len(embeddings)
    many = embeddings[rows] + rng.normal(0, NOISE, (ITEMS, embeddings.shape[1])).astype(np.float32)
    many /= np.linalg.norm(many, axis=1, keepdims=True)
    ids = np.arange(ITEMS)
    for words, labels in (("in 10 categories", today.labels[rows]), ("in one category", np.full(ITEMS, "all"))):
        index = CategoryIndex.build(many, ids, labels)
        partition = max(index.partitions.values(), key=len)
        print(f"\n{ITEMS:,} synthetic items {words}, {len(partition):,} of them in {2**partition.key_bits:,} buckets")
        print("view                first ms  median ms  processor ms  of 500 ms  kB sent")
        _time("Overview", lambda number, index=index: _overview(index))
        _time("Buckets", lambda number, partition=partition: _buckets(partition, number))
        bits = partition.key_bits
        _time("What if, key bits", lambda number, partition=partition: _hashed(partition, 4 + number, SEED))
        _time("What if, seed", lambda number, partition=partition, bits=bits: _hashed(partition, bits, 1 + number))
        _time("… its searches", lambda number, partition=partition, bits=bits: _searched(partition, bits, 1 + number))


def _time(view: str, draw: Callable[[int], int]) -> None:
    times, spent = [], []
    for number in range(ROUNDS):
        start, worked = perf_counter(), process_time()
        size = draw(number)
        times.append(1000 * (perf_counter() - start))
        spent.append(1000 * (process_time() - worked))
    middle, processor = float(np.median(times[1:])), float(np.median(spent[1:]))
    print(f"{view:20}{times[0]:8.0f}{middle:11.0f}{processor:14.0f}{middle / LIMIT:11.2f}{size / 1000:9.0f}")


def _overview(index: CategoryIndex) -> int:
    table, whole = buckets.overview(index), buckets.whole(index)
    column = "expected_candidates"
    chart = bucket_charts.category_bars(table, column, column, ",.0f", whole.expected_candidates)
    return len(chart.to_json()) + len(csv.as_csv(table))


def _buckets(partition: Partition, number: int) -> int:
    """All but the pictures and the labels of the bucket, whose number does not grow with the collection."""
    sizes = buckets.sizes_of(partition)
    buckets.figures(sizes)
    bucket = int(np.argsort(-sizes)[number])
    histogram, ranks = buckets.histogram(sizes), buckets.rank_sizes(sizes)
    charts = (
        bucket_charts.bucket_map(sizes, buckets.gray_map(partition.key_bits), bucket),
        bucket_charts.size_histogram(histogram, int(sizes[bucket])),
        bucket_charts.rank_curve(ranks, (number + 1, int(sizes[bucket]))),
    )
    buckets.bucket_items(partition, bucket)
    buckets.alikeness(partition, bucket)
    sent = [csv.as_csv(table) for table in (histogram, ranks, bucket_table(sizes))]
    return sum(len(chart.to_json()) for chart in charts) + sum(map(len, sent))


def _hashed(partition: Partition, key_bits: int, seed: int) -> int:
    """What follows a slider at once: the buckets and their curves."""
    today, trial = buckets.sizes_of(partition), buckets.rebucket(partition, key_bits, seed)
    buckets.figures(trial)
    return len(bucket_charts.rank_curves(buckets.rank_sizes(today), buckets.rank_sizes(trial)).to_json())


def _searched(partition: Partition, key_bits: int, seed: int) -> int:
    """What comes after it; today's figures are kept from one redraw to the next."""
    buckets.what_if(partition, N_BITS, key_bits, seed)
    return 0


if __name__ == "__main__":
    main()
