"""Pictures on this computer: a folder, a table beside a folder, or a ZIP of either.

    open_local -> LocalPictures -> LocalEntry (name, label, read) or Refusal (name, reason), sorted by name

Nothing in a source is trusted, and nothing is unpacked to disk. A table's rows only choose among the files that
were found by looking: no path is ever made from what a table or an archive says. One bad file is one refusal;
an error is raised only where the whole source cannot be used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fashion16.errors import DamagedDataError, DataError, MissingDataError
from fashion16.images import MAX_BYTES
from fashion16.sources.label_table import TABLE_SUFFIXES, LabelTable, file_key, match_files
from fashion16.sources.local_files import (
    MAX_LABEL,
    MAX_TABLE_BYTES,
    Archive,
    Folder,
    FoundFiles,
    Read,
    Refusal,
    name_fault,
)
from fashion16.text import as_text, shown


@dataclass(frozen=True, slots=True)
class LocalEntry:
    """A file that may be a picture; its bytes stay where they are until they are asked for.

    Attributes:
        name: path below the source's root, with slashes; what cannot be written as text is escaped.
        label: as found, stripped of white space; None where there is none.
    """

    name: str
    label: str | None
    _read: Read = field(repr=False, compare=False)

    def read(self) -> bytes | Refusal:
        """The whole file, at most 40 MB, or why it cannot be had. Whether it is a picture, read_photo says."""
        try:
            return self._read(MAX_BYTES)
        except DataError as error:
            return Refusal(self.name, str(error))


class LocalPictures:
    """An opened source. A context manager; its entries can be read until it is closed.

    Attributes:
        passed_over: how many hidden files and folders, system files and files of no picture's ending there are.
        unlisted: how many pictures the table does not mention; they are not part of the source.
    """

    def __init__(self, files: FoundFiles, found: list[LocalEntry | Refusal], unlisted: int = 0) -> None:
        """Made by `open_local`."""
        self.passed_over, self.unlisted = files.passed_over, unlisted
        self._files = files
        refused = (Refusal(name, reason) for name, reason in files.refusals)
        self._found = sorted([*found, *refused], key=lambda each: each.name)

    def __len__(self) -> int:
        """How many entries and refusals there are."""
        return len(self._found)

    def __iter__(self) -> Iterator[LocalEntry | Refusal]:
        """Entries and refusals by name, in the order of code points: the same on every machine."""
        return iter(self._found)

    def __enter__(self) -> LocalPictures:
        """The source itself."""
        return self

    def __exit__(self, *reason: object) -> None:
        """Close the archive."""
        self.close()

    def close(self) -> None:
        """Close the archive."""
        self._files.close()


def open_local(
    path: Path, *, table: str | None = None, file_column: str | None = None, label_column: str | None = None
) -> LocalPictures:
    """The pictures at `path`: a folder, a table (CSV, TSV, Parquet) in the folder of its files, or a ZIP archive.

    Labels come from the table. It is `path` itself, or the file named `table` inside it, or else the one
    table that lies in its root; its columns are found by their names, or given. Without a table a
    picture's label is the first folder below the root, and pictures in the root have none. The root of a ZIP
    that holds everything in one folder, as programs pack a folder, is that folder.

    Raises:
        MissingDataError: there is nothing at `path`.
        DamagedDataError: it is none of these, is too large, or its table cannot be used.
    """
    if not os.path.exists(path):
        raise MissingDataError(f"There is nothing at {path} that can be opened. Correct its name.")
    # to open a pipe or a device would wait for ever
    if not (path.is_dir() or path.is_file()):
        raise DamagedDataError(f"{path} is neither a folder nor a file.", path)
    files, table = files_at(path, table)
    try:
        root = files.root()
        chosen = _choose_table(files, root, table)
        files.passed_over += len(files.tables) - (chosen is not None)
        if chosen is None:
            if file_column or label_column:
                raise DamagedDataError(f"{path} has no table in which a column could be named.", path)
            entries = [_entry(name, _folder_below(root, name), read) for name, read in files.pictures.items()]
            return LocalPictures(files, entries)
        return _label_by_table(files, root, LabelTable(chosen, path, file_column, label_column))
    except BaseException:
        files.close()
        raise


def files_at(path: Path, table: str | None) -> tuple[FoundFiles, str | None]:
    """The files at `path`, and the name of its table: the one given, or that of `path` where it is one.

    Raises:
        DamagedDataError: it cannot be opened, or is too large.
    """
    if path.is_dir():
        return Folder(path), table
    if path.suffix.lower() in TABLE_SUFFIXES:
        return Folder(path.parent), path.name
    return Archive(path), table


def tables_meant(files: FoundFiles, root: str, named: str | None) -> list[str]:
    """The tables that may hold the labels: those called as the user says, else all that lie in its root."""
    if named is not None:
        return [name for name in files.tables if name in (named, root + named)]
    return [name for name in files.tables if name.startswith(root) and "/" not in name[len(root) :]]


def _choose_table(files: FoundFiles, root: str, named: str | None) -> str | None:
    tables = tables_meant(files, root, named)
    if named is not None and not tables:
        raise DamagedDataError(f"{files.path} holds no table called {shown(named)}. Correct its name.", files.path)
    if named is None and len(tables) > 1:
        listed = ", ".join(shown(name) for name in sorted(tables)[:10])
        raise DamagedDataError(f"{files.path} holds several tables: {listed}. Name the one to use.", files.path)
    return tables[0] if tables else None


def _label_by_table(files: FoundFiles, root: str, table: LabelTable) -> LocalPictures:
    try:
        data = files.tables[table.name](MAX_TABLE_BYTES)
    except DataError as error:
        raise DamagedDataError(f"The table {shown(table.name)} cannot be read: {error}", files.path) from error
    rows = list(table.rows(data))
    keys = {row.file: file_key(row.file) for row in rows}
    files_of = match_files(keys.values(), (name.removeprefix(root) for name in files.pictures))
    missing = (key for key, found in files_of.items() if not found)
    # a file that was refused has its line already
    refused = match_files(missing, (name.removeprefix(root) for name, _ in files.refusals))
    label_of: dict[str, str] = {}
    refusals: list[LocalEntry | Refusal] = []
    for row in rows:
        fault, label, found = row.fault, row.label.strip(), files_of[keys[row.file]]
        if not fault and len(found) == 1:
            kept = label_of.setdefault(found[0], label)
            if kept != label:
                fault = f"Line {row.line} of the table gives it the label {shown(label)}; {shown(kept)} came first."
        elif not fault and not refused.get(keys[row.file]):
            fault = _missing(row.file, len(found))
        if fault:
            refusals.append(Refusal(row.file or f"{table.name}:{row.line}", fault))
    entries = [_entry(root + name, label, files.pictures[root + name]) for name, label in label_of.items()]
    return LocalPictures(files, entries + refusals, unlisted=len(files.pictures) - len(label_of))


def _missing(name: str, n_found: int) -> str:
    if n_found:
        return f"The table names it, and {n_found:,} files may be meant. Write its whole path into the table."
    if not name.strip():
        return "This row of the table names no file."
    if name_fault(name.replace("\\", "/")):
        return "The table names a file outside the folder; none is read from there."
    return "The table names it, but there is no such picture."


def _entry(name: str, label: str, read: Read) -> LocalEntry | Refusal:
    label = as_text(label.strip())
    if len(label) > MAX_LABEL:
        return Refusal(name, f"Its label has {len(label):,} characters; the limit is {MAX_LABEL}.")
    return LocalEntry(name, label or None, read)


def _folder_below(root: str, name: str) -> str:
    parts = [part for part in name[len(root) :].split("/") if part not in ("", ".")]
    return parts[0] if len(parts) > 1 else ""
