"""Import pictures into a collection: stored, catalogued, split, each exactly once.

    source or crawl -> entry (name, label, read) -> PictureStore.put -> Catalogue.add_new

A picture's place in a collection is its name in the source together with its content. So importing the same source
again adds only what is new, an interrupted import is simply started again, and a replaced file is a new picture.
"""

from __future__ import annotations

import hashlib
import logging
from bisect import bisect
from collections import deque
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from time import monotonic
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.imports import SHOWN, ImportLog, ImportReport
from fashion16.catalogue.rows import Came, ImportedItem
from fashion16.collections.layout import DEFAULT_COLLECTION, Layout
from fashion16.collections.pictures import PictureStore
from fashion16.collections.stored import StoredCollection
from fashion16.errors import CatalogueError, DamagedDataError, DataError, ImageError, MissingDataError
from fashion16.files.atomic import replacing
from fashion16.machine import cores
from fashion16.sources.clothing import ARCHIVE_URL, UNLABELLED
from fashion16.sources.fashion_mnist import (
    CATEGORIES,
    VALIDATION_SEED,
    VALIDATION_SIZE,
    FashionMNIST,
    download,
    find_fashion_mnist,
)
from fashion16.sources.local import open_local
from fashion16.sources.local_files import Refusal
from fashion16.sources.mnist import IdxData
from fashion16.sources.url_table import read_url_table
from fashion16.sources.web import CrawlSettings, crawl
from fashion16.text import shown, storable
from fashion16.types import Progress

log = logging.getLogger(__name__)

# The paper's proportions: 200,000 pictures to train on, 100,000 to tune with, 25,820 to test with.
PROPORTIONS = {"train": 200_000, "validation": 100_000, "test": 25_820}
SPLIT_SEED = 2019
# decoding is most of the work, and Pillow decodes without Python's lock; more workers than cores gain nothing
WORKERS = min(4, cores())
WAITING = 8 * WORKERS  # pictures read ahead: at most 40 MB each, and mostly a thousandth of that
# how much is done again at most after a kill; a transaction for each picture would double the time
BATCH = 500
BATCH_SECONDS = 2.0
MAX_NAME = 2_500  # bytes: with the stored file's name, what PostgreSQL takes into an index


class Entry(Protocol):
    """A file that may be a picture, of a local source or from the web."""

    @property
    def name(self) -> str:
        """Its name in the source, or its URL."""

    @property
    def label(self) -> str | None:
        """None where it has none."""

    def read(self) -> bytes | Refusal:
        """Its bytes, or why they cannot be had."""


@dataclass(frozen=True)
class _Unchanged:
    """A picture that the collection has already; whether it came with another label this time."""

    relabelled: bool


Outcome = ImportedItem | Refusal | _Unchanged


def import_entries(
    entries: Iterable[Entry | Refusal],
    store: PictureStore,
    catalogue: Catalogue,
    report: ImportReport,
    *,
    unlabelled: Collection[str] = (),
    done: Callable[[int], None] | None = None,
) -> None:
    """Store and catalogue what is new among the entries; `report` counts it, and the log keeps refusals.

    Args:
        unlabelled: labels that say nothing about the garment, and are left out.
        done: called with the number of entries seen so far.

    Raises:
        WorkspaceError: the folder may not be written, or the disk is full. Called again it goes on.
        CatalogueError: the database cannot be used.
    """
    imports = ImportLog(catalogue)
    known = catalogue.sources()
    began, seen = monotonic(), 0
    items: list[ImportedItem] = []
    refusals: list[tuple[str, str]] = []

    def write() -> None:
        report.added += (added := catalogue.add_new(items))
        report.unchanged += len(items) - added  # another import was faster
        imports.refuse(report, refusals)
        items.clear()
        refusals.clear()

    for outcome in _in_parallel(lambda entry: _work(entry, store, known, unlabelled), entries):
        seen += 1
        match outcome:
            case ImportedItem():
                items.append(outcome)
            case Refusal():
                report.n_skipped += 1
                refusals.append(line := (storable(outcome.name), storable(outcome.reason)))
                if len(report.skipped) < SHOWN:
                    report.skipped = [*report.skipped, line]
            case _Unchanged():
                report.unchanged += 1
                report.relabelled += outcome.relabelled
        if len(items) + len(refusals) >= BATCH or monotonic() - began > BATCH_SECONDS:
            write()
            began = monotonic()
            if done:
                done(seen)
    write()
    if done:
        done(seen)


