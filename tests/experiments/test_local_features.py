"""SIFT, its words and HOG: against vectors worked out by hand and pictures whose gradients are known."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from experiments.paper.local_features import (
    Grid,
    Keypoints,
    LocalDescriptors,
    MainAxes,
    Vocabulary,
    hog,
    open_cv,
    root_sift,
    unit,
    weighted_words,
    word_weights,
)
from fashion16.errors import TrainingError

FLAT = np.full((28, 28), 90, np.uint8)
EDGE = np.repeat(np.where(np.arange(28) < 14, 40, 200).astype(np.uint8)[None], 28, axis=0)  # dark left, bright right


def noise(n: int, seed: int = 16) -> np.ndarray:
    """Blots, so that there is something to see at every place."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 7, 7), np.uint8)
    return np.kron(coarse, np.ones((4, 4), np.uint8))


def local(n: int, pictures: list[int], first: list[float]) -> LocalDescriptors:
    """Descriptors that are told apart by their first entry; it and the second sum to 1, the others are 0."""
    values = np.zeros((len(first), 128), np.float32)
    values[:, 0], values[:, 1] = first, 1 - np.array(first)
    return LocalDescriptors(n, np.array(pictures), values, np.zeros((len(first), 2), np.float32))


@pytest.fixture
def two_words() -> Vocabulary:
    """Descriptors are looked at by the root of their first entry alone; its words are 0 and 1."""
    first = MainAxes(np.zeros(128, np.float32), np.eye(128, 1, dtype=np.float32))
    return Vocabulary(first, 0.0, np.array([[0, 0, 0], [1, 0, 0]], np.float32))


def test_root_sift_is_the_root_of_what_sums_to_one() -> None:
    values = np.zeros((2, 128), np.float32)
    values[0, :2] = 1, 3
    assert root_sift(values)[0, :3] == pytest.approx([0.5, 0.75**0.5, 0])
    assert not root_sift(values)[1].any()


def test_a_bag_of_words_counts_the_nearest_word_of_each_descriptor(two_words: Vocabulary) -> None:
    # the roots 0.1, 0.2, 0.9 and 0.8 are near 0, 0, 1 and 1
    found = local(3, [0, 0, 0, 2], [0.01, 0.04, 0.81, 0.64])
    assert two_words.bag_of_words(found).tolist() == [[2, 1], [0, 0], [0, 1]]


def test_vlad_sums_differences_to_words_and_gives_each_word_the_same_length(two_words: Vocabulary) -> None:
    found = local(3, [0, 0, 0, 2], [0.01, 0.04, 0.81, 0.64])
    rows = two_words.vlad(found).reshape(3, 2, 3)
    # 0.1 + 0.2 from the word 0 and -0.1 from the word 1, each made 1 long, both together again
    assert rows[0, :, 0] == pytest.approx([0.5**0.5, -(0.5**0.5)])
    assert rows[2, :, 0] == pytest.approx([0, -1])
    assert not rows[1].any() and not rows[:, :, 1:].any()


def test_places_tell_words_apart_by_their_weight() -> None:
    first = MainAxes(np.zeros(128, np.float32), np.eye(128, 1, dtype=np.float32))
    found = local(1, [0, 0], [1.0, 1.0])._replace(places=np.array([[-1, 0], [1, 0]], np.float32))
    words = np.array([[1, -0.5, 0], [1, 0.5, 0]], np.float32)
    assert Vocabulary(first, 0.5, words).bag_of_words(found).tolist() == [[1, 1]]
    assert Vocabulary(first, 0.5, words).reduced(found).tolist() == [[1, -0.5, 0], [1, 0.5, 0]]


def test_words_are_the_middles_of_heaps_of_descriptors() -> None:
    values = np.zeros((80, 128), np.float32)
    values[:40, 3] = 7
    values[40:, 90] = 2
    values[:, 5] = np.random.default_rng(16).uniform(0, 0.02, 80)
    found = LocalDescriptors(1, np.zeros(80, np.int64), values, np.zeros((80, 2), np.float32))
    vocabulary = Vocabulary.fit(found, 2, 1, 1.0, seed=16)
    # RootSIFT makes them nearly unit vectors at right angles: sqrt(2) apart on the one axis between them
    assert np.ptp(vocabulary.words[:, 0]) == pytest.approx(2**0.5, abs=0.02)
    assert sorted(vocabulary.bag_of_words(found)[0]) == [40, 40]


