"""One item after another: its picture, what speaks for which label, and a key for each decision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import streamlit as st

from fashion16.catalogue.rows import Item
from fashion16.collections.opened import Collection
from fashion16.errors import Fashion16Error, StaleItemError
from fashion16.labels.issues import LabelIssues
from ui.labels import history
from ui.labels.queue import UNDECIDED, Choice, Ids
from ui.shared import access, messages, pictures
from ui.shared import text as text_module

DIGITS = "1234567890"
# C and R are Streamlit's own; A, K, X and Z are decisions
LETTERS = "BDEFGHIJLMNOPQSTUVWY"
NEIGHBOURS = 5
GUESSES = 3
LARGE, SMALL = 560, 150  # pixels
AHEAD = 2  # pictures that are made while the person looks at one
KEPT = 40  # pictures that a session remembers, to go back to


def show(collection: Collection, issues: LabelIssues | None, queue: Ids, choice: Choice) -> None:
    """Offer the items of the queue, from where the person is in it."""
    item, test_too = _current(collection, queue, choice.status), choice.test_too
    if item is None:
        _pace(collection, 0)
        st.success("Nothing is left in this queue. Choose other filters, or go back.", icon=":material/done_all:")
        _moves(collection, queue, None, "", test_too)
        return
    facts = _Facts(collection, issues, item)
    _pace(collection, len(queue) - st.session_state.at)
    left, right = st.columns([5, 6], gap="medium")
    with left:
        # what is said of the picture is to be seen with it
        st.html("<style>.st-key-large img{max-height:62vh;object-fit:contain}</style>")
        with st.container(key="large"):
            name = text_module.label(item)
            st.image(_picture(collection, item), width="stretch", alt=f"Picture {item.id}, labelled {name}")
        _about(item, facts)
    with right:
        messages.show("one_by_one")  # what the last key did, or why it did nothing
        _moves(collection, queue, item, facts.suggested, test_too)
        _labels(collection, item, test_too)
        _neighbours(collection, facts)
        _history(collection, item)
    # after the page is drawn: the next key finds its picture made
    for item_id in queue[st.session_state.at + 1 : st.session_state.at + 1 + AHEAD]:
        try:
            _picture(collection, collection.catalogue.item(int(item_id)))
        except Fashion16Error:
            break  # its turn will say what is wrong with it


class _Facts:
    """What speaks for which label."""

    def __init__(self, collection: Collection, issues: LabelIssues | None, item: Item) -> None:
        index, head = collection.searcher.index, collection.searcher.head
        self.suggested, self.share, self.given_share, self.twin = "", 0.0, None, -1
        self.guesses: list[tuple[str, float]] = []
        self.copies = [other for other in collection.catalogue.copies_of(item) if other != item.id]
        embedding = index.embeddings([item.id])
        self.neighbours: list[tuple[int, float]] = []
        if embedding.any():
            found = index.search(embedding, index.categories, NEIGHBOURS + 1)
            pairs = zip(found.ids[0], found.similarities[0], strict=True)
            self.neighbours = [(int(i), float(s)) for i, s in pairs if i >= 0 and i != item.id][:NEIGHBOURS]
            shares = head.probabilities(embedding)[0]
            best = np.argsort(-shares, kind="stable")[:GUESSES]
            self.guesses = [(head.categories[int(at)], float(shares[at])) for at in best]
        row = np.flatnonzero(issues.ids == item.id) if issues is not None else []
        if issues is not None and len(row):
            # by a head that has not seen this picture
            self.suggested, self.share = str(issues.suggested[row[0]]), float(issues.p_suggested[row[0]])
            self.given_share, self.twin = float(issues.p_given[row[0]]), int(issues.twin[row[0]])
        elif self.guesses:
            self.suggested, self.share = self.guesses[0]


def _current(collection: Collection, queue: Ids, status: str) -> Item | None:
    """The item whose turn it is: one that is decided, or that somebody else looks at, is passed over."""
    who, catalogue = access.name(), collection.catalogue
    while st.session_state.at < len(queue):
        item = catalogue.item(int(queue[st.session_state.at]))
        is_open = not item.decided or status != UNDECIDED
        if st.session_state.get("back_to") == item.id or (is_open and item.id in catalogue.lease([item.id], who)):
            return item
        st.session_state.at += 1
    return None


def _picture(collection: Collection, item: Item) -> str:
    """The item's picture as large as it is shown; the last ones are remembered."""
    made: dict[tuple[str, int], str] = st.session_state.setdefault("pictures_made", {})
    key = (collection.name, item.id)
    if key not in made:
        made[key] = collection.large(item, LARGE)
        for old in list(made)[:-KEPT]:
            del made[old]
    return made[key]


def _pace(collection: Collection, left: int) -> None:
    pace = collection.catalogue.progress(access.name())
    words = f"**{pace.today_by_who:,}** decided today · **{pace.per_minute:.0f}** a minute"
    if pace.today > pace.today_by_who:
        words += f" · {pace.today:,} by everybody"
    if pace.share_changed is not None:
        words += f" · **{pace.share_changed:.0%}** of the last were changed"
    st.caption(f"{words} · **{left:,}** left in this queue")


def _about(item: Item, facts: _Facts) -> None:
    given = "" if facts.given_share is None else f" · {facts.given_share:.0%}"
    st.markdown(
        f"Picture **{item.id}** · {item.split}  \nlabelled **{text_module.plain(text_module.label(item))}**{given}"
    )
    if facts.suggested:
        st.markdown(f"suggested **{text_module.plain(facts.suggested)}** · {facts.share:.0%}")
    if facts.guesses:
        shares = ", ".join(f"{text_module.plain(name)} {share:.0%}" for name, share in facts.guesses)
        st.caption(f"Predicted: {shares}")
    if facts.copies:
        st.caption(f":material/file_copy: The same file as picture {', '.join(map(str, facts.copies[:5]))}.")
    if facts.twin >= 0:
        st.caption(f":material/content_copy: Picture {facts.twin} is nearly the same, and carries another label.")
    st.caption(text_module.plain(item.source[:200]))


