"""VGG-16 with an embedding, as a Keras graph, and its export to LiteRT.

Needs TensorFlow (requirements-train.txt). Serving does not import this room: see `encoder.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
from keras import layers, ops

from fashion16.errors import EncoderError
from fashion16.lsh import Floats

WEIGHTS_VARIABLE = "FASHION16_VGG16_WEIGHTS"
# filters and convolutions of each block: configuration D, table 1 of Simonyan and Zisserman,
# "Very deep convolutional networks for large-scale image recognition", ICLR 2015
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
DIMENSIONS = 256
POOLED = "pooled"
EMBEDDING = "embedding"


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
    source = path or (Path(os.environ[WEIGHTS_VARIABLE]) if os.environ.get(WEIGHTS_VARIABLE) else None)
    if source is not None and not source.is_file():
        raise EncoderError(f"There are no VGG-16 weights at {source}. Correct {WEIGHTS_VARIABLE} or remove it.")
    try:
        trained = keras.applications.VGG16(weights=str(source) if source else "imagenet", include_top=False)
    except Exception as error:  # h5py, Keras and urllib each raise their own, down to a bare Exception
        raise EncoderError(
            f"VGG-16's ImageNet weights could not be loaded ({error}). Download "
            f"vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 and name it in {WEIGHTS_VARIABLE}."
        ) from error
    for layer in trained.layers:
        if layer.weights:
            network.get_layer(layer.name).set_weights(layer.get_weights())


def set_projection(network: keras.Model, mean: Floats, components: Floats) -> None:
    """Make the embedding a fixed projection of the pooled features: mean (p,), components (d, p)."""
    network.get_layer(EMBEDDING).set_weights([components.T, -components @ mean])


def export(network: keras.Model, path: Path) -> None:
    """Write the network as LiteRT, its weights in 8 bits with a scale per filter (dynamic range)."""
    import tensorflow as tf  # the converter is TensorFlow's; nothing else in this room is

    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    path.write_bytes(converter.convert())
