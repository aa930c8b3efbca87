"""Where to search: the predicted category, or another choice of the person's."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.search.searcher import Classified
from ui.shared.text import plain

# the options as they stand in the URL, too
PREDICTED, SECOND, ALL, CHOOSE = "Predicted", "Second guess", "All categories", "Choose"


@dataclass(frozen=True)
class Scope:
    """The categories to search in, None for the predicted one, and whether to hide near-duplicates."""

    categories: tuple[str, ...] | None
    hide_near_duplicates: bool


def choose(collection: Collection, classified: Classified) -> Scope:
    """Let the person choose where to search."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        where = st.segmented_control(
            "Search in",
            (PREDICTED, SECOND, ALL, CHOOSE),
            default=PREDICTED,
            required=True,
            key="scope",
            bind="query-params",
            label_visibility="collapsed",
            wrap=True,
        )
        hide = st.toggle(
            "Hide near-duplicates",
            key="hide",
            bind="query-params",
            help="Leaves out pictures that are nearly the same as yours or as a better result.",
        )
    categories = _categories(collection, classified, where)
    return Scope(categories, hide)


def _categories(collection: Collection, classified: Classified, where: str | None) -> tuple[str, ...] | None:
    there = collection.searcher.index.categories
    if where == SECOND:
        # the head may know categories that have no items here
        return tuple(name for name in classified.probabilities if name in there)[1:2] or None
    if where == ALL:
        return there
    if where == CHOOSE:
        chosen = st.pills(
            "Categories",
            there,
            format_func=plain,  # a name is foreign text, and pills read Markdown
            selection_mode="multi",
            key="in",
            bind="query-params",
            label_visibility="collapsed",
            wrap=True,
        )
        if not chosen:
            st.caption("Choose one category or more; until then this is the predicted one.")
        return tuple(chosen) or None
    return None
