"""Keys that mean what is written on the buttons, whatever was clicked before."""

from __future__ import annotations

import streamlit as st

# A button that was clicked keeps the focus, and the space bar would click it again: after an "Exclude" by the mouse,
# "Skip" by the key would exclude the next picture. Who walks through the page with Tab keeps the focus.
_JS = """
export default function () {
    const letGo = (event) => {
        if (event.detail > 0 && event.target.closest("button, [role=radio]")) {
            setTimeout(() => document.activeElement?.blur(), 0);
        }
    };
    document.addEventListener("click", letGo, true);
    return () => document.removeEventListener("click", letGo, true);
}
"""
_component = st.components.v2.component("fashion16_keys", js=_JS)


def let_go() -> None:
    """Take the focus off a button once the mouse has clicked it."""
    _component(key="keys")
