"""A user's own file is replaced whole, and what lay there is kept beside it."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fashion16.files.atomic import replacing

# the end of each sentence that says why something cannot be written back
USE_AN_EXPORT = "Use an export instead."


@dataclass(frozen=True)
class NewFile:
    """A file as it is to be; `n` labels in it differ from those in the source."""

    path: Path
    data: bytes
    n: int


def replace_keeping(path: Path, data: bytes) -> Path | None:
    """Put `data` in the place of `path`; returns as what the old file is kept beside it, None where there was none.

    Of `labels.csv` that is `labels.before-20261124T120000Z.csv.bak`: were it a table by its ending, the folder would
    have two of them, and could not be imported any more. Killed in between, `path` is the old file or the new one.

    Raises:
        WorkspaceError: the folder may not be written, or the disk is full.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mode, kept = None, None
    else:
        kept = _keep(path)
    with replacing(path) as partial:
        partial.write_bytes(data)
    if mode is not None:  # others shall read it no more and no less than before
        with suppress(OSError):
            path.chmod(mode)
    return kept


def _keep(path: Path) -> Path:
    stem = f"{path.stem}.before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    number = 1
    while True:
        kept = path.with_name(f"{stem}{f'-{number}' if number > 1 else ''}{path.suffix}.bak")
        try:
            os.link(path, kept)  # fails where there is one, so that none is ever lost
            return kept
        except FileExistsError:
            number += 1
        except OSError:  # a file system without links
            if not kept.exists():
                with replacing(kept) as partial:
                    shutil.copy2(path, partial)
                return kept
            number += 1
