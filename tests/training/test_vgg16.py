"""VGG-16 as a Keras graph, against the paper's table and Keras's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fashion16 import settings
from fashion16.errors import EncoderError
from fashion16.search.encoder import LiteNetwork
from fashion16.types import Pixels

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402 - after TensorFlow was told to be quiet

from fashion16.training import vgg16  # noqa: E402

# layer, shape of its output for a picture of 224 x 224: configuration D of the paper's table 1
TABLE_D = [
    ("block1_conv1", (224, 224, 64)),
    ("block1_conv2", (224, 224, 64)),
    ("block1_pool", (112, 112, 64)),
    ("block2_conv1", (112, 112, 128)),
    ("block2_conv2", (112, 112, 128)),
    ("block2_pool", (56, 56, 128)),
    ("block3_conv1", (56, 56, 256)),
    ("block3_conv2", (56, 56, 256)),
    ("block3_conv3", (56, 56, 256)),
    ("block3_pool", (28, 28, 256)),
    ("block4_conv1", (28, 28, 512)),
    ("block4_conv2", (28, 28, 512)),
    ("block4_conv3", (28, 28, 512)),
    ("block4_pool", (14, 14, 512)),
    ("block5_conv1", (14, 14, 512)),
    ("block5_conv2", (14, 14, 512)),
    ("block5_conv3", (14, 14, 512)),
]


def noise(n: int, side: int, seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def convolutions(network: keras.Model) -> list[Any]:
    return [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]


@pytest.fixture(scope="module")
def kerases_own(vgg16_weights: Path) -> keras.Model:
    return keras.applications.VGG16(weights=str(vgg16_weights), include_top=False)


@pytest.fixture(scope="module")
def network(vgg16_weights: Path) -> Iterator[keras.Model]:
    """One network for all tests here; none changes it."""
    built = vgg16.build()
    vgg16.load_imagenet(built, vgg16_weights)
    before = [weight.numpy().sum() for weight in built.weights]
    yield built
    assert [weight.numpy().sum() for weight in built.weights] == before


def test_the_layers_are_those_of_the_papers_table(network: keras.Model) -> None:
    names = [layer.name for layer in network.layers if layer.name.endswith(("conv1", "conv2", "conv3", "pool"))]
    assert names == [name for name, _ in TABLE_D]
    table = keras.Model(network.input, [network.get_layer(name).output for name in names])
    shapes = table.compute_output_shape((1, 224, 224, 3))
    assert shapes == [(1, *shape) for _, shape in TABLE_D]


def test_every_convolution_is_3_by_3_with_a_rectifier(network: keras.Model) -> None:
    layers = convolutions(network)
    assert len(layers) == 13
    for layer in layers:
        assert (layer.kernel_size, layer.strides, layer.padding) == ((3, 3), (1, 1), "same")
        assert layer.activation is keras.activations.relu


def test_the_convolutions_have_as_many_parameters_as_kerases(network: keras.Model, kerases_own: keras.Model) -> None:
    assert sum(layer.count_params() for layer in convolutions(network)) == 14_714_688 == kerases_own.count_params()


def test_the_last_convolution_answers_as_kerases_own(network: keras.Model, kerases_own: keras.Model) -> None:
    pictures = noise(2, 64, seed=1).astype(np.float32)
    ours = keras.Model(network.input, network.get_layer("block5_conv3").output)
    theirs = keras.Model(kerases_own.input, kerases_own.get_layer("block5_conv3").output)
    expected = theirs.predict(keras.applications.vgg16.preprocess_input(pictures.copy()), verbose=0)
    assert expected.max() > 0
    np.testing.assert_allclose(ours.predict(pictures, verbose=0), expected, rtol=1e-4, atol=1e-4 * expected.max())


@pytest.mark.parametrize("side", [32, 96])
def test_embeddings_have_unit_length_at_any_side(network: keras.Model, side: int) -> None:
    embeddings = network.predict(noise(2, side, seed=2), verbose=0)
    assert embeddings.shape == (2, 256)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


def test_the_pooled_part_gives_three_poolings_of_unit_length(network: keras.Model) -> None:
    pooled_part = vgg16.pooled_part(network)
    assert pooled_part.output_shape == (None, 1536)
    pooled = pooled_part.predict(noise(2, 32, seed=3), verbose=0).reshape(2, 3, 512)
    np.testing.assert_allclose(np.linalg.norm(pooled, axis=2), 1, atol=1e-5)


def test_the_projection_is_of_the_pooled_features_less_their_mean() -> None:
    small = vgg16.build(dimensions=5)
    rng = np.random.default_rng(4)
    mean = rng.standard_normal(1536).astype(np.float32) / 40
    components = rng.standard_normal((5, 1536)).astype(np.float32)
    vgg16.set_projection(small, mean, components)
    pictures = noise(3, 32, seed=5)
    projected = (vgg16.pooled_part(small).predict(pictures, verbose=0) - mean) @ components.T
    expected = projected / np.linalg.norm(projected, axis=1, keepdims=True)
    np.testing.assert_allclose(small.predict(pictures, verbose=0), expected, atol=1e-4)


def test_the_weights_file_may_be_named_by_the_environment(
    network: keras.Model, vgg16_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.VGG16_WEIGHTS.variable, str(vgg16_weights))
    other = vgg16.build(dimensions=8)
    vgg16.load_imagenet(other)
    for ours, theirs in zip(convolutions(other), convolutions(network), strict=True):
        for loaded, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(loaded, expected)


def test_weights_in_the_older_layout_of_the_download_are_loaded(
    network: keras.Model, kerases_own: keras.Model, tmp_path: Path
) -> None:
    path = tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    layers = [layer for layer in kerases_own.layers if layer.weights]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name for layer in layers]
        for layer in layers:
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = ["kernel", "bias"]
            group["kernel"], group["bias"] = layer.get_weights()
    other = vgg16.build(dimensions=8)
    vgg16.load_imagenet(other, path)
    for ours, theirs in zip(convolutions(other), convolutions(network), strict=True):
        np.testing.assert_array_equal(ours.get_weights()[0], theirs.get_weights()[0])


def test_a_missing_weights_file_is_refused(
    network: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EncoderError, match="There are no VGG-16 weights at .*nowhere.h5. Correct FASHION16_VGG16"):
        vgg16.load_imagenet(network, tmp_path / "nowhere.h5")
    monkeypatch.setenv(settings.VGG16_WEIGHTS.variable, str(tmp_path / "nothing.h5"))
    with pytest.raises(EncoderError, match=r"no VGG-16 weights at .*nothing.h5"):
        vgg16.load_imagenet(network)


def test_weights_of_another_network_are_refused(network: keras.Model, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(foreign)
    with pytest.raises(EncoderError, match="could not be loaded .*Download vgg16_weights_tf"):
        vgg16.load_imagenet(network, foreign)


@pytest.mark.parametrize("content", [b"", b"my holiday pictures"])
def test_a_file_that_holds_no_weights_is_refused(network: keras.Model, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(content)
    with pytest.raises(EncoderError, match="could not be loaded"):
        vgg16.load_imagenet(network, path)


def test_weights_that_were_cut_off_are_refused(network: keras.Model, vgg16_weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.weights.h5"
    data = vgg16_weights.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert h5py.is_hdf5(path)
    with pytest.raises(EncoderError, match="could not be loaded"):
        vgg16.load_imagenet(network, path)


def test_the_exported_network_answers_as_the_one_it_was_made_of(network: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / "network.tflite"
    vgg16.export(network, path)
    served = LiteNetwork(path.read_bytes())
    for side in (32, 96):
        for n in (1, 3):
            pictures = noise(n, side, seed=side + n)
            cosines = (served.encode(pictures) * network.predict(pictures, verbose=0)).sum(axis=1)
            assert cosines.shape == (n,)
            assert cosines.min() > 0.99


def test_the_loss_is_that_of_all_allowed_classes_together() -> None:
    loss = vgg16.OneOfThese(smoothing=0.0)
    targets = np.array([[1, 1, 0], [0, 0, 1]], np.float32)
    probabilities = np.array([[0.3, 0.5, 0.2], [0.3, 0.5, 0.2]], np.float32)
    assert float(loss(targets, probabilities)) == pytest.approx(-(np.log(0.8) + np.log(0.2)) / 2, abs=1e-5)
    one_hot = np.eye(3, dtype=np.float32)[[2, 0]]
    kerases_own = keras.losses.CategoricalCrossentropy()
    assert float(loss(one_hot, probabilities)) == pytest.approx(float(kerases_own(one_hot, probabilities)), abs=1e-5)


def test_smoothing_is_kerases_own_where_one_class_is_allowed() -> None:
    one_hot = np.eye(3, dtype=np.float32)[[2, 0]]
    probabilities = np.array([[0.3, 0.5, 0.2], [0.6, 0.1, 0.3]], np.float32)
    kerases_own = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    ours = vgg16.OneOfThese(smoothing=0.1)
    assert float(ours(one_hot, probabilities)) == pytest.approx(float(kerases_own(one_hot, probabilities)), abs=1e-5)


def test_a_certain_and_wrong_answer_has_a_finite_loss() -> None:
    assert np.isfinite(float(vgg16.OneOfThese()(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))))


def test_a_picture_is_right_in_any_class_allowed() -> None:
    targets = np.array([[1, 1, 0], [0, 0, 1], [1, 0, 0]], np.float32)
    probabilities = np.array([[0.1, 0.6, 0.3], [0.6, 0.2, 0.2], [0.8, 0.1, 0.1]], np.float32)
    assert np.asarray(vgg16.accuracy(targets, probabilities)).tolist() == [1, 0, 1]


def test_the_classifier_shares_its_layers_with_the_network(network: keras.Model) -> None:
    model = vgg16.classifier(network, 7)
    assert model.output_shape == (None, 7)
    for layer in convolutions(model):
        assert layer is network.get_layer(layer.name)
    probabilities = model.predict(noise(2, 32, seed=6), verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_written_weights_come_back_with_half_the_bytes(network: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    vgg16.write_weights(vgg16.classifier(network, 7), path)
    assert path.stat().st_size < 2.1 * 14_730_000
    again = vgg16.pooled_part(vgg16.build())
    vgg16.read_weights(again, path)
    pictures = noise(2, 32, seed=7)
    expected = vgg16.pooled_part(network).predict(pictures, verbose=0)
    np.testing.assert_allclose(again.predict(pictures, verbose=0), expected, atol=2e-3)


def test_weights_that_are_missing_damaged_or_anothers_are_refused(network: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with pytest.raises(EncoderError, match="There are no weights at .* Restore it"):
        vgg16.read_weights(network, path)
    vgg16.write_weights(vgg16.classifier(network, 7), path)
    with pytest.raises(EncoderError, match="holds the weights of another network"):
        vgg16.read_weights(vgg16.classifier(vgg16.build(), 8), path)
    # the classifier has no embedding
    with pytest.raises(EncoderError, match="holds the weights of another network"):
        vgg16.read_weights(vgg16.build(), path)
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    with pytest.raises(EncoderError, match="is damaged"):
        vgg16.read_weights(vgg16.pooled_part(network), path)
