"""How good what is served is: categories, calibration, retrieval and the index, each with its sample and interval.

Everything is measured on the served path: the 8-bit encoder, the stored head, the stored index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from fashion16.estimate import Figure
from fashion16.evaluation.figures import (
    BothWays,
    Calibration,
    CategoryFigures,
    Classification,
    CopiesFound,
    Counterparts,
    FewLabels,
    IndexRecall,
    Retrieval,
)
from fashion16.images import distort
from fashion16.search.encoder import encode_all
from fashion16.search.garments import allowed
from fashion16.search.head import Head, calibration_curve, expected_calibration_error
from fashion16.search.index import CategoryIndex, K
from fashion16.search.searcher import Searcher
from fashion16.types import Floats, Pixels, Progress

Ids = npt.NDArray[np.int64]
Labels = npt.NDArray[np.str_]
SEED = 16


def classification(probabilities: Floats, labels: Labels, categories: Sequence[str]) -> Classification:
    """Accuracy, per-category figures, confusion matrix and calibration of probabilities (n, c) against labels (n,).

    The confusion matrix has a row per label and a column per predicted category, both in order of `categories`.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    names = np.array(categories)
    predicted = names[probabilities.argmax(axis=1)]
    hits = predicted == labels
    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted, labels=names, zero_division=0.0)
    return Classification(
        accuracy=Figure.share(int(hits.sum()), len(labels)),
        categories={
            str(name): CategoryFigures(
                Figure.share(int(hits[predicted == name].sum()), int((predicted == name).sum()))
                if (predicted == name).any()
                else None,
                Figure.share(int(hits[labels == name].sum()), int(support[i])) if support[i] else None,
                float(f1[i]),
            )
            for i, name in enumerate(names)
        },
        confusion=confusion_matrix(labels, predicted, labels=names).tolist(),
        calibration=calibration(probabilities.max(axis=1), hits),
    )


def predictions(probabilities: Floats, ids: Ids, labels: Labels, categories: Sequence[str]) -> pd.DataFrame:
    """What `classification` counts, picture by picture: id, label, predicted and confidence, in order of `ids` (n,)."""
    return pd.DataFrame(
        {
            "id": ids,
            "label": labels.astype(object),
            "predicted": np.array(categories, object)[probabilities.argmax(axis=1)],
            "confidence": probabilities.max(axis=1),
        }
    )


def calibration(confidence: Floats, hits: npt.NDArray[np.bool_]) -> Calibration:
    """Expected calibration error and its curve: mean confidence (n,) against the share of hits (n,), by bins."""
    return Calibration(expected_calibration_error(confidence, hits), calibration_curve(confidence, hits))


def label_retrieval(
    searcher: Searcher, ids: Ids, embeddings: Floats, label_of: dict[int, str], progress: Progress | None = None
) -> BothWays[Retrieval]:
    """Precision@20 and mean average precision@20 of items searched with, themselves left out.

    Both ways: classified first and then within the category, and directly in all categories. A result is
    relevant when it carries the query's label.
    """
    figures: list[Retrieval] = []
    for places in _ways(searcher, embeddings):
        precisions, averages = np.zeros(len(ids)), np.zeros(len(ids))
        for row, (item_id, where) in enumerate(zip(ids, places, strict=True)):
            found = searcher.index.search(embeddings[row : row + 1], where, K + 1).ids[0]
            found = found[(found != item_id) & (found >= 0)][:K]
            relevant = np.array([label_of[int(i)] == label_of[int(item_id)] for i in found])
            precisions[row] = relevant.mean() if len(relevant) else 0.0
            averages[row] = average_precision(relevant)
            if progress:
                progress(len(ids) * len(figures) + row + 1, 2 * len(ids))
        figures.append(Retrieval(Figure.mean(precisions), Figure.mean(averages)))
    return BothWays(*figures)


def _ways(searcher: Searcher, embeddings: Floats) -> tuple[list[Sequence[str]], list[Sequence[str]]]:
    """Where each of the embeddings (n, d) is searched, in each of the ways of `BothWays`."""
    predicted = searcher.head.predict(embeddings)
    everywhere = searcher.index.categories
    return [[str(name)] for name in predicted], [everywhere] * len(predicted)


def average_precision(relevant: npt.NDArray[np.bool_]) -> float:
    """The mean of the precision at each relevant result, in order of rank; 0 when none is."""
    if not relevant.any():
        return 0.0
    precision = np.cumsum(relevant) / np.arange(1, len(relevant) + 1)
    return float(precision[relevant].mean())


