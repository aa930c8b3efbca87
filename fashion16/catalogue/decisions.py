"""What people decide about items, each in one transaction: the item changes, its version rises, its history grows.

Whoever decides names the version that he or she saw. Where somebody else was faster, nothing is written, and what is
there now is said. Nothing is ever taken out of the history: an undo is a new row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from fashion16.catalogue import wording
from fashion16.catalogue.history import History, stamp
from fashion16.catalogue.rows import ACTIVE, EXCLUDED, Batch, Change, Conflict, Correction, Item
from fashion16.catalogue.tables import corrections, in_chunks, items, labels
from fashion16.errors import CatalogueError, LabelError, StaleItemError, UnknownCorrectionError, UnknownItemError


@dataclass(frozen=True, slots=True)
class _Decided:
    """An item as it is, and as it is to be."""

    item: Item
    label: str | None
    status: str
    decided: bool
    action: str
    undoes: int | None = None


class Decisions(History):
    """Items and labels of one collection, to be decided about.

    Each verb raises, beside what it names:
        CatalogueError: the database cannot be used.
        LabelError, TextError: a label, a name or a reason that cannot be; see `wording.py`.
    """

    def correct(self, item_id: int, label: str, who: str, version: int, why: str = "") -> Correction:
        """Change one label; the one that the item has already is kept.

        Args:
            version: the version that the person saw when deciding.

        Raises:
            UnknownItemError: no such item.
            StaleItemError: the item has changed since that version; nothing is written.
        """
        return self._decide(Change(item_id, version, label=label), who, why)

    def keep(self, item_id: int, who: str, version: int, why: str = "") -> Correction:
        """Say that the item is right as it is; raises what `correct` raises."""
        return self._decide(Change(item_id, version), who, why)

    def exclude(self, item_id: int, who: str, version: int, why: str = "") -> Correction:
        """Take the item out of search and training; raises what `correct` raises."""
        return self._decide(Change(item_id, version, status=EXCLUDED), who, why)

    def include(self, item_id: int, who: str, version: int, why: str = "") -> Correction:
        """Bring an excluded item back; raises what `correct` raises."""
        return self._decide(Change(item_id, version, status=ACTIVE), who, why)

    def decide_all(self, changes: Sequence[Change], who: str, why: str = "") -> Batch:
        """Make many changes in one transaction, as one batch.

        Items that have changed since they were seen, and unknown ones, are left alone and come back as conflicts.
        """
        wanted = [_checked(change) for change in changes]
        who, reason = wording.who(who), wording.why(why)
        with self.writing() as connection:
            there = _items(connection, (change.item_id for change in wanted))
            decided: list[_Decided] = []
            late: list[Change] = []
            for change in wanted:
                # taken out, so that naming an item twice is reported the second time
                item = there.get(change.item_id)
                if item is None or item.version != change.version:
                    late.append(change)
                else:
                    decided.append(_looked_at(item, change))
                    del there[change.item_id]
            written = _write(connection, decided, who, reason, is_batch=True)
            return Batch(tuple(written), tuple(_conflicts(connection, late)))

    def undo(self, correction_id: int, who: str) -> Batch:
        """Take back a correction, or all of its batch, by new rows: the items are again as they were before it.

        An undo is taken back the same way, which does the correction again. Items that are no longer as the batch
        left them stay as they are, and come back as conflicts.

        Raises:
            UnknownCorrectionError: no such correction.
            StaleItemError: no item of it is as it left it any more; nothing is written.
        """
        who = wording.who(who)
        with self.writing() as connection:
            rows = _rows(connection, corrections.c.id == correction_id)
            if not rows:
                raise UnknownCorrectionError(correction_id)
            if (batch := rows[0].batch) is not None:
                rows = _rows(connection, corrections.c.batch == batch)
            there = _items(connection, (row.item_id for row in rows))
            histories = _histories(connection, there)
            decided: list[_Decided] = []
            late: list[Correction] = []
            for row in rows:
                item, history = there[row.item_id], histories[row.item_id]
                if (target := _target(row, history, item)) is not None:
                    old = target.old_label, target.old_status, target.old_decided
                    decided.append(_Decided(item, *old, "undo", target.id))
                elif not _is_undone(row, history):  # else an earlier undo of the batch has done it
                    late.append(row)
            if not decided:
                late = late or rows
            # the version that such a change would have to name is long gone
            wanted = [Change(r.item_id, there[r.item_id].version, r.old_label, r.old_status) for r in late]
            conflicts = _conflicts(connection, wanted)
            if not decided:
                raise _stale(conflicts[0])
            return Batch(tuple(_write(connection, decided, who, None, batch is not None)), tuple(conflicts))

    def label_names(self) -> list[str]:
        """The labels of all active items and those that were added, in order of name."""
        used = sa.select(items.c.label).where(items.c.status == ACTIVE, items.c.label.is_not(None))
        with self.reading() as connection:
            return sorted(set(connection.scalars(used.distinct())) | set(connection.scalars(sa.select(labels.c.name))))

    def add_label(self, name: str, who: str) -> str:
        """Add a label that no item needs to have yet; returns it as it is kept. Harmless where it is there."""
        name, who = wording.label(name), wording.who(who)
        with self.writing() as connection:
            _add_label(connection, name, who)
        return name

    def rename_label(self, old: str, new: str, who: str, why: str = "", include_test: bool = False) -> Batch:
        """Give all items with the label `old`, excluded ones too, the label `new`: a merge where that is there.

        One batch, which one undo takes back. Nobody has looked at the items, so they are no more decided than before.

        Args:
            include_test: items of the test split too; else they keep their label, and `left_alone` counts them.

        Raises:
            LabelError: there is no such label, or both are the same.
        """
        new, who, reason = wording.label(new), wording.who(who), wording.why(why)
        if new == old:
            raise LabelError(f"The label is called “{new}” already.")
        with self.writing() as connection:
            its = items.c.label == old
            found = [Item(**row._mapping) for row in connection.execute(sa.select(items).where(its).with_for_update())]
            added = connection.execute(labels.delete().where(labels.c.name == old)).rowcount
            if not found and not added:
                raise LabelError(f"There is no label called “{old}”.")
            if added:
                _add_label(connection, new, who)
            chosen = [item for item in found if include_test or item.split != "test"]
            decided = [_Decided(item, new, item.status, item.decided, "rename") for item in chosen]
            written = _write(connection, decided, who, reason, is_batch=True)
            return Batch(tuple(written), left_alone=len(found) - len(chosen))

    def _decide(self, change: Change, who: str, why: str) -> Correction:
        change = _checked(change)
        who, reason = wording.who(who), wording.why(why)
        with self.writing() as connection:
            item = _items(connection, [change.item_id]).get(change.item_id)
            if item is None:
                raise UnknownItemError(change.item_id)
            if item.version != change.version:
                raise _stale(_conflicts(connection, [change])[0])
            return _write(connection, [_looked_at(item, change)], who, reason, is_batch=False)[0]


def _checked(change: Change) -> Change:
    if change.status not in (None, ACTIVE, EXCLUDED):
        raise ValueError(f"a status is {ACTIVE} or {EXCLUDED}, received {change.status}")
    label = None if change.label is None else wording.label(change.label)
    return Change(int(change.item_id), int(change.version), label, change.status)


def _looked_at(item: Item, change: Change) -> _Decided:
    label = item.label if change.label is None else change.label
    status = item.status if change.status is None else change.status
    if status != item.status:
        action = "exclude" if status == EXCLUDED else "include"
    else:
        action = "keep" if label == item.label else "label"
    return _Decided(item, label, status, True, action)


def _target(row: Correction, history: list[Correction], item: Item) -> Correction | None:
    """The correction to be taken back so that `row` is; None where the item is no longer as `row` left it.

    A correction stands while those after it have been taken back. To take back what did a correction again is to
    take back the correction itself, and to take back an undo is to take back the last one of the same correction: so
    a chain has two undos at most.
    """
    by_id = {each.id: each for each in history}
    # the correction that the item stood at before and after each row, 0 for the item as it came
    before: dict[int, int] = {}
    stands = 0
    after: dict[int, int] = {}
    for each in history:
        before[each.id] = stands
        stands = each.id if each.undoes is None else before[each.undoes]
        after[each.id] = stands
    if after[row.id] != stands or (item.label, item.status, item.decided) != (
        row.new_label,
        row.new_status,
        row.new_decided,
    ):
        return None
    if row.undoes is None:
        return row
    undone = by_id[row.undoes]
    if undone.undoes is not None:
        return by_id[undone.undoes]
    return [each for each in history if each.undoes == undone.id][-1]


def _is_undone(row: Correction, history: list[Correction]) -> bool:
    """Whether it has been taken back, and not been done again since."""
    # what did a correction again is undone when the correction is
    twice = [each.undoes for each in history if each.id == row.undoes and each.undoes is not None]
    number = twice[0] if twice else row.id
    redone = {each.undoes for each in history}
    return any(each.undoes == number and each.id not in redone for each in history)


def _write(
    connection: sa.Connection, decided: Sequence[_Decided], who: str, why: str | None, is_batch: bool
) -> list[Correction]:
    if not decided:
        return []
    at = stamp(datetime.now(UTC))
    rows = [
        {
            "item_id": each.item.id,
            "old_label": each.item.label,
            "new_label": each.label,
            "who": who,
            "at": at,
            "action": each.action,
            "old_status": each.item.status,
            "new_status": each.status,
            "old_decided": each.item.decided,
            "new_decided": each.decided,
            "why": why,
            "undoes": each.undoes,
        }
        for each in decided
    ]
    # the update names the version: should anybody else have written all the same, nothing is overwritten
    changed = connection.execute(
        items.update()
        .where(items.c.id == sa.bindparam("item"), items.c.version == sa.bindparam("seen"))
        .values({name: sa.bindparam(f"new_{name}") for name in ("label", "status", "decided", "version")}),
        [
            {
                "item": each.item.id,
                "seen": each.item.version,
                "new_label": each.label,
                "new_status": each.status,
                "new_decided": each.decided,
                "new_version": each.item.version + 1,
            }
            for each in decided
        ],
    )
    if changed.rowcount != len(decided):
        raise CatalogueError("Another program changed the items at the same moment; nothing was written. Try again.")
    first = connection.scalar(corrections.insert().values(rows[0]).returning(corrections.c.id))
    if not is_batch:
        return _rows(connection, corrections.c.id == first)
    connection.execute(corrections.update().where(corrections.c.id == first).values(batch=first))
    if rows[1:]:
        connection.execute(corrections.insert(), [row | {"batch": first} for row in rows[1:]])
    return _rows(connection, corrections.c.batch == first)


def _rows(connection: sa.Connection, *which: sa.ColumnElement[bool]) -> list[Correction]:
    query = sa.select(corrections).where(*which).order_by(corrections.c.id)
    return [Correction(**row._mapping) for row in connection.execute(query)]


def _items(connection: sa.Connection, ids: Iterable[int]) -> dict[int, Item]:
    """The items with these ids, that nobody else may change before the transaction ends."""
    return {
        row.id: Item(**row._mapping)
        for some in in_chunks(sorted(set(ids)))
        for row in connection.execute(sa.select(items).where(items.c.id.in_(some)).with_for_update())
    }


def _histories(connection: sa.Connection, ids: Collection[int]) -> dict[int, list[Correction]]:
    found: dict[int, list[Correction]] = {item_id: [] for item_id in ids}
    for some in in_chunks(sorted(ids)):
        for row in _rows(connection, corrections.c.item_id.in_(some)):
            found[row.item_id].append(row)
    return found


def _conflicts(connection: sa.Connection, late: Sequence[Change]) -> list[Conflict]:
    now = _items(connection, (change.item_id for change in late))
    last: dict[int, tuple[str, str]] = {}
    for some in in_chunks(sorted(now)):
        newest = sa.select(sa.func.max(corrections.c.id)).where(corrections.c.item_id.in_(some))
        query = sa.select(corrections.c.item_id, corrections.c.who, corrections.c.at).where(
            corrections.c.id.in_(newest.group_by(corrections.c.item_id))
        )
        last |= {item_id: (who, at) for item_id, who, at in connection.execute(query)}
    return [Conflict(change, now.get(change.item_id), *last.get(change.item_id, (None, None))) for change in late]


def _stale(conflict: Conflict) -> StaleItemError:
    now = conflict.now
    assert now is not None  # whoever asks has looked it up
    return StaleItemError(now.id, now.label, now.status, now.version, conflict.changed_by, conflict.changed_at)


def _add_label(connection: sa.Connection, name: str, who: str) -> None:
    if connection.scalar(sa.select(labels.c.name).where(labels.c.name == name)) is None:
        connection.execute(labels.insert().values(name=name, who=who, added_at=stamp(datetime.now(UTC))))
