"""The index file brought up to today's labels, without fitting the head anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fashion16.atomic import replacing
from fashion16.collection import Collection
from fashion16.errors import BusyError
from fashion16.index import CategoryIndex
from fashion16.index_file import IndexHeader, read_index, write_index
from fashion16.locks import only_one
from fashion16.workspace import Workspace

Remake = Callable[[CategoryIndex, IndexHeader], tuple[CategoryIndex, IndexHeader]]


def rewrite_index(workspace: Workspace, opened: Collection) -> int:
    """Write the collection's index with today's labels; returns the revision that it stands at.

    What was chosen for the index stays. Raises what `remake_index` raises.
    """
    return remake_index(workspace, opened, lambda index, header: (index, header))


def remake_index(workspace: Workspace, opened: Collection, remake: Remake) -> int:
    """Write what is made of the collection's index with today's labels; returns the revision that it stands at.

    It begins with the index on disk, to which a later import may have added items that `opened` does not know, and
    applies what was decided since. What is decided meanwhile is applied by whoever opens it.

    Args:
        remake: what to write, given the index with today's labels and its header. Raises it, nothing is written.

    Raises:
        IndexFileError: there is no index, or it is damaged or made with another encoder.
        BusyError: an import of the collection runs, or the index was made anew meanwhile; nothing is written.
        WorkspaceError: the folder may not be written, or the disk is full.
        CatalogueError: the database cannot be used.
    """
    path = workspace.index_file(opened.name)
    with only_one(workspace.import_lock(opened.name)), replacing(path) as partial:
        seen = _identity(path)
        index, header = read_index(path, opened.searcher.encoder.digest)
        today = opened.with_index(index, header.side, header.revision)
        write_index(partial, *remake(today.searcher.index, replace(header, revision=today.revision)))
        if _identity(path) != seen:
            raise BusyError(f"Another process has made the index of “{opened.name}” anew; that one stays.", path)
    opened.index_revision = today.revision
    return today.revision


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
