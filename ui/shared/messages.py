"""What a callback has to say: kept until the page is drawn again, and shown once, where the person looks."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from ui.shared import text

Kind = Literal["done", "note", "warning", "problem"]
SHOWN_AS = {
    "done": (st.success, ":material/check:"),
    "note": (st.info, ":material/info:"),
    "warning": (st.warning, ":material/info:"),
    "problem": (st.error, ":material/error:"),
}


def keep(place: str, words: str, kind: Kind = "note") -> None:
    """Say these words at a place of the page when it is drawn next; they may be foreign."""
    st.session_state[_key(place)] = (words, kind)


def show(place: str) -> None:
    """What there is to say at this place, once."""
    words, kind = st.session_state.pop(_key(place), ("", "note"))
    if words:
        element, icon = SHOWN_AS[kind]
        element(text.plain(words).replace("\n", "  \n"), icon=icon)


def _key(place: str) -> str:
    return f"message_{place}"
