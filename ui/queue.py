"""Which items are offered, and in which order: the filters of the Correct labels page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import streamlit as st

from fashion16.collection import Collection
from fashion16.label_issues import LabelIssues

Ids = npt.NDArray[np.int64]
ANY = "All"
UNDECIDED, DECIDED, EXCLUDED = "Undecided", "Decided", "Excluded"
SUSPICION, BY_ID, NEWEST = "Suspicion", "Number", "Newest first"
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
    """What the person wants to look at; the options as they stand in the URL."""

    label: str
    suggested: str
    split: str
    status: str
    order: str
    source: str
    bucket: str
    test_too: bool


def choose(collection: Collection, issues: LabelIssues | None) -> Choice:
    """Draw the filters, and return what is chosen."""
    labels = [ANY, NO_LABEL, *collection.catalogue.label_names()]
    if issues is not None and st.session_state.get("had_ranking") is False:
        st.session_state.order = SUSPICION  # the person has just asked for it
    st.session_state.had_ranking = issues is not None
    orders = [*(ORDERS if issues is not None else ()), BY_ID, NEWEST]
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        label = _select("Label", labels, "label", 160)
        suggested = _select("Suggested", labels[:1] + labels[2:], "suggested", 160) if issues is not None else ANY
        order = _select("Order", orders, "order", 170)
        with st.popover("More filters", icon=":material/tune:"):
            split = _select("Split", [ANY, "train", "validation", "test"], "split")
            status = _select("Status", [UNDECIDED, DECIDED, EXCLUDED], "status")
            source = st.text_input("File or address contains", key="source_part", bind="query-params")
            bucket = st.text_input(
                "Bucket of the index", key="bucket", bind="query-params", placeholder="Bag:17", help="Category:number"
            )
            test_too = st.toggle(
                "Test pictures, too",
                key="test_too",
                bind="query-params",
                help="What is measured on them changes with their labels. Leave them out unless you mean to.",
            )
    return Choice(label, suggested, split, status, order, source or "", bucket or "", test_too or split == "test")


def ids_of(collection: Collection, issues: LabelIssues | None, choice: Choice) -> Ids:
    """The ids that the choice means, in its order."""
    catalogue = collection.catalogue
    today = catalogue.active()
    settled = catalogue.decided_ids()
    if choice.status == EXCLUDED:
        ids = np.setdiff1d(settled, today.ids)
    else:
        kept = np.isin(today.ids, settled) == (choice.status == DECIDED)
        if choice.label != ANY:
            kept &= today.labels == ("" if choice.label == NO_LABEL else choice.label)
        if choice.split != ANY:
            kept &= today.splits == choice.split
        if not choice.test_too:
            kept &= today.splits != "test"
        ids = today.ids[kept]
    if choice.source:
        ids = np.intersect1d(ids, catalogue.ids_from(choice.source))
    if choice.bucket:
        ids = np.intersect1d(ids, _in_bucket(collection, choice.bucket))
    if issues is not None and choice.suggested != ANY:
        ids = np.intersect1d(ids, issues.ids[issues.suggested == choice.suggested])
    if choice.order == NEWEST:
        return ids[::-1]
    if issues is None or choice.order not in ORDERS:
        return ids
    ranked = issues.ids[issues.order(ORDERS[choice.order])]
    # what came after the ranking stands at its end
    return np.concatenate([ranked[np.isin(ranked, ids)], ids[~np.isin(ids, ranked)]])


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
