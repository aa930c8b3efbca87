"""How good what is served is: an evaluation's figures, each with its interval, and the pictures behind them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.estimate import Figure
from fashion16.evaluation import report as quality
from fashion16.evaluation.figures import Evaluation
from ui.metrics import mistakes, quality_charts, quality_tables
from ui.metrics.quality_sections import draw, heading, standing
from ui.shared import text


def show(collection: Collection) -> None:
    """All figures of the last evaluation, or how to make one."""
    report = quality.kept(collection.stored)
    if report is None:
        st.info(
            "This collection has not been measured yet. Press “Evaluate now”, or run this; it takes minutes:",
            icon=":material/speed:",
        )
        st.code(f"fashion16 evaluate {collection.name}", language="bash")
        return
    _standing(collection, report)
    _cards(report)
    pictures = quality.predictions(collection.stored)
    if pictures is None:
        st.caption(
            ":material/info: This evaluation did not keep which pictures were mistaken. Measure again, and a "
            f"click opens them: `fashion16 evaluate {collection.name}`"
        )
    mistakes.confusion(collection, report, pictures)
    mistakes.categories(collection, report, pictures)
    left, right = st.columns(2, gap="large")
    with left:
        mistakes.calibration(collection, report, pictures)
    with right:
        _retrieval(report)
    left, right = st.columns(2, gap="large")
    with left:
        _few_labels(report)
    with right:
        _speed(report)
    _recall(report)
    _photos(report)


def _standing(collection: Collection, report: Evaluation) -> None:
    """What was measured and when, and what is not today's any more."""
    n = report.classification.accuracy.n
    st.caption(f"{standing(report)} · {n:,} pictures of the {text.plain(report.split)} split")
    if stale := quality.freshness(collection, report):
        st.warning(" ".join(text.plain(sentence) for sentence in stale), icon=":material/history:")


def _cards(report: Evaluation) -> None:
    # the served index comes first
    served = next((point.recall_at_20 for point in report.index if point.n_probes is None), None)
    cards = (
        (
            "Right guesses",
            report.classification.accuracy,
            "The share of pictures with a known label whose category is guessed right.",
        ),
        (
            "Same label in 20",
            report.retrieval.in_category.precision_at_20,
            "Precision@20: the share of a search’s 20 results that carry the searched picture’s label.",
        ),
        (
            "In good order",
            report.retrieval.in_category.map_at_20,
            "mAP@20: as the card before, but what comes first counts more.",
        ),
        (
            "Copy found in 20",
            report.instances.in_category.recall_at_20,
            "A picture is turned, cut and blurred a little: so often the search with this copy finds its original.",
        ),
        (
            "Index finds",
            served,
            "Recall@20: the share of the 20 nearest pictures by exact comparison that the hash index finds.",
        ),
    )
    with st.grid(3, min_column_width=150, gap="small", key="quality_cards"):
        for name, figure, words in cards:
            if figure:
                _card(name, figure, words)
        st.metric(
            "Off in its confidence", f"{report.classification.calibration.expected_error:.1%}", "calibration error",
            delta_color="off", delta_arrow="off", border=True, height="stretch",
            help="When it says 80 %, it should be right in 80 of 100 cases: by so much it is off on average.",
        )  # fmt: skip


def _card(name: str, figure: Figure, words: str) -> None:
    interval = f"{100 * figure.low:.1f}–{figure.high:.1%} · n {figure.n:,}"
    st.metric(
        name, f"{figure.value:.1%}", interval, delta_color="off", delta_arrow="off", border=True,
        height="stretch",
        help=f"{words} Below: where the true share lies in 95 of 100 such measurements, and how many were measured.",
    )  # fmt: skip


def _retrieval(report: Evaluation) -> None:
    table = quality_tables.retrieval(report)
    if table.empty:
        return
    heading("Similar garments", table, "retrieval", report)
    draw(
        quality_charts.dots(table, "measure", "way", row=62), "retrieval", "Retrieval, in the category and direct.",
        "Both ways of searching: first classified and then in its category, or at once in all pictures. A distorted "
        "copy whose category is guessed wrong cannot be found in it.",
    )  # fmt: skip


def _few_labels(report: Evaluation) -> None:
    table = quality_tables.few_labels(report)
    if table.empty:
        return
    heading("With few labels", table, "few-labels", report)
    draw(
        quality_charts.curve(table, "per_category", "labelled pictures a category", "right guesses", numeric=True),
        "few_labels", "Accuracy by labelled pictures a category.",
        "What a small collection can expect: right guesses with only this number of labelled pictures a category.",
    )  # fmt: skip


def _speed(report: Evaluation) -> None:
    table = quality_tables.speed(report)
    if table.empty:
        return
    heading("How fast it answers", table, "speed", report)
    n = table["n"].iloc[0]
    draw(
        quality_charts.speed(table), "speed", "Milliseconds of each step.",
        "Half of all searches are faster than the bar, 95 of 100 are faster than its whisker"
        + (f"; {n:,.0f} searches on the computer that measured." if n == n else "."),
    )  # fmt: skip


def _recall(report: Evaluation) -> None:
    by_probes, by_bits = quality_tables.recall(report)
    if by_probes.empty:
        return
    both = pd.concat([by_probes, by_bits]).drop_duplicates(["n_bits", "n_probes"])
    heading("Index against exact search", both, "index-recall", report)
    left, right = st.columns(2, gap="large")
    with left:
        draw(
            quality_charts.curve(by_probes, "setting", "buckets looked into", "of the true twenty"), "recall_probes",
            "Recall at 20 by probes.",
            "The share of the 20 nearest pictures by exact comparison that is found. More buckets find more, and take "
            "longer; “as served” is what a search does by itself.",
        )  # fmt: skip
    with right:
        if len(by_bits) > 1:
            draw(
                quality_charts.curve(by_bits, "setting", "bits of a code", "of the true twenty"), "recall_bits",
                "Recall at 20 by bits.", "Longer codes separate pictures better, and take more memory.",
            )  # fmt: skip


def _photos(report: Evaluation) -> None:
    photos = report.photos
    if photos is None or photos.ten_classes is None:
        return
    table = quality_tables.categories(photos.ten_classes)
    heading("On people’s own photos", table, "photos", report)
    with st.grid(3, min_column_width=150, gap="small", key="photo_cards"):
        for name, figure, words in (
            (
                "Right guesses",
                photos.ten_classes.accuracy,
                "A classifier of its own for the ten classes of the public clothing data set’s photos.",
            ),
            (
                "This classifier’s guesses",
                photos.counterparts.accuracy,
                "This collection’s classifier on these photos, where its categories may mean the same garment.",
            ),
            (
                "… or its second",
                photos.counterparts.accuracy_of_two_guesses,
                "The first or the second guess is right.",
            ),
        ):
            _card(name, figure, words)
    draw(
        quality_charts.dots(table, "category", "measure"), "photo_dots", "Precision and recall by class of photos.",
        "Such photos are harder than a shop’s, and there are fewer of them: the intervals are wide.",
    )  # fmt: skip
