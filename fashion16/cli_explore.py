"""The command that makes a collection's map."""

from __future__ import annotations

from fashion16 import collection_map
from fashion16.cli_train import CollectionArgument
from fashion16.terminal import console, progress_bar
from fashion16.workspace import DEFAULT_COLLECTION, Workspace


def make_map(name: CollectionArgument = DEFAULT_COLLECTION) -> None:
    """Make the t-SNE map of a collection, for the Index explorer page: at most 20,000 pictures, in a minute or two.

    Example: `fashion16 map fashion-mnist`
    """
    workspace = Workspace()
    with progress_bar("Drawing the map") as progress:
        made = collection_map.make(workspace, name, progress)
    console.print(f"{name}: {len(made):,} pictures in {workspace.map_file(name)}", highlight=False, soft_wrap=True)