def split_of(sha256: str) -> str:
    """The split of a picture: random by a fixed seed, in the paper's proportions, and the same for all its copies.

    It depends on the content alone, so it never changes, whatever is imported later and in whichever order.
    """
    digest = hashlib.sha256(f"{SPLIT_SEED} {sha256}".encode()).digest()
    *bounds, total = accumulate(PROPORTIONS.values())
    return list(PROPORTIONS)[bisect(bounds, int.from_bytes(digest[:8], "big") * total >> 64)]


def _work(
    entry: Entry | Refusal, store: PictureStore, known: Mapping[tuple[str, str], Came], unlabelled: Collection[str]
) -> Outcome:
    if isinstance(entry, Refusal):
        return entry
    label = None if entry.label in unlabelled else entry.label
    if fault := _fault(entry.name, label):
        return Refusal(entry.name, fault)
    try:
        data = entry.read()
        if isinstance(data, Refusal):
            return data
        sha256 = hashlib.sha256(data).hexdigest()
        came = known.get((entry.name, sha256))
        if came and _is_stored(came, len(data), store):
            return _Unchanged(label not in (came.label, came.now))
        stored = store.put(data)
    except (ImageError, DataError) as error:
        return Refusal(entry.name, str(error))
    if came:  # its file was lost, and is back
        return _Unchanged(label not in (came.label, came.now))
    return ImportedItem(
        None,
        sha256,
        label,
        getattr(entry, "split", None) or split_of(sha256),
        entry.name,
        stored.file,
        stored.width,
        stored.height,
        getattr(entry, "fetched_at", None),
    )


def _fault(name: str, label: str | None) -> str:
    """Why PostgreSQL could not carry name and label; it would refuse all that is written with them."""
    if label and "\0" in label:
        return "Its label holds a zero byte, as no text does."
    n_bytes = len(name.encode())
    return f"Its name has {n_bytes:,} bytes; the limit is {MAX_NAME:,}." if n_bytes > MAX_NAME else ""


def _is_stored(came: Came, n_bytes: int, store: PictureStore) -> bool:
    return store.has_original(came.file, n_bytes) and store.has_thumbnail(came.file, came.width, came.height)


def _in_parallel(work: Callable[[Entry | Refusal], Outcome], entries: Iterable[Entry | Refusal]) -> Iterator[Outcome]:
    """The outcome of each entry, in order; some are worked on ahead."""
    waiting: deque[Future[Outcome]] = deque()
    executor = ThreadPoolExecutor(WORKERS, "import")
    try:
        for entry in entries:
            waiting.append(executor.submit(work, entry))
            while waiting[0].done() or len(waiting) >= WAITING:
                yield waiting.popleft().result()
                if not waiting:
                    break
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


CLOTHING = "clothing"  # the public clothing dataset, known by name


