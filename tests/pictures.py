"""Small pictures to import, and what an import of them has to leave behind."""

from __future__ import annotations

import atexit
import hashlib
import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fashion16.catalogue.imports import ImportReport
from fashion16.catalogue.rows import Item
from fashion16.collections.importing import Source, import_source, split_of
from fashion16.collections.workspace import Workspace
from fashion16.search.encoder import EncoderCard
from fashion16.search.references import References
from tests.server import REPOSITORY

SHOP = "shop"
ENCODER = REPOSITORY / "models" / "encoder"


def photo(number: int, width: int = 24, height: int = 32, form: str = "PNG", **options: Any) -> bytes:
    """A picture file of a colour pattern of its own."""
    few = np.random.default_rng(number).integers(0, 256, (4, 3, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(few).resize((width, height), Image.Resampling.NEAREST).save(out, form, **options)
    return out.getvalue()


def photos(label: str, numbers: range) -> dict[str, bytes]:
    """A folder's name as label, and a picture for each number."""
    return {f"{label}/{number:03}.png": photo(number) for number in numbers}


def tree(root: Path, files: Mapping[str, bytes | str]) -> Path:
    """These files below `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def link_encoder(folder: Path, small_side: int = 64) -> None:
    """The repository's encoder for photos of 64 pixels a side, with every 16th of its references.

    A photo is encoded and a head fitted in a tenth of the time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in ENCODER.iterdir():
        if path.name not in ("references.h5", "encoder.json"):
            (folder / path.name).symlink_to(path)
    card = EncoderCard.read(ENCODER / "encoder.json")
    replace(card, side=64, small_side=small_side).write(folder / "encoder.json")
    references = References.read(ENCODER / "references.h5", card.digest)
    assert references is not None
    order = np.argsort(references.labels, kind="stable")  # so that every label keeps some
    References(references.embeddings[order][::16], references.labels[order][::16], references.encoder_digest).write(
        folder / "references.h5"
    )


@cache
def own_encoder() -> Path:
    """That encoder in a folder of this process, for pictures that need not resemble the references'."""
    folder = Path(tempfile.mkdtemp(prefix="fashion16-encoder-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link_encoder(folder, small_side=32)
    return folder


def bare_workspace(root: Path, database_url: str | None = None) -> Workspace:
    """A workspace with an encoder and nothing else, as after a clone."""
    (root / "models").mkdir(parents=True)
    (root / "models" / "encoder").symlink_to(own_encoder())
    return Workspace(root, database_url)


def import_from(workspace: Workspace, path: Path, name: str = SHOP, **choices: Any) -> ImportReport:
    return import_source(workspace.collection(name), Source(path, **choices))


def items_of(workspace: Workspace, name: str = SHOP) -> list[Item]:
    """All items, in order of id."""
    with workspace.collection(name).catalogue() as catalogue:
        return catalogue.items(range(1, catalogue.count() + 1))


def labels_of(workspace: Workspace, name: str = SHOP) -> dict[str, str | None]:
    """The label of each source."""
    return {item.source: item.label for item in items_of(workspace, name)}


def assert_whole(workspace: Workspace, items: Sequence[Item], name: str = SHOP) -> None:
    """These items are numbered from 1, their splits follow from their content, and their thumbnails can be read."""
    assert [item.id for item in items] == list(range(1, len(items) + 1))
    for item in items:
        assert item.split == split_of(item.sha256)
        longer = max(item.width or 0, item.height or 0)
        assert max(workspace.collection(name).store().of(item).shape[:2]) == min(longer, 320)


def assert_exactly(workspace: Workspace, expected: Mapping[str, bytes], name: str = SHOP) -> None:
    """Each of these pictures, by its source, is in the collection once, with its files whole, and nothing else is."""
    items = items_of(workspace, name)
    assert sorted(item.source for item in items) == sorted(expected)
    assert_whole(workspace, items, name)
    for item in items:
        assert item.sha256 == hashlib.sha256(expected[item.source]).hexdigest()
        assert workspace.collection(name).store().original(str(item.file)) == expected[item.source]
    # ids without a gap are the rows of the embeddings
    assert len(workspace.collection(name).rows()) == len(expected)
