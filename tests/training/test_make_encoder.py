"""Which pictures the encoder is trained on, fitted to and compared on: never a test picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashion16.collections.importing import fashion_mnist_splits
from fashion16.collections.workspace import Workspace
from fashion16.sources.clothing import ClothingArchive
from fashion16.training import make_encoder
from fashion16.training.make_encoder import EncoderData
from fashion16.training.run_settings import EncoderSettings
from tests.fakes import write_clothing_archive


@pytest.fixture
def archive(tmp_path: Path) -> ClothingArchive:
    labels = ["Polo", "Hoodie", "Body", "Skip"]
    return ClothingArchive(write_clothing_archive(tmp_path / "a.zip", {f"n{i}": labels[i % 4] for i in range(60)}))


def split_of(workspace: Workspace) -> dict[bytes, str]:
    pictures = workspace.collection().pictures()
    return dict(zip((picture.tobytes() for picture in pictures), fashion_mnist_splits().tolist(), strict=True))


def test_each_step_of_the_export_gets_its_split(
    workspace: Workspace, archive: ClothingArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(make_encoder, "export_encoder", lambda *arguments: given.extend(arguments))
    make_encoder.export(workspace, archive)
    folder, training, validation = given[:3]
    assert folder == workspace.encoder_folder
    known = split_of(workspace)
    wanted: tuple[tuple[str, Mapping[str, Any], int], ...] = (
        ("train", training, 10_000),
        ("validation", validation, 2_000),
    )
    with archive:
        for split, samples, n in wanted:
            small = list(samples["small"].pictures)
            assert {known[picture.tobytes()] for picture in small} == {split}
            assert len(small) == len(samples["small"].labels) == n
            photos = [photo for photo in archive.photos if photo.label and photo.split == split]
            assert samples["photos"].labels.tolist() == [photo.label for photo in photos]
            # as large as they came
            assert [picture.shape for picture in samples["photos"].pictures] == [(58, 48, 3)] * len(photos)


def test_training_is_given_the_collection_and_the_photos(
    workspace: Workspace, archive: ClothingArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(make_encoder, "train_encoder", lambda *arguments: given.extend(arguments))
    with archive:
        data = make_encoder.data(workspace, archive)
    assert isinstance(data, EncoderData)
    settings = EncoderSettings(epochs=1)
    make_encoder.train(workspace, data, settings, True, tmp_path)
    small, photos, runs, weights, imagenet = given[:5]
    assert small.pictures.shape == (70_000, 28, 28)
    assert np.unique(small.splits).tolist() == ["test", "train", "validation"]
    assert set(photos.labels) == {"Polo", "Hoodie", "Body"}
    assert (runs, weights, imagenet) == (workspace.runs_folder, workspace.weights_file, tmp_path)
    assert given[5:7] == [settings, True]
