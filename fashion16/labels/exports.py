"""A collection's labels and corrections as files for others: CSV for people, JSONL and Parquet for programs.

    corrections_csv, corrections_jsonl   the history, the oldest first: see `correction_files.COLUMNS`
    labels_csv, labels_parquet           a row for each item, excluded ones too, in order of id: see `LABEL_COLUMNS`
    excluded_csv                         a row for each excluded item, in order of id: see `EXCLUDED_COLUMNS`

A picture's `source` is its name in the data set it came from, or its URL; of an array the data set's name and the
row. JSONL and Parquet are exact. CSV files are UTF-8 with a mark, for spreadsheets, and what one would run is
guarded by an apostrophe: see `spreadsheets.py`. An empty cell is none. Each function writes a file whole or not at
all, a few thousand rows in memory at a time, and returns how many rows it has.
"""

from __future__ import annotations

import codecs
import importlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.rows import EXCLUDED, Item
from fashion16.errors import DataError
from fashion16.files.atomic import replacing
from fashion16.files.spreadsheets import safe
from fashion16.labels.correction_files import COLUMNS
from fashion16.sources.label_table_writing import csv_line

BATCH = 5_000

LABEL_COLUMNS = (
    "id",
    "source",
    "sha256",  # of the file as it came, or of its pixels where it came in an array
    "original_label",
    "label",
    "split",
    "status",  # active or excluded
    "decided",  # whether a person has looked at it: true or false
    "width",
    "height",
    "fetched_at",
)
# who excluded it, when and why; empty where nobody knows
EXCLUDED_COLUMNS = ("id", "source", "sha256", "original_label", "label", "split", "who", "at", "why")

T = TypeVar("T")
Row = Mapping[str, str | int | bool | None]


def corrections_csv(catalogue: Catalogue, path: Path) -> int:
    """Write the history as CSV; see above."""
    return _write_csv(path, COLUMNS, _correction_rows(catalogue))


def corrections_jsonl(catalogue: Catalogue, path: Path) -> int:
    """Write the history as JSON, an object on each line; see above."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in _correction_rows(catalogue))
    return _write_lines(path, "", lines)


def labels_csv(catalogue: Catalogue, path: Path) -> int:
    """Write the label table as CSV; see above."""
    return _write_csv(path, LABEL_COLUMNS, _label_rows(catalogue))


def excluded_csv(catalogue: Catalogue, path: Path) -> int:
    """Write the excluded items as CSV; see above."""
    return _write_csv(path, EXCLUDED_COLUMNS, _excluded_rows(catalogue))


def labels_parquet(catalogue: Catalogue, path: Path) -> int:
    """Write the label table as Parquet; see above.

    Raises:
        DataError: the package pyarrow is missing.
    """
    try:
        pyarrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise DataError("Parquet needs the package pyarrow. Install it, or export CSV.") from error
    kinds: dict[str, Any] = {"id": pyarrow.int64(), "width": pyarrow.int32(), "height": pyarrow.int32()}
    kinds["decided"] = pyarrow.bool_()
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in LABEL_COLUMNS])
    n_rows = 0
    with replacing(path) as partial, parquet.ParquetWriter(partial, schema) as writer:
        for rows in _by_some(_label_rows(catalogue)):
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
            n_rows += len(rows)
    return n_rows


def source_of(item: Item) -> str:
    """Its name in the data set that it came from; the same whether it lies in an array or was packed since."""
    return item.source if item.position is None else f"{item.source}/{item.position}"


def _label_rows(catalogue: Catalogue) -> Iterator[Row]:
    for item in catalogue.all_items():
        yield {name: getattr(item, name) for name in LABEL_COLUMNS} | {"source": source_of(item)}


def _excluded_rows(catalogue: Catalogue) -> Iterator[Row]:
    for excluded in _by_some(catalogue.all_items(EXCLUDED)):
        last = catalogue.exclusions(item.id for item in excluded)
        for item in excluded:
            by = last.get(item.id)
            facts = {"who": by and by.who, "at": by and by.at, "why": by and by.why, **vars(item)}
            yield {name: facts[name] for name in EXCLUDED_COLUMNS} | {"source": source_of(item)}


def _correction_rows(catalogue: Catalogue) -> Iterator[Row]:
    for rows in _by_some(catalogue.everything()):
        item_of = {item.id: item for item in catalogue.items(sorted({row.item_id for row in rows}))}
        undone = catalogue.undone(row.id for row in rows)
        for row in rows:
            item = item_of[row.item_id]
            facts: dict[str, Any] = vars(row) | {"source": source_of(item), "sha256": item.sha256}
            facts |= {"from": row.old_label, "to": row.new_label, "undone": row.id in undone}
            facts |= {"from_status": row.old_status, "to_status": row.new_status}
            yield {name: facts[name] for name in COLUMNS}


def _by_some(rows: Iterable[T]) -> Iterator[list[T]]:
    stream = iter(rows)
    while some := list(islice(stream, BATCH)):
        yield some


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    lines = (csv_line([_cell(value) for value in row.values()]) for row in rows)
    return _write_lines(path, codecs.BOM_UTF8.decode() + csv_line(columns), lines)


def _write_lines(path: Path, header: str, lines: Iterable[str]) -> int:
    n_lines = 0
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        file.write(header)
        for line in lines:
            file.write(line)
            n_lines += 1
    return n_lines


def _cell(value: str | int | bool | None) -> str:
    if value is None:
        return ""
    return safe(value) if isinstance(value, str) else str(value).lower()
