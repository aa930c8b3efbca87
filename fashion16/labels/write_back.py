"""Back to the data set: what people changed is written to where the collection came from.

    a table beside pictures       the label cells of changed items; every other byte stays
    a table of addresses          the same
    a folder without a table      a new labels.csv in it, which the next import reads; no file is moved
    a ZIP archive                 <archive>.labels.csv beside it; the archive stays
    MNIST's format                new files of labels, and new names at the end of labels.txt
    Fashion-MNIST itself          the same, in data/fashion-mnist/corrected/

An excluded item has an empty label in a table, so that nothing takes it for a labelled one; MNIST's format has no
empty label, so there excluded.csv lists them. A file is replaced whole, and what was there is kept beside it; see
`keeping.py`. Labels that nobody changed stay as the source spells them. Written again, nothing is changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

from fashion16.catalogue.imports import ImportLog
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.stored import StoredCollection
from fashion16.errors import DataError, MissingDataError, WorkspaceError
from fashion16.files.backup import USE_AN_EXPORT, NewFile, replace_keeping
from fashion16.images import MAX_BYTES
from fashion16.labels.changes import ChangedItems
from fashion16.labels.write_back_mnist import COLUMNS, fashion_mnist_files, mnist_files
from fashion16.sources.label_table import URL_COLUMNS, LabelTable, TableRow, file_key, match_files
from fashion16.sources.label_table_writing import csv_line, relabel
from fashion16.sources.local import LocalEntry, files_at, open_local, tables_meant
from fashion16.sources.local_files import MAX_TABLE_BYTES, Archive, Folder, FoundFiles
from fashion16.sources.mnist import IdxData
from fashion16.text import shown

TABLE = "labels.csv"


@dataclass(frozen=True)
class WrittenBack:
    """A file that was written back, or a sentence that says why something was not.

    Attributes:
        location: what was imported, empty where the sentence is about the whole collection.
        path: the file; None where there is none to be written.
        is_written: whether it was written, in a dry run whether it would be; else it says the same already.
        n_changed: labels that differ from those in the source.
        kept: as what the old file is kept; None where there was none, and in a dry run.
        note: what could not be written and why, with what to do; empty where everything was.
    """

    location: str
    path: Path | None
    is_written: bool = False
    n_changed: int = 0
    kept: Path | None = None
    note: str = ""


def words(done: WrittenBack, dry_run: bool = False) -> str:
    """What was done, or in a dry run would be, in one sentence."""
    if done.note:
        return f"{done.location}: {done.note}" if done.location else done.note
    if done.path is None:
        return f"{done.location}: nothing has changed."
    if not done.is_written:
        return f"{done.path}: it says the same already."
    labels = f", with {done.n_changed:,} label{'s' if done.n_changed != 1 else ''} changed" if done.n_changed else ""
    kept = f"; the old file is {done.kept.name}" if done.kept else ""
    return f"{done.path}: {'would be ' if dry_run else ''}written{labels}{kept}."


def write_back(stored: StoredCollection, *, dry_run: bool = False) -> list[WrittenBack]:
    """Write the changed labels of the collection to each of its sources.

    What cannot be done, because a source has gone or cannot hold a label, is a note, and the other sources are
    written all the same.

    Args:
        dry_run: write nothing, and say what would be written.

    Raises:
        DataError: the collection has no pictures.
        BusyError: it is being imported or written back.
        CatalogueError: the database cannot be used.
    """
    if not stored.is_imported():
        raise DataError(f"“{stored.name}” has no pictures yet. Import some.")
    done: list[WrittenBack] = []
    lock = nullcontext() if dry_run else stored.lock()
    with lock, stored.catalogue() as catalogue:
        changes = ChangedItems.of(catalogue)
        if stored.name == DEFAULT_COLLECTION:
            folder = stored.data_folder / "corrected"
            return _write(stored.name, dry_run, lambda: fashion_mnist_files(catalogue, changes, folder))
        # where a source was imported twice, the last choice of columns counts
        choices_of = {
            (report.location, report.choices.get("table"), report.choices.get("urls")): report.choices
            for report in reversed(ImportLog(catalogue).reports())
        }
        for (location, *_), choices in choices_of.items():
            source = _Source(Path(location), choices, stored.layout.jobs_folder, changes)
            done += _write(location, dry_run, source.files)
    if lost := changes.lost():
        names = ", ".join(shown(item.source) for item in lost[:5]) + (", …" if len(lost) > 5 else "")
        note = f"Changed items that are in no source any more, or are another picture there: {len(lost):,} ({names})."
        done.append(WrittenBack("", None, note=f"{note} {USE_AN_EXPORT}"))
    return done


def _write(location: str, dry_run: bool, files: Callable[[], Iterator[NewFile | str]]) -> list[WrittenBack]:
    """Write what `files` gives: all of it is made before the first file is written."""
    done: list[WrittenBack] = []
    try:
        for file in list(files()):
            if isinstance(file, str):
                done.append(WrittenBack(location, None, note=file))
                continue
            is_new = not file.path.exists() or file.path.read_bytes() != file.data
            kept = replace_keeping(file.path, file.data) if is_new and not dry_run else None
            done.append(WrittenBack(location, file.path, is_new, file.n, kept))
    except (DataError, WorkspaceError) as error:
        done.append(WrittenBack(location, None, note=str(error)))
    except OSError as error:
        done.append(WrittenBack(location, None, note=f"{error.filename} cannot be read ({error.strerror})."))
    return done or [WrittenBack(location, None)]


@dataclass(frozen=True)
class _Source:
    """One of the places that a collection came from."""

    path: Path
    choices: Mapping[str, str]
    uploads: Path
    changes: ChangedItems

    def files(self) -> Iterator[NewFile | str]:
        """The files to write, and sentences about what they cannot hold.

        Raises:
            DataError: the source cannot be used.
        """
        if self.path.is_relative_to(self.uploads) or self.path.is_relative_to(self.uploads.resolve()):
            raise DataError(f"What was uploaded to the app has no place to write back to. {USE_AN_EXPORT}")
        # to open a pipe would wait for ever
        if not (os.path.isdir(self.path) or os.path.isfile(self.path)):
            raise MissingDataError(f"There is nothing at {self.path} any more. Put it back there, or use an export.")
        if self.choices.get("urls"):
            return self._url_table()
        if IdxData.is_in(self.path):
            return mnist_files(self.path, self.changes)
        return self._heap()

    def _url_table(self) -> Iterator[NewFile | str]:
        def label_for(row: TableRow) -> str | None:
            item = None if row.fault else self.changes.at_url(row.file.strip())
            return item.cell_for(row.label) if item else None

        columns = self.choices.get("file_column"), self.choices.get("label_column")
        table = LabelTable(self.path.name, self.path, *columns, "URL", URL_COLUMNS, needs_label=False)
        with self.path.open("rb") as file:
            data = file.read(MAX_TABLE_BYTES + 1)
        if len(data) > MAX_TABLE_BYTES:
            raise DataError(f"{self.path} has become larger than {MAX_TABLE_BYTES // 2**20} MB. {USE_AN_EXPORT}")
        yield NewFile(self.path.resolve(), *relabel(table, data, label_for))

    def _heap(self) -> Iterator[NewFile | str]:
        files, named = files_at(self.path, self.choices.get("table"))
        with closing(files):
            root = files.root()
            tables = tables_meant(files, root, named)
            if len(tables) == 1:
                yield from self._table_of(files, root, tables[0])
            elif named or tables:
                what = f"no table called {shown(named)}" if named else "several tables"
                raise DataError(f"{self.path} has {what}, so it is not clear where the labels belong. {USE_AN_EXPORT}")
            else:
                yield from self._new_table(root, files)

    def _table_of(self, files: FoundFiles, root: str, name: str) -> Iterator[NewFile | str]:
        table = LabelTable(name, self.path, self.choices.get("file_column"), self.choices.get("label_column"))
        data = files.tables[name](MAX_TABLE_BYTES)
        keys = {file_key(row.file) for row in table.rows(data)}
        files_of = match_files(keys, (picture.removeprefix(root) for picture in files.pictures))

        def label_for(row: TableRow) -> str | None:
            found = files_of[file_key(row.file)]
            if row.fault or len(found) != 1:
                return None
            item = self.changes.at(root + found[0], lambda: files.pictures[root + found[0]](MAX_BYTES))
            return item.cell_for(row.label) if item else None

        written, n = relabel(table, data, label_for)
        if isinstance(files, Folder):
            yield NewFile((files.path / name).resolve(), written, n)
        else:
            yield from self._beside(f".labels{os.path.splitext(name)[1]}", written, n)

    def _new_table(self, root: str, files: FoundFiles) -> Iterator[NewFile | str]:
        lines, names, n = [COLUMNS], [], 0
        with open_local(self.path) as entries:
            for entry in entries:
                if not isinstance(entry, LocalEntry):
                    continue
                item = self.changes.at(entry.name, entry.read)
                label = item.cell_for(entry.label or "") if item else None
                n += label is not None
                names.append(entry.name.removeprefix(root))
                lines.append(csv_line([names[-1], label if label is not None else entry.label or ""]))
        files_of = match_files(map(file_key, names), names)
        if twins := [name for name in names if files_of[file_key(name)] != [name]]:
            yield f"Names that a table cannot tell apart: {', '.join(map(shown, twins[:5]))}. {USE_AN_EXPORT}"
        data = "".join(lines).encode()
        if isinstance(files, Archive):
            yield from self._beside(".labels.csv", data, n)
        elif n:
            yield NewFile(self.path / TABLE, data, n)

    def _beside(self, ending: str, data: bytes, n: int) -> Iterator[NewFile]:
        """The file beside an archive, where it is needed or there already."""
        path = self.path.with_name(self.path.name + ending)
        if n or path.exists():
            yield NewFile(path, data, n)
