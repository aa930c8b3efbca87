"""The history of decisions: who, when, from, to and why, and taking one back."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from fashion16.catalogue.rows import Correction
from fashion16.collections.opened import Collection
from fashion16.errors import Fashion16Error, StaleItemError
from ui.shared import access, messages

ANYBODY, ANYTHING = "Everybody", "Everything"
ACTIONS = ("label", "keep", "exclude", "include", "rename", "undo")
PAGE = 100


def words(row: Correction) -> str:
    """A decision in one line."""
    when = row.at[:16].replace("T", " ")
    change = {
        "keep": f"kept {_label(row.old_label)}",
        "exclude": "excluded",
        "include": "brought back",
    }.get(row.action, f"{_label(row.old_label)} → {_label(row.new_label)}")
    if row.action == "undo":
        change = f"taken back: {change}"
    why = f" ({row.why})" if row.why else ""
    return f"Picture {row.item_id}: {change}{why} · {row.who}, {when}"


def show(collection: Collection) -> None:
    """The history with its filters; the chosen rows can be taken back."""
    catalogue = collection.catalogue
    with st.container(horizontal=True, vertical_alignment="bottom"):
        who = st.selectbox("Who", [ANYBODY, *catalogue.authors()], key="trail_who", width=200)
        action = st.selectbox("What", [ANYTHING, *ACTIONS], key="trail_action", width=160)
        item_id = st.number_input("Picture", min_value=1, step=1, value=None, key="trail_item", width=160)
    before = st.session_state.get("trail_before")
    rows = catalogue.corrections(
        who=None if who == ANYBODY else who,
        action=None if action == ANYTHING else action,
        item_id=None if item_id is None else int(item_id),
        before=before,
        limit=PAGE,
    )
    if not rows:
        st.info(
            "Nothing was decided yet." if before is None else "There is nothing before that.", icon=":material/history:"
        )
    undone = catalogue.undone(row.id for row in rows)
    table = pd.DataFrame(
        {
            "picture": [row.item_id for row in rows],
            "what": [row.action + (" (taken back)" if row.id in undone else "") for row in rows],
            "from": [_state(row.old_label, row.old_status) for row in rows],
            "to": [_state(row.new_label, row.new_status) for row in rows],
            "who": [row.who for row in rows],
            "when (UTC)": [row.at[:19].replace("T", " ") for row in rows],
            "why": [row.why or "" for row in rows],
            "batch": [str(row.batch or "") for row in rows],
        }
    )
    chosen = st.dataframe(
        table, hide_index=True, width="stretch", key="trail", on_select="rerun", selection_mode="single-row"
    )
    picked = [rows[at] for at in chosen["selection"]["rows"] if at < len(rows)]
    with st.container(horizontal=True):
        for row in picked:
            what = "this batch" if row.batch else "this"
            st.button(f"Take {what} back", type="primary", key="trail_undo", on_click=_undo, args=(collection, row.id))
        if before is not None:
            st.button("Newest", key="trail_newest", on_click=_page, args=(None,))
        if len(rows) == PAGE:
            st.button("Older", key="trail_older", on_click=_page, args=(rows[-1].id,))
    messages.show("history")


def take_back_last(collection: Collection) -> tuple[str, int | None]:
    """Take back the person's last decision or batch: what there is to say, and the first picture that it was about.

    The picture is None where nothing was taken back.
    """
    who = access.name()
    before, problem = None, ""
    try:
        while last := collection.catalogue.last_undoable(who, before):
            try:
                done = collection.undo(last.id, who)
            except StaleItemError as error:
                # somebody has changed it since: what came before can be taken back all the same
                problem, before = str(error), last.batch or last.id
                continue
            n, late = len(done.corrections), len(done.conflicts)
            said = f"Picture {last.item_id} is as it was." if n == 1 else f"{n:,} pictures are as they were."
            stay = f" {late:,} were changed by somebody else since, and stay." if late else ""
            return said + stay, last.item_id
    except Fashion16Error as error:
        problem = str(error)
    return problem or "There is nothing of yours left to take back.", None


def _undo(collection: Collection, correction_id: int) -> None:
    try:
        done = collection.undo(correction_id, access.name())
    except Fashion16Error as error:
        messages.keep("history", str(error), "problem")
    else:
        late = f" {len(done.conflicts):,} were changed since, and stay." if done.conflicts else ""
        messages.keep("history", f"{len(done.corrections):,} decisions were taken back.{late}")


def _page(before: int | None) -> None:
    st.session_state.trail_before = before


def _label(label: str | None) -> str:
    return "no label" if label is None else f"“{label}”"


def _state(label: str | None, status: str) -> str:
    return (label or "") + ("" if status == "active" else f" ({status})")
