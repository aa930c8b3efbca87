"""The paper's experiments on precision, on embeddings that are there: by data size, by category, by random samples.

Chen, He, Zheng, "Clothing image retrieval method based on deep learning", Computer Systems & Applications 28(3), 2019.
A result counts as right where it carries the query's label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from fashion16.estimate import Figure
from fashion16.evaluation.metrics import SEED, Ids, Labels
from fashion16.evaluation.reproduction import OverSeeds, SizePoint
from fashion16.search.head import Head
from fashion16.search.index import BLOCK, CategoryIndex, K
from fashion16.types import Floats, Progress

Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pictures:
    """Pictures as the network sees them: ids (n,) in ascending order, embeddings (n, d) and labels (n,)."""

    ids: Ids
    embeddings: Floats
    labels: Labels

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Pictures:
        """Some of them, by their rows, which ascend, or by a mask."""
        return Pictures(self.ids[rows], self.embeddings[rows], self.labels[rows])

    def some(self, most: int, seed: int = SEED) -> Pictures:
        """At most `most` of them, drawn at random."""
        drawn = np.random.default_rng(seed).choice(len(self), min(most, len(self)), replace=False)
        return self.of(np.sort(drawn))

    def labels_of(self, found: Ids) -> Labels:
        """The labels of these ids, in any shape."""
        return labels_of(found, self.ids, self.labels)


@dataclass(frozen=True)
class OfSamples(Figure):
    """The mean over `samples` samples of n pictures, and the interval in which 95 % of the samples lie."""

    samples: int


@dataclass(frozen=True)
class ClassificationPrecision:
    """The share of pictures that are classified rightly: of all with Wilson's interval, and of random samples."""

    all: Figure
    samples: OfSamples


@dataclass(frozen=True)
class ByGuess:
    """Of queries: precision@20 in the first guess, in the second, and in all categories; None where there are none."""

    first_guess: Figure | None
    second_guess: Figure | None
    direct: Figure | None


@dataclass(frozen=True)
class FoundByGuess(ByGuess):
    """Of copies: the share that finds its original there; `two_guesses` is in the first guess or in the second."""

    two_guesses: Figure | None


@dataclass(frozen=True)
class FoundAgain:
    """Distorted copies: all of them, and those classified otherwise than their originals' label."""

    all: FoundByGuess
    wrong: FoundByGuess


@dataclass(frozen=True)
class WrongResults:
    """What categories keep apart, and what a wrong guess costs.

    Attributes:
        wrong_in_category, wrong_direct: the share of results with another label than the query's.
        wrongly_classified: how many queries.
        right, wrong: the queries that are classified rightly, and those wrongly.
    """

    wrong_in_category: Figure
    wrong_direct: Figure
    wrongly_classified: Figure
    right: ByGuess
    wrong: ByGuess


def classification_precision(
    head: Head, test: Pictures, sample: int = 1000, samples: int = 1000, seed: int = SEED
) -> ClassificationPrecision:
    """The paper's m/k, pictures classified rightly among those classified: of all pictures, and of random samples.

    A sample is drawn without repeating a picture.
    """
    hits = head.predict(test.embeddings) == test.labels
    rng = np.random.default_rng(seed)
    sample = min(sample, len(hits))
    shares = np.array([hits[rng.choice(len(hits), sample, replace=False)].mean() for _ in range(samples)])
    low, high = np.percentile(shares, (2.5, 97.5))
    return ClassificationPrecision(
        Figure.share(int(hits.sum()), len(hits)),
        OfSamples(float(shares.mean()), float(low), float(high), sample, samples),
    )


def precision_by_size(
    gallery: Pictures,
    test: Pictures,
    sizes: Sequence[int],
    seeds: Sequence[int],
    n_queries: int,
    progress: Progress | None = None,
) -> list[SizePoint]:
    """Precision with a part of the gallery: the head is fitted on it, it is what the index holds, and test pictures are
    searched with.

    Args:
        sizes: how many pictures of the gallery; where it has fewer, all.
        seeds: for each, the gallery in another order, of which every size takes the first.
        n_queries: test pictures that are searched with, the same for all.

    Returns:
        One for each size, its figures the mean over queries of their mean over seeds. `without_labels` is as in a
        collection that nobody has labelled.
    """
    queries = test.some(n_queries)
    sizes = sorted({min(size, len(gallery)) for size in sizes})
    orders = [np.random.default_rng(seed).permutation(len(gallery)) for seed in seeds]
    points = []
    for number, size in enumerate(sizes):
        shares: dict[str, list[Shares]] = {"precision": [], "classification": [], "direct": [], "without_labels": []}
        for times, order in enumerate(orders):
            part = gallery.of(np.sort(order[:size]))
            head = Head.fit(part.embeddings, part.labels, "", 0)
            shares["classification"].append((head.predict(test.embeddings) == test.labels).astype(float))
            predicted = head.predict(queries.embeddings)
            index = CategoryIndex.build(part.embeddings, part.ids, part.labels)
            found = found_in(index, queries.embeddings, predicted, K)
            shares["precision"].append(precisions(part.labels_of(found), queries.labels))
            found = index.search(queries.embeddings, index.categories, K).ids
            shares["direct"].append(precisions(part.labels_of(found), queries.labels))
            index = CategoryIndex.build(part.embeddings, part.ids, head.predict(part.embeddings))
            found = found_in(index, queries.embeddings, predicted, K)
            shares["without_labels"].append(precisions(part.labels_of(found), queries.labels))
            if progress:
                progress(len(seeds) * number + times + 1, len(seeds) * len(sizes))
        figures = {name: _over_seeds(values) for name, values in shares.items()}
        precision = vars(figures.pop("precision")).copy()
        points.append(SizePoint(items=size, precision=precision.pop("value"), **precision, **figures))
    return points


