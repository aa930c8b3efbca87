"""What each import did: kept in the collection's database beside its items."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from fashion16.catalogue.database import Database
from fashion16.text import storable

SHOWN = 1_000  # refusals that a page or a terminal can use

# named for queries only; migrations.py makes the tables
_metadata = sa.MetaData()
_COUNTS = ("added", "unchanged", "relabelled", "passed_over")
imports = sa.Table(
    "imports",
    _metadata,
    *(sa.Column(name) for name in ("id", "location", "choices", "began_at", "ended_at", *_COUNTS)),
)
refusals = sa.Table("refusals", _metadata, *(sa.Column(name) for name in ("id", "import_id", "name", "reason")))


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        location: what was imported: a path, or a table of addresses.
        choices: what the user said about it, such as its table's columns.
        began_at, ended_at: ISO 8601, UTC; `ended_at` is None while it runs, and where it was cut short.
        added: pictures that are new in the collection.
        unchanged: pictures that were there already, by name and content.
        relabelled: those of the unchanged that came with a label which they neither had nor have; the catalogue's was
            kept.
        passed_over: files that are no pictures by their names, and pictures that the table does not mention.
        skipped: name and reason of each file, or row of a table, that could not be used; at most a thousand.
        n_skipped: how many these are.
    """

    id: int
    location: str
    choices: Mapping[str, str]
    began_at: str
    ended_at: str | None = None
    added: int = 0
    unchanged: int = 0
    relabelled: int = 0
    passed_over: int = 0
    skipped: Sequence[tuple[str, str]] = ()
    n_skipped: int = 0


class ImportLog:
    """The imports of one collection."""

    def __init__(self, database: Database) -> None:
        """The log in the collection's database."""
        self._database = database

    def begin(self, location: str, choices: Mapping[str, str]) -> ImportReport:
        """The report of an import that begins now."""
        began_at, location = _now(), storable(location)
        row = {"location": location, "choices": json.dumps(dict(choices)), "began_at": began_at}
        with self._database.writing() as connection:
            number = connection.scalar(imports.insert().values(row).returning(imports.c.id))
        return ImportReport(int(number or 0), location, dict(choices), began_at)

    def refuse(self, report: ImportReport, skipped: Sequence[tuple[str, str]]) -> None:
        """Note names and reasons of what could not be used."""
        if skipped:
            rows = [{"import_id": report.id, "name": name, "reason": reason} for name, reason in skipped]
            with self._database.writing() as connection:
                connection.execute(refusals.insert(), rows)

    def end(self, report: ImportReport) -> None:
        """Note that the import has come to its end, and what it did."""
        report.ended_at = _now()
        counts = {name: getattr(report, name) for name in _COUNTS}
        change = imports.update().where(imports.c.id == report.id).values(ended_at=report.ended_at, **counts)
        with self._database.writing() as connection:
            connection.execute(change)

    def reports(self) -> list[ImportReport]:
        """All imports, the newest first, each with its refusals."""
        n_skipped = sa.select(sa.func.count()).where(refusals.c.import_id == imports.c.id).scalar_subquery()
        query = sa.select(imports, n_skipped.label("n_skipped")).order_by(imports.c.id.desc())
        found = []
        with self._database.reading() as connection:
            for row in connection.execute(query).mappings():
                its = sa.select(refusals.c.name, refusals.c.reason).where(refusals.c.import_id == row["id"])
                skipped = connection.execute(its.order_by(refusals.c.id).limit(SHOWN))
                lines = [(line.name, line.reason) for line in skipped]
                found.append(ImportReport(**dict(row) | {"choices": json.loads(row["choices"]), "skipped": lines}))
        return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
