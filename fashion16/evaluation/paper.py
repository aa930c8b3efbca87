"""The paper's figures, and ours beside them where they were measured.

Chen, He, Zheng, "Clothing image retrieval method based on deep learning", Computer Systems & Applications 28(3), 2019,
doi 10.15888/j.cnki.csa.006826. Only figures that are known are here: of its precisions by size the first and the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

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
        key: what docs/reproduction.json calls ours; empty where ours stands elsewhere.
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


def beside_us(
    evaluation: Mapping[str, Any] | None, runs: Iterable[Mapping[str, Any]], reproduction: Mapping[str, Any] | None
) -> pd.DataFrame:
    """The paper's figures with ours beside them, a row each, in the order of `FIGURES`.

    Args:
        evaluation: evaluation.json, for the accuracy.
        runs: training runs, the newest first, each with `name`, `kind`, `settings` (its `epochs`) and `result` (its
            `seconds`; empty while it is not finished). The newest finished "category-cnn" of 20 epochs counts.
        reproduction: docs/reproduction.json, with any of these keys:
            retrieval_by_size: a list of {"items", "precision", "low", "high"} and perhaps "n". A size that the paper's
                known figures lack is a row of its own.
            seconds_in_category, seconds_direct, sift_precision: {"value", "low", "high", "n"} each.

    Returns:
        what, paper, ours, low, high, n, unit, remark. NaN where there is no figure: nothing is made up, and a remark
        says "not measured yet", or that the collection is too small. The interval is ours.
    """
    found = _of_mapping(reproduction)
    sizes = our_sizes(reproduction)
    rows = []
    for figure in FIGURES:
        if figure is CLASSIFICATION:
            accuracy = _of_mapping(_of_mapping(evaluation).get("classification")).get("accuracy")
            ours = _measured(accuracy, "our accuracy on the collection's test pictures")
        elif figure is TRAINING_TIME:
            ours = _training(runs)
        elif figure.items:
            same = sizes[sizes["items"] == figure.items].to_dict("records")
            ours = _measured(same[-1] if same else None, "ours at the same size")
            if not same and len(sizes) and figure.items > sizes["items"].max():
                ours["remark"] = TOO_LARGE
        else:
            ours = _measured(found.get(figure.key), "ours on this project's pictures and machine")
        rows.append({"what": figure.what, "paper": figure.value, "unit": figure.unit} | ours)
    known = {figure.items for figure in RETRIEVAL}
    for point in sizes[~sizes["items"].isin(known)].to_dict("records"):
        what = f"Retrieval precision, {int(point['items']):,} pictures"
        ours = _measured(point, "ours; the paper's figure at this size is not at hand")
        rows.append({"what": what, "paper": None, "unit": SHARE} | ours)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(dict.fromkeys(("paper", "ours", *INTERVAL), float))


def sizes() -> pd.DataFrame:
    """The paper's retrieval precision by size, as far as it is known: items, value."""
    return pd.DataFrame([{"items": figure.items, "value": figure.value} for figure in RETRIEVAL])


def our_sizes(reproduction: Mapping[str, Any] | None) -> pd.DataFrame:
    """Our retrieval precision by size: items, value, low, high, n; empty before it was measured."""
    points = _of_mapping(reproduction).get(SIZES_KEY)
    rows = []
    for point in points if isinstance(points, list) else []:
        items, precision, *others = (_number(_of_mapping(point).get(key)) for key in ("items", "precision", *INTERVAL))
        if items is not None and precision is not None:
            rows.append([items, precision, *others])
    table = pd.DataFrame(rows, columns=["items", "value", *INTERVAL]).astype(float)
    return table.astype({"items": int}).sort_values("items", ignore_index=True)


def searches(reproduction: Mapping[str, Any] | None) -> pd.DataFrame:
    """Searches in the category and direct ones by the number of items: table 4.

    Returns:
        items, synthetic, way ("in_category" or "direct"), seconds of the search alone, end_to_end, precision, recall
        against the exact neighbours where it searched; empty before it was measured.
    """
    found = _of_mapping(reproduction).get("searches")
    rows = []
    for one in found if isinstance(found, list) else []:
        for way in ("in_category", "direct"):
            its = _of_mapping(_of_mapping(one).get(way))
            keys = ("search_seconds", "seconds", "precision_at_20", "recall_at_20")
            figures = [_number(_of_mapping(its.get(key)).get("value")) for key in keys]
            if None not in figures:
                rows.append([int(one["items"]), bool(one.get("synthetic")), way, *figures])
    columns = ["items", "synthetic", "way", "seconds", "end_to_end", "precision", "recall"]
    return pd.DataFrame(rows, columns=columns)


def features(reproduction: Mapping[str, Any] | None) -> pd.DataFrame:
    """Classification by kind of features, ours first: table 3.

    Returns:
        name, value with its interval low to high, n; empty before it was measured.
    """
    sift = _of_mapping(_of_mapping(reproduction).get("sift"))
    methods = sift.get("methods")
    rows = []
    for one in (sift.get("cnn"), *(methods if isinstance(methods, list) else [])):
        value, *others = (
            _number(_of_mapping(_of_mapping(one).get("accuracy")).get(key)) for key in ("value", *INTERVAL)
        )
        if value is not None:
            rows.append([str(_of_mapping(one).get("name")), value, *others])
    return pd.DataFrame(rows, columns=["name", "value", *INTERVAL])


def _training(runs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    for run in runs:
        settings, result = _of_mapping(run.get("settings")), _of_mapping(run.get("result"))
        seconds = _number(result.get("seconds"))
        if run.get("kind") == "category-cnn" and settings.get("epochs") == EPOCHS and seconds is not None:
            return _measured({"value": seconds, "n": 1}, f"our category network's run {run.get('name')}")
    return _measured(None, "")


def _measured(figure: object, remark: str) -> dict[str, Any]:
    """Ours, its interval, sample and a remark."""
    parts = {part: _number(_of_mapping(figure).get(part)) for part in ("value", *INTERVAL)}
    value = parts.pop("value")
    if value is None:
        return {"ours": None, **dict.fromkeys(INTERVAL), "remark": NOT_MEASURED}
    return {"ours": value, **parts, "remark": remark}


def _of_mapping(value: object) -> Mapping[str, Any]:
    """The value where it is a mapping, else an empty one: the files may be of another version."""
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    return float(value) if usable else None  # type: ignore[arg-type]
