"""All pictures of a collection to embeddings on disk, going on after an interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fashion16.atomic import replacing
from fashion16.encoder import Encoder, encode_all
from fashion16.errors import WorkspaceError
from fashion16.importers import Progress

CHUNK = 1024  # pictures after which an interrupted run can go on


def embed_pictures(
    pictures: npt.NDArray[np.uint8], encoder: Encoder, path: Path, progress: Progress | None = None
) -> None:
    """Write the embeddings of pictures (n, h, w) or (n, h, w, 3) to `path`, float32, one row a picture.

    What is done lies beside `path` until all is; the same call goes on from there.

    Raises:
        WorkspaceError: the folder may not be written, or the disk is full.
    """
    side = encoder.card.side_for(*pictures.shape[1:3])
    partial, state = path.with_suffix(".partial"), path.with_suffix(".json")
    n = len(pictures)
    try:
        rows, done = _unfinished(partial, state, n)
        for start in range(done, n, CHUNK):
            block = encode_all(encoder, pictures[start : start + CHUNK], side)
            if rows is None:
                rows = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=(n, block.shape[1]))
            rows[start : start + len(block)] = block
            rows.flush()
            with replacing(state) as beside:
                beside.write_text(json.dumps({"done": start + len(block)}))
            if progress:
                progress(start + len(block), n)
        partial.replace(path)
        state.unlink(missing_ok=True)
    except OSError as error:
        raise WorkspaceError(
            f"{path} could not be written ({error.strerror}). Make room on the disk, then run the same "
            "command again: it goes on where it was.",
            path,
        ) from error


def _unfinished(partial: Path, state: Path, n: int) -> tuple[np.memmap[Any, Any] | None, int]:
    """The n rows of an interrupted run and how many are done; None and 0 where there are none that fit."""
    try:
        done = int(json.loads(state.read_text())["done"])
        rows = np.lib.format.open_memmap(partial, mode="r+")
    except (OSError, ValueError, KeyError, TypeError):
        return None, 0
    return (rows, done) if len(rows) == n >= done else (None, 0)
