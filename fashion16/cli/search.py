"""The command that searches with a photo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fashion16.cli.options import CollectionOption
from fashion16.cli.terminal import console
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.errors import SearchError
from fashion16.images import check_size, read_photo
from fashion16.search.index import K


def search(
    photo: Annotated[Path, typer.Argument(help="A picture file.", metavar="PHOTO")],
    collection: CollectionOption = DEFAULT_COLLECTION,
    category: Annotated[list[str] | None, typer.Option(help="Search here instead; may be repeated.")] = None,
    everywhere: Annotated[bool, typer.Option("--all", help="Search in all categories.")] = False,
    k: Annotated[int, typer.Option("-k", help="How many results.", min=1, max=1000)] = K,
) -> None:
    """Find the garments most similar to a photo.

    Example: `fashion16 search shirt.jpg -k 5`
    """
    pixels = read_photo(_read_file(photo))
    opened = Workspace().open(collection)
    categories = list(opened.searcher.index.categories) if everywhere else category
    answer = opened.find(opened.classify(pixels), categories=categories, k=k)
    guesses = ", ".join(f"{name} {share:.1%}" for name, share in list(answer.classified.probabilities.items())[:3])
    console.print(f"Category: {escape(guesses)}", highlight=False)
    table = Table("rank", "id", "label", "similarity")
    items = opened.catalogue.items([result.id for result in answer.results])
    labels = {item.id: item.label or "unlabelled" for item in items}
    for result in answer.results:
        label = labels.get(result.id, "?")  # in the index, but no longer in the catalogue
        table.add_row(str(result.rank), str(result.id), escape(label), f"{result.similarity:.1%}")
    console.print(table)
    steps = " · ".join(f"{step} {ms:.1f} ms" for step, ms in answer.milliseconds.items())
    console.print(f"{steps} · {answer.candidates:,} candidates", highlight=False)


def _read_file(path: Path) -> bytes:
    try:
        check_size(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise SearchError(f"{path} cannot be read ({error.strerror}). Check its name.") from error
