"""Making an encoder. So far: VGG-16 with ImageNet's weights and a projection fitted to clothing pictures."""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from fashion16.atomic import replacing
from fashion16.encoder import EncoderCard, LiteNetwork, encode_stream
from fashion16.errors import DataError, EncoderError
from fashion16.images import Pixels, to_network
from fashion16.importers import Progress
from fashion16.lsh import Floats

SIDE = 224
# Fashion-MNIST's 28 pixels: 96 a side scored 0.877 with a linear head, 64 scored 0.852 and 160 no better
SMALL_SIDE = 96
SMALL_PICTURES = 32
ROTATION_SEED = 16


def make_imagenet_encoder(
    folder: Path,
    pictures: Iterable[Pixels],
    description: str,
    weights: Path | None = None,
    progress: Progress | None = None,
) -> EncoderCard:
    """Write encoder.tflite and encoder.json to `folder`: ImageNet's VGG-16 and a projection by PCA.

    The principal components are those of the pooled features of `pictures`, computed by the served 8-bit
    network, so that the projection knows the features it will be given.

    Args:
        description: which pictures these are, for the card.
        weights: a file of VGG-16's weights without its top; see `network.load_imagenet`.

    Raises:
        EncoderError: TensorFlow is not installed, or the weights cannot be had.
        DataError: fewer pictures than the embedding has dimensions.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        from fashion16 import network as vgg16
    except ImportError as error:
        raise EncoderError("Making an encoder needs TensorFlow. Run: pip install -r requirements-train.txt") from error
    from sklearn.decomposition import PCA

    network = vgg16.build()
    vgg16.load_imagenet(network, weights)
    card = EncoderCard(
        digest="",  # and the projection's description: known at the end
        dimensions=vgg16.DIMENSIONS,
        side=SIDE,
        small_side=SMALL_SIDE,
        small_pictures=SMALL_PICTURES,
        weights="ImageNet, by the Visual Geometry Group, Oxford (CC BY 4.0)",
        projection="",
    )
    with tempfile.TemporaryDirectory() as scratch:
        pooled_file = Path(scratch) / "pooled.tflite"
        vgg16.export(vgg16.pooled_part(network), pooled_file)
        features = _pooled_features(pooled_file.read_bytes(), card, pictures, progress)
    if len(features) < vgg16.DIMENSIONS:
        raise DataError(f"The projection needs at least {vgg16.DIMENSIONS} pictures, received {len(features)}.")
    pca = PCA(vgg16.DIMENSIONS, svd_solver="covariance_eigh").fit(features)
    # Rotated at random, which changes no cosine, but spreads the variance evenly over the dimensions: the
    # index keeps embeddings in 8 bits, and recall@20 rises from 0.988 to over 0.99.
    rotation, _ = np.linalg.qr(np.random.default_rng(ROTATION_SEED).standard_normal((len(pca.components_),) * 2))
    vgg16.set_projection(network, pca.mean_, rotation @ pca.components_)
    with replacing(folder / "encoder.tflite") as path:
        vgg16.export(network, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    kept = f"{pca.explained_variance_ratio_.sum():.1%} of the variance"
    card = replace(card, digest=digest, projection=f"PCA of {len(features):,} pictures: {description}; {kept}")
    with replacing(folder / "encoder.json") as path:
        card.write(path)
    return card


def _pooled_features(
    network: bytes, card: EncoderCard, pictures: Iterable[Pixels], progress: Progress | None
) -> Floats:
    encoder = LiteNetwork(network)
    blocks = []
    done = 0
    # one batch has one side: small pictures and photos come in groups
    for side, group in itertools.groupby(pictures, key=lambda picture: card.side_for(*picture.shape[:2])):
        for block in encode_stream(encoder, (to_network(picture, side) for picture in group)):
            blocks.append(block)
            done += len(block)
            if progress:
                progress(done, done)
    return np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)