@dataclass(frozen=True)
class Source:
    """What a user points at, and what there is to say about it.

    Attributes:
        path: a folder, a table beside a folder, a ZIP of either, or a folder in MNIST's format.
        urls: a table of addresses, instead of a path.
        table: which of several tables to read.
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


def import_source(stored: StoredCollection, source: Source, progress: Progress | None = None) -> ImportReport:
    """Fill the collection with what is new in the source. An interrupted import is begun again by the same call.

    Raises:
        WorkspaceError: its folder may not be written.
        BusyError: another import of the collection runs.
        DataError: the source as a whole cannot be used, or the collection is one array.
        CatalogueError: the database cannot be used.
    """
    if stored.name == DEFAULT_COLLECTION:
        raise DataError(f"“{stored.name}” comes with Fashion-16, and none can be added to it. Choose another name.")
    with ExitStack() as stack:
        # what cannot be opened leaves no trace of the collection
        opened = _open(source, stack)
        if not opened.total:
            raise DamagedDataError(f"{opened.location} holds no pictures.", opened.location)
        stack.enter_context(stored.lock())
        catalogue = stack.enter_context(stored.catalogue())
        imports = ImportLog(catalogue)
        report = imports.begin(str(opened.location), source.choices)
        began = monotonic()
        log.info("import into %s begun: %d entries of %s", stored.name, opened.total, shown(str(opened.location)))
        store = stored.store()
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
        imports.end(report)
        log.info(
            "import into %s ended after %.1f s: %d added, %d there already, %d skipped",
            stored.name, monotonic() - began, report.added, report.unchanged, report.n_skipped,
        )  # fmt: skip
    return report


def clothing_source(layout: Layout, path: Path | None, progress: Progress | None = None) -> Source:
    """The public clothing dataset: its archive at `path`, else fetched once and kept.

    Raises:
        MissingDataError: it cannot be fetched.
    """
    if path is None:
        path = layout.downloads_folder / "clothing-dataset-master.zip"
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
    opened = stack.enter_context(
        open_local(source.path, table=source.table, file_column=source.file_column, label_column=source.label_column)
    )
    return _Opened(
        source.path.resolve(), len(opened), lambda known: opened, passed_over=opened.passed_over + opened.unlisted
    )


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


def fashion_mnist_splits(n: int = 70_000, n_test: int = 10_000) -> npt.NDArray[np.str_]:
    """The split of each picture: the published test set, and a fixed validation set cut from the rest."""
    splits = np.full(n, "train", dtype="<U10")
    splits[n - n_test :] = "test"
    chosen = np.random.default_rng(VALIDATION_SEED).choice(n - n_test, VALIDATION_SIZE, replace=False)
    splits[chosen] = "validation"
    return splits


def import_fashion_mnist(stored: StoredCollection, progress: Progress | None = None) -> int:
    """Fill the collection `fashion-mnist`; returns how many items it has. Does nothing when it is filled.

    Raises:
        MissingDataError, DamagedDataError: the four original files cannot be had, or are not the originals.
        WorkspaceError: the data folder may not be written.
    """
    with stored.catalogue() as catalogue:
        if stored.has_pictures() and (count := catalogue.count()):
            return count
        data_set = FashionMNIST.read(find_fashion_mnist(stored.layout.downloads_folder, progress))
        with replacing(stored.pictures_file) as partial, partial.open("wb") as file:
            np.save(file, data_set.pictures)
        if not catalogue.count():
            total = len(data_set.labels)
            try:
                catalogue.add(_reported(fashion_mnist_items(data_set), total, progress))
            except CatalogueError:
                # another process was faster; anything else is a real error
                if catalogue.count() != total:
                    raise
        return catalogue.count()


def fashion_mnist_items(data_set: FashionMNIST) -> Iterator[ImportedItem]:
    """A row for each picture, in order."""
    splits = fashion_mnist_splits(len(data_set.labels))
    for position, (picture, label, split) in enumerate(zip(data_set.pictures, data_set.labels, splits, strict=True)):
        digest = hashlib.sha256(picture.tobytes()).hexdigest()
        yield ImportedItem(position, digest, CATEGORIES[label], str(split), "fashion-mnist")


def _reported(items: Iterable[ImportedItem], total: int, progress: Progress | None) -> Iterator[ImportedItem]:
    for done, item in enumerate(items, start=1):
        yield item
        if progress and (done % 1000 == 0 or done == total):
            progress(done, total)
