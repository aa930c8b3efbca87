"""Labels and the classes behind them: where two data sets mean the same garments, and where they do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion16.search.garments import all_classes, classes_of, share_a_class, targets
from fashion16.sources.clothing import SUBSET
from fashion16.sources.fashion_mnist import CATEGORIES

# what the full crawl tells apart beyond the ten labels of its subset
RARE = ("Blazer", "Blouse", "Body", "Hoodie", "Polo", "Top", "Undershirt")
LABELS = (*CATEGORIES, *SUBSET, *RARE)
CLASSES = all_classes(LABELS)


@pytest.mark.parametrize("label", ["Dress", "Bag", "Hat", "Longsleeve", "T-Shirt", "Sandal", "Body", "a new label"])
def test_a_label_of_one_meaning_is_a_class_of_its_own(label: str) -> None:
    assert classes_of(label) == (label,)


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        ("Pullover", {"Longsleeve", "Hoodie"}),
        ("Trouser", {"Pants"}),
        ("Shirt", {"Shirt", "Blouse"}),
        ("Coat", {"Outwear", "Blazer"}),
        ("T-shirt/top", {"T-Shirt", "Polo", "Undershirt", "Top"}),
        ("Shoes", {"Sandal", "Sneaker", "Ankle boot"}),
    ],
)
def test_a_coarse_label_stands_for_its_finer_classes(label: str, classes: set[str]) -> None:
    assert set(classes_of(label)) == classes
    assert len(classes_of(label)) == len(classes)


def test_both_data_sets_together_have_twenty_classes() -> None:
    assert CLASSES == (
        "Ankle boot",
        "Bag",
        "Blazer",
        "Blouse",
        "Body",
        "Dress",
        "Hat",
        "Hoodie",
        "Longsleeve",
        "Outwear",
        "Pants",
        "Polo",
        "Sandal",
        "Shirt",
        "Shorts",
        "Skirt",
        "Sneaker",
        "T-Shirt",
        "Top",
        "Undershirt",
    )


@given(st.lists(st.sampled_from(LABELS)))
def test_classes_are_sorted_each_once_and_stand_for_none_beyond_themselves(labels: list[str]) -> None:
    classes = all_classes(labels)
    assert list(classes) == sorted(set(classes))
    assert all_classes(classes) == classes
    assert all_classes(reversed(labels)) == classes


def test_each_category_of_fashion_mnist_can_be_told_from_the_others() -> None:
    rows = targets(CATEGORIES, CLASSES)
    np.testing.assert_array_equal(rows @ rows.T > 0, np.eye(10, dtype=bool))


def test_targets_mark_all_that_a_label_may_mean() -> None:
    rows = targets(["Hoodie", "Pullover", "Bag"], ["Bag", "Hoodie", "Longsleeve"])
    assert rows.dtype == np.float32
    assert rows.tolist() == [[0, 1, 0], [0, 1, 1], [1, 0, 0]]


def test_targets_follow_the_order_of_the_classes() -> None:
    labels, order = np.array(["Shoes", "Dress", "Coat"]), np.random.default_rng(1).permutation(len(CLASSES))
    shuffled = targets(labels, [CLASSES[number] for number in order])
    np.testing.assert_array_equal(shuffled, targets(labels, CLASSES)[:, order])


def test_no_labels_have_no_targets() -> None:
    assert targets([], ["Bag", "Hat"]).shape == (0, 2)


@given(st.lists(st.sampled_from(LABELS), min_size=1))
def test_every_label_has_a_target_among_the_classes_of_its_data_set(labels: list[str]) -> None:
    rows = targets(labels, all_classes(labels))
    assert (rows.max(axis=1) == 1).all()
    assert (rows.max(axis=0) == 1).all()
    assert set(np.unique(rows)) <= {0, 1}


@pytest.mark.parametrize(
    ("label", "missing"), [("Pullover", "Hoodie"), ("Hat", "Hat"), ("Shirt", "Blouse"), ("Trouser", "Pants")]
)
def test_a_label_whose_class_is_not_there_is_refused_by_name(label: str, missing: str) -> None:
    with pytest.raises(ValueError, match=f"“{label}” stands for “{missing}”, which is not among the classes"):
        targets(["Dress", label], ["Dress", "Longsleeve", "Shirt"])


@pytest.mark.parametrize(
    ("label", "category", "shared"),
    [
        ("Shoes", "Sneaker", True),
        ("Shoes", "Bag", False),
        ("Blouse", "Shirt", True),
        ("Blouse", "T-shirt/top", False),
        ("Pants", "Trouser", True),
        ("Shorts", "Trouser", False),
        ("Longsleeve", "Pullover", True),
        ("Longsleeve", "Hoodie", False),
        ("Hat", "Hat", True),
        ("Sandal", "Sneaker", False),
    ],
)
def test_a_garment_may_be_put_into_a_category_that_its_label_may_mean(label: str, category: str, shared: bool) -> None:
    assert share_a_class(label, category) is shared
    assert share_a_class(category, label) is shared


@given(st.sampled_from(LABELS), st.sampled_from(LABELS))
def test_labels_share_a_class_where_their_targets_overlap(one: str, other: str) -> None:
    first, second = targets([one, other], CLASSES)
    assert share_a_class(one, other) == bool((first * second).any())
