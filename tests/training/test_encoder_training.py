"""Training the encoder on pictures that are told apart at a glance, with a network of a few filters."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

from fashion16.errors import TrainingError
from fashion16.images import to_network
from fashion16.search.garments import share_a_class
from fashion16.sources.clothing import ClothingArchive
from fashion16.training import vgg16
from fashion16.training.data import LabelledPictures
from fashion16.training.encoder_training import read_photos, train_encoder
from fashion16.training.run_settings import EncoderSettings
from fashion16.training.runs import runs_in
from fashion16.types import Floats
from tests.fakes import write_clothing_archive

QUICK = EncoderSettings(
    epochs=3,
    small_side=32,
    photo_side=32,
    small_batch=16,
    photo_batch=8,
    frozen_blocks=1,
    learning_rate=2e-3,
    bfloat16=False,
)


def filters(network: keras.Model) -> list[Floats]:
    """The first filters of the first two blocks."""
    return [network.get_layer(f"block{block}_conv1").get_weights()[0] for block in (1, 2)]


@pytest.fixture(scope="module", autouse=True)
def initial() -> Iterator[list[list[Floats]]]:
    """The filters that each training begins with, in place of those from ImageNet."""
    begun: list[list[Floats]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vgg16, "BLOCKS", ((4, 1), (4, 1), (8, 1), (16, 3), (16, 3)))
        patch.setattr(vgg16, "load_imagenet", lambda network, path: begun.append(filters(network)))
        yield begun


@dataclass(frozen=True)
class Trained:
    folder: Path
    """With weights, and the run that they come from."""
    initial: list[Floats]


@pytest.fixture(scope="module")
def trained_once(initial: list[list[Floats]], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder, before = tmp_path_factory.mktemp("trained"), len(initial)
    train_encoder(small(), photos(), folder / "runs", folder / "weights.h5", settings=QUICK)
    return Trained(folder, initial[before])


@pytest.fixture
def trained(trained_once: Trained, tmp_path: Path) -> Path:
    """A copy of the folder, to be trained further."""
    return Path(shutil.copytree(trained_once.folder, tmp_path / "trained"))


def small(n: int = 96) -> LabelledPictures:
    """Light garments on black: a square is a T-shirt, a bar a trouser."""
    pictures = np.zeros((n, 28, 28), np.uint8)
    bar = np.arange(n) % 2 == 1
    pictures[~bar, 6:22, 6:22] = 220
    pictures[bar, 2:26, 12:16] = 220
    labels = np.where(bar, "Trouser", "T-shirt/top")
    return LabelledPictures(pictures, labels, splits(n), revision=3)


def photos(n: int = 96) -> LabelledPictures:
    """The same on coloured grounds, and a third kind: shoes, at the bottom."""
    rng = np.random.default_rng(16)
    kind = np.arange(n) // 2 % 3
    pictures = np.zeros((n, 48, 48, 3), np.uint8) + rng.integers(0, 120, (n, 1, 1, 3), dtype=np.uint8)
    pictures[kind == 0, 10:38, 10:38] = 220
    pictures[kind == 1, 4:44, 20:28] = 220
    pictures[kind == 2, 36:46, 4:44] = 220
    return LabelledPictures(pictures, np.array(["T-Shirt", "Pants", "Shoes"])[kind], splits(n))


def splits(n: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.where(np.arange(n) % 8 == 7, "test", np.where(np.arange(n) % 8 >= 5, "validation", "train"))


def test_a_run_trains_both_kinds_and_leaves_weights_history_and_result(trained_once: Trained) -> None:
    weights = trained_once.folder / "weights.h5"
    (run,) = runs_in(trained_once.folder / "runs")
    assert run.folder.name.endswith("-encoder")
    classes = ["Ankle boot", "Pants", "Polo", "Sandal", "Sneaker", "T-Shirt", "Top", "Undershirt"]
    assert run.settings["classes"] == classes
    assert (run.settings["label_revision"], run.settings["seed"]) == (3, 16)
    history = run.history()
    assert history["epoch"].tolist() == [0, 1, 2]
    wanted = {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"}
    assert wanted <= set(history.columns)
    both = (history["val_small_accuracy"] + history["val_photos_accuracy"]) / 2
    np.testing.assert_allclose(history["val_accuracy"], both, atol=1e-6)
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    assert run.result["pictures"] == {
        "small, train": 60,
        "small, validation": 24,
        "photos, train": 60,
        "photos, validation": 24,
    }
    assert {"git_commit", "dtype", "seconds", "best_epoch"} <= set(run.result)
    # the weights are those of the best epoch, and go into a network without the softmax
    network = vgg16.build()
    vgg16.read_weights(vgg16.pooled_part(network), weights)
    model = vgg16.classifier(network, len(classes))
    vgg16.read_weights(model, weights)
    right = []
    for data in (small(), photos()):
        check = data.of(data.splits == "validation")
        pictures = np.stack([to_network(picture, 32) for picture in check.pictures])
        found = np.array(classes)[model.predict(pictures, verbose=0).argmax(axis=1)]
        right += [share_a_class(str(label), str(name)) for label, name in zip(check.labels, found, strict=True)]
    assert np.mean(right) == pytest.approx(both.max(), abs=0.03)
    assert not run.resume_folder.exists()


def test_a_stopped_run_goes_on_after_its_last_whole_epoch(tmp_path: Path) -> None:
    def until_the_second_epoch(epoch: int, share: float, figures: dict[str, float]) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    runs, weights = tmp_path / "runs", tmp_path / "weights.h5"
    with pytest.raises(KeyboardInterrupt):
        train_encoder(small(), photos(), runs, weights, settings=QUICK, report=until_the_second_epoch)
    assert not weights.exists()
    trained: list[int] = []

    def note(epoch: int, share: float, figures: dict[str, float]) -> None:
        if share == 1.0:
            trained.append(epoch)

    run = train_encoder(small(), photos(), runs, weights, settings=QUICK, report=note)
    assert trained == [1, 2]
    assert run.history()["epoch"].tolist() == [0, 1, 2]
    assert len(list(runs.iterdir())) == 1
    assert weights.is_file()


def test_further_training_begins_with_the_weights_so_far(trained: Path) -> None:
    weights = trained / "weights.h5"
    model = vgg16.classifier(vgg16.build(), 8)
    vgg16.read_weights(model, weights)
    before = model.get_weights()
    # with no step to speak of, what comes out is what went in
    still = replace(QUICK, epochs=1, learning_rate=1e-12, weight_decay=0.0, further=True)
    run = train_encoder(small(), photos(), trained / "runs", weights, settings=still)
    vgg16.read_weights(model, weights)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_allclose(now, was, atol=1e-6)
    assert run.settings["further"] is True


def test_weights_that_got_no_better_are_left_as_they_were(trained: Path) -> None:
    weights = trained / "weights.h5"
    (first,) = runs_in(trained / "runs")
    before = weights.read_bytes()
    # steps so long that the network is spoilt
    spoiling = replace(QUICK, epochs=1, learning_rate=5.0, further=True)
    run = train_encoder(small(), photos(), trained / "runs", weights, settings=spoiling)
    assert weights.read_bytes() == before
    assert run.result["best_epoch"] == 0
    for figure in ("validation_accuracy_small", "validation_accuracy_photos"):
        assert run.result[figure] == pytest.approx(first.result[figure], abs=0.03)


def test_frozen_blocks_keep_their_weights_and_the_others_do_not(trained_once: Trained) -> None:
    pooled = vgg16.pooled_part(vgg16.build())
    vgg16.read_weights(pooled, trained_once.folder / "weights.h5")
    frozen, trained = filters(pooled)
    np.testing.assert_allclose(frozen, trained_once.initial[0], rtol=1e-3, atol=1e-6)  # they are kept as float16
    assert not np.allclose(trained, trained_once.initial[1], rtol=1e-2)


def test_labels_with_too_few_pictures_are_named(tmp_path: Path) -> None:
    data = photos()
    labels = data.labels.astype("<U20")
    labels[np.flatnonzero(data.splits == "train")[:3]] = "Kimono"
    with pytest.raises(TrainingError, match=r"Too few of the photos .* “Kimono” \(3\). Each needs at least 10"):
        train_encoder(small(), replace(data, labels=labels), tmp_path, tmp_path / "weights.h5", settings=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_split_without_pictures_is_named(tmp_path: Path) -> None:
    data = small()
    only_train = replace(data, splits=np.full(len(data.labels), "train"))
    with pytest.raises(TrainingError, match="no small pictures in the validation split"):
        train_encoder(only_train, photos(), tmp_path, tmp_path / "weights.h5", settings=QUICK)


def test_short_memory_is_said_before_a_run_begins(tmp_path: Path) -> None:
    huge = replace(QUICK, photo_batch=1_000_000, photo_side=224)
    with pytest.raises(TrainingError, match="GB of memory"):
        train_encoder(small(), photos(), tmp_path, tmp_path / "weights.h5", settings=huge)
    assert list(tmp_path.iterdir()) == []


def test_photos_are_read_from_the_archive_without_its_test_split(tmp_path: Path) -> None:
    names = [f"photo-{number}" for number in range(40)]
    labels = ["Not sure", "Polo", "Hoodie", "Body"]
    path = write_clothing_archive(tmp_path / "a.zip", {name: labels[at % 4] for at, name in enumerate(names)})
    seen: list[tuple[int, int]] = []
    with ClothingArchive(path) as archive:
        found = read_photos(archive, 32, lambda done, total: seen.append((done, total)))
        usable = [photo for photo in archive.photos if photo.label and photo.split != "test"]
    assert 0 < len(usable) < 30
    assert found.pictures.shape == (len(usable), 32, 32, 3)
    assert found.labels.tolist() == [photo.label for photo in usable]
    assert found.splits.tolist() == [photo.split for photo in usable]
    assert seen[-1] == (len(usable), len(usable))
