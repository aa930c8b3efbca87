"""Small pictures that lead to a view of the index explorer."""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from fashion16.catalogue.rows import Item
from fashion16.collections.opened import Collection
from ui.shared import frame
from ui.shared.text import label

PAGE = "Index_explorer"
FOLLOW = "Follow a query"  # the view, as it stands in the URL


def address(collection: Collection, **where: object) -> str:
    """The address of a view of the explorer, such as `view="Buckets", category="Bag", bucket=3`."""
    return f"{PAGE}?{urlencode(where | frame.address(collection.name))}"


def anchor(words: str, link: str) -> str:
    """Words, which may be foreign, as a link in HTML."""
    return f'<a href="{html.escape(link, quote=True)}" target="_self">{html.escape(words)}</a>'


def cell(pictures: Sequence[str], words: str, below: str, link: str) -> str:
    """One or more pictures (data URIs) with a line below, as a link; `words` say what it is, and may be foreign."""
    words, link = html.escape(words, quote=True), html.escape(link, quote=True)
    images = "".join(f'<img src="{picture}" alt="{words}">' for picture in pictures)
    return f'<a href="{link}" target="_self" title="{words}"><div>{images}</div><span>{html.escape(below)}</span></a>'


def grid(cells: Sequence[str], name: str, width: int, gap: int = 12, style: str = "", attributes: str = "") -> None:
    """Cells in as many columns of at least `width` pixels as fit; what is below a picture stays on one line.

    Args:
        name: the CSS class of the grid, its own within the page.
        style: more rules for what is in the grid, which `&` names.
    """
    common = (
        f"&{{display:grid;grid-template-columns:repeat(auto-fill,minmax({width}px,1fr));gap:{gap}px}}"
        "& a{color:inherit;text-decoration:none;font-size:.75rem;min-width:0}"
        "& img{width:100%;min-width:0;aspect-ratio:1;object-fit:contain;display:block;border-radius:6px}"
        "& a>div{display:flex;gap:2px}& a>div>img{flex:1}"
        "& span{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}"
    )
    rules = (common + style).replace("&", f".{name}")
    st.html(f'<style>{rules}</style><div class="{name}" {attributes}>{"".join(cells)}</div>')


def few(collection: Collection, ids: Sequence[int], key: str, most: int = 24) -> None:
    """The first of these items as small pictures, each a link that searches with it, with its label below."""
    items = {item.id: item for item in collection.catalogue.items([int(item_id) for item_id in ids[:most]])}
    where = {"source": "Collection"} | frame.address(collection.name)
    cells = []
    for item_id in ids[:most]:
        item = items.get(int(item_id))
        if item is None:
            continue
        words = html.escape(f"{label(item)}, picture {item.id}", quote=True)
        link = html.escape("Search?" + urlencode(where | {"id": item.id}))
        cells.append(
            f'<a href="{link}" target="_self" title="Search with this {words}">'
            f'<img src="{collection.thumbnail(item, 96)}" alt="{words}"><span>{html.escape(label(item))}</span></a>'
        )
    grid(cells, "few", 76, 8, attributes=f'data-few="{html.escape(key, quote=True)}"')
    if len(ids) > most:
        st.caption(f"{most} of {len(ids):,} shown.")


def in_line(key: str, items: list[Item]) -> None:
    """Make the pictures of the container with this key one height, and cut nothing off them.

    What is written below them then stands in line.
    """
    shapes = [item.width / item.height for item in items if item.width and item.height]
    shape = float(np.clip(np.median(shapes), 0.6, 1.6)) if shapes else 1.0
    st.html(f"<style>.st-key-{key} img{{aspect-ratio:{shape:.3f};object-fit:contain}}</style>")


def wall(collection: Collection, n: int) -> None:
    """Some pictures as a wall; each is a link that searches with it."""
    # drawn once a session, so that the wall stands still while a person uses the page
    seed = st.session_state.setdefault("wall_seed", int(np.random.default_rng().integers(2**32)))
    where = {"source": "Collection"} | frame.address(collection.name)
    cells = []
    for item in collection.catalogue.items(collection.random_ids(n, seed)):
        source = collection.thumbnail(item, 112)
        words = html.escape(f"{label(item)}, picture {item.id}", quote=True)
        link = html.escape("Search?" + urlencode(where | {"id": item.id}))
        cells.append(
            f'<a href="{link}" target="_self" title="Search with this {words}"><img src="{source}" alt="{words}"></a>'
        )
    style = "& img{object-fit:cover;transition:transform .12s}& a:hover img,& a:focus img{transform:scale(1.08)}"
    grid(cells, "wall", 72, 6, style)
