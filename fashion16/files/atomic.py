"""A file is either the old one or the new one, whatever happens while it is written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fashion16.errors import WorkspaceError


@contextmanager
def replacing(path: Path, ending: str = ".partial", durable: bool = True) -> Iterator[Path]:
    """A path beside `path` to write to; when the block ends well, it is flushed to disk and moved over `path`.

    When the block fails, what it wrote is removed and `path` is as before.

    Args:
        ending: of the path to write to, for a library that goes by it.
        durable: flush it to disk, which takes a moment; False for what is written often and may be lost.

    Raises:
        WorkspaceError: the folder may not be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # a name of its own, so that two writers cannot write into one file
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=ending, dir=path.parent)
        os.close(handle)
        partial = Path(name)
        try:
            yield partial
            if durable:
                with partial.open("rb") as file:
                    os.fsync(file.fileno())
            partial.chmod(0o644)  # mkstemp's 0600 would hide the file from other users
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise WorkspaceError(
            f"{path} could not be written ({error.strerror or error}). Check that the folder may be written and "
            "that the disk has room.",
            path,
        ) from error
