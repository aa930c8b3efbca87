"""The figures of buckets against numbers worked out by hand, and trials of settings against the index itself."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from fashion16.collections.opened import Collection
from fashion16.errors import SearchError
from fashion16.explore import buckets
from fashion16.explore.buckets import Sizes
from fashion16.search.hyperplanes import RandomHyperplanes, keys_of
from fashion16.search.index import CategoryIndex
from fashion16.search.partition import Partition, Tuning, to_int16
from fashion16.types import Floats
from tests.fakes import unit_vectors

SIZES: Sizes = np.array([4, 0, 1, 3])


def small_index(n: int = 300, d: int = 16, seed: int = 5, categories: tuple[str, ...] = ("Bag",)) -> CategoryIndex:
    names = np.array([categories[row % len(categories)] for row in range(n)])
    return CategoryIndex.build(unit_vectors(n, d, seed=1), np.arange(n) + 10, names, n_bits=32, seed=seed)


def partition_of(keys: list[int], embeddings: Floats, key_bits: int) -> Partition:
    """Items from id 1 that lie in these buckets."""
    codes = (np.array(keys, np.uint8) << (8 - key_bits))[:, None]
    hyperplanes = RandomHyperplanes.draw(np.zeros(embeddings.shape[1], np.float32), 8, 1)
    return Partition.sort(np.arange(len(keys)) + 1, codes, to_int16(embeddings), hyperplanes, key_bits)


def test_figures_are_those_worked_out_by_hand() -> None:
    found = buckets.figures(SIZES)
    assert (found.items, found.key_bits, found.possible, found.used, found.largest) == (8, 2, 4, 3, 4)
    assert found.median == 3  # of 1, 3 and 4
    assert found.empty_share == 0.25
    # all differences of pairs: 4 + 1 + 3 + 2 + 1 + 3 = 14; Gini is their sum by (b * items) = 14 / (4 * 8)
    assert found.gini == pytest.approx(14 / 32)
    assert found.expected_candidates == (16 + 0 + 1 + 9) / 8


def test_equal_buckets_have_a_gini_of_zero_and_one_full_bucket_nearly_one() -> None:
    assert buckets.figures(np.full(64, 5)).gini == pytest.approx(0)
    one = np.zeros(64, np.int64)
    one[7] = 100
    assert buckets.figures(one).gini == pytest.approx(63 / 64)
    assert buckets.figures(one).expected_candidates == 100


def test_no_items_have_figures_too() -> None:
    found = buckets.figures(np.zeros(4, np.int64))
    assert (found.items, found.used, found.median, found.gini, found.expected_candidates) == (0, 0, 0, 0, 0)
    assert found.empty_share == 1
    assert buckets.histogram(np.zeros(4, np.int64)).values.tolist() == [[0, 0, 4, 4]]


def test_the_overview_has_a_row_for_each_category_and_the_probes_that_are_pinned() -> None:
    index = small_index(categories=("Bag", "Coat", "Dress"))
    tuned = CategoryIndex(index.hyperplanes, index.partitions, {"Coat": Tuning(key_bits=4, n_probes=3)})
    rows = buckets.overview(tuned).set_index("category")
    assert rows.index.tolist() == ["Bag", "Coat", "Dress"]
    assert rows["items"].tolist() == [100, 100, 100]
    assert rows["key_bits"].tolist() == [2, 4, 2]  # 100 / 32 is next to 2**2
    assert rows["possible"].tolist() == [4, 16, 4]
    assert rows["n_probes"].tolist() == [0, 3, 0]
    assert buckets.whole(tuned).possible == 24
    assert buckets.whole(tuned).key_bits == 4
    assert buckets.whole(tuned).items == 300


def test_an_index_without_categories_has_an_overview_without_rows() -> None:
    empty = CategoryIndex(small_index().hyperplanes, {})
    assert buckets.overview(empty).empty
    assert "gini" in buckets.overview(empty)
    assert buckets.whole(empty).possible == 0


def test_the_histogram_beside_chance_is_the_binomial_distribution_worked_out_by_hand() -> None:
    found = buckets.histogram(SIZES)
    chances = [comb(8, k) * 0.25**k * 0.75 ** (8 - k) * 4 for k in range(5)]
    assert found["low"].tolist() == found["high"].tolist() == [0, 1, 2, 3, 4]
    assert found["buckets"].tolist() == [1, 1, 0, 1, 1]
    assert found["random"].tolist() == pytest.approx(chances)


def test_a_histogram_of_uneven_buckets_counts_each_once_in_rows_without_a_gap() -> None:
    sizes = np.append(np.random.default_rng(16).integers(0, 40, 1023), 5000)
    found = buckets.histogram(sizes, most=30)
    assert len(found) <= 30
    assert found["low"].iloc[0] == 0
    assert found["high"].iloc[-1] == 5000
    assert (found["low"].iloc[1:].to_numpy() == found["high"].iloc[:-1].to_numpy() + 1).all()
    expected = [int(((sizes >= low) & (sizes <= high)).sum()) for low, high in zip(found.low, found.high, strict=True)]
    assert found["buckets"].tolist() == expected
    assert found["random"].sum() == pytest.approx(1024)


def test_sizes_by_rank_stand_beside_those_of_items_dealt_at_random() -> None:
    found = buckets.rank_sizes(SIZES)
    assert found["rank"].tolist() == [1, 2, 3, 4]
    assert found["size"].tolist() == [4, 3, 1, 0]
    # P(at most 0, 1, 2, 3 of 8) is 0.100, 0.367, 0.679, 0.886; the quantiles are 0.875, 0.625, 0.375, 0.125
    assert found["random"].tolist() == [3, 2, 2, 1]


def test_dealing_at_random_gives_the_sizes_by_rank_that_are_expected_of_it() -> None:
    dealt = np.bincount(np.random.default_rng(16).integers(0, 1024, 32_768), minlength=1024)
    found = buckets.rank_sizes(dealt)
    middle = found[(found["rank"] > 20) & (found["rank"] < 1004)]
    assert (middle["size"] - middle["random"]).abs().max() <= 1
    assert found["random"].iloc[0] == pytest.approx(dealt.max(), abs=6)


def test_many_buckets_are_drawn_as_few_ranks_with_the_first_and_the_last() -> None:
    sizes = np.arange(65_536)
    found = buckets.rank_sizes(sizes, points=400)
    assert 300 < len(found) <= 400
    assert found["rank"].is_unique
    assert found.iloc[0][["rank", "size"]].tolist() == [1, 65_535]
    assert found.iloc[-1][["rank", "size"]].tolist() == [65_536, 0]


def test_one_bucket_holds_what_chance_gives_it_too() -> None:
    assert buckets.histogram(np.array([7]))[["low", "high", "buckets", "random"]].iloc[-1].tolist() == [7, 7, 1, 1]
    assert buckets.rank_sizes(np.array([7])).values.tolist() == [[1, 7, 7]]


def test_a_map_of_four_bits_is_the_one_drawn_by_hand() -> None:
    assert buckets.gray_map(4).tolist() == [
        [0b0000, 0b0001, 0b0011, 0b0010],
        [0b0100, 0b0101, 0b0111, 0b0110],
        [0b1100, 0b1101, 0b1111, 0b1110],
        [0b1000, 0b1001, 0b1011, 0b1010],
    ]


@pytest.mark.parametrize("key_bits", range(11))
def test_cells_side_by_side_differ_in_one_bit_and_each_bucket_has_one_cell(key_bits: int) -> None:
    cells = buckets.gray_map(key_bits)
    assert cells.shape == (2 ** ((key_bits + 1) // 2), 2 ** (key_bits // 2))
    assert sorted(cells.ravel().tolist()) == list(range(2**key_bits))
    for one, other in ((cells[1:], cells[:-1]), (cells[:, 1:], cells[:, :-1])):
        assert (np.bitwise_count(one ^ other) == 1).all()


def test_the_items_of_a_bucket_are_those_whose_code_names_it() -> None:
    partition = partition_of([2, 0, 2, 3], unit_vectors(4, 8, seed=2), key_bits=2)
    assert [buckets.bucket_items(partition, bucket).tolist() for bucket in range(4)] == [[2], [], [1, 3], [4]]
    assert buckets.sizes_of(partition).tolist() == [1, 0, 2, 1]
    with pytest.raises(ValueError, match="0 to 3, received 4"):
        buckets.bucket_items(partition, 4)


def test_alikeness_is_the_mean_cosine_of_all_pairs() -> None:
    # in bucket 1 three vectors with cosines 0, 0.6 and 0.8; in bucket 0 one, in bucket 2 two that are opposite
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0.6, 0.8], [1, 0], [-1, 0]], np.float32)
    partition = partition_of([0, 1, 1, 1, 2, 2], vectors, key_bits=2)
    assert buckets.alikeness(partition, 1) == pytest.approx(1.4 / 3, abs=0.005)
    assert buckets.alikeness(partition, 2) == pytest.approx(-1, abs=0.005)
    assert buckets.alikeness(partition, 0) is None
    assert buckets.alikeness(partition, 3) is None
    cosines = vectors @ vectors.T
    assert buckets.alikeness(partition) == pytest.approx((cosines.sum() - 6) / 30, abs=0.005)


def test_todays_own_settings_give_todays_buckets(collection: Collection) -> None:
    index = collection.searcher.index
    for name in ("Bag", "Shirt"):
        partition = index.partitions[name]
        found = buckets.what_if(partition, 512, partition.key_bits, 2019)
        assert found.sizes.tolist() == buckets.sizes_of(partition).tolist()


def test_a_trial_is_the_index_that_would_be_built_of_the_same_embeddings() -> None:
    index = small_index()
    partition = index.partitions["Bag"]
    built = CategoryIndex.build(index.embeddings(partition.ids), partition.ids, np.full(300, "Bag"), 64, seed=8)
    its = built.partitions["Bag"]
    found = buckets.what_if(partition, 64, its.key_bits, 8)
    assert found.sizes.tolist() == buckets.sizes_of(its).tolist()
    assert found.figures == buckets.figures(buckets.sizes_of(its))
    assert buckets.rebucket(partition, its.key_bits, 8).tolist() == found.sizes.tolist()
    assert found.bytes_per_item == 64 // 8 + 2 * 16 + 8
    # all 300 are re-ranked by their cosine, so nothing can be missed
    assert (found.recall_at_20.value, found.recall_at_20.n, found.candidates) == (1, 60, 300)


def test_recall_under_few_probes_is_the_share_of_the_nearest_in_the_probed_buckets() -> None:
    index = small_index()
    partition = index.partitions["Bag"]

    def trial(n_probes: int) -> buckets.WhatIf:
        return buckets.what_if(partition, 32, 4, 9, n_probes, queries=300)

    vectors = index.embeddings(partition.ids)
    keys = keys_of(RandomHyperplanes.draw(partition.hyperplanes.mean, 32, 9).encode(vectors), 4)
    nearest = np.argsort(-(vectors @ vectors.T), axis=1, kind="stable")[:, :20]
    assert trial(1).recall_at_20.value == pytest.approx((keys[nearest] == keys[:, None]).mean())
    assert trial(1).candidates == pytest.approx(trial(1).figures.expected_candidates)  # every item asks once
    assert trial(1).recall_at_20.value < trial(8).recall_at_20.value < trial(16).recall_at_20.value == 1


def test_a_category_of_fewer_than_twenty_items_is_found_whole() -> None:
    index = small_index(n=3)
    found = buckets.what_if(index.partitions["Bag"], 8, 0, 1)
    assert (found.recall_at_20.value, found.recall_at_20.n, found.candidates) == (1, 3, 3)
    assert found.sizes.tolist() == [3]


def test_equal_items_do_not_lower_recall() -> None:
    same = np.repeat(unit_vectors(1, 16, seed=4), 50, axis=0)
    partition = partition_of([0] * 50, same, key_bits=0)
    assert buckets.what_if(partition, 8, 1, 1).recall_at_20.value == 1


def test_settings_that_cannot_be_are_refused() -> None:
    index = small_index()
    partition = index.partitions["Bag"]
    with pytest.raises(ValueError, match="n_bits"):
        buckets.what_if(partition, 12, 4, 1)
    with pytest.raises(ValueError, match="key_bits must be in 0 to 8, received 9"):
        buckets.what_if(partition, 8, 9, 1)
    with pytest.raises(ValueError, match="key_bits must be in 0 to 16, received 17"):
        buckets.rebucket(partition, 17, 1)
    with pytest.raises(SearchError, match="n_probes"):
        buckets.what_if(partition, 8, 4, 1, n_probes=0)
    with pytest.raises(ValueError, match="without items"):
        buckets.what_if(partition.without(np.arange(300)), 8, 4, 1)