def _moves(collection: Collection, queue: Ids, item: Item | None, suggested: str, test_too: bool) -> None:
    """The decisions that are no label, and the ways through the queue."""
    locked = item is not None and item.split == "test" and not test_too
    if locked:
        st.caption("A test picture: its label changes only with “Test pictures, too” under “More filters”.")
    decide = partial(_decide, collection)
    with st.container(horizontal=True, key="moves"):
        if item is not None:
            accept = f"Accept {text_module.plain(suggested)}" if suggested else "Accept"
            seen = (item.id, item.version)
            can_accept = suggested not in ("", item.label) and not locked
            _key(accept, "A", "accept", decide, (*seen, "correct", suggested), not can_accept, "primary")
            _key("Keep", "K", "keep", decide, (*seen, "keep", ""), locked)
            if item.status == "active":
                _key("Exclude", "X", "exclude", decide, (*seen, "exclude", ""), locked)
            else:
                _key("Bring back", "X", "exclude", decide, (*seen, "include", ""), locked)
            _key("Skip", "Space", "skip", _move, (1, queue))
        _key("Undo", "Z", "undo", _undo, (collection, queue))
        _key("Back", "Left", "back", _move, (-1, queue))
        if item is not None:
            _key("Next", "Right", "next", _move, (1, queue))


def _labels(collection: Collection, item: Item, test_too: bool) -> None:
    names = collection.catalogue.label_names()
    keys = [*DIGITS, *LETTERS]
    with st.container(horizontal=True, key="labels"):
        for number, name in enumerate(names[: len(keys)]):
            _key(
                text_module.plain(name),
                keys[number],
                f"label_{number}",
                partial(_decide, collection),
                (item.id, item.version, "correct", name),
                item.split == "test" and not test_too,
                icon=":material/check:" if name == item.label else None,
            )
    if len(names) > len(keys):
        st.caption(f"{len(names) - len(keys):,} more labels have no key; choose them in the grid.")


def _key(
    words: str,
    key: str,
    name: str,
    do: Callable[..., None],
    args: tuple[object, ...],
    disabled: bool = False,
    kind: Literal["primary", "secondary"] = "secondary",
    icon: str | None = None,
) -> None:
    st.button(
        words,
        key=f"key_{name}",
        shortcut=key,
        on_click=do,
        args=args,
        disabled=disabled,
        type=kind,
        icon=icon,
        width="content",
    )


def _neighbours(collection: Collection, facts: _Facts) -> None:
    if not facts.neighbours:
        return
    st.caption("The most similar pictures, and what they are labelled")
    items = {item.id: item for item in collection.catalogue.items([i for i, _ in facts.neighbours])}
    pictures.in_line("neighbours", list(items.values()))
    with st.grid(min_column_width=90, gap="xsmall", key="neighbours"):
        for item_id, similarity in facts.neighbours:
            if (near := items.get(item_id)) is None:
                continue
            with st.container(key=f"near_{item_id}", gap="xxsmall"):
                name = text_module.label(near)
                st.image(collection.thumbnail(near, SMALL), width="stretch", alt=f"{name}, {similarity:.0%}")
                st.caption(f"{text_module.plain(name)} · {similarity:.0%}")


def _history(collection: Collection, item: Item) -> None:
    rows = collection.catalogue.history(item.id)
    if rows:
        with st.expander(f"{len(rows)} decisions about this picture", icon=":material/history:"):
            for row in reversed(rows):
                st.caption(text_module.plain(history.words(row)))


def _decide(collection: Collection, item_id: int, version: int, verb: str, label: str) -> None:
    """Write one decision about the version that the person saw, and go on (a callback)."""
    who = access.name()
    st.session_state.pop("back_to", None)
    try:
        if verb == "correct":
            row = collection.correct(item_id, label, who, version)
        else:
            row = {"keep": collection.keep, "exclude": collection.exclude, "include": collection.include}[verb](
                item_id, who, version
            )
    except StaleItemError as error:
        # the same key pressed twice before the page was redrawn is no conflict
        if error.changed_by != who:
            wanted = f" You chose “{label}”." if label else ""
            messages.keep("one_by_one", f"{error}{wanted}", "warning")
            st.session_state.back_to = item_id
    except Fashion16Error as error:
        messages.keep("one_by_one", str(error), "warning")
    else:
        messages.keep("one_by_one", f"{history.words(row)} · Z takes it back")
        st.session_state.at += 1


def _undo(collection: Collection, queue: Ids) -> None:
    """Take back the last decision of this person, or the last batch, and show it (a callback)."""
    said, item_id = history.take_back_last(collection)
    messages.keep("one_by_one", said, "warning" if item_id is None else "note")
    if item_id is not None:
        _go_to(queue, item_id)


def _go_to(queue: Ids, item_id: int) -> None:
    at = np.flatnonzero(queue == item_id)
    if len(at):
        st.session_state.at = int(at[0])
        st.session_state.back_to = item_id


def _move(by: int, queue: Ids) -> None:
    """Go forward or back in the queue without deciding (a callback)."""
    st.session_state.at = int(np.clip(st.session_state.at + by, 0, len(queue)))
    st.session_state.pop("back_to", None)
    if by < 0 and len(queue):
        st.session_state.back_to = int(queue[st.session_state.at])  # decided or not, it is to be seen
