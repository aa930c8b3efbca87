"""What was decided about a collection's items, by whom and when: rows that are only ever added.

What is taken back stays, and a row beside it says so. It counts as undone while the last row that takes it back has
not been taken back itself; `Decisions.undo` sees to it that no chain of rows is longer than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from fashion16.catalogue.database import Database
from fashion16.catalogue.rows import EXCLUDED, Correction, Pace
from fashion16.catalogue.tables import corrections, in_chunks

# what somebody decides who looks at an item; not so a renaming, nor an undo
LOOKED = ("label", "keep", "exclude", "include")
BATCH = 2_000  # rows read at a time where all are wanted
PACE_MINUTES = 10
PACE_DECISIONS = 50

_undo, _redo = corrections.alias("undo"), corrections.alias("redo")
_undone = sa.exists().where(
    _undo.c.undoes == corrections.c.id,
    ~sa.exists().where(_redo.c.undoes == _undo.c.id).correlate(_undo),
)


class History(Database):
    """The corrections of one collection, to be read."""

    def revision(self) -> int:
        """The id of the newest correction, 0 when there is none: it grows with every change of an item."""
        with self.reading() as connection:
            return newest(connection)

    def corrections_since(self, revision: int) -> list[Correction]:
        """The history after this revision, the oldest first."""
        return self._rows(sa.select(corrections).where(corrections.c.id > revision).order_by(corrections.c.id))

    def n_corrections_since(self, revision: int) -> int:
        """How many rows the history has after this revision."""
        query = sa.select(sa.func.count()).select_from(corrections).where(corrections.c.id > revision)
        with self.reading() as connection:
            return connection.scalar(query) or 0

    def exclusions(self, ids: Iterable[int]) -> dict[int, Correction]:
        """By item, the last correction that excluded it; items that no correction has excluded are left out."""
        was_excluded = (corrections.c.new_status == EXCLUDED) & (corrections.c.old_status != EXCLUDED)
        return {
            row.item_id: row
            for some in in_chunks(ids)
            for row in self._rows(
                sa.select(corrections).where(corrections.c.item_id.in_(some), was_excluded).order_by(corrections.c.id)
            )
        }

    def history(self, item_id: int) -> list[Correction]:
        """The corrections of one item, the oldest first."""
        return self._rows(sa.select(corrections).where(corrections.c.item_id == item_id).order_by(corrections.c.id))

    def corrections(
        self,
        *,
        who: str | None = None,
        old_label: str | None = None,
        new_label: str | None = None,
        action: str | None = None,
        item_id: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Correction]:
        """The history of the collection, the newest first; each choice that is not None leaves the others out.

        Args:
            before: the last id of the page before, for the next one.
        """
        chosen = {"who": who, "old_label": old_label, "new_label": new_label, "action": action, "item_id": item_id}
        query = sa.select(corrections).where(
            *(corrections.c[name] == value for name, value in chosen.items() if value is not None)
        )
        if before is not None:
            query = query.where(corrections.c.id < before)
        return self._rows(query.order_by(corrections.c.id.desc()).limit(limit))

    def everything(self) -> Iterator[Correction]:
        """The whole history, the oldest first, some at a time: it may be longer than the memory is large."""
        last = 0
        while True:
            query = sa.select(corrections).where(corrections.c.id > last).order_by(corrections.c.id).limit(BATCH)
            if not (rows := self._rows(query)):
                return
            yield from rows
            last = rows[-1].id

    def authors(self) -> list[str]:
        """Everybody who is in the history, in order of name."""
        with self.reading() as connection:
            return sorted(connection.scalars(sa.select(corrections.c.who).distinct()))

    def undone(self, ids: Iterable[int]) -> set[int]:
        """Those of these corrections that have been taken back, and not been done again since."""
        wanted = [int(number) for number in ids]
        with self.reading() as connection:
            return set(connection.scalars(sa.select(corrections.c.id).where(corrections.c.id.in_(wanted), _undone)))

    def last_undoable(self, who: str, before: int | None = None) -> Correction | None:
        """The newest correction by this person that is neither an undo nor undone; None where there is none.

        Undone one after the other, they go back to the person's first. It may be one that can't be taken back,
        because somebody has changed the item since: `undo` says so.

        Args:
            before: a correction's `batch`, or its id where it has none, to go on with what came before it.
        """
        query = sa.select(corrections).where(corrections.c.who == who, corrections.c.undoes.is_(None), ~_undone)
        if before is not None:
            query = query.where(corrections.c.id < before)
        return next(iter(self._rows(query.order_by(corrections.c.id.desc()).limit(1))), None)

    def progress(self, who: str | None = None, now: datetime | None = None) -> Pace:
        """How the deciding gets on: pace and share of this person, or of everybody where it is None.

        Args:
            now: the time to ask about, aware; None for this moment.
        """
        moment = (now or datetime.now(UTC)).astimezone(UTC)
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        began = stamp(moment - timedelta(minutes=PACE_MINUTES))
        counted = (corrections.c.action.in_(LOOKED), ~_undone, corrections.c.at <= stamp(moment))
        its = counted if who is None else (*counted, corrections.c.who == who)
        number = sa.func.count()
        today = sa.select(corrections.c.who, number).where(*counted, corrections.c.at >= stamp(midnight))
        lately = sa.select(number, sa.func.min(corrections.c.at)).where(*its, corrections.c.at > began)
        last = sa.select(corrections.c.action).where(*its).order_by(corrections.c.id.desc()).limit(PACE_DECISIONS)
        with self.reading() as connection:
            by_person = {person: n for person, n in connection.execute(today.group_by(corrections.c.who))}
            n, first = connection.execute(lately).one()
            actions = connection.scalars(last).all()
        minutes = (moment - datetime.fromisoformat(first)).total_seconds() / 60 if n else 1.0
        changed = sum(action != "keep" for action in actions) / len(actions) if actions else None
        everybody = sum(by_person.values())
        return Pace(everybody, everybody if who is None else by_person.get(who, 0), n / max(minutes, 1.0), changed)

    def _rows(self, query: sa.Select[tuple[object, ...]]) -> list[Correction]:
        with self.reading() as connection:
            return [Correction(**row._mapping) for row in connection.execute(query)]


def newest(connection: sa.Connection) -> int:
    """The id of the newest correction, 0 when there is none."""
    return connection.scalar(sa.select(sa.func.max(corrections.c.id))) or 0


def stamp(moment: datetime) -> str:
    """The moment as the catalogue writes it: ISO 8601, UTC, so that later ones sort behind earlier ones."""
    return moment.isoformat(timespec="milliseconds")
