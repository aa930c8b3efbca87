"""What every section of an evaluation has: a heading with its date and table, and charts that may be clicked."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from fashion16.evaluation.figures import Evaluation
from ui.metrics import quality_tables
from ui.shared import csv
from ui.shared import text as gallery

NO_BAR = {"displayModeBar": False}
CLICKED = "clicked_chart"


def heading(words: str, frame: pd.DataFrame, name: str, report: Evaluation) -> None:
    """A section's heading, with when and of what its figures are, and the table to take away under a name."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"#### {words}", width="content")
        csv.csv_button(quality_tables.stamped(frame, report), name, key=f"csv_{name}")
    st.caption(standing(report))


def standing(report: Evaluation) -> str:
    """When the figures were measured and of what, as Markdown."""
    stamp = quality_tables.stamp(report)
    words = [stamp.pop("measured", ""), *(f"{name} {text}" for name, text in stamp.items())]
    return " · ".join(gallery.plain(part) for part in words if part)


def draw(figure: go.Figure, key: str, alt: str, words: str = "") -> None:
    """A chart, with what it says in words below."""
    st.plotly_chart(figure, key=key, config=NO_BAR, alt=alt)
    if words:
        st.caption(words)


def ask(figure: go.Figure, key: str, alt: str, words: str) -> list[Any] | None:
    """The same, and the `customdata` of the point that was clicked just now; None where none was."""
    event = st.plotly_chart(
        figure, key=key, config=NO_BAR, on_select=partial(note, key), selection_mode="points", alt=alt
    )  # fmt: skip
    st.caption(words)
    points = event["selection"]["points"] if is_new(key) else []
    found = points[0].get("customdata") if points else None
    return list(found) if isinstance(found, list | tuple) else None


def note(key: str) -> None:
    """Something was picked in the widget with this key (a callback)."""
    st.session_state[CLICKED] = key


def is_new(key: str) -> bool:
    """Whether something was picked in this widget just now: once for each time, however long it stays picked."""
    return st.session_state.get(CLICKED) == key and bool(st.session_state.pop(CLICKED))
