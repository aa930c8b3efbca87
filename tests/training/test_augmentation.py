"""Training views: the same with the same seed, as far from the picture as their strength says, and no farther."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fashion16.training.augmentation import PHOTOS, SMALL_PICTURES, Strength, like_fashion_mnist, view
from fashion16.types import Pixels

NOTHING = Strength((1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
EVERYTHING = Strength((0.5, 2.0), 45.0, 0.3, 0.9, 0.9, 1.0, 1.0, dress=1.0)


def noise(*shape: int) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def garment(side: int, ground: int, its: int) -> Pixels:
    """A square of half the side in the middle of an even ground, grey."""
    picture = np.full((side, side), ground, np.uint8)
    picture[side // 4 : -side // 4, side // 4 : -side // 4] = its
    return picture


def rgb(picture: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(picture).convert("RGB"))


def is_flipped(seen: Pixels, picture: Pixels) -> bool:
    """Whether a view is the picture's mirror image; fails where it is neither that nor the picture."""
    expected = rgb(picture)
    if (seen == expected).all():
        return False
    np.testing.assert_array_equal(seen, expected[:, ::-1])
    return True


def views(picture: Pixels, strength: Strength, n: int = 30) -> list[Pixels]:
    rng = np.random.default_rng(2)
    return [view(picture, len(picture), strength, rng) for _ in range(n)]


@pytest.mark.parametrize("shape", [(28, 28), (40, 40, 3)])
@pytest.mark.parametrize("strength", [SMALL_PICTURES, PHOTOS, EVERYTHING])
def test_the_same_seed_shows_the_same_view_and_another_another(shape: tuple[int, ...], strength: Strength) -> None:
    picture = noise(*shape)
    seen = [view(picture, 32, strength, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(seen[0], seen[1])
    assert (seen[0] != seen[2]).any()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(4, 60),
    st.integers(4, 60),
    st.booleans(),
    st.sampled_from([NOTHING, SMALL_PICTURES, PHOTOS, EVERYTHING]),
    st.integers(0, 99),
)
def test_a_view_always_has_its_side_and_three_channels(
    size: int, side: int, grey: bool, strength: Strength, seed: int
) -> None:
    picture = noise(size, size) if grey else noise(size, size, 3)
    before = picture.copy()
    seen = view(picture, side, strength, np.random.default_rng(seed))
    assert seen.shape == (side, side, 3)
    assert seen.dtype == np.uint8
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3)])
def test_without_strength_a_view_is_the_picture_or_its_mirror_image(shape: tuple[int, ...]) -> None:
    picture = noise(*shape)
    assert {is_flipped(seen, picture) for seen in views(picture, NOTHING)} == {False, True}


@pytest.mark.parametrize("side", [28, 56, 84, 112])
def test_without_strength_a_view_of_another_side_is_the_picture_resized(side: int) -> None:
    y, x = np.mgrid[0:56, 0:56]
    picture = (100 + 50 * np.sin(x / 9) + 40 * np.cos(y / 7)).astype(np.uint8)
    resized = rgb(np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))).astype(int)
    seen = view(picture, side, NOTHING, np.random.default_rng(3))
    assert min(np.abs(seen - resized).max(), np.abs(seen - resized[:, ::-1]).max()) <= 4


def test_what_turning_and_shifting_open_has_the_grounds_colour() -> None:
    picture = np.full((40, 40, 3), (200, 90, 30), np.uint8)
    for seen in views(picture, replace(NOTHING, rotation=45.0, shift=0.3, scale=(0.5, 1.0))):
        np.testing.assert_array_equal(seen, picture)


def test_a_scale_enlarges_the_garment_by_so_much() -> None:
    picture = garment(80, 0, 255)
    for factor in (0.5, 1.0, 1.5):
        seen = views(picture, replace(NOTHING, scale=(factor, factor)), 1)[0]
        assert (seen[:, :, 0] > 127).sum() == pytest.approx((40 * factor) ** 2, rel=0.05)


def test_a_garment_moves_in_all_directions_and_no_farther_than_the_shift() -> None:
    picture = garment(80, 0, 255)
    middles = np.array(
        [np.argwhere(seen[:, :, 0] > 127).mean(axis=0) for seen in views(picture, replace(NOTHING, shift=0.1))]
    )
    moved = middles - 39.5
    assert np.abs(moved).max() <= 8.5
    assert (moved.min(axis=0) < -4).all()
    assert (moved.max(axis=0) > 4).all()


def test_a_garment_turns_to_both_sides_and_no_farther_than_the_rotation() -> None:
    bar = np.zeros((80, 80), np.uint8)
    bar[36:44, 10:70] = 255
    angles = []
    for seen in views(bar, replace(NOTHING, rotation=20.0)):
        y, x = np.argwhere(seen[:, :, 0] > 127).T
        angles.append(np.rad2deg(np.arctan(np.polyfit(x, y, 1)[0])))
    assert max(np.abs(angles)) <= 21
    assert min(angles) < -10
    assert max(angles) > 10


def test_light_changes_an_even_picture_evenly() -> None:
    greys = set()
    for seen in views(np.full((20, 20), 100, np.uint8), replace(NOTHING, light=0.4)):
        assert len(np.unique(seen)) == 1
        greys.add(int(seen[0, 0, 0]))
    assert 59 <= min(greys) < 80
    assert 120 < max(greys) <= 141


