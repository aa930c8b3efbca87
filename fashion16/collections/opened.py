"""An opened collection: its pictures, its catalogue and its searcher, kept in step."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.rows import ACTIVE, Batch, Change, Correction, Item
from fashion16.collections.pictures import ArrayPictures
from fashion16.collections.stored import StoredCollection
from fashion16.errors import CatalogueError, DataError, HeadError, ImageError
from fashion16.images import encode_jpeg, to_data_uri
from fashion16.search.encoder import encode_all
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import read_index
from fashion16.search.searcher import Answer, Classified, Result, Searcher
from fashion16.types import Floats, Pixels

THUMBNAIL_SIDE = 200
SLOW = 1_000.0  # milliseconds of a search that somebody notices, and that an index of this kind does not take
LOOK_EVERY = 1.0  # seconds between looks for other processes' corrections: a look may cross a network

T = TypeVar("T")

log = logging.getLogger(__name__)


class Pictures(Protocol):
    """Where a collection's pictures come from."""

    def of(self, item: Item) -> Pixels:
        """The item's picture, (h, w) or (h, w, 3); raises DataError where it is missing."""

    def large(self, item: Item) -> Pixels:
        """The same as large as it is stored."""


class Collection:
    """What the pages and the command line ask. Safe to share between threads."""

    def __init__(
        self,
        stored: StoredCollection,
        catalogue: Catalogue,
        pictures: Pictures,
        searcher: Searcher,
        index_revision: int,
    ) -> None:
        self.stored = stored
        self.catalogue = catalogue
        self._held = ExitStack()  # what `close` lets go of
        self.searcher = searcher
        self._pictures = pictures
        self.index_revision = index_revision  # of the index file
        self._revision = index_revision  # of the index in memory
        # embeddings of items that were excluded since, so that an undo needs no pass of the network
        self._set_aside: dict[int, Floats] = {}
        self._lock = threading.Lock()
        self._next_look = 0.0
        if catalogue.revision() < index_revision:
            # the catalogue was recreated since the index was written, so its history is not the index's
            self._move_all()
        self.refresh()

    @classmethod
    def open(cls, stored: StoredCollection) -> Collection:
        """Everything a search needs, loaded and checked against each other.

        Raises:
            Fashion16Error: something is missing or does not fit; the message says which command mends it.
        """
        began = monotonic()
        encoder = stored.encoder()
        head = Head.read(stored.head_file)
        if head.encoder_digest != encoder.digest:
            raise HeadError(
                f"The head of “{stored.name}” was fitted with another encoder. Make it again with: "
                f"fashion16 index {stored.name}"
            )
        index, header = read_index(stored.index_file, encoder.digest)
        searcher = Searcher(encoder, head, index, header.side)
        pictures = stored.store() if stored.has_files() else ArrayPictures(stored.pictures())
        with ExitStack() as stack:
            collection = cls(stored, stack.enter_context(stored.catalogue()), pictures, searcher, header.revision)
            collection._held = stack.pop_all()
        log.info("%s opened in %.1f s: %d items", stored.name, monotonic() - began, len(index))
        return collection

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.stored.name

    def correct(self, item_id: int, label: str, who: str, version: int, why: str = "") -> Correction:
        """Change a label in the catalogue and move the item in the index; see `Catalogue.correct`."""
        return self._done(lambda: self.catalogue.correct(item_id, label, who, version, why))

    def keep(self, item_id: int, who: str, version: int, why: str = "") -> Correction:
        """Say that an item is right as it is; see `Catalogue.keep`."""
        return self._done(lambda: self.catalogue.keep(item_id, who, version, why))

    def exclude(self, item_id: int, who: str, version: int, why: str = "") -> Correction:
        """Take an item out of search, training and the index; see `Catalogue.exclude`."""
        return self._done(lambda: self.catalogue.exclude(item_id, who, version, why))

    def include(self, item_id: int, who: str, version: int, why: str = "") -> Correction:
        """Bring an excluded item back, into the index too; see `Catalogue.include`.

        Raises also:
            DataError: its picture is missing; nothing is written.
        """
        self.picture(item_id)
        return self._done(lambda: self.catalogue.include(item_id, who, version, why))

    def decide_all(self, changes: Sequence[Change], who: str, why: str = "") -> Batch:
        """Make many changes as one batch; see `Catalogue.decide_all`."""
        return self._done(lambda: self.catalogue.decide_all(changes, who, why))

    def undo(self, correction_id: int, who: str) -> Batch:
        """Take back a correction or its batch; see `Catalogue.undo`."""
        return self._done(lambda: self.catalogue.undo(correction_id, who))

    def rename_label(self, old: str, new: str, who: str, why: str = "", include_test: bool = False) -> Batch:
        """Rename a label, or merge it into another; see `Catalogue.rename_label`."""
        return self._done(lambda: self.catalogue.rename_label(old, new, who, why, include_test))

    def with_index(self, index: CategoryIndex, side: int, revision: int) -> Collection:
        """The same collection with an index as it stood at a revision, brought up to date; the catalogue is shared."""
        searcher = replace(self.searcher, index=index, side=side)
        return Collection(self.stored, self.catalogue, self._pictures, searcher, revision)

    @property
    def revision(self) -> int:
        """The catalogue's revision that the index in memory stands at."""
        return self._revision

    @property
    def n_since_index(self) -> int:
        """Rows of history since the index file was written."""
        return self.catalogue.n_corrections_since(self.index_revision)

    def refresh(self) -> int:
        """Apply the corrections made since the index was written or last refreshed; returns how many.

        A correction costs one move in memory and no pass of the network. So does an item that comes back after it
        was excluded, where this object saw it go; else its picture is encoded again.
        """
        with self._lock:
            self._next_look = monotonic() + LOOK_EVERY
            news = self.catalogue.corrections_since(self._revision)
            if news:
                self._apply(news)
                self._revision = news[-1].id
            return len(news)

    def close(self) -> None:
        """Let go of the database."""
        self._held.close()

    def classify(self, photo: Pixels) -> Classified:
        """The photo's embedding and categories."""
        return self.searcher.classify(photo)

    def find(self, classified: Classified, **choices: Any) -> Answer:
        """The most similar garments, by today's labels; the choices are those of `Searcher.find`.

        Corrections made through this object count at once, those of other processes within a second.
        """
        if monotonic() >= self._next_look:
            self.refresh()
        answer = self.searcher.find(classified, **choices)
        if sum(answer.milliseconds.values()) > SLOW:
            steps = ", ".join(f"{step} {ms:.0f} ms" for step, ms in answer.milliseconds.items())
            log.warning("slow search in %s, %d candidates: %s", self.name, answer.candidates, steps)
        return answer

    def results(self, answer: Answer) -> list[tuple[Result, Item]]:
        """Each result with its item, less those excluded or lost since it was found."""
        items = {item.id: item for item in self.catalogue.items([result.id for result in answer.results])}
        active = {item_id for item_id, item in items.items() if item.status == ACTIVE}
        return [(result, items[result.id]) for result in answer.results if result.id in active]

    def picture(self, item_id: int) -> Pixels:
        """The item's picture as it is stored.

        Raises:
            UnknownItemError: there is no such item.
            DataError: its picture is missing.
        """
        return self.picture_of(self.catalogue.item(item_id))

    def picture_of(self, item: Item) -> Pixels:
        """The picture of an item that has been looked up already.

        Raises:
            DataError: its picture is missing.
        """
        return self._pictures.of(item)

    def thumbnail(self, item: Item, side: int = THUMBNAIL_SIDE) -> str:
        """The item's picture as a small JPEG in a data URI.

        A picture that travels with its page cannot be gone from the server when the browser asks for it.
        """
        return to_data_uri(encode_jpeg(self.picture_of(item), side))

    def large(self, item: Item, side: int) -> str:
        """The item's picture as it came, in the same way; its thumbnail where only that is here."""
        return to_data_uri(encode_jpeg(self._pictures.large(item), side))

    def random_ids(self, n: int, seed: int | None = None) -> list[int]:
        """At most n different items of the index, drawn evenly.

        Raises:
            DataError: the collection has no items.
        """
        ids = self._ids()
        if not len(ids):
            raise DataError(f"“{self.name}” has no items yet. Import some pictures.")
        drawn = np.random.default_rng(seed).choice(ids, min(n, len(ids)), replace=False)
        return [int(item_id) for item_id in drawn]

    def _done(self, decide: Callable[[], T]) -> T:
        """What was decided, once the index knows of it."""
        try:
            decided = decide()
        except CatalogueError as error:
            log.warning("refused in %s: %s", self.name, error)
            raise
        if isinstance(decided, Batch) and decided.conflicts:
            log.warning(
                "refused in %s: %d changes of items that somebody changed before", self.name, len(decided.conflicts)
            )
        log.debug("decided in %s: %r", self.name, decided)
        self.refresh()
        return decided

    def _apply(self, news: list[Correction]) -> None:
        latest = {correction.item_id: correction for correction in news}
        gone = [item_id for item_id, correction in latest.items() if correction.new_status != ACTIVE]
        stay = {i: correction.new_label for i, correction in latest.items() if correction.new_status == ACTIVE}
        index = self.searcher.index
        if leaving := index.known(gone):
            self._set_aside |= zip(leaving, index.embeddings(leaving), strict=True)
            index.remove(leaving)
        # others that the index does not know are new: they wait until it is made again
        back = {c.item_id for c in news if c.old_status != ACTIVE and c.item_id in stay}
        self._bring_back(sorted(back.difference(index.known(back))), stay)
        self._move(stay)

    def _bring_back(self, ids: list[int], labels: dict[int, str | None]) -> None:
        index = self.searcher.index
        for item in self.catalogue.items(ids):
            embedding = self._set_aside.pop(item.id, None)
            if embedding is None:
                try:
                    embedding = encode_all(self.searcher.encoder, [self.picture_of(item)], self.searcher.side)[0]
                except (DataError, ImageError):
                    continue  # a pack has no pictures of what was excluded: search goes on without it
            category = labels[item.id] or self.searcher.head.predict(embedding[None])[0]
            index.add(np.array([item.id], np.int64), embedding[None], str(category))

    def _move_all(self) -> None:
        revision = self.catalogue.revision()
        today = self.catalogue.active()
        self.searcher.index.remove(set(self._ids().tolist()).difference(today.ids.tolist()))
        self._move({int(i): str(label) or None for i, label in zip(today.ids, today.labels, strict=True)})
        self._revision = revision

    def _ids(self) -> npt.NDArray[np.int64]:
        partitions = self.searcher.index.partitions.values()
        return np.concatenate([np.zeros(0, np.int64), *(partition.ids for partition in partitions)])

    def _move(self, labels: dict[int, str | None]) -> None:
        index = self.searcher.index
        by_label: dict[str | None, list[int]] = defaultdict(list)
        for item_id, label in labels.items():
            by_label[label].append(item_id)
        for label, ids in by_label.items():
            known = index.known(ids)
            if label is not None:
                index.move(known, label)
            elif known:
                predicted = self.searcher.head.predict(index.embeddings(known))
                for category in np.unique(predicted):
                    index.move(np.array(known)[predicted == category], str(category))
