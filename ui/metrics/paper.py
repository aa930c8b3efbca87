"""The paper beside us: its figures, and ours where they were measured."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from fashion16.collections.layout import Layout
from fashion16.collections.opened import Collection
from fashion16.evaluation import paper, report, reproduction
from fashion16.evaluation.reproduction import Reproduction
from fashion16.training.run_settings import CATEGORY_CNN
from fashion16.training.runs import runs_in
from ui.metrics import paper_charts
from ui.metrics.quality_sections import draw
from ui.shared import csv


def show(collection: Collection) -> None:
    """Charts and a table of both, and what makes them hard to compare."""
    layout = collection.stored.layout
    measured, found = report.kept(collection.stored), reproduction.read(layout.reproduction_file)
    accuracy = measured.classification.accuracy if measured else None
    table = paper.beside_us(accuracy, _trainings(layout), found)
    st.caption(
        "Chen, He, Zheng, “Clothing image retrieval method based on deep learning”, Computer Systems & Applications "
        "28(3), 2019, [doi 10.15888/j.cnki.csa.006826](https://doi.org/10.15888/j.cnki.csa.006826)"
    )
    st.info(
        "Both columns follow the same method, but **not on the same data, machine or network**: the paper trained a "
        "VGG‑16 on its own photos of clothes. Read the figures beside each other, not as a race.",
        icon=":material/compare_arrows:",
    )
    shares, seconds = table[table["unit"] == paper.SHARE], table[table["unit"] == paper.QUERY]
    single = shares[~shares["what"].str.startswith("Retrieval")]
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("#### How often it is right")
        draw(
            paper_charts.beside(single, shares=True), "paper_shares", "Precision, the paper’s and ours.",
            "The category guessed for a photo: by the network’s features, and by SIFT, which were drawn up by hand.",
        )  # fmt: skip
    with right:
        st.markdown("#### Retrieval precision by size")
        draw(
            paper_charts.by_size(paper.sizes(), paper.our_sizes(found)), "paper_sizes",
            "Retrieval precision by the number of pictures, the paper’s and ours.",
            "Of the paper’s sizes the first and the last are known here; the dotted line only joins them."
            + ("" if found else " Ours by size is not measured yet."),
        )  # fmt: skip
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("#### How long a search takes")
        draw(
            paper_charts.beside(seconds, shares=False), "paper_seconds", "Seconds a search, the paper’s and ours.",
            "Classified first and searched in its category, against searched in everything at once.",
        )  # fmt: skip
    with right:
        st.markdown("#### How long 20 epochs take")
        training = table[table["unit"] == paper.TRAINING]
        draw(
            paper_charts.beside(training, shares=False), "paper_training", "Seconds of training, the paper’s and ours.",
            "Ours is the newest finished run of the category network with as many epochs.",
        )  # fmt: skip
    _experiments(found)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown("#### All of it", width="content")
        csv.csv_button(table, "paper-beside-us", key="csv_paper")
    st.dataframe(
        in_words(table), hide_index=True, width="stretch", key="paper_table",
        column_config={"measured on": st.column_config.TextColumn(width="small")},
    )  # fmt: skip


def _experiments(found: Reproduction | None) -> None:
    """Tables 3 and 4 of the paper, on our data."""
    searches, features = paper.searches(found), paper.features(found)
    if searches.empty and features.empty:
        st.caption("What else the paper tries, SIFT and larger collections, is measured by `make reproduce`.")
        return
    left, right = st.columns(2, gap="large")
    if not searches.empty:
        with left:
            st.markdown("#### Direct, or in the category")
            draw(
                paper_charts.by_items(searches), "paper_searches", "Milliseconds of a search by number of pictures.",
                f"The search alone, without the network’s pass; {searches['recall'].min():.1%} or more of the exact "
                "neighbours are found. " + _synthetic(searches),
            )  # fmt: skip
    if not features.empty:
        with right:
            st.markdown("#### Which features tell categories")
            draw(
                paper_charts.features(features), "paper_features", "Classification by kind of features.",
                "All on the same pictures. Everything in detail: docs/reproduction.md.",
            )  # fmt: skip


def _synthetic(searches: pd.DataFrame) -> str:
    made = searches.loc[searches["synthetic"], "items"]
    return (
        "" if made.empty else f"From {made.min():,} pictures on they are synthetic: real ones’ embeddings, distorted."
    )


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """The table for reading: each figure with its unit, and why there is none of ours."""
    shares = table["unit"] == paper.SHARE
    columns: dict[str, object] = {"what": table["what"]}
    for column, missing in (("paper", ["not known here"] * len(table)), ("ours", table["remark"])):
        columns[column] = [
            paper_charts.amount(value, share) if value == value else words
            for value, share, words in zip(table[column], shares, missing, strict=True)
        ]
    columns["likely between"] = [
        f"{paper_charts.amount(low, share)} – {paper_charts.amount(high, share)}" if low == low and high == high else ""
        for low, high, share in zip(table["low"], table["high"], shares, strict=True)
    ]
    columns["measured on"] = [f"{n:,.0f}" if n == n else "" for n in table["n"]]
    columns["remark"] = table["remark"].where(table["ours"].notna(), "")
    return pd.DataFrame(columns)


def _trainings(layout: Layout) -> list[paper.Training]:
    """The finished runs that are as long as the paper's, the newest first."""
    return [
        paper.Training(run.name, float(run.result["seconds"]))
        for run in runs_in(layout.runs_folder)
        if run.kind == CATEGORY_CNN and run.settings.get("epochs") == paper.EPOCHS and "seconds" in run.result
    ]