def test_colour_fades_and_glows_at_the_same_brightness() -> None:
    picture = np.full((20, 20, 3), (140, 110, 80), np.uint8)
    brightness = int(np.asarray(Image.fromarray(picture).convert("L"))[0, 0])
    spreads = []
    for seen in views(picture, replace(NOTHING, colour=0.5)):
        assert abs(int(np.asarray(Image.fromarray(seen).convert("L"))[0, 0]) - brightness) <= 2
        spreads.append(int(np.ptp(seen[0, 0])))
    assert 29 <= min(spreads) < 45
    assert 75 < max(spreads) <= 91


def test_a_grey_picture_has_no_colour_to_change_but_its_dress() -> None:
    picture, dressed = noise(28, 28), replace(NOTHING, dress=0.5)
    np.testing.assert_array_equal(views(picture, replace(dressed, colour=0.9)), views(picture, dressed))


def test_undressed_grey_pictures_stay_grey() -> None:
    for seen in views(noise(28, 28), replace(SMALL_PICTURES, jpeg=0.0, erase=0.0, dress=0.0)):
        assert (seen == seen[:, :, :1]).all()


def test_saving_as_jpeg_costs_details_only() -> None:
    picture = garment(64, 50, 180)
    changed = 0
    for seen in views(picture, replace(NOTHING, jpeg=1.0)):
        away = np.abs(seen.astype(int) - rgb(picture))
        changed += bool(away.any())
        assert away.mean() < 4
    assert changed > 0


def test_erasing_covers_a_box_of_2_to_20_percent_with_one_colour() -> None:
    shares, places = [], set()
    for seen in views(np.full((100, 100), 100, np.uint8), replace(NOTHING, erase=1.0), 60):
        box = np.argwhere((seen != 100).any(axis=2))
        (top, left), (bottom, right) = box.min(axis=0), box.max(axis=0) + 1
        assert len(box) == (bottom - top) * (right - left)
        assert len(np.unique(seen[top:bottom, left:right].reshape(-1, 3), axis=0)) == 1
        shares.append(len(box) / 100**2)
        places.add((top, left))
    # each side is rounded down, which may cost a pixel
    assert 0.016 <= min(shares) < 0.05
    assert 0.15 < max(shares) <= 0.2
    assert len(places) > 50


def test_chances_are_kept() -> None:
    picture = np.full((20, 20), 100, np.uint8)
    erased = sum((seen != 100).any() for seen in views(picture, replace(NOTHING, erase=0.25), 400))
    dressed = sum((seen != 100).all() for seen in views(picture, replace(NOTHING, dress=0.25), 400))
    assert 70 <= erased <= 130
    assert 70 <= dressed <= 130


def test_a_dressed_grey_picture_keeps_its_shape_in_other_colours() -> None:
    picture = garment(28, 0, 255)
    inside = picture == 255
    inverted, coloured = 0, 0
    for seen in views(picture, replace(NOTHING, dress=1.0), 60):
        ground, its = seen[~inside], seen[inside]
        assert (ground == ground[0]).all()
        assert (its == its[0]).all()
        if ground[0].tolist() == [255] * 3 and its[0].tolist() == [0] * 3:
            inverted += 1
        else:
            coloured += bool(np.ptp(ground[0]) and np.ptp(its[0]))
    assert inverted + coloured == 60
    assert inverted >= 15
    assert coloured >= 25


@pytest.mark.parametrize("picture", [noise(28, 28, 3), rgb(noise(28, 28))])
def test_a_colour_picture_is_never_dressed(picture: Pixels) -> None:
    assert {is_flipped(seen, picture) for seen in views(picture, replace(NOTHING, dress=1.0))} == {False, True}


@pytest.mark.parametrize("side", [28, 100, 300])
def test_a_photo_becomes_as_small_as_fashion_mnist_and_mostly_grey(side: int) -> None:
    rng = np.random.default_rng(4)
    small = [like_fashion_mnist(noise(side, side, 3), rng) for _ in range(100)]
    assert {picture.shape for picture in small} == {(28, 28), (28, 28, 3)}
    assert {picture.dtype for picture in small} == {np.dtype(np.uint8)}
    assert 60 <= sum(picture.ndim == 2 for picture in small) <= 90


@pytest.mark.parametrize(("ground", "its"), [(240, 20), (10, 220), (160, 60)])
def test_a_grey_small_photo_is_light_on_dark(ground: int, its: int) -> None:
    photo, rng = rgb(garment(100, ground, its)), np.random.default_rng(5)
    for small in (like_fashion_mnist(photo, rng) for _ in range(20)):
        if small.ndim == 2:
            assert small[0, 0] == min(ground, 255 - ground)
            assert small[14, 14] == max(its, 255 - its)
        else:
            assert small[0, 0].tolist() == [ground] * 3
            assert small[14, 14].tolist() == [its] * 3


def test_a_small_photo_is_the_same_with_the_same_seed() -> None:
    photo = noise(60, 60, 3)
    for seed in range(5):
        one, other = (like_fashion_mnist(photo, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(one, other)
