"""Commands that encode a collection, build and tune its index, and lay out its map."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fashion16.cli.options import BitsOption, CollectionArgument, SeedOption
from fashion16.cli.terminal import console, progress_bar
from fashion16.collections import embeddings
from fashion16.collections.indexing import build_index, retune
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.opened import Collection
from fashion16.collections.stored import StoredCollection
from fashion16.collections.workspace import Workspace
from fashion16.explore import map as collection_map
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import IndexSettings, read_index, settings_in
from fashion16.search.partition import AUTOMATIC

BY_SIZE = "auto"


def tune(
    name: CollectionArgument = DEFAULT_COLLECTION,
    n_bits: BitsOption = None,
    seed: SeedOption = None,
    key_bits: Annotated[
        list[str] | None,
        typer.Option(
            help=f"How many bits name a category's buckets, or “{BY_SIZE}”; may be repeated.", metavar="CATEGORY=N"
        ),
    ] = None,
    probes: Annotated[
        list[str] | None,
        typer.Option(
            help=f"How many buckets a search probes by itself, or “{BY_SIZE}”; may be repeated.", metavar="CATEGORY=N"
        ),
    ] = None,
    auto: Annotated[
        list[str] | None,
        typer.Option(help="Leave both to this category's size again; may be repeated.", metavar="CATEGORY"),
    ] = None,
) -> None:
    """Choose the index's bits, seed, buckets and probes: its items are rehashed, and no picture is encoded.

    Without an option it prints what is chosen.

    Example: `fashion16 tune fashion-mnist --n-bits 256 --key-bits "Bag=9" --probes "Bag=12"`
    """
    stored = Workspace().collection(name)
    bits, buckets = _numbers(key_bits or [], "--key-bits"), _numbers(probes or [], "--probes")
    path = stored.index_file
    if n_bits is not None or seed is not None or bits or buckets or auto:
        with closing(Collection.open(stored)) as opened:
            present = opened.searcher.index.tunings
            wanted = dict.fromkeys(auto or [], AUTOMATIC)
            for category in [*bits, *buckets]:
                wanted[category] = wanted.get(category, present.get(category, AUTOMATIC))
            for category, number in bits.items():
                wanted[category] = replace(wanted[category], key_bits=number)
            for category, number in buckets.items():
                wanted[category] = replace(wanted[category], n_probes=number)
            with progress_bar("Hashing") as progress:
                retune(opened, n_bits, seed, wanted, progress)
    index, header = read_index(path)
    console.print(f"{name}: {len(index):,} items, {index.hyperplanes.n_bits} bits, seed {header.seed}", highlight=False)
    console.print(_table(index))


def _numbers(pairs: Sequence[str], option: str) -> dict[str, int | None]:
    """What each CATEGORY=N says; a category's name may hold the sign too."""
    found: dict[str, int | None] = {}
    for pair in pairs:
        category, sign, number = pair.rpartition("=")
        if not sign or not (number == BY_SIZE or (number.isascii() and number.isdigit())):
            raise typer.BadParameter(f"“{pair}” is not CATEGORY=N, as in “Bag=9”.", param_hint=option)
        found[category] = None if number == BY_SIZE else int(number)
    return found


def _table(index: CategoryIndex) -> Table:
    """Each category as it is searched; what is pinned is said to be."""
    table = Table("category", "items", "key bits", "buckets", "items a bucket", "probes")
    for category in sorted({*index.categories, *index.tunings}):
        tuning, partition = index.tuning(category), index.partitions.get(category)
        chosen = _chosen(tuning.n_probes, "by size")
        if partition is None:
            table.add_row(escape(category), "0", _chosen(tuning.key_bits, "by size"), "", "", chosen)
            continue
        buckets = 2**partition.key_bits
        table.add_row(
            escape(category),
            f"{len(partition):,}",
            _chosen(tuning.key_bits, f"{partition.key_bits} by size"),
            f"{buckets:,}",
            f"{len(partition) / buckets:,.1f}",
            chosen,
        )
    return table


def _chosen(number: int | None, by_itself: str) -> str:
    return by_itself if number is None else f"{number:,} pinned"


def embed(name: CollectionArgument = DEFAULT_COLLECTION) -> None:
    """Encode all pictures of a collection; goes on where it was interrupted.

    Example: `fashion16 embed fashion-mnist`
    """
    stored = Workspace().collection(name)
    encoder = stored.encoder()
    with progress_bar("Encoding", rate=True) as progress:
        path = embeddings.embed(stored, encoder, progress)
    console.print(f"{name}: embeddings in {path}")


def index(
    name: CollectionArgument = DEFAULT_COLLECTION,
    n_bits: BitsOption = None,
    seed: SeedOption = None,
) -> None:
    """Fit the head and build the hash index with today's labels; pictures new to the encoder are encoded first.

    What was chosen for the index before, here or with `fashion16 tune`, is kept.

    Example: `fashion16 index fashion-mnist --n-bits 256`
    """
    build_visibly(Workspace().collection(name), n_bits, seed)


def make_map(name: CollectionArgument = DEFAULT_COLLECTION) -> None:
    """Make the t-SNE map of a collection, for the Metrics page: at most 20,000 pictures, in a minute or two.

    Example: `fashion16 map fashion-mnist`
    """
    stored = Workspace().collection(name)
    with progress_bar("Drawing the map") as progress:
        made = collection_map.make(stored, progress)
    console.print(f"{name}: {len(made):,} pictures in {stored.map_file}", highlight=False, soft_wrap=True)


def build_visibly(stored: StoredCollection, n_bits: int | None = None, seed: int | None = None) -> None:
    """Build a collection's head and index in view of the user; what was chosen for the index is kept, and said."""
    before = settings_in(stored.index_file)
    with progress_bar("Encoding", rate=True) as progress:
        head, built = build_index(stored, n_bits, seed, progress)
    bits = built.hyperplanes.n_bits
    console.print(f"{stored.name}: {len(built):,} items in {len(head.categories)} categories, {bits} bits")
    if kept := _kept(before, n_bits, seed):
        console.print(f"Kept as chosen: {escape('; '.join(kept))}", highlight=False, soft_wrap=True)


def _kept(before: IndexSettings, n_bits: int | None, seed: int | None) -> list[str]:
    """What a rebuild has kept that is not what it would have chosen by itself."""
    recommended, kept = IndexSettings(), []
    if n_bits is None and before.n_bits != recommended.n_bits:
        kept.append(f"{before.n_bits} bits")
    if seed is None and before.seed != recommended.seed:
        kept.append(f"seed {before.seed}")
    for category, tuning in sorted(before.tunings.items()):
        pinned = [
            f"{n} {what}" for n, what in ((tuning.key_bits, "key bits"), (tuning.n_probes, "probes")) if n is not None
        ]
        kept.append(f"{category} {', '.join(pinned)}")
    return kept
