"""The head and the index file of a collection: built, written with today's labels, and tuned."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from fashion16.collections.embeddings import active_embeddings, encoded
from fashion16.collections.opened import Collection
from fashion16.collections.stored import StoredCollection
from fashion16.errors import BusyError, HeadError, IndexFileError, TuningError
from fashion16.files.atomic import replacing
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import IndexHeader, IndexSettings, read_index, settings_in, write_index
from fashion16.search.partition import Tuning, key_bits_for
from fashion16.search.references import References
from fashion16.types import Floats, Ids, Progress

log = logging.getLogger(__name__)

Remake = Callable[[CategoryIndex, IndexHeader], tuple[CategoryIndex, IndexHeader]]


def rewrite_index(opened: Collection) -> int:
    """Write the collection's index with today's labels; returns the revision that it stands at.

    What was chosen for the index stays. Raises what `remake_index` raises.
    """
    return remake_index(opened, lambda index, header: (index, header))


def remake_index(opened: Collection, remake: Remake) -> int:
    """Write what is made of the collection's index with today's labels; returns the revision that it stands at.

    It begins with the index on disk, to which a later import may have added items that `opened` does not know, and
    applies what was decided since. What is decided meanwhile is applied by whoever opens it.

    Args:
        remake: what to write, given the index with today's labels and its header. Raises it, nothing is written.

    Raises:
        IndexFileError: there is no index, or it is damaged or made with another encoder.
        BusyError: an import of the collection runs, or the index was rebuilt meanwhile; nothing is written.
        WorkspaceError: the folder may not be written, or the disk is full.
        CatalogueError: the database cannot be used.
    """
    path = opened.stored.index_file
    with opened.stored.lock(), replacing(path) as partial:
        seen = _identity(path)
        index, header = read_index(path, opened.searcher.encoder.digest)
        today = opened.with_index(index, header.side, header.revision)
        write_index(partial, *remake(today.searcher.index, replace(header, revision=today.revision)))
        if _identity(path) != seen:
            raise BusyError(f"Another process has rebuilt the index of “{opened.name}”; that one stays.", path)
    opened.index_revision = today.revision
    log.info("index of %s written, revision %d", opened.name, today.revision)
    return today.revision


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


Tunings = Mapping[str, Tuning]


def retune(
    opened: Collection,
    n_bits: int | None = None,
    seed: int | None = None,
    tunings: Tunings | None = None,
    progress: Progress | None = None,
) -> CategoryIndex:
    """Rehash all items of the collection's index with today's labels, and write it; returns what was written.

    No picture is encoded and no head fitted. `opened` goes on with the index that it has; who opens the collection
    after this has the new one.

    Args:
        n_bits: bits of a code; None for as many as there are.
        seed: of the hyperplanes; None for the one they have.
        tunings: what to pin of these categories, instead of what was pinned of them; `Tuning()` pins nothing. Other
            categories keep what they have.
        progress: called with the number of items that are hashed, and of all.

    Raises:
        TuningError: the index cannot have these settings; nothing is written.
        DataError: the file of embeddings is damaged.
        IndexFileError, BusyError, WorkspaceError, CatalogueError: see `index_writing.remake_index`.
    """
    made: list[CategoryIndex] = []

    def hashed_anew(index: CategoryIndex, header: IndexHeader) -> tuple[CategoryIndex, IndexHeader]:
        present = IndexSettings(index.hyperplanes.n_bits, header.seed, index.tunings)
        wanted = check(index, present, n_bits, seed, tunings)
        ids = np.concatenate([np.zeros(0, np.int64), *(part.ids for part in index.partitions.values())])
        names = np.array([name for name, part in index.partitions.items() for _ in range(len(part))], object)
        order = np.argsort(ids)  # the order in which `build_index` takes them, so that both make the same
        ids = ids[order]
        embeddings = _embeddings(opened, index, ids, header.side)
        made.append(
            CategoryIndex.build(
                embeddings, ids, names[order].astype(np.str_), wanted.n_bits, wanted.seed, wanted.tunings, progress
            )
        )
        return made[0], replace(header, seed=wanted.seed)

    remake_index(opened, hashed_anew)
    return made[0]


def check(
    index: CategoryIndex,
    present: IndexSettings,
    n_bits: int | None = None,
    seed: int | None = None,
    tunings: Tunings | None = None,
) -> IndexSettings:
    """The settings that `retune` would give to an index, with these in place of the present ones.

    Raises:
        TuningError: the index cannot have them; the sentence says what is possible.
    """
    chosen = tunings or {}
    known = {*index.categories, *present.tunings}
    if unknown := sorted(chosen.keys() - known):
        raise TuningError(f"The index has no category “{unknown[0]}”. It has: {', '.join(sorted(known))}.")
    wanted = present.changed(n_bits, seed, chosen)
    wanted.check()
    for category, tuning in chosen.items():
        # what is carried over may be more than a category that has shrunk can have: a search then probes all
        if tuning.key_bits is None and category in index.partitions:
            by_size = key_bits_for(len(index.partitions[category]), wanted.n_bits)
            Tuning(by_size, tuning.n_probes).check(category, wanted.n_bits)
    return wanted


def _embeddings(opened: Collection, index: CategoryIndex, ids: Ids, side: int) -> Floats:
    """The embeddings (n, d) of these items, whose ids ascend, as exact as all of them are to be had."""
    today, embeddings, its_side = active_embeddings(opened.stored, opened.searcher.encoder.digest)
    if its_side != side or not np.isin(ids, today.ids).all():
        return index.embeddings(ids)
    exact: Floats = embeddings[np.searchsorted(today.ids, ids)]
    return exact


def build_index(
    stored: StoredCollection,
    n_bits: int | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> tuple[Head, CategoryIndex]:
    """Fit the head on the training split and build the index of all items, with today's labels.

    Pictures that this encoder has not seen yet, new ones or all after a change of encoder, are encoded first.
    An item without a label lies in the category that the head predicts for it. What was pinned of a category
    stays.

    Args:
        n_bits: bits of a code; None for as many as the present index has, or the recommended number.
        seed: of the hyperplanes; None for that of the present index, or the recommended one.

    Raises:
        TuningError: the index cannot have these settings; nothing is changed.
        HeadError: too few categories.
        DataError: the collection is not imported.
        BusyError: an import of it runs.
        ForeignIndexError, NewerIndexError: another program's file lies where the index belongs.
    """
    if not stored.has_pictures():
        stored.pictures()  # says what is not there; the lock would leave a trace
    with stored.lock(), stored.catalogue():
        chosen = settings_in(stored.index_file).changed(n_bits, seed)
        chosen.check()
        digest = stored.card.digest
        today, embeddings, side = encoded(stored, digest, progress)
        references = References.read(stored.layout.references_file, digest)
        head = Head.of_collection(embeddings, today, digest, references)
        names = today.labels.astype(object)
        names[names == ""] = head.predict(embeddings[names == ""])
        index = CategoryIndex.build(
            embeddings, today.ids, names.astype(np.str_), chosen.n_bits, chosen.seed, chosen.tunings
        )
        head.write(stored.head_file)
        write_index(stored.index_file, index, IndexHeader(digest, side, today.revision, chosen.seed))
        log.info("index of %s built: %d items in %d categories", stored.name, len(index), len(head.categories))
        return head, index


def is_indexed(stored: StoredCollection) -> bool:
    """Whether head and index are there, fit the encoder, and the index holds every active item."""
    try:
        digest = stored.card.digest
        index, _ = read_index(stored.index_file, digest)
        fits = Head.read(stored.head_file).encoder_digest == digest
    except (IndexFileError, HeadError):
        return False
    with stored.catalogue() as catalogue:
        ids = catalogue.active().ids
    return fits and len(index.known(ids)) == len(ids)
