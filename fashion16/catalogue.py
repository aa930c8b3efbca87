"""The truth about labels: items and the history of their corrections, in any database SQLAlchemy speaks to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from itertools import islice

import numpy as np
import sqlalchemy as sa

from fashion16.catalogue_rows import Came, Correction, ImportedItem, Item, Labels
from fashion16.database import Database
from fashion16.errors import CatalogueError, StaleItemError, UnknownItemError

INSERT_BATCH = 5_000

# named for queries only; migrations.py makes the tables
_metadata = sa.MetaData()
items = sa.Table("items", _metadata, *(sa.Column(field.name) for field in fields(Item)))
corrections = sa.Table("corrections", _metadata, *(sa.Column(field.name) for field in fields(Correction)))


class Catalogue(Database):
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
        columns = (items.c.source, items.c.sha256, items.c.original_label, items.c.file, items.c.width, items.c.height)
        with self.reading() as connection:
            rows = connection.execute(sa.select(*columns).where(items.c.file.is_not(None)))
            return {(source, sha256): Came(*came) for source, sha256, *came in rows}

    def count(self) -> int:
        """How many items there are, whatever their status."""
        with self.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(items)) or 0

    def revision(self) -> int:
        """The id of the newest correction, 0 when there is none: it grows with every change of a label."""
        with self.reading() as connection:
            return _revision(connection)

    def label_counts(self) -> dict[str, int]:
        """Active items per label, the most frequent first."""
        number = sa.func.count().label("number")
        query = (
            sa.select(items.c.label, number)
            .where(items.c.status == "active", items.c.label.is_not(None))
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
            rows = connection.execute(sa.select(items).where(items.c.id.in_(wanted)))
            by_id = {row.id: Item(**row._mapping) for row in rows}
        return [by_id[item_id] for item_id in wanted if item_id in by_id]

    def labels(self) -> Labels:
        """All active, labelled items, and the revision that their labels stand at."""
        return self.active().labelled

    def active(self) -> Labels:
        """All active items, unlabelled ones too, and the revision that their labels stand at."""
        query = (
            sa.select(items.c.id, items.c.position, items.c.label, items.c.split)
            .where(items.c.status == "active")
            .order_by(items.c.id)
        )
        with self.reading() as connection:
            # the revision first: a correction in between is then applied twice, never lost
            revision = _revision(connection)
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

    def correct(self, item_id: int, label: str, who: str, version: int) -> Correction:
        """Change one label: the item and its history row in one transaction; the item's version rises.

        Args:
            version: the version that the person saw when deciding.

        Raises:
            UnknownItemError: no such item.
            StaleItemError: the item has changed since that version; nothing is written.
        """
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self.writing() as connection:
            # the update names the version: of two people at once, the second finds no row to change
            old = connection.execute(sa.select(items.c.label).where(items.c.id == item_id)).one_or_none()
            changed = connection.execute(
                items.update()
                .where(items.c.id == item_id, items.c.version == version)
                .values(label=label, version=version + 1)
            )
            if old is None:
                raise UnknownItemError(item_id)
            if changed.rowcount != 1:
                now = connection.scalar(sa.select(items.c.label).where(items.c.id == item_id))
                raise StaleItemError(item_id, str(now))
            row = {"item_id": item_id, "old_label": old.label, "new_label": label, "who": who, "at": at}
            number = connection.scalar(corrections.insert().values(row).returning(corrections.c.id))
            return Correction(id=number, **row)

    def corrections_since(self, revision: int) -> list[Correction]:
        """The history after this revision, the oldest first."""
        query = sa.select(corrections).where(corrections.c.id > revision).order_by(corrections.c.id)
        with self.reading() as connection:
            return [Correction(**row._mapping) for row in connection.execute(query)]

    def history(self, item_id: int) -> list[Correction]:
        """The corrections of one item, the oldest first."""
        query = sa.select(corrections).where(corrections.c.item_id == item_id).order_by(corrections.c.id)
        with self.reading() as connection:
            return [Correction(**row._mapping) for row in connection.execute(query)]


def _insert(connection: sa.Connection, stream: Iterator[ImportedItem]) -> int:
    added = 0
    next_id = (connection.scalar(sa.select(sa.func.max(items.c.id))) or 0) + 1
    while rows := [
        vars(item) | {"id": next_id + number, "original_label": item.label, "status": "active", "version": 0}
        for number, item in enumerate(islice(stream, INSERT_BATCH))
    ]:
        connection.execute(items.insert(), rows)
        next_id += len(rows)
        added += len(rows)
    return added


def _revision(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(sa.func.max(corrections.c.id))) or 0
