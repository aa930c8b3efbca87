"""The paper's category network, as a Keras graph: table 1 of Chen, He, Zheng 2019.

Needs TensorFlow or another of Keras's backends (requirements-train.txt). The app serves Fashion-16 itself, VGG-16;
this small network is the one whose training the paper's figure 4 shows.
"""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

SIDE = 28


def build(n_categories: int, mean: npt.NDArray[np.float32]) -> keras.Model:
    """Pictures (n, 28, 28, 1) uint8 to probabilities (n, n_categories).

    Args:
        mean: (28, 28, 1), the mean of the training pictures divided by 255; it is taken off each picture.
    """
    pictures = keras.Input((SIDE, SIDE, 1), dtype="uint8", name="pictures")
    x = layers.Rescaling(1 / 255, name="divided_by_255")(pictures)
    x = layers.Normalization(axis=(1, 2, 3), mean=mean, variance=np.ones_like(mean), name="mean_removed")(x)
    x = _convolution(16, "conv1")(x)  # (n, 28, 28, 16)
    x = _convolution(32, "conv2")(x)  # (n, 28, 28, 32)
    x = layers.MaxPooling2D(2, name="pool1")(x)  # (n, 14, 14, 32)
    x = _convolution(64, "conv3")(x)  # (n, 14, 14, 64)
    x = _convolution(128, "conv4")(x)  # (n, 14, 14, 128)
    x = layers.MaxPooling2D(2, name="pool2")(x)  # (n, 7, 7, 128)
    x = layers.Dropout(0.25, name="dropout1")(x)
    x = layers.Flatten(name="flatten")(x)  # (n, 6272)
    x = layers.Dense(256, activation="relu", name="dense1")(x)
    x = layers.Dropout(0.5, name="dropout2")(x)
    x = layers.Dense(n_categories, name="dense2")(x)
    # in float32 even where the rest computes in bfloat16, whose 8 bits are too few for a loss
    probabilities = layers.Softmax(dtype="float32", name="softmax")(x)
    return keras.Model(pictures, probabilities, name="category_cnn")


def _convolution(filters: int, name: str) -> layers.Layer:
    return layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)
