"""Recall and time of the index, by bits, re-ranking depth and probes: where the defaults come from.

Needs the embeddings of the collection: run `fashion16 embed fashion-mnist` first (three minutes).
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from fashion16.encoder import EncoderCard
from fashion16.index import N_BITS, RERANK, CategoryIndex, K
from fashion16.workspace import DEFAULT_COLLECTION, Workspace

QUERIES = 300


def main() -> None:
    """Print one table per question."""
    workspace = Workspace()
    digest = EncoderCard.read(workspace.encoder_folder / "encoder.json").digest
    today, embeddings, _ = workspace.labelled_embeddings(DEFAULT_COLLECTION, digest)
    ids, labels = today.ids, today.labels
    queries = np.random.default_rng(0).choice(len(ids), QUERIES, replace=False)
    truth = [_exact(embeddings, ids, labels, row) for row in queries]

    print(f"\n{QUERIES} queries of {len(ids):,} items, recall@{K} against exact cosine of float32 in the category")
    print("  bits  rerank  recall  median ms")
    for n_bits in (128, 256, 512):
        index = CategoryIndex.build(embeddings, ids, labels, n_bits)
        for rerank in (200, 300, 400, 600, 1000):
            recall, ms = _measure(index, embeddings, labels, ids, queries, truth, rerank=rerank)
            mark = "  <- default" if (n_bits, rerank) == (N_BITS, RERANK) else ""
            print(f"{n_bits:6}  {rerank:6}  {recall:.4f}  {ms:9.3f}{mark}")

    for what, its_labels in (("7,000", labels), ("70,000", np.full(len(labels), "all"))):
        index = CategoryIndex.build(embeddings, ids, its_labels)
        bits = next(iter(index.partitions.values())).key_bits
        truth = [_exact(embeddings, ids, its_labels, row) for row in queries]
        print(f"\na category of {what} in {2**bits} buckets\nprobes  recall  median ms")
        for n_probes in (2 ** (bits - 3), 2 ** (bits - 2), 2 ** (bits - 1), 2**bits):
            recall, ms = _measure(index, embeddings, its_labels, ids, queries, truth, n_probes=n_probes)
            print(f"{n_probes:6}  {recall:.4f}  {ms:9.3f}")
        recall, ms = _measure(index, embeddings, its_labels, ids, queries, truth)
        print(f"  auto  {recall:.4f}  {ms:9.3f}  <- default")


def _exact(embeddings, ids, labels, row):  # type: ignore[no-untyped-def]
    """The ids of the K most similar items of the same category, the query itself among them."""
    same = np.flatnonzero(labels == labels[row])
    return set(ids[same[np.argsort(-(embeddings[same] @ embeddings[row]))[:K]]].tolist())


def _measure(index, embeddings, labels, ids, queries, truth, **choices):  # type: ignore[no-untyped-def]
    found, times = 0, []
    for row, expected in zip(queries, truth, strict=True):
        start = perf_counter()
        neighbours = index.search(embeddings[row : row + 1], [str(labels[row])], K, **choices)
        times.append(1000 * (perf_counter() - start))
        found += len(expected & set(neighbours.ids[0].tolist()))
    return found / (K * len(queries)), float(np.median(times))


if __name__ == "__main__":
    main()
