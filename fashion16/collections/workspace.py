"""A folder with models, indexes and data: what `FASHION16_HOME` names."""

from __future__ import annotations

from fashion16.collections.layout import DEFAULT_COLLECTION, Layout
from fashion16.collections.opened import Collection
from fashion16.collections.stored import StoredCollection


class Workspace(Layout):
    """A folder with models, indexes and data, and the way to its collections."""

    def collection(self, name: str = DEFAULT_COLLECTION) -> StoredCollection:
        """The collection of this name as it lies on disk; it need not be there yet.

        Raises:
            WorkspaceError: no collection can be called so.
        """
        return StoredCollection(self, name)

    def open(self, name: str = DEFAULT_COLLECTION) -> Collection:
        """The collection of this name, opened to search and correct; see `Collection.open`."""
        return Collection.open(self.collection(name))
