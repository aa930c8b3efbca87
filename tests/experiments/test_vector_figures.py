"""What vectors are worth, on so few pictures that it can be counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments.paper.vector_figures import Material, Sizes, checked, drawn, figures, head_figures, milliseconds_of

SIZES = Sizes(99, 99, 99, 99, 99, 99, 99, 99, 99, 4, 1)


@pytest.fixture
def material() -> Material:
    """Bags point up, coats to the right; items 0 to 7 are for training, two are for validation, four for the test."""
    labels = np.array(["Bag", "Coat"] * 7)
    vectors = np.where((labels == "Bag")[:, None], [[0.0, 1.0]], [[1.0, 0.0]]).astype(np.float32)
    rows = np.arange(14)
    return Material(np.zeros((14, 28, 28), np.uint8), rows + 1, labels, vectors, rows[:8], rows[8:10], rows[10:])


def test_vectors_that_tell_the_labels_apart_are_always_right(material: Material) -> None:
    found = head_figures("ours", material.embeddings, 1.5, material, SIZES)
    assert (found.accuracy.value, found.accuracy.n) == (1.0, 4)
    assert found.precision_at_20_in_category.value == 1.0
    # six others have the label, and all thirteen are found
    assert found.precision_at_20_direct.value == pytest.approx(6 / 13, abs=1e-4)
    assert (found.without_descriptors, found.ms_per_picture, found.dimensions) == (0.0, 1.5, 2)


def test_a_wrong_category_finds_nothing_of_the_label(material: Material) -> None:
    # the third of Bag, Coat, Bag, Coat is called a coat
    predicted = np.array(["Bag", "Coat", "Coat", "Coat"])
    found = figures("x", material.embeddings, predicted, 0.0, material, SIZES)
    assert found.accuracy.value == 0.75
    assert found.precision_at_20_in_category.value == 0.75


def test_pictures_without_descriptors_count_as_errors_and_are_not_found(material: Material) -> None:
    vectors = material.embeddings.copy()
    vectors[[0, 1, 10]] = 0  # a bag and a coat in training, and a bag in the test
    found = head_figures("x", vectors, 0.0, material, SIZES)
    assert found.accuracy.value == 0.75
    assert found.without_descriptors == 0.25
    assert found.precision_at_20_in_category.value == 0.75
    # of the eleven vectors that are left, a bag has four others of its label among ten, and a coat five
    assert found.precision_at_20_direct.value == pytest.approx((0 + 0.4 + 2 * 0.5) / 4)


def test_a_check_counts_what_has_no_direction_as_wrong(material: Material) -> None:
    vectors = material.embeddings.copy()
    assert checked(vectors, material.labels, 8, 1.0) == 1.0
    vectors[[8, 9, 13]] = 0
    assert checked(vectors, material.labels, 8, 1.0) == 0.5


def test_of_equally_right_settings_the_one_with_fewer_axes_is_taken(material: Material) -> None:
    rng = np.random.default_rng(16)
    labels = np.array(["Bag", "Coat"] * 60)
    vectors = rng.standard_normal((120, 400)).astype(np.float32)
    vectors[:, :100] = np.where(labels == "Bag", 4.0, -4.0)[:, None]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.arange(120)
    many = replace(
        material,
        pictures=np.zeros((120, 28, 28), np.uint8),
        ids=rows,
        labels=labels,
        train=rows[:60],
        validation=rows[60:90],
        test=rows[90:],
    )
    found = head_figures("x", vectors, 0.0, many, SIZES)
    assert found.dimensions == 256
    assert [point.dimensions for point in found.tried] == [256] * 3 + [400] * 3
    assert found.accuracy.value == 1.0


def test_each_timed_picture_comes_alone(material: Material) -> None:
    shapes = []

    def vectors_of(pictures: np.ndarray) -> np.ndarray:
        shapes.append(pictures.shape)
        return np.zeros((1, 2), np.float32)

    assert milliseconds_of(vectors_of, material, SIZES) >= 0
    assert shapes == [(1, 28, 28)] * 4


def test_rows_are_drawn_once_each_and_in_order() -> None:
    rows = drawn(np.arange(10, 50), 12, np.random.default_rng(16))
    assert len(set(rows.tolist())) == 12 and rows.tolist() == sorted(rows.tolist())
    assert drawn(np.arange(3), 12, np.random.default_rng(16)).tolist() == [0, 1, 2]
