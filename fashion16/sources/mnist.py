"""Data sets in MNIST's format: two files of pictures and labels for training, two for testing.

    <folder>/train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz], t10k-images-…, t10k-labels-…
    <folder>/labels.txt        optional: the name of each label, one a line

LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998, describes the IDX format.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashion16.errors import DamagedDataError, DataError
from fashion16.text import shown
from fashion16.types import Pixels

PARTS = {"train": None, "t10k": "test"}  # what the files are called, and the split of what is in them
# a million pictures of MNIST's size; unpacked, a file of zeros would be a thousand times larger
MAX_BYTES = 2**30
MAX_LABEL = 200  # characters, of a label's name


@dataclass(frozen=True)
class IdxEntry:
    """One picture of such a data set.

    Attributes:
        name: part and row, such as t10k/00017.
        split: test for a picture of the published test set, and for copies of it; else None.
    """

    name: str
    label: str
    split: str | None
    pixels: Pixels

    def read(self) -> bytes:
        """The picture as a PPM file, whose bytes are the same whoever writes them."""
        rows, columns = self.pixels.shape[:2]
        kind = b"P6" if self.pixels.ndim == 3 else b"P5"
        return b"%s %d %d 255\n" % (kind, columns, rows) + self.pixels.tobytes()


@dataclass(frozen=True)
class IdxData:
    """A data set in MNIST's format, in memory."""

    pictures: dict[str, Pixels]
    labels: dict[str, npt.NDArray[np.uint8]]
    names: Sequence[str]

    @classmethod
    def is_in(cls, folder: Path) -> bool:
        """Whether the folder holds training pictures in this format."""
        return folder.is_dir() and _find(folder, "train", "images") is not None

    @classmethod
    def read(cls, folder: Path, names: Sequence[str] = ()) -> IdxData:
        """The data set in `folder`, whose test pictures may be missing.

        Args:
            names: of the labels, where the folder has no labels.txt; else they are called by their numbers.

        Raises:
            DamagedDataError: a file is missing or broken, or pictures and labels are not as many.
        """
        pictures, labels = {}, {}
        for part in PARTS:
            images, numbers = _find(folder, part, "images"), _find(folder, part, "labels")
            if images is None and numbers is None and part != "train":
                continue
            if images is None or numbers is None:
                what = "labels" if numbers is None else "images"
                raise DamagedDataError(f"{folder} has no file {part}-{what}-idx?-ubyte. Put it there.", folder)
            pictures[part], labels[part] = read_idx(images), read_idx(numbers)
            if pictures[part].ndim not in (3, 4) or pictures[part].ndim == 4 and pictures[part].shape[3] != 3:
                raise DamagedDataError(f"{images} holds no pictures: its shape is {pictures[part].shape}.", images)
            if labels[part].shape != pictures[part].shape[:1]:
                raise DamagedDataError(
                    f"{numbers} should hold {len(pictures[part]):,} labels, but has {labels[part].size:,}.", numbers
                )
        return cls(pictures, labels, _names(folder) or names)

    def __len__(self) -> int:
        return sum(len(part) for part in self.pictures.values())

    def __iter__(self) -> Iterator[IdxEntry]:
        """An entry for each picture, in order."""
        tested = {picture.tobytes() for picture in self.pictures.get("t10k", ())}
        for part, pictures in self.pictures.items():
            for row, (picture, number) in enumerate(zip(pictures, self.labels[part], strict=True)):
                label = (self.names[number] if number < len(self.names) else "") or str(number)
                # a copy of a test picture may not be trained on
                split = "test" if picture.tobytes() in tested else PARTS[part]
                yield IdxEntry(f"{part}/{row:05}", label, split, picture)


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The array in an IDX file of bytes, packed by gzip where its name ends so.

    Raises:
        DamagedDataError: it is broken, or unpacks to more than a gigabyte.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedDataError(f"{path} is broken ({error}). Remove it and import again.", path) from error
    if len(data) > MAX_BYTES:
        raise DamagedDataError(f"{path} holds more than {MAX_BYTES / 2**30:.0f} GB. Import it in parts.", path)
    return parse_idx(data, path)


def parse_idx(data: bytes, path: Path) -> npt.NDArray[np.uint8]:
    """The IDX format: two zero bytes, 8 for uint8, the number of axes, then each length as big-endian uint32.

    Raises:
        DamagedDataError: it is not that; the message names `path`.
    """
    if len(data) < 4 or data[:3] != b"\x00\x00\x08" or len(data) < 4 + 4 * data[3]:
        raise DamagedDataError(f"{path} is not an IDX file of bytes.", path)
    axes = data[3]
    shape = [int(length) for length in np.frombuffer(data, ">u4", axes, offset=4)]
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * axes)
    if values.size != (expected := math.prod(shape)):
        raise DamagedDataError(f"{path} should hold {expected:,} values, but has {values.size:,}.", path)
    try:
        return values.reshape(shape)
    except ValueError as error:  # too many axes, or too long ones
        raise DamagedDataError(f"{path} is not an IDX file of bytes.", path) from error


def _find(folder: Path, part: str, what: str) -> Path | None:
    """The file of this part, however many axes its name says it has, packed or not."""
    found = [*folder.glob(f"{part}-{what}-idx?-ubyte"), *folder.glob(f"{part}-{what}-idx?-ubyte.gz")]
    return min(found, default=None)


def _names(folder: Path) -> list[str]:
    """The name of each label, empty where its line is."""
    path = folder / "labels.txt"
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise DamagedDataError(f"{path} cannot be read ({error}).", path) from error
    for line, name in enumerate(names, start=1):
        if len(name) > MAX_LABEL:
            raise DamagedDataError(
                f"{path} has a name of {len(name):,} characters in line {line}; the limit is {MAX_LABEL}.", path
            )
        if "\0" in name:
            raise DamagedDataError(f"{path} has a zero byte in line {line}.", path)
    return names


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
