"""The command line: open, one call, print."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer
from rich.markup import escape

from fashion16 import __version__, logs, settings
from fashion16.cli import collections, evaluation, index, labels, search, training
from fashion16.cli.terminal import console, errors, reporter
from fashion16.errors import Fashion16Error

app = typer.Typer(
    help="Visual search and label correction for clothing pictures.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("import")(collections.import_collection)
app.command("collections")(collections.list_collections)
app.command("rename")(collections.rename)
app.command("remove")(collections.remove)
app.command("pack")(collections.pack)
app.command("doctor")(collections.doctor)
app.command("search")(search.search)
app.command("embed")(index.embed)
app.command("index")(index.index)
app.command("tune")(index.tune)
app.command("map")(index.make_map)
app.command("label-issues")(labels.rank_labels)
app.command("refit")(labels.refit)
app.command("write-back")(labels.write_back)
app.command("export")(labels.export)
app.command("import-corrections")(labels.import_corrections)
app.command("evaluate")(evaluation.evaluate)
app.add_typer(training.train, name="train")
app.command("encoder")(training.export_encoder)


@app.callback(invoke_without_command=True)
def begin(
    show: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say on the terminal what is being done.")] = False,
) -> None:
    """Visual search and label correction for clothing pictures."""
    if show:
        console.print(__version__)
        raise typer.Exit
    level = settings.log_level()
    if verbose:
        level = min(level or logging.INFO, logging.INFO)
    if level is not None:
        logs.to_stderr(level)


def main() -> None:
    """Run a command; what goes wrong on purpose is printed as one sentence, with exit status 1."""
    try:
        app()
    except SystemExit as ended:  # how typer ends every command
        reporter.result(ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1)
        raise
    except Fashion16Error as error:
        errors.print(f"[red]{escape(str(error))}[/]", highlight=False, soft_wrap=True)
        reporter.result(1, str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("Stopped.")
        reporter.result(130, "Stopped.")
        sys.exit(130)
