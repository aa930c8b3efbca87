"""The buckets of one category: how full they are, where they lie, and what is in one of them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.explore import buckets
from fashion16.explore.buckets import Sizes
from fashion16.search.partition import Partition
from fashion16.types import Ids
from ui.explorer import bucket_charts, categories
from ui.shared import cards, csv, pictures, selection, text

NO_BAR = {"displayModeBar": False}
MOST_LISTED = 500  # buckets of one size
MOST_LABELS = 2_000  # pictures whose labels are counted


def show(collection: Collection) -> None:
    """Figures, the map with the chosen bucket beside it, and the two curves of sizes; all answer a click."""
    name = categories.choose(collection)
    partition = collection.searcher.index.partitions[name]
    sizes = buckets.sizes_of(partition)
    cards.show(buckets.figures(sizes), "category_figures", 5)
    left, right = st.columns(2, gap="large")
    with right:
        bucket = _choose(sizes)
        _inside(collection, partition, name, sizes, bucket)
    with left:
        _map(sizes, bucket)
    left, right = st.columns(2, gap="large")
    with left:
        _histogram(sizes, bucket)
        _listed(partition, sizes)
    with right:
        _ranks(sizes, bucket)


def _choose(sizes: Sizes) -> int:
    """The number of the bucket to look into; the fullest one where none is chosen."""
    last = len(sizes) - 1
    if (st.session_state.get("bucket") or 0) > last:
        st.session_state.bucket = None  # the buckets are fewer than when it was chosen
    number = st.number_input(
        "Bucket", min_value=0, max_value=last, value=None, step=1, key="bucket", bind="query-params", width=260,
        placeholder=f"0 to {last:,}; now the fullest", help="Click the map, a bar or the curve, or write a number.",
    )  # fmt: skip
    return int(np.argmax(sizes)) if number is None else int(number)


def _map(sizes: Sizes, bucket: int) -> None:
    cards.heading(
        f"Map of all {len(sizes):,} buckets",
        "Each cell is a bucket, blank where it is empty. Rows and columns count in Gray’s code: two cells side by side "
        "differ in one bit of the key, so one hyperplane lies between them. Dotted are all buckets that differ from "
        "the chosen one in one bit; some lie far off, for a cell has only four sides. Click a cell to look into it.",
        bucket_table(sizes), "buckets",
    )  # fmt: skip
    cells = buckets.gray_map(_bits(sizes))
    st.plotly_chart(
        bucket_charts.bucket_map(sizes, cells, bucket), key="bucket_map", config=NO_BAR, on_select=_map_clicked,
        selection_mode="points", alt=f"Map of {len(sizes):,} buckets, colour for size; bucket {bucket} is marked",
    )  # fmt: skip
    st.session_state.map_shown = sizes


def _histogram(sizes: Sizes, bucket: int) -> None:
    table = buckets.histogram(sizes)
    cards.heading(
        "How many buckets have which size",
        "The line is what perfectly random hashing would give: each picture thrown into a bucket by chance (binomial). "
        "Real pictures resemble each other, so more buckets are very full or empty. Click a bar to list its buckets.",
        table, "bucket-sizes",
    )  # fmt: skip
    st.plotly_chart(
        bucket_charts.size_histogram(table, int(sizes[bucket])), key="size_histogram", config=NO_BAR,
        on_select=_bar_clicked, selection_mode="points", alt=f"Histogram of the sizes of {len(sizes):,} buckets",
    )  # fmt: skip
    st.session_state.bars_of_sizes = table[["low", "high"]].to_numpy()


def _ranks(sizes: Sizes, bucket: int) -> None:
    table = buckets.rank_sizes(sizes)
    cards.heading(
        "From the fullest bucket to the emptiest",
        "The fullest bucket has rank 1, the next one 2, and so on; empty ones are left out. The nearer the curve to "
        "the dashed one of random hashing, the more evenly the hyperplanes cut. Both axes go up by ratios. Click the "
        "curve to look into the bucket.",
        table, "bucket-ranks",
    )  # fmt: skip
    st.plotly_chart(
        bucket_charts.rank_curve(table, (_rank(sizes, bucket), int(sizes[bucket]))), key="rank_curve", config=NO_BAR,
        on_select=_rank_clicked, selection_mode="points", alt=f"Sizes of {len(sizes):,} buckets by rank",
    )  # fmt: skip


def _inside(collection: Collection, partition: Partition, name: str, sizes: Sizes, bucket: int) -> None:
    """What is in the chosen bucket."""
    ids = buckets.bucket_items(partition, bucket)
    bits = _bits(sizes)
    key = f"key {bucket:0{bits}b}" if bits else "no key: one bucket for all"
    st.markdown(f"**Bucket {bucket:,}** · {key}")
    if not len(ids):
        st.info("This bucket is empty.", icon=":material/grid_off:")
        return
    alike, all_alike = buckets.alikeness(partition, bucket), _all_alike(partition)
    with st.grid(3, min_column_width=110, gap="small", key="bucket_figures"):
        st.metric("Pictures", f"{len(ids):,}", border=True, height="stretch")
        st.metric("Rank", f"{_rank(sizes, bucket):,}", border=True, height="stretch", help="1 is the fullest bucket.")
        st.metric(
            "Alike", "–" if alike is None else f"{alike:.2f}", border=True, height="stretch",
            help="The mean cosine of its pictures with each other: 1 when all are the same."
            + ("" if all_alike is None else f" In the whole category it is {all_alike:.2f}: hyperplanes put together "
            "what looks alike."),
        )  # fmt: skip
    pictures.few(collection, ids.tolist(), "bucket", 15)
    found = _labels(collection, ids)
    odd = found.loc[found["label"].ne("") & found["label"].ne(found["predicted"]), "id"].tolist()
    with st.container(horizontal=True, vertical_alignment="center"):
        selection.send_button(collection, f"Bucket {bucket} of {name}", ids, "send_bucket")
        if odd:
            title = f"Predicted otherwise in bucket {bucket} of {name}"
            selection.send_button(collection, title, odd, "send_odd", f"Only the {len(odd):,} predicted otherwise")
        csv.csv_button(found, f"bucket-{bucket}", "bucket_csv")
    _mix(found, len(ids))


def _mix(found: pd.DataFrame, n: int) -> None:
    labelled, predicted = found["label"].replace("", "(no label)").value_counts(), found["predicted"].value_counts()
    names = [*labelled.index, *(name for name in predicted.index if name not in labelled.index)]
    rows = [(name, int(labelled.get(name, 0)), int(predicted.get(name, 0))) for name in names[:8]]
    with st.expander(
        f"Labels: {text.plain(rows[0][0])} {rows[0][1] / len(found):.0%}"
        + (f" and {len(names) - 1} more" if len(names) > 1 else ""),
        expanded=len(names) > 1,
        key="mix",
    ):
        st.plotly_chart(
            bucket_charts.label_bars(rows), key="label_bars", config=NO_BAR,
            alt="Labels in the bucket: " + ", ".join(f"{name} {count}" for name, count, _ in rows),
        )  # fmt: skip
        first = "" if len(found) == n else f" Of the first {len(found):,} pictures."
        st.caption(f"Labels as they stand, beside what the classifier says of the same pictures.{first}")


def _labels(collection: Collection, ids: Ids) -> pd.DataFrame:
    """A row for each picture: its id, its label, "" where it has none, and what the classifier says."""
    shown = ids[:MOST_LABELS]
    label_of = {item.id: item.label or "" for item in collection.catalogue.items(shown.tolist())}
    shown = np.array([i for i in shown.tolist() if i in label_of], np.int64)
    searcher = collection.searcher
    predicted = searcher.head.predict(searcher.index.embeddings(shown)) if len(shown) else []
    return pd.DataFrame({"id": shown, "label": [label_of[i] for i in shown.tolist()], "predicted": predicted})


def _listed(partition: Partition, sizes: Sizes) -> None:
    """The buckets of the size that was clicked, and all as CSV."""
    limits = re.fullmatch(r"(\d{1,9})-(\d{1,9})", st.query_params.get("sizes", ""))
    if limits is None:
        return
    low, high = int(limits[1]), int(limits[2])
    found = bucket_table(sizes)
    found = found[found["items"].between(low, high)].sort_values("rank").head(MOST_LISTED)
    span = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{len(found):,} buckets of {span} pictures**: click one to look into it")
        st.button("Close", icon=":material/close:", key="close_sizes", type="tertiary", on_click=_close)
    found["alike"] = [buckets.alikeness(partition, int(number)) for number in found["bucket"]]
    st.session_state.buckets_listed = found["bucket"].tolist()
    st.dataframe(
        found, key="listed", hide_index=True, width="stretch", height=260, on_select=_row_clicked,
        selection_mode="single-row",
        column_config={
            "key": st.column_config.TextColumn("key", help="The bits of a code that name the bucket."),
            "alike": st.column_config.NumberColumn(
                "alike", format="%.3f", help="The mean cosine of its pictures with each other."
            )
        },
    )  # fmt: skip


def bucket_table(sizes: Sizes) -> pd.DataFrame:
    """A row for each bucket."""
    keys = [np.binary_repr(number, _bits(sizes)) if len(sizes) > 1 else "" for number in range(len(sizes))]
    return pd.DataFrame({"bucket": np.arange(len(sizes)), "key": keys, "items": sizes, "rank": _ranks_of(sizes)})


@st.cache_data(max_entries=100, show_spinner=False, hash_funcs={Partition: categories.mark})
def _all_alike(partition: Partition) -> float | None:
    return buckets.alikeness(partition)


def _map_clicked() -> None:
    """Look into the bucket of a cell; into the fullest of a block of cells (a callback)."""
    sizes = st.session_state.map_shown
    for point in st.session_state.bucket_map.selection.points:
        there = bucket_charts.clicked_buckets(buckets.gray_map(_bits(sizes)), point["x"], point["y"])
        st.session_state.bucket = int(there[np.argmax(sizes[there])])


def _bar_clicked() -> None:
    """List the buckets of a bar's sizes, and look into the fullest of them (a callback)."""
    sizes = st.session_state.map_shown
    for point in st.session_state.size_histogram.selection.points:
        low, high = (int(limit) for limit in st.session_state.bars_of_sizes[round(point["x"])])
        st.query_params["sizes"] = f"{low}-{high}"
        there = np.flatnonzero((low <= sizes) & (sizes <= high))
        if len(there):
            st.session_state.bucket = int(there[np.argmax(sizes[there])])


def _rank_clicked() -> None:
    """Look into the bucket of this rank (a callback)."""
    for point in st.session_state.rank_curve.selection.points:
        st.session_state.bucket = int(_order(st.session_state.map_shown)[round(point["x"]) - 1])


def _row_clicked() -> None:
    """Look into the bucket of a row (a callback)."""
    for row in st.session_state.listed.selection.rows:
        st.session_state.bucket = int(st.session_state.buckets_listed[row])


def _close() -> None:
    del st.query_params["sizes"]


def _order(sizes: Sizes) -> Sizes:
    """The buckets, the fullest first; of equal ones the lower number."""
    return np.argsort(-sizes, kind="stable")


def _ranks_of(sizes: Sizes) -> Sizes:
    """The rank of each bucket, from 1."""
    ranks = np.empty(len(sizes), np.int64)
    ranks[_order(sizes)] = np.arange(1, len(sizes) + 1)
    return ranks


def _rank(sizes: Sizes, bucket: int) -> int:
    return int(_ranks_of(sizes)[bucket])


def _bits(sizes: Sizes) -> int:
    return len(sizes).bit_length() - 1
