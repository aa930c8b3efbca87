"""An evaluation's figures as plain tables; a figure that the file lacks is a row or a table less."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from fashion16.estimate import Figure

Report = Mapping[str, Any]
PRECISION, RECALL = "precision", "recall"
IN_CATEGORY, DIRECT = "in its category", "in everything"
WAYS = {"in_category": IN_CATEGORY, "direct": DIRECT}
MEASURES = {
    ("retrieval", "precision_at_20"): "Same label in 20",
    ("retrieval", "map_at_20"): "In good order (mAP)",
    ("instances", "recall_at_1"): "Copy found first",
    ("instances", "recall_at_20"): "Copy found in 20",
}
STEPS = {"prepare": "Prepare the photo", "encode": "Encode", "classify": "Classify", "search": "Search"}
AS_SERVED = "as served"


def stamp(report: Report) -> dict[str, str]:
    """When the evaluation was made and of what: date, encoder, head, labels."""
    parts = {
        "measured": _date(str(report.get("measured_at", ""))),
        "encoder": str(report.get("encoder_digest", ""))[:8],
        "classifier": str(report.get("head_digest", ""))[:8],
        "labels": f"revision {report['label_revision']}" if "label_revision" in report else "",
    }
    return {name: text for name, text in parts.items() if text}


def stamped(frame: pd.DataFrame, report: Report) -> pd.DataFrame:
    """The table with what it was measured of in each row, so that it can stand alone."""
    return frame.assign(**stamp(report))


def dig(report: object, *keys: str) -> Any:
    """What lies under these keys; None where one of them is missing."""
    for key in keys:
        report = report.get(key) if isinstance(report, Mapping) else None
    return report


def confusion(classification: object, categories: Iterable[str]) -> pd.DataFrame:
    """Counts, a row a label and a column a predicted category; empty where the file has none that fit."""
    names = [str(name) for name in categories]
    counts = dig(classification, "confusion")
    if not isinstance(counts, list) or [len(row) for row in counts] != [len(names)] * len(names):
        return pd.DataFrame()
    return pd.DataFrame(np.array(counts, np.int64), index=names, columns=names)


def mistakes(counts: pd.DataFrame) -> pd.DataFrame:
    """What was taken for what: label, predicted, pictures, share (of the label's pictures); the most frequent first."""
    labels, predicted = np.nonzero(counts.to_numpy() * (1 - np.eye(len(counts), dtype=np.int64)))
    values = counts.to_numpy()
    pictures = values[labels, predicted]
    table = pd.DataFrame(
        {
            "label": counts.index[labels],
            "predicted": counts.columns[predicted],
            "pictures": pictures,
            "share": pictures / values.sum(axis=1)[labels],
        }
    )
    return table.sort_values(["pictures", "share"], ascending=False, kind="stable", ignore_index=True)


def most_confused(counts: pd.DataFrame, most: int) -> pd.DataFrame:
    """The rows and columns of the categories with the most mistakes, at most `most`, in their order."""
    if len(counts) <= most:
        return counts
    values = counts.to_numpy()
    wrong = values.sum(axis=0) + values.sum(axis=1) - 2 * values.diagonal()
    kept = np.sort(np.argsort(-wrong, kind="stable")[:most])
    return counts.iloc[kept, kept]


def categories(classification: object) -> pd.DataFrame:
    """Precision and recall of each category: category, measure, value, low, high, n; the weakest category first."""
    found = dig(classification, "categories")
    rows = [
        {"category": str(name), "measure": measure, "f1": _number(dig(parts, "f1"))} | figure
        for name, parts in (found.items() if isinstance(found, Mapping) else ())
        for measure in (PRECISION, RECALL)
        if (figure := figure_of(dig(parts, measure)))
    ]
    return _table(rows, "category", "measure", "f1").sort_values(
        ["f1", "category", "measure"], kind="stable", ignore_index=True
    )


def calibration(classification: object) -> pd.DataFrame:
    """How often answers of a confidence were right: confidence, value, low, high (Wilson), n."""
    curve = dig(classification, "calibration", "curve")
    rows = []
    for point in curve if isinstance(curve, list) else ():
        n, confidence, accuracy = (dig(point, key) for key in ("n", "confidence", "accuracy"))
        if n:
            rows.append({"confidence": confidence} | vars(Figure.share(round(accuracy * n), int(n))))
    return _table(rows, "confidence")


def retrieval(report: object) -> pd.DataFrame:
    """How good what is found is: measure, way, value, low, high, n."""
    rows = [
        {"measure": name, "way": WAYS[way]} | figure
        for (group, key), name in MEASURES.items()
        for way in WAYS
        if (figure := figure_of(dig(report, group, way, key)))
    ]
    return _table(rows, "measure", "way")


def recall(report: Report) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Recall against exact search, by probes and by bits: setting, candidates, value, low, high, n."""
    points = report.get("index")
    rows: list[dict[str, Any]] = [
        {"n_bits": dig(point, "n_bits"), "n_probes": dig(point, "n_probes"), "candidates": dig(point, "candidates")}
        | figure
        for point in (points if isinstance(points, list) else ())
        if (figure := figure_of(dig(point, "recall_at_20")))
    ]
    bits = rows[0]["n_bits"] if rows else None  # the served index comes first
    by_probes = [
        {"setting": AS_SERVED if row["n_probes"] is None else f"{row['n_probes']:,}"} | row
        for row in rows
        if row["n_bits"] == bits
    ]
    by_bits = [{"setting": f"{row['n_bits']:,}"} | row for row in rows if row["n_probes"] is None]
    by_bits.sort(key=lambda row: row["n_bits"])
    columns = ("setting", "n_bits", "n_probes", "candidates")
    return _table(by_probes, *columns), _table(by_bits, *columns)


def few_labels(report: Report) -> pd.DataFrame:
    """Accuracy of a head of few labelled pictures: per_category, value, low, high, n."""
    points = report.get("few_labels")
    rows = [
        {"per_category": dig(point, "per_category")} | figure
        for point in (points if isinstance(points, list) else ())
        if (figure := figure_of(dig(point, "accuracy")))
    ]
    return _table(rows, "per_category")


def speed(report: Report) -> pd.DataFrame:
    """Milliseconds of each step of a search: step, median_ms, p95_ms, n."""
    rows = [
        {"step": name, "median_ms": float(median), "p95_ms": _number(dig(report, "speed", step, "p95_ms"))}
        | {"n": _number(dig(report, "speed", "n"))}
        for step, name in STEPS.items()
        if (median := _number(dig(report, "speed", step, "median_ms"))) is not None
    ]
    return pd.DataFrame(rows, columns=["step", "median_ms", "p95_ms", "n"])


def figure_of(value: object) -> dict[str, float]:
    """A figure's value, low, high and n; empty where it is none."""
    parts = {key: _number(dig(value, key)) for key in ("value", "low", "high", "n")}
    return {} if parts["value"] is None else {key: np.nan if part is None else part for key, part in parts.items()}


def _table(rows: list[dict[str, Any]], *columns: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*columns, "value", "low", "high", "n"])


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _date(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"
