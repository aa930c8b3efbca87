"""What is taken for what: charts of mistakes, where a click opens exactly the pictures that it means."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.evaluation.figures import Evaluation
from fashion16.evaluation.metrics import Ids
from fashion16.evaluation.report import confused
from fashion16.search.head import BINS
from ui.metrics import quality_charts, quality_tables
from ui.metrics.quality_sections import ask, heading, is_new, note
from ui.metrics.quality_tables import PRECISION, RECALL
from ui.shared import selection

COUNTS, SHARES = "Counts", "Shares"
MATRIX, CATEGORIES = 40, 40  # more are not read on a chart; the tables have all


def confusion(collection: Collection, report: Evaluation, pictures: pd.DataFrame | None) -> None:
    """The confusion matrix and its mistakes as a table; a cell or a row opens its pictures."""
    counts = quality_tables.confusion(report)
    if counts.empty:
        return
    whole = quality_tables.mistakes(counts)
    heading("What is taken for what", whole, "confusions", report)
    shown = quality_tables.most_confused(counts, MATRIX)
    cells = st.segmented_control(
        "Cells", (COUNTS, SHARES), default=COUNTS, required=True, key="cells", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    left, right = st.columns([3, 2], gap="medium")
    fewer = f" The {len(shown)} categories with the most mistakes of {len(counts):,}." if len(counts) > MATRIX else ""
    with left:
        cell = ask(
            quality_charts.confusion(shown, cells == SHARES, counts.loc[shown.index].sum(axis=1).to_numpy()),
            f"confusion_{cells}",
            f"Confusion matrix of {len(shown)} categories; the table beside it has its mistakes.",
            "A row is a label, a column what was predicted: grey is right, red is wrong, the stronger the larger a "
            f"share of the label.{fewer} Click a cell to open its pictures in Correct labels.",
        )
    with right:
        st.markdown("**The most frequent mistakes**")
        chosen = st.dataframe(
            whole, hide_index=True, width="stretch", height=min(420, 36 * (len(whole) + 1) + 2), key="mistakes",
            on_select=partial(note, "mistakes"), selection_mode="single-row",
            column_config={
                "share": st.column_config.NumberColumn("of the label", format="percent"),
                "pictures": st.column_config.NumberColumn(format="localized"),
            },
        )  # fmt: skip
        st.caption("Tick a row to open its pictures.")
    if cell:
        open_cell(collection, pictures, shown.index[int(cell[0])], shown.columns[int(cell[1])])
    elif is_new("mistakes") and (rows := chosen["selection"]["rows"]):
        row = whole.iloc[rows[0]]
        open_cell(collection, pictures, row["label"], row["predicted"])


def open_cell(collection: Collection, pictures: pd.DataFrame | None, label: str, predicted: str) -> None:
    """Open exactly a cell's pictures in Correct labels."""
    _open(collection, pictures, f"{label}, predicted {predicted}", lambda rows: confused(rows, label, predicted))


def _open(
    collection: Collection, pictures: pd.DataFrame | None, title: str, which: Callable[[pd.DataFrame], Ids]
) -> None:
    """Open those of the test pictures in Correct labels."""
    if pictures is None:
        st.toast(
            "Which pictures these are was not kept. Press “Evaluate now”, then click again.", icon=":material/info:"
        )
    elif not len(ids := which(pictures)):
        st.toast("There are no such pictures.", icon=":material/info:")
    else:
        selection.send(collection, title, ids)


def _surest_first(rows: pd.DataFrame) -> Ids:
    """The ids (n,), the most confident mistakes first."""
    ids: Ids = rows.sort_values("confidence", ascending=False, kind="stable")["id"].to_numpy()
    return ids


def categories(collection: Collection, report: Evaluation, pictures: pd.DataFrame | None) -> None:
    """Precision and recall of each category; a point opens its mistakes."""
    table = quality_tables.categories(report.classification)
    if table.empty:
        return
    heading("Category by category", table, "categories", report)
    names = list(dict.fromkeys(table["category"]))[:CATEGORIES]
    shown = table[table["category"].isin(names)]
    fewer = f" The {len(names)} weakest of {table['category'].nunique():,}." if len(names) == CATEGORIES else ""
    point = ask(
        quality_charts.dots(shown, "category", "measure"),
        "category_dots",
        "Precision and recall of each category, the weakest first, with 95 % intervals.",
        f"The weakest on top.{fewer} **Precision**: how many of the pictures given this category carry its label. "
        "**Recall**: how many of the pictures with its label are given the category. The line is the 95 % interval. "
        "Click a point to open its mistakes.",
    )
    if point:
        name, measure = str(point[0]), point[1]
        if measure == PRECISION:
            _open(
                collection, pictures, f"Predicted {name}, labelled otherwise",
                lambda rows: _surest_first(rows[(rows["predicted"] == name) & (rows["label"] != name)]),
            )  # fmt: skip
        elif measure == RECALL:
            _open(
                collection, pictures, f"{name}, predicted otherwise",
                lambda rows: _surest_first(rows[(rows["label"] == name) & (rows["predicted"] != name)]),
            )  # fmt: skip


def calibration(collection: Collection, report: Evaluation, pictures: pd.DataFrame | None) -> None:
    """How far its confidence can be trusted; a point opens its mistakes."""
    curve = quality_tables.calibration(report.classification)
    if curve.empty:
        return
    heading("Is its confidence right?", curve, "calibration", report)
    point = ask(
        quality_charts.calibration(curve), "calibration", "Confidence against how often it was right.",
        "On the dashed line it is as sure as it is right; below it, it is too sure. Large points are many answers. "
        "Click a point to open its mistakes.",
    )  # fmt: skip
    if point:
        confidence = float(curve["confidence"].iloc[int(point[0])])
        number = _bin_of(confidence)
        title = f"{number / BINS:.0%} to {(number + 1) / BINS:.0%} sure, and wrong"
        _open(collection, pictures, title, lambda rows: wrong_in_bin(rows, confidence))


def wrong_in_bin(pictures: pd.DataFrame, confidence: float) -> Ids:
    """The ids (n,) of the mistakes in the calibration curve's bin that holds a confidence."""
    bins = (pictures["confidence"] * BINS).astype(int).clip(upper=BINS - 1)
    wrong = pictures["label"] != pictures["predicted"]
    return _surest_first(pictures[(bins == _bin_of(confidence)) & wrong])


def _bin_of(confidence: float) -> int:
    return min(int(confidence * BINS), BINS - 1)
