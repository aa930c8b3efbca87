"""Making an encoder, from VGG-16's weights to the two files that are served."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fashion16 import training
from fashion16.encoder import Encoder
from fashion16.errors import DataError
from fashion16.images import Pixels
from fashion16.training import make_imagenet_encoder


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    # a fraction of the pixels, and of the time, that real pictures are worth
    monkeypatch.setattr(training, "SMALL_SIDE", 32)
    monkeypatch.setattr(training, "SIDE", 64)


def small_pictures(n: int, seed: int) -> Iterator[Pixels]:
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 256, (28, 28), dtype=np.uint8) for _ in range(n))


def photos(n: int, seed: int) -> Iterator[Pixels]:
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 256, (60, 45, 3), dtype=np.uint8) for _ in range(n))


def test_an_encoder_is_made_of_weights_and_pictures(vgg16_weights: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def stream() -> Iterator[Pixels]:
        yield from small_pictures(290, seed=1)
        yield from photos(5, seed=2)

    card = make_imagenet_encoder(
        tmp_path / "encoder", stream(), "noise", vgg16_weights, lambda done, total: calls.append((done, total))
    )
    assert card.digest == hashlib.sha256((tmp_path / "encoder" / "encoder.tflite").read_bytes()).hexdigest()
    assert (card.dimensions, card.side, card.small_side, card.small_pictures) == (256, 64, 32, 32)
    assert card.projection.startswith("PCA of 295 pictures: noise; ")
    # eighteen batches of 16 and one of 2 small pictures, then the photos
    assert len(calls) == 20
    assert calls[-1] == (295, 295)

    encoder = Encoder(tmp_path / "encoder")
    assert encoder.card == card
    pictures = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    embeddings = encoder.encode(pictures)
    assert embeddings.shape == (2, 256)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    assert sorted(path.name for path in (tmp_path / "encoder").iterdir()) == ["encoder.json", "encoder.tflite"]


@pytest.mark.parametrize("n", [0, 3])
def test_too_few_pictures_leave_the_old_encoder_as_it_was(vgg16_weights: Path, tmp_path: Path, n: int) -> None:
    (tmp_path / "encoder.tflite").write_bytes(b"the old network")
    (tmp_path / "encoder.json").write_bytes(b"the old card")
    with pytest.raises(DataError, match=f"at least 256 pictures, received {n}"):
        make_imagenet_encoder(tmp_path, small_pictures(n, seed=4), "noise", vgg16_weights)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "encoder.tflite": b"the old network",
        "encoder.json": b"the old card",
    }
