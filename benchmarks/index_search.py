"""Recall and time of the index, by bits, re-ranking depth and probes: where the defaults come from.

Categories of 7,000 are Fashion-MNIST's own; larger ones are synthetic, see experiments/synthetic.py. Needs the
embeddings of the collection: run `fashion16 embed fashion-mnist` first (three minutes).
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from experiments.synthetic import SyntheticItems, measured_changes
from fashion16.collections.embeddings import labelled_embeddings
from fashion16.collections.workspace import Workspace
from fashion16.search.encoder import Encoder
from fashion16.search.hyperplanes import RandomHyperplanes
from fashion16.search.index import N_BITS, CategoryIndex, K
from fashion16.search.partition import Partition, to_int16

QUERIES = 200
CATEGORIES = ("Coat", "Sandal", "Bag")  # crowded and loose ones
SIZES = (7_000, 32_582, 325_820)


def main() -> None:
    """Print one table per question."""
    workspace = Workspace()
    encoder = Encoder(workspace.encoder_folder)
    today, embeddings, side = labelled_embeddings(workspace.collection(), encoder.digest)
    changes = measured_changes(encoder, workspace.collection().rows(), side=side)
    collection_mean = embeddings.mean(axis=0)

    print(
        f"\n{QUERIES} distorted items searched with in each of {', '.join(CATEGORIES)}; recall@{K} against exact cosine"
    )
    print("of float32 in the category, and the median of single searches, one thread")
    for size in SIZES:
        trials = [_Trial(embeddings[today.labels == name], today.labels, changes, size) for name in CATEGORIES]
        print(f"\ncategories of {size:,}")
        print("hyperplanes through the middle of   bits  rerank   recall        ms")
        for n_bits in (128, 256, 512, 1024):
            for rerank in (200, 300, 400, 600, 800, 1000, 2000) if n_bits == N_BITS else (600,):
                _row(f"the category {n_bits:17}  {rerank:6}", [t.index(n_bits) for t in trials], trials, rerank=rerank)
        for rerank in (300, 1000):
            through = [t.index(N_BITS, collection_mean) for t in trials]
            _row(f"the collection {N_BITS:15}  {rerank:6}", through, trials, rerank=rerank)
        indexes = [t.index(N_BITS) for t in trials]
        _row(f"the category {N_BITS:17}  by itself", indexes, trials, mark="  <- default")
        buckets = 2 ** indexes[0].partitions["all"].key_bits
        for share in (8, 4, 2):
            _row(f"the category, 1 of {share} of {buckets:,} buckets", indexes, trials, n_probes=buckets // share)


class _Trial:
    """A category of this size, queries, and what they should find."""

    def __init__(self, embeddings, labels, changes, size) -> None:  # type: ignore[no-untyped-def]
        if size <= len(embeddings):
            self.items = embeddings[:size]
        else:
            made = SyntheticItems(embeddings, np.full(len(embeddings), "all"), changes, size)
            self.items = np.concatenate([block for block, _ in made.blocks()])
        rng = np.random.default_rng(0)
        self.queries = self.items[rng.choice(size, QUERIES, replace=False)]
        self.queries = self.queries + changes[rng.integers(len(changes), size=QUERIES)]
        self.queries /= np.linalg.norm(self.queries, axis=1, keepdims=True)
        self.truth = [set(np.argpartition(-(self.items @ query), K)[:K].tolist()) for query in self.queries]
        self._made: dict[object, CategoryIndex] = {}

    def index(self, n_bits, through=None) -> CategoryIndex:  # type: ignore[no-untyped-def]
        key = (n_bits, through is None)
        if key not in self._made:
            ids, n = np.arange(len(self.items)), len(self.items)
            if through is None:
                made = CategoryIndex.build(self.items, ids, np.full(n, "all"), n_bits)
            else:
                planes = RandomHyperplanes.draw(through, n_bits, 2019)
                part = Partition.sort(ids, planes.encode(self.items), to_int16(self.items), planes)
                made = CategoryIndex(planes, {"all": part})
            self._made = {key: made}  # one at a time: the largest take a gigabyte together
        return self._made[key]


def _row(words, indexes, trials, mark="", **choices) -> None:  # type: ignore[no-untyped-def]
    recalls, times = [], []
    for index, trial in zip(indexes, trials, strict=True):
        for query, expected in zip(trial.queries, trial.truth, strict=True):
            start = perf_counter()
            found = index.search(query[None], ["all"], K, **choices)
            times.append(1000 * (perf_counter() - start))
            recalls.append(len(expected & set(found.ids[0].tolist())) / K)
    print(f"{words:48}  {np.mean(recalls):.4f}  {np.median(times):8.3f}{mark}", flush=True)


if __name__ == "__main__":
    main()
