"""Is everything there, does it fit together, and does every item find itself?"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

import numpy as np

from fashion16.collections.opened import Collection
from fashion16.collections.stored import StoredCollection
from fashion16.errors import Fashion16Error
from fashion16.explore.health import lost_items
from fashion16.search.head import LEARNABLE
from fashion16.types import Progress

PACKAGES = ("streamlit", "numpy", "pandas", "pillow", "h5py", "plotly", "sqlalchemy", "scikit-learn", "faiss-cpu")


@dataclass(frozen=True)
class Finding:
    """One thing that was checked: what, whether it is well, and the facts or the remedy."""

    what: str
    well: bool
    facts: str


def examine(stored: StoredCollection, progress: Progress | None = None) -> Iterator[Finding]:
    """Check versions, files, digests and self-recall, one finding at a time."""
    yield _versions()
    try:
        opened = Collection.open(stored)
    except Fashion16Error as error:
        yield Finding("collection", False, str(error))
        return
    searcher = opened.searcher
    yield Finding("encoder, head and index", True, f"fit together, encoder {searcher.encoder.digest[:12]}…")
    yield _ids(opened)
    yield _categories(opened)
    yield _pictures(opened)
    yield _self_recall(opened, progress)


def _versions() -> Finding:
    versions, missing = [f"Python {platform.python_version()}"], []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            missing.append(package)
    if missing:
        return Finding("versions", False, f"missing: {', '.join(missing)}. Run: pip install -r requirements.txt")
    return Finding("versions", True, ", ".join(versions))


def _ids(opened: Collection) -> Finding:
    today = opened.catalogue.active()
    index = opened.searcher.index
    indexed = np.concatenate([np.zeros(0, np.int64), *(p.ids for p in index.partitions.values())])
    lost, strange = np.setdiff1d(today.ids, indexed), np.setdiff1d(indexed, today.ids)
    if len(lost) or len(strange):
        facts = (
            f"{len(lost):,} items of the catalogue are not in the index, {len(strange):,} of the index not in the "
            f"catalogue. Run: fashion16 embed {opened.name} && fashion16 index {opened.name}"
        )
        return Finding("items", False, facts)
    return Finding("items", True, f"{len(today.ids):,} in the catalogue and in the index, revision {today.revision}")


def _categories(opened: Collection) -> Finding:
    today = opened.catalogue.labels()
    index = opened.searcher.index
    wrong = 0
    for category, partition in index.partitions.items():
        # an item without a label lies where the head puts it
        wrong += len(np.intersect1d(partition.ids, today.ids[today.labels != category]))
    counts = opened.catalogue.label_counts()
    small = {label for label, n in counts.items() if n < LEARNABLE}
    learnable = set(counts) - small
    # with fewer than two, the head is the encoder's own
    unknown = learnable - set(opened.searcher.head.categories) if len(learnable) > 1 else set()
    if wrong or unknown:
        facts = (
            f"{wrong:,} items lie in another category than their label says; the head does not know "
            f"{sorted(unknown) or 'none'}. Run: fashion16 index {opened.name}"
        )
        return Finding("categories", False, facts)
    facts = f"{len(index.categories)}, each item in that of its label"
    if small:
        facts += f"; too small to learn: {', '.join(f'{label} ({counts[label]})' for label in sorted(small))}"
    return Finding("categories", True, facts)


def _pictures(opened: Collection) -> Finding:
    ids = opened.catalogue.active().ids
    sample = ids[:: max(1, len(ids) // 500)]
    try:
        for item_id in sample:
            opened.picture(int(item_id))
    except Fashion16Error as error:
        return Finding("pictures", False, str(error))
    return Finding("pictures", True, f"{len(sample):,} of them opened")


def _self_recall(opened: Collection, progress: Progress | None) -> Finding:
    index = opened.searcher.index
    total = len(index)
    found = total - len(lost_items(index, progress=progress))
    facts = f"{found:,} of {total:,} items find themselves first"
    if found < total:
        facts += f". Run: fashion16 index {opened.name}"
    return Finding("self-recall", found == total, facts)
