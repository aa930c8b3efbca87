"""Drawing what was found."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st

from fashion16.catalogue_rows import Item
from fashion16.collection import Collection
from fashion16.search import Answer, Result
from ui import charts, session

# the results of a search, each with its item
Found = list[tuple[Result, Item]]


def plain(text: object) -> str:
    """Text of a data set as Markdown shows it letter for letter."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]<>()#+-.!|~$:" else letter for letter in str(text))


def label(item: Item) -> str:
    """The item's label as plain text."""
    return "unlabelled" if item.label is None else item.label


def figure(name: str, value: str, remark: str) -> None:
    """One figure on a card."""
    st.metric(name, value, remark, delta_color="off", delta_arrow="off", border=True, height="stretch")


def prediction(answer: Answer) -> None:
    """The predicted category, and a bar for each."""
    classified = answer.classified
    st.subheader(plain(classified.category), anchor=False)
    share = classified.probabilities[classified.category]
    sure = "quite sure" if share >= 0.8 else "likely" if share >= 0.5 else "unsure: try the second guess too"
    st.caption(f"Predicted category, {share:.0%} · {sure}")
    st.plotly_chart(
        charts.probabilities(classified.probabilities, answer.searched),
        key="probabilities",
        config={"displayModeBar": False},
        alt="Probability of each category: " + ", ".join(f"{n} {p:.0%}" for n, p in classified.probabilities.items()),
    )


def heading(answer: Answer) -> None:
    """What was found, and where."""
    if len(answer.searched) < 4:
        where = ", ".join(plain(name) for name in answer.searched)
    elif set(answer.searched) == set(answer.classified.probabilities):
        where = "all categories"
    else:
        where = f"{len(answer.searched)} categories"
    st.subheader(f"{len(answer.results)} most similar in {where}", anchor=False)


def results(collection: Collection, found: Found, on_pick: Callable[[int], None]) -> None:
    """The garments in a grid that fits a phone, each with rank, similarity, label and id."""
    in_line("results", [item for _, item in found])
    with st.grid(min_column_width=140, gap="small", key="results"):
        for result, item in found:
            with st.container(key=f"result_{result.rank}", gap="xxsmall"):
                st.image(
                    collection.thumbnail(item),
                    width="stretch",
                    alt=f"Rank {result.rank}: {label(item)}, similarity {result.similarity:.1%}",
                )
                st.markdown(f"**{result.rank}** · {result.similarity:.1%}  \n{plain(label(item))} · {result.id}")
                st.button(
                    "Search with this",
                    key=f"with_{result.rank}",
                    on_click=on_pick,
                    args=(result.id,),
                    type="tertiary",
                    icon=":material/search:",
                )


def few(collection: Collection, ids: Sequence[int], key: str, most: int = 24) -> None:
    """The first of these items as small pictures, each a link that searches with it, with its label below."""
    items = {item.id: item for item in collection.catalogue.items([int(item_id) for item_id in ids[:most]])}
    where = {"source": "Collection"} | session.address(collection.name)
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
    style = (
        "<style>.few{display:grid;grid-template-columns:repeat(auto-fill,minmax(76px,1fr));gap:8px}"
        ".few a{color:inherit;text-decoration:none;font-size:.75rem;min-width:0}"
        ".few img{width:100%;aspect-ratio:1;object-fit:contain;display:block;border-radius:6px}"
        ".few span{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}</style>"
    )
    st.html(f'{style}<div class="few" data-few="{html.escape(key, quote=True)}">{"".join(cells)}</div>')
    if len(ids) > most:
        st.caption(f"{most} of {len(ids):,} shown.")


def in_line(key: str, items: list[Item]) -> None:
    """Make the pictures of the container with this key one height, and cut nothing off them.

    What is written below them then stands in line.
    """
    shapes = [item.width / item.height for item in items if item.width and item.height]
    shape = float(np.clip(np.median(shapes), 0.6, 1.6)) if shapes else 1.0
    st.html(f"<style>.st-key-{key} img{{aspect-ratio:{shape:.3f};object-fit:contain}}</style>")


def footer(answer: Answer, found: Found, milliseconds: float) -> None:
    """How long each step took, and the results as a table to take away."""
    steps = " · ".join(f"{step} {ms:.1f} ms" for step, ms in answer.milliseconds.items())
    probed = f"{answer.buckets:,} buckets probed" if answer.buckets else "whole category scanned"
    hidden = f" · {answer.hidden} near-duplicates hidden" if answer.hidden else ""
    st.caption(f"{steps} · in all {milliseconds:.0f} ms · {answer.candidates:,} candidates, {probed}{hidden}")
    st.download_button(
        "Results as CSV",
        as_csv(answer, found),
        file_name="fashion16-results.csv",
        mime="text/csv",
        icon=":material/download:",
        key="csv",
        on_click="ignore",
    )


def as_csv(answer: Answer, found: Found) -> str:
    """The results as CSV, a row each."""
    rows = [
        {
            "rank": result.rank,
            "id": result.id,
            "similarity": round(result.similarity, 6),
            "label": item.label,
            "predicted_category": answer.classified.category,
            "sha256": item.sha256,
        }
        for result, item in found
    ]
    return pd.DataFrame(rows).to_csv(index=False)


def invitation(collection: Collection) -> None:
    """What stands where the results will be: pictures to begin with."""
    st.markdown("Upload a photo, take one, or **begin with one of these**:")
    wall(collection, 48)


def wall(collection: Collection, n: int) -> None:
    """Some pictures as a wall; each is a link that searches with it."""
    # drawn once a session, so that the wall stands still while a person uses the page
    seed = st.session_state.setdefault("wall_seed", int(np.random.default_rng().integers(2**32)))
    where = {"source": "Collection"} | session.address(collection.name)
    cells = []
    for item in collection.catalogue.items(collection.random_ids(n, seed)):
        source = collection.thumbnail(item, 112)
        words = html.escape(f"{label(item)}, picture {item.id}", quote=True)
        link = html.escape("Search?" + urlencode(where | {"id": item.id}))
        cells.append(
            f'<a href="{link}" target="_self" title="Search with this {words}"><img src="{source}" alt="{words}"></a>'
        )
    style = (
        "<style>.wall{display:grid;grid-template-columns:repeat(auto-fill,minmax(72px,1fr));gap:6px}"
        ".wall img{width:100%;aspect-ratio:1;object-fit:cover;display:block;border-radius:6px;"
        "transition:transform .12s}"
        ".wall a:hover img,.wall a:focus img{transform:scale(1.08)}</style>"
    )
    st.html(f'{style}<div class="wall">{"".join(cells)}</div>')
