"""The Fashion-16 query, on an encoder, a head and an index that can be worked out in one's head."""

from __future__ import annotations

import numpy as np
import pytest

from fashion16.errors import SearchError
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex
from fashion16.search.searcher import Answer, Searcher
from fashion16.types import Floats, Pixels
from tests.fakes import FakeEncoder

WHITE: Pixels = np.full((32, 32, 3), 255, np.uint8)
BLACK: Pixels = np.zeros((32, 32, 3), np.uint8)
# what the fake makes of white: each of twelve means is as far above mid-grey
QUERY: Floats = np.full(12, 12**-0.5, np.float32)

# id: category, cosine with white, and the direction in which it leaves white. 1 is all but white itself;
# 2 and 3 are one picture saved twice.
ITEMS = {
    1: ("Bag", 0.99, 0),
    2: ("Bag", 0.9, 1),
    3: ("Bag", 0.9, 1),
    4: ("Bag", 0.7, 2),
    11: ("Coat", 0.95, 3),
    12: ("Coat", 0.6, 4),
    21: ("Dress", 0.85, 5),
}


def searcher(*ids: int) -> Searcher:
    """A searcher over these items, all when none is named; it takes bright pictures for bags, dark ones for coats."""
    chosen = ids or tuple(ITEMS)
    # an orthonormal basis whose first direction is white
    basis, _ = np.linalg.qr(np.column_stack([QUERY, np.eye(12)[:, :11]]))
    directions = basis[:, 1:].T
    embeddings = [c * QUERY + np.sqrt(1 - c * c) * directions[at] for _, c, at in (ITEMS[i] for i in chosen)]
    categories = np.array([ITEMS[i][0] for i in chosen])
    index = CategoryIndex.build(np.array(embeddings, np.float32), np.array(chosen), categories, n_bits=64, seed=0)
    # logits of white: 12 * 12**-0.5 = 3.46 for a bag, 0 for a dress, -3.46 for a coat
    head = Head(
        np.stack([np.ones(12), -np.ones(12), np.zeros(12)], axis=1).astype(np.float32),
        np.zeros(3, np.float32),
        ("Bag", "Coat", "Dress"),
        FakeEncoder().digest,
        0,
    )
    return Searcher(FakeEncoder(), head, index, side=32)


def ids(answer: Answer) -> list[int]:
    return [result.id for result in answer.results]


def test_a_photo_is_classified_with_the_most_likely_category_first() -> None:
    white = searcher().classify(WHITE)
    assert list(white.probabilities) == ["Bag", "Dress", "Coat"]
    assert white.category == "Bag"
    # e**3.4641 = 31.95 against 1 and 1 / 31.95
    assert white.probabilities["Bag"] == pytest.approx(31.95 / (31.95 + 1 + 1 / 31.95), abs=1e-4)
    np.testing.assert_allclose(white.embedding, QUERY, atol=1e-6)
    assert searcher().classify(BLACK).category == "Coat"


def test_a_search_finds_the_most_similar_of_the_predicted_category() -> None:
    answer = searcher().search(WHITE, k=3)
    assert answer.searched == ("Bag",)
    assert ids(answer) == [1, 2, 3]
    assert [result.rank for result in answer.results] == [1, 2, 3]
    np.testing.assert_allclose([result.similarity for result in answer.results], [0.99, 0.9, 0.9], atol=0.005)
    assert (answer.candidates, answer.buckets, answer.hidden) == (4, 0, 0)


def test_one_pass_of_the_network_answers_every_choice_of_categories() -> None:
    fresh = searcher()
    white = fresh.classify(WHITE)
    for categories in (None, ["Coat"], ["Bag", "Dress"]):
        fresh.find(white, categories=categories)
    assert isinstance(fresh.encoder, FakeEncoder)
    assert fresh.encoder.batches == [1]


def test_another_category_can_be_searched_instead() -> None:
    fresh = searcher()
    answer = fresh.find(fresh.classify(WHITE), categories=["Dress"])
    assert answer.searched == ("Dress",)
    assert ids(answer) == [21]


def test_several_categories_are_ranked_as_one() -> None:
    answer = searcher().search(WHITE, categories=["Dress", "Coat"])
    assert ids(answer) == [11, 21, 12]
    assert answer.candidates == 3


