"""Small pictures that lead to a view of the index explorer."""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st

from fashion16.collection import Collection
from ui import session

PAGE = "Index_explorer"
FOLLOW = "Follow a query"  # the view, as it stands in the URL


def address(collection: Collection, **where: object) -> str:
    """The address of a view of the explorer, such as `view="Buckets", category="Bag", bucket=3`."""
    return f"{PAGE}?{urlencode(where | session.address(collection.name))}"


def anchor(words: str, link: str) -> str:
    """Words, which may be foreign, as a link in HTML."""
    return f'<a href="{html.escape(link, quote=True)}" target="_self">{html.escape(words)}</a>'


def cell(pictures: Sequence[str], words: str, below: str, link: str) -> str:
    """One or more pictures (data URIs) with a line below, as a link; `words` say what it is, and may be foreign."""
    words, link = html.escape(words, quote=True), html.escape(link, quote=True)
    images = "".join(f'<img src="{picture}" alt="{words}">' for picture in pictures)
    return f'<a href="{link}" target="_self" title="{words}"><div>{images}</div><span>{html.escape(below)}</span></a>'


def grid(cells: Sequence[str], name: str, width: int) -> None:
    """Cells in as many columns of at least so many pixels as there is room for."""
    style = (
        f"<style>.g_{name}{{display:grid;grid-template-columns:repeat(auto-fill,minmax({width}px,1fr));gap:12px}}"
        f".g_{name} a{{color:inherit;text-decoration:none;font-size:.75rem;min-width:0}}"
        f".g_{name} a>div{{display:flex;gap:2px}}"
        f".g_{name} img{{flex:1;min-width:0;width:100%;aspect-ratio:1;object-fit:contain;border-radius:6px}}"
        f".g_{name} span{{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}}</style>"
    )
    st.html(f'{style}<div class="g_{name}">{"".join(cells)}</div>')
