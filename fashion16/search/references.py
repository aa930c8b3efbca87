"""Reference embeddings: labelled pictures of many kinds that the encoder was trained on, to fit heads with.

A collection's own pictures are often of one kind. A head fitted on them alone knows nothing of others: one fitted
on Fashion-MNIST's small grey pictures puts photos anywhere. The references show it what the same garments look
like elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from fashion16.errors import EncoderError
from fashion16.files import sealed
from fashion16.files.sealed import Seal
from fashion16.search.garments import allowed
from fashion16.types import Floats

FORMAT = "fashion16-references"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class References:
    """Embeddings (r, d), float32, unit length, and the labels (r,) of the pictures behind them.

    Attributes:
        encoder_digest: the encoder that made the embeddings.
    """

    embeddings: Floats
    labels: npt.NDArray[np.str_]
    encoder_digest: str

    def allowed(self, categories: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Whether each reference may rightly be put into each category, shape (r, c)."""
        return allowed(self.labels, categories)

    def write(self, path: Path) -> None:
        """Write the references beside `path`, as float16, then move them over.

        Raises:
            WorkspaceError: the folder may not be written, or the disk is full.
        """
        names, which = np.unique(self.labels, return_inverse=True)
        with sealed.writing(path, FORMAT, FORMAT_VERSION) as file:
            file.attrs["encoder_digest"] = self.encoder_digest
            file.attrs["labels"] = json.dumps(names.tolist())
            file["label"] = which.astype(np.int32)
            file["embeddings"] = self.embeddings.astype(np.float16)

    @classmethod
    def read(cls, path: Path, encoder_digest: str) -> References | None:
        """The references of this encoder in an HDF5 file; None where there are none, or those of another encoder.

        Raises:
            EncoderError: the file is damaged.
        """
        if not path.is_file():
            return None
        damaged = f"{path} is damaged. Restore it from the repository."
        if sealed.check(path, FORMAT, FORMAT_VERSION) is not Seal.WHOLE:
            raise EncoderError(damaged)
        try:
            with h5py.File(path, "r") as file:
                names = np.array(json.loads(file.attrs["labels"]), dtype=np.str_)
                found = cls(
                    file["embeddings"][:].astype(np.float32),
                    names[file["label"][:]],
                    str(file.attrs["encoder_digest"]),
                )
        except sealed.UNREADABLE as error:
            raise EncoderError(damaged) from error
        return found if found.encoder_digest == encoder_digest else None
