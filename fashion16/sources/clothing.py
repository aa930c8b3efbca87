"""The public clothing dataset, read from its GitHub archive as a stream of photos and labels.

Alexey Grigorev, "Clothing dataset (full, high resolution)", github.com/alexeygrigorev/clothing-dataset, 2020,
CC0 1.0. Its labels are a crawl's: "Not sure", "Other" and "Skip" say nothing about the garment.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fashion16.errors import DamagedDataError, MissingDataError
from fashion16.images import MAX_BYTES
from fashion16.sources.local_files import ZIP_ERRORS

ARCHIVE_URL = "https://github.com/alexeygrigorev/clothing-dataset/archive/refs/heads/master.zip"
UNLABELLED = frozenset({"Not sure", "Other", "Skip"})
SPLITS = ("train", "validation", "test")
# the ten labels that the published subset (clothing-dataset-small) has
SUBSET = ("Dress", "Hat", "Longsleeve", "Outwear", "Pants", "Shirt", "Shoes", "Shorts", "Skirt", "T-Shirt")


@dataclass(frozen=True)
class ClothingPhoto:
    """One photo of the archive.

    Attributes:
        name: the file's name without folder and ending, unique in the archive.
        label: as published; None where it says nothing about the garment.
        split: train, validation or test.
        in_subset: whether the published ten-class subset has it; its label is then the subset's.
    """

    name: str
    label: str | None
    split: str
    in_subset: bool


class ClothingArchive:
    """The archive, opened for reading. A context manager."""

    def __init__(self, path: Path, split_file: Path | None = None) -> None:
        """Open the archive, and the table (image, label, split) of the published ten-class subset.

        Without the table every photo's split comes from its name.

        Raises:
            MissingDataError: a file is not there.
            DamagedDataError: a file is not what it should be.
        """
        self.path = path
        subset = _read_subset(split_file) if split_file else {}
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError as error:
            raise MissingDataError(
                f"There is no clothing dataset at {path}. Download {ARCHIVE_URL} and name its file."
            ) from error
        except ZIP_ERRORS as error:
            raise DamagedDataError(f"{path} is not a ZIP archive ({error}). Download {ARCHIVE_URL}.", path) from error
        self._members = {
            PurePosixPath(member.filename).stem: member
            for member in self._zip.infolist()
            if member.filename.lower().endswith(".jpg")
        }
        try:
            self.photos = [photo for photo in self._rows(subset) if photo.name in self._members]
        except DamagedDataError:
            self.close()
            raise

    def __enter__(self) -> ClothingArchive:
        """The archive itself."""
        return self

    def __exit__(self, *reason: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def read(self, photo: ClothingPhoto) -> bytes:
        """The photo's file.

        Raises:
            DamagedDataError: it is damaged, or larger than any picture needs to be.
        """
        member = self._members[photo.name]
        if member.file_size > MAX_BYTES:
            raise DamagedDataError(f"{member.filename} in {self.path} is too large to be a photo.", self.path)
        try:
            return self._zip.read(member)
        except ZIP_ERRORS as error:
            raise DamagedDataError(
                f"{member.filename} in {self.path} is damaged ({error}). Download {ARCHIVE_URL} again.", self.path
            ) from error

    def _rows(self, subset: dict[str, tuple[str, str]]) -> Iterator[ClothingPhoto]:
        table = [member for member in self._zip.infolist() if PurePosixPath(member.filename).name == "images.csv"]
        if not table or table[0].file_size > MAX_BYTES:
            raise DamagedDataError(f"{self.path} has no images.csv. Download {ARCHIVE_URL}.", self.path)
        try:
            rows = list(csv.DictReader(io.StringIO(self._zip.read(table[0]).decode())))
            named = {row["image"]: row["label"] for row in rows}
        except (*ZIP_ERRORS, ValueError, KeyError, csv.Error) as error:
            raise DamagedDataError(f"images.csv in {self.path} cannot be read ({error!r}).", self.path) from error
        for name, published in named.items():
            if name in subset:
                yield ClothingPhoto(name, *subset[name], in_subset=True)
                continue
            label = None if published in UNLABELLED else published
            # beside the published subset, photos of its labels may be its test split, which was not published
            # with it: they are held back
            split = "test" if subset and label in SUBSET else _split_by_name(name)
            yield ClothingPhoto(name, label, split, in_subset=False)


def _read_subset(path: Path) -> dict[str, tuple[str, str]]:
    """Label and split of each image in the subset's table."""
    label_of = {label.lower(): label for label in SUBSET}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found = {row["image"]: (label_of[row["label"]], _known(row["split"])) for row in csv.DictReader(file)}
    except FileNotFoundError as error:
        raise MissingDataError(f"There is no table of splits at {path}. Correct its name.") from error
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DamagedDataError(f"{path} is not a table of image, label and split ({error!r}).", path) from error
    if not found:
        # taken for no table, it would open the photos that a table holds back
        raise DamagedDataError(f"{path} is an empty table: it names no image. Correct its name.", path)
    return found


def _known(split: str) -> str:
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}")
    return split


def _split_by_name(name: str) -> str:
    """Eight in ten train, one validation, one test; the same on every machine and for every later archive."""
    tenth = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 10
    return {0: "validation", 1: "test"}.get(tenth, "train")
