"""The catalogue's schema as numbered steps. A step that has been released is never edited: add one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa

from fashion16.errors import NewerCatalogueError

metadata = sa.MetaData()
# all that the steps make
TABLES = frozenset({"migrations", "items", "corrections", "imports", "refusals", "labels", "leases"})

migrations = sa.Table(
    "migrations",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("applied_at", sa.String(40), nullable=False),
)


def _m1_items_and_corrections(connection: sa.Connection) -> None:
    first = sa.MetaData()
    sa.Table(
        "items",
        first,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        # where the picture is: a file below the collection's folder, or a row of its pictures array
        sa.Column("file", sa.Text, nullable=True),
        sa.Column("position", sa.Integer, nullable=True),
        sa.Column("sha256", sa.String(64), nullable=False, index=True),
        sa.Column("original_label", sa.String(200), nullable=True),
        sa.Column("label", sa.String(200), nullable=True, index=True),
        sa.Column("status", sa.String(20), nullable=False, server_default="active"),
        sa.Column("split", sa.String(20), nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default="0"),
        sa.Column("source", sa.Text, nullable=False),
        sa.CheckConstraint("(file IS NULL) <> (position IS NULL)", name="one_place"),
        # an import that runs twice at once cannot add anything twice
        sa.UniqueConstraint("source", "file", name="one_item_per_file"),
        sa.UniqueConstraint("source", "position", name="one_item_per_position"),
    )
    sa.Table(
        "corrections",
        first,
        # autoincrement, so that a revision number is never given twice
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("item_id", sa.Integer, sa.ForeignKey("items.id"), nullable=False, index=True),
        sa.Column("old_label", sa.String(200), nullable=True),
        sa.Column("new_label", sa.String(200), nullable=True),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sqlite_autoincrement=True,
    )
    first.create_all(connection)


def _m2_sizes_and_imports(connection: sa.Connection) -> None:
    table = sa.Table("items", sa.MetaData(), schema=connection.schema_for_object(migrations))
    quoted = connection.dialect.identifier_preparer.format_table(table)
    for column in ("width INTEGER", "height INTEGER", "fetched_at VARCHAR(40)"):
        connection.exec_driver_sql(f"ALTER TABLE {quoted} ADD COLUMN {column}")
    second = sa.MetaData()
    sa.Table(
        "imports",
        second,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("location", sa.Text, nullable=False),
        # as JSON: the table and its columns, as the user named them
        sa.Column("choices", sa.Text, nullable=False),
        sa.Column("began_at", sa.String(40), nullable=False),
        # NULL while it runs, and where it was cut short
        sa.Column("ended_at", sa.String(40), nullable=True),
        sa.Column("added", sa.Integer, nullable=False, server_default="0"),
        sa.Column("unchanged", sa.Integer, nullable=False, server_default="0"),
        sa.Column("relabelled", sa.Integer, nullable=False, server_default="0"),
        sa.Column("passed_over", sa.Integer, nullable=False, server_default="0"),
        sqlite_autoincrement=True,
    )
    sa.Table(
        "refusals",
        second,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("import_id", sa.Integer, sa.ForeignKey("imports.id"), nullable=False, index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    second.create_all(connection)


def _m3_decisions(connection: sa.Connection) -> None:
    schema, format_table = (
        connection.schema_for_object(migrations),
        connection.dialect.identifier_preparer.format_table,
    )
    items, corrections = (
        format_table(sa.Table(name, sa.MetaData(), schema=schema)) for name in ("items", "corrections")
    )
    connection.exec_driver_sql(f"ALTER TABLE {items} ADD COLUMN decided INTEGER NOT NULL DEFAULT 0")
    for column in (
        "action VARCHAR(20) NOT NULL DEFAULT 'label'",
        "old_status VARCHAR(20) NOT NULL DEFAULT 'active'",
        "new_status VARCHAR(20) NOT NULL DEFAULT 'active'",
        "old_decided INTEGER NOT NULL DEFAULT 0",
        "new_decided INTEGER NOT NULL DEFAULT 1",
        "why TEXT",
        # the first correction of those that were made in one go
        "batch INTEGER",
        # the correction that this one takes back
        "undoes INTEGER",
    ):
        connection.exec_driver_sql(f"ALTER TABLE {corrections} ADD COLUMN {column}")
    for column in ("who", "at", "batch", "undoes"):
        connection.exec_driver_sql(f"CREATE INDEX ix_corrections_{column} ON {corrections} ({column})")
    # the labels of active items are asked for with each page
    connection.exec_driver_sql(f"CREATE INDEX ix_items_status_label ON {items} (status, label)")
    # whoever has corrected an item has looked at it
    connection.exec_driver_sql(f"UPDATE {items} SET decided = 1 WHERE id IN (SELECT item_id FROM {corrections})")
    connection.exec_driver_sql(
        f"UPDATE {corrections} SET old_decided = 1 "
        f"WHERE id NOT IN (SELECT first FROM (SELECT MIN(id) AS first FROM {corrections} GROUP BY item_id) AS firsts)"
    )
    # what somebody excluded by hand stays so when its last correction is taken back
    connection.exec_driver_sql(
        f"UPDATE {corrections} SET old_status = 'excluded', new_status = 'excluded' "
        f"WHERE item_id IN (SELECT id FROM {items} WHERE status = 'excluded')"
    )
    third = sa.MetaData()
    # labels that somebody has added and that may have no items yet
    sa.Table(
        "labels",
        third,
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("added_at", sa.String(40), nullable=False),
    )
    # what somebody looks at now; rows whose time is over mean nothing
    sa.Table(
        "leases",
        third,
        sa.Column("item_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("who", sa.String(200), nullable=False, index=True),
        sa.Column("until", sa.String(40), nullable=False),
    )
    third.create_all(connection)


STEPS: tuple[Callable[[sa.Connection], None], ...] = (
    _m1_items_and_corrections,
    _m2_sizes_and_imports,
    _m3_decisions,
)


def is_current(connection: sa.Connection) -> bool:
    """Whether the catalogue has this version's schema.

    Raises:
        NewerCatalogueError: a newer Fashion-16 has changed the schema further than this one knows.
    """
    if not sa.inspect(connection).has_table(migrations.name, connection.schema_for_object(migrations)):
        return False
    return _steps_done(connection) == len(STEPS)


def migrate(connection: sa.Connection) -> None:
    """Bring the catalogue to this version's schema; each step is recorded in the transaction that makes it.

    Raises:
        NewerCatalogueError: a newer Fashion-16 has changed the schema further than this one knows.
    """
    metadata.create_all(connection)
    done = _steps_done(connection)
    for number, step in enumerate(STEPS[done:], start=done + 1):
        step(connection)
        connection.execute(
            migrations.insert().values(
                number=number, name=step.__name__.lstrip("_"), applied_at=datetime.now(UTC).isoformat()
            )
        )


def _steps_done(connection: sa.Connection) -> int:
    done = connection.scalar(sa.select(sa.func.max(migrations.c.number))) or 0
    if done > len(STEPS):
        raise NewerCatalogueError(
            f"This catalogue was made by a newer Fashion-16 (schema {done}, this one knows {len(STEPS)}). "
            "Update Fashion-16 and open it again."
        )
    return done
