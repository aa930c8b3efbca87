"""A collection packed for sharing: a folder that can be committed, and that opens by itself where it is served.

    <folder>/pack.json               what it is: see `PackCard`
    <folder>/catalogue.csv           a row for each item, in order of id: see `pack_files.py`
    <folder>/thumbnails/ab/abcd….jpg as `PictureStore` names them; excluded items have none
    <folder>/head.h5, index.h5       with the labels of catalogue.csv, at revision 0
    <folder>/.gitattributes          so that git leaves every byte as it is

The history of corrections, with the names of those who made them, stays at home.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fashion16.catalogue.rows import Item
from fashion16.collections.opened import Collection
from fashion16.collections.pack_files import CARD, TABLE, PackCard, read_pack, write_table
from fashion16.collections.pictures import THUMBNAIL_SIDE, PictureStore, file_name, thumbnail_name
from fashion16.collections.stored import StoredCollection
from fashion16.errors import (
    DamagedIndexError,
    DataError,
    EncoderMismatchError,
    HeadError,
    ImageError,
    IndexFileError,
    MissingIndexError,
    WorkspaceError,
)
from fashion16.files.atomic import replacing
from fashion16.images import LOSSLESS_SIDE, decode_thumbnail, encode_jpeg, encode_thumbnail, read_picture
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import read_index, write_index
from fashion16.types import Progress

HEAD, INDEX, ATTRIBUTES = "head.h5", "index.h5", ".gitattributes"
PARTS = frozenset({CARD, TABLE, HEAD, INDEX, ATTRIBUTES, "thumbnails"})
SMALLEST, LARGEST = 32, 1024


def pack(
    stored: StoredCollection,
    size: int = THUMBNAIL_SIDE,
    to: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Pack the collection with today's labels; returns the folder, which is written whole or not at all.

    Args:
        size: pixels a side of its pictures, 32 to 1,024; above 320 only where the pictures are kept as they came.
        to: the folder, instead of packs/NAME. A pack that lies there is replaced.

    Raises:
        DataError: a picture is missing or not indexed yet, or the size is none.
        WorkspaceError: the folder holds something else or may not be written, or the disk is full.
        BusyError: an import of the collection runs.
        Fashion16Error: the collection cannot be opened; see `Collection.open`.
    """
    if not SMALLEST <= size <= LARGEST:
        raise DataError(f"A pack's pictures have {SMALLEST} to {LARGEST:,} pixels a side, received {size:,}.")
    name = stored.name
    target = (to or stored.pack_folder).resolve()
    unpack(stored)
    if not stored.is_imported():
        raise DataError(f"“{name}” has no pictures yet. Import some.")
    with stored.lock(), closing(Collection.open(stored)) as opened:
        revision = opened.catalogue.revision()
        as_stored = {item.id: item for item in opened.catalogue.all_items()}
        items = [_as_file(item, opened) for item in as_stored.values()]
        active = [item for item in items if item.status == "active"]
        # opening applied the corrections; these are those that came between that and reading the items
        index, head = opened.searcher.index, opened.searcher.head
        _move_to_labels(index, active, name)
        _, header = read_index(stored.index_file)
        store = stored.store()

        def encoded(item: Item) -> bytes:
            if as_stored[item.id].position is None:
                return _thumbnail(store, item, size)
            return encode_thumbnail(opened.picture_of(as_stored[item.id]), size)

        with _replacing_folder(target) as folder:
            write_table(folder / TABLE, items, name)
            _write_thumbnails(folder / "thumbnails", active, encoded, progress)
            replace(head, label_revision=0).write(folder / HEAD)
            write_index(folder / INDEX, index, replace(header, revision=0))
            (folder / ATTRIBUTES).write_text("* -text\n")
            now = datetime.now(UTC).isoformat(timespec="seconds")
            card = PackCard(name, head.encoder_digest, len(items), len(active), revision, size, now)
            card.write(folder / CARD)
    return target


def unpack(stored: StoredCollection, progress: Progress | None = None) -> int:
    """Fill an empty collection from its pack, and put back a head and an index that are missing or don't fit.

    Returns how many items it has restored: 0 where there is no pack, and where the collection has items already.
    Cheap where there is nothing to do, so it may be called before each opening.

    Raises:
        DamagedDataError: the pack is not as it was written, or a newer Fashion-16 wrote it; nothing is changed.
        WorkspaceError: the folders may not be written, or the disk is full.
        CatalogueError: the database cannot be used.
        EncoderError: there is no encoder.
    """
    folder = stored.pack_folder
    # what was packed from an array is opened from it where it is still there
    if not (folder / CARD).is_file() or stored.pictures_file.is_file():
        return 0
    digest = stored.card.digest
    head, index = stored.head_file, stored.index_file
    with stored.catalogue() as catalogue:
        n = catalogue.count()
        if n and _head_fits(head, digest) and _index_fits(index, digest, n) is not False:
            return 0
        items = read_pack(folder)
        if n and not {(i.id, i.file, i.width, i.height) for i in items} <= set(catalogue.files()):
            return 0  # other pictures than the pack's, for which its index would be wrong
        # the catalogue last: where it is filled, everything is there
        _put(folder / HEAD, head, lambda path: _head_fits(path, digest), not n)
        _put(folder / INDEX, index, lambda path: _index_fits(path, digest, n or len(items)), not n)
        return catalogue.restore(_reported(items, progress))


