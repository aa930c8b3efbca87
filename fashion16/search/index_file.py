"""The hash index on disk: one HDF5 group per category, read whole into arrays and closed again.

    user block        the seal of `sealed.py`
    /                 attributes: encoder_digest, side, revision, n_bits, seed, categories, and tunings, what is
                      pinned of a category; older files lack it
    /planes, /mean    the hyperplanes; stored, because another numpy might draw others from the seed
    /<category>/      ids, codes, embeddings, and the point that its hyperplanes go through; attribute: key_bits.
                      Files of version 1 have one point for all categories, /mean; up to version 2 embeddings are
                      int8, each row scaled to its own largest value

Categories and tunings are JSON. A category's name may hold any character, a slash too, so the group's name is the
percent-encoded one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np
import numpy.typing as npt

from fashion16.errors import (
    DamagedIndexError,
    EncoderMismatchError,
    ForeignIndexError,
    IndexFileError,
    MissingIndexError,
    NewerIndexError,
    TuningError,
)
from fashion16.files import sealed
from fashion16.files.sealed import Seal
from fashion16.search.hyperplanes import ROTATION_SEED, RandomHyperplanes
from fashion16.search.index import MAX_N_BITS, N_BITS, SEED, CategoryIndex
from fashion16.search.partition import AUTOMATIC, Partition, Stored, Tuning, to_int16

FORMAT = "fashion16-index"
FORMAT_VERSION = 3
UNREADABLE = (*sealed.UNREADABLE, AttributeError, TuningError)


@dataclass(frozen=True)
class IndexHeader:
    """What the file says of itself.

    Attributes:
        encoder_digest: the encoder whose embeddings these are.
        side: pixels a side at which the pictures were encoded; a query must be encoded at the same.
        revision: the catalogue's revision whose labels the categories are.
        seed: of the hyperplanes.
    """

    encoder_digest: str
    side: int
    revision: int
    seed: int


@dataclass(frozen=True)
class IndexSettings:
    """What can be chosen for an index, and is kept when it is rebuilt.

    Attributes:
        n_bits: bits of a code, a positive multiple of 8.
        seed: of the hyperplanes.
        tunings: what is pinned of a category, by its name.
    """

    n_bits: int = N_BITS
    seed: int = SEED
    tunings: dict[str, Tuning] = field(default_factory=dict)

    def changed(
        self, n_bits: int | None = None, seed: int | None = None, tunings: Mapping[str, Tuning] | None = None
    ) -> IndexSettings:
        """These settings with others in place of some; None keeps, and `Tuning()` pins nothing of a category."""
        pinned = {name: tuning for name, tuning in {**self.tunings, **(tunings or {})}.items() if tuning != AUTOMATIC}
        return IndexSettings(self.n_bits if n_bits is None else n_bits, self.seed if seed is None else seed, pinned)

    def check(self) -> None:
        """Whether an index can be made so.

        Raises:
            TuningError: it cannot; the sentence says what is possible.
        """
        if not 8 <= self.n_bits <= MAX_N_BITS or self.n_bits % 8:
            raise TuningError(
                f"A code can have 8 to {MAX_N_BITS:,} bits, in steps of 8, not {self.n_bits:,}. Choose such a number."
            )
        if not 0 <= self.seed < 2**63:
            raise TuningError(f"A seed is a number from 0 to 2⁶³ - 1, not {self.seed}. Choose such a number.")
        if self.seed == ROTATION_SEED:
            raise TuningError(
                f"The seed {ROTATION_SEED} has turned the embeddings at random, and hyperplanes drawn with it would "
                "turn them back. Choose another seed."
            )
        for category, tuning in self.tunings.items():
            tuning.check(category, self.n_bits)


def write_index(path: Path, index: CategoryIndex, header: IndexHeader) -> None:
    """Write the index beside `path`, then move it over.

    Raises:
        WorkspaceError: the folder may not be written, or the disk is full.
    """
    partitions = index.partitions
    with sealed.writing(path, FORMAT, FORMAT_VERSION) as file:
        file.attrs["encoder_digest"] = header.encoder_digest
        file.attrs["side"] = header.side
        file.attrs["revision"] = header.revision
        file.attrs["seed"] = header.seed
        file.attrs["n_bits"] = index.hyperplanes.n_bits
        file.attrs["categories"] = json.dumps(sorted(partitions))
        file.attrs["tunings"] = json.dumps({name: asdict(tuning) for name, tuning in sorted(index.tunings.items())})
        file["planes"] = index.hyperplanes.planes
        file["mean"] = index.hyperplanes.mean
        for category, partition in sorted(partitions.items()):
            group = file.create_group(_group_name(category))
            group.attrs["key_bits"] = partition.key_bits
            group["ids"] = partition.ids
            group["codes"] = partition.codes
            group["embeddings"] = partition.embeddings
            group["centre"] = partition.hyperplanes.mean


def read_index(path: Path, encoder_digest: str | None = None) -> tuple[CategoryIndex, IndexHeader]:
    """The index in a file, and its header; checked against its seal and the encoder in use.

    Raises:
        MissingIndexError, ForeignIndexError, DamagedIndexError, NewerIndexError, EncoderMismatchError:
            each says what to do.
    """
    _check_seal(path)
    try:
        with h5py.File(path, "r") as file:
            header = IndexHeader(
                str(file.attrs["encoder_digest"]),
                int(file.attrs["side"]),
                int(file.attrs["revision"]),
                int(file.attrs["seed"]),
            )
            hyperplanes = RandomHyperplanes(file["planes"][:], file["mean"][:])
            partitions = {}
            for category in json.loads(file.attrs["categories"]):
                group = file[_group_name(category)]
                centre = group["centre"][:] if "centre" in group else hyperplanes.mean
                partitions[category] = Partition(
                    group["ids"][:],
                    group["codes"][:],
                    _stored(group["embeddings"][:]),
                    int(group.attrs["key_bits"]),
                    hyperplanes.around(centre),
                )
            index = CategoryIndex(hyperplanes, partitions, _tunings(file))
    except UNREADABLE as error:
        raise _damaged(path) from error
    if encoder_digest is not None and header.encoder_digest != encoder_digest:
        raise EncoderMismatchError(
            f"{path} was made with another encoder ({header.encoder_digest[:12]}…) than the one in use "
            f"({encoder_digest[:12]}…). Make it again with: fashion16 index {path.stem}",
            path,
        )
    return index, header


def settings_in(path: Path) -> IndexSettings:
    """What was chosen for the index in a file; the recommended settings where there is none that can be read."""
    try:
        _check_seal(path)
        with h5py.File(path, "r") as file:
            found = IndexSettings(int(file.attrs["n_bits"]), int(file.attrs["seed"]), _tunings(file))
        found.check()
    except (*UNREADABLE, IndexFileError):
        return IndexSettings()
    return found


def _stored(rows: npt.NDArray[Any]) -> Stored:
    if rows.dtype == np.int16:
        return rows
    wide = rows.astype(np.float32)
    return to_int16(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1))


def _tunings(file: h5py.File) -> dict[str, Tuning]:
    # a file that was written before there were any has none
    found = json.loads(file.attrs.get("tunings", "{}"))
    return {str(name): Tuning(**{key: _number(value) for key, value in its.items()}) for name, its in found.items()}


def _number(value: Any) -> int | None:
    if value is not None and type(value) is not int:
        raise TypeError(f"a tuning must be a whole number, received {value!r}")
    return value


def _check_seal(path: Path) -> None:
    if not path.is_file():
        raise MissingIndexError(f"There is no index at {path}. Make one with: fashion16 index {path.stem}", path)
    try:
        seal = sealed.check(path, FORMAT, FORMAT_VERSION)
    except OSError as error:
        raise _damaged(path) from error
    match seal:
        case Seal.FOREIGN:
            raise ForeignIndexError(
                f"{path} is not an index of Fashion-16. Move it away, and make one with: fashion16 index {path.stem}",
                path,
            )
        case Seal.NEWER:
            raise NewerIndexError(
                f"{path} was written by a newer Fashion-16. Update Fashion-16, or make it again with: "
                f"fashion16 index {path.stem}",
                path,
            )
        case Seal.DAMAGED:
            raise _damaged(path)


def _damaged(path: Path) -> DamagedIndexError:
    return DamagedIndexError(
        f"{path} is damaged: it was cut off or altered. Restore it, or make it again with: fashion16 index {path.stem}",
        path,
    )


def _group_name(category: str) -> str:
    # a dot alone is a path of HDF5 too
    return "category " + quote(category, safe=" ")
