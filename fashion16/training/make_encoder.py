"""From data sets to a served encoder: which pictures go where, and which step follows which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fashion16.collections.workspace import Workspace
from fashion16.images import read_photo
from fashion16.search.encoder import EncoderCard
from fashion16.sources.clothing import ClothingArchive, ClothingPhoto
from fashion16.training.data import LabelledPictures, labelled_pictures
from fashion16.training.encoder_export import Parity, Sample, export_encoder
from fashion16.training.encoder_training import read_photos, train_encoder
from fashion16.training.fitting import Report
from fashion16.training.run_settings import EncoderSettings
from fashion16.training.runs import Run
from fashion16.types import Pixels, Progress

SMALL_SAMPLE = 10_000  # small pictures that the projection is fitted on
SMALL_CHECK = 2_000  # and that the 8-bit network is compared with the float one on


@dataclass(frozen=True)
class EncoderData:
    """Both kinds of pictures that the encoder is trained on, in memory."""

    small: LabelledPictures
    photos: LabelledPictures


def data(workspace: Workspace, archive: ClothingArchive, progress: Progress | None = None) -> EncoderData:
    """The default collection's pictures and the archive's photos.

    Raises:
        DataError: the collection is not imported, or the archive is damaged.
    """
    return EncoderData(labelled_pictures(workspace.collection()), read_photos(archive, progress=progress))


def train(
    workspace: Workspace,
    data: EncoderData,
    settings: EncoderSettings | None = None,
    fresh: bool = False,
    imagenet: Path | None = None,
    report: Report | None = None,
) -> Run:
    """Train the encoder's weights; see `encoder_training`.

    Raises:
        Fashion16Error: TensorFlow or ImageNet's weights are missing, memory is short, or a label has too few
            pictures.
    """
    return train_encoder(
        data.small, data.photos, workspace.runs_folder, workspace.weights_file, imagenet, settings, fresh, report
    )


def export(
    workspace: Workspace, archive: ClothingArchive, progress: Progress | None = None
) -> tuple[EncoderCard, dict[str, Parity]]:
    """Make the served encoder from the trained weights; see `encoder_export`.

    Its projection is fitted on a fixed sample of the default collection's training pictures and on the
    archive's training photos, and compared with the float network on validation pictures.

    Raises:
        Fashion16Error: weights, data or TensorFlow are missing.
    """
    small = labelled_pictures(workspace.collection())
    photos = {
        split: [photo for photo in archive.photos if photo.label and photo.split == split]
        for split in ("train", "validation")
    }
    return export_encoder(
        workspace.encoder_folder,
        {"small": _small(small, "train", SMALL_SAMPLE), "photos": _photos(archive, photos["train"])},
        {"small": _small(small, "validation", SMALL_CHECK), "photos": _photos(archive, photos["validation"])},
        "Fashion-MNIST and the public clothing dataset, training splits",
        progress,
    )


def _small(pictures: LabelledPictures, split: str, n: int) -> Sample:
    rows = np.flatnonzero(pictures.splits == split)
    rows = np.sort(np.random.default_rng(0).choice(rows, min(n, len(rows)), replace=False))
    return Sample(list(pictures.pictures[rows]), pictures.labels[rows])


def _photos(archive: ClothingArchive, photos: list[ClothingPhoto]) -> Sample:
    def read() -> Iterator[Pixels]:
        for photo in photos:
            yield read_photo(archive.read(photo))

    return Sample(read(), np.array([photo.label for photo in photos]))
