"""The commands that fill, list, rename, remove and pack collections."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fashion16.catalogue.imports import ImportReport
from fashion16.cli.index import build_visibly
from fashion16.cli.options import CollectionArgument, CollectionOption
from fashion16.cli.terminal import console, progress_bar
from fashion16.collections import manage
from fashion16.collections.importing import CLOTHING, Source, clothing_source, import_fashion_mnist, import_source
from fashion16.collections.indexing import is_indexed
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.packing import pack as pack_collection
from fashion16.collections.packing import unpack
from fashion16.collections.stored import StoredCollection
from fashion16.collections.workspace import Workspace
from fashion16.errors import Fashion16Error, SearchError
from fashion16.search.head import LEARNABLE

REFUSALS_SHOWN = 20

YesOption = Annotated[bool, typer.Option("--yes", help="Don't ask.")]


def import_collection(
    name: CollectionArgument = DEFAULT_COLLECTION,
    path: Annotated[
        Path | None,
        typer.Option("--from", help="A folder, a table (CSV, Parquet) beside its files, or a ZIP.", metavar="PATH"),
    ] = None,
    urls: Annotated[Path | None, typer.Option(help="A table of addresses and labels to fetch.", metavar="FILE")] = None,
    table: Annotated[str | None, typer.Option(help="Which of several tables to read.", metavar="FILE")] = None,
    file_column: Annotated[
        str | None, typer.Option(help="The table's column of files or addresses.", metavar="COLUMN")
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="The table's column of labels.", metavar="COLUMN")] = None,
    unlabelled: Annotated[
        list[str] | None, typer.Option(help="A label that says nothing; may be repeated.", metavar="LABEL")
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Fetch from addresses of your own network, too.")
    ] = False,
    index: Annotated[bool, typer.Option(help="Encode, fit the head and build the index afterwards.")] = True,
) -> None:
    """Fill a collection with pictures, and make it searchable; what is there already stays, so it can be repeated.

    A folder's sub-folders are the labels; `fashion-mnist` and `clothing` are fetched by name.

    Example: `fashion16 import my-shop --from pictures/`
    """
    stored = Workspace().collection(name)
    if name == DEFAULT_COLLECTION and not (path or urls):
        with progress_bar("Importing") as progress:
            count = import_fashion_mnist(stored, progress)
        console.print(f"{name}: {count:,} items")
        return
    if name == CLOTHING and not urls:
        with progress_bar("Fetching") as progress:
            source = clothing_source(stored.layout, path, progress)
    elif not (path or urls):
        raise SearchError(
            f"No data set is called “{name}”. There are {DEFAULT_COLLECTION} and {CLOTHING}; to import your own "
            f"pictures: fashion16 import {name} --from FOLDER"
        )
    else:
        source = Source(path, urls, table, file_column, label_column, tuple(unlabelled or ()), allow_private)
    unpack(stored)
    with progress_bar("Fetching" if urls else "Importing", rate=True) as progress:
        report = import_source(stored, source, progress)
    _print_report(name, report)
    if index and (report.added or not is_indexed(stored)):
        build_visibly(stored)
        _print_small_labels(stored)


def list_collections() -> None:
    """List all collections with their pictures and labels.

    Example: `fashion16 collections`
    """
    workspace = Workspace()
    table = Table("collection", "pictures", "labels", "unlabelled", "searchable")
    for name in manage.names(workspace):
        try:
            table.add_row(name, *_figures(workspace.collection(name)))
        except Fashion16Error as error:  # one that is damaged must not hide the others
            table.add_row(name, "", "", "", escape(str(error)))
    console.print(table)


def _figures(stored: StoredCollection) -> tuple[str, str, str, str]:
    unpack(stored)
    if not stored.is_imported():
        return "0", "", "", f"not yet: fashion16 import {stored.name}"
    with stored.catalogue() as catalogue:
        counts, n = catalogue.label_counts(), len(catalogue.active())
    ready = "yes" if is_indexed(stored) else f"not yet: fashion16 index {stored.name}"
    return f"{n:,}", f"{len(counts):,}", f"{n - sum(counts.values()):,}", ready


def rename(
    old: Annotated[str, typer.Argument(help="The collection's name.", metavar="OLD")],
    new: Annotated[str, typer.Argument(help="Its new name.", metavar="NEW")],
) -> None:
    """Give a collection another name.

    Example: `fashion16 rename my-shop shop-2026`
    """
    manage.rename(Workspace().collection(old), new)
    console.print(f"{old} is now called {new}")


def remove(
    name: Annotated[str, typer.Argument(help="The collection's name.", metavar="NAME")], yes: YesOption = False
) -> None:
    """Remove a collection: its pictures, labels and corrections, its head and its index. It is asked twice.

    Example: `fashion16 remove my-shop`
    """
    workspace = Workspace()
    if not yes and name in manage.names(workspace):  # else manage.remove says what is wrong
        with workspace.collection(name).catalogue() as catalogue:
            what = f"{catalogue.count():,} pictures and {catalogue.revision():,} corrections"
        typer.confirm(f"Remove “{name}” with {what}?", abort=True)
        if typer.prompt("This cannot be undone. Write its name to remove it") != name:
            raise typer.Abort
    manage.remove(workspace.collection(name))
    console.print(f"{name} is removed")


def pack(
    name: CollectionArgument = DEFAULT_COLLECTION,
    size: Annotated[int, typer.Option(help="Pixels a side of the pictures in it, at most.", min=32, max=1024)] = 320,
    to: Annotated[
        Path | None, typer.Option(help="The folder to write; packs/NAME unless given.", metavar="FOLDER")
    ] = None,
) -> None:
    """Pack a collection into a folder that can be committed and opens by itself where the app is served.

    Example: `fashion16 pack my-shop --size 320`
    """
    with progress_bar("Packing", rate=True) as progress:
        folder = pack_collection(Workspace().collection(name), size, to, progress)
    n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    console.print(f"{name}: {folder}, {n_bytes / 2**20:,.1f} MB", highlight=False)


def _print_report(name: str, report: ImportReport) -> None:
    parts = [f"{report.added:,} added", f"{report.unchanged:,} there already", f"{report.n_skipped:,} skipped"]
    if report.relabelled:
        parts.append(f"{report.relabelled:,} came with another label this time; the collection's were kept")
    if report.passed_over:
        parts.append(f"{report.passed_over:,} other files passed over")
    console.print(f"{name}: {', '.join(parts)}", highlight=False)
    for file, reason in report.skipped[:REFUSALS_SHOWN]:
        console.print(f"  {escape(file)}: {escape(reason)}", highlight=False, soft_wrap=True)
    if report.n_skipped > REFUSALS_SHOWN:
        reasons = Counter(reason for _, reason in report.skipped).most_common(3)
        console.print(
            f"  … and {report.n_skipped - REFUSALS_SHOWN:,} more, mostly: "
            + "; ".join(f"{escape(reason)} ({n:,})" for reason, n in reasons),
            highlight=False,
        )


def _print_small_labels(stored: StoredCollection) -> None:
    with stored.catalogue() as catalogue:
        small = {label: n for label, n in catalogue.label_counts().items() if n < LEARNABLE}
    if small:
        shown = ", ".join(f"{escape(label)} ({n})" for label, n in list(small.items())[:10])
        more = f" and {len(small) - 10:,} more" if len(small) > 10 else ""
        console.print(f"Too small to learn, with fewer than {LEARNABLE} pictures: {shown}{more}", highlight=False)


def doctor(collection: CollectionOption = DEFAULT_COLLECTION) -> None:
    """Check files, versions and digests, and that every item finds itself.

    Example: `fashion16 doctor`
    """
    from fashion16.explore.doctor import examine

    well = True
    with progress_bar("Self-recall") as progress:
        for finding in examine(Workspace().collection(collection), progress):
            well &= finding.well
            mark = "[green]ok[/]     " if finding.well else "[red]problem[/]"
            console.print(f"{mark} {finding.what}: {escape(finding.facts)}", highlight=False)
    if not well:
        raise typer.Exit(1)
