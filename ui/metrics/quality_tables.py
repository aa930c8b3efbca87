"""An evaluation's figures as plain tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from fashion16.estimate import Figure
from fashion16.evaluation.figures import Classification, Evaluation, IndexRecall

PRECISION, RECALL = "precision", "recall"
IN_CATEGORY, DIRECT = "in its category", "in everything"
STEPS = {"prepare": "Prepare the photo", "encode": "Encode", "classify": "Classify", "search": "Search"}
AS_SERVED = "as served"


def stamp(report: Evaluation) -> dict[str, str]:
    """When the evaluation was made and of what: date, encoder, head, labels."""
    parts = {
        "measured": _date(report.measured_at),
        "encoder": report.encoder_digest[:8],
        "classifier": (report.head_digest or "")[:8],
        "labels": f"revision {report.label_revision}",
    }
    return {name: text for name, text in parts.items() if text}


def stamped(frame: pd.DataFrame, report: Evaluation) -> pd.DataFrame:
    """The table with what it was measured of in each row, so that it can stand alone."""
    return frame.assign(**stamp(report))


def confusion(report: Evaluation) -> pd.DataFrame:
    """Counts, a row a label and a column a predicted category; empty where they do not fit the categories."""
    names, counts = report.categories, report.classification.confusion
    if [len(row) for row in counts] != [len(names)] * len(names):
        return pd.DataFrame()
    return pd.DataFrame(np.array(counts, np.int64).reshape(len(names), len(names)), index=names, columns=names)


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


def categories(classification: Classification) -> pd.DataFrame:
    """Precision and recall of each category: category, measure, value, low, high, n; the weakest category first."""
    rows = [
        {"category": name, "measure": measure, "f1": parts.f1} | vars(figure)
        for name, parts in classification.categories.items()
        for measure, figure in ((PRECISION, parts.precision), (RECALL, parts.recall))
        if figure
    ]
    return _table(rows, "category", "measure", "f1").sort_values(
        ["f1", "category", "measure"], kind="stable", ignore_index=True
    )


def calibration(classification: Classification) -> pd.DataFrame:
    """How often answers of a confidence were right: confidence, value, low, high (Wilson), n."""
    rows = [
        {"confidence": point.confidence} | vars(Figure.share(round(point.accuracy * point.n), point.n))
        for point in classification.calibration.curve
        if point.n
    ]
    return _table(rows, "confidence")


def retrieval(report: Evaluation) -> pd.DataFrame:
    """How good what is found is: measure, way, value, low, high, n."""
    inside, directly = report.retrieval.in_category, report.retrieval.direct
    copies_inside, copies_directly = report.instances.in_category, report.instances.direct
    measures = {
        "Same label in 20": (inside.precision_at_20, directly.precision_at_20),
        "In good order (mAP)": (inside.map_at_20, directly.map_at_20),
        "Copy found first": (copies_inside.recall_at_1, copies_directly.recall_at_1),
        "Copy found in 20": (copies_inside.recall_at_20, copies_directly.recall_at_20),
    }
    rows = [
        {"measure": name, "way": way} | vars(figure)
        for name, figures in measures.items()
        for way, figure in zip((IN_CATEGORY, DIRECT), figures, strict=True)
    ]
    return _table(rows, "measure", "way")


def recall(report: Evaluation) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Recall against exact search, by probes and by bits: setting, candidates, value, low, high, n."""
    points = report.index

    def row(setting: str, point: IndexRecall) -> dict[str, object]:
        settings = {"n_bits": point.n_bits, "n_probes": point.n_probes, "candidates": point.candidates}
        return {"setting": setting} | settings | vars(point.recall_at_20)

    by_probes = [
        row(AS_SERVED if point.n_probes is None else f"{point.n_probes:,}", point)
        for point in points
        if point.n_bits == points[0].n_bits  # the served index comes first
    ]
    unlimited = sorted((point for point in points if point.n_probes is None), key=lambda point: point.n_bits)
    by_bits = [row(f"{point.n_bits:,}", point) for point in unlimited]
    columns = ("setting", "n_bits", "n_probes", "candidates")
    return _table(by_probes, *columns), _table(by_bits, *columns)


def few_labels(report: Evaluation) -> pd.DataFrame:
    """Accuracy of a head of few labelled pictures: per_category, value, low, high, n."""
    rows = [{"per_category": point.per_category} | vars(point.accuracy) for point in report.few_labels]
    return _table(rows, "per_category")


def speed(report: Evaluation) -> pd.DataFrame:
    """Milliseconds of each step of a search: step, median_ms, p95_ms, n; empty where an old version did not measure."""
    taken = report.speed
    rows = (
        [{"step": name} | vars(getattr(taken, step)) | {"n": taken.n} for step, name in STEPS.items()] if taken else []
    )
    return pd.DataFrame(rows, columns=["step", "median_ms", "p95_ms", "n"])


def _table(rows: Sequence[dict[str, object]], *columns: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*columns, "value", "low", "high", "n"])


def _date(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"
