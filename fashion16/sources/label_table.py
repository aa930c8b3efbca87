"""Tables that say which file has which label: CSV or Parquet to rows, and rows to the files that they mean.

People write such tables in many ways. Columns are found by their names, or given; a row may name its file by its
whole path, by the end of it, or without the picture's ending, as the public clothing dataset does. Names are only
compared with those of files that were found: no path is ever made from a row.
"""

from __future__ import annotations

import codecs
import csv
import importlib
import io
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fashion16.errors import DamagedDataError
from fashion16.text import shown

CSV_SUFFIXES = frozenset({".csv", ".tsv"})
TABLE_SUFFIXES = CSV_SUFFIXES | {".parquet", ".pq"}
SEPARATORS = (",", ";", "\t")
# in the order of preference: of a number and a path, the path is the better name
FILE_COLUMNS = ("file", "path", "image", "filename", "picture")
LABEL_COLUMNS = ("label", "category", "class")
# a shop's table has the page in "url" or "link" and its picture in "image_url" or "image_link"
URL_COLUMNS = (
    *("imageurl", "imagelink", "imagesrc", "imgurl", "pictureurl", "photourl"),
    *("url", "uri", "src", "link", "href", "image", "picture", "photo"),
)
MAX_ROWS = 500_000
# deeper than any collection; each level of a file's path is one more name that a row may call it by
MAX_LEVELS = 32
TEXT_TYPES = re.compile(r"(large_)?string(_view)?|u?int\d+|dictionary<values=(large_)?string.*")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: its line in the CSV file, or its number in the Parquet file; file and label as written there.

    `fault` says in one sentence why the row cannot be used, and is empty where it can.
    """

    line: int
    file: str
    label: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class CsvForm:
    """How a CSV file is written: `mark` and `text` in its `encoding` are all of its bytes; columns count from 0."""

    mark: bytes
    text: str
    encoding: str
    separator: str
    n_columns: int
    file_at: int
    label_at: int | None


@dataclass(frozen=True)
class LabelTable:
    """A table's bytes, and what is known of it.

    Attributes:
        name: how messages call it; its ending says what it is.
        path: what the user opened; it goes into the errors.
        file_column, label_column: the columns' names where the user gave them.
        what: what the rows name, for messages.
        file_columns: the names to look for where the user gave none.
        needs_label: whether a table without a column of labels is an error, or has no labels.
    """

    name: str
    path: Path
    file_column: str | None = None
    label_column: str | None = None
    what: str = "file"
    file_columns: Sequence[str] = FILE_COLUMNS
    needs_label: bool = True

    def rows(self, data: bytes) -> Iterator[TableRow]:
        """The rows of `data`, in order.

        Raises:
            DamagedDataError: it is no such table, has no usable columns, names no file, or has too many rows.
        """
        n_rows = 0
        for n_rows, row in enumerate(self._csv_rows(data) if self.is_csv else self._parquet_rows(data), start=1):
            if n_rows > MAX_ROWS:
                raise self._error(f"has more than {MAX_ROWS:,} rows. Import it in parts.")
            yield row
        if not n_rows:
            raise self._error(f"names no {self.what}.")

    @property
    def is_csv(self) -> bool:
        """Whether it is text, and not Parquet."""
        return posixpath.splitext(self.name)[1].lower() in CSV_SUFFIXES

    def csv_form(self, data: bytes) -> CsvForm:
        """How the CSV file `data` is written.

        Raises:
            DamagedDataError: it has no usable columns.
            csv.Error: its header cannot be read.
        """
        bare = data.removeprefix(codecs.BOM_UTF8)
        try:
            text, encoding = bare.decode(), "utf-8"
        except UnicodeDecodeError:
            text, encoding = bare.decode("latin-1"), "latin-1"
        separator = max(SEPARATORS, key=lambda each: self._promise(_header(text, each)))
        file_at, label_at = self.columns(header := _header(text, separator))
        mark = data[: len(data) - len(bare)]
        return CsvForm(mark, text, encoding, separator, len(header), file_at, label_at)

    def _csv_rows(self, data: bytes) -> Iterator[TableRow]:
        line = 0
        try:
            form = self.csv_form(data)
            # strict: after a quotation mark that is never closed, no row could be believed
            reader = csv.reader(io.StringIO(form.text, newline=""), delimiter=form.separator, strict=True)
            rows = (row for row in reader if any(row))
            next(rows)
            for row in rows:
                line = reader.line_num
                cells = row + [""] * (form.n_columns - len(row))
                # a comma in a label that was not quoted; a separator at the end of each line does no harm
                fault = "This row has more cells than the table has columns." if any(row[form.n_columns :]) else ""
                yield TableRow(line, cells[form.file_at], "" if form.label_at is None else cells[form.label_at], fault)
        except csv.Error as error:
            raise self._error(f"cannot be read after line {line} ({error}).") from error

    def _parquet_rows(self, data: bytes) -> Iterator[TableRow]:
        try:
            # pyarrow has no types, and need not be there
            pyarrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            raise self._error("needs the package pyarrow. Install it, or save the table as CSV.") from error
        try:
            file = parquet.ParquetFile(io.BytesIO(data))
            names = [str(name) for name in file.schema_arrow.names]
            chosen = [names[at] for at in self.columns(names) if at is not None]
            if file.metadata.num_rows > MAX_ROWS:
                raise self._error(f"has more than {MAX_ROWS:,} rows. Import it in parts.")
            for name in chosen:
                kind = str(file.schema_arrow.field(name).type)
                if not TEXT_TYPES.fullmatch(kind):
                    raise self._error(f"has {kind} in its column {shown(name)}, not text.")
            line = 0
            for batch in file.iter_batches(batch_size=10_000, columns=sorted(set(chosen))):
                for values in zip(*(batch.column(name).to_pylist() for name in chosen), strict=True):
                    line += 1
                    cells = ["" if value is None else str(value) for value in values]
                    yield TableRow(line, cells[0], "".join(cells[1:]))
        except (pyarrow.ArrowException, OSError, ValueError, LookupError) as error:
            raise self._error(f"is no Parquet file that can be read ({type(error).__name__}).") from error

    def _promise(self, header: Sequence[str]) -> tuple[int, int]:
        """How good a header is: usable columns found, then all columns."""
        return sum(at is not None for at in self._places(header)), len(header)

    def _places(self, header: Sequence[str]) -> list[int | None]:
        keys = [_column_key(name) for name in header]
        given = [(self.file_column, self.file_columns), (self.label_column, LABEL_COLUMNS)]
        wanted = [[_column_key(named)] if named else known for named, known in given]
        return [next((keys.index(key) for key in each if key in keys), None) for each in wanted]

    def columns(self, header: Sequence[str]) -> tuple[int, int | None]:
        """Where the files and the labels are; None where a table without labels has none.

        Raises:
            DamagedDataError: there are no such columns.
        """
        file_at, label_at = self._places(header)
        if file_at is None or (label_at is None and (self.needs_label or self.label_column)):
            what, known = (self.what, self.file_columns) if file_at is None else ("label", LABEL_COLUMNS)
            named = self.file_column if file_at is None else self.label_column
            there = ", ".join(shown(name) for name in header[:30]) or "none"
            raise self._error(
                f"has no {what} column called {shown(named) if named else ' or '.join(known)}. "
                f"Its columns are: {there}. Name the one to use."
            )
        return file_at, label_at

    def _error(self, what: str) -> DamagedDataError:
        return DamagedDataError(f"The table {shown(self.name)} in {self.path} {what}", self.path)


def match_files(keys: Iterable[str], names: Iterable[str]) -> dict[str, list[str]]:
    """For each of `keys`, made by `file_key`, the files among `names` that it may mean.

    By the whole path; else by the end of it; else by the whole path without the file's ending, or by its end.
    No match means a missing file; several are ambiguous.
    """
    best: dict[str, tuple[int, list[str]]] = {key: (4, []) for key in keys}
    for name in names:
        whole = file_key(name)
        for no_ending, path in enumerate((whole, posixpath.splitext(whole)[0])):
            parts = path.split("/")
            for start in range(len(parts)) if len(parts) <= MAX_LEVELS else (0,):
                key, rank = "/".join(parts[start:]), 2 * no_ending + (start > 0)
                if key in best and rank <= best[key][0]:
                    if rank < best[key][0]:
                        best[key] = (rank, [])
                    best[key][1].append(name)
    return {key: found for key, (_, found) in best.items()}


def file_key(name: str) -> str:
    """`name` as it is compared: with slashes, composed characters (macOS has them apart), no `./` and no space around.

    A path that is absolute or goes up keeps its beginning, and so is never a file's key.
    """
    text = unicodedata.normalize("NFC", name.strip().replace("\\", "/"))
    return re.sub(r"/(\./)+", "/", re.sub(r"^(\./+)+", "", text))


def _header(text: str, separator: str) -> list[str]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    return next((row for row in rows if any(row)), [])


def _column_key(name: str) -> str:
    return re.sub(r"[\s_]", "", name).lower()
