"""The command line: open, one call, print."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from fashion16 import __version__, cli_collections, cli_explore, cli_index, cli_labels, cli_reproduce, cli_train
from fashion16.cli_index import BitsOption, SeedOption
from fashion16.cli_train import CollectionArgument, SplitOption, build_index
from fashion16.clothing import ClothingArchive
from fashion16.encoder import Encoder
from fashion16.errors import Fashion16Error, SearchError
from fashion16.images import check_size, read_photo
from fashion16.index import K
from fashion16.terminal import Steps, bar, console, errors, progress_bar, reporter
from fashion16.workspace import DEFAULT_COLLECTION, Workspace

app = typer.Typer(
    help="Visual search and label correction for clothing pictures.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.add_typer(cli_train.train, name="train")
app.command("encoder")(cli_train.export_encoder)
app.command("import")(cli_collections.import_collection)
app.command("collections")(cli_collections.list_collections)
app.command("rename")(cli_collections.rename)
app.command("remove")(cli_collections.remove)
app.command("pack")(cli_collections.pack)
app.command("tune")(cli_index.tune)
app.command("label-issues")(cli_labels.rank_labels)
app.command("refit")(cli_labels.refit)
app.command("write-back")(cli_labels.write_back)
app.command("export")(cli_labels.export)
app.command("import-corrections")(cli_labels.import_corrections)
app.command("map")(cli_explore.make_map)
app.command("reproduce")(cli_reproduce.reproduce)

CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="The collection's name.", metavar="NAME")]


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Visual search and label correction for clothing pictures."""
    if show:
        console.print(__version__)
        raise typer.Exit


@app.command()
def embed(name: CollectionArgument = DEFAULT_COLLECTION) -> None:
    """Encode all pictures of a collection; goes on where it was interrupted.

    Example: `fashion16 embed fashion-mnist`
    """
    workspace = Workspace()
    encoder = Encoder(workspace.encoder_folder)
    with progress_bar("Encoding", rate=True) as progress:
        path = workspace.embed(name, encoder, progress)
    console.print(f"{name}: embeddings in {path}")


@app.command()
def index(
    name: CollectionArgument = DEFAULT_COLLECTION,
    n_bits: BitsOption = None,
    seed: SeedOption = None,
) -> None:
    """Fit the head and build the hash index with today's labels; pictures new to the encoder are encoded first.

    What was chosen for the index before, here or with `fashion16 tune`, is kept.

    Example: `fashion16 index fashion-mnist --n-bits 256`
    """
    build_index(Workspace(), name, n_bits, seed)


@app.command()
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


@app.command()
def doctor(collection: CollectionOption = DEFAULT_COLLECTION) -> None:
    """Check files, versions and digests, and that every item finds itself.

    Example: `fashion16 doctor`
    """
    from fashion16.doctor import examine

    well = True
    with progress_bar("Self-recall") as progress:
        for finding in examine(Workspace(), collection, progress):
            well &= finding.well
            mark = "[green]ok[/]     " if finding.well else "[red]problem[/]"
            console.print(f"{mark} {finding.what}: {escape(finding.facts)}", highlight=False)
    if not well:
        raise typer.Exit(1)


@app.command()
def evaluate(
    name: CollectionArgument = DEFAULT_COLLECTION,
    quick: Annotated[bool, typer.Option("--quick", help="Small samples, and nothing is written.")] = False,
    photos: Annotated[Path | None, typer.Option(help="The public clothing dataset's archive, a ZIP file.")] = None,
    split: SplitOption = None,
) -> None:
    """Measure how good categories, retrieval and index are, on what is served; with an archive, on photos too.

    Example: `fashion16 evaluate --quick`
    """
    from fashion16 import speed
    from fashion16.quality import evaluate as measure

    with ExitStack() as stack, bar() as shown:
        archive = stack.enter_context(ClothingArchive(photos, split)) if photos else None
        steps = Steps(shown)
        report = measure(Workspace(), name, quick, archive, steps.begin, steps.progress)
    table = Table("figure", "value", "95 % interval", "sample")
    for what, figure in _figures(report):
        table.add_row(
            what, f"{figure['value']:.4f}", f"{figure['low']:.4f} to {figure['high']:.4f}", f"{figure['n']:,}"
        )
    console.print(table)
    error = report["classification"]["calibration"]["expected_error"]
    console.print(f"Expected calibration error: {error:.4f}", highlight=False)
    taken = report["speed"]
    shares = " · ".join(f"{step} {taken[step]['median_ms']:.1f} ms" for step in (*speed.STEPS, speed.TOTAL))
    console.print(f"Medians of {taken['n']} searches on {taken['cores']} cores: {shares}", highlight=False)


def _figures(report: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    yield "accuracy", report["classification"]["accuracy"]
    for category, figures in report["classification"]["categories"].items():
        if figures["recall"]:
            yield f"recall of {category}", figures["recall"]
    yield from _retrieval_figures(report)
    for point in report["index"]:
        probes = "by itself" if point["n_probes"] is None else f"{point['n_probes']} probes"
        yield f"index recall at 20, {point['n_bits']} bits, {probes}", point["recall_at_20"]
    for point in report["few_labels"]:
        yield f"accuracy with {point['per_category']} labels a category", point["accuracy"]
    if photos := report.get("photos"):
        if "ten_classes" in photos:
            yield "photos: accuracy, ten classes", photos["ten_classes"]["accuracy"]
        yield "photos: accuracy of this head", photos["counterparts"]["accuracy"]
        yield "photos: one of its two first guesses", photos["counterparts"]["accuracy_of_two_guesses"]
        yield from _retrieval_figures(photos, "photos: ")


def _retrieval_figures(report: dict[str, Any], of: str = "") -> Iterator[tuple[str, dict[str, float]]]:
    for part in ("retrieval", "instances"):
        for way, figures in report[part].items():
            for figure, value in figures.items():
                yield f"{of}{part}, {way.replace('_', ' ')}: {figure.replace('_', ' ')}", value


def _read_file(path: Path) -> bytes:
    try:
        check_size(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise SearchError(f"{path} cannot be read ({error.strerror}). Check its name.") from error


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


if __name__ == "__main__":
    main()
