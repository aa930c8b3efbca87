"""Which items are offered, and in which order: the filters of the Correct labels page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.errors import Fashion16Error
from fashion16.labels.issues import LabelIssues
from fashion16.labels.selections import Selection
from ui.shared import selection, text

Ids = npt.NDArray[np.int64]
ANY = "All"
UNDECIDED, DECIDED, EXCLUDED = "Undecided", "Decided", "Excluded"
SUSPICION, BY_ID, NEWEST, AS_PICKED = "Suspicion", "Number", "Newest first", "As picked"
# how the ranking's orders are called on the page
ORDERS = {
    SUSPICION: "suspicion",
    "Low confidence": "self_confidence",
    "Small margin": "normalized_margin",
    "Neighbours disagree": "disagreement",
}
NO_LABEL = "(no label)"


@dataclass(frozen=True)
class Choice:
    """What the person wants to look at; the options as they stand in the URL.

    `picked` are the pictures that another page sent; None where none did.
    """

    label: str
    suggested: str
    split: str
    status: str
    order: str
    source: str
    bucket: str
    test_too: bool
    picked: Selection | None = None


def choose(collection: Collection, issues: LabelIssues | None) -> Choice:
    """Draw the filters, and return what is chosen."""
    labels = [ANY, NO_LABEL, *collection.catalogue.label_names()]
    if issues is not None and st.session_state.get("had_ranking") is False:
        st.session_state.order = SUSPICION  # the person has just asked for it
    st.session_state.had_ranking = issues is not None
    picked = _picked(collection)
    orders = [*((AS_PICKED,) if picked else ()), *(ORDERS if issues is not None else ()), BY_ID, NEWEST]
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        label = _select("Label", labels, "label", 160)
        suggested = _select("Suggested", labels[:1] + labels[2:], "suggested", 160) if issues is not None else ANY
        order = _select("Order", orders, "order", 170)
        with st.popover("More filters", icon=":material/tune:"):
            split = _select("Split", [ANY, "train", "validation", "test"], "split")
            status = _select("Status", [UNDECIDED, DECIDED, EXCLUDED, ANY], "status")
            source = st.text_input("File or address contains", key="source_part", bind="query-params")
            bucket = st.text_input(
                "Bucket of the index",
                key="in_bucket",
                bind="query-params",
                placeholder="Bag:17",
                help="Category:number",
            )
            test_too = st.toggle(
                "Test pictures, too",
                key="test_too",
                bind="query-params",
                help="What is measured on them changes with their labels. Leave them out unless you mean to.",
            )
    return Choice(
        label, suggested, split, status, order, source or "", bucket or "", test_too or split == "test", picked
    )


def ids_of(collection: Collection, issues: LabelIssues | None, choice: Choice) -> Ids:
    """The ids that the choice means, in its order."""
    catalogue = collection.catalogue
    today = catalogue.active()
    settled = catalogue.decided_ids()
    if choice.status == EXCLUDED:
        ids = np.setdiff1d(settled, today.ids)
    else:
        decided = np.isin(today.ids, settled)
        kept = np.ones(len(today.ids), bool) if choice.status == ANY else decided == (choice.status == DECIDED)
        if choice.label != ANY:
            kept &= today.labels == ("" if choice.label == NO_LABEL else choice.label)
        if choice.split != ANY:
            kept &= today.splits == choice.split
        if not choice.test_too:
            kept &= today.splits != "test"
        ids = today.ids[kept]
        if choice.status == ANY and choice.label == ANY and choice.split == ANY:
            ids = np.union1d(ids, np.setdiff1d(settled, today.ids))  # the excluded ones
    if choice.source:
        ids = np.intersect1d(ids, catalogue.ids_from(choice.source))
    if choice.bucket:
        ids = np.intersect1d(ids, _in_bucket(collection, choice.bucket))
    if issues is not None and choice.suggested != ANY:
        ids = np.intersect1d(ids, issues.ids[issues.suggested == choice.suggested])
    if choice.picked is not None:
        ids = choice.picked.ids[np.isin(choice.picked.ids, ids)]
        if choice.order == AS_PICKED:
            return ids
        ids = np.sort(ids)
    if choice.order == NEWEST:
        return ids[::-1]
    if issues is None or choice.order not in ORDERS:
        return ids
    ranked = issues.ids[issues.order(ORDERS[choice.order])]
    # what came after the ranking stands at its end
    return np.concatenate([ranked[np.isin(ranked, ids)], ids[~np.isin(ids, ranked)]])


def _picked(collection: Collection) -> Selection | None:
    """The pictures that another page sent, with a way back to all of them."""
    name = st.text_input("Picked pictures", key="selection", bind="query-params", label_visibility="collapsed")
    st.html("<style>.st-key-selection{display:none}</style>")  # named by links, and not typed
    if not name:
        return None
    try:
        picked = selection.named(collection, name)
    except Fashion16Error as error:
        st.warning(str(error), icon=":material/link_off:")
        st.button("Show all", key="selection_gone", on_click=_forget_picked)
        return None
    with st.container(horizontal=True, vertical_alignment="center", key="picked"):
        st.markdown(
            f":material/filter_alt: **{text.plain(picked.title)}** · {len(picked.ids):,} picked", width="content"
        )
        st.button("Show all", key="selection_all", type="tertiary", icon=":material/close:", on_click=_forget_picked)
    return picked


def _forget_picked() -> None:
    """Look at all pictures again, with the filters as they are for anybody who comes by himself (a callback)."""
    st.session_state.selection = ""
    st.session_state.status, st.session_state.test_too = UNDECIDED, False
    if st.session_state.get("order") == AS_PICKED:
        del st.session_state["order"]


def _select(name: str, options: list[str], key: str, width: int | str = "stretch") -> str:
    return str(st.selectbox(name, options, key=key, bind="query-params", width=width))


def _in_bucket(collection: Collection, bucket: str) -> Ids:
    category, _, number = bucket.rpartition(":")
    partition = collection.searcher.index.partitions.get(category)
    if partition is None or not number.isdigit() or int(number) >= 2**partition.key_bits:
        return np.zeros(0, np.int64)
    return partition.ids[partition.starts[int(number)] : partition.starts[int(number) + 1]]


def kept(collection: Collection, issues: LabelIssues | None, choice: Choice) -> Ids:
    """The queue of this choice as it was when the person chose it: what is decided meanwhile stays in its place."""
    key = (
        collection.name,
        choice,
        None if issues is None else issues.revision,
        st.session_state.get("queue_number", 0),
    )
    if st.session_state.get("queue_key") != key:
        st.session_state.queue_ids = ids_of(collection, issues, choice)
        st.session_state.queue_key, st.session_state.at = key, 0
        st.session_state.pop("back_to", None)
    ids: Ids = st.session_state.queue_ids
    return ids
