"""The paper's experiments on embeddings whose answers can be worked out in one's head."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from experiments.paper.precision import (
    ByGuess,
    OfSamples,
    Pictures,
    classification_precision,
    found_again,
    found_in,
    labels_of,
    precision_by_size,
    precisions,
    without,
    wrong_categories,
)
from experiments.paper.searches import Gallery, ask, figures, recalls, timing
from experiments.synthetic import SyntheticItems
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex
from fashion16.search.searcher import Searcher
from fashion16.types import Floats
from tests.fakes import FakeEncoder, unit_vectors

ALONG_AXES = Head(np.eye(3, dtype=np.float32), np.zeros(3, np.float32), ("A", "B", "C"), "", 0)


def near(axis: int, n: int, d: int = 3) -> Floats:
    """n unit vectors close to an axis, no two of them equal."""
    vectors = np.random.default_rng(axis).normal(0, 0.02, (n, d)).astype(np.float32)
    vectors[:, axis] += 1
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def pictures(embeddings: list[Floats], labels: str, first_id: int = 1) -> Pictures:
    together = np.concatenate(embeddings).astype(np.float32)
    return Pictures(np.arange(first_id, first_id + len(together)), together, np.array(list(labels)))


def test_ids_have_the_labels_of_their_items_and_unknown_ones_an_empty_label() -> None:
    found = labels_of(np.array([[7, 2], [-1, 5]]), np.array([2, 4, 7]), np.array(["a", "b", "c"]))
    assert found.tolist() == [["c", "a"], ["", ""]]


def test_a_query_is_left_out_of_its_results_or_else_the_last() -> None:
    found = np.array([[1, 2, 3], [4, 5, 6], [9, -1, -1]])
    assert without(found, np.array([2, 1, 9])).tolist() == [[1, 3], [4, 5], [-1, -1]]


def test_precision_is_the_share_of_results_with_the_querys_label() -> None:
    labels = np.array([["a", "b", "a", "a"], ["b", "", "", ""], ["", "", "", ""]])
    assert precisions(labels, np.array(["a", "b", "a"])).tolist() == [0.75, 1, 0]


def test_classification_precision_of_all_and_of_samples() -> None:
    # 3 of 4 right: Wilson's interval by its formula is 0.3006 to 0.9544; a sample of all four is always 3 of 4
    test = Pictures(np.arange(4), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]], np.array(["A", "B", "C", "B"]))
    found = classification_precision(ALONG_AXES, test, sample=1000, samples=5)
    assert found.all.value == 0.75 and found.all.n == 4
    assert (found.all.low, found.all.high) == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert found.samples == OfSamples(0.75, 0.75, 0.75, 4, 5)
    # samples of one are right or wrong, and most of them right
    one = classification_precision(ALONG_AXES, test, sample=1, samples=2000).samples
    assert (one.low, one.high) == (0, 1)
    assert one.value == pytest.approx(0.75, abs=0.04)


def test_precision_by_size_of_what_is_easily_told_apart() -> None:
    gallery = pictures([near(0, 40), near(1, 40)], "A" * 40 + "B" * 40)
    # the last query looks like an A, and is none
    test = pictures([near(0, 3)[:3], near(0, 1)], "AAAB", first_id=1000)
    told: list[tuple[int, int]] = []
    points = precision_by_size(gallery, test, (60, 500), (1, 2), 10, lambda done, total: told.append((done, total)))
    assert [point.items for point in points] == [60, 80]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for point in points:
        assert (point.precision, point.lowest, point.highest, point.n) == (0.75, 0.75, 0.75, 4)
        # of 1, 1, 1, 0 the deviation is 0.5: 0.75 - 1.96 * 0.5 / 2
        assert point.low == pytest.approx(0.26) and point.high == 1
        for figure in (point.classification, point.direct, point.without_labels):
            assert figure.value == 0.75


def test_a_gallery_without_labels_lies_where_the_head_puts_it() -> None:
    gallery = pictures([near(0, 20), near(1, 20)], "A" * 15 + "B" * 5 + "B" * 15 + "A" * 5)
    test = pictures([near(0, 1), near(1, 1)], "AB", first_id=1000)
    (point,) = precision_by_size(gallery, test, (40,), (1,), 10)
    assert point.precision == 1  # those labelled otherwise lie in another category
    assert point.without_labels.value == 0.75  # 15 of the 20 that look alike carry the label
    assert point.direct.value == 0.75


@pytest.fixture(scope="module")
def clothes() -> Pictures:
    """Thirty items near each of three axes."""
    return pictures([near(0, 30), near(1, 30), near(2, 30)], "A" * 30 + "B" * 30 + "C" * 30)


@pytest.fixture(scope="module")
def index(clothes: Pictures) -> CategoryIndex:
    return CategoryIndex.build(clothes.embeddings, clothes.ids, clothes.labels)


def test_each_query_is_searched_in_its_own_category(index: CategoryIndex) -> None:
    found = found_in(index, near(0, 3), np.array(["B", "A", "Z"]), 31)
    assert sorted(found[0]) == [-1, *range(31, 61)]
    assert sorted(found[1]) == [-1, *range(1, 31)]
    assert (found[2] == -1).all()  # the index has no such category


def test_what_a_wrong_guess_costs(clothes: Pictures, index: CategoryIndex) -> None:
    # the first is the first item, and classified rightly; the second is a B that looks like an A, then like a B
    embeddings = np.stack([clothes.embeddings[0], [0.8, 0.6, 0]]).astype(np.float32)
    found = wrong_categories(ALONG_AXES, index, clothes, Pictures(np.array([1, 500]), embeddings, np.array(["A", "B"])))
    assert (found.wrong_in_category.value, found.wrong_direct.value) == (0.5, 0.5)
    assert (found.wrongly_classified.value, found.wrongly_classified.n) == (0.5, 2)
    assert {way: figure.value for way, figure in vars(found.right).items()} == {
        "first_guess": 1, "second_guess": 0, "direct": 1
    }  # fmt: skip
    # everything nearest to it is an A
    assert {way: figure.value for way, figure in vars(found.wrong).items()} == {
        "first_guess": 0, "second_guess": 1, "direct": 0
    }  # fmt: skip


def test_without_a_wrong_guess_it_costs_nothing_that_can_be_told(clothes: Pictures, index: CategoryIndex) -> None:
    found = wrong_categories(ALONG_AXES, index, clothes, clothes.some(10))
    assert found.wrong == ByGuess(None, None, None)
    assert found.wrongly_classified.value == 0


def test_copies_find_their_originals_where_they_are_searched() -> None:
    between = np.array([[0.6, 0.8, 0]], np.float32)  # a B that is on its way to A
    clothes = pictures([near(0, 30), between, near(1, 30), near(2, 30)], "A" * 30 + "B" * 31 + "C" * 30)
    index = CategoryIndex.build(clothes.embeddings, clothes.ids, clothes.labels)
    copies = np.array([clothes.embeddings[0], [0.75, 0.6614, 0]], np.float32)
    found = found_again(ALONG_AXES, index, copies, clothes.of(np.array([0, 30])))
    assert {way: figure.value for way, figure in vars(found.all).items()} == {
        "first_guess": 0.5, "second_guess": 0.5, "direct": 1, "two_guesses": 1
    }  # fmt: skip
    assert {way: (figure.value, figure.n) for way, figure in vars(found.wrong).items()} == {
        "first_guess": (0, 1), "second_guess": (1, 1), "direct": (1, 1), "two_guesses": (1, 1)
    }  # fmt: skip


def test_seconds_have_their_mean_interval_median_and_95th_percentile() -> None:
    found = timing(np.array([1.0, 2.0, 3.0]))
    # the deviation is 1, so half the interval is 1.96 / root of 3
    assert vars(found) == pytest.approx(
        {"value": 2, "low": 0.8684, "high": 3.1316, "n": 3, "median": 2, "p95": 2.9}, abs=1e-4
    )
    assert timing(np.array([5.0])).high == 5  # longer than a second, and one alone


def test_recall_is_the_share_of_true_neighbours_in_any_order() -> None:
    truth = np.array([[1, 2, 3, 4], [5, 6, -1, -1], [-1, -1, -1, -1]])
    found = np.array([[4, 9, 1, -1], [6, 7, -1, -1], [1, -1, -1, -1]])
    assert recalls(found, truth).tolist() == [0.5, 0.5, 0]


def test_an_index_of_synthetic_items_holds_each_of_them_in_its_category() -> None:
    real, changes = unit_vectors(50, 16, seed=1), 0.1 * unit_vectors(7, 16, seed=2)
    labels = np.array(["A", "B"])[np.arange(50) % 2]
    items = SyntheticItems(real, labels, changes, 333)
    told: list[tuple[int, int]] = []
    gallery = Gallery.synthetic(items, lambda done, total: told.append((done, total)))
    embeddings, expected = items.items(np.arange(333))
    assert len(gallery) == len(gallery.index) == 333
    assert gallery.labels.tolist() == expected.tolist()
    assert told[-1] == (666, 666)
    for name in ("A", "B"):
        ids = np.sort(gallery.index.partitions[name].ids)
        assert ids.tolist() == np.flatnonzero(expected == name).tolist()
    assert np.einsum("nd,nd->n", gallery.index.embeddings(np.arange(333)), embeddings).min() > 0.999


def png(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, "PNG")
    return file.getvalue()


def test_photos_are_searched_both_ways_and_compared_with_exact_search() -> None:
    # 25 reds and 25 blues, lighter and lighter; the head knows them by the first and the third value
    encoder = FakeEncoder()
    colours = [(255, 2 * i, 0) for i in range(25)] + [(0, 2 * i, 255) for i in range(25)]
    embeddings = encoder.encode(np.stack([np.full((8, 8, 3), colour, np.uint8) for colour in colours]))
    items = Pictures(np.arange(10, 60), embeddings, np.array(["red"] * 25 + ["blue"] * 25))
    weights = np.zeros((12, 2), np.float32)
    weights[2, 0] = weights[0, 1] = 20
    head = Head(weights, np.zeros(2, np.float32), ("blue", "red"), encoder.digest, 0)
    index = CategoryIndex.build(embeddings, items.ids, items.labels)
    gallery = Gallery.real(index, items)
    searcher = Searcher(encoder, head, index, side=8)
    own = np.array([10, 59])

    asked = ask(searcher, [png(colours[0]), png(colours[-1])], own)
    assert asked.places.tolist() == ["red", "blue"]
    assert asked.found["in_category"].shape == (2, 20)
    assert 10 not in asked.found["direct"][0] and 59 not in asked.found["direct"][1]
    assert sorted(asked.found["in_category"][0])[0] == 11  # the next lighter red is the most like it
    for way in ("in_category", "direct"):
        assert (asked.end_to_end[way] > asked.search[way]).all() and (asked.search[way] > 0).all()
    assert asked.candidates["in_category"].tolist() == [25, 25]
    assert asked.candidates["direct"].tolist() == [50, 50]

    found = figures(asked, gallery, np.array(["red", "red"]), own)
    assert found.items == 50
    # everything was compared, so nothing is missed but by the index's 8 bits; the second has another label
    for way, its in (("in_category", found.in_category), ("direct", found.direct)):
        assert its.precision_at_20.value == 0.5
        assert its.recall_at_20.value >= 0.9
        assert its.recall_of_everything.value >= 0.9
        assert its.seconds.n == 2
        assert its.seconds.value == pytest.approx(asked.end_to_end[way].mean())
    took = {way: asked.search[way].sum() for way in ("in_category", "direct")}
    assert found.direct_to_in_category == pytest.approx(took["direct"] / took["in_category"])
