"""The paper's experiments: python -m experiments.paper [--quick] [--train]"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from experiments.paper import run
from experiments.paper.page import IN_SHORT, in_short
from fashion16.cli.terminal import Steps, bar, console
from fashion16.collections.workspace import Workspace


def reproduce(
    quick: Annotated[bool, typer.Option("--quick", help="On small samples, in minutes; docs/ is left alone.")] = False,
    train: Annotated[bool, typer.Option("--train", help="Train the category network again first.")] = False,
) -> None:
    """Run the paper's experiments on Fashion-MNIST and write docs/reproduction.md; interrupted, it goes on.

    Example: `make reproduce QUICK=1`
    """
    workspace = Workspace()
    with bar() as shown:
        steps = Steps(shown)
        report = run.reproduce(workspace, quick=quick, train=train, step=steps.begin, progress=steps.progress)
    table = Table(*IN_SHORT)
    for row in in_short(report):
        table.add_row(*row)
    console.print(table)
    for file in run.result_files(workspace, quick):
        console.print(f"Written: {file}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(reproduce)
