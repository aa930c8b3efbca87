"""The commands that train and export networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from fashion16.cli.index import build_visibly
from fashion16.cli.options import CollectionArgument, PhotosOption, SplitOption
from fashion16.cli.terminal import bar, console, errors, progress_bar, reporter
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.sources.clothing import ClothingArchive
from fashion16.training.run_settings import CategorySettings, EncoderSettings

if TYPE_CHECKING:
    from fashion16.training.fitting import Report

train = typer.Typer(help="Train a network; a run that was interrupted goes on.", no_args_is_help=True)


def export_encoder(photos: PhotosOption, split: SplitOption = None) -> None:
    """Make what is served of the trained weights: projection and 8-bit file (needs TensorFlow; some minutes).

    Example: `fashion16 encoder --photos clothing-dataset-master.zip --split clothing-small-split.csv`
    """
    with ClothingArchive(photos, split) as archive:
        _export_encoder(Workspace(), archive)


def _export_encoder(workspace: Workspace, archive: ClothingArchive) -> None:
    from fashion16.training import make_encoder

    with progress_bar("Projection") as progress:
        card, parity = make_encoder.export(workspace, archive, progress)
    console.print(f"Encoder {card.digest[:12]}…: {card.projection}", highlight=False)
    table = Table("8 bits against float", "pictures", "accuracy", "float accuracy", "same category", "cosine", "lowest")
    for kind, found in parity.items():
        table.add_row(
            kind,
            f"{found.pictures:,}",
            f"{found.served_accuracy:.4f}",
            f"{found.float_accuracy:.4f}",
            f"{found.same_category:.4f}",
            f"{found.cosine:.5f}",
            f"{found.lowest_cosine:.5f}",
        )
    console.print(table)


@train.command("category-cnn")
def train_category_cnn(
    name: CollectionArgument = DEFAULT_COLLECTION,
    epochs: Annotated[int, typer.Option(help="Passes over the training pictures.", min=1)] = CategorySettings.epochs,
    seed: Annotated[int, typer.Option(help="Seed of weights and order.")] = CategorySettings.seed,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again, even if a run was interrupted.")] = False,
) -> None:
    """Train the paper's category network (needs TensorFlow; five minutes on two recent cores).

    Example: `fashion16 train category-cnn --epochs 20`
    """
    from fashion16.training.category_training import train_category_cnn as train_network
    from fashion16.training.data import labelled_pictures

    settings = CategorySettings(epochs=epochs, seed=seed)
    workspace = Workspace()
    with _epochs(epochs) as report:
        data = labelled_pictures(workspace.collection(name))
        run = train_network(data, workspace.runs_folder, settings, fresh, report)
    result = run.result
    console.print(
        f"{run.folder.name}: test accuracy {result['test_accuracy']:.4f} on {result['test_pictures']:,} pictures, "
        f"best epoch {result['best_epoch']}, {result['seconds']:.0f} s",
        highlight=False,
    )


@train.command("encoder")
def train_encoder(
    photos: PhotosOption,
    split: SplitOption = None,
    imagenet: Annotated[Path | None, typer.Option(help="VGG-16's weights without its top, as .h5.")] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the small pictures.", min=1)] = EncoderSettings.epochs,
    photo_passes: Annotated[int, typer.Option(help="Passes over the photos in each.", min=1)] = (
        EncoderSettings.photo_passes
    ),
    learning_rate: Annotated[float, typer.Option(help="At its peak.", min=0.0)] = EncoderSettings.learning_rate,
    seed: Annotated[int, typer.Option(help="Seed of order and views.")] = EncoderSettings.seed,
    further: Annotated[bool, typer.Option("--further", help="Begin with the weights trained so far.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again, even if a run was interrupted.")] = False,
) -> None:
    """Train Fashion-16's VGG-16, export it, and index with it (needs TensorFlow; 80 minutes on two recent cores).

    Example: `fashion16 train encoder --photos clothing-dataset-master.zip --split clothing-small-split.csv`
    """
    from fashion16.training import make_encoder

    settings = EncoderSettings(
        epochs=epochs, photo_passes=photo_passes, learning_rate=learning_rate, seed=seed, further=further
    )
    workspace = Workspace()
    with ClothingArchive(photos, split) as archive:
        with progress_bar("Reading photos") as reading:
            data = make_encoder.data(workspace, archive, reading)
        with _epochs(epochs) as report:
            run = make_encoder.train(workspace, data, settings, fresh, imagenet, report)
        result = run.result
        console.print(
            f"{run.folder.name}: validation accuracy {result['validation_accuracy_small']:.4f} of small pictures, "
            f"{result['validation_accuracy_photos']:.4f} of photos, best epoch {result['best_epoch']}, "
            f"{result['seconds']:.0f} s",
            highlight=False,
        )
        _export_encoder(workspace, archive)
    build_visibly(workspace.collection())


@contextmanager
def _epochs(epochs: int) -> Iterator[Report]:
    """A bar that tells epochs and figures; Ctrl-C says how to go on."""
    with bar() as shown_bar:
        task = shown_bar.add_task("Training", total=epochs)

        def report(epoch: int, share: float, figures: dict[str, float]) -> None:
            shown = " ".join(
                f"{key} {figures[key]:.3f}" for key in ("loss", "accuracy", "val_accuracy") if key in figures
            )
            reporter.progress(f"Epoch {epoch + 1} of {epochs}", round(1000 * share), 1000)
            shown_bar.update(task, completed=round(epoch + share, 2), description=f"Epoch {epoch + 1}  {shown}")

        try:
            yield report
        except KeyboardInterrupt:
            errors.print("The same command goes on after the last whole epoch.")
            raise
