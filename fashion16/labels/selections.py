"""Items that somebody picked on one page to look at on another, kept so that a link can name them.

A selection is named after its content: the same items under the same title have the same name, wherever they are
picked. It is a convenience and no truth: the oldest are thrown away, and a link to one of those says so.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fashion16.errors import DataError
from fashion16.files.atomic import replacing
from fashion16.types import Ids

KEPT = 200
NAME = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Selection:
    """Items under a title.

    Attributes:
        title: what they have in common, as the page that they were picked on says it; plain text.
        ids: (n,) int64, each once, in the order in which they are to be looked at.
    """

    title: str
    ids: Ids

    @property
    def name(self) -> str:
        """What a link calls it."""
        return hashlib.sha256(self._content().encode()).hexdigest()[:16]

    def _content(self) -> str:
        return json.dumps({"title": self.title, "ids": self.ids.tolist()})


class Selections:
    """The selections of one collection, a file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, title: str, ids: Iterable[int]) -> Selection:
        """Keep these items, so that a link may name them.

        Raises:
            WorkspaceError: the folder may not be written.
        """
        selection = Selection(title, np.array(list(dict.fromkeys(int(item_id) for item_id in ids)), np.int64))
        with replacing(self._path(selection.name)) as partial:
            partial.write_text(selection._content(), encoding="utf-8")
        kept = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        for path in kept[:-KEPT]:
            path.unlink(missing_ok=True)
        return selection

    def of(self, name: str) -> Selection:
        """The selection of this name.

        Raises:
            DataError: it is not here any more, or never was.
        """
        try:
            if not NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a selection")
            content = json.loads(self._path(name).read_text(encoding="utf-8"))
            return Selection(str(content["title"]), np.array(content["ids"], np.int64).reshape(-1))
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise DataError("The pictures that this link means are not kept any more. Pick them again.") from error

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"
