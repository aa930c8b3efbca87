"""The buckets of each category in figures, and those of the whole collection beside them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.explore import buckets
from fashion16.explore.buckets import BucketFigures
from ui.explorer import bucket_charts, categories
from ui.shared import cards, csv

# their sums over all categories say nothing about one of them
APART = ("items", "possible", "used", "n_probes")


def show(collection: Collection) -> None:
    """A chart of the categories, cards for the whole, and a table; a click on a category opens its buckets."""
    index = collection.searcher.index
    table, whole = buckets.overview(index), buckets.whole(index)
    st.caption(
        "Each category has a hash index of its own: the first bits of a picture’s code, its key, name the bucket that "
        "it lies in. Click a bar or a row to look into a category."
    )
    left, right = st.columns(2, gap="large")
    with left:
        st.fragment(_chart)(table, whole)
    with right:
        st.markdown(f"**The whole collection** · {len(table):,} categories")
        cards.show(whole, "whole", 3)
    _table(collection, table)


def _chart(table: pd.DataFrame, whole: BucketFigures) -> None:
    if st.session_state.pop("category_clicked", False):
        st.rerun()  # the whole page, for it is another view now
    names = [name for name in cards.KINDS if name in table]
    chosen = str(
        st.selectbox(
            "Bars show",
            names,
            index=names.index("expected_candidates"),
            key="bars",
            bind="query-params",
            width=260,
            format_func=lambda name: cards.KINDS[name].title,
        )
    )
    kind = cards.KINDS[chosen]
    line = None if chosen in APART else float(getattr(whole, chosen))
    shown = bucket_charts.shown_bars(table, chosen)
    st.plotly_chart(
        bucket_charts.category_bars(table, chosen, kind.title, kind.in_charts, line),
        key="overview_bars",
        config={"displayModeBar": False},
        on_select=_bar_clicked,
        selection_mode="points",
        alt=f"{kind.title} of each category: "
        + ", ".join(f"{name} {value:,.4g}" for name, value in zip(shown["category"], shown[chosen], strict=True)),
    )
    st.session_state.bars_shown = shown["category"].tolist()
    more = (
        "" if len(shown) == len(table) else f" The first {len(shown)} of {len(table):,} categories; the table has all."
    )
    dashed = "" if line is None else f" Dashed: the whole collection, {kind.written.format(line)}."
    st.caption(f"{kind.meaning}{dashed}{more}")


def _table(collection: Collection, table: pd.DataFrame) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**All categories**: a click on a heading sorts", width="stretch")
        csv.csv_button(table, f"{collection.name}-buckets-by-category", "overview_csv")
    st.session_state.rows_shown = table["category"].tolist()
    st.dataframe(
        table,
        key="overview_table",
        hide_index=True,
        width="stretch",
        on_select=_row_clicked,
        selection_mode="single-row",
        column_config={"category": st.column_config.TextColumn("Category", pinned=True), **cards.columns()},
    )


def _bar_clicked() -> None:
    """Open the category of a bar (a callback)."""
    for point in st.session_state.overview_bars.selection.points:
        _open(st.session_state.bars_shown[round(point["y"])])


def _row_clicked() -> None:
    """Open the category of a row (a callback)."""
    for row in st.session_state.overview_table.selection.rows:
        _open(st.session_state.rows_shown[row])


def _open(name: str) -> None:
    categories.forget()
    st.session_state.category, st.session_state.view = name, categories.BUCKETS
    st.query_params["category"] = name  # the choice of a category is not on the page yet, so it cannot say it itself
    st.session_state.category_clicked = True
