"""New labels for a data set in MNIST's format: numbers and their names, arrays in and arrays out.

A number keeps its name for ever; a label that has none is given the next free one, and a line in labels.txt.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashion16.errors import DataError
from fashion16.idx_format import MAX_LABEL
from fashion16.label_tables import shown

Numbers = npt.NDArray[np.uint8]
MAX_NAMES = 256  # what a byte can tell apart


@dataclass(frozen=True)
class IdxLabels:
    """The labels of such a data set.

    Attributes:
        numbers: of each part (train, t10k) a row of numbers.
        names: what labels.txt calls them; a number without a name is called by itself.
    """

    numbers: Mapping[str, Numbers]
    names: Sequence[str]

    def relabelled(self, label_for: Callable[[str, int, str], str | None]) -> IdxLabels:
        """The labels that `label_for` gives.

        Args:
            label_for: the label for a part, a row of it, and the label there; None leaves it.

        Raises:
            DataError: the format cannot hold one of the labels.
        """
        used = max((int(part.max()) for part in self.numbers.values() if part.size), default=-1)
        names = [name or str(number) for number, name in enumerate(self.names)]
        names += map(str, range(len(names), used + 1))
        number_of = {name: number for number, name in reversed(list(enumerate(names)))}
        asked = [
            (part, row, label)
            for part, numbers in self.numbers.items()
            for row, number in enumerate(numbers.tolist())
            if (label := label_for(part, row, names[number])) not in (None, names[number])
        ]
        n_named = len(self.names)
        changed = {part: numbers.copy() for part, numbers in self.numbers.items()}
        for part, row, label in asked:
            if label not in number_of:
                for name in _missing(label, len(names)):
                    number_of.setdefault(name, len(names))
                    names.append(name)
                if not (label.isdecimal() and number_of[label] == int(label)):
                    n_named = len(names)
            changed[part][row] = number_of[label]
        kept = [*self.names, *names[len(self.names) : n_named]]
        return IdxLabels(changed, kept)


def _missing(label: str, n_names: int) -> list[str]:
    """The names to add to the `n_names` that there are, so that `label` is one of them."""
    if label.isascii() and label.isdecimal() and str(int(label)) == label and n_names <= int(label) < MAX_NAMES:
        return [str(number) for number in range(n_names, int(label) + 1)]
    if n_names >= MAX_NAMES:
        raise DataError(
            f"MNIST's format has {MAX_NAMES} labels at most, and {shown(label)} would be one more. Merge some labels, "
            "or use an export."
        )
    if label.splitlines() != [label] or label.strip() != label or "\0" in label or len(label) > MAX_LABEL:
        raise DataError(f"labels.txt has a label on each line, and cannot hold {shown(label)}. Use an export.")
    return [label]


def label_file(folder: Path, part: str) -> Path:
    """The file of labels of this part, packed or not."""
    found = [*folder.glob(f"{part}-labels-idx?-ubyte"), *folder.glob(f"{part}-labels-idx?-ubyte.gz")]
    return min(found, default=folder / f"{part}-labels-idx1-ubyte.gz")


def idx_bytes(numbers: Numbers, path: Path) -> bytes:
    """The file of labels at `path`: IDX, packed by gzip where its name ends so."""
    data = b"\x00\x00\x08\x01" + len(numbers).to_bytes(4, "big") + numbers.astype(np.uint8).tobytes()
    return gzip.compress(data, mtime=0) if path.suffix == ".gz" else data


def names_bytes(there: bytes, names: Sequence[str]) -> bytes:
    """labels.txt with these names, whose first lines are `there` already and stay as they are."""
    text = there.decode("utf-8-sig")
    end = "\r\n" if "\r\n" in text else "\n"
    added = "".join(name + end for name in names[len(text.splitlines()) :])
    if added and text and not text.endswith(("\r", "\n")):
        added = end + added
    return there + added.encode()
