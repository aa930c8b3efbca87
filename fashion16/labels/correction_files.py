"""Corrections in a file, CSV or JSONL, as `exports.py` writes them and as people may write them by hand.

A picture is recognised by its content and its name, never by its id, for ids differ between machines. So a file
needs the columns sha256, from and to; the others may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashion16.catalogue.rows import ACTIVE, EXCLUDED
from fashion16.errors import DamagedDataError, MissingDataError
from fashion16.files.spreadsheets import plain
from fashion16.sources.label_table import SEPARATORS
from fashion16.sources.label_table_writing import csv_spans
from fashion16.text import shown

COLUMNS = (
    "id",  # of the correction; later ones have higher ids
    "item_id",  # in the collection that it comes from
    "source",  # the picture's name in its data set, or its URL
    "sha256",
    "action",  # label, keep, exclude, include, rename or undo
    "from",  # the label before and after; empty for none
    "to",
    "from_status",  # active or excluded, before and after
    "to_status",
    "who",
    "at",  # ISO 8601, UTC
    "why",
    "batch",  # the id of the first of those that were made in one go
    "undoes",  # of an undo: the id of what it takes back
    "undone",  # whether it has been taken back: true or false
)
NEEDED = ("sha256", "from", "to")
MAX_BYTES = 512 * 2**20
# what an action means where the file does not say the status
STATUS_OF = {"exclude": EXCLUDED, "include": ACTIVE}


@dataclass(frozen=True, slots=True)
class StatedCorrection:
    """A correction that a file states.

    Attributes:
        line: where it stands in the file.
        number: its id where it comes from, by which it comes before or after others of the same picture.
        old_label, new_label: None for none.
        old_status, new_status: None where the file does not say.
    """

    line: int
    number: int
    sha256: str
    source: str | None
    action: str
    old_label: str | None
    new_label: str | None
    old_status: str | None
    new_status: str | None


def read_corrections(path: Path) -> list[StatedCorrection]:
    """The corrections in a CSV file, whose guards against spreadsheets are taken off, or in a JSONL file, in order.

    Raises:
        MissingDataError: there is no such file.
        DamagedDataError: it is too large, or holds something else.
    """
    if not path.is_file():
        raise MissingDataError(f"There is no file of corrections at {path}. Correct its name.")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES // 2**20} MB")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            if path.suffix.lower() != ".csv":
                raise
            text = data.decode("latin-1")  # as spreadsheets save it
        rows = _csv_rows(text) if path.suffix.lower() == ".csv" else _json_rows(text)
        return [_stated(line, row) for line, row in rows]
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedDataError(
            f"{path} holds no corrections that can be read ({error}). Export them again.", path
        ) from error


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    # a spreadsheet may have saved it with another separator
    separator = max(SEPARATORS, key=text.split("\n", 1)[0].count)
    header, line, at = list[str](), 1, 0
    for spans, _ in csv_spans(text, separator):
        line, at = line + text.count("\n", at, spans[0][0]), spans[0][0]
        cells = [_unquoted(text[start:stop], line) for start, stop in spans]
        if header:
            yield line, dict(zip(header, (plain(cell) or None for cell in cells), strict=False))
            continue
        header = [name.strip().lower() for name in cells]
        if missing := [name for name in NEEDED if name not in header]:
            raise ValueError(f"it has no column {missing[0]}")


def _unquoted(cell: str, line: int) -> str:
    if not cell.startswith('"'):
        return cell
    if len(cell) < 2 or not cell.endswith('"') or '"' in cell[1:-1].replace('""', ""):
        raise ValueError(f"line {line} has a quotation mark too many or too few")
    return cell[1:-1].replace('""', '"')


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    # not splitlines: a label may hold other line breaks
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        row = json.loads(line)
        if not isinstance(row, dict) or any(name not in row for name in NEEDED):
            raise ValueError(f"line {number} is no correction")
        yield number, {name: _text(row.get(name), number) for name in COLUMNS}


def _text(value: Any, line: int) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | int):
        return str(value)
    raise ValueError(f"line {line} holds {shown(str(value))} where there should be text")


def _stated(line: int, row: Mapping[str, str | None]) -> StatedCorrection:
    sha256, action = (row.get("sha256") or "").lower(), row.get("action") or "label"
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError(f"line {line} has {shown(sha256)} as its sha256")
    statuses = row.get("from_status"), row.get("to_status") or STATUS_OF.get(action)
    if unknown := [status for status in statuses if status not in (None, ACTIVE, EXCLUDED)]:
        raise ValueError(f"line {line} has {shown(str(unknown[0]))} as a status")
    number = row.get("id") or ""
    order = int(number) if number.isascii() and number.isdecimal() and len(number) < 20 else 0
    return StatedCorrection(line, order, sha256, row.get("source"), action, row.get("from"), row.get("to"), *statuses)
