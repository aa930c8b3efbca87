"""An opened collection: its pictures, its catalogue and its searcher, kept in step."""

from __future__ import annotations

import threading
from collections import defaultdict
from time import monotonic
from typing import Any, Protocol

import numpy as np

from fashion16.catalogue import Catalogue
from fashion16.catalogue_rows import Correction, Item
from fashion16.errors import DataError
from fashion16.images import Pixels, encode_jpeg, to_data_uri
from fashion16.search import Answer, Classified, Result, Searcher

THUMBNAIL_SIDE = 200
LOOK_EVERY = 1.0  # seconds between looks for other processes' corrections: a look may cross a network


class Pictures(Protocol):
    """Where a collection's pictures come from."""

    def of(self, item: Item) -> Pixels:
        """The item's picture, (h, w) or (h, w, 3); raises DataError where it is missing."""


class Collection:
    """What the pages and the command line ask. Safe to share between threads."""

    def __init__(
        self,
        name: str,
        catalogue: Catalogue,
        pictures: Pictures,
        searcher: Searcher,
        index_revision: int,
    ) -> None:
        self.name = name
        self.catalogue = catalogue
        self.searcher = searcher
        self._pictures = pictures
        self._revision = index_revision
        self._lock = threading.Lock()
        self._next_look = 0.0
        if catalogue.revision() < index_revision:
            # the catalogue was made anew since the index was written, so its history is not the index's
            self._move_all()
        self.refresh()

    def correct(self, item_id: int, label: str, who: str, version: int) -> Correction:
        """Change a label in the catalogue and move the item in the index; see `Catalogue.correct`."""
        correction = self.catalogue.correct(item_id, label, who, version)
        self.refresh()
        return correction

    def refresh(self) -> int:
        """Apply the corrections made since the index was written or last refreshed; returns how many.

        A correction costs one move in memory and no pass of the network.
        """
        with self._lock:
            self._next_look = monotonic() + LOOK_EVERY
            news = self.catalogue.corrections_since(self._revision)
            if news:
                latest = {correction.item_id: correction.new_label for correction in news}
                self._move(latest)
                self._revision = news[-1].id
            return len(news)

    def close(self) -> None:
        """Let go of the database."""
        self.catalogue.close()

    def classify(self, photo: Pixels) -> Classified:
        """The photo's embedding and categories."""
        return self.searcher.classify(photo)

    def find(self, classified: Classified, **choices: Any) -> Answer:
        """The most similar garments, by today's labels; the choices are those of `Searcher.find`.

        Corrections made through this object count at once, those of other processes within a second.
        """
        if monotonic() >= self._next_look:
            self.refresh()
        return self.searcher.find(classified, **choices)

    def results(self, answer: Answer) -> list[tuple[Result, Item]]:
        """Each result with its item, less those that the catalogue has lost since the index was written."""
        items = {item.id: item for item in self.catalogue.items([result.id for result in answer.results])}
        return [(result, items[result.id]) for result in answer.results if result.id in items]

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

    def random_ids(self, n: int, seed: int | None = None) -> list[int]:
        """At most n different items of the index, drawn evenly.

        Raises:
            DataError: the collection has no items.
        """
        partitions = self.searcher.index.partitions.values()
        ids = np.concatenate([np.zeros(0, np.int64), *(partition.ids for partition in partitions)])
        if not len(ids):
            raise DataError(f"“{self.name}” has no items yet. Import some pictures.")
        drawn = np.random.default_rng(seed).choice(ids, min(n, len(ids)), replace=False)
        return [int(item_id) for item_id in drawn]

    def _move_all(self) -> None:
        today = self.catalogue.labels()
        self._move({int(i): str(label) for i, label in zip(today.ids, today.labels, strict=True)})
        self._revision = self.catalogue.revision()

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
