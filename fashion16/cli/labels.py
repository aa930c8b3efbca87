"""The commands that rank, export and write back labels, and refit the head."""

from __future__ import annotations

import getpass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fashion16.cli.options import CollectionArgument
from fashion16.cli.terminal import console, progress_bar
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.errors import SearchError
from fashion16.labels import correction_import, exports, refitting
from fashion16.labels import issues as suspicion
from fashion16.labels import write_back as writing
from fashion16.labels.refitting import Measured

DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would be done.")]
SHOWN = 20


class What(StrEnum):
    """What can be exported."""

    corrections = "corrections"
    labels = "labels"
    excluded = "excluded"


WRITERS = {
    (What.corrections, ".csv"): exports.corrections_csv,
    (What.corrections, ".jsonl"): exports.corrections_jsonl,
    (What.labels, ".csv"): exports.labels_csv,
    (What.labels, ".parquet"): exports.labels_parquet,
    (What.excluded, ".csv"): exports.excluded_csv,
}


def rank_labels(name: CollectionArgument = DEFAULT_COLLECTION) -> None:
    """Rank a collection's labels by suspicion, for the Correct labels page and for the list it prints.

    Example: `fashion16 label-issues my-shop`
    """
    stored = Workspace().collection(name)
    with progress_bar("Ranking") as progress:
        issues = suspicion.rank(stored, progress)
    table = Table("id", "label", "suggested", "probability", "file")
    with stored.catalogue() as catalogue:
        files = {item.id: item.source for item in catalogue.items([int(i) for i in issues.ids[:SHOWN]])}
    for row in range(min(SHOWN, len(issues.ids))):
        item_id = int(issues.ids[row])
        table.add_row(
            str(item_id),
            escape(str(issues.given[row])),
            escape(str(issues.suggested[row])),
            f"{issues.p_suggested[row]:.1%}",
            escape(files.get(item_id, "")),
        )
    console.print(table)


def refit(
    name: CollectionArgument = DEFAULT_COLLECTION,
    swap: Annotated[bool, typer.Option("--swap", help="Use it at once.")] = False,
) -> None:
    """Refit the head on today's labels, beside the present one, and compare the two.

    Example: `fashion16 refit my-shop --swap`
    """
    stored = Workspace().collection(name)
    with progress_bar("Encoding", rate=True) as progress:
        made = refitting.refit(stored, progress)
    table = Table("head", "labels at revision", "accuracy, validation split", "95 % interval", "sample")
    for which, measured in (("present", made.before), ("candidate", made.after)):
        table.add_row(which, *_figures(measured))
    console.print(table)
    if made.note:
        console.print(made.note, highlight=False)
    if swap:
        refitting.swap(stored)
        console.print(f"{name}: the candidate is the head now")
    else:
        console.print(f"Use it with: fashion16 refit {name} --swap, or on the Correct labels page", highlight=False)


def write_back(name: CollectionArgument = DEFAULT_COLLECTION, dry_run: DryRun = False) -> None:
    """Write corrected labels back to the data set that was imported; old files are kept beside the new ones.

    Example: `fashion16 write-back my-shop --dry-run`
    """
    for done in writing.write_back(Workspace().collection(name), dry_run=dry_run):
        console.print(escape(writing.words(done, dry_run)), highlight=False, soft_wrap=True)


def export(
    what: Annotated[What, typer.Argument(help="corrections, labels or excluded.")],
    path: Annotated[Path, typer.Argument(help="The file; .csv, .jsonl or .parquet says which kind.", metavar="FILE")],
    name: Annotated[str, typer.Option("--collection", "-c", help="The collection's name.", metavar="NAME")] = (
        DEFAULT_COLLECTION
    ),
) -> None:
    """Export the history of corrections, all labels, or what was excluded.

    Example: `fashion16 export corrections corrections.csv -c my-shop`
    """
    write = WRITERS.get((what, path.suffix.lower()))
    if write is None:
        kinds = ", ".join(suffix for kind, suffix in WRITERS if kind is what)
        raise SearchError(f"{what} can be written to files that end in {kinds}, not in “{path.suffix}”.")
    with Workspace().collection(name).catalogue() as catalogue:
        console.print(f"{name}: {write(catalogue, path):,} rows in {path}", highlight=False)


def import_corrections(
    path: Annotated[Path, typer.Argument(help="An export of corrections, CSV or JSONL.", metavar="FILE")],
    name: Annotated[str, typer.Option("--collection", "-c", help="The collection's name.", metavar="NAME")] = (
        DEFAULT_COLLECTION
    ),
    dry_run: DryRun = False,
) -> None:
    """Make somebody else's corrections here; what was decided otherwise here stays, and is listed.

    Example: `fashion16 import-corrections corrections.csv -c my-shop --dry-run`
    """
    report = correction_import.import_corrections(
        Workspace().collection(name), path, getpass.getuser(), dry_run=dry_run
    )
    for line in report.lines():
        console.print(escape(line), highlight=False, soft_wrap=True)


def _figures(measured: Measured | None) -> tuple[str, str, str, str]:
    if measured is None:
        return "none", "", "", ""
    revision, accuracy = str(measured.label_revision), measured.accuracy
    if accuracy is None:
        return revision, "", "", ""
    return revision, f"{accuracy.value:.4f}", f"{accuracy.low:.4f} to {accuracy.high:.4f}", f"{accuracy.n:,}"
