"""All pictures of a collection to embeddings on disk, going on after an interruption and with what is new."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from fashion16.errors import WorkspaceError
from fashion16.files.atomic import replacing
from fashion16.images import to_network
from fashion16.search.encoder import BATCH, EncodesPictures, encode_stream
from fashion16.types import Pixels, Progress

CHUNK = 256  # pictures after which an interrupted run can go on
AHEAD = 3  # batches that are decoded while the network is busy with one

Rows = np.memmap[Any, Any]


def embed_pictures(
    pictures: Sequence[Pixels], side: int, encoder: EncodesPictures, path: Path, progress: Progress | None = None
) -> None:
    """Write the embeddings of pictures, each (h, w) or (h, w, 3), to `path`, float32, one row a picture.

    Rows that `path` has already stay. What is done lies beside `path` until all is; the same call goes on from
    there. Pictures are decoded in a thread of its own, beside the network.

    Raises:
        WorkspaceError: the folder may not be written, or the disk is full.
        DataError, ImageError: a picture is missing or damaged; what is done stays.
    """
    partial, state = path.with_suffix(".partial"), path.with_suffix(".json")
    n = len(pictures)
    try:
        rows, done = _begun(path, partial, state, n)
        if done == n and rows is not None and not partial.exists():
            return
        saved = done
        for block in encode_stream(encoder, _prepared(pictures, done, side)):
            if rows is None:
                rows = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=(n, block.shape[1]))
            rows[done : done + len(block)] = block
            done += len(block)
            if done - saved >= CHUNK or done == n:
                rows.flush()
                with replacing(state) as beside:
                    beside.write_text(json.dumps({"done": done}))
                saved = done
            if progress:
                progress(done, n)
        partial.replace(path)
        state.unlink(missing_ok=True)
    except OSError as error:
        raise WorkspaceError(
            f"{path} could not be written ({error.strerror}). Make room on the disk, then run the same "
            "command again: it goes on where it was.",
            path,
        ) from error


def _prepared(pictures: Sequence[Pixels], start: int, side: int) -> Iterator[Pixels]:
    """The pictures from `start` on, letterboxed to `side`; some batches are made ahead."""

    def prepare(first: int) -> list[Pixels]:
        last = min(first + BATCH, len(pictures))
        return [to_network(pictures[row], side) for row in range(first, last)]

    waiting: deque[Future[list[Pixels]]] = deque()
    executor = ThreadPoolExecutor(1, "decode")
    try:
        for first in range(start, len(pictures), BATCH):
            waiting.append(executor.submit(prepare, first))
            if len(waiting) > AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


def _begun(path: Path, partial: Path, state: Path, n: int) -> tuple[Rows | None, int]:
    """n rows of which some are done, and how many; None and 0 where there are none that fit.

    Done by an interrupted run; else by a whole one, when there were fewer pictures.
    """
    rows, done = _read(partial, n), 0
    if rows is not None:
        try:
            done = int(json.loads(state.read_text())["done"])
        except (OSError, ValueError, KeyError, TypeError):
            rows = None
        if rows is not None and not 0 <= done <= len(rows):
            rows = None
    if rows is None:
        partial.unlink(missing_ok=True)
        state.unlink(missing_ok=True)  # else it would be believed of the partial file that is begun now
        rows = _read(path, n)
        done = 0 if rows is None else len(rows)
    if rows is None or len(rows) == n:
        return rows, done
    # there are more pictures now than when these rows were made
    with replacing(partial) as beside:
        longer = np.lib.format.open_memmap(beside, mode="w+", dtype=np.float32, shape=(n, rows.shape[1]))
        longer[:done] = rows[:done]
        longer.flush()
    with replacing(state) as beside:
        beside.write_text(json.dumps({"done": done}))
    return np.lib.format.open_memmap(partial, mode="r+"), done


def _read(path: Path, n: int) -> Rows | None:
    """The rows in a file, None where there are none, or more than n."""
    try:
        rows: Rows = np.lib.format.open_memmap(path, mode="r+")
    except (OSError, ValueError):
        return None
    return rows if len(rows) <= n else None
