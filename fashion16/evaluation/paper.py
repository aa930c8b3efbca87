"""The paper's figures, and ours beside them where they were measured.

Chen, He, Zheng, "Clothing image retrieval method based on deep learning", Computer Systems & Applications 28(3), 2019,
doi 10.15888/j.cnki.csa.006826. Only figures that are known are here: of its precisions by size the first and the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fashion16.estimate import Figure
from fashion16.evaluation.reproduction import Reproduction

SHARE, QUERY, TRAINING = "share", "seconds a query", "seconds of training"
EPOCHS = 20
INTERVAL = ("low", "high", "n")
COLUMNS = ("what", "paper", "ours", *INTERVAL, "unit", "remark")
NOT_MEASURED = "not measured yet"
TOO_LARGE = "too few pictures"
SIZES_KEY = "retrieval_by_size"


@dataclass(frozen=True)
class PaperFigure:
    """One figure of the paper.

    Attributes:
        what: what it measures.
        value: in `unit`.
        where: what of the paper it belongs to.
        key: what `Reproduction` calls ours; empty where ours stands elsewhere.
        items: how many pictures were searched; 0 where that is not said.
    """

    what: str
    value: float
    unit: str
    where: str
    key: str = ""
    items: int = 0


CLASSIFICATION = PaperFigure("Classification precision", 0.9271, SHARE, "the classifier on the network's features")
TRAINING_TIME = PaperFigure(f"Training, {EPOCHS} epochs", 7301.0, TRAINING, "the training of the classifier")
RETRIEVAL = (
    PaperFigure("Retrieval precision, 50,000 pictures", 0.8841, SHARE, "precision by size", SIZES_KEY, 50_000),
    PaperFigure("Retrieval precision, 300,000 pictures", 0.9387, SHARE, "precision by size", SIZES_KEY, 300_000),
)
FIGURES = (
    CLASSIFICATION,
    PaperFigure("Precision with SIFT", 0.8940, SHARE, "SIFT features against the network's (0.9271)", "sift_precision"),
    *RETRIEVAL,
    PaperFigure("Search in the category", 3.2416, QUERY, "classified first, then searched", "seconds_in_category"),
    PaperFigure("Search in everything", 3.6375, QUERY, "searched directly", "seconds_direct"),
    TRAINING_TIME,
)


@dataclass(frozen=True)
class Training:
    """A finished run of the category network of as many epochs as the paper's."""

    name: str
    seconds: float


def beside_us(
    accuracy: Figure | None, trainings: Sequence[Training], reproduction: Reproduction | None
) -> pd.DataFrame:
    """The paper's figures with ours beside them, a row each, in the order of `FIGURES`.

    A size of ours that the paper's known figures lack is a row of its own.

    Args:
        accuracy: on the collection's test pictures.
        trainings: the newest first, which counts.

    Returns:
        what, paper, ours, low, high, n, unit, remark. NaN where there is no figure: nothing is made up, and a remark
        says "not measured yet", or that the collection is too small. The interval is ours.
    """
    found = reproduction or Reproduction()
    measured = {"sift_precision": found.sift_precision}
    measured |= {"seconds_in_category": found.seconds_in_category, "seconds_direct": found.seconds_direct}
    points = {point.items: point.precision_at_20 for point in sorted(found.retrieval_by_size, key=lambda p: p.items)}
    rows = []
    for figure in FIGURES:
        if figure is CLASSIFICATION:
            ours = _measured(accuracy, "our accuracy on the collection's test pictures")
        elif figure is TRAINING_TIME:
            ours = _training(trainings)
        elif figure.items:
            too_large = bool(points) and figure.items > max(points)
            ours = _measured(
                points.get(figure.items), "ours at the same size", TOO_LARGE if too_large else NOT_MEASURED
            )
        else:
            ours = _measured(measured[figure.key], "ours on this project's pictures and machine")
        rows.append({"what": figure.what, "paper": figure.value, "unit": figure.unit} | ours)
    known = {figure.items for figure in RETRIEVAL}
    for items, precision in points.items():
        if items not in known:
            what = f"Retrieval precision, {items:,} pictures"
            ours = _measured(precision, "ours; the paper's figure at this size is not at hand")
            rows.append({"what": what, "paper": None, "unit": SHARE} | ours)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(dict.fromkeys(("paper", "ours", *INTERVAL), float))


def sizes() -> pd.DataFrame:
    """The paper's retrieval precision by size, as far as it is known: items, value."""
    return pd.DataFrame([{"items": figure.items, "value": figure.value} for figure in RETRIEVAL])


def our_sizes(reproduction: Reproduction | None) -> pd.DataFrame:
    """Our retrieval precision by size: items, value, low, high, n; empty before it was measured."""
    points = reproduction.retrieval_by_size if reproduction else []
    rows = [[point.items, point.precision, point.low, point.high, point.n] for point in points]
    table = pd.DataFrame(rows, columns=["items", "value", *INTERVAL]).astype(float)
    return table.astype({"items": int}).sort_values("items", ignore_index=True)


def searches(reproduction: Reproduction | None) -> pd.DataFrame:
    """Searches in the category and direct ones by the number of items: table 4.

    Returns:
        items, synthetic, way ("in_category" or "direct"), seconds of the search alone, end_to_end, precision, recall
        against the exact neighbours where it searched; empty before it was measured.
    """
    rows = [
        [one.items, one.synthetic, way]
        + [figure.value for figure in (its.search_seconds, its.seconds, its.precision_at_20, its.recall_at_20)]
        for one in (reproduction.searches if reproduction else [])
        for way, its in (("in_category", one.in_category), ("direct", one.direct))
    ]
    columns = ["items", "synthetic", "way", "seconds", "end_to_end", "precision", "recall"]
    return pd.DataFrame(rows, columns=columns)


def features(reproduction: Reproduction | None) -> pd.DataFrame:
    """Classification by kind of features, ours first: table 3.

    Returns:
        name, value with its interval low to high, n; empty before it was measured.
    """
    sift = (reproduction or Reproduction()).sift
    methods = [sift.cnn, *sift.methods] if sift.cnn else []
    rows = [{"name": one.name} | vars(one.accuracy) for one in methods]
    return pd.DataFrame(rows, columns=["name", "value", *INTERVAL])


def _training(trainings: Sequence[Training]) -> dict[str, object]:
    if not trainings:
        return _measured(None, "")
    newest = trainings[0]
    figure = {"ours": newest.seconds, **dict.fromkeys(INTERVAL), "n": 1}
    return figure | {"remark": f"our category network's run {newest.name}"}


def _measured(figure: Figure | None, remark: str, missing: str = NOT_MEASURED) -> dict[str, object]:
    """Ours, its interval, sample and a remark."""
    if figure is None:
        return {"ours": None, **dict.fromkeys(INTERVAL), "remark": missing}
    return {"ours": figure.value, "low": figure.low, "high": figure.high, "n": figure.n, "remark": remark}
