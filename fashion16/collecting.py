"""From what a user points at to a filled collection: which reader reads it, and that only one import runs."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from fashion16.clothing import ARCHIVE_URL, UNLABELLED
from fashion16.crawl import CrawlSettings, crawl
from fashion16.errors import DamagedDataError, DataError, MissingDataError
from fashion16.heaps import Refusal, open_heap
from fashion16.idx_format import IdxData
from fashion16.import_log import ImportLog, ImportReport
from fashion16.importers import Progress, download
from fashion16.importing import Entry, import_entries
from fashion16.layout import check_name
from fashion16.locks import only_one
from fashion16.url_tables import read_url_table
from fashion16.workspace import DEFAULT_COLLECTION, Workspace

CLOTHING = "clothing"  # the public clothing dataset, known by name


@dataclass(frozen=True)
class Source:
    """What a user points at, and what there is to say about it.

    Attributes:
        path: a folder, a table beside a folder, a ZIP of either, or a folder in MNIST's format.
        urls: a table of addresses, instead of a path.
        table: which file of the heap is its table.
        file_column, label_column: the table's columns, where their names don't say it.
        unlabelled: labels that say nothing about the garment.
        allow_private: whether addresses of the own network may be fetched.
    """

    path: Path | None = None
    urls: Path | None = None
    table: str | None = None
    file_column: str | None = None
    label_column: str | None = None
    unlabelled: tuple[str, ...] = ()
    allow_private: bool = False

    @property
    def choices(self) -> dict[str, str]:
        """What the user said about the table, to be kept with the report."""
        named = {"table": self.table, "file_column": self.file_column, "label_column": self.label_column}
        return {key: value for key, value in named.items() if value} | ({"urls": "yes"} if self.urls else {})


def import_source(workspace: Workspace, name: str, source: Source, progress: Progress | None = None) -> ImportReport:
    """Fill the collection with what is new in the source. An interrupted import is begun again by the same call.

    Raises:
        WorkspaceError: no collection can be called so, or its folder may not be written.
        BusyError: another import of the collection runs.
        DataError: the source as a whole cannot be used, or the collection is one array.
        CatalogueError: the database cannot be used.
    """
    check_name(name)
    if name == DEFAULT_COLLECTION:
        raise DataError(f"“{name}” comes with Fashion-16, and none can be added to it. Choose another name.")
    with ExitStack() as stack:
        # what cannot be opened leaves no trace of the collection
        opened = _open(source, stack)
        if not opened.total:
            raise DamagedDataError(f"{opened.location} holds no pictures.", opened.location)
        stack.enter_context(only_one(workspace.import_lock(name)))
        catalogue = stack.enter_context(workspace.catalogue(name))
        log = ImportLog(catalogue)
        report = log.begin(str(opened.location), source.choices)
        store = workspace.store(name)
        # an address is not asked again for what it gave already, unless that was lost
        known = catalogue.sources() if source.urls else {}
        fetched = {url for (url, _), had in known.items() if store.has_thumbnail(had.file, had.width, had.height)}
        before = report.unchanged = opened.n_known(fetched)
        import_entries(
            opened.entries(fetched),
            store,
            catalogue,
            report,
            unlabelled=source.unlabelled,
            done=(lambda seen: progress(before + seen, opened.total)) if progress else None,
        )
        report.passed_over = opened.passed_over
        log.end(report)
    return report


def clothing_source(workspace: Workspace, path: Path | None, progress: Progress | None = None) -> Source:
    """The public clothing dataset: its archive at `path`, else fetched once and kept.

    Raises:
        MissingDataError: it cannot be fetched.
    """
    if path is None:
        path = workspace.downloads_folder / "clothing-dataset-master.zip"
        if not path.is_file():
            try:
                download(ARCHIVE_URL, path, None, progress)
            except (OSError, ValueError) as error:
                raise MissingDataError(
                    f"The public clothing dataset could not be fetched. Download {ARCHIVE_URL} yourself, and name "
                    "its file with --from. Tried:",
                    [(str(error) or type(error).__name__).splitlines()[0][:400]],
                ) from error
    return Source(path, unlabelled=tuple(sorted(UNLABELLED)))


@dataclass(frozen=True)
class _Opened:
    """A source that has been opened.

    Attributes:
        total: how many entries there are.
        entries: what is to be imported, given which addresses are in the collection already.
        n_known: how many of the entries these addresses are.
        passed_over: files that are no pictures, and pictures that the table does not mention.
    """

    location: Path
    total: int
    entries: Callable[[Container[str]], Iterable[Entry | Refusal]]
    n_known: Callable[[Container[str]], int] = lambda known: 0
    passed_over: int = 0


def _open(source: Source, stack: ExitStack) -> _Opened:
    """Open what the source names; what must be closed again goes on the stack."""
    if source.urls is not None:
        return _open_urls(source.urls, source)
    if source.path is None:
        raise DataError("Name a folder, a table, a ZIP archive or a table of addresses to import.")
    if IdxData.is_in(source.path):
        data = IdxData.read(source.path)
        return _Opened(source.path.resolve(), len(data), lambda known: data)
    heap = stack.enter_context(
        open_heap(source.path, table=source.table, file_column=source.file_column, label_column=source.label_column)
    )
    return _Opened(source.path.resolve(), len(heap), lambda known: heap, passed_over=heap.passed_over + heap.unlisted)


def _open_urls(path: Path, source: Source) -> _Opened:
    table = read_url_table(path, source.file_column, source.label_column)
    settings = CrawlSettings(allow_private=source.allow_private)

    def entries(known: Container[str]) -> Iterator[Entry | Refusal]:
        yield from table.refusals
        with closing(crawl(table.rows, settings, known)) as fetched:
            yield from fetched

    def n_known(known: Container[str]) -> int:
        return sum(row.url in known for row in table.rows)

    return _Opened(path.resolve(), len(table.rows) + len(table.refusals), entries, n_known)
