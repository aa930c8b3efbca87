"""A heap of pictures into a collection: stored, catalogued, split, each exactly once.

    heap or crawl -> entry (name, label, read) -> PictureStore.put -> Catalogue.add_new

A picture's place in a collection is its name in the heap together with its content. So the same heap again adds
only what is new, an interrupted import is simply begun again, and a file that was replaced is a new picture.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from time import monotonic
from typing import Protocol

from fashion16.catalogue import Catalogue
from fashion16.catalogue_rows import Came, ImportedItem
from fashion16.errors import DataError, ImageError
from fashion16.heaps import Refusal
from fashion16.import_log import SHOWN, ImportLog, ImportReport, storable
from fashion16.picture_store import PictureStore

# The paper's proportions: 200,000 pictures to train on, 100,000 to tune with, 25,820 to test with.
PROPORTIONS = {"train": 200_000, "validation": 100_000, "test": 25_820}
SPLIT_SEED = 2019
# decoding is most of the work, and Pillow decodes without Python's lock; more workers than cores gain nothing
WORKERS = min(4, os.cpu_count() or 1)
WAITING = 8 * WORKERS  # pictures read ahead: at most 40 MB each, and mostly a thousandth of that
# how much is done again at most after a kill; a transaction for each picture would double the time
BATCH = 500
BATCH_SECONDS = 2.0
MAX_NAME = 2_500  # bytes: with the stored file's name, what PostgreSQL takes into an index


class Entry(Protocol):
    """A file that may be a picture, of a heap or from the web."""

    @property
    def name(self) -> str:
        """Its name in the heap, or its URL."""

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
    log = ImportLog(catalogue)
    known = catalogue.sources()
    began, seen = monotonic(), 0
    items: list[ImportedItem] = []
    refusals: list[tuple[str, str]] = []

    def write() -> None:
        report.added += (added := catalogue.add_new(items))
        report.unchanged += len(items) - added  # another import was faster
        log.refuse(report, refusals)
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