def wrong_categories(
    head: Head, index: CategoryIndex, everything: Pictures, queries: Pictures, progress: Progress | None = None
) -> WrongResults:
    """How many results are of a wrong category, with classification and without, and what a wrong guess costs.

    Args:
        everything: what the index holds.
        queries: pictures to search with, each left out of its own results where the index holds it.
    """
    first, second = guesses(head, queries.embeddings)
    found = {
        "first_guess": found_in(index, queries.embeddings, first, K + 1),
        "second_guess": found_in(index, queries.embeddings, second, K + 1),
        "direct": _everywhere(index, queries.embeddings, K + 1, progress),
    }
    shares = {
        way: precisions(everything.labels_of(without(ids, queries.ids)), queries.labels) for way, ids in found.items()
    }
    right = first == queries.labels
    return WrongResults(
        wrong_in_category=Figure.mean(1 - shares["first_guess"]),
        wrong_direct=Figure.mean(1 - shares["direct"]),
        wrongly_classified=Figure.share(int((~right).sum()), len(right)),
        right=_means(shares, right),
        wrong=_means(shares, ~right),
    )


def found_again(
    head: Head, index: CategoryIndex, copies: Floats, originals: Pictures, progress: Progress | None = None
) -> FoundAgain:
    """How often distorted copies (n, d) of n pictures in the index find their originals among twenty results."""
    first, second = guesses(head, copies)
    found = {
        "first_guess": found_in(index, copies, first, K),
        "second_guess": found_in(index, copies, second, K),
        "direct": _everywhere(index, copies, K, progress),
    }
    hits = {way: (ids == originals.ids[:, None]).any(axis=1) for way, ids in found.items()}
    hits["two_guesses"] = hits["first_guess"] | hits["second_guess"]
    wrong = first != originals.labels
    return FoundAgain(
        FoundByGuess(**{way: _share(its) for way, its in hits.items()}),
        FoundByGuess(**{way: _share(its[wrong]) for way, its in hits.items()}),
    )


def guesses(head: Head, embeddings: Floats) -> tuple[Labels, Labels]:
    """The most likely category of each embedding (n, d), and the second most likely."""
    order = np.argsort(-head.probabilities(embeddings), axis=1, kind="stable")
    names = np.array(head.categories)
    return names[order[:, 0]], names[order[:, 1]]


def found_in(index: CategoryIndex, queries: Floats, places: Labels, k: int) -> Ids:
    """The ids (n, k) found for each query (n, d) in its one category (n,); -1 where there are no more."""
    found = np.full((len(queries), k), -1, np.int64)
    for name in np.intersect1d(places, index.categories):
        rows = np.flatnonzero(places == name)
        found[rows] = index.search(queries[rows], [str(name)], k).ids
    return found


def labels_of(found: Ids, ids: Ids, labels: Labels) -> Labels:
    """The labels of found ids, in any shape, where ids (n,), in ascending order, have labels (n,).

    Empty for an id that is not among them, as -1 is.
    """
    rows = np.minimum(np.searchsorted(ids, found), len(ids) - 1)
    return np.where(ids[rows] == found, labels[rows], "")


def without(found: Ids, own: Ids) -> Ids:
    """The found ids (n, k) less each query's own (n,), or less the last, shape (n, k - 1)."""
    others = found != own[:, None]
    others[others.all(axis=1), -1] = False
    less: Ids = found[others].reshape(len(found), found.shape[1] - 1)
    return less


def precisions(labels: Labels, wanted: Labels) -> Shares:
    """For each query with a label (n,), the share of its results with the same, of results' labels (n, k).

    Empty labels are no results; of none at all the share is 0.
    """
    right: Shares = (labels == wanted[:, None]).sum(axis=1) / np.maximum(1, (labels != "").sum(axis=1))
    return right


def _everywhere(index: CategoryIndex, queries: Floats, k: int, progress: Progress | None) -> Ids:
    blocks = [np.zeros((0, k), np.int64)]
    for start in range(0, len(queries), BLOCK):
        blocks.append(index.search(queries[start : start + BLOCK], index.categories, k).ids)
        if progress:
            progress(min(start + BLOCK, len(queries)), len(queries))
    return np.concatenate(blocks)


def _over_seeds(values: list[Shares]) -> OverSeeds:
    """Of the same queries with each seed: the mean with its interval, and the lowest and highest mean of a seed."""
    means = [float(its.mean()) for its in values]
    return OverSeeds(**asdict(Figure.mean(np.mean(values, axis=0))), lowest=min(means), highest=max(means))


def _means(shares: dict[str, Shares], rows: npt.NDArray[np.bool_]) -> ByGuess:
    return ByGuess(**{way: Figure.mean(its[rows]) if rows.any() else None for way, its in shares.items()})


def _share(hits: npt.NDArray[np.bool_]) -> Figure | None:
    return Figure.share(int(hits.sum()), len(hits)) if len(hits) else None
