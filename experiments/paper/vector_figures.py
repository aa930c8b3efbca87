"""What vectors of pictures are worth: with the softmax head, and searched in the index, whatever made them.

Vectors of length 0 are pictures of which there was nothing to tell: they count as errors, and find nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import numpy.typing as npt

from experiments.paper.local_features import Pictures, unit
from fashion16.estimate import Figure, rounded
from fashion16.evaluation.metrics import SEED
from fashion16.evaluation.reproduction import Features, TriedHead
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex, K
from fashion16.types import Floats

Rows = npt.NDArray[np.int64]
Labels = npt.NDArray[np.str_]

PENALTIES = (0.003, 0.001, 0.03)  # of the head: its default, three times its restraint, and a tenth of it
AXES = (256, 512)  # of the vectors; the embedding's 256, and twice as many
UNTIMED = 3


@dataclass(frozen=True)
class Sizes:
    """How many pictures are used.

    Attributes:
        train, validation, test: of each split.
        queries: test pictures that are searched with.
        choosing, checking: training and validation pictures that features are chosen with.
        heads: training pictures that the head's penalty and axes are chosen with.
        vocabulary: training pictures whose descriptors make the words.
        axes: training pictures whose vectors make the axes.
        timed: pictures that are timed.
        choices: settings of each kind that are tried.
    """

    train: int
    validation: int
    test: int
    queries: int
    choosing: int
    checking: int
    heads: int
    vocabulary: int
    axes: int
    timed: int
    choices: int


@dataclass(frozen=True)
class Material:
    """The pictures (n, h, w) of the experiment with their ids, labels and embeddings, and the rows of each split."""

    pictures: Pictures
    ids: Rows
    labels: Labels
    embeddings: Floats
    train: Rows
    validation: Rows
    test: Rows


def head_figures(name: str, vectors: Floats, milliseconds: float, material: Material, sizes: Sizes) -> Features:
    """The figures of vectors (n, d) with the softmax head; its penalty, and how many of the axes, by validation."""
    told = np.linalg.norm(vectors, axis=1) > 0
    train, check = material.train[told[material.train]], material.validation[told[material.validation]]
    fitted = drawn(train, sizes.heads, np.random.default_rng(SEED))
    rows, labels = np.concatenate([fitted, check]), material.labels
    tried = [
        TriedHead(d, c, checked(unit(vectors[rows, :d]), labels[rows], len(fitted), c))
        for d in sorted({min(axes, vectors.shape[1]) for axes in AXES})
        for c in PENALTIES
    ]
    best = max(tried, key=lambda settings: settings.accuracy)
    vectors = unit(vectors[:, : best.dimensions])
    head = Head.fit(vectors[train], labels[train], "", 0, c=best.penalty)
    predicted = head.predict(vectors[material.test])
    found = figures(name, vectors, predicted, milliseconds, material, sizes)
    return replace(found, penalty=best.penalty, tried=tried)


def figures(
    name: str, vectors: Floats, predicted: Labels, milliseconds: float, material: Material, sizes: Sizes
) -> Features:
    """Accuracy and precision@20 of vectors (n, d) of length 1, or 0 where a picture has no descriptor.

    Args:
        predicted: the category of each test picture, (m,).
    """
    told, labels, test = np.linalg.norm(vectors, axis=1) > 0, material.labels, material.test
    hits = (predicted == labels[test]) & told[test]
    index = CategoryIndex.build(vectors[told], material.ids[told], labels[told])
    label_of = dict(zip(material.ids.tolist(), labels.tolist(), strict=True))
    some = drawn(np.arange(len(test)), sizes.queries, np.random.default_rng(SEED))
    precision = {"in_category": np.zeros(len(some)), "direct": np.zeros(len(some))}
    for number, place in enumerate(some):
        row = test[place]
        if not told[row]:
            continue  # nothing to search with, so nothing found
        for way, categories in (("in_category", [str(predicted[place])]), ("direct", index.categories)):
            found = index.search(vectors[row : row + 1], categories, K + 1).ids[0]
            found = found[(found != material.ids[row]) & (found >= 0)][:K]
            precision[way][number] = np.mean([label_of[int(i)] == labels[row] for i in found]) if len(found) else 0.0
    return rounded(
        Features(
            name=name,
            accuracy=Figure.share(int(hits.sum()), len(test)),
            precision_at_20_in_category=Figure.mean(precision["in_category"]),
            precision_at_20_direct=Figure.mean(precision["direct"]),
            without_descriptors=round(float((~told[test]).mean()), 4),
            ms_per_picture=milliseconds,
            dimensions=vectors.shape[1],
        )
    )


def checked(vectors: Floats, labels: Labels, n: int, c: float) -> float:
    """How often a head fitted on the first n of vectors (m, d) is right on the others."""
    head = Head.fit(vectors[:n], labels[:n], "", 0, c=c)
    return float(
        (head.predict(vectors[n:]) == labels[n:])[np.linalg.norm(vectors[n:], axis=1) > 0].sum() / (len(vectors) - n)
    )


def milliseconds_of(vectors_of: Callable[[Pictures], Floats], material: Material, sizes: Sizes) -> float:
    """What one picture takes, alone: the median."""
    times = []
    for row in material.test[: sizes.timed + UNTIMED]:
        begin = perf_counter()
        vectors_of(material.pictures[row : row + 1])
        times.append(1000 * (perf_counter() - begin))
    return round(float(np.median(times[UNTIMED:])), 3)


def drawn(rows: Rows, most: int, rng: np.random.Generator) -> Rows:
    """At most `most` of the rows, drawn at random, in order."""
    return np.sort(rng.choice(rows, min(most, len(rows)), replace=False))
