"""Our search beside other libraries', as `make bench-peers` measured them."""

from __future__ import annotations

import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.evaluation import peers
from ui.metrics import peers_charts
from ui.shared import csv, documents, text


def show(collection: Collection) -> None:
    """Recall against speed of each method, at the chosen size, and what they cost."""
    document = documents.read(collection.stored.layout.peers_file)
    if document is None or not document.get("points"):
        st.info(
            "Not measured yet. `make bench-peers` searches the same embeddings with other libraries; it takes half an "
            "hour on a quiet machine.",
            icon=":material/speed:",
        )
        return
    sizes = sorted({int(point["items"]) for point in document["points"]})
    chosen = st.segmented_control(
        "Pictures searched", [f"{size:,}" for size in sizes], default=f"{sizes[0]:,}", required=True, key="peers_size",
        bind="query-params",
    )  # fmt: skip
    items = int(str(chosen).replace(",", ""))
    points = peers.points_of(document, items)
    synthetic = "" if items <= 70_000 else " Pictures beyond 70,000 are synthetic: real ones’ embeddings, distorted."
    st.caption(
        f"{text.plain(document['machine'].get('date', ''))} · recall@20 against exact cosine; of what searches one "
        f"category, within it.{synthetic} Details: docs/peers.md."
    )
    st.plotly_chart(
        peers_charts.recall_speed(points), key="peers_chart", config={"displayModeBar": False},
        alt=f"Recall and queries a second of {points['method'].nunique()} methods among {items:,} pictures",
    )  # fmt: skip
    good = peers.fastest(points)
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    left.markdown(f"**The fastest setting of each with a recall of {peers.GOOD:.0%} or more**")
    with right:
        csv.csv_button(points, f"peers-{items}", "peers_csv")
    shown = good[["method", "setting", "recall", "everywhere", "milliseconds", "batch_queries_per_second"]].assign(
        megabytes=good["bytes"] / 1e6, build=good["build_seconds"]
    )
    st.dataframe(
        shown, hide_index=True, key="peers_table",
        column_config={
            "recall": st.column_config.NumberColumn("recall", format="percent"),
            "everywhere": st.column_config.NumberColumn(
                "of all", format="percent", help="Recall against the nearest of all pictures, whatever their category."
            ),
            "milliseconds": st.column_config.NumberColumn("ms a query", format="%.2f"),
            "batch_queries_per_second": st.column_config.NumberColumn("a second, 256 at once", format="%.0f"),
            "megabytes": st.column_config.NumberColumn("MB", format="%.0f"),
            "build": st.column_config.NumberColumn("seconds to build", format="%.1f"),
        },
    )  # fmt: skip
    missing = sorted(set(points["method"]) - set(good["method"]))
    if missing:
        st.caption(f"Never that good here: {text.plain('; '.join(missing))}.")
    for note in document["notes"]:
        if note["items"] == items:
            st.caption(f"{text.plain(note['method'])}: {text.plain(note['note'])}")
