"""New files of labels for data sets in MNIST's format, as people have changed the labels.

labels.txt                          the new names at its end
train-labels-…, t10k-labels-…       of the same kind as the old ones
excluded.csv                        the excluded pictures, because each has to have a label in the format
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.rows import Item
from fashion16.errors import DataError
from fashion16.files.backup import USE_AN_EXPORT, NewFile
from fashion16.labels.changes import ChangedItems
from fashion16.sources.fashion_mnist import CATEGORIES
from fashion16.sources.label_table_writing import csv_line
from fashion16.sources.mnist import IdxData, IdxEntry, IdxLabels, idx_bytes, label_file, names_bytes

EXCLUDED_TABLE, NAMES = "excluded.csv", "labels.txt"
COLUMNS = csv_line(["file", "label"])
N_TRAINING = 60_000  # of Fashion-MNIST's pictures; those to test with come after them


def mnist_files(folder: Path, changes: ChangedItems) -> Iterator[NewFile | str]:
    """The new files of a data set in `folder`, and sentences about what they cannot hold.

    Raises:
        DataError: it is no such data set any more, or the format cannot hold one of the labels.
    """
    data, excluded, unlabelled = IdxData.read(folder), dict[str, str](), 0

    def label_for(part: str, row: int, label: str) -> str | None:
        nonlocal unlabelled
        name, picture = f"{part}/{row:05}", data.pictures[part][row]
        item = changes.at(name, IdxEntry(name, label, None, picture).read)
        if not item:
            return None
        if item.is_excluded:
            excluded[name] = item.name
        wanted = item.name_for(label)
        unlabelled += wanted == ""
        return wanted or None

    old = IdxLabels(data.labels, data.names)
    new = old.relabelled(label_for)
    if list(new.names) != list(old.names):  # first: without its name, a number would be a label of its own
        names = folder / NAMES
        yield NewFile(names, names_bytes(names.read_bytes() if names.exists() else b"", new.names), 0)
    for part, numbers in new.numbers.items():
        if n := int((numbers != old.numbers[part]).sum()):
            path = label_file(folder, part)
            yield NewFile(path, idx_bytes(numbers, path), n)
    yield from _excluded(folder, excluded)
    if unlabelled:
        yield (
            f"MNIST's format has a label for each picture, so {unlabelled:,} that have none any more keep the old "
            f"one there. {USE_AN_EXPORT}"
        )


def fashion_mnist_files(catalogue: Catalogue, changes: ChangedItems, folder: Path) -> Iterator[NewFile]:
    """The files of labels of Fashion-MNIST for `folder`; those of the package that it comes from stay.

    Raises:
        DataError: the catalogue holds something else, or the format cannot hold one of the labels.
    """
    came = {_position(item): str(item.original_label) for item in catalogue.all_items()}
    if sorted(came) != list(range(len(came))) or not set(came.values()) <= set(CATEGORIES):
        raise DataError(f"The catalogue does not hold Fashion-MNIST as it was published. {USE_AN_EXPORT}")
    numbers = np.array([CATEGORIES.index(came[position]) for position in range(len(came))], np.uint8)
    parts = {"train": numbers[:N_TRAINING], "t10k": numbers[N_TRAINING:]}
    old = IdxLabels({part: part_numbers for part, part_numbers in parts.items() if len(part_numbers)}, CATEGORIES)
    changed = {_position(each.item): each for each in changes}

    def label_for(part: str, row: int, label: str) -> str | None:
        item = changed.get(row + (N_TRAINING if part == "t10k" else 0))
        return item.name_for(label) if item else None

    new = old.relabelled(label_for)
    excluded = {_name(position): each.name for position, each in sorted(changed.items()) if each.is_excluded}
    n_changed = {part: int((new.numbers[part] != old.numbers[part]).sum()) for part in old.numbers}
    if not (any(n_changed.values()) or excluded or folder.exists()):
        return
    yield NewFile(folder / NAMES, names_bytes(b"", new.names), 0)
    for part, n in n_changed.items():
        path = label_file(folder, part)
        yield NewFile(path, idx_bytes(new.numbers[part], path), n)
    yield from _excluded(folder, excluded)


def _excluded(folder: Path, label_of: Mapping[str, str]) -> Iterator[NewFile]:
    """The list of excluded pictures, where there are some, or were at an earlier write-back."""
    path = folder / EXCLUDED_TABLE
    if label_of or (path.exists() and path.read_bytes().startswith(COLUMNS.encode())):
        lines = [COLUMNS, *map(csv_line, label_of.items())]
        yield NewFile(path, "".join(lines).encode(), 0)


def _position(item: Item) -> int:
    """The place of an item of Fashion-MNIST; unpacked from a pack, it has it in its source."""
    if item.position is not None:
        return item.position
    number = item.source.rpartition("/")[2]
    return int(number) if number.isdecimal() else -1


def _name(position: int) -> str:
    part, row = ("train", position) if position < N_TRAINING else ("t10k", position - N_TRAINING)
    return f"{part}/{row:05}"
