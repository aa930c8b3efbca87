"""Two kinds of pictures in one stream of batches."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from fashion16.images import to_network
from fashion16.training.batches import Kind, PlainBatches, TrainingBatches


def numbered(n: int, shape: tuple[int, ...], side: int, batch: int) -> Kind:
    """Noise; what each picture may be tells its number."""
    pictures = np.random.default_rng(n).integers(0, 256, (n, *shape), dtype=np.uint8)
    return Kind(pictures, np.eye(n, dtype=np.float32), side, batch)


def mixed(passes: int = 2, epoch: int = 0) -> TrainingBatches:
    small = numbered(40, (28, 28), 32, 8)
    photos = numbered(40, (60, 60, 3), 48, 4)
    return TrainingBatches(small, photos, passes, seed=16, epoch=epoch)


def test_an_epoch_shows_every_small_picture_once_and_every_photo_so_often() -> None:
    batches = mixed()
    # 7 small pictures of their own and one photo made small: five whole batches
    assert len(batches) == 5 + 20
    small, photos = [], []
    for at in range(len(batches)):
        pictures, targets = batches[at]
        assert pictures.dtype == np.float32
        assert 0 <= pictures.min() <= pictures.max() <= 255
        if pictures.shape == (8, 32, 32, 3):
            small += targets[:7].argmax(axis=1).tolist()
        else:
            assert pictures.shape == (4, 48, 48, 3)
            photos += targets.argmax(axis=1).tolist()
    assert len(set(small)) == len(small) == 35
    assert np.bincount(photos).tolist() == [2] * 40


@pytest.mark.parametrize("epoch", range(5))
def test_the_first_two_batches_are_one_of_each_kind(epoch: int) -> None:
    batches = mixed(epoch=epoch)
    assert {batches[0][0].shape[1], batches[1][0].shape[1]} == {32, 48}


def test_a_resumed_epoch_is_the_one_it_would_have_been() -> None:
    through, resumed = mixed(), mixed(epoch=1)
    before = through[3]
    through.on_epoch_end()
    for at in (0, 7, 24):
        for expected, found in zip(through[at], resumed[at], strict=True):
            np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(through[3][0], before[0])


def test_plain_batches_are_the_pictures_as_they_are_served() -> None:
    kind = numbered(5, (60, 60, 3), 48, 2)
    batches = PlainBatches(kind)
    assert [len(batches[at][0]) for at in range(len(batches))] == [2, 2, 1]
    np.testing.assert_array_equal(batches[2][0][0], to_network(kind.pictures[4], 48))
    np.testing.assert_array_equal(batches[1][1], kind.targets[2:4])
