"""The Fashion-16 query: classify the photo, then search within its category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from fashion16.errors import SearchError
from fashion16.images import to_network
from fashion16.search.encoder import EncodesPictures
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex, K
from fashion16.types import Floats, Pixels

# Two pictures this alike are the same garment photographed or saved twice.
NEAR_DUPLICATE = 0.985
HIDDEN_AT_MOST = 3  # near-duplicates looked past for each result


@dataclass(frozen=True)
class Result:
    """One garment found: its rank from 1, its catalogue id and its cosine with the query."""

    rank: int
    id: int
    similarity: float


@dataclass(frozen=True)
class Classified:
    """A photo as the network sees it.

    Attributes:
        embedding: (d,) float32, unit length.
        probabilities: a probability for each category, the highest first.
        milliseconds: how long each step took, in order.
    """

    embedding: Floats
    probabilities: dict[str, float]
    milliseconds: dict[str, float] = field(compare=False)

    @property
    def category(self) -> str:
        """The predicted category."""
        return next(iter(self.probabilities))


@dataclass(frozen=True)
class Answer:
    """What a search found, and how.

    Attributes:
        classified: the photo's categories and embedding.
        searched: the categories that were searched.
        results: most similar first.
        hidden: near-duplicates that were left out.
        candidates: items whose codes were compared.
        buckets: buckets probed, 0 when whole categories were scanned.
        milliseconds: how long each step took, in order.
    """

    classified: Classified
    searched: tuple[str, ...]
    results: tuple[Result, ...]
    hidden: int
    candidates: int
    buckets: int
    milliseconds: dict[str, float] = field(compare=False)


@dataclass(frozen=True)
class Searcher:
    """Encoder, head and index of one collection, asked as one.

    Attributes:
        side: pixels a side at which the collection was encoded.
    """

    encoder: EncodesPictures
    head: Head
    index: CategoryIndex
    side: int

    def classify(self, photo: Pixels) -> Classified:
        """The embedding and the categories of `photo`, (h, w) or (h, w, 3) uint8."""
        watch = _StopWatch()
        network_input = to_network(photo, self.side)[None]
        watch.lap("prepare")
        embedding = self.encoder.encode(network_input)
        watch.lap("encode")
        row = self.head.probabilities(embedding)[0]
        order = np.argsort(-row, kind="stable")
        probabilities = {self.head.categories[i]: float(row[i]) for i in order}
        watch.lap("classify")
        return Classified(embedding[0], probabilities, watch.laps)

    def find(
        self,
        classified: Classified,
        *,
        categories: Sequence[str] | None = None,
        k: int = K,
        leave_out: int | None = None,
        hide_near_duplicates: bool = False,
        n_probes: int | None = None,
    ) -> Answer:
        """The k garments most similar to a classified photo.

        Args:
            categories: where to search; None for the predicted category alone, all for a direct search.
            leave_out: the id of an item not to be found, for a query that is itself in the collection.
            hide_near_duplicates: leave out what is nearly the same picture as the query or a better result.
            n_probes: buckets to probe in each category; None to decide by its size.

        Raises:
            SearchError: no or an unknown category, or k below 1.
        """
        watch = _StopWatch()
        if k < 1:
            raise SearchError(f"k must be at least 1, received {k}.")
        searched = self._searched(classified, categories)
        # what is left out or hidden is replaced by the next best
        wanted = k + (leave_out is not None) + (HIDDEN_AT_MOST * k if hide_near_duplicates else 0)
        found = self.index.search(classified.embedding[None], searched, wanted, n_probes)
        pairs = [
            (int(item_id), float(similarity))
            for item_id, similarity in zip(found.ids[0], found.similarities[0], strict=True)
            if item_id >= 0 and item_id != leave_out
        ]
        kept = self._distinct(pairs, classified.embedding, k) if hide_near_duplicates else pairs[:k]
        # only what was passed over before the last result counts as hidden; where results ran out, all of it
        looked_at = pairs.index(kept[-1]) + 1 if len(kept) == k else len(pairs)
        hidden = looked_at - len(kept)
        watch.lap("search")
        return Answer(
            classified,
            searched,
            tuple(Result(rank, *pair) for rank, pair in enumerate(kept, start=1)),
            hidden,
            int(found.candidates[0]),
            int(found.buckets[0]),
            classified.milliseconds | watch.laps,
        )

    def search(self, photo: Pixels, **choices: Any) -> Answer:
        """The k garments most similar to `photo`; the choices are those of `find`."""
        return self.find(self.classify(photo), **choices)

    def _searched(self, classified: Classified, categories: Sequence[str] | None) -> tuple[str, ...]:
        if categories is None:
            # a category that the head knows may have lost its last item to corrections
            there = set(self.index.categories)
            # and a collection without labels to learn from may have none that the head knows
            categories = [name for name in classified.probabilities if name in there][:1] or self.index.categories
        if not categories:
            raise SearchError("Choose at least one category to search in.")
        return tuple(categories)

    def _distinct(self, pairs: list[tuple[int, float]], query: Floats, k: int) -> list[tuple[int, float]]:
        """The pairs less those nearly equal to the query or to one before them."""
        vectors = self.index.embeddings([item_id for item_id, _ in pairs])
        kept_vectors = [query]
        kept: list[tuple[int, float]] = []
        for pair, vector in zip(pairs, vectors, strict=True):
            if len(kept) < k and (np.stack(kept_vectors) @ vector).max() < NEAR_DUPLICATE:
                kept_vectors.append(vector)
                kept.append(pair)
        return kept


class _StopWatch:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, step: str) -> None:
        now = perf_counter()
        self.laps[step] = 1000 * (now - self._last)
        self._last = now
