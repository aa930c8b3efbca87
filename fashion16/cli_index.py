"""The command that chooses the index's bits, seed, buckets and probes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fashion16.cli_train import CollectionArgument
from fashion16.index import MAX_N_BITS, N_BITS, SEED, CategoryIndex
from fashion16.index_file import read_index
from fashion16.index_tuning import retune
from fashion16.partition import AUTOMATIC
from fashion16.terminal import console, progress_bar
from fashion16.workspace import DEFAULT_COLLECTION, Workspace

BY_SIZE = "auto"


def _multiple_of_8(n_bits: int | None) -> int | None:
    if n_bits is not None and n_bits % 8:
        raise typer.BadParameter(f"{n_bits} is not a multiple of 8.")
    return n_bits


BitsOption = Annotated[
    int | None,
    typer.Option(
        help=f"Bits of a code, a multiple of 8; as before unless given, {N_BITS} where there is no index.",
        min=8,
        max=MAX_N_BITS,
        callback=_multiple_of_8,
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(help=f"Seed of the hyperplanes; as before unless given, {SEED} where there is no index.", min=0),
]


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
    """Choose the index's bits, seed, buckets and probes: its items are hashed anew, and no picture is encoded.

    Without an option it prints what is chosen.

    Example: `fashion16 tune fashion-mnist --n-bits 256 --key-bits "Bag=9" --probes "Bag=12"`
    """
    workspace = Workspace()
    bits, buckets = _numbers(key_bits or [], "--key-bits"), _numbers(probes or [], "--probes")
    path = workspace.index_file(name)
    if n_bits is not None or seed is not None or bits or buckets or auto:
        with closing(workspace.open(name)) as opened:
            present = opened.searcher.index.tunings
            wanted = dict.fromkeys(auto or [], AUTOMATIC)
            for category in [*bits, *buckets]:
                wanted[category] = wanted.get(category, present.get(category, AUTOMATIC))
            for category, number in bits.items():
                wanted[category] = replace(wanted[category], key_bits=number)
            for category, number in buckets.items():
                wanted[category] = replace(wanted[category], n_probes=number)
            with progress_bar("Hashing") as progress:
                retune(workspace, opened, n_bits, seed, wanted, progress)
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
