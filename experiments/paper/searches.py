"""The paper's experiments on time: random queries, each in its category and in everything, at several sizes.

Queries are photos as a user sends them; each goes both ways, one directly after the other, so that whatever else the
machine does meets both. What they find is compared with exact search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from experiments.paper.precision import Pictures, labels_of, precisions, without
from experiments.synthetic import BLOCK, Block, SyntheticItems, exact_neighbours
from fashion16.estimate import Figure
from fashion16.evaluation.metrics import Ids, Labels
from fashion16.evaluation.reproduction import Searched, Searches, Timing
from fashion16.images import read_photo
from fashion16.search.hyperplanes import RandomHyperplanes
from fashion16.search.index import N_BITS, SEED, CategoryIndex, K
from fashion16.search.partition import Partition, Stored, to_int16
from fashion16.search.searcher import Searcher
from fashion16.types import Floats, Progress

Seconds = npt.NDArray[np.float64]
WAYS = ("in_category", "direct")
UNTIMED = 5  # the first photos, for which the network lays out its memory


@dataclass(frozen=True)
class Gallery:
    """What is searched.

    Attributes:
        index: holds all of it.
        ids, labels: (n,), in ascending order of id.
        blocks: yields the embeddings and labels again, in the same order, block by block.
    """

    index: CategoryIndex
    ids: Ids
    labels: Labels
    blocks: Callable[[], Iterable[Block]]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def real(cls, index: CategoryIndex, items: Pictures) -> Gallery:
        """Real items, and the index that holds them."""

        def blocks() -> Iterator[Block]:
            for start in range(0, len(items), BLOCK):
                part = slice(start, start + BLOCK)
                yield items.embeddings[part], items.labels[part]

        return cls(index, items.ids, items.labels, blocks)

    @classmethod
    def synthetic(cls, items: SyntheticItems, progress: Progress | None = None) -> Gallery:
        """Synthetic items, and an index of them; never is more than one block of them in memory as float32."""
        rows: dict[str, list[Stored]] = {}
        ids: dict[str, list[Ids]] = {}
        all_labels: list[Labels] = []
        total: npt.NDArray[np.float64] = np.zeros(1)
        start = 0
        for embeddings, labels in items.blocks():
            total = total + embeddings.sum(axis=0, dtype=np.float64)
            for name in np.unique(labels):
                its = np.flatnonzero(labels == name)
                rows.setdefault(str(name), []).append(to_int16(embeddings[its]))
                ids.setdefault(str(name), []).append(start + its)
            all_labels.append(labels)
            start += len(labels)
            if progress:
                progress(start, 2 * len(items))
        hyperplanes = RandomHyperplanes.draw((total / start).astype(np.float32), N_BITS, SEED)
        partitions: dict[str, Partition] = {}
        hashed = 0
        for name in sorted(rows):
            # each category's blocks are let go as soon as they are in its partition
            its_ids, its_rows = np.concatenate(ids.pop(name)), np.concatenate(rows.pop(name))
            partitions[name] = Partition.hash(its_ids, its_rows, hyperplanes)
            hashed += len(its_ids)
            if progress:
                progress(start + hashed, 2 * len(items))
        index = CategoryIndex(hyperplanes, partitions)
        return cls(index, np.arange(start), np.concatenate(all_labels), items.blocks)


@dataclass(frozen=True)
class Asked:
    """What queries found.

    Attributes:
        embeddings: (nq, d), of the photos.
        places: (nq,) categories they were searched in.
        end_to_end, search: for each of WAYS the seconds (nq,) from the photo's bytes to results, and of the search.
        found: for each of WAYS the ids (nq, K), -1 where there are no more.
        candidates: for each of WAYS how many codes were compared (nq,).
    """

    embeddings: Floats
    places: Labels
    end_to_end: dict[str, Seconds]
    search: dict[str, Seconds]
    found: dict[str, Ids]
    candidates: dict[str, Ids]


def ask(searcher: Searcher, photos: Sequence[bytes], own: Ids | None = None, progress: Progress | None = None) -> Asked:
    """Search with each photo, given as a file's bytes, in its category and in all.

    Args:
        own: (nq,) the ids of the queries, where they are in the index: each is left out of its own results.
    """
    nq = len(photos)
    categories: dict[str, tuple[str, ...] | None] = {"in_category": None, "direct": searcher.index.categories}
    end_to_end, search = ({way: np.zeros(nq) for way in WAYS} for _ in range(2))
    found = {way: np.full((nq, K), -1, np.int64) for way in WAYS}
    candidates = {way: np.zeros(nq, np.int64) for way in WAYS}
    embeddings, places = [], []
    for data in photos[:UNTIMED]:
        for way in WAYS:
            searcher.search(read_photo(data), categories=categories[way])
    for row, data in enumerate(photos):
        leave_out = None if own is None else int(own[row])
        for way in WAYS:
            begin = perf_counter()
            answer = searcher.search(read_photo(data), categories=categories[way], leave_out=leave_out)
            end_to_end[way][row] = perf_counter() - begin
            search[way][row] = answer.milliseconds["search"] / 1000
            found[way][row, : len(answer.results)] = [result.id for result in answer.results]
            candidates[way][row] = answer.candidates
            if way == "in_category":
                embeddings.append(answer.classified.embedding)
                places.append(answer.searched[0])
        if progress:
            progress(row + 1, nq)
    return Asked(np.stack(embeddings), np.array(places), end_to_end, search, found, candidates)


def figures(
    asked: Asked, gallery: Gallery, labels: Labels, own: Ids | None = None, progress: Progress | None = None
) -> Searches:
    """What queries with labels (nq,) took and found.

    Args:
        own: as it was given to `ask`.
    """
    exact = exact_neighbours(asked.embeddings, asked.places, gallery.blocks(), K + 1, progress, len(gallery))
    truth = {}
    for way, rows in (("in_category", exact.in_category), ("direct", exact.everywhere)):
        ids = np.where(rows >= 0, gallery.ids[rows], -1)
        truth[way] = ids[:, :K] if own is None else without(ids, own)
    both: dict[str, Searched] = {}
    for way in WAYS:
        found = asked.found[way]
        both[way] = Searched(
            seconds=timing(asked.end_to_end[way]),
            search_seconds=timing(asked.search[way]),
            precision_at_20=Figure.mean(precisions(labels_of(found, gallery.ids, gallery.labels), labels)),
            recall_at_20=Figure.mean(recalls(found, truth[way])),
            recall_of_everything=Figure.mean(recalls(found, truth["direct"])),
            candidates=float(asked.candidates[way].mean()),
        )
    faster = asked.search["direct"].sum() / asked.search["in_category"].sum()
    return Searches(both["in_category"], both["direct"], len(gallery), float(faster))


def timing(seconds: Seconds) -> Timing:
    """The mean of seconds (n,) with its normal 95 % interval, their median and their 95th percentile."""
    middle, n = float(seconds.mean()), len(seconds)
    half = 1.96 * float(seconds.std(ddof=1)) / n**0.5 if n > 1 else 0.0
    median, p95 = np.percentile(seconds, (50, 95))
    return Timing(middle, max(0.0, middle - half), middle + half, n, float(median), float(p95))


def recalls(found: Ids, truth: Ids) -> Seconds:
    """For each query, the share of its true neighbours (nq, k) that was found (nq, k); -1 is none."""
    hits = ((truth[:, :, None] == found[:, None, :]) & (truth[:, :, None] >= 0)).any(axis=2)
    shares: Seconds = hits.sum(axis=1) / np.maximum(1, (truth >= 0).sum(axis=1))
    return shares
