"""The items that all methods are compared on, laid out on disk once, and read by each method's own process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.synthetic import BLOCK, Ids, Labels, SyntheticItems, exact_neighbours, measured_changes
from fashion16.collections.embeddings import labelled_embeddings
from fashion16.collections.workspace import Workspace
from fashion16.files.atomic import replacing
from fashion16.images import distort
from fashion16.search.encoder import Encoder, encode_all
from fashion16.search.head import Head
from fashion16.search.hyperplanes import RandomHyperplanes
from fashion16.search.index import N_BITS, SEED, K
from fashion16.search.partition import Stored, to_int16
from fashion16.types import Codes, Floats

CHANGES = 2000  # real pictures whose distortion is measured
VERSION = 2  # of what is laid out; another version is made again


@dataclass(frozen=True)
class Items:
    """Items and queries among them, in a folder.

    Attributes:
        folder: real.npy, labels.npy and, where items are synthetic, changes.npy: what they are made of;
            stored.npy, codes.npy, categories.npy: the items; queries.npy, query_categories.npy, everywhere.npy,
            in_category.npy: the queries and the exact answers.
    """

    folder: Path

    def _read(self, name: str) -> npt.NDArray[np.generic]:
        array: npt.NDArray[np.generic] = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return array

    @property
    def n(self) -> int:
        """How many items there are."""
        return len(self.stored)

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return int(self.stored.shape[1])

    @property
    def embeddings(self) -> Iterator[Floats]:
        """All embeddings in order of id, float32, unit length, block by block."""
        for embeddings, _ in _blocks(self._read("real"), self._read("labels"), self._changes, self.n):
            yield embeddings

    @property
    def _changes(self) -> Floats | None:
        return self._read("changes") if (self.folder / "changes.npy").is_file() else None  # type: ignore[return-value]

    @cached_property
    def stored(self) -> Stored:
        """The embeddings as the index stores them, shape (n, d)."""
        return self._read("stored")  # type: ignore[return-value]

    @cached_property
    def codes(self) -> Codes:
        """Their codes by hyperplanes through the middle of all items, shape (n, n_bits // 8)."""
        return self._read("codes")  # type: ignore[return-value]

    @cached_property
    def hyperplanes(self) -> RandomHyperplanes:
        """The hyperplanes of the codes."""
        return RandomHyperplanes.draw(np.asarray(self._read("mean")), 8 * self.codes.shape[1], SEED)

    @property
    def by_category(self) -> Iterator[tuple[str, Ids]]:
        """The ids of the items of each category."""
        numbers = np.asarray(self._read("categories"))
        for number, name in enumerate(np.asarray(self._read("names"))):
            yield str(name), np.flatnonzero(numbers == number)

    @cached_property
    def queries(self) -> Floats:
        """The queries' embeddings, shape (nq, d)."""
        return np.asarray(self._read("queries"))  # type: ignore[return-value]

    @cached_property
    def query_categories(self) -> Labels:
        """The categories that the head predicts for the queries, shape (nq,)."""
        return np.asarray(self._read("query_categories"))  # type: ignore[return-value]

    @cached_property
    def everywhere(self) -> Ids:
        """The ids of the exact neighbours among all items, shape (nq, k)."""
        return np.asarray(self._read("everywhere"))  # type: ignore[return-value]

    @cached_property
    def in_category(self) -> Ids:
        """The ids of the exact neighbours in the predicted category, shape (nq, k)."""
        return np.asarray(self._read("in_category"))  # type: ignore[return-value]


def lay_out(
    folder: Path, real: Floats, labels: Labels, changes: Floats | None, n: int, queries: Floats, categories: Labels
) -> Items:
    """The n items that the real embeddings (m, d) and changes (c, d) make, or the real ones themselves, in a folder.

    Queries (nq, d) are looked for everywhere and in their categories (nq,), both exactly.
    """
    folder.mkdir(parents=True, exist_ok=True)
    items = Items(folder)
    names, numbers = np.unique(labels, return_inverse=True)
    d = real.shape[1]
    small = {"real": real, "labels": labels, "names": names, "queries": queries, "query_categories": categories}
    if changes is not None:
        small["changes"] = changes
    total, count = np.zeros(d), 0
    for embeddings, _ in _blocks(real, labels, changes, n):
        total += embeddings.sum(axis=0, dtype=np.float64)
        count += len(embeddings)
    small["mean"] = (total / count).astype(np.float32)
    hyperplanes = RandomHyperplanes.draw(small["mean"], N_BITS, SEED)
    open_memmap = np.lib.format.open_memmap
    stored = open_memmap(folder / "stored.npy", mode="w+", dtype=np.int16, shape=(n, d))
    codes = open_memmap(folder / "codes.npy", mode="w+", dtype=np.uint8, shape=(n, N_BITS // 8))
    its_categories = open_memmap(folder / "categories.npy", mode="w+", dtype=np.uint8, shape=(n,))
    number_of = {str(name): number for number, name in enumerate(names)}

    def all_stored() -> Iterator[tuple[Floats, Labels]]:
        start = 0
        for embeddings, block_labels in _blocks(real, labels, changes, n):
            rows = slice(start, start + len(embeddings))
            stored[rows] = to_int16(embeddings)
            codes[rows] = hyperplanes.encode(embeddings)
            its_categories[rows] = [number_of[str(name)] for name in block_labels]
            start += len(embeddings)
            yield embeddings, block_labels

    truth = exact_neighbours(queries, categories, all_stored(), K)
    small |= {"everywhere": truth.everywhere, "in_category": truth.in_category}
    for name, array in small.items():
        np.save(folder / f"{name}.npy", array)
    return items


def prepared(workspace: Workspace, n: int, n_queries: int, folder: Path, say: Callable[[str], None]) -> Items:
    """The n items and their queries in `folder`, laid out unless they are there already: real ones up to as many as
    the collection has, synthetic ones beyond.

    The queries are distorted copies of items: of real pictures, encoded again, where the items are real.
    """
    encoder, head = Encoder(workspace.encoder_folder), Head.read(workspace.collection().head_file)
    today, real, side = labelled_embeddings(workspace.collection(), encoder.digest)
    key = {
        "version": VERSION, "encoder": encoder.digest, "revision": today.revision, "n": n, "queries": n_queries,
        "real": len(real), "bits": N_BITS, "seed": SEED,
    }  # fmt: skip
    card = folder / "items.json"
    if card.is_file() and json.loads(card.read_text()) == key:
        return Items(folder)
    card.unlink(missing_ok=True)
    say(f"{n:,} items are laid out")
    pictures = workspace.collection().rows()
    if n <= len(real):
        rng = np.random.default_rng(16)
        rows = np.sort(rng.choice(len(real), n, replace=False))
        drawn = rng.choice(rows, n_queries, replace=False)
        copies = (distort(pictures[int(today.rows[row])], rng) for row in drawn)
        changes, queries = None, encode_all(encoder, copies, side)
        real, labels = real[rows], today.labels[rows]
        (folder / "changes.npy").unlink(missing_ok=True)
    else:
        changes = _kept_changes(folder.parent / f"changes-{encoder.digest[:12]}-{side}.npy", encoder, pictures, side)
        labels = today.labels
        queries, _ = SyntheticItems(real, labels, changes, n).queries(n_queries)
    items = lay_out(folder, real, labels, changes, n, queries, head.predict(queries))
    with replacing(card) as partial:
        partial.write_text(json.dumps(key))
    return items


def _kept_changes(path: Path, encoder: Encoder, pictures, side: int) -> Floats:  # type: ignore[no-untyped-def]
    if not path.is_file():
        changes = measured_changes(encoder, pictures, CHANGES, side=side)
        with replacing(path) as partial, partial.open("wb") as file:
            np.save(file, changes)
    kept: Floats = np.load(path)
    return kept


def _blocks(real, labels, changes, n: int) -> Iterator[tuple[Floats, Labels]]:  # type: ignore[no-untyped-def]
    if changes is not None:
        yield from SyntheticItems(np.asarray(real), np.asarray(labels), np.asarray(changes), n).blocks()
        return
    for start in range(0, n, BLOCK):
        yield np.asarray(real[start : start + BLOCK]), np.asarray(labels[start : start + BLOCK])
