"""Recall against its cost, for more probes and for more bits; a point on a curve can be made the default."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import streamlit as st

from fashion16.collections import indexing
from fashion16.collections.opened import Collection
from fashion16.errors import Fashion16Error, SearchError
from fashion16.explore import probing
from fashion16.search.index import SCAN_LIMIT, CategoryIndex
from ui.explorer import probing_charts
from ui.shared import access, csv, messages, text

SAMPLE = 200  # queries
KEPT = 200  # curves, for all sessions


@dataclass(frozen=True)
class _Curve:
    """A kind of curve: its name in keys, the column on its axis, and its words."""

    name: str
    column: str
    title: str
    axis: str
    meaning: str
    measure: Callable[..., pd.DataFrame]


PROBES = _Curve(
    "probes",
    "n_probes",
    "More buckets",
    "buckets probed",
    "How many of the 20 nearest pictures a search finds when it looks into this number of buckets, against exact "
    f"search; “auto” leaves it to the size of the category: up to {SCAN_LIMIT:,} pictures are all compared. The band "
    "is the 95 % interval of the sample. The lower curve counts the pictures that a search compares: more buckets "
    "find more and cost more. Touch a point to see how many milliseconds that is on this computer.",
    probing.recall_by_probes,
)
BITS = _Curve(
    "bits",
    "n_bits",
    "Longer codes",
    "bits of a code",
    "How many of the 20 nearest pictures are found with codes of this length. The longer the code, the better its "
    "Hamming distance tells which candidates to compare exactly, and the more bytes each picture takes.",
    probing.recall_by_bits,
)


def show(collection: Collection, category: str) -> None:
    """Both curves of a category, each computed when the person asks for it."""
    st.subheader(f"Recall and its cost in {text.plain(category)}", anchor=False)
    st.caption(
        f"Measured on a sample of {SAMPLE} pictures of the category against exact search. The diamond is how a search "
        "works today. Click a point to choose it."
    )
    st.fragment(_both)(collection, category)


def _both(collection: Collection, category: str) -> None:
    if st.session_state.pop("retuned", False):
        st.rerun()  # the whole page, for the index is another one now
    messages.show("recall_curves")
    for column, curve in zip(st.columns(2, gap="medium"), (PROBES, BITS), strict=True):
        with column:
            _one(collection, category, curve)


def _one(collection: Collection, category: str, curve: _Curve) -> None:
    index = collection.searcher.index
    st.markdown(f"**{curve.title}**", help=curve.meaning)
    key = _identity(collection, category, curve)
    today = index.tuning(category).n_probes or 0 if curve is PROBES else index.hyperplanes.n_bits
    table = _kept().get(key)
    if table is None or today not in table[curve.column].tolist():
        offer = st.empty()
        with offer.container():
            st.caption(f"Not computed yet for this category. It takes some seconds: {SAMPLE} searches for each point.")
            if not st.button("Compute", key=f"compute_{curve.name}", icon=":material/timeline:"):
                return
        try:
            table = _measured(index, category, curve)
        except SearchError as error:
            st.info(text.plain(str(error)), icon=":material/info:")
            return
        _keep(key, table)
        offer.empty()
    table = table.assign(default=table[curve.column] == today)
    numbers = [int(number) for number in table[curve.column]]
    chosen_key = f"point_{curve.name}"
    if st.session_state.get(chosen_key) not in (None, *numbers):
        del st.session_state[chosen_key]
    st.plotly_chart(
        probing_charts.recall_curve(table, curve.column, curve.axis, st.session_state.get(chosen_key)),
        key=f"recall_{curve.name}", config={"displayModeBar": False}, on_select=_CLICKED[curve.name],
        selection_mode="points",
        alt=f"Recall@20 against {curve.axis}: "
        + ", ".join(
            f"{probing_charts.point_name(n)} {r:.1%}" for n, r in zip(numbers, table["recall"], strict=True)
        ),
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = {int(row[curve.column]): _words(row) for row in table.to_dict("records")}
        chosen = st.selectbox(
            "Point", numbers, index=None, key=chosen_key, format_func=lambda number: words[number],
            placeholder="Click the curve, or choose here", width=300,
        )  # fmt: skip
        if access.may_manage():
            is_default = chosen is not None and bool(table.set_index(curve.column).loc[chosen, "default"])
            st.button(
                "Make this the default", key=f"default_{curve.name}", disabled=chosen is None or is_default,
                on_click=_make_default, args=(collection, category, curve.name, chosen), icon=":material/check_circle:",
                help=f"Searches in {text.plain(category)} probe this number of buckets from then on."
                if curve is PROBES
                else "The codes of all categories are recomputed with this length. No picture is encoded again.",
            )  # fmt: skip
            if curve is PROBES and today:
                st.button(
                    "Leave it to the size", key="default_auto", on_click=_make_default, icon=":material/restart_alt:",
                    args=(collection, category, curve.name, 0), type="tertiary",
                )  # fmt: skip
    csv.csv_button(table, f"recall-by-{curve.name}", f"recall_{curve.name}_csv")


def _measured(index: CategoryIndex, category: str, curve: _Curve) -> pd.DataFrame:
    bar = st.progress(0.0, "Searching exactly")

    def on(done: int, total: int) -> None:
        bar.progress(min(1.0, done / max(1, total)), f"{done:,} of {total:,} measured")

    try:
        return curve.measure(index, category, n_queries=SAMPLE, progress=on)
    finally:
        bar.empty()


def _words(row: dict[str, Any]) -> str:
    name = probing_charts.point_name(int(row.get("n_probes", row.get("n_bits", 0))))
    today = " · today" if row["default"] else ""
    return f"{name}: recall {row['recall']:.1%}, {row['milliseconds']:.2f} ms{today}"


def _chose_probes() -> None:
    _chose("probes")


def _chose_bits() -> None:
    _chose("bits")


_CLICKED = {"probes": _chose_probes, "bits": _chose_bits}


def _chose(name: str) -> None:
    """Choose the point that was clicked (a callback)."""
    number = probing_charts.clicked(st.session_state.get(f"recall_{name}"))
    if number is not None:
        st.session_state[f"point_{name}"] = number


def _make_default(collection: Collection, category: str, name: str, number: int) -> None:
    """Tune the category, or the codes of all, as the point says (a callback)."""
    try:
        if name == "probes":
            tuning = replace(collection.searcher.index.tuning(category), n_probes=number or None)
            indexing.retune(collection, tunings={category: tuning})
            many = f"probes {number:,} buckets" if number else "decides by the category’s size"
            done = f"A search in “{category}” {many} from now on."
        else:
            indexing.retune(collection, n_bits=number)
            done = f"Codes have {number:,} bits from now on, in all categories."
        messages.keep("recall_curves", done, "done")
        st.session_state.retuned = True
    except Fashion16Error as error:
        messages.keep("recall_curves", str(error), "problem")


def _identity(collection: Collection, category: str, curve: _Curve) -> tuple[object, ...]:
    """What a curve depends on. Its own default is not among it: it stays when one of its points is chosen."""
    index = collection.searcher.index
    partition, planes = index.partitions[category], index.hyperplanes
    common = (
        str(collection.stored.layout.root), collection.name, category, curve.name, collection.revision, len(partition),
        partition.hyperplanes.mean.tobytes(),
    )  # fmt: skip
    if curve is PROBES:
        return (*common, partition.key_bits, planes.n_bits, planes.planes[:, 0].tobytes())
    return (*common, index.tuning(category))


@st.cache_resource
def _kept() -> OrderedDict[tuple[object, ...], pd.DataFrame]:
    """The curves that were computed, for all sessions."""
    return OrderedDict()


def _keep(key: tuple[object, ...], table: pd.DataFrame) -> None:
    kept = _kept()
    kept[key] = table
    while len(kept) > KEPT:
        kept.popitem(last=False)