def _as_file(item: Item, opened: Collection) -> Item:
    """The item as one whose picture is a file, as which it is unpacked."""
    if item.position is None:
        return item
    height, width = opened.picture_of(item).shape[:2]
    # in an array a data set's name alone is the source; twice the same picture then differs by its place only
    return replace(
        item,
        position=None,
        file=file_name(item.sha256, ".png"),
        width=width,
        height=height,
        source=f"{item.source}/{item.position}",
    )


def _move_to_labels(index: CategoryIndex, active: list[Item], name: str) -> None:
    """Leave the active items alone in the index, each in the category of its label."""
    lies_in = {int(i): category for category, part in index.partitions.items() for i in part.ids}
    if missing := sum(item.id not in lies_in for item in active):
        raise DataError(
            f"Pictures of “{name}” are not in its index yet: {missing:,}. Run first: fashion16 index {name}"
        )
    index.remove(lies_in.keys() - {item.id for item in active})
    moves: dict[str, list[int]] = defaultdict(list)
    for item in active:
        if item.label not in (None, lies_in[item.id]):
            moves[str(item.label)].append(item.id)
    for label, ids in moves.items():
        index.move(ids, label)


def _write_thumbnails(
    folder: Path, items: list[Item], encoded: Callable[[Item], bytes], progress: Progress | None
) -> None:
    folder.mkdir()
    for item in _reported(items, progress):
        path = folder / thumbnail_name(str(item.file), item.width or 0, item.height or 0)
        if not path.exists():  # else it is twice the same picture
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(encoded(item))


def _thumbnail(store: PictureStore, item: Item, size: int) -> bytes:
    """The picture of an item that is a file, of at most `size` pixels a side."""
    file, width, height = str(item.file), item.width or 0, item.height or 0
    if min(size, max(width, height)) > THUMBNAIL_SIDE:
        with suppress(DataError, ImageError):  # it may not be kept as it came
            return encode_thumbnail(read_picture(store.original(file)).pixels, size)
    data = store.thumbnail(file, width, height)
    pixels = decode_thumbnail(data)
    if max(pixels.shape[:2]) <= size:
        return data
    if max(width, height) > LOSSLESS_SIDE >= max(pixels.shape[:2]):
        return encode_jpeg(pixels, size)  # it was made small by an earlier pack, and is named as a JPEG
    return encode_thumbnail(pixels, size)


def _head_fits(path: Path, digest: str) -> bool:
    try:
        return Head.read(path).encoder_digest == digest
    except HeadError:
        return False


def _index_fits(path: Path, digest: str, n: int) -> bool | None:
    """Whether it is an index of at most the n items of a catalogue; None where it is not ours to overwrite."""
    try:
        index, _ = read_index(path, digest)
    except (MissingIndexError, DamagedIndexError, EncoderMismatchError):
        return False
    except IndexFileError:
        return None
    return all(part.ids.min() > 0 and part.ids.max() <= n for part in index.partitions.values() if len(part))


def _put(packed: Path, path: Path, fits: Callable[[Path], bool | None], new: bool) -> None:
    """Copy a file of the pack to its place, where it is of more use than what lies there.

    Args:
        new: whether the catalogue is only now filled, so that what lies there belongs to one that is gone.
    """
    if not packed.is_file():
        return
    there = fits(path)
    # one that does not fit is put where there is none: whoever opens it learns why, and what to do
    if not path.exists() or (there is not None and (new or not there) and fits(packed)):
        with replacing(path) as partial:
            shutil.copyfile(packed, partial)


@contextmanager
def _replacing_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` to fill; when the block ends well, it is moved to where `target` is.

    Raises:
        WorkspaceError: something else than a pack lies there, the folder may not be written, or the disk is full.
    """
    partial, old = (target.with_name(f".{target.name}.pack-{word}") for word in ("partial", "old"))
    try:
        there = {path.name for path in target.iterdir()} if target.exists() else set()
        there -= {name for name in there if name.startswith(".") and name.endswith(".partial")}  # of `replacing`
        if others := sorted(there - PARTS) or (there and CARD not in there and sorted(there)):
            raise WorkspaceError(
                f"{target} holds other things than a pack ({', '.join(others)[:100]}). Name a folder that is new.",
                target,
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        for leftover in (partial, old):  # of one that was killed
            if leftover.exists():
                shutil.rmtree(leftover)
        partial.mkdir()
        try:
            yield partial
            if target.exists():
                target.rename(old)
            partial.rename(target)
        finally:
            for leftover in (partial, old):
                shutil.rmtree(leftover, ignore_errors=True)
    except OSError as error:
        raise WorkspaceError(
            f"{target} could not be written ({error.strerror or error}). Check that the folder may be written and "
            "that the disk has room.",
            target,
        ) from error


def _reported(items: list[Item], progress: Progress | None) -> Iterator[Item]:
    for done, item in enumerate(items, start=1):
        yield item
        if progress and (done % 100 == 0 or done == len(items)):
            progress(done, len(items))
