"""The command that measures a collection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from fashion16.cli.options import CollectionArgument, SplitOption
from fashion16.cli.terminal import Steps, bar, console
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.estimate import Figure
from fashion16.sources.clothing import ClothingArchive

if TYPE_CHECKING:
    from fashion16.evaluation.figures import Evaluation, PhotoFigures


def evaluate(
    name: CollectionArgument = DEFAULT_COLLECTION,
    quick: Annotated[bool, typer.Option("--quick", help="Small samples, and nothing is written.")] = False,
    photos: Annotated[Path | None, typer.Option(help="The public clothing dataset's archive, a ZIP file.")] = None,
    split: SplitOption = None,
) -> None:
    """Measure how good categories, retrieval and index are, on what is served; with an archive, on photos too.

    Example: `fashion16 evaluate --quick`
    """
    from fashion16.evaluation.figures import StepTime
    from fashion16.evaluation.report import evaluate as measure

    with ExitStack() as stack, bar() as shown:
        archive = stack.enter_context(ClothingArchive(photos, split)) if photos else None
        steps = Steps(shown)
        report = measure(Workspace().collection(name), quick, archive, steps.begin, steps.progress)
    table = Table("figure", "value", "95 % interval", "sample")
    for what, figure in _figures(report):
        table.add_row(what, f"{figure.value:.4f}", f"{figure.low:.4f} to {figure.high:.4f}", f"{figure.n:,}")
    console.print(table)
    error = report.classification.calibration.expected_error
    console.print(f"Expected calibration error: {error:.4f}", highlight=False)
    if taken := report.speed:
        times = {name: step for name, step in vars(taken).items() if isinstance(step, StepTime)}
        shares = " · ".join(f"{name} {step.median_ms:.1f} ms" for name, step in times.items())
        console.print(f"Medians of {taken.n} searches on {taken.cores} cores: {shares}", highlight=False)


def _figures(report: Evaluation) -> Iterator[tuple[str, Figure]]:
    yield "accuracy", report.classification.accuracy
    for category, figures in report.classification.categories.items():
        if figures.recall:
            yield f"recall of {category}", figures.recall
    yield from _retrieval_figures(report)
    for point in report.index:
        probes = "by itself" if point.n_probes is None else f"{point.n_probes} probes"
        yield f"index recall at 20, {point.n_bits} bits, {probes}", point.recall_at_20
    for few in report.few_labels:
        yield f"accuracy with {few.per_category} labels a category", few.accuracy
    if photos := report.photos:
        if photos.ten_classes:
            yield "photos: accuracy, ten classes", photos.ten_classes.accuracy
        yield "photos: accuracy of this head", photos.counterparts.accuracy
        yield "photos: one of its two first guesses", photos.counterparts.accuracy_of_two_guesses
        yield from _retrieval_figures(photos, "photos: ")


def _retrieval_figures(report: Evaluation | PhotoFigures, of: str = "") -> Iterator[tuple[str, Figure]]:
    for part, ways in (("retrieval", vars(report.retrieval)), ("instances", vars(report.instances))):
        for way, figures in ways.items():
            for name, figure in vars(figures).items():
                yield f"{of}{part}, {way.replace('_', ' ')}: {name.replace('_', ' ')}", figure
