"""Distorted copies: the same with the same seed, and still the same garment."""

from __future__ import annotations

import numpy as np

from fashion16.collections.opened import Collection
from fashion16.images import distort


def test_the_same_seed_distorts_alike_and_another_otherwise(collection: Collection) -> None:
    picture = collection.picture(1)
    copies = [distort(picture, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(copies[0], copies[1])
    assert copies[0].shape != copies[2].shape or (copies[0] != copies[2]).any()


def test_a_copy_keeps_three_quarters_of_the_area_or_more() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        height, width, channels = distort(np.full((200, 300, 3), 90, np.uint8), rng).shape
        assert channels == 3
        # each side is rounded down, which may cost a pixel
        assert 0.75 * 200 * 300 - 500 <= height * width <= 0.90 * 200 * 300


def test_the_corners_that_a_rotation_opens_have_the_grounds_colour() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        copy = distort(np.full((200, 200), 100, np.uint8), rng).astype(int)
        # light changes all pixels alike, so an even picture stays even
        assert copy.max() - copy.min() <= 2


def test_small_pictures_stay_recognisable(collection: Collection) -> None:
    ids = range(1, 31)
    rng = np.random.default_rng(5)
    same = sum(
        collection.classify(distort(collection.picture(i), rng)).category
        == collection.classify(collection.picture(i)).category
        for i in ids
    )
    assert same >= 20
