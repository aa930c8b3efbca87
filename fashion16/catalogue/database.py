"""A catalogue's database: reached, brought up to date, and read and written in short transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from fashion16.catalogue import migrations
from fashion16.errors import CatalogueError

WRITER_LOCK = 0xFA5410  # any number, the same for all writers
BUSY_TIMEOUT = 30  # seconds that a writer waits for another one


class Database:
    """The tables of one collection, in any database SQLAlchemy speaks to. Safe to share between threads."""

    def __init__(self, url: str | sa.URL, schema: str | None = None) -> None:
        """Open the catalogue at a database URL and bring its schema up to date.

        Args:
            schema: the database schema to keep the tables in, made when it is new, so that the collections
                of one PostgreSQL database don't mix.

        Raises:
            CatalogueError: the database cannot be reached or written.
            NewerCatalogueError: a newer Fashion-16 made it.
        """
        self._engine = _reach(url)
        if schema is not None:
            with self.writing() as connection:
                connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
            self._engine = self._engine.execution_options(schema_translate_map={None: schema})
        with self.reading() as connection:
            current = migrations.is_current(connection)
        if not current:  # else nothing waits here for somebody who writes
            with self.writing() as connection:
                migrations.migrate(connection)

    @classmethod
    def in_file(cls, path: Path) -> Self:
        """The catalogue in an SQLite file, made when it is not there yet."""
        return cls(sa.URL.create("sqlite", database=str(path)))

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for queries.

        Raises:
            CatalogueError: the database cannot be used.
        """
        with self._own_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction of the only writer, committed when the block ends well.

        Raises:
            CatalogueError: the database cannot be used.
        """
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


class Schemas(Database):
    """The schemas of a database, one for each collection. None is made or brought up to date."""

    def __init__(self, url: str) -> None:
        """Reach the database at a URL.

        Raises:
            CatalogueError: it is no URL of a database, or its driver is missing.
        """
        self._engine = _reach(url)

    def has(self, name: str) -> bool:
        """Whether the collection has a schema.

        Raises:
            CatalogueError: other tables than ours are in it, which are not ours to touch.
        """
        with self.reading() as connection:
            inspector = sa.inspect(connection)
            if not inspector.has_schema(name):
                return False
            tables = {*inspector.get_table_names(name), *inspector.get_view_names(name)}
        if "migrations" not in tables or not tables <= migrations.TABLES:
            raise CatalogueError(
                f"The schema “{name}” of the database is not Fashion-16's alone: it has "
                f"{', '.join(sorted(tables - migrations.TABLES)) or 'no tables of ours'}. Nothing was changed."
            )
        return True

    def drop(self, name: str) -> None:
        """Drop the collection's schema with all that is in it."""
        with self.writing() as connection:
            connection.execute(sa.schema.DropSchema(name, cascade=True, if_exists=True))

    def rename(self, old: str, new: str) -> None:
        """Give the collection's schema another name."""
        with self.writing() as connection:
            quote = connection.dialect.identifier_preparer.quote_identifier
            connection.exec_driver_sql(f"ALTER SCHEMA {quote(old)} RENAME TO {quote(new)}")


def _reach(url: str | sa.URL) -> sa.Engine:
    try:
        return _engine(sa.make_url(url))
    except (sa.exc.ArgumentError, ImportError) as error:
        raise CatalogueError(
            f"The database URL cannot be used ({error}). It reads like "
            "postgresql+psycopg://user:password@host/name, and the database's driver must be installed."
        ) from error


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
