"""VGG-16 with an embedding, as a Keras graph, and its export to LiteRT.

Needs TensorFlow (requirements-train.txt). Serving does not import this module: see `search/encoder.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import layers, ops

from fashion16 import settings
from fashion16.errors import EncoderError
from fashion16.files import sealed
from fashion16.files.sealed import Seal
from fashion16.types import Floats

# filters and convolutions of each block: configuration D, table 1 of Simonyan and Zisserman,
# "Very deep convolutional networks for large-scale image recognition", ICLR 2015
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
DIMENSIONS = 256
POOLED = "pooled"
EMBEDDING = "embedding"
CLASSES = "classes"
WEIGHT_NAMES = ("kernel", "bias")
FORMAT = "fashion16-weights"
FORMAT_VERSION = 1
FEATURE_SCALE = 512**0.5  # a pooled part of unit length has entries of about 1 / this


@keras.saving.register_keras_serializable("fashion16")
class ImageNetPreprocessing(layers.Layer):
    """RGB in [0, 255] to what VGG-16's weights were trained on: BGR with ImageNet's mean removed."""

    def call(self, images: Any) -> Any:
        """Pictures (n, h, w, 3), the same shape out."""
        return ops.flip(images, axis=-1) - ops.cast(IMAGENET_MEAN_BGR, images.dtype)


def build(dimensions: int = DIMENSIONS) -> keras.Model:
    """VGG-16's thirteen convolutions, pooled and projected: (n, h, w, 3) in [0, 255] to (n, d), unit length.

    Three poolings, each brought to unit length so that none outweighs the others: the average of
    block4_conv3, which keeps texture and cut; the average and the maximum of block5_conv3, which know what
    the garment is. Any h and w from 32 up.
    """
    pictures = keras.Input((None, None, 3), name="pictures")
    x = ImageNetPreprocessing(name="preprocessing")(pictures)
    pooled: list[Any] = []

    def pool(layer: type[layers.Layer], name: str) -> None:
        pooled.append(layers.UnitNormalization(name=f"{name}_unit")(layer(name=name)(x)))  # (n, 512)

    for block, (filters, convs) in enumerate(BLOCKS, start=1):
        for conv in range(1, convs + 1):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv{conv}")(x)
        if block == 4:
            pool(layers.GlobalAveragePooling2D, "block4_average")
        if block < len(BLOCKS):
            x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)  # halves height and width
    pool(layers.GlobalAveragePooling2D, "block5_average")
    pool(layers.GlobalMaxPooling2D, "block5_maximum")
    x = layers.Concatenate(name=POOLED)(pooled)  # (n, 1536)
    x = layers.Dense(dimensions, name=EMBEDDING)(x)
    return keras.Model(pictures, layers.UnitNormalization(name="unit_length")(x), name="fashion16")


def classifier(network: keras.Model, n_classes: int) -> keras.Model:
    """The network with a softmax on its pooled features instead of the embedding: (n, h, w, 3) to (n, n_classes).

    It shares its layers with `network`: training it trains both.
    """
    # a softmax on features of unit length would need weights far larger than an optimizer's steps
    x = layers.Rescaling(FEATURE_SCALE, dtype="float32", name="scaled")(network.get_layer(POOLED).output)
    # in float32 even where the rest computes in bfloat16, whose 8 bits are too few for a loss
    probabilities = layers.Dense(n_classes, activation="softmax", dtype="float32", name=CLASSES)(x)
    return keras.Model(network.input, probabilities, name="fashion16_classifier")


@keras.saving.register_keras_serializable("fashion16")
class OneOfThese(keras.losses.Loss):
    """Cross-entropy where a picture may rightly be put into any of several classes.

    The loss is the negative logarithm of the probability that these classes have together; a small share of it
    asks for probability in every class (label smoothing: Szegedy et al., CVPR 2016).
    """

    def __init__(self, smoothing: float = 0.05, name: str = "one_of_these") -> None:
        super().__init__(name=name)
        self.smoothing = smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Targets (n, c) with a 1 for each class allowed, probabilities (n, c); a loss for each row."""
        tiny = 1e-7
        together = ops.log(ops.sum(y_true * y_pred, axis=-1) + tiny)
        everywhere = ops.mean(ops.log(y_pred + tiny), axis=-1)
        return -(1 - self.smoothing) * together - self.smoothing * everywhere


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 for each row whose most likely class is one of those allowed, else 0."""
    return ops.take_along_axis(y_true, ops.expand_dims(ops.argmax(y_pred, axis=-1), -1), axis=-1)[:, 0]


def pooled_part(network: keras.Model) -> keras.Model:
    """The network up to its pooled features, (n, h, w, 3) to (n, 1536): what the projection is fitted on."""
    return keras.Model(network.input, network.get_layer(POOLED).output, name="fashion16_pooled")


def load_imagenet(network: keras.Model, path: Path | None = None) -> None:
    """Give the convolutions ImageNet's weights.

    From `path`, else from the file that FASHION16_VGG16_WEIGHTS names, else by Keras's own download. The
    weights are the Visual Geometry Group's, Oxford, CC BY 4.0.

    Raises:
        EncoderError: the file is missing or holds other weights, or the download failed.
    """
    source = path or settings.vgg16_weights()
    if source is not None and not source.is_file():
        raise EncoderError(
            f"There are no VGG-16 weights at {source}. Correct {settings.VGG16_WEIGHTS.variable} or remove it."
        )
    try:
        trained = keras.applications.VGG16(weights=str(source) if source else "imagenet", include_top=False)
    except Exception as error:  # h5py, Keras and urllib each raise their own, down to a bare Exception
        raise EncoderError(
            f"VGG-16's ImageNet weights could not be loaded ({error}). Download "
            f"vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 and name it in {settings.VGG16_WEIGHTS.variable}."
        ) from error
    for layer in trained.layers:
        if layer.weights:
            network.get_layer(layer.name).set_weights(layer.get_weights())


def write_weights(network: keras.Model, path: Path) -> None:
    """Write all weights as float16, a dataset per layer and weight: half the size, and no accuracy is lost.

    Raises:
        WorkspaceError: the folder may not be written, or the disk is full.
    """
    with sealed.writing(path, FORMAT, FORMAT_VERSION) as file:
        for layer in network.layers:
            for name, value in zip(WEIGHT_NAMES, layer.get_weights(), strict=False):
                file[f"{layer.name}/{name}"] = value.astype(np.float16)


def read_weights(network: keras.Model, path: Path) -> None:
    """Give the network the weights that `write_weights` wrote.

    Raises:
        EncoderError: the file is missing, damaged, or holds another network's weights.
    """
    restore = "Restore it from the repository, or train again."
    if not path.is_file():
        raise EncoderError(f"There are no weights at {path}. {restore}")
    if sealed.check(path, FORMAT, FORMAT_VERSION) is not Seal.WHOLE:
        raise EncoderError(f"{path} is damaged, or of a newer Fashion-16. {restore}")
    with h5py.File(path, "r") as file:
        for layer in network.layers:
            wanted = [value.shape for value in layer.get_weights()]
            found = [file.get(f"{layer.name}/{name}") for name in WEIGHT_NAMES[: len(wanted)]]
            if [value.shape if value else None for value in found] != wanted:
                raise EncoderError(f"{path} holds the weights of another network. {restore}")
            layer.set_weights([value[:].astype(np.float32) for value in found])


def set_projection(network: keras.Model, mean: Floats, components: Floats) -> None:
    """Make the embedding a fixed projection of the pooled features: mean (p,), components (d, p)."""
    network.get_layer(EMBEDDING).set_weights([components.T, -components @ mean])


def export(network: keras.Model, path: Path) -> None:
    """Write the network as LiteRT, its weights in 8 bits with a scale per filter (dynamic range)."""
    import tensorflow as tf  # the converter is TensorFlow's; nothing else in this module is

    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    path.write_bytes(converter.convert())
