"""All pictures of a collection to embeddings on disk, going on after an interruption and with what is new."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from fashion16.collections.stored import StoredCollection
from fashion16.errors import DamagedIndexError, DataError, EncoderMismatchError, MissingIndexError, WorkspaceError
from fashion16.files.atomic import replacing
from fashion16.images import to_network
from fashion16.search.encoder import BATCH, Encoder, EncodesPictures, encode_stream
from fashion16.search.index_file import read_index
from fashion16.types import Floats, Ids, Labels, Pixels, Progress

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


def embed(stored: StoredCollection, encoder: Encoder, progress: Progress | None = None) -> Path:
    """Encode all pictures of the collection that are not encoded yet; an interrupted run goes on where it was.

    Returns the file of embeddings, float32, one row a picture.

    Raises:
        DataError: there are no pictures, or one is missing.
        WorkspaceError: the folder may not be written, or the disk is full.
    """
    side = stored.side(encoder.card)
    path = stored.embeddings_file(encoder.digest, side)
    rows = stored.rows()
    if not len(rows):
        raise DataError(f"“{stored.name}” has no pictures yet. Import some.")
    embed_pictures(rows, side, encoder, path, progress)
    return path


def stored_embeddings(stored: StoredCollection, encoder_digest: str) -> tuple[Ids, Floats, int]:
    """Ids (n,), embeddings (n, d) and the pictures' side, without a pass of the network.

    From the file that `embed` wrote, else from the index, which keeps them in 16 bits a value.

    Raises:
        IndexFileError: neither is there, or the index is damaged or was made with another encoder.
        DataError: the file is damaged.
    """
    card = stored.card
    if stored.has_pictures() and (path := stored.embeddings_file(encoder_digest, side := stored.side(card))).is_file():
        try:
            rows: Floats = np.load(path)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path} is damaged. Remove it, and make it again with: fashion16 index {stored.name}"
            ) from error
        with stored.catalogue() as catalogue:
            today = catalogue.active()
        today = today.of(today.rows < len(rows))
        return today.ids, rows[today.rows], side
    index, header = read_index(stored.index_file, encoder_digest)
    ids = np.sort(np.concatenate([partition.ids for partition in index.partitions.values()]))
    return ids, index.embeddings(ids), header.side


def active_embeddings(stored: StoredCollection, encoder_digest: str) -> tuple[Labels, Floats, int]:
    """The stored embeddings (n, d) beside today's labels, row by row, and the pictures' side.

    Items without an embedding are left out. Raises what `stored_embeddings` raises.
    """
    ids, embeddings, side = stored_embeddings(stored, encoder_digest)
    with stored.catalogue() as catalogue:
        today = catalogue.active()
    _, rows, at = np.intersect1d(ids, today.ids, return_indices=True)
    return today.of(at), embeddings[rows], side


def labelled_embeddings(stored: StoredCollection, encoder_digest: str) -> tuple[Labels, Floats, int]:
    """What `active_embeddings` returns, less the items without a label."""
    today, embeddings, side = active_embeddings(stored, encoder_digest)
    return today.labelled, embeddings[today.labels != ""], side


def encoded(stored: StoredCollection, digest: str, progress: Progress | None) -> tuple[Labels, Floats, int]:
    """All active items, their embeddings (n, d) and their side; those that have none yet are encoded.

    Raises:
        DataError: the collection is not imported.
    """
    try:
        found = active_embeddings(stored, digest)
        with stored.catalogue() as catalogue:
            if len(found[0]) == len(catalogue.active()):
                return found
    except (MissingIndexError, DamagedIndexError, EncoderMismatchError):
        pass  # there is nothing to be had without a pass of the network
    embed(stored, stored.encoder(), progress)
    return active_embeddings(stored, digest)
