"""Drawing what was found."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from fashion16.catalogue.rows import Item
from fashion16.collections.opened import Collection
from fashion16.search.searcher import Answer, Result
from ui.search import charts
from ui.shared.pictures import in_line, wall
from ui.shared.text import label, plain

# the results of a search, each with its item
Found = list[tuple[Result, Item]]


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