def test_fewer_descriptors_than_words_are_refused() -> None:
    with pytest.raises(ValueError, match="4 words"):
        Vocabulary.fit(local(1, [0, 0], [0.2, 0.7]), 4, 1, 0.0, seed=16)


def test_a_word_is_worth_more_the_fewer_pictures_have_it() -> None:
    counts = np.array([[4, 9], [0, 1], [0, 1], [0, 3]], np.float32)
    weights = word_weights(counts)
    assert weights == pytest.approx([np.log(4), 0])
    assert weighted_words(counts, np.array([1, 2], np.float32))[0] == pytest.approx([2 / 40**0.5, 6 / 40**0.5])
    assert not weighted_words(np.zeros((1, 2), np.float32), weights).any()


def test_main_axes_of_points_on_a_line_keep_all_their_distances() -> None:
    along = np.array([-2, -1, 0, 3], np.float32)
    points = along[:, None] * np.array([[0.6, 0.8]], np.float32) + 5
    on_axis = MainAxes.fit(points, 1, seed=16).of(points)
    assert on_axis.shape == (4, 1)
    assert np.abs(on_axis - on_axis[2]).ravel() == pytest.approx([2, 1, 0, 3], abs=1e-5)


def test_rows_of_zeros_have_no_direction() -> None:
    assert unit(np.array([[3, 4], [0, 0]], np.float32)).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]


@pytest.mark.parametrize("features", [Keypoints(56), Grid(56, 8, (16,))])
def test_a_flat_picture_has_no_descriptors(features: Keypoints | Grid) -> None:
    found = features.describe(np.stack([FLAT, noise(1)[0], FLAT]))
    assert found.n == 3
    assert found.described.tolist() == [False, True, False]
    assert set(found.pictures.tolist()) == {1}


def test_a_grid_describes_every_place_in_every_width() -> None:
    found = Grid(56, 8, (16, 24)).describe(noise(2))
    assert len(found.values) == 2 * 2 * 7 * 7
    assert sorted(set(found.places[:, 0].tolist())) == pytest.approx([x / 28 - 1 for x in range(4, 56, 8)])


def test_what_is_bright_on_the_right_has_gradients_to_the_right_alone() -> None:
    found = Grid(56, 8, (16,)).describe(EDGE[None])
    # of the columns 4, 12, … 52, the squares of the outermost do not reach the edge at 28
    assert set(np.round((found.places[:, 0] + 1) * 28).astype(int).tolist()) == {12, 20, 28, 36, 44}
    middle = np.abs(found.places[:, 0]) < 0.01
    directions = found.values[middle].reshape(-1, 4, 4, 8).sum(axis=(0, 1, 2))
    # a tenth at most goes back to the left, where cubic interpolation overshoots
    assert directions[0] > 0.9 * directions.sum()
    assert directions[[0, 4]].sum() == directions.sum()


def test_descriptors_do_not_depend_on_contrast() -> None:
    picture = noise(1)
    full, half = (Grid(56, 8, (16,)).describe(given).values for given in (picture & 0xFE, picture >> 1))
    cosines = (unit(full) * unit(half)).sum(axis=1)
    assert cosines.min() > 0.99


@pytest.mark.parametrize("features", [Keypoints(112), Grid(56, 8, (16,))])
def test_pictures_together_are_described_as_each_alone(features: Keypoints | Grid) -> None:
    pictures = noise(3)
    together = features.describe(pictures)
    alone = [features.describe(pictures[row : row + 1]).values for row in range(3)]
    assert together.values.tolist() == np.concatenate(alone).tolist()
    assert np.bincount(together.pictures).tolist() == [len(values) for values in alone]


def test_hog_is_zero_where_flat_and_horizontal_at_an_upright_edge() -> None:
    vectors = hog(np.stack([FLAT, EDGE]), 4)
    assert vectors.shape == (2, 6 * 6 * 4 * 9)  # blocks of 2 x 2 of the 7 x 7 cells, 9 directions
    assert not vectors[0].any()
    directions = vectors[1].reshape(-1, 9).sum(axis=0)
    # a direction lies between the middles of two bins, at both ends of the half circle
    assert directions[[0, 8]].sum() == pytest.approx(directions.sum())


def test_hog_wants_whole_cells() -> None:
    with pytest.raises(ValueError, match="whole cells of 5"):
        hog(FLAT[None], 5)


def test_without_open_cv_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(TrainingError, match="pip install opencv-python-headless"):
        open_cv()
