"""The two files that say what a pack is: its card, and its catalogue as a table.

catalogue.csv is read by machines, so it says exactly what the catalogue says: a label that begins like a formula is
not changed, and a spreadsheet that opens the file may compute it. An empty cell is none at all; a text that is
empty or begins with a backslash has one backslash more. Everything in it is checked, for a pack may come from
anywhere.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fashion16.catalogue.rows import Item
from fashion16.errors import DamagedDataError, DataError
from fashion16.files.atomic import replacing

FORMAT, FORMAT_VERSION = "fashion16-pack", 1
CARD, TABLE = "pack.json", "catalogue.csv"
COLUMNS = (
    "id",
    "file",
    "source",
    "label",
    "original_label",
    "split",
    "status",
    "sha256",
    "width",
    "height",
    "fetched_at",
    "version",
    "decided",
)
OLDER_COLUMNS = COLUMNS[:-1]  # of packs from before an item could be decided
NUMBERS = frozenset({"id", "width", "height", "version", "decided"})
MAY_BE_NONE = frozenset({"label", "original_label", "fetched_at"})
FILE = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})\.[a-z]{3,4}")
MAX_NUMBER = 2**31 - 1  # of a database's integer


@dataclass(frozen=True)
class PackCard:
    """What pack.json says of the folder it lies in.

    Attributes:
        name: of the collection when it was packed; the folder's own name is what it is opened by.
        items, active: rows of the catalogue, and those of them that are not excluded.
        label_revision: of the catalogue that was packed; the packed one begins at 0 again.
        size: pixels a side that its pictures have at most.
        packed_at: ISO 8601, UTC.
    """

    name: str
    encoder_digest: str
    items: int
    active: int
    label_revision: int
    size: int
    packed_at: str
    format: str = FORMAT
    format_version: int = FORMAT_VERSION

    @classmethod
    def read(cls, path: Path) -> PackCard:
        """The card in a JSON file.

        Raises:
            DamagedDataError: it is not there, no card, or of a newer version.
        """
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["format"] != FORMAT:
                raise ValueError("it is something else")
            if int(facts["format_version"]) > FORMAT_VERSION:
                raise DamagedDataError(f"{path} was written by a newer Fashion-16. Update Fashion-16.", path)
            card = cls(**facts)
            if type(card.items) is not int or type(card.name) is not str:
                raise ValueError("its values are of the wrong kind")
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise DamagedDataError(
                f"{path} is not the card of a pack ({error}). Fetch the pack again.", path
            ) from error
        return card

    def write(self, path: Path) -> None:
        """Write the card as JSON.

        Raises:
            WorkspaceError: the folder may not be written.
        """
        with replacing(path) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(path: Path, items: Sequence[Item], name: str) -> None:
    """Write catalogue.csv of the collection called `name`, and read it back, as an unpacking will.

    Raises:
        DataError: its catalogue would not come back as it is.
        WorkspaceError: the folder may not be written, or the disk is full.
    """
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows([_cell(getattr(item, column)) for column in COLUMNS] for item in items)
    try:
        same = _read_table(path) == items
    except ValueError as error:
        raise DataError(f"The catalogue of “{name}” cannot be packed ({error}).") from error
    if not same:
        raise DataError(f"The catalogue of “{name}” cannot be packed: it would not come back as it is.")


def read_pack(folder: Path) -> list[Item]:
    """The items of the pack in a folder.

    Raises:
        DamagedDataError: it is not as it was written.
    """
    card, path = PackCard.read(folder / CARD), folder / TABLE
    if links := [found for found in folder.rglob("*") if found.is_symlink()]:
        raise DamagedDataError(f"{links[0]} is a link, and a pack has none. Fetch the pack again.", links[0])
    try:
        items = _read_table(path)
        if len(items) != card.items:
            raise ValueError(f"it has {len(items):,} rows instead of {card.items:,}")
    except (OSError, ValueError) as error:
        raise DamagedDataError(f"{path} is damaged ({error}). Fetch the pack again.", path) from error
    return items


def _read_table(path: Path) -> list[Item]:
    """The items in catalogue.csv; raises ValueError where one of them could not have been written there."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            header = tuple(next(rows, []))
            if header not in (COLUMNS, OLDER_COLUMNS):
                raise ValueError(f"its columns are {', '.join(header)[:200]} instead of {', '.join(COLUMNS)}")
            items = [_item(row, number, header) for number, row in enumerate(rows, start=1)]
        except csv.Error as error:
            raise ValueError(str(error)) from error
    if len({(item.source, item.file) for item in items}) != len(items):
        raise ValueError("a picture is in it twice under the same source")
    return items


def _item(row: list[str], number: int, columns: tuple[str, ...]) -> Item:
    if len(row) != len(columns):
        raise ValueError(f"row {number} has {len(row)} cells instead of {len(columns)}")
    cells = {"decided": "0", **dict(zip(columns, [_text(cell) for cell in row], strict=True))}
    texts = {column: cell for column, cell in cells.items() if column not in NUMBERS}
    numbers = {column: _number(cells[column]) for column in NUMBERS}
    file = FILE.fullmatch(texts["file"] or "")
    # a name that leads out of the folder would show its visitors any picture of the machine
    if not file or file[2] != texts["sha256"] or not (numbers["width"] and numbers["height"]):
        raise ValueError(f"row {number} names no stored picture")
    # an item's embedding is found by its id
    if numbers["id"] != number:
        raise ValueError(f"row {number} has the id {numbers['id']}")
    if (decided := numbers.pop("decided")) > 1:
        raise ValueError(f"row {number} is decided {decided} times")
    if missing := [column for column, cell in texts.items() if cell is None and column not in MAY_BE_NONE]:
        raise ValueError(f"row {number} has no {missing[0]}")
    return Item(position=None, decided=bool(decided), **texts, **numbers)  # type: ignore[arg-type]


def _cell(value: str | int | None) -> str:
    if value is None:
        return ""
    text = str(int(value) if isinstance(value, bool) else value)
    return "\\" + text if text == "" or text[0] == "\\" else text


def _text(cell: str) -> str | None:
    return cell.removeprefix("\\") if cell else None


def _number(cell: str | None) -> int:
    if not cell or not re.fullmatch("[0-9]{1,10}", cell) or int(cell) > MAX_NUMBER:
        raise ValueError(f"“{(cell or '')[:20]}” is not a number of a catalogue")
    return int(cell)
