"""The catalogue's tables, named for queries only; migrations.py makes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from fashion16.catalogue.rows import Correction, Item

T = TypeVar("T")
SOME = 5_000  # values that one query may name: databases have a limit


class Flag(sa.types.TypeDecorator[bool]):
    """True and False as 1 and 0: a number column can be added with a default in the same words everywhere."""

    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value: bool | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> bool | None:
        return None if value is None else bool(value)


def _columns(row: type[Item] | type[Correction]) -> list[sa.Column[Any]]:
    return [sa.Column(field.name, Flag()) if field.type == "bool" else sa.Column(field.name) for field in fields(row)]


_metadata = sa.MetaData()
items = sa.Table("items", _metadata, *_columns(Item))
corrections = sa.Table("corrections", _metadata, *_columns(Correction))
labels = sa.Table("labels", _metadata, *(sa.Column(name) for name in ("name", "who", "added_at")))
leases = sa.Table("leases", _metadata, *(sa.Column(name) for name in ("item_id", "who", "until")))


def in_chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """The values in lists of at most as many as one query may name."""
    stream = iter(values)
    while some := list(islice(stream, SOME)):
        yield some
