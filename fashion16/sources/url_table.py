"""Tables of addresses and labels: CSV, TSV or Parquet to the rows that a crawl fetches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fashion16.errors import DamagedDataError, MissingDataError
from fashion16.sources.label_table import TABLE_SUFFIXES, URL_COLUMNS, LabelTable
from fashion16.sources.local_files import MAX_LABEL, MAX_TABLE_BYTES, Refusal
from fashion16.text import shown


@dataclass(frozen=True, slots=True)
class UrlRow:
    """An address and its label, as the table has them, without the white space around."""

    url: str
    label: str | None


@dataclass(frozen=True)
class UrlTable:
    """What a table of addresses holds: rows to crawl, each address once, and a refusal for each row of no use."""

    rows: list[UrlRow]
    refusals: list[Refusal]


def read_url_table(path: Path, url_column: str | None = None, label_column: str | None = None) -> UrlTable:
    """The addresses and labels in a CSV, TSV or Parquet file.

    The columns are found by their names, or given. A table without a column of labels has none.

    Raises:
        MissingDataError: there is no file at `path`.
        DamagedDataError: it is no table, is too large, or has no such columns.
    """
    if not path.is_file():
        raise MissingDataError(f"There is no table at {path}. Correct its name.")
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise DamagedDataError(f"{path} is no table: its name must end in {', '.join(sorted(TABLE_SUFFIXES))}.", path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise DamagedDataError(f"The table {path} cannot be read ({error.strerror}).", path) from error
    if len(data) > MAX_TABLE_BYTES:
        raise DamagedDataError(f"{path} is larger than {MAX_TABLE_BYTES // 2**20} MB. Import it in parts.", path)
    table = LabelTable(path.name, path, url_column, label_column, "URL", URL_COLUMNS, needs_label=False)
    label_of: dict[str, str] = {}
    refusals = []
    for row in table.rows(data):
        url, label, fault = row.file.strip(), row.label.strip(), row.fault
        if not fault and not url:
            fault = "This row of the table names no URL."
        elif not fault and len(label) > MAX_LABEL:
            fault = f"Its label has {len(label):,} characters; the limit is {MAX_LABEL}."
        elif not fault and (kept := label_of.setdefault(url, label)) != label:
            fault = f"Line {row.line} of the table gives it the label {shown(label)}; {shown(kept)} came first."
        if fault:
            refusals.append(Refusal(url or f"{path.name}:{row.line}", fault))
    return UrlTable([UrlRow(url, label or None) for url, label in label_of.items()], refusals)
