"""A followed query and curves of recall against searches of all items, worked out independently."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fashion16.collections.opened import Collection
from fashion16.errors import SearchError
from fashion16.explore import probing
from fashion16.search.hyperplanes import RandomHyperplanes, keys_of, pack
from fashion16.search.index import RERANK, CategoryIndex
from fashion16.search.partition import Partition, Tuning, to_int16
from fashion16.types import Floats
from tests.fakes import unit_vectors


def small_index(
    n: int = 300, d: int = 16, n_bits: int = 64, key_bits: int | None = 4, n_probes: int | None = None
) -> CategoryIndex:
    """Items from id 10 in one category of 16 buckets, and one item in another."""
    vectors = unit_vectors(n + 1, d, seed=1)
    names = np.array(["Bag"] * n + ["Coat"])
    return CategoryIndex.build(
        vectors, np.arange(n + 1) + 10, names, n_bits, seed=5, tunings={"Bag": Tuning(key_bits, n_probes)}
    )


def others_by_cosine(index: CategoryIndex, category: str, item_id: int, k: int) -> list[int]:
    """The k nearest others, by sorting all cosines of the stored embeddings in double precision."""
    ids = index.partitions[category].ids
    stored = index.partitions[category].embeddings.astype(np.float64)
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    cosines = stored @ stored[ids == item_id][0]
    return [int(i) for i in ids[np.lexsort((ids, -cosines))] if i != item_id][:k]


def two_planes() -> CategoryIndex:
    """Items in the plane whose buckets are its quadrants: bit 0 is the sign of x, bit 1 the sign of y."""
    vectors = np.array([[0.8, 0.6], [0.6, 0.8], [-0.6, 0.8], [-0.8, 0.6], [-0.6, -0.8], [0.8, -0.6]], np.float32)
    planes = np.zeros((2, 8), np.float32)
    planes[0, 0] = planes[1, 1:] = 1
    hyperplanes = RandomHyperplanes(planes, np.zeros(2, np.float32))
    partition = Partition.sort(np.arange(1, 7), hyperplanes.encode(vectors), to_int16(vectors), hyperplanes, 2)
    return CategoryIndex(hyperplanes, {"Bag": partition})


def test_a_query_in_the_plane_is_followed_as_by_hand() -> None:
    query = np.array([0.6, 0.8], np.float32)
    followed = probing.follow(two_planes(), "Bag", query, k=3)
    assert followed.bits.tolist() == [True] * 8
    assert followed.margins.tolist() == pytest.approx([0.6] + [0.8] * 7)
    assert followed.key_bits == 2
    # its own quadrant; then across x = 0, which is 0.6 away; across y = 0, which is 0.8 away; across both
    rows = followed.probes
    assert rows["order"].tolist() == [1, 2, 3, 4]
    assert rows["bucket"].tolist() == [0b11, 0b01, 0b10, 0b00]
    assert rows["flipped"].tolist() == [0, 1, 1, 2]
    assert rows["distance"].tolist() == pytest.approx([0, 0.36, 0.64, 1.0])
    assert rows["items"].tolist() == [2, 2, 1, 1]
    assert rows["candidates"].tolist() == [2, 4, 5, 6]
    # cosines: item 2 is the query, 1: 0.48 + 0.48, 3: -0.36 + 0.64, 4: 0, 6: 0, 5: -1
    assert followed.true_ids.tolist() == [2, 1, 3]
    assert followed.true_buckets.tolist() == [0b11, 0b11, 0b01]
    assert followed.true_similarities.tolist() == pytest.approx([1, 0.96, 0.28], abs=0.005)
    assert rows["true"].tolist() == [2, 1, 0, 0]
    assert rows["found"].tolist() == pytest.approx([2 / 3, 1, 1, 1])


def test_an_item_that_is_left_out_is_no_neighbour_but_counted_in_its_bucket() -> None:
    index = two_planes()
    followed = probing.follow(index, "Bag", np.array([0.6, 0.8], np.float32), k=2, leave_out=2)
    assert followed.true_ids.tolist() == [1, 3]
    assert followed.probes["true"].tolist() == [1, 1, 0, 0]
    assert followed.probes["items"].tolist() == [2, 2, 1, 1]


def test_all_of_a_small_category_are_neighbours_and_an_item_alone_has_none() -> None:
    index = small_index()
    alone = index.partitions["Coat"].ids[0]
    query = index.embeddings([alone])[0]
    assert probing.follow(index, "Coat", query).true_ids.tolist() == [alone]
    without = probing.follow(index, "Coat", query, leave_out=int(alone))
    assert without.true_ids.tolist() == []
    assert without.probes["found"].tolist() == [0]


@pytest.mark.parametrize("item_id", [10, 57, 309])
def test_a_followed_item_agrees_with_its_stored_code_the_buckets_and_all_cosines(item_id: int) -> None:
    index = small_index()
    partition = index.partitions["Bag"]
    embedding = index.embeddings([item_id])[0]
    followed = probing.follow(index, "Bag", embedding, k=12, leave_out=item_id)
    assert np.packbits(followed.bits).tolist() == index.hyperplanes.encode(embedding[None])[0].tolist()
    assert pack(followed.margins[None])[0].tolist() == np.packbits(followed.bits).tolist()
    rows = followed.probes
    key = int(keys_of(index.hyperplanes.encode(embedding[None]), 4)[0])
    assert sorted(rows["bucket"]) == list(range(16))
    assert rows["bucket"].iloc[0] == key
    assert rows["distance"].is_monotonic_increasing
    keys = keys_of(partition.codes, 4)
    for row in rows.itertuples():
        across = [place for place in range(4) if (row.bucket ^ key) >> (3 - place) & 1]
        assert row.flipped == len(across)
        assert row.distance == pytest.approx(sum(float(followed.margins[place]) ** 2 for place in across), abs=1e-6)
        assert row.items == (keys == row.bucket).sum()
    assert rows["candidates"].tolist() == np.cumsum(rows["items"]).tolist()
    assert rows["candidates"].iloc[-1] == 300
    assert followed.true_ids.tolist() == others_by_cosine(index, "Bag", item_id, 12)
    assert rows["true"].sum() == 12
    assert rows["found"].iloc[-1] == 1


def test_the_first_probes_hold_what_a_search_with_so_many_compares_and_finds() -> None:
    index = small_index()
    embedding = index.embeddings([77])[0]
    followed = probing.follow(index, "Bag", embedding)
    for row in followed.probes.itertuples():
        found = index.search(embedding[None], ["Bag"], 20, n_probes=row.order)
        assert found.candidates[0] == row.candidates
        # so few candidates are all re-ranked: what lies in the probed buckets is found
        assert len(set(found.ids[0].tolist()) & set(followed.true_ids.tolist())) == round(20 * row.found)


def recall_by_hand(index: CategoryIndex, n_probes: int | None) -> list[float]:
    """Recall@20 of others, of a search with each item of the category."""
    recalls = []
    for item_id in index.partitions["Bag"].ids.tolist():
        found = index.search(index.embeddings([item_id]), ["Bag"], 21, n_probes).ids[0].tolist()
        recalls.append(len(set(found) & set(others_by_cosine(index, "Bag", item_id, 20))) / 20)
    return recalls


def test_recall_by_probes_is_that_of_searches_with_every_item() -> None:
    index = small_index()
    table = probing.recall_by_probes(index, "Bag", n_queries=1000)  # more than there are: all of them
    assert table["n_probes"].tolist() == [1, 2, 4, 8, 16, 0]
    assert table["n"].tolist() == [300] * 6
    assert table["default"].tolist() == [False] * 5 + [True]
    for row in table.itertuples():
        # item 175 has two twentieth neighbours, whose cosines differ by 1e-7: either counts here
        by_hand = np.mean(recall_by_hand(index, row.n_probes or None))
        assert row.recall == pytest.approx(by_hand, abs=1 / 20 / 300 + 1e-9)
        assert row.low <= row.recall <= row.high
    assert table["buckets"].tolist() == [1, 2, 4, 8, 16, 0]
    sizes = np.diff(index.partitions["Bag"].starts)
    stored = index.embeddings(index.partitions["Bag"].ids)
    # hashed from its rounded embedding an item may lie across a hyperplane from where it is kept
    searched = keys_of(index.partitions["Bag"].hyperplanes.encode(stored), 4)
    assert table["candidates"].iloc[0] == pytest.approx(sizes[searched].mean())
    assert table["candidates"].iloc[4:].tolist() == [300, 300]
    assert (table["milliseconds"] > 0).all()


def test_the_interval_is_that_of_the_queries_mean() -> None:
    index = small_index()
    recalls = np.array(recall_by_hand(index, 2))
    row = probing.recall_by_probes(index, "Bag", 300, points=[2]).iloc[0]
    half = 1.96 * recalls.std(ddof=1) / 300**0.5
    assert (row["low"], row["high"]) == pytest.approx((recalls.mean() - half, recalls.mean() + half))


@pytest.mark.parametrize("n", [30, RERANK])
def test_recall_never_falls_with_probes_while_all_candidates_are_re_ranked(n: int) -> None:
    table = probing.recall_by_probes(small_index(n), "Bag", seed=3)
    by_probes = table[table["n_probes"] > 0]
    assert by_probes["recall"].is_monotonic_increasing
    assert by_probes["candidates"].is_monotonic_increasing
    assert by_probes["recall"].iloc[-1] == 1  # every bucket, every candidate: the exact search


def test_items_that_are_equally_near_are_as_good_as_each_other() -> None:
    """All 40 embeddings are one: any 20 others are the nearest, and the search has to choose by id."""
    same = np.repeat(unit_vectors(1, 16, seed=2), 40, axis=0)
    index = CategoryIndex.build(same, np.arange(40), np.array(["Bag"] * 40), n_bits=64)
    table = probing.recall_by_probes(index, "Bag")
    assert table["recall"].tolist() == [1] * len(table)


def test_what_is_pinned_is_the_default_and_no_search_of_the_whole_is_added() -> None:
    table = probing.recall_by_probes(small_index(n_probes=3), "Bag", 50)
    assert table["n_probes"].tolist() == [1, 2, 3, 4, 8, 16]
    assert table["n_probes"][table["default"]].tolist() == [3]


def test_points_are_taken_once_in_order_and_are_no_more_than_the_buckets() -> None:
    table = probing.recall_by_probes(small_index(), "Bag", 20, points=[500, 2, 2, 16])
    assert table["n_probes"].tolist() == [2, 16, 0]


def figures(table: pd.DataFrame) -> Floats:
    return table.drop(columns="milliseconds").to_numpy(float)


def test_the_same_seed_asks_the_same_queries_and_another_one_others() -> None:
    index = small_index()
    once, again, other = (probing.recall_by_probes(index, "Bag", 40, seed) for seed in (1, 1, 2))
    assert np.array_equal(figures(once), figures(again))
    assert not np.array_equal(figures(once), figures(other))


def test_the_bar_is_told_often_and_at_the_end() -> None:
    told: list[tuple[int, int]] = []
    probing.recall_by_probes(small_index(), "Bag", 50, progress=lambda *done: told.append(done), points=[1, 2])
    assert told[-1] == (150, 150)  # two points and what a search does by itself, 50 queries each
    assert [done for done, _ in told] == [*range(20, 141, 20), 150]
    told.clear()
    probing.recall_by_bits(small_index(), "Bag", (32, 128), 50, progress=lambda *done: told.append(done))
    assert told[-1] == (150, 150)


def test_recall_by_bits_has_the_index_itself_at_its_own_length() -> None:
    index = small_index(n_probes=3)
    table = probing.recall_by_bits(index, "Bag", (32, 128), 60, seed=4)
    assert table["n_bits"].tolist() == [32, 64, 128]
    assert table["bytes"].tolist() == [4, 8, 16]
    assert table["default"].tolist() == [False, True, False]
    assert table["n"].tolist() == [60] * 3
    usual = probing.recall_by_probes(index, "Bag", 60, seed=4).set_index("default").loc[True]
    own = table.set_index("default").loc[True]
    assert (own["recall"], own["candidates"]) == (usual["recall"], usual["candidates"])


def test_a_code_of_another_length_is_searched_as_an_index_of_that_length() -> None:
    """A new index of the stored embeddings, about the same mean: 6,000 items, of which 600 are re-ranked."""
    index = small_index(6000, 32, 128, key_bits=None)
    partition = index.partitions["Bag"]
    hyperplanes = RandomHyperplanes.draw(index.partitions["Bag"].hyperplanes.mean, 16, 2019)
    other = CategoryIndex(hyperplanes, {})
    other.add(partition.ids, index.embeddings(partition.ids), "Bag")
    expected = probing.recall_by_probes(other, "Bag", 100).set_index("n_probes").loc[0]
    table = probing.recall_by_bits(index, "Bag", (16, 512), 100).set_index("n_bits")
    assert table.loc[16, "recall"] == pytest.approx(expected["recall"])
    assert table.loc[16, "recall"] < table.loc[128, "recall"] < table.loc[512, "recall"]
    assert index.partitions["Bag"] is partition  # and the index is as it was


def test_what_cannot_be_asked_is_said() -> None:
    index = small_index()
    embedding = index.embeddings([10])[0]
    for ask in (
        lambda: probing.follow(index, "Hat", embedding),
        lambda: probing.recall_by_probes(index, "Hat"),
        lambda: probing.recall_by_bits(index, "Hat"),
    ):
        with pytest.raises(SearchError, match="no category “Hat”. It has: Bag, Coat"):
            ask()
    with pytest.raises(SearchError, match="k must be at least 1, received 0"):
        probing.follow(index, "Bag", embedding, k=0)
    with pytest.raises(SearchError, match="“Coat” has a single item"):
        probing.recall_by_probes(index, "Coat")
    with pytest.raises(SearchError, match="to probe must be at least 1, received 0"):
        probing.recall_by_probes(index, "Bag", points=[0])
    with pytest.raises(ValueError, match="positive multiples of 8, received 12"):
        probing.recall_by_bits(index, "Bag", (12, 64))


def test_real_items_lie_where_the_probes_say_and_longer_codes_find_more(collection: Collection) -> None:
    index = collection.searcher.index
    for category in ("Shirt", "Bag"):
        item_id = int(index.partitions[category].ids[123])
        embedding = index.embeddings([item_id])[0]
        followed = probing.follow(index, category, embedding, leave_out=item_id)
        assert followed.true_ids.tolist() == others_by_cosine(index, category, item_id, 20)
        assert followed.probes["candidates"].iloc[-1] == len(index.partitions[category])
        assert followed.probes["true"].sum() == 20
    by_probes = probing.recall_by_probes(index, "Shirt", 50, points=[1, 16]).set_index("n_probes")
    assert by_probes.loc[1, "recall"] < by_probes.loc[16, "recall"] <= by_probes.loc[0, "recall"]
    by_bits = probing.recall_by_bits(index, "Shirt", (64, 512), 50)
    assert by_bits["recall"].is_monotonic_increasing
    assert by_bits["recall"].iloc[-1] == by_probes.loc[0, "recall"]
