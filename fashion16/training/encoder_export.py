"""From trained weights to what is served: the projection, the 8-bit file, and what the 8 bits cost."""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fashion16.errors import DataError
from fashion16.files.atomic import replacing
from fashion16.images import distort, to_network
from fashion16.search.encoder import EncoderCard, LiteNetwork, encode_stream
from fashion16.search.garments import classes_of, share_a_class
from fashion16.search.head import Head
from fashion16.search.references import References
from fashion16.training.fitting import import_keras
from fashion16.training.projection import discriminant_projection
from fashion16.types import Floats, Pixels, Progress

SIDE = 224
SMALL_SIDE = 64
SMALL_PICTURES = 32
SEED = 16
N_REFERENCES = 4_000  # pictures of a kind that heads are fitted with beside a collection's own
FEWEST = 10  # pictures of a class whose mean is taken for the class's


@dataclass(frozen=True)
class Sample:
    """Pictures of one kind, read as they are used, and their labels (n,)."""

    pictures: Iterable[Pixels]
    labels: npt.NDArray[np.str_]


@dataclass(frozen=True)
class Parity:
    """What the served 8-bit network does otherwise than the float one, on pictures it was not trained on.

    Attributes:
        cosine: the mean between both embeddings of a picture; lowest_cosine the worst.
        same_category: share of pictures that one softmax head puts into the same category.
        float_accuracy: the share that it puts right from float embeddings; served_accuracy from the 8-bit ones.
    """

    pictures: int
    cosine: float
    lowest_cosine: float
    same_category: float
    float_accuracy: float
    served_accuracy: float


def export_encoder(
    folder: Path,
    training: Mapping[str, Sample],
    validation: Mapping[str, Sample],
    description: str,
    progress: Progress | None = None,
) -> tuple[EncoderCard, dict[str, Parity]]:
    """Write encoder.tflite, encoder.json, references.h5 and parity.json to `folder`, from its weights.h5.

    The projection is fitted to the training pictures and distorted copies of them, by the features that the
    8-bit network computes.

    Args:
        training: pictures to fit the projection on, by kind.
        validation: pictures of the same kinds to compare the float and the 8-bit network on.
        description: which pictures the training ones are, for the card.

    Raises:
        EncoderError: there are no weights.
        TrainingError: TensorFlow is not installed.
        DataError: fewer pictures of a kind than the embedding has dimensions.
    """
    import_keras()
    from fashion16.training import vgg16

    network = vgg16.build(vgg16.DIMENSIONS)
    pooled = vgg16.pooled_part(network)
    vgg16.read_weights(pooled, folder / "weights.h5")
    card = EncoderCard(
        digest="",  # and the projection's description: known at the end
        dimensions=vgg16.DIMENSIONS,
        side=SIDE,
        small_side=SMALL_SIDE,
        small_pictures=SMALL_PICTURES,
        weights="trained by Fashion-16, from ImageNet's by the Visual Geometry Group, Oxford (CC BY 4.0)",
        projection="",
    )
    with tempfile.TemporaryDirectory() as scratch:
        pooled_file = Path(scratch) / "pooled.tflite"
        vgg16.export(pooled, pooled_file)
        lite = LiteNetwork(pooled_file.read_bytes())
    total = 2 * sum(len(sample.labels) for sample in training.values())
    counted = _Counter(progress, total)
    pairs = {}
    for kind, sample in training.items():
        rows = np.concatenate(list(encode_stream(lite, counted(_with_copies(sample.pictures, card)))))
        pairs[kind] = (rows[0::2], rows[1::2])
        if len(rows) < 2 * vgg16.DIMENSIONS:
            raise DataError(
                f"The projection needs at least {vgg16.DIMENSIONS} pictures of each kind; {kind}: {len(rows) // 2}."
            )
    shifts = _shifts({kind: (pairs[kind][0], training[kind].labels) for kind in training})
    mean, components = discriminant_projection(list(pairs.values()), vgg16.DIMENSIONS, shifts)
    vgg16.set_projection(network, mean, components)
    with replacing(folder / "encoder.tflite") as path:
        vgg16.export(network, path)
        served = path.read_bytes()
    served_network = LiteNetwork(served)
    parity = {}
    embeddings = {}
    for kind, sample in training.items():
        rows = (pairs[kind][0] - mean) @ components.T
        embeddings[kind] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        head = Head.fit(embeddings[kind], sample.labels, "", 0)
        parity[kind] = _compare(network, served_network, head, validation[kind], card)
    card = replace(
        card,
        digest=hashlib.sha256(served).hexdigest(),
        projection=f"linear discriminants of {total // 2:,} pictures and a distorted copy of each: {description}",
    )
    with replacing(folder / "encoder.json") as path:
        card.write(path)
    References(
        np.concatenate([rows[:N_REFERENCES] for rows in embeddings.values()]),
        np.concatenate([sample.labels[:N_REFERENCES] for sample in training.values()]),
        card.digest,
    ).write(folder / "references.h5")
    with replacing(folder / "parity.json") as path:
        path.write_text(json.dumps({kind: asdict(found) for kind, found in parity.items()}, indent=2) + "\n")
    return card, parity


def _shifts(kinds: Mapping[str, tuple[Floats, npt.NDArray[np.str_]]]) -> Floats:
    """What each class's mean in one kind of pictures is away from its mean in another, (s, p)."""
    found = []
    for one, other in itertools.combinations(kinds.values(), 2):
        for label in np.unique(one[1]):
            same = [share_a_class(str(label), str(name)) and len(classes_of(str(name))) == 1 for name in other[1]]
            if sum(same) >= FEWEST:
                found.append(one[0][one[1] == label].mean(axis=0) - other[0][same].mean(axis=0))
    return np.array(found, np.float32)


def _with_copies(pictures: Iterable[Pixels], card: EncoderCard) -> Iterator[Pixels]:
    """Each picture as it is served, and then a distorted copy of it."""
    rng = np.random.default_rng(SEED)
    for picture in pictures:
        side = card.side_for(*picture.shape[:2])
        yield to_network(picture, side)
        yield to_network(distort(picture, rng), side)


def _compare(network: Any, served: LiteNetwork, head: Head, sample: Sample, card: EncoderCard) -> Parity:
    exact_rows: list[Floats] = []
    served_rows: list[Floats] = []
    waiting = [to_network(picture, card.side_for(*picture.shape[:2])) for picture in sample.pictures]
    for start in range(0, len(waiting), 32):
        pictures = np.stack(waiting[start : start + 32])
        exact_rows.append(network.predict_on_batch(pictures.astype(np.float32)))
        served_rows.append(served.encode(pictures))
    exact, rounded = np.concatenate(exact_rows), np.concatenate(served_rows)
    cosines = (exact * rounded).sum(axis=1)
    names = head.predict(exact), head.predict(rounded)
    return Parity(
        pictures=len(cosines),
        cosine=round(float(cosines.mean()), 5),
        lowest_cosine=round(float(cosines.min()), 5),
        same_category=round(float((names[0] == names[1]).mean()), 4),
        float_accuracy=round(float((names[0] == sample.labels).mean()), 4),
        served_accuracy=round(float((names[1] == sample.labels).mean()), 4),
    )


class _Counter:
    """Counts what passes through it, over several streams."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, stream: Iterable[Pixels]) -> Iterator[Pixels]:
        for item in stream:
            yield item
            self.done += 1
            if self.progress and self.done % 16 == 0:
                self.progress(self.done, self.total)
