"""Larger collections made of a small one, and the exact answers to compare a search with."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.synthetic import SyntheticItems, exact_neighbours, measured_changes
from fashion16.images import distort
from fashion16.search.encoder import encode_all
from tests.fakes import FakeEncoder, unit_vectors

AXES = np.eye(3, dtype=np.float32)
NAMES = np.array(["Bag", "Coat", "Bag"])


def pictures(n: int) -> list[np.ndarray]:
    return list(np.random.default_rng(3).integers(0, 256, (n, 28, 28), dtype=np.uint8))


def all_of(items: SyntheticItems, size: int) -> tuple[np.ndarray, np.ndarray]:
    embeddings, labels = zip(*items.blocks(size), strict=True)
    return np.concatenate(embeddings), np.concatenate(labels)


def test_a_change_is_the_distorted_pictures_embedding_less_the_pictures_own() -> None:
    encoder, photos, seen = FakeEncoder(), pictures(5), []
    changes = measured_changes(encoder, photos, n=3, seed=4, side=32, progress=lambda *done: seen.append(done))

    rng = np.random.default_rng(4)
    drawn = rng.choice(5, 3, replace=False)
    before = encode_all(encoder, (photos[row] for row in drawn), 32)
    after = encode_all(encoder, (distort(photos[row], rng) for row in drawn), 32)
    np.testing.assert_allclose(changes, after - before, atol=1e-6)
    assert np.abs(changes).max() > 0.001
    assert seen == [(done, 6) for done in range(1, 7)]


def test_of_few_pictures_each_is_distorted_once() -> None:
    assert measured_changes(FakeEncoder(), pictures(2), n=10, side=32).shape == (2, 12)


def test_an_item_is_a_real_embedding_plus_a_change_at_unit_length_with_the_embeddings_label() -> None:
    change = np.array([[0.0, 0.0, 1.0]], np.float32)
    items = SyntheticItems(AXES[:2], np.array(["Bag", "Coat"]), change, 4)
    embeddings, labels = all_of(items, 10)
    # (1, 0, 0) + (0, 0, 1), and (0, 1, 0) + (0, 0, 1), each scaled by the root of a half: two of each
    half = 0.5**0.5
    assert sorted(np.round(embeddings, 6).tolist()) == sorted(
        np.round(np.array([[half, 0, half], [0, half, half]] * 2, np.float32), 6).tolist()
    )
    np.testing.assert_array_equal(labels, np.where(embeddings[:, 0] > 0, "Bag", "Coat"))


def test_every_embedding_is_used_equally_often_and_never_twice_with_one_change() -> None:
    changes = 0.1 * unit_vectors(5, 3, seed=1)
    embeddings, labels = all_of(SyntheticItems(AXES, NAMES, changes, 15), 4)
    assert len(np.unique(np.round(embeddings, 5), axis=0)) == 15  # 3 embeddings by 5 changes
    assert (labels == "Bag").sum() == 10
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)


def test_what_an_item_is_depends_neither_on_the_blocks_nor_on_how_many_there_are() -> None:
    base, changes = unit_vectors(20, 8, seed=1), 0.2 * unit_vectors(7, 8, seed=2)
    labels = np.array(["Bag", "Coat"] * 10)
    whole, its_labels = all_of(SyntheticItems(base, labels, changes, 50), 50)
    parts, part_labels = all_of(SyntheticItems(base, labels, changes, 50), 7)
    fewer, _ = all_of(SyntheticItems(base, labels, changes, 30), 9)
    np.testing.assert_array_equal(whole, parts)
    np.testing.assert_array_equal(its_labels, part_labels)
    np.testing.assert_array_equal(whole[:30], fewer)
    other, _ = all_of(SyntheticItems(base, labels, changes, 50, seed=17), 50)
    assert not np.array_equal(whole, other)


def test_a_query_is_close_to_an_item_of_its_label_but_none_itself() -> None:
    base, changes = unit_vectors(30, 16, seed=1), 0.05 * unit_vectors(9, 16, seed=2)
    labels = np.array([f"label {row}" for row in range(30)])
    items = SyntheticItems(base, labels, changes, 60)
    embeddings, item_labels = all_of(items, 60)
    queries, query_labels = items.queries(10, seed=5)
    cosines = queries @ embeddings.T
    assert cosines.max() < 0.99999
    # changes of a length of 0.05 turn an embedding by 3 degrees at most, and two of them by 6
    assert (cosines.max(axis=1) > 0.99).all()
    np.testing.assert_array_equal(item_labels[cosines.argmax(axis=1)], query_labels)
    np.testing.assert_array_equal(queries, items.queries(10, seed=5)[0])


@pytest.mark.parametrize("size", [1, 7, 300])
def test_exact_neighbours_are_those_of_a_plain_sort_whatever_the_blocks(size: int) -> None:
    vectors, queries = unit_vectors(300, 16, seed=1), unit_vectors(5, 16, seed=2)
    labels = np.array(["Bag", "Coat", "Dress"] * 100)
    categories = np.array(["Coat", "Bag", "Coat", "Dress", "Bag"])
    blocks = [(vectors[start : start + size], labels[start : start + size]) for start in range(0, 300, size)]
    seen: list[tuple[int, int]] = []
    truth = exact_neighbours(queries, categories, blocks, 20, lambda *done: seen.append(done), 300)
    cosines = queries @ vectors.T
    np.testing.assert_array_equal(truth.everywhere, np.argsort(-cosines, axis=1)[:, :20])
    elsewhere = labels[None, :] != categories[:, None]
    np.testing.assert_array_equal(truth.in_category, np.argsort(-np.where(elsewhere, -2, cosines), axis=1)[:, :20])
    assert seen[-1] == (300, 300)


def test_where_a_category_has_fewer_items_than_asked_for_the_rest_is_minus_one() -> None:
    truth = exact_neighbours(AXES[:1], np.array(["Bag"]), [(AXES, NAMES)], 4)
    assert truth.in_category[0, 0] == 0 and set(truth.in_category[0, :2]) == {0, 2}
    np.testing.assert_array_equal(truth.in_category[0, 2:], [-1, -1])
    assert truth.everywhere[0, 3] == -1


@pytest.mark.parametrize(
    ("labels", "changes", "n"),
    [(NAMES[:2], AXES, 4), (NAMES, AXES[:, :2], 4), (NAMES, AXES[:0], 4), (NAMES, AXES, 0)],
)
def test_what_does_not_fit_or_is_empty_is_refused(labels: np.ndarray, changes: np.ndarray, n: int) -> None:
    with pytest.raises(ValueError, match="received"):
        SyntheticItems(AXES, labels, changes, n)
