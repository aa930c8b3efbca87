"""Pictures picked on one page and sent to another."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.errors import Fashion16Error
from fashion16.labels.selections import Selection, Selections

CORRECT_LABELS = "pages/2_Correct_labels.py"


def send_button(collection: Collection, title: str, ids: Iterable[int], key: str, words: str = "") -> None:
    """A button that opens exactly these items on the Correct labels page, under a title of plain text."""
    chosen = [int(item_id) for item_id in ids]
    pictures = f"{len(chosen):,} picture{'' if len(chosen) == 1 else 's'}"
    if st.button(words or f"Open {pictures} in Correct labels", icon=":material/label:", key=key, disabled=not chosen):
        send(collection, title, chosen)


def send(collection: Collection, title: str, ids: Iterable[int]) -> None:
    """Open exactly these items on the Correct labels page; ends this page's run."""
    try:
        selection = _of(collection).keep(title, ids)
    except Fashion16Error as error:
        st.error(str(error), icon=":material/error:")
        return
    # exactly those, so no other filter may hide one: test pictures and decided ones are shown, too. Parameters that
    # this page binds may not be set here; the session keeps the collection, and the page begins with the grid.
    st.switch_page(CORRECT_LABELS, query_params={"selection": selection.name, "test_too": "true", "status": "All"})


def named(collection: Collection, name: str) -> Selection:
    """The selection that a link names.

    Raises:
        DataError: it is not kept any more.
    """
    return _of(collection).of(name)


def _of(collection: Collection) -> Selections:
    return Selections(collection.stored.selections_folder)
