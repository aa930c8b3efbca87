"""The hash index on disk: one HDF5 group per category, read whole into arrays and closed again.

    user block        the seal of `sealed.py`
    /                 attributes: encoder_digest, side, revision, n_bits, seed, categories
    /planes, /mean    the hyperplanes; stored, because another numpy might draw others from the seed
    /<category>/      ids, codes, embeddings; attribute: key_bits

A category's name may hold any character, a slash too, so the group's name is the percent-encoded one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import h5py

from fashion16 import sealed
from fashion16.errors import (
    DamagedIndexError,
    EncoderMismatchError,
    ForeignIndexError,
    MissingIndexError,
    NewerIndexError,
)
from fashion16.index import CategoryIndex
from fashion16.lsh import RandomHyperplanes
from fashion16.partition import Partition
from fashion16.sealed import Seal

FORMAT = "fashion16-index"
FORMAT_VERSION = 1


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
        file["planes"] = index.hyperplanes.planes
        file["mean"] = index.hyperplanes.mean
        for category, partition in sorted(partitions.items()):
            group = file.create_group(_group_name(category))
            group.attrs["key_bits"] = partition.key_bits
            group["ids"] = partition.ids
            group["codes"] = partition.codes
            group["embeddings"] = partition.embeddings


def read_index(path: Path, encoder_digest: str | None = None) -> tuple[CategoryIndex, IndexHeader]:
    """The index in a file, and its header; checked against its seal and the encoder in use.

    Raises:
        MissingIndexError, ForeignIndexError, DamagedIndexError, NewerIndexError, EncoderMismatchError:
            each says what to do.
    """
    if not path.is_file():
        raise MissingIndexError(f"There is no index at {path}. Make one with: fashion16 index {path.stem}", path)
    try:
        _check_seal(path)
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
                partitions[category] = Partition(
                    group["ids"][:], group["codes"][:], group["embeddings"][:], int(group.attrs["key_bits"])
                )
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise _damaged(path) from error
    if encoder_digest is not None and header.encoder_digest != encoder_digest:
        raise EncoderMismatchError(
            f"{path} was made with another encoder ({header.encoder_digest[:12]}…) than the one in use "
            f"({encoder_digest[:12]}…). Make it again with: fashion16 index {path.stem}",
            path,
        )
    return CategoryIndex(hyperplanes, partitions), header


def _check_seal(path: Path) -> None:
    match sealed.check(path, FORMAT, FORMAT_VERSION):
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
