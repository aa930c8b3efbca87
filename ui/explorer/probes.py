"""The buckets that a query's search looks into, in order, and what each of them brings."""

from __future__ import annotations

import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.explore.probing import Followed
from fashion16.search.index import SCAN_LIMIT
from ui.explorer import categories, probing_charts
from ui.shared import csv, pictures, text

NO_BAR = {"displayModeBar": False}
LISTED = 200  # probes in the table; the CSV has all


def show(collection: Collection, category: str, followed: Followed, name: str) -> None:
    """The buckets in the order in which they are probed; a click on one shows what is in it."""
    probes, k = followed.probes, len(followed.true_ids)
    st.subheader("The buckets in the order in which they are probed", anchor=False)
    st.caption(_what_search_does(collection, category, followed))
    if not k:
        st.info(
            "This category has no other picture, so there is nothing to be found. Choose another category.",
            icon=":material/search_off:",
        )
        return
    _cards(followed)
    chosen = st.session_state.get("probe")
    chosen = chosen if chosen in set(probes["order"].tolist()) else None
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(
            f"**True neighbours in each of the first {min(len(probes), probing_charts.SHOWN_PROBES)} buckets**",
            help=f"The true neighbours are the {k} pictures of the category with the highest cosine to the query, "
            "found by comparing all. Below: the squared distance to the hyperplanes that must be crossed to reach the "
            "bucket, by which the order goes. Click a bar for what is in the bucket.",
        )
        st.plotly_chart(
            probing_charts.probe_gains(probes, followed.key_bits, chosen), key="probe_gains", config=NO_BAR,
            on_select=_probe_clicked, selection_mode="points",
            alt="True neighbours in the first buckets: " + ", ".join(str(n) for n in probes["true"].head(12)),
        )  # fmt: skip
    with right:
        st.markdown(
            "**What each bucket more brings**",
            help="How many of the true neighbours are found after comparing this number of pictures. Dashed: what "
            "buckets in random order would find. The higher above it the curve, the better the hash keeps alike "
            "pictures together. Click a point for what is in its bucket.",
        )
        st.plotly_chart(
            probing_charts.found_so_far(probes, followed.key_bits, k, chosen), key="found_so_far", config=NO_BAR,
            on_select=_probe_clicked, selection_mode="points",
            alt=f"Share of {k} true neighbours found against the pictures compared",
        )  # fmt: skip
    if chosen is not None:
        _bucket(collection, category, followed, int(chosen))
    _table(collection, category, followed, name)


def _probe_clicked() -> None:
    """Mark the probe that was clicked last (a callback)."""
    for key in ("probe_gains", "found_so_far"):
        order = probing_charts.clicked(st.session_state.get(key))
        if order is not None and order != st.session_state.get(f"{key}_was"):
            st.session_state.probe = order
        st.session_state[f"{key}_was"] = order


def _what_search_does(collection: Collection, category: str, followed: Followed) -> str:
    index = collection.searcher.index
    pinned, n = index.tuning(category).n_probes, len(index.partitions[category])
    name = text.plain(category)
    if pinned:
        at = followed.probes.iloc[min(pinned, len(followed.probes)) - 1]
        return (
            f"By default a search in {name} looks into {pinned:,} buckets: here {int(at['candidates']):,} pictures, "
            f"with {at['found']:.0%} of the true neighbours."
        )
    if n <= SCAN_LIMIT:
        return (
            f"By default a search in {name} compares the codes of all {n:,} pictures: that is quick enough. Buckets "
            "pay in larger categories; here you see how they would do."
        )
    return f"By default a search in {name} goes on until it has compared {SCAN_LIMIT:,} of {n:,} pictures."


def _cards(followed: Followed) -> None:
    probes, k, items = followed.probes, len(followed.true_ids), int(followed.probes["candidates"].iloc[-1])
    first = probes.iloc[0]
    with st.grid(4, min_column_width=145, gap="small", key="follow_cards"):
        st.metric("In its own bucket", f"{int(first['true'])} of {k}", border=True, height="stretch",
                  help=f"True neighbours in the first bucket, which has {int(first['items']):,} pictures.")  # fmt: skip
        for share in (0.5, 0.9, 1.0):
            at = probes[probes["found"] >= share - 1e-9].iloc[0]
            words = "all" if share == 1 else f"{share:.0%}"
            st.metric(
                f"Probes for {words}", f"{int(at['order']):,}", f"{at['candidates'] / items:.0%} of pictures",
                delta_color="off", delta_arrow="off", border=True, height="stretch",
                help=f"{int(at['candidates']):,} of {items:,} pictures are compared until then.",
            )  # fmt: skip


def _bucket(collection: Collection, category: str, followed: Followed, order: int) -> None:
    """What is in the bucket of this probe, and the way to it."""
    row = followed.probes[followed.probes["order"] == order].iloc[0]
    bucket = int(row["bucket"])
    partition = collection.searcher.index.partitions[category]
    ids = partition.ids[partition.starts[bucket] : partition.starts[bucket + 1]]
    with st.container(border=True, key="probed_bucket"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**Probe {order:,}: bucket {probing_charts.binary(bucket, followed.key_bits)}** · "
                f"{len(ids):,} items, {int(row['true'])} of them true neighbours",
                width="content",
            )
            _to_bucket(collection, category, bucket)
        if len(ids):
            pictures.few(collection, ids.tolist(), "probed", 12)
        else:
            st.caption("This bucket is empty: looking into it costs nothing, and brings nothing.")


def _to_bucket(collection: Collection, category: str, bucket: int) -> None:
    link = pictures.address(collection, view=categories.BUCKETS, category=category, bucket=bucket)
    st.html(pictures.anchor(f"Open bucket {bucket:,}", link), width="content")


def _table(collection: Collection, category: str, followed: Followed, name: str) -> None:
    probes = followed.probes
    with st.expander(
        f"The first {min(LISTED, len(probes)):,} of {len(probes):,} probes as a table", key="probes_table"
    ):
        shown = probes.head(LISTED).copy()
        shown.insert(1, "bits", [probing_charts.binary(int(b), followed.key_bits) for b in shown["bucket"]])
        shown["bucket"] = [
            pictures.address(collection, view=categories.BUCKETS, category=category, bucket=int(bucket))
            for bucket in shown["bucket"]
        ]
        st.dataframe(
            shown, key="probes", hide_index=True, width="stretch", height=300,
            column_config={
                "order": st.column_config.NumberColumn("probe"),
                "bucket": st.column_config.LinkColumn("bucket", display_text=r"bucket=(\d+)"),
                "flipped": st.column_config.Column("bits flipped"),
                "distance": st.column_config.NumberColumn("squared distance", format="%.4f"),
                "candidates": st.column_config.NumberColumn("items so far"),
                "true": st.column_config.NumberColumn("true neighbours"),
                "found": st.column_config.NumberColumn("found so far", format="percent"),
            },
        )  # fmt: skip
    csv.csv_button(probes, f"probes-{name.replace(' ', '-')}", "probes_csv")
