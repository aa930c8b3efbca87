"""What people have changed in a collection, to be written back to where it came from."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.rows import EXCLUDED, Item
from fashion16.errors import DataError
from fashion16.sources.local_files import Refusal


@dataclass(frozen=True)
class ChangedItem:
    """An item that somebody has changed, perhaps back to what it was.

    Attributes:
        given: the labels it has had, one of which an earlier write-back may have written; empty for none.
    """

    item: Item
    given: frozenset[str]

    @property
    def is_excluded(self) -> bool:
        """Whether it is no part of the collection any more."""
        return self.item.status == EXCLUDED

    @property
    def cell(self) -> str:
        """What a table has to say of it: its label, and nothing where it is excluded."""
        return "" if self.is_excluded else self.name

    @property
    def name(self) -> str:
        """Its label, empty where it has none."""
        return self.item.label or ""

    def cell_for(self, there: str) -> str | None:
        """What a table is to say of it that says `there`; None where that may stay."""
        return self._instead(there, self.cell)

    def name_for(self, there: str) -> str | None:
        """The same where nothing can be left out: its label, even when it is excluded."""
        return self._instead(there, self.name)

    def _instead(self, there: str, wanted: str) -> str | None:
        there = there.strip()
        # what was changed back is written only over what we may have written: the source may spell it otherwise
        if wanted == there or (wanted == (self.item.original_label or "") and there not in self.given):
            return None
        return wanted


class ChangedItems:
    """The changed items of a collection by their sources, and which of them have been found there."""

    def __init__(self, changed: Iterable[ChangedItem]) -> None:
        """None of them is found yet."""
        self._by_source: dict[str, list[ChangedItem]] = defaultdict(list)
        for each in changed:
            self._by_source[each.item.source].append(each)
        self._found: set[int] = set()

    @classmethod
    def of(cls, catalogue: Catalogue) -> ChangedItems:
        """Those of a catalogue."""
        return cls(changed_items(catalogue))

    def __iter__(self) -> Iterator[ChangedItem]:
        """All of them."""
        return (each for those in self._by_source.values() for each in those)

    def at(self, name: str, read: Callable[[], bytes | Refusal]) -> ChangedItem | None:
        """The changed item that is the file called so; a file of other content is another item."""
        if name not in self._by_source:
            return None
        try:
            data = read()
        except DataError:
            return None
        sha256 = "" if isinstance(data, Refusal) else hashlib.sha256(data).hexdigest()
        return self._find(item for item in self._by_source[name] if item.item.sha256 == sha256)

    def at_url(self, url: str) -> ChangedItem | None:
        """The changed item that was fetched from this address, of several the last one."""
        fetched = (item for item in reversed(self._by_source.get(url, [])) if item.item.fetched_at)
        return self._find(fetched)

    def lost(self) -> list[Item]:
        """Those that differ from how they came, and have not been found."""
        return [
            each.item
            for each in self
            if each.item.id not in self._found and each.cell != (each.item.original_label or "")
        ]

    def _find(self, those: Iterator[ChangedItem]) -> ChangedItem | None:
        found = next(those, None)
        if found:
            self._found.add(found.item.id)
        return found


def changed_items(catalogue: Catalogue) -> Iterator[ChangedItem]:
    """The changed items of a catalogue, in order of id."""
    given: dict[int, set[str]] = defaultdict(set)
    for row in catalogue.everything():
        if row.action == "keep":
            continue
        given[row.item_id] |= {row.old_label or "", row.new_label or ""}
        if EXCLUDED in (row.old_status, row.new_status):
            given[row.item_id].add("")
    for item in catalogue.changed_items():
        yield ChangedItem(item, frozenset(given.get(item.id, ())))
