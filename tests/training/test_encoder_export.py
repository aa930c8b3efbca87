"""From trained weights to the files that are served, with a network of a few filters."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

from fashion16.errors import DataError, EncoderError
from fashion16.search.encoder import Encoder
from fashion16.search.references import References
from fashion16.training import encoder_export, vgg16
from fashion16.training.encoder_export import Sample, export_encoder
from fashion16.types import Pixels

FILES = ["encoder.json", "encoder.tflite", "parity.json", "references.h5", "weights.h5"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vgg16, "BLOCKS", ((4, 1), (4, 1), (8, 1), (16, 3), (16, 3)))
    monkeypatch.setattr(vgg16, "DIMENSIONS", 12)
    monkeypatch.setattr(encoder_export, "SMALL_SIDE", 32)
    monkeypatch.setattr(encoder_export, "SIDE", 64)
    monkeypatch.setattr(encoder_export, "N_REFERENCES", 30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with trained weights (here: random ones)."""
    keras.utils.set_random_seed(16)
    vgg16.write_weights(vgg16.classifier(vgg16.build(12), 3), tmp_path / "weights.h5")
    return tmp_path


def small(n: int, seed: int) -> Sample:
    """Bars and squares of Fashion-MNIST's size."""
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 40, (n, 28, 28), dtype=np.uint8)
    bar = np.arange(n) % 2 == 1
    pictures[~bar, 6:22, 6:22] += 180
    pictures[bar, 2:26, 12:16] += 180
    return Sample(list(pictures), np.where(bar, "Trouser", "T-shirt/top"))


def photos(n: int, seed: int) -> Sample:
    def read() -> Iterator[Pixels]:
        rng = np.random.default_rng(seed)
        for number in range(n):
            photo = np.zeros((60, 45, 3), np.uint8) + rng.integers(0, 120, 3, dtype=np.uint8)
            if number % 2:
                photo[5:55, 18:28] = 220
            else:
                photo[15:45, 8:38] = 220
            yield photo

    return Sample(read(), np.where(np.arange(n) % 2, "Pants", "T-Shirt"))


def test_weights_become_a_served_encoder_with_its_card_parity_and_references(folder: Path) -> None:
    calls: list[tuple[int, int]] = []
    card, parity = export_encoder(
        folder,
        {"small": small(60, 1), "photos": photos(40, 2)},
        {"small": small(20, 3), "photos": photos(10, 4)},
        "shapes",
        lambda done, total: calls.append((done, total)),
    )
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert card.digest == hashlib.sha256((folder / "encoder.tflite").read_bytes()).hexdigest()
    assert (card.dimensions, card.side, card.small_side, card.small_pictures) == (12, 64, 32, 32)
    assert card.projection == "linear discriminants of 100 pictures and a distorted copy of each: shapes"
    assert calls[-1][1] == 200
    assert calls[-1][0] > 180

    encoder = Encoder(folder)
    assert encoder.card == card
    embeddings = encoder.encode(np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)

    assert {kind: found.pictures for kind, found in parity.items()} == {"small": 20, "photos": 10}
    for found in parity.values():
        assert 0.9 < found.lowest_cosine <= found.cosine <= 1.00001
        assert found.float_accuracy == found.served_accuracy == found.same_category == 1.0
    written = json.loads((folder / "parity.json").read_text())
    assert written["photos"]["cosine"] == parity["photos"].cosine

    references = References.read(folder / "references.h5", card.digest)
    assert references is not None
    assert references.embeddings.shape == (60, 12)
    names, counts = np.unique(references.labels, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        "T-Shirt": 15,
        "Pants": 15,
        "T-shirt/top": 15,
        "Trouser": 15,
    }
    # they are what the served network says of these pictures
    first = next(iter(small(60, 1).pictures))
    served = encoder.encode(encoder_export.to_network(first, 32)[None])[0]
    assert served @ references.embeddings[0] > 0.99


def test_without_weights_nothing_is_written(tmp_path: Path) -> None:
    samples = {"small": small(20, 1)}
    with pytest.raises(EncoderError, match="There are no weights"):
        export_encoder(tmp_path, samples, samples, "shapes")
    assert list(tmp_path.iterdir()) == []


def test_too_few_pictures_leave_the_old_encoder_as_it_was(folder: Path) -> None:
    (folder / "encoder.tflite").write_bytes(b"the old network")
    (folder / "encoder.json").write_bytes(b"the old card")
    samples = {"small": small(40, 1), "photos": photos(5, 2)}
    with pytest.raises(DataError, match="at least 12 pictures of each kind; photos: 5"):
        export_encoder(folder, samples, samples, "shapes")
    assert (folder / "encoder.tflite").read_bytes() == b"the old network"
    assert (folder / "encoder.json").read_bytes() == b"the old card"


def test_a_shift_is_taken_between_pictures_of_one_class_only() -> None:
    def rows(value: float, n: int) -> np.ndarray:  # type: ignore[type-arg]
        return np.full((n, 2), value, np.float32)

    one = (np.concatenate([rows(1, 20), rows(5, 20)]), np.array(["Trouser"] * 20 + ["Sandal"] * 20))
    other = (
        np.concatenate([rows(3, 20), rows(9, 20), rows(7, 5)]),
        np.array(["Pants"] * 20 + ["Shoes"] * 20 + ["Sandal"] * 5),
    )
    # trousers are there twice; shoes may be sandals or not, and five sandals are too few
    np.testing.assert_allclose(encoder_export._shifts({"small": one, "photos": other}), [[-2, -2]])
