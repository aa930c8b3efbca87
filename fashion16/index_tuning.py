"""Other hyperplanes and other buckets for an index that is there: its items are hashed anew, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fashion16.collection import Collection
from fashion16.errors import TuningError
from fashion16.importers import Progress
from fashion16.index import CategoryIndex
from fashion16.index_file import IndexHeader, IndexSettings
from fashion16.index_writing import remake_index
from fashion16.lsh import Floats
from fashion16.partition import Ids, Tuning, key_bits_for
from fashion16.workspace import Workspace

Tunings = Mapping[str, Tuning]


def retune(
    workspace: Workspace,
    opened: Collection,
    n_bits: int | None = None,
    seed: int | None = None,
    tunings: Tunings | None = None,
    progress: Progress | None = None,
) -> CategoryIndex:
    """Hash all items of the collection's index anew and write it, with today's labels; returns what was written.

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
        embeddings = _embeddings(workspace, opened, index, ids, header.side)
        made.append(
            CategoryIndex.build(
                embeddings, ids, names[order].astype(np.str_), wanted.n_bits, wanted.seed, wanted.tunings, progress
            )
        )
        return made[0], replace(header, seed=wanted.seed)

    remake_index(workspace, opened, hashed_anew)
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


def _embeddings(workspace: Workspace, opened: Collection, index: CategoryIndex, ids: Ids, side: int) -> Floats:
    """The embeddings (n, d) of these items, whose ids ascend, as exact as all of them are to be had."""
    today, embeddings, its_side = workspace.active_embeddings(opened.name, opened.searcher.encoder.digest)
    if its_side != side or not np.isin(ids, today.ids).all():
        return index.embeddings(ids)
    exact: Floats = embeddings[np.searchsorted(today.ids, ids)]
    return exact