def test_a_direct_search_ranks_all_categories_as_one() -> None:
    fresh = searcher()
    assert ids(fresh.search(WHITE, categories=fresh.index.categories)) == [1, 11, 2, 3, 21, 4, 12]


def test_fewer_items_than_asked_for_are_all_found() -> None:
    answer = searcher().search(WHITE, k=1000)
    assert ids(answer) == [1, 2, 3, 4]


def test_what_is_left_out_is_never_found_and_replaced_by_the_next_best() -> None:
    for left_out, expected in ((1, [2, 3]), (2, [1, 3]), (4, [1, 2]), (999, [1, 2])):
        assert ids(searcher().search(WHITE, k=2, leave_out=left_out)) == expected


def test_near_duplicates_are_hidden_and_counted() -> None:
    answer = searcher().search(WHITE, k=2, hide_near_duplicates=True)
    # 1 is nearly the query itself, 3 is 2 once more
    assert ids(answer) == [2, 4]
    assert [result.rank for result in answer.results] == [1, 2]
    assert answer.hidden == 2


def test_only_what_was_passed_over_counts_as_hidden() -> None:
    answer = searcher().search(WHITE, k=1, hide_near_duplicates=True)
    assert (ids(answer), answer.hidden) == ([2], 1)


def test_near_duplicates_after_the_last_result_count_when_results_run_out() -> None:
    answer = searcher(2, 3).search(WHITE, k=2, hide_near_duplicates=True)
    assert (ids(answer), answer.hidden) == ([2], 1)


def test_when_everything_is_a_near_duplicate_nothing_is_left() -> None:
    answer = searcher(1).search(WHITE, hide_near_duplicates=True)
    assert (ids(answer), answer.hidden) == ([], 1)


def test_near_duplicates_are_hidden_beside_an_item_left_out() -> None:
    answer = searcher().search(WHITE, k=2, leave_out=1, hide_near_duplicates=True)
    assert (ids(answer), answer.hidden) == ([2, 4], 1)


def test_each_step_is_timed_in_order() -> None:
    answer = searcher().search(WHITE)
    assert list(answer.classified.milliseconds) == ["prepare", "encode", "classify"]
    assert list(answer.milliseconds) == ["prepare", "encode", "classify", "search"]
    assert all(ms >= 0 for ms in answer.milliseconds.values())


def test_two_answers_to_one_question_are_equal_whatever_time_they_took() -> None:
    fresh = searcher()
    white = fresh.classify(WHITE)
    assert fresh.find(white) == fresh.find(white)


def test_a_category_that_lost_its_last_item_gives_way_to_the_next_guess() -> None:
    fresh = searcher(11, 12, 21)
    answer = fresh.search(WHITE)
    assert answer.classified.category == "Bag"
    assert answer.searched == ("Dress",)
    with pytest.raises(SearchError, match="no category “Bag”. It has: Coat, Dress"):
        fresh.search(WHITE, categories=["Bag"])


def test_an_unknown_category_is_refused_with_those_there_are() -> None:
    with pytest.raises(SearchError, match="no category “Hat”. It has: Bag, Coat, Dress."):
        searcher().search(WHITE, categories=["Bag", "Hat"])


def test_no_category_is_refused() -> None:
    with pytest.raises(SearchError, match="Choose at least one category"):
        searcher().search(WHITE, categories=[])


def test_an_index_without_items_is_refused() -> None:
    fresh = searcher(1)
    fresh.index.remove([1])
    with pytest.raises(SearchError, match="Choose at least one category"):
        fresh.search(WHITE)


@pytest.mark.parametrize("k", [0, -1])
@pytest.mark.parametrize("choices", [{}, {"leave_out": 1}, {"hide_near_duplicates": True}])
def test_k_below_1_is_refused_whatever_else_is_asked(k: int, choices: dict[str, object]) -> None:
    with pytest.raises(SearchError, match=f"at least 1, received {k}"):
        searcher().search(WHITE, k=k, **choices)


def test_n_probes_below_1_is_refused() -> None:
    with pytest.raises(SearchError, match="at least 1"):
        searcher().search(WHITE, n_probes=0)


def test_a_grey_photo_of_any_proportions_can_be_searched_with() -> None:
    grey = np.full((40, 7), 255, np.uint8)
    assert ids(searcher().search(grey, k=2)) == [1, 2]
