"""The pictures of a collection as files: each as it came, under the name of its content, with a thumbnail.

    <folder>/pictures/ab/abcd….jpg       as it came; the first two digits make the folder
    <folder>/thumbnails/ab/abcd….jpg     at most 320 pixels a side; .png, without loss, where it has at most 64

A picture is decoded once, when it comes. Everything after, the pages and the network, reads its thumbnail, which
our own program wrote. Two pictures of the same bytes are one file.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashion16.catalogue.rows import Item
from fashion16.errors import DataError, ImageError, WorkspaceError
from fashion16.images import LOSSLESS_SIDE, decode_thumbnail, encode_thumbnail, read_photo, read_picture
from fashion16.types import Pixels

# The network sees 224 pixels of it and a page shows about 300; embeddings of thumbnails have a cosine of 0.998
# with those of the pictures themselves, and of 0.995 at 224 pixels.
THUMBNAIL_SIDE = 320
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp"}
SUFFIXES |= {"TIFF": ".tif", "PPM": ".ppm", "AVIF": ".avif"}
ENDS = (b"\xff\xd9", b"IEND\xaeB`\x82")  # of a JPEG and of a PNG


@dataclass(frozen=True)
class StoredPicture:
    """Where a picture lies in the store, and what it is.

    Attributes:
        file: its name in the store.
        width, height: in pixels, upright.
    """

    file: str
    sha256: str
    width: int
    height: int


class PictureStore:
    """A folder of pictures and thumbnails. Safe to share between threads and processes."""

    def __init__(self, folder: Path, packed: Path | None = None) -> None:
        """The store in `folder`, which is made when something is put there.

        Args:
            packed: where thumbnails of a packed collection lie, looked for when `folder` has none.
        """
        self.folder = folder
        self._thumbnails = [folder / "thumbnails", *([packed / "thumbnails"] if packed else [])]

    def is_there(self) -> bool:
        """Whether anything was ever stored."""
        return any(folder.is_dir() for folder in self._thumbnails)

    def of(self, item: Item) -> Pixels:
        """The picture of an item, no larger than a thumbnail, RGB (h, w, 3).

        Raises:
            DataError: it is missing.
            DamagedPictureError: it is damaged.
        """
        if item.file is None or item.width is None or item.height is None:
            raise _missing(item)
        return self.pixels(item.file, item.width, item.height)

    def large(self, item: Item) -> Pixels:
        """The picture of an item as it came, its longer side at most 1,024; else its thumbnail.

        Raises:
            DataError: both are missing.
            DamagedPictureError: the thumbnail is damaged.
        """
        if item.file is not None:
            with suppress(DataError, ImageError):
                return read_photo(self.original(item.file))
        return self.of(item)

    def put(self, data: bytes) -> StoredPicture:
        """Decode a picture, store it as it came, and its thumbnail. What is stored already stays.

        Raises:
            ImageError: it is no picture that can be used; nothing is stored.
            WorkspaceError: the folder may not be written, or the disk is full.
        """
        picture = read_picture(data)
        sha256 = hashlib.sha256(data).hexdigest()
        stored = StoredPicture(file_name(sha256, SUFFIXES[picture.format]), sha256, picture.width, picture.height)
        self._write(self.folder / "pictures" / stored.file, data)
        # the thumbnail last: where it is, the picture is
        thumbnail = self._thumbnails[0] / thumbnail_name(stored.file, stored.width, stored.height)
        self._write(thumbnail, encode_thumbnail(picture.pixels, THUMBNAIL_SIDE))
        return stored

    def has_original(self, file: str, n_bytes: int) -> bool:
        """Whether the stored picture has `n_bytes`, as it came."""
        with suppress(OSError):
            return (self.folder / "pictures" / file).stat().st_size == n_bytes
        return False

    def has_thumbnail(self, file: str, width: int, height: int) -> bool:
        """Whether the picture's thumbnail is there to its end; a machine that lost its power may leave less."""
        name = thumbnail_name(file, width, height)
        for folder in self._thumbnails:
            with suppress(OSError), (folder / name).open("rb") as stream:
                stream.seek(-max(map(len, ENDS)), os.SEEK_END)
                if stream.read().endswith(ENDS):
                    return True
        return False

    def thumbnail(self, file: str, width: int, height: int) -> bytes:
        """The thumbnail of the picture stored under this name, as an encoded file.

        Raises:
            DataError: it is missing.
        """
        name = thumbnail_name(file, width, height)
        for folder in self._thumbnails:
            with suppress(OSError):
                return (folder / name).read_bytes()
        raise DataError(f"The thumbnail {self._thumbnails[0] / name} is missing. Import the same pictures again.")

    def pixels(self, file: str, width: int, height: int) -> Pixels:
        """The thumbnail's pixels, RGB (h, w, 3).

        Raises:
            DataError: it is missing.
            DamagedPictureError: it is damaged.
        """
        return decode_thumbnail(self.thumbnail(file, width, height))

    def original(self, file: str) -> bytes:
        """The picture as it came.

        Raises:
            DataError: it is not here, as in a packed collection.
        """
        try:
            return (self.folder / "pictures" / file).read_bytes()
        except OSError as error:
            raise DataError(f"The picture {file} is not stored here as it came.") from error

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file whole or not at all. Not flushed to the disk one by one: that would take hours."""
        # a machine that lost its power may leave a file of no length, or of zeros
        with suppress(OSError):
            if path.read_bytes() == data:
                return
        partial = Path(f"{path}.{secrets.token_hex(4)}.partial")
        try:
            try:
                partial.write_bytes(data)
            except FileNotFoundError:  # the first picture of its folder
                path.parent.mkdir(parents=True, exist_ok=True)
                partial.write_bytes(data)
            os.replace(partial, path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise WorkspaceError(
                f"{path} could not be written ({error.strerror or error}). Make room on the disk, then run the "
                "same command again: it goes on where it was.",
                path,
            ) from error


def file_name(sha256: str, suffix: str) -> str:
    """Where a picture with this digest lies below its folder."""
    return f"{sha256[:2]}/{sha256}{suffix}"


def thumbnail_name(file: str, width: int, height: int) -> str:
    """Where the thumbnail of a stored picture of this size lies below its folder."""
    suffix = ".png" if max(width, height) <= LOSSLESS_SIDE else ".jpg"
    return os.path.splitext(file)[0] + suffix


class ArrayPictures:
    """Pictures that came as one array, (n, h, w) or (n, h, w, 3) uint8."""

    def __init__(self, pictures: npt.NDArray[np.uint8]) -> None:
        self._pictures = pictures

    def of(self, item: Item) -> Pixels:
        """The picture of an item, (h, w) or (h, w, 3).

        Raises:
            DataError: it is missing.
        """
        if item.position is None or not 0 <= item.position < len(self._pictures):
            raise _missing(item)
        return np.asarray(self._pictures[item.position])

    large = of


class StoredPictures(Sequence[Pixels]):
    """The thumbnails of a collection's pictures by row, decoded as they are asked for."""

    def __init__(
        self, store: PictureStore, files: Sequence[tuple[str, int, int]], excluded: Container[int] = ()
    ) -> None:
        """`files`: name, width and height of each row; `excluded`: rows that are black where they are missing."""
        self._store, self._files, self._excluded = store, files, excluded

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, row: int) -> Pixels:  # type: ignore[override]
        try:
            return self._store.pixels(*self._files[row])
        except DataError:
            if row not in self._excluded:
                raise
            return np.zeros((1, 1, 3), np.uint8)  # nobody searches for it, but its row is counted


def _missing(item: Item) -> DataError:
    return DataError(f"The picture of item {item.id} is missing. Import the collection again.")
