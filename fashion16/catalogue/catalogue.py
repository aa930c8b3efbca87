"""The truth about labels: items and the history of their corrections, in any database SQLAlchemy speaks to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from fashion16.catalogue.decisions import Decisions
from fashion16.catalogue.history import newest
from fashion16.catalogue.leases import Leases
from fashion16.catalogue.rows import ACTIVE, Came, ImportedItem, Item
from fashion16.catalogue.tables import Flag, corrections, in_chunks, items
from fashion16.errors import CatalogueError, UnknownItemError
from fashion16.types import Labels

BATCH = 5_000


INSERT_BATCH = 5_000


class Catalogue(Decisions, Leases):
    """Items and corrections of one collection. Safe to share between threads: a connection per operation."""

    def add(self, imported: Iterable[ImportedItem]) -> int:
        """Add items, all or none of them, with ids counted on from the highest; returns how many.

        Raises:
            CatalogueError: one of them is there already.
        """
        with self.writing() as connection:
            try:
                return _insert(connection, iter(imported))
            except sa.exc.IntegrityError as error:
                raise CatalogueError("These pictures are in the catalogue already; nothing was added.") from error

    def add_new(self, imported: Sequence[ImportedItem]) -> int:
        """Add those items whose source and file are not there together yet; returns how many they were."""
        names = sorted({item.source for item in imported})
        with self.writing() as connection:
            query = sa.select(items.c.source, items.c.file).where(items.c.source.in_(names))
            there = {(row.source, row.file) for row in connection.execute(query)}
            new = {(item.source, item.file): item for item in imported if (item.source, item.file) not in there}
            return _insert(connection, iter(new.values()))

    def restore(self, whole: Iterable[Item]) -> int:
        """Fill an empty catalogue with items as they were, all or none; returns how many.

        Returns 0, and adds nothing, where there are items already: of two who restore at once, one does.

        Raises:
            CatalogueError: two of them are the same, or the database cannot be used.
        """
        with self.writing() as connection:
            if connection.scalar(sa.select(sa.func.count()).select_from(items)):
                return 0
            stream, restored = iter(whole), 0
            while rows := [vars(item) for item in islice(stream, INSERT_BATCH)]:
                connection.execute(items.insert(), rows)
                restored += len(rows)
            return restored

    def sources(self) -> dict[tuple[str, str], Came]:
        """How each item that is a file came, by its source and the SHA-256 of its picture."""
        columns = (
            items.c.source,
            items.c.sha256,
            items.c.original_label,
            items.c.label,
            items.c.file,
            items.c.width,
            items.c.height,
        )
        with self.reading() as connection:
            rows = connection.execute(sa.select(*columns).where(items.c.file.is_not(None)))
            return {(source, sha256): Came(*came) for source, sha256, *came in rows}

    def count(self) -> int:
        """How many items there are, whatever their status."""
        with self.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(items)) or 0

    def label_counts(self) -> dict[str, int]:
        """Active items per label, the most frequent first."""
        number = sa.func.count().label("number")
        query = (
            sa.select(items.c.label, number)
            .where(items.c.status == ACTIVE, items.c.label.is_not(None))
            .group_by(items.c.label)
            .order_by(number.desc(), items.c.label)
        )
        with self.reading() as connection:
            return {label: count for label, count in connection.execute(query)}

    def item(self, item_id: int) -> Item:
        """The item with this id.

        Raises:
            UnknownItemError: there is none.
        """
        found = self.items([item_id])
        if not found:
            raise UnknownItemError(item_id)
        return found[0]

    def items(self, ids: Sequence[int]) -> list[Item]:
        """The items with these ids, in the order asked for; unknown ids are left out."""
        wanted = [int(item_id) for item_id in ids]
        with self.reading() as connection:
            by_id = {
                row.id: Item(**row._mapping)
                for some in in_chunks(wanted)
                for row in connection.execute(sa.select(items).where(items.c.id.in_(some)))
            }
        return [by_id[item_id] for item_id in wanted if item_id in by_id]

    def all_items(self, status: str | None = None) -> Iterator[Item]:
        """All items, or those of one status, in order of id; read some at a time."""
        return self._in_order(*([items.c.status == status] if status else []))

    def changed_items(self) -> Iterator[Item]:
        """The items that differ from how they came, or have done so once, in order of id; read some at a time."""
        once = sa.select(corrections.c.item_id).where(corrections.c.action != "keep")
        differs = items.c.label.is_distinct_from(items.c.original_label) | (items.c.status != ACTIVE)
        return self._in_order(differs | items.c.id.in_(once))

    def items_with_content(self, digests: Iterable[str]) -> dict[str, list[Item]]:
        """The items whose pictures have these SHA-256 digests, by digest, in order of id."""
        found: dict[str, list[Item]] = {}
        for some in in_chunks(sorted(set(digests))):
            query = sa.select(items).where(items.c.sha256.in_(some)).order_by(items.c.id)
            with self.reading() as connection:
                for row in connection.execute(query):
                    found.setdefault(row.sha256, []).append(Item(**row._mapping))
        return found

    def labels(self) -> Labels:
        """All active, labelled items, and the revision that their labels stand at."""
        return self.active().labelled

    def active(self) -> Labels:
        """All active items, unlabelled ones too, and the revision that their labels stand at."""
        query = (
            sa.select(items.c.id, items.c.position, items.c.label, items.c.split)
            .where(items.c.status == ACTIVE)
            .order_by(items.c.id)
        )
        with self.reading() as connection:
            # the revision first: a correction in between is then applied twice, never lost
            revision = newest(connection)
            rows = connection.execute(query).all()
        return Labels(
            np.array([row.id for row in rows], np.int64),
            np.array([-1 if row.position is None else row.position for row in rows], np.int64),
            np.array([row.label or "" for row in rows], np.str_),
            np.array([row.split for row in rows], np.str_),
            revision,
        )

    def files(self, after: int = 0) -> list[tuple[int, str, int, int]]:
        """Id, file, width and height of all items that are files and have a higher id, in order of id."""
        query = (
            sa.select(items.c.id, items.c.file, items.c.width, items.c.height)
            .where(items.c.file.is_not(None), items.c.id > after)
            .order_by(items.c.id)
        )
        with self.reading() as connection:
            return [(row.id, row.file, row.width, row.height) for row in connection.execute(query)]

    def ids_from(self, part: str) -> npt.NDArray[np.int64]:
        """The items whose source has this text in it, small or capital letters, in order of id."""
        source = sa.type_coerce(items.c.source, sa.Text)
        query = sa.select(items.c.id).where(source.icontains(part, autoescape=True)).order_by(items.c.id)
        with self.reading() as connection:
            return np.array(connection.scalars(query).all(), np.int64)

    def copies_of(self, item: Item) -> list[int]:
        """The ids of all items with the same picture to the byte, the item itself among them, in order."""
        query = sa.select(items.c.id).where(items.c.sha256 == item.sha256).order_by(items.c.id)
        with self.reading() as connection:
            return [int(item_id) for item_id in connection.scalars(query)]

    def decided_ids(self) -> npt.NDArray[np.int64]:
        """The items that nobody needs to look at any more: decided or excluded ones, in order of id."""
        # a number in the database, which not every one takes for a condition
        decided = items.c.decided == sa.literal(True, Flag())
        query = sa.select(items.c.id).where(decided | (items.c.status != ACTIVE)).order_by(items.c.id)
        with self.reading() as connection:
            return np.array(connection.scalars(query).all(), np.int64)

    def versions(self, ids: Iterable[int]) -> dict[int, int]:
        """The version of each of these items; unknown ids are left out."""
        return {item_id: version for item_id, version, _ in self._standing(ids)}

    def statuses(self, ids: Iterable[int]) -> dict[int, str]:
        """The status of each of these items; unknown ids are left out."""
        return {item_id: status for item_id, _, status in self._standing(ids)}

    def _in_order(self, *which: sa.ColumnElement[bool]) -> Iterator[Item]:
        last = 0
        while True:
            query = sa.select(items).where(items.c.id > last, *which).order_by(items.c.id).limit(BATCH)
            with self.reading() as connection:
                found = [Item(**row._mapping) for row in connection.execute(query)]
            if not found:
                return
            yield from found
            last = found[-1].id

    def _standing(self, ids: Iterable[int]) -> list[tuple[int, int, str]]:
        wanted = sorted({int(item_id) for item_id in ids})
        found: list[tuple[int, int, str]] = []
        with self.reading() as connection:
            for some in in_chunks(wanted):
                query = sa.select(items.c.id, items.c.version, items.c.status).where(items.c.id.in_(some))
                found += [(item_id, version, status) for item_id, version, status in connection.execute(query)]
        return found


def _insert(connection: sa.Connection, stream: Iterator[ImportedItem]) -> int:
    added = 0
    next_id = (connection.scalar(sa.select(sa.func.max(items.c.id))) or 0) + 1
    while rows := [
        vars(item) | {"id": next_id + number, "original_label": item.label, "status": ACTIVE, "version": 0}
        for number, item in enumerate(islice(stream, INSERT_BATCH))
    ]:
        connection.execute(items.insert(), rows)
        next_id += len(rows)
        added += len(rows)
    return added
