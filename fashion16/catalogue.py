"""The truth about labels: items and the history of their corrections, in any database SQLAlchemy speaks to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from fashion16 import migrations
from fashion16.errors import CatalogueError, StaleItemError, UnknownItemError
from fashion16.importers import ImportedItem

INSERT_BATCH = 5_000
WRITER_LOCK = 0xFA5410  # any number, the same for all writers
BUSY_TIMEOUT = 30  # seconds that a writer waits for another one

# named for queries only; migrations.py makes the tables
_metadata = sa.MetaData()
_ITEM_COLUMNS = "id file position sha256 original_label label status split version source"
items = sa.Table("items", _metadata, *(sa.Column(name) for name in _ITEM_COLUMNS.split()))
corrections = sa.Table(
    "corrections", _metadata, *(sa.Column(name) for name in ["id", "item_id", "old_label", "new_label", "who", "at"])
)


@dataclass(frozen=True)
class Item:
    """One picture of the collection, with the label that the catalogue gives it now."""

    id: int
    file: str | None
    position: int | None
    sha256: str
    original_label: str | None
    label: str | None
    status: str
    split: str
    version: int
    source: str


@dataclass(frozen=True)
class Correction:
    """One row of history: at `at` (ISO 8601, UTC), `who` changed the label of an item."""

    id: int
    item_id: int
    old_label: str | None
    new_label: str | None
    who: str
    at: str


@dataclass(frozen=True)
class Labels:
    """All active, labelled items in order of id, at one revision.

    Attributes:
        ids: (n,) int64.
        positions: (n,) int64, the place of each in the pictures array, -1 where it is a file.
        labels, splits: (n,) str.
    """

    ids: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    labels: npt.NDArray[np.str_]
    splits: npt.NDArray[np.str_]
    revision: int

    def of(self, rows: npt.NDArray[np.int64]) -> Labels:
        """Some of the items, by their rows."""
        return Labels(self.ids[rows], self.positions[rows], self.labels[rows], self.splits[rows], self.revision)


class Catalogue:
    """Items and corrections of one collection. Safe to share between threads: a connection per operation."""

    def __init__(self, url: str | sa.URL, schema: str | None = None) -> None:
        """Open the catalogue at a database URL and bring its schema up to date.

        Args:
            schema: the database schema to keep the tables in, made when it is new, so that the collections
                of one PostgreSQL database don't mix.

        Raises:
            CatalogueError: the database cannot be reached or written.
            NewerCatalogueError: a newer Fashion-16 made it.
        """
        try:
            self._engine = _engine(sa.make_url(url))
        except (sa.exc.ArgumentError, ImportError) as error:
            raise CatalogueError(
                f"The database URL cannot be used ({error}). It reads like "
                "postgresql+psycopg://user:password@host/name, and the database's driver must be installed."
            ) from error
        if schema is not None:
            with self._writing() as connection:
                connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
            self._engine = self._engine.execution_options(schema_translate_map={None: schema})
        with self._reading() as connection:
            current = migrations.is_current(connection)
        if not current:  # else nothing waits here for somebody who writes
            with self._writing() as connection:
                migrations.migrate(connection)

    @classmethod
    def in_file(cls, path: Path) -> Catalogue:
        """The catalogue in an SQLite file, made when it is not there yet."""
        return cls(sa.URL.create("sqlite", database=str(path)))

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, imported: Iterable[ImportedItem]) -> int:
        """Add items, all or none of them, with ids counted on from the highest; returns how many.

        Raises:
            CatalogueError: one of them is there already.
        """
        with self._writing() as connection:
            try:
                return _insert(connection, iter(imported))
            except sa.exc.IntegrityError as error:
                raise CatalogueError("These pictures are in the catalogue already; nothing was added.") from error

    def count(self) -> int:
        """How many items there are, whatever their status."""
        with self._reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(items)) or 0

    def revision(self) -> int:
        """The id of the newest correction, 0 when there is none: it grows with every change of a label."""
        with self._reading() as connection:
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
        with self._reading() as connection:
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
        with self._reading() as connection:
            rows = connection.execute(sa.select(items).where(items.c.id.in_(wanted)))
            by_id = {row.id: Item(**row._mapping) for row in rows}
        return [by_id[item_id] for item_id in wanted if item_id in by_id]

    def labels(self) -> Labels:
        """All active, labelled items, and the revision that their labels stand at."""
        query = (
            sa.select(items.c.id, items.c.position, items.c.label, items.c.split)
            .where(items.c.status == "active", items.c.label.is_not(None))
            .order_by(items.c.id)
        )
        with self._reading() as connection:
            # the revision first: a correction in between is then applied twice, never lost
            revision = _revision(connection)
            rows = connection.execute(query).all()
        return Labels(
            np.array([row.id for row in rows], np.int64),
            np.array([-1 if row.position is None else row.position for row in rows], np.int64),
            np.array([row.label for row in rows], np.str_),
            np.array([row.split for row in rows], np.str_),
            revision,
        )

    def correct(self, item_id: int, label: str, who: str, version: int) -> Correction:
        """Change one label: the item and its history row in one transaction; the item's version rises.

        Args:
            version: the version that the person saw when deciding.

        Raises:
            UnknownItemError: no such item.
            StaleItemError: the item has changed since that version; nothing is written.
        """
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._writing() as connection:
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
        with self._reading() as connection:
            return [Correction(**row._mapping) for row in connection.execute(query)]

    def history(self, item_id: int) -> list[Correction]:
        """The corrections of one item, the oldest first."""
        query = sa.select(corrections).where(corrections.c.item_id == item_id).order_by(corrections.c.id)
        with self._reading() as connection:
            return [Correction(**row._mapping) for row in connection.execute(query)]

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._own_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._own_errors(), self._engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                # Python's driver begins a transaction only before the first row is written, so that a schema
                # would be made outside of any; and who only then asks for the lock may be refused it at once
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif connection.dialect.name == "postgresql":
                # one writer at a time here too: two who make the tables would collide, and a correction that
                # commits after one with a higher number would be overlooked by whoever asks for the news
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITER_LOCK)))
            yield connection

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            where = self._engine.url.render_as_string(hide_password=True)
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise CatalogueError(
                f"The catalogue {where} cannot be used ({reason}). Check that it exists and may be written."
            ) from error


def _insert(connection: sa.Connection, stream: Iterator[ImportedItem]) -> int:
    added = 0
    next_id = (connection.scalar(sa.select(sa.func.max(items.c.id))) or 0) + 1
    while rows := [
        {
            "id": next_id + number,
            "position": item.position,
            "sha256": item.sha256,
            "original_label": item.label,
            "label": item.label,
            "status": "active",
            "split": item.split,
            "version": 0,
            "source": item.source,
        }
        for number, item in enumerate(islice(stream, INSERT_BATCH))
    ]:
        connection.execute(items.insert(), rows)
        next_id += len(rows)
        added += len(rows)
    return added


def _revision(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(sa.func.max(corrections.c.id))) or 0


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True)
    # pooled, because opening the file and setting it up takes longer than most queries
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT})

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: object, record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        # the file remembers this mode, so who finds it locked by another first opening may go on without
        with suppress(sqlite3.OperationalError):
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    return engine
