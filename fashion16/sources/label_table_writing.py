"""A table of labels with other labels in some of its rows, and nothing else changed: bytes in, bytes out.

Of a CSV file every byte outside these cells stays: encoding and mark, separators, quotation marks, line ends, the
end of the last line or none. Of a Parquet file types, metadata, groups of rows and all other columns stay.
"""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fashion16.errors import DataError
from fashion16.sources.label_table import LabelTable, TableRow
from fashion16.text import shown

Span = tuple[int, int]


def relabel(table: LabelTable, data: bytes, label_for: Callable[[TableRow], str | None]) -> tuple[bytes, int]:
    """`data` with the labels that `label_for` gives, and how many rows that has changed.

    Args:
        label_for: the label that a row is to have, empty for none; None leaves the row as it is.

    Raises:
        DamagedDataError: `data` is no such table.
        DataError: it cannot hold one of the labels; nothing is to be written then.
    """
    rows = list(table.rows(data))
    asked = ((number, row.label, label_for(row)) for number, row in enumerate(rows))
    wanted = {number: label for number, there, label in asked if label is not None and label.strip() != there.strip()}
    if not wanted:
        return data, 0
    written = _csv(table, data, wanted) if table.is_csv else _parquet(table, data, wanted)
    # a label in Latin-1 may look like UTF-8 when it is the only one that is not ASCII
    expected = [(row.file, wanted.get(number, row.label), row.fault) for number, row in enumerate(rows)]
    if [(row.file, row.label, row.fault) for row in table.rows(written)] != expected:
        raise _error(table, "would not read back as it was written. Save it as UTF-8, and write back again")
    return written, len(wanted)


def _csv(table: LabelTable, data: bytes, wanted: Mapping[int, str]) -> bytes:
    form = table.csv_form(data)
    if form.label_at is None:
        raise _error(table, "has no column of labels. Give it one, and write back again")
    if form.label_at == form.file_at:
        raise _error(table, "has its files and its labels in one column")
    pieces, copied = [form.mark], 0
    for number, (cells, end) in enumerate(csv_spans(form.text, form.separator), start=-1):
        if number not in wanted:
            continue
        label, missing = wanted[number], form.label_at + 1 - len(cells)
        start, stop = cells[form.label_at] if missing <= 0 else (end, end)
        is_quoted = form.text[start:stop].startswith('"')
        cell = form.separator * max(missing, 0) + csv_cell(label, form.separator, is_quoted)
        try:
            pieces += [form.text[copied:start].encode(form.encoding), cell.encode(form.encoding)]
        except UnicodeEncodeError as error:
            raise _error(
                table, f"is written in Latin-1, which has no {shown(label)}. Save it as UTF-8, and write back again"
            ) from error
        copied = stop
    return b"".join([*pieces, form.text[copied:].encode(form.encoding)])


def csv_cell(text: str, separator: str = ",", is_quoted: bool = False) -> str:
    """A text as a cell of a CSV file, quoted where it has to be, or where `is_quoted`."""
    if is_quoted or any(character in text for character in (separator, '"', "\r", "\n")):
        return '"' + text.replace('"', '""') + '"'
    return text


def csv_line(cells: Sequence[str]) -> str:
    """A row of a CSV file."""
    return ",".join(map(csv_cell, cells)) + "\n"


def csv_spans(text: str, separator: str) -> Iterator[tuple[list[Span], int]]:
    """Where the cells of each row are, and where it ends; those of all rows that are not empty, as `csv.reader` has it.

    It knows no longest cell. A quotation mark that is never closed is a character like others.
    """
    apart = re.escape(separator)
    cell = re.compile(rf'((?:"(?:[^"]++|"")*+")?+[^{apart}\r\n]*+)({apart}|\r\n|\r|\n|\Z)')
    at, spans = 0, list[Span]()
    while at < len(text) or spans:
        found = cell.match(text, at)
        if not found:  # each of its parts may be empty, and what ends the one begins the other
            raise AssertionError(f"no cell at {at}")
        spans.append(found.span(1))
        at = found.end()
        if found[2] != separator:
            if any(text[start:stop] not in ("", '""') for start, stop in spans):
                yield spans, found.end(1)
            spans = []


def _parquet(table: LabelTable, data: bytes, wanted: Mapping[int, str]) -> bytes:
    pyarrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        schema, meta = file.schema_arrow, file.metadata
        file_at, label_at = table.columns([str(name) for name in schema.names])
        if label_at is None:
            raise _error(table, "has no column of labels. Give it one, and write back again")
        if label_at == file_at:
            raise _error(table, "has its files and its labels in one column")
        field, out, first = schema.field(label_at), io.BytesIO(), 0
        with parquet.ParquetWriter(out, schema, **_settings(meta)) as writer:
            for group in range(meta.num_row_groups):
                part = file.read_row_group(group)
                values = part.column(label_at).to_pylist()
                for row in range(len(values)):
                    if (label := wanted.get(first + row)) is not None:
                        values[row] = _value(table, label, field, pyarrow)
                part = part.set_column(label_at, field, pyarrow.array(values, type=field.type))
                writer.write_table(part, row_group_size=max(len(values), 1))
                first += len(values)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _error(table, f"cannot be rewritten ({type(error).__name__}: {error})"[:400]) from error
    return out.getvalue()


def _settings(meta: Any) -> dict[str, Any]:
    """How a Parquet file was written, as far as it says."""
    packed_by = {}
    if meta.num_row_groups:
        group = meta.row_group(0)
        columns = [group.column(number) for number in range(group.num_columns)]
        packed_by = {
            column.path_in_schema: {"UNCOMPRESSED": "none"}.get(column.compression, column.compression)
            for column in columns
        }
    version = meta.format_version if meta.format_version in ("1.0", "2.4", "2.6") else "2.6"
    return {"version": version, "compression": packed_by or "snappy"}


def _value(table: LabelTable, label: str, field: Any, pyarrow: Any) -> str | int | None:
    if not label.strip() and field.nullable:
        return None
    if not pyarrow.types.is_integer(field.type):
        return label
    try:
        if str(number := int(label)) == label:
            return number
    except ValueError:
        pass
    raise _error(table, f"has {field.type} in its column of labels, which cannot hold {shown(label)}")


def _error(table: LabelTable, what: str) -> DataError:
    return DataError(f"The table {shown(table.name)} in {table.path} {what}. Nothing was written to it.")
