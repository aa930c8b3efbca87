"""What may be wrong with a category's codes and with the labels: each check leads to the pictures it found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from fashion16.catalogue.rows import Item
from fashion16.collections.opened import Collection
from fashion16.explore import health
from fashion16.search.partition import Partition
from fashion16.search.searcher import NEAR_DUPLICATE
from fashion16.types import Floats
from ui.explorer import categories, health_charts, probing_charts
from ui.shared import csv, frame, selection, text
from ui.shared import pictures as linked
from ui.shared import pictures as pictures_module

NO_BAR = {"displayModeBar": False}
FIRST_BITS = 64
PAIRS, FOREIGN = 24, 24  # shown as pictures; the CSV and Correct labels have all
NEIGHBOURS = 10
SAMPLES = (1_000, 5_000, 20_000)
MAJORITY = 0.5


def show(collection: Collection) -> None:
    """The bits of a category, its near-duplicates, and the searches that find lost and foreign pictures."""
    category = categories.choose(collection)
    partition = collection.searcher.index.partitions[category]
    _bits(partition, category)
    st.divider()
    _duplicates(collection, category, partition)
    st.divider()
    _lost(collection, category, partition)
    st.divider()
    _foreign(collection)
    _suspicion(collection)


def _bits(partition: Partition, category: str) -> None:
    n, key_bits = len(partition), partition.key_bits
    left, right = st.columns([3, 2], gap="medium")
    with left:
        balance = _balance(partition)
        st.markdown(
            "**Is each bit a fair coin?**",
            help="A bit tells most when half of the pictures have a 1: then it halves them. A bit that is the same for "
            "nearly all tells nothing, and in a bucket’s number it leaves buckets empty. The hyperplanes go through "
            "the middle of the category, so that each cuts it about in half. The band is where "
            f"95 of 100 fair coins, thrown {n:,} times, would lie (± 2σ).",
        )
        st.plotly_chart(
            health_charts.bit_balance(balance, n, key_bits), key="bit_balance", config=NO_BAR,
            alt=f"Share of ones of {len(balance)} bits: {balance['ones'].min():.0%} to {balance['ones'].max():.0%}",
        )  # fmt: skip
        worst = balance.loc[(balance["ones"] - 0.5).abs().idxmax()]
        st.caption(
            f"The most one-sided is bit {int(worst['bit'])}: {worst['ones']:.0%} ones. On average a bit is "
            f"{(balance['ones'] - 0.5).abs().mean():.0%} away from one half."
        )
        csv.csv_button(balance, f"bits-{category}", "balance_csv")
    with right:
        correlation = _correlation(partition)
        bits = len(correlation)
        st.markdown(
            f"**Do the first {bits} bits say different things?**",
            help="Each cell is the correlation of two bits over the pictures of the category: orange where they are "
            "often equal, blue where often opposite, blank where one tells nothing of the other. Two bits that always "
            "agree are worth one. The diagonal, each bit with itself, is left out. Chance alone gives "
            f"± {2 / max(n, 1) ** 0.5:.2f}.",
        )
        st.plotly_chart(
            health_charts.bit_correlation(correlation), key="bit_correlation", config=NO_BAR,
            alt=f"Correlation of the first {bits} bits with each other",
        )  # fmt: skip
        csv.csv_button(pd.DataFrame(correlation), f"bit-correlation-{category}", "correlation_csv")


def _duplicates(collection: Collection, category: str, partition: Partition) -> None:
    st.subheader("Near-duplicates", anchor=False)
    st.caption(
        f"Pairs of one bucket with a cosine of {NEAR_DUPLICATE} or more: one garment photographed or saved twice. "
        "Copies count double in training, and one in the training split gives away its twin in the test split."
    )
    pairs = _pairs(partition)
    if pairs.empty:
        st.success(
            f"No bucket of {text.plain(category)} has two pictures that alike. Choose another category.",
            icon=":material/done_all:",
        )
        return
    both = list(dict.fromkeys(pairs[["id", "twin"]].to_numpy().ravel().tolist()))
    items = {item.id: item for item in collection.catalogue.items(both)}
    pairs = pairs.assign(
        label=[_label(items, int(i)) for i in pairs["id"]], twin_label=[_label(items, int(i)) for i in pairs["twin"]],
        split=[_split(items, int(i)) for i in pairs["id"]], twin_split=[_split(items, int(i)) for i in pairs["twin"]],
    ).sort_values("similarity", ascending=False, kind="stable")  # fmt: skip
    across = int((pairs["split"] != pairs["twin_split"]).sum())
    st.markdown(
        f"**{len(pairs):,} pairs** in {pairs['bucket'].nunique():,} buckets, {across:,} of them across splits",
    )
    cells = []
    for row in pairs.head(PAIRS).itertuples():
        if int(row.id) in items and int(row.twin) in items:
            bits = probing_charts.binary(int(row.bucket), partition.key_bits)
            words = f"Pictures {row.id} and {row.twin}, cosine {row.similarity:.3f}: bucket {bits}"
            pictures = [collection.thumbnail(items[int(i)], 112) for i in (row.id, row.twin)]
            link = linked.address(collection, view=categories.BUCKETS, category=category, bucket=int(row.bucket))
            cells.append(linked.cell(pictures, words, f"{row.similarity:.3f} · bucket {int(row.bucket):,}", link))
    linked.grid(cells, "pairs", 150)
    if len(pairs) > PAIRS:
        st.caption(f"The {PAIRS} most alike of {len(pairs):,} pairs; the others are in the CSV and in Correct labels.")
    with st.container(horizontal=True, vertical_alignment="center"):
        selection.send_button(collection, f"Near-duplicates in {category}", both, "send_twins")
        csv.csv_button(pairs, f"near-duplicates-{category}", "twins_csv")


def _lost(collection: Collection, category: str, partition: Partition) -> None:
    st.subheader("Pictures that do not find themselves", anchor=False)
    st.caption(
        "Who searches with a picture of the collection must find it first. A picture that is not found lies in a "
        "bucket that the search does not reach, or its code no longer belongs to its embedding."
    )
    found = _checked(
        "lost", (collection.name, category, categories.mark(partition), collection.searcher.index.tuning(category)),
        f"Check all {len(partition):,} pictures of {text.plain(category)}",
        lambda progress: health.lost_items(collection.searcher.index, [category], progress=progress),
    )  # fmt: skip
    if found is None:
        return
    if not len(found):
        st.success(f"All {len(partition):,} pictures find themselves.", icon=":material/done_all:")
        return
    st.warning(
        f"{len(found):,} of {len(partition):,} pictures do not find themselves. Let a search probe more buckets (see "
        "Follow a query), or rebuild the index.",
        icon=":material/visibility_off:",
    )
    pictures_module.few(collection, found.tolist(), "lost")
    with st.container(horizontal=True, vertical_alignment="center"):
        selection.send_button(collection, f"Not found by themselves in {category}", found, "send_lost")
        csv.csv_button(pd.DataFrame({"id": found}), f"lost-{category}", "lost_csv")


def _foreign(collection: Collection) -> None:
    st.subheader("Pictures whose neighbours carry another label", anchor=False)
    st.caption(
        f"Of a sample of all categories, those of whose {NEIGHBOURS} most similar pictures, wherever they lie, more "
        "than half carry another label: either the label is wrong, or two labels are hard to distinguish."
    )
    sample = st.segmented_control(
        "Sample", SAMPLES, default=SAMPLES[0], required=True, key="sample", format_func=lambda n: f"{n:,}",
    )  # fmt: skip
    index = collection.searcher.index
    found = _checked(
        "foreign", (collection.name, collection.revision, sample, sum(map(categories.mark, index.partitions.values()))),
        "Look at their neighbours",
        lambda progress: health.foreign_neighbours(
            index, _labels(collection), sample=int(sample or SAMPLES[0]), k=NEIGHBOURS, progress=progress
        ),
    )  # fmt: skip
    if found is None:
        return
    looked_at = len(found)
    found = found[(found["share"] > MAJORITY) & (found["neighbours_label"] != found["label"])]
    if found.empty:
        st.success(
            f"None of {looked_at:,} pictures is among neighbours of another label. Take a larger sample to look on.",
            icon=":material/done_all:",
        )
        return
    st.markdown(f"**{len(found):,} of {looked_at:,}** pictures of the sample")
    ids = [int(item_id) for item_id in found["id"]]
    items = {item.id: item for item in collection.catalogue.items(ids)}
    left, right = st.columns([2, 3], gap="medium")
    with left:
        counts = found.groupby(["label", "neighbours_label"], observed=True).size().reset_index(name="items")
        counts = counts.sort_values("items", ascending=False, kind="stable").head(10)
        st.markdown(
            "**Label → neighbours’ label**", help="Which labels stand where others do, the most frequent first."
        )
        st.plotly_chart(
            health_charts.confusions(counts), key="confusions", config=NO_BAR,
            alt="Most frequent: "
            + ", ".join(f"{row.label} among {row.neighbours_label} {row.items}" for row in counts.itertuples()),
        )  # fmt: skip
    with right:
        cells = []
        for row in found.head(FOREIGN).itertuples():
            if (item := items.get(int(row.id))) is not None:
                words = f"Picture {row.id}, labelled {row.label}: {row.share:.0%} of its neighbours carry another label"
                link = linked.address(collection, view=linked.FOLLOW, query=int(row.id))
                cells.append(
                    linked.cell([collection.thumbnail(item, 112)], words, f"{row.label} → {row.neighbours_label}", link)
                )
        linked.grid(cells, "foreign", 92)
        if len(found) > FOREIGN:
            st.caption(f"The {FOREIGN} most foreign of {len(found):,}. A click follows the picture through the index.")
    with st.container(horizontal=True, vertical_alignment="center"):
        selection.send_button(collection, "Neighbours carry another label", ids, "send_foreign")
        csv.csv_button(found, "foreign-neighbours", "foreign_csv")


def _suspicion(collection: Collection) -> None:
    """Where the more thorough ranking is."""
    ranked = collection.stored.label_issues_file.exists()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            "All labels of this collection have been ranked by suspicion, with a classifier that has not seen them: a "
            "more thorough look than at neighbours alone."
            if ranked
            else "Correct labels can rank all labels by suspicion, a more thorough look than at neighbours alone.",
            width="content",
        )
        st.page_link(
            selection.CORRECT_LABELS, label="Open the ranking" if ranked else "Rank them in Correct labels",
            icon=":material/troubleshoot:", query_params=frame.address(collection.name),
        )  # fmt: skip


def _checked(name: str, of: tuple[object, ...], words: str, check: Callable[[Callable[[int, int], None]], Any]) -> Any:
    """What a check that takes a while has found; None until the person asks for it. It is kept while it holds."""
    kept: dict[str, tuple[object, Any]] = st.session_state.setdefault("checked", {})
    if name in kept and kept[name][0] == of:
        return kept[name][1]
    offer = st.empty()
    if not offer.button(words, key=f"check_{name}", icon=":material/health_and_safety:"):
        return None
    bar = st.progress(0.0, "Begins")
    found = check(lambda done, total: bar.progress(min(1.0, done / max(1, total)), f"{done:,} of {total:,}"))
    kept[name] = (of, found)
    bar.empty()
    offer.empty()
    return found


def _labels(collection: Collection) -> dict[int, str]:
    today = collection.catalogue.active()
    return {int(i): str(label) for i, label in zip(today.ids, today.labels, strict=True) if label}


def _label(items: dict[int, Item], item_id: int) -> str:
    return text.label(items[item_id]) if item_id in items else ""


def _split(items: dict[int, Item], item_id: int) -> str:
    return items[item_id].split if item_id in items else ""


_OF_A_PARTITION: dict[Any, Any] = {Partition: categories.mark}


@st.cache_data(max_entries=100, show_spinner="Counting bits", hash_funcs=_OF_A_PARTITION)
def _balance(partition: Partition) -> pd.DataFrame:
    return health.bit_balance(partition)


@st.cache_data(max_entries=100, show_spinner=False, hash_funcs=_OF_A_PARTITION)
def _correlation(partition: Partition) -> Floats:
    return health.bit_correlation(partition, FIRST_BITS)


@st.cache_data(max_entries=100, show_spinner="Comparing pairs", hash_funcs=_OF_A_PARTITION)
def _pairs(partition: Partition) -> pd.DataFrame:
    return health.near_duplicates(partition)
