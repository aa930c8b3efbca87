"""Cards: a figure with its title, unit and explanation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from ui.shared import csv


@dataclass(frozen=True)
class Kind:
    """One figure of buckets.

    Attributes:
        title: its name.
        written: how it is written.
        in_charts: the same in d3's words.
        meaning: what it says, for somebody who learns about hashing.
        better: 1 where more is better, -1 where less is, 0 where it depends.
        short: its name on a card, where `title` is too long for a phone.
    """

    title: str
    written: str
    in_charts: str
    meaning: str
    better: int = 0
    short: str = ""


KINDS = {
    "items": Kind("Items", "{:,.0f}", ",.0f", "Pictures in the category."),
    "key_bits": Kind(
        "Key bits",
        "{:.0f}",
        ",.0f",
        "The first bits of a picture’s hash code are its key: pictures with one key lie in one bucket. "
        "One bit more halves the buckets, on average.",
    ),
    "possible": Kind("Buckets", "{:,.0f}", ",.0f", "Possible buckets: 2 to the power of the key’s bits."),
    "used": Kind("In use", "{:,.0f}", ",.0f", "Buckets that hold at least one picture."),
    "largest": Kind(
        "Largest", "{:,.0f}", ",.0f", "Pictures in the fullest bucket: the most that one bucket costs a search.", -1
    ),
    "median": Kind("Median", "{:,.0f}", ",.1f", "Half of the buckets in use hold fewer pictures than this, half more."),
    "empty_share": Kind(
        "Empty",
        "{:.1%}",
        ".1%",
        "Share of the possible buckets that hold nothing: bits of the key that are wasted.",
        -1,
    ),
    "gini": Kind(
        "Unevenness",
        "{:.2f}",
        ".2f",
        "The Gini coefficient of the buckets’ sizes: 0 when all hold the same, near 1 when one holds everything.",
        -1,
    ),
    "expected_candidates": Kind(
        "Expected candidates",
        "{:,.0f}",
        ",.0f",
        "Expected candidates of a query: how many pictures lie in its bucket, where queries fall as the pictures do, "
        "Σ n² / N over bucket sizes n. With perfectly even buckets it would be N / buckets.",
        -1,
        "Candidates",
    ),
    "n_probes": Kind(
        "Buckets probed", "{:,.0f}", ",.0f", "Buckets that a search looks into; 0 where it scans the whole category."
    ),
}


def show(figures: Any, key: str, across: int) -> None:
    """A card for each of the kinds that the figures have as an attribute, `across` in a row where they fit."""
    with st.grid(across, min_column_width=130, gap="small", key=key):
        for name in KINDS:
            if hasattr(figures, name):
                card(name, getattr(figures, name))


def card(name: str, value: float, before: float | None = None) -> None:
    """One figure; where it was another before, with the difference."""
    kind = KINDS[name]
    if before is None:
        st.metric(
            kind.short or kind.title, kind.written.format(value), help=kind.meaning, border=True, height="stretch"
        )
    else:
        difference(kind.short or kind.title, value, before, kind.written, kind.better, kind.meaning)


def difference(title: str, value: float, before: float, written: str, better: int, meaning: str) -> None:
    """A figure, what it is today, and the difference in the colour of better or worse."""
    words = written.format(abs(value - before))
    changed = written.format(value) != written.format(before)
    st.metric(
        title,
        written.format(value),
        f"{'+' if value > before else '-'}{words} from {written.format(before)}" if changed else "as today",
        delta_color={0: "off", 1: "normal", -1: "inverse"}[better] if changed else "off",
        delta_arrow="auto" if changed else "off",
        help=meaning,
        border=True,
        height="stretch",
    )


def heading(words: str, meaning: str, frame: pd.DataFrame, name: str) -> None:
    """What stands above a chart: its name, what it says, and its figures to take away."""
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown(f"**{words}**", help=meaning, width="stretch")
        csv.csv_button(frame, name, f"csv_{name}")


def columns() -> Mapping[str, Any]:
    """How a table writes the figures."""
    formats = {"empty_share": "percent", "gini": "%.3f", "median": "%.1f", "expected_candidates": "%.1f"}
    return {
        name: st.column_config.NumberColumn(kind.title, help=kind.meaning, format=formats.get(name, "localized"))
        for name, kind in KINDS.items()
    }


def figure(name: str, value: str, remark: str) -> None:
    """One figure on a card."""
    st.metric(name, value, remark, delta_color="off", delta_arrow="off", border=True, height="stretch")
