"""HDF5 files with a seal: written whole or not at all, and checked before libhdf5 sees them.

One wrong byte can make libhdf5 crash or never return, and its own checksums leave the attributes out. So the
file's user block, the first 512 bytes that HDF5 leaves to its users, names what the file is, the version of its
format, and the SHA-256 of all that follows.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TypeVar

import h5py

from fashion16.files.atomic import replacing

SEAL_BYTES = 512  # the smallest user block that HDF5 allows
# what h5py, JSON and our own constructors raise about what lies in a file that is sealed
UNREADABLE = (OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError)

T = TypeVar("T")


class Seal(Enum):
    """What the seal of a file says of it."""

    WHOLE = "whole"
    FOREIGN = "foreign"  # another kind of file
    DAMAGED = "damaged"  # cut off or altered after it was written
    NEWER = "newer"  # of a format newer than this version knows


@contextmanager
def writing(path: Path, kind: str, version: int) -> Iterator[h5py.File]:
    """An HDF5 file to fill; when the block ends well it is sealed and moved over `path`.

    Raises:
        WorkspaceError: the folder may not be written, or the disk is full.
    """
    # in memory first: on a full disk libhdf5 fails as it closes the file, and keeps it open
    image = io.BytesIO()
    with h5py.File(image, "w", userblock_size=SEAL_BYTES) as file:
        yield file
    content = image.getbuffer()[SEAL_BYTES:]
    seal = f"{kind} {version} {hashlib.sha256(content).hexdigest()}\n".encode()
    with replacing(path) as partial, partial.open("wb") as disk:
        disk.write(seal.ljust(SEAL_BYTES, b"\0"))
        disk.write(content)


def check(path: Path, kind: str, version: int) -> Seal:
    """Whether the file is of this kind, of this version or an older one, and as it was written."""
    with path.open("rb") as file:
        block = file.read(SEAL_BYTES)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    words = block.rstrip(b"\0").split(b" ")
    if words[0] != kind.encode():
        return Seal.FOREIGN
    if len(block) < SEAL_BYTES or len(words) != 3 or not words[1].isdigit() or not words[2].endswith(b"\n"):
        return Seal.DAMAGED
    if int(words[1]) < 1:  # versions count from 1
        return Seal.DAMAGED
    if int(words[1]) > version:
        return Seal.NEWER
    return Seal.WHOLE if words[2] == f"{digest}\n".encode() else Seal.DAMAGED


def read_or_none(path: Path, kind: str, version: int, read: Callable[[h5py.File], T]) -> T | None:
    """What `read` makes of the file; None where there is none, or none that is whole, of this kind and version.

    For what is made again in a minute: a damaged file is no more of an error than a missing one.
    """
    try:
        if not path.is_file() or check(path, kind, version) is not Seal.WHOLE:
            return None
        with h5py.File(path, "r") as file:
            return read(file)
    except UNREADABLE:
        return None
