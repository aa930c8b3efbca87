"""Look-alikes together: tick many, one action for all, and one undo takes it back."""

from __future__ import annotations

import numpy as np
import streamlit as st

from fashion16.catalogue.rows import Change, Item
from fashion16.collections.opened import Collection
from fashion16.errors import Fashion16Error
from fashion16.labels.issues import LabelIssues
from fashion16.search.searcher import NEAR_DUPLICATE
from ui.labels import history
from ui.labels.queue import Choice, Ids
from ui.shared import access, messages, pictures, text

PAGE = 24
QUEUE, SAME, BUCKET, NEAR, TWINS = "This queue", "Same labels", "Same bucket", "Neighbours", "Near-duplicates"
NEAR_ENOUGH = 60


def show(collection: Collection, issues: LabelIssues | None, queue: Ids, choice: Choice) -> None:
    """Pictures to tick, and what is to be done with those that are ticked."""
    options = [QUEUE, *((SAME,) if issues is not None else ()), BUCKET, NEAR, TWINS]
    which = st.segmented_control(
        "Together with the picture in turn", options, default=QUEUE, required=True, key="together", wrap=True
    )
    at = min(st.session_state.at, max(0, len(queue) - 1))
    ids = _together(collection, issues, queue, int(queue[at]), str(which)) if len(queue) else queue
    pages = max(1, -(-len(ids) // PAGE))
    page = st.pagination(pages, key=f"grid_page_{which}") if pages > 1 else 1
    shown = collection.catalogue.items([int(i) for i in ids[(page - 1) * PAGE : page * PAGE]])
    if not choice.test_too:
        shown = [item for item in shown if item.split != "test"]
    if not shown:
        st.info("There is nothing here.", icon=":material/grid_off:")
        return
    _actions(collection, shown)
    pictures.in_line("grid", shown)
    with st.grid(min_column_width=130, gap="small", key="grid"):
        for item in shown:
            with st.container(key=f"cell_{item.id}", gap="xxsmall"):
                st.image(collection.thumbnail(item), width="stretch", alt=f"Picture {item.id}, {text.label(item)}")
                state = "" if item.status == "active" else " · excluded"
                st.checkbox(f"{text.plain(text.label(item))}{state}", key=_tick(item.id))


def _actions(collection: Collection, shown: list[Item]) -> None:
    ticked = [item for item in shown if st.session_state.get(_tick(item.id))]
    with st.container(horizontal=True, vertical_alignment="bottom", key="bulk"):
        st.button("Tick all", key="tick_all", on_click=_tick_all, args=(shown, True))
        st.button("Tick none", key="tick_none", on_click=_tick_all, args=(shown, False))
        label = st.selectbox(
            f"Label for the {len(ticked)} ticked",
            collection.catalogue.label_names(),
            index=None,
            key="bulk_new",
            accept_new_options=True,
            width=220,
        )
        for words, name in (("Set label", "label"), ("Keep", "keep"), ("Exclude", "exclude")):
            st.button(
                words,
                key=f"bulk_{name}",
                type="primary" if name == "label" else "secondary",
                disabled=not ticked or (name == "label" and not label),
                on_click=_do,
                args=(collection, [(item.id, item.version) for item in ticked], name),
            )
        st.button("Undo", key="bulk_undo", on_click=_undo, args=(collection,))
    messages.show("grid")


def _together(collection: Collection, issues: LabelIssues | None, queue: Ids, item_id: int, which: str) -> Ids:
    index = collection.searcher.index
    if which == SAME and issues is not None:
        row = np.flatnonzero(issues.ids == item_id)
        if not len(row):
            return np.array([item_id], np.int64)
        same = (issues.given == issues.given[row[0]]) & (issues.suggested == issues.suggested[row[0]])
        return queue[np.isin(queue, issues.ids[same])]
    if which == QUEUE:
        return queue
    category = index.category_of(item_id)
    if category is None:
        return np.array([item_id], np.int64)
    if which == BUCKET:
        partition = index.partitions[category]
        row = int(np.flatnonzero(partition.ids == item_id)[0])
        bucket = int(np.searchsorted(partition.starts, row, side="right")) - 1
        return partition.ids[partition.starts[bucket] : partition.starts[bucket + 1]]
    found = index.search(index.embeddings([item_id]), index.categories, NEAR_ENOUGH)
    kept = found.ids[0] >= 0
    if which == TWINS:
        kept &= found.similarities[0] >= NEAR_DUPLICATE
    return found.ids[0][kept]


def _tick(item_id: int) -> str:
    return f"tick_{item_id}"


def _tick_all(shown: list[Item], ticked: bool) -> None:
    for item in shown:
        st.session_state[_tick(item.id)] = ticked


def _do(collection: Collection, seen: list[tuple[int, int]], what: str) -> None:
    """One action for all that are ticked, as one batch (a callback)."""
    label = st.session_state.get("bulk_new") if what == "label" else None
    status = "excluded" if what == "exclude" else None
    try:
        done = collection.decide_all([Change(i, version, label, status) for i, version in seen], access.name())
    except Fashion16Error as error:
        messages.keep("grid", str(error), "problem")
        return
    words = f"{len(done.corrections):,} pictures decided. Undo takes all of them back."
    for conflict in done.conflicts[:5]:
        now = "gone" if conflict.now is None else f"“{text.label(conflict.now)}”"
        who = conflict.changed_by or "somebody"
        words += f" Picture {conflict.wanted.item_id} was changed by {who} meanwhile: it is {now}."
    messages.keep("grid", words)
    for item_id, _ in seen:
        st.session_state[_tick(item_id)] = False


def _undo(collection: Collection) -> None:
    """Take back the person's last decision or batch (a callback)."""
    said, _ = history.take_back_last(collection)
    messages.keep("grid", said)