def instance_retrieval(
    searcher: Searcher, ids: Ids, picture: Callable[[int], Pixels], progress: Progress | None = None
) -> BothWays[CopiesFound]:
    """How often a distorted copy of an item finds its original, first or among twenty, both ways."""
    rng = np.random.default_rng(SEED)
    copies = (distort(picture(int(item_id)), rng) for item_id in ids)
    embeddings = encode_all(searcher.encoder, counted(copies, len(ids), progress), searcher.side)
    figures: list[CopiesFound] = []
    for places in _ways(searcher, embeddings):
        ranks = np.full(len(ids), -1)
        for row, (item_id, where) in enumerate(zip(ids, places, strict=True)):
            at = np.flatnonzero(searcher.index.search(embeddings[row : row + 1], where, K).ids[0] == item_id)
            ranks[row] = at[0] if len(at) else -1
        found = (int((ranks == 0).sum()), int((ranks >= 0).sum()))
        figures.append(CopiesFound(*(Figure.share(hits, len(ids)) for hits in found)))
    return BothWays(*figures)


def counted(pictures: Iterable[Pixels], total: int, progress: Progress | None) -> Iterator[Pixels]:
    """The same pictures, each of them reported as it is taken."""
    for done, picture in enumerate(pictures, start=1):
        yield picture
        if progress:
            progress(done, total)


def index_recall(
    index: CategoryIndex,
    queries: Ids,
    ids: Ids,
    embeddings: Floats,
    labels: Labels,
    n_probes: Sequence[int | None],
    progress: Progress | None = None,
) -> list[IndexRecall]:
    """Recall@20 of the index against the exact cosine of `embeddings` (n, d) in the category, by probes."""
    rows = np.searchsorted(ids, queries)
    truth = []
    for row in rows:
        same = np.flatnonzero(labels == labels[row])
        nearest = same[np.argsort(-(embeddings[same] @ embeddings[row]), kind="stable")[:K]]
        truth.append(set(ids[nearest].tolist()))
    points: list[IndexRecall] = []
    for probes in n_probes:
        recalls, candidates = np.zeros(len(rows)), np.zeros(len(rows))
        for number, (row, expected) in enumerate(zip(rows, truth, strict=True)):
            found = index.search(embeddings[row : row + 1], [str(labels[row])], K, n_probes=probes)
            recalls[number] = len(expected & set(found.ids[0].tolist())) / len(expected)
            candidates[number] = found.candidates[0]
            if progress:
                progress(len(rows) * len(points) + number + 1, len(rows) * len(n_probes))
        points.append(IndexRecall(index.hyperplanes.n_bits, probes, Figure.mean(recalls), float(candidates.mean())))
    return points


def counterparts(head: Head, embeddings: Floats, labels: Labels) -> Counterparts:
    """How often a head of other categories is right about embeddings (n, d) of pictures with labels (n,) of their own.

    It is right when its category and the label may mean the same garment. Labels that mean none of its categories
    are left out.
    """
    rows = allowed(labels, head.categories)
    kept = rows.any(axis=1)
    order = np.argsort(-head.probabilities(embeddings[kept]), axis=1)
    right = np.take_along_axis(rows[kept], order, axis=1)
    return Counterparts(
        accuracy=Figure.share(int(right[:, 0].sum()), int(kept.sum())),
        accuracy_of_two_guesses=Figure.share(int(right[:, :2].any(axis=1).sum()), int(kept.sum())),
        labels={
            str(name): Figure.share(int(right[labels[kept] == name, 0].sum()), int((labels[kept] == name).sum()))
            for name in np.unique(labels[kept])
        },
    )


def small_data(
    embeddings: Floats,
    labels: Labels,
    test_embeddings: Floats,
    test_labels: Labels,
    digest: str,
    sizes: Sequence[int] = (10, 50, 200),
) -> list[FewLabels]:
    """The head's accuracy with few labelled pictures a category: what a small collection can expect."""
    rng = np.random.default_rng(SEED)
    points = []
    for size in sizes:
        chosen = np.concatenate(
            [
                rng.choice(rows, min(size, len(rows)), replace=False)
                for rows in (np.flatnonzero(labels == name) for name in np.unique(labels))
            ]
        )
        head = Head.fit(embeddings[chosen], labels[chosen], digest, 0)
        hits = int((head.predict(test_embeddings) == test_labels).sum())
        points.append(FewLabels(size, Figure.share(hits, len(test_labels))))
    return points
