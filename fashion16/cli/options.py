"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fashion16.search.index import MAX_N_BITS, N_BITS, SEED

CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="The collection's name.", metavar="NAME")]


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


CollectionArgument = Annotated[str, typer.Argument(help="The collection's name.", metavar="NAME")]


PhotosOption = Annotated[Path, typer.Option(help="The public clothing dataset's archive, a ZIP file.")]


SplitOption = Annotated[Path | None, typer.Option(help="Table (image, label, split) of its ten-class subset.")]
