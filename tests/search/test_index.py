"""Approximate search against exact search, and a changed index against a rebuilt one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion16.errors import SearchError, TuningError
from fashion16.search.hyperplanes import RandomHyperplanes, keys_of
from fashion16.search.index import BLOCK, FIRST, RERANK, CategoryIndex, Neighbours
from fashion16.search.partition import CENTRED_FROM, Partition, Tuning, key_bits_for, to_int16
from fashion16.types import Floats
from tests.fakes import unit_vectors

D = 16


def make_index(n: int, categories: tuple[str, ...] = ("Coat", "Dress"), seed: int = 0) -> tuple[CategoryIndex, Floats]:
    """n random items in turn in these categories, ids from 100; key bits as for their number."""
    vectors = unit_vectors(n, D, seed)
    names = np.array([categories[i % len(categories)] for i in range(n)])
    return CategoryIndex.build(vectors, np.arange(100, 100 + n), names, n_bits=64, seed=seed), vectors


def exact(index: CategoryIndex, queries: Floats, category: str) -> Floats:
    """Cosines of the queries with the stored rows of the category, (nq, n), worked out the plain way."""
    return queries @ (index.partitions[category].embeddings.astype(np.float64) / 32767).T


def found_ids(found: Neighbours, row: int = 0) -> list[int]:
    return [int(i) for i in found.ids[row] if i >= 0]


def assert_same_neighbours(one: Neighbours, two: Neighbours) -> None:
    """The same ids and similarities; ties may swap, because a sum's last bit depends on the row's place."""
    assert np.allclose(one.similarities, two.similarities, atol=1e-6)
    close = np.diff(one.similarities, axis=1) > -1e-6
    tied = np.pad(close, ((0, 0), (1, 0))) | np.pad(close, ((0, 0), (0, 1)))
    assert ((one.ids == two.ids) | tied).all()
    assert np.array_equal(np.sort(one.ids), np.sort(two.ids))


def assert_same_answers(first: CategoryIndex, second: CategoryIndex, queries: Floats) -> None:
    assert first.categories == second.categories
    for categories in ([name] for name in first.categories):
        one = first.search(queries, categories, k=len(first))
        two = second.search(queries, categories, k=len(second))
        assert_same_neighbours(one, two)


def assert_sorted_by_bucket(partition: Partition) -> None:
    keys = keys_of(partition.codes, partition.key_bits)
    assert (np.diff(keys) >= 0).all()
    sizes = np.bincount(keys, minlength=2**partition.key_bits)
    assert partition.starts.tolist() == [0, *np.cumsum(sizes)]


def test_every_item_finds_itself() -> None:
    index, vectors = make_index(400)
    for category, first in (("Coat", 0), ("Dress", 1)):
        ids = list(range(100 + first, 500, 2))
        # as it was given all codes are compared; as it is stored it lies in its own bucket
        for queries, n_probes in ((vectors[first::2], None), (index.embeddings(ids), 1)):
            found = index.search(queries, [category], k=1, n_probes=n_probes, rerank=50)
            assert found.ids[:, 0].tolist() == ids
            assert found.similarities[:, 0].min() > 0.999


def test_similarities_are_the_cosines_worked_out_by_hand() -> None:
    # (3, 4) / 5 and the axes: cosines 1, 0.8, 0.6, and -1 for the opposite
    vectors = np.array([[0.6, 0.8], [0, 1], [1, 0], [-0.6, -0.8]], np.float32)
    index = CategoryIndex.build(vectors, np.array([1, 2, 3, 4]), np.array(["Bag"] * 4), n_bits=8, seed=0)
    found = index.search(vectors[:1], ["Bag"], k=4)
    assert found.ids.tolist() == [[1, 2, 3, 4]]
    assert np.allclose(found.similarities, [[1, 0.8, 0.6, -1]], atol=0.005)


def test_fewer_items_than_k_are_padded() -> None:
    index, vectors = make_index(4)
    found = index.search(vectors[:2], ["Coat"], k=5)
    assert found.ids.shape == found.similarities.shape == (2, 5)
    assert found.ids[:, 2:].tolist() == [[-1] * 3] * 2
    assert found.similarities[:, 2:].tolist() == [[-1.0] * 3] * 2
    assert found.similarities.dtype == np.float32
    assert found.ids.dtype == np.int64


def test_equal_items_come_in_order_of_their_ids() -> None:
    vectors = np.repeat(unit_vectors(1, D, seed=4), 5, axis=0)
    index = CategoryIndex.build(vectors, np.array([9, 3, 7, 1, 5]), np.array(["Bag"] * 5), n_bits=8, seed=0)
    assert index.search(vectors[:1], ["Bag"], k=3).ids.tolist() == [[1, 3, 5]]


def test_several_categories_are_searched_as_one_and_none_twice() -> None:
    index, vectors = make_index(60, ("Bag", "Coat", "Dress"))
    both = index.search(vectors[:3], ["Bag", "Dress", "Bag"], k=40)
    assert both.candidates.tolist() == [40, 40, 40]
    for row in range(3):
        ids = found_ids(both, row)
        expected = [100 + i for i in range(60) if i % 3 != 1]
        assert sorted(ids) == expected
        assert (np.diff(both.similarities[row]) <= 0).all()


def test_no_category_and_no_query_find_nothing() -> None:
    index, vectors = make_index(10)
    nothing = index.search(vectors[:1], [], k=2)
    assert nothing.ids.tolist() == [[-1, -1]]
    assert nothing.candidates.tolist() == [0]
    assert index.search(vectors[:0], ["Coat"], k=2).ids.shape == (0, 2)


def test_an_empty_index_has_no_categories() -> None:
    index = CategoryIndex.build(np.zeros((0, D), np.float32), np.zeros(0, np.int64), np.zeros(0, str), n_bits=8)
    assert index.categories == ()
    assert len(index) == 0
    assert index.category_of(1) is None
    assert index.known([1, 2]) == []


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_more_probes_find_more_and_all_probes_find_everything(n: int, key_bits: int, seed: int) -> None:
    vectors, query = unit_vectors(n, D, seed), unit_vectors(1, D, seed + 1)
    hyperplanes = RandomHyperplanes.draw(vectors.mean(axis=0), 64, seed)
    partition = Partition.sort(np.arange(n), hyperplanes.encode(vectors), to_int16(vectors), hyperplanes, key_bits)
    index = CategoryIndex(hyperplanes, {"Coat": partition})
    cosines = dict(zip(partition.ids.tolist(), exact(index, query, "Coat")[0], strict=True))
    seen, count = set[int](), 0
    for n_probes in range(1, 2**key_bits + 1):
        found = index.search(query, ["Coat"], k=n, n_probes=n_probes, rerank=n)
        ids = found_ids(found)
        assert len(ids) == len(set(ids)) == found.candidates[0]
        assert found.buckets[0] == n_probes
        assert seen <= set(ids) <= cosines.keys()
        assert found.candidates[0] >= count
        assert np.allclose(found.similarities[0, : len(ids)], [cosines[i] for i in ids], atol=1e-5)
        seen, count = set(ids), int(found.candidates[0])
    everything = index.search(query, ["Coat"], k=n, n_probes=2**key_bits, rerank=n)
    assert np.allclose(everything.similarities[0], sorted(cosines.values(), reverse=True), atol=1e-5)
    scanned = index.search(query, ["Coat"], k=n, rerank=n)
    assert_same_neighbours(scanned, everything)
    assert (scanned.candidates[0], scanned.buckets[0]) == (n, 0)


def test_only_the_nearest_codes_are_ranked_again() -> None:
    index, vectors = make_index(300, ("Coat",))
    partition = index.partitions["Coat"]
    query = unit_vectors(1, D, seed=9)
    code = partition.hyperplanes.encode(query)
    hamming = np.unpackbits(partition.codes ^ code, axis=1).sum(axis=1)
    found = found_ids(index.search(query, ["Coat"], k=30, rerank=30))
    assert len(found) == 30
    # ties at the last distance may swap
    last = np.sort(hamming)[29]
    assert set(partition.ids[hamming < last]) <= set(found) <= set(partition.ids[hamming <= last])


def test_a_large_category_is_probed_until_there_are_enough_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fashion16.search.index.SCAN_LIMIT", 20_000)
    n = 25_000
    index, _ = make_index(n, ("Coat",))
    found = index.search(index.embeddings(range(100, 105)), ["Coat"], k=1)
    assert found.ids[:, 0].tolist() == [100, 101, 102, 103, 104]
    assert (found.candidates >= 20_000).all()
    assert (found.candidates < n).all()
    assert (found.buckets > 0).all()


def test_int16_changes_cosines_by_less_than_a_hundred_thousandth_on_average() -> None:
    vectors = unit_vectors(500, 256, seed=2)
    cosines = vectors[:50].astype(np.float64) @ (to_int16(vectors).astype(np.float64) / 32767).T
    changes = np.abs(cosines - vectors[:50].astype(np.float64) @ vectors.T)
    assert 0.000005 <= changes.mean() < 0.00001
    assert changes.max() < 0.00005


def test_int16_holds_all_that_a_unit_vector_can_be() -> None:
    extremes = np.array([[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 0], [1.0000001, 0, 0, 0]], np.float32)
    assert to_int16(extremes).tolist() == [[32767, 0, 0, 0], [0, -32767, 0, 0], [0, 0, 0, 0], [32767, 0, 0, 0]]


@pytest.mark.parametrize(
    ("n", "n_bits", "bits"),
    [(0, 256, 0), (32, 256, 0), (64, 256, 1), (7_000, 256, 8), (2**21, 256, 16), (2**30, 256, 16), (2**21, 8, 8)],
)
def test_buckets_hold_about_32_items(n: int, n_bits: int, bits: int) -> None:
    assert key_bits_for(n, n_bits) == bits


def test_the_stored_embeddings_come_back_in_the_order_asked_for() -> None:
    index, vectors = make_index(20)
    asked = [105, 7, 100, 105, 119]
    rows = index.embeddings(asked)
    assert np.allclose(rows, np.stack([vectors[5], np.zeros(D), vectors[0], vectors[5], vectors[19]]), atol=0.01)
    assert np.allclose(np.linalg.norm(rows[[0, 2, 3, 4]], axis=1), 1)
    assert index.embeddings([]).shape == (0, D)


def test_items_are_located_by_id() -> None:
    index, _ = make_index(6)
    assert [index.category_of(i) for i in (100, 101, 99)] == ["Coat", "Dress", None]
    assert sorted(index.known([99, 103, 100, 500])) == [100, 103]
    assert index.known([99]) == []
    assert len(index) == 6


def test_a_moved_item_leaves_its_old_bucket() -> None:
    index, vectors = make_index(200)
    index.move([100], "Dress")
    assert index.category_of(100) == "Dress"
    assert 100 not in index.partitions["Coat"].ids
    assert found_ids(index.search(vectors[:1], ["Dress"], k=1, n_probes=1)) == [100]
    for partition in index.partitions.values():
        assert_sorted_by_bucket(partition)


def test_a_category_is_made_by_its_first_item_and_goes_with_its_last() -> None:
    index, vectors = make_index(4)
    index.move([100, 102], "Bag")
    assert index.categories == ("Bag", "Dress")
    with pytest.raises(SearchError, match="no category “Coat”. It has: Bag, Dress"):
        index.search(vectors[:1], ["Coat"])
    index.remove([100, 102])
    assert index.categories == ("Dress",)


def test_moving_nothing_or_to_where_it_is_changes_no_answer() -> None:
    index, vectors = make_index(50)
    fresh, _ = make_index(50)
    index.move([], "Nowhere")
    index.move([100, 101, 101], "Coat")
    index.move([101], "Dress")
    assert_same_answers(index, fresh, vectors)


def test_a_move_with_an_unknown_item_moves_none() -> None:
    index, _ = make_index(6)
    before = index.partitions
    with pytest.raises(SearchError, match="cannot be moved. Rebuild the index"):
        index.move([100, 999], "Dress")
    assert index.partitions == before
    assert index.category_of(100) == "Coat"


def test_removing_an_unknown_item_is_no_error() -> None:
    index, _ = make_index(6)
    index.remove([999, 100])
    assert len(index) == 5
    assert index.category_of(100) is None


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(
        st.tuples(
            st.sampled_from(["add", "move", "remove"]),
            st.sets(st.integers(0, 119), min_size=1, max_size=60),
            st.sampled_from(["Coat", "Dress", "Bag"]),
        ),
        max_size=8,
    ),
)
def test_a_changed_index_answers_like_one_built_anew(seed: int, changes: list[tuple[str, set[int], str]]) -> None:
    vectors = unit_vectors(120, D, seed)
    hyperplanes = RandomHyperplanes.draw(vectors.mean(axis=0), 64, seed)
    index, truth = CategoryIndex(hyperplanes, {}), dict[int, str]()
    for change, numbers, category in [("add", set(range(80)), "Coat"), *changes]:
        there = sorted(numbers & truth.keys())
        if change == "add":
            new = sorted(numbers - truth.keys())
            index.add(np.array(new, np.int64), vectors[new], category)
            truth |= dict.fromkeys(new, category)
        elif change == "move":
            index.move(there, category)
            truth |= dict.fromkeys(there, category)
        else:
            index.remove(there)
            truth = {number: label for number, label in truth.items() if number not in numbers}
    fresh = CategoryIndex(hyperplanes, {})
    for category in sorted(set(truth.values())):
        its = [number for number, label in truth.items() if label == category]
        fresh.add(np.array(its, np.int64), vectors[its], category)
    assert len(index) == len(truth)
    assert_same_answers(index, fresh, vectors[:10])
    for partition in index.partitions.values():
        assert_sorted_by_bucket(partition)


def test_a_category_that_has_outgrown_its_buckets_is_bucketed_anew() -> None:
    index, _ = make_index(64, ("Coat",))
    assert index.partitions["Coat"].key_bits == 1
    more = unit_vectors(1_000, D, seed=8)
    index.add(np.arange(1_000, 2_000), more, "Coat")
    partition = index.partitions["Coat"]
    assert partition.key_bits == key_bits_for(1_064, 64) == 5
    assert_sorted_by_bucket(partition)
    assert index.search(more[:3], ["Coat"], k=1, n_probes=1).ids[:, 0].tolist() == [1_000, 1_001, 1_002]


def test_a_search_reads_the_partitions_it_began_with() -> None:
    index, _ = make_index(50)
    before = index.partitions
    rows = {name: partition.ids.copy() for name, partition in before.items()}
    index.move([100, 102], "Dress")
    index.remove([101])
    assert all(np.array_equal(before[name].ids, ids) for name, ids in rows.items())


def test_searches_during_moves_neither_fail_nor_lose_nor_repeat_an_item() -> None:
    index, vectors = make_index(600)
    moving = list(range(100, 220))
    resting = set(range(220, 700))
    done = threading.Event()

    def shuttle(ids: list[int]) -> None:
        for turn in range(25):
            index.move(ids, "Dress" if turn % 2 else "Coat")

    def search(row: int) -> int:
        searches = 0
        while not done.is_set() or not searches:
            found = index.search(vectors[row : row + 1], ["Coat", "Dress"], k=700, rerank=700)
            ids = found_ids(found)
            assert len(ids) == len(set(ids))
            # a move is one step, so not even the moving items are ever away
            assert set(ids) == resting | set(moving)
            assert set(found_ids(index.search(vectors[row : row + 1], ["Coat"], k=700, rerank=700))) >= {
                i for i in resting if i % 2 == 0
            }
            searches += 1
        return searches

    with ThreadPoolExecutor(5) as pool:
        searchers = [pool.submit(search, row) for row in (0, 1)]
        movers = [pool.submit(shuttle, moving[part::3]) for part in range(3)]
        try:
            for mover in movers:
                mover.result()
        finally:
            done.set()
        assert all(searcher.result() > 0 for searcher in searchers)
    assert len(index) == 600


@pytest.mark.parametrize(("k", "n_probes"), [(0, None), (-1, None), (5, 0)])
def test_a_question_for_nothing_is_refused(k: int, n_probes: int | None) -> None:
    index, vectors = make_index(4)
    with pytest.raises(SearchError, match=f"must be at least 1, received {k} and {n_probes}"):
        index.search(vectors[:1], ["Coat"], k=k, n_probes=n_probes)


def test_queries_of_another_length_are_refused() -> None:
    index, _ = make_index(4)
    with pytest.raises(ValueError, match=r"embeddings must have 16 columns, received \(1, 3\)"):
        index.search(np.zeros((1, 3), np.float32), ["Coat"])


def test_ids_and_categories_must_fit_the_embeddings() -> None:
    with pytest.raises(ValueError, match=r"must have shape \(3,\), received \(2,\) and \(3,\)"):
        CategoryIndex.build(unit_vectors(3, D, seed=0), np.arange(2), np.array(["Bag"] * 3))


# what is pinned of a category


def tuned(index: CategoryIndex, **tunings: Tuning) -> CategoryIndex:
    """The same index with these categories pinned."""
    return CategoryIndex(index.hyperplanes, index.partitions, tunings)


def same_partition(one: Partition, two: Partition) -> bool:
    fields = ("ids", "codes", "embeddings")
    return one.key_bits == two.key_bits and all(np.array_equal(getattr(one, f), getattr(two, f)) for f in fields)


def test_a_pinned_category_has_as_many_buckets_as_were_pinned() -> None:
    index, _ = make_index(600)
    # 300 items, 32 to a bucket, are 9.4 buckets: 3 bits
    assert {part.key_bits for part in index.partitions.values()} == {3}
    pinned = tuned(index, Coat=Tuning(key_bits=6))
    assert (pinned.partitions["Coat"].key_bits, pinned.partitions["Dress"].key_bits) == (6, 3)
    assert_sorted_by_bucket(pinned.partitions["Coat"])
    assert sorted(pinned.partitions["Coat"].ids) == sorted(index.partitions["Coat"].ids)
    assert pinned.partitions["Dress"] is index.partitions["Dress"]
    one_bucket = tuned(index, Coat=Tuning(key_bits=0)).partitions["Coat"]
    assert (one_bucket.starts.tolist(), one_bucket.ids.tolist()) == ([0, 300], list(range(100, 700, 2)))


def test_an_index_is_built_with_what_is_pinned() -> None:
    _, vectors = make_index(100)
    names = np.array(["Coat", "Dress"] * 50)
    calls: list[tuple[int, int]] = []
    index = CategoryIndex.build(
        vectors,
        np.arange(100),
        names,
        64,
        0,
        {"Dress": Tuning(key_bits=4)},
        lambda done, total: calls.append((done, total)),
    )
    assert {name: part.key_bits for name, part in index.partitions.items()} == {"Coat": 1, "Dress": 4}
    assert calls == [(50, 100), (100, 100)]


def test_what_is_pinned_cannot_be_changed_from_outside() -> None:
    given = {"Coat": Tuning(3), "Dress": Tuning()}
    index = CategoryIndex(make_index(20)[0].hyperplanes, {}, given)
    assert index.tunings == {"Coat": Tuning(3)}
    given["Bag"] = index.tunings["Hat"] = Tuning(1)
    assert index.tunings == {"Coat": Tuning(3)}
    assert index.tuning("Hat") == Tuning()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 8),
    st.lists(
        st.tuples(
            st.sampled_from(["add", "move", "remove"]),
            st.sets(st.integers(0, 299), min_size=1, max_size=200),
            st.sampled_from(["Coat", "Dress"]),
        ),
        max_size=8,
    ),
)
def test_a_pinned_category_stays_pinned_and_the_others_are_as_without(
    seed: int, key_bits: int, changes: list[tuple[str, set[int], str]]
) -> None:
    vectors = unit_vectors(300, D, seed)
    hyperplanes = RandomHyperplanes.draw(vectors.mean(axis=0), 64, seed)
    plain, pinned = CategoryIndex(hyperplanes, {}), CategoryIndex(hyperplanes, {}, {"Coat": Tuning(key_bits)})
    for change, numbers, category in [("add", set(range(0, 300, 2)), "Coat"), *changes]:
        there = sorted(plain.known(numbers))
        for index in (plain, pinned):
            if change == "add":
                new = sorted(numbers.difference(there))
                index.add(np.array(new, np.int64), vectors[new], category)
            elif change == "move":
                index.move(there, category)
            else:
                index.remove(there)
        assert pinned.tunings == {"Coat": Tuning(key_bits)}
        assert pinned.categories == plain.categories
        if "Coat" in pinned.categories:
            coats = pinned.partitions["Coat"]
            assert coats.key_bits == key_bits
            assert_sorted_by_bucket(coats)
            assert sorted(coats.ids) == sorted(plain.partitions["Coat"].ids)
        if "Dress" in plain.categories:
            assert same_partition(pinned.partitions["Dress"], plain.partitions["Dress"])


def test_a_category_that_was_empty_for_a_while_is_pinned_as_before() -> None:
    index = tuned(make_index(600)[0], Coat=Tuning(key_bits=6, n_probes=2))
    coats = index.partitions["Coat"].ids.tolist()
    index.move(coats, "Dress")
    assert (index.categories, index.tunings) == (("Dress",), {"Coat": Tuning(6, 2)})
    index.move(coats[:10], "Coat")
    assert index.partitions["Coat"].key_bits == 6
    vector = index.embeddings(coats[:1])
    assert index.search(vector, ["Coat"]).buckets.tolist() == [2]
    index.remove(coats[:10])
    index.add(np.array([7]), vector, "Coat")
    assert index.partitions["Coat"].key_bits == 6


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 64), st.integers(0, 2**32 - 1))
def test_a_search_probes_by_itself_as_many_buckets_as_are_pinned(n_probes: int, seed: int) -> None:
    plain, _ = make_index(600, seed=seed)
    index = tuned(plain, Coat=Tuning(key_bits=6, n_probes=n_probes))
    queries = unit_vectors(4, D, seed + 1)
    by_itself = index.search(queries, ["Coat"], k=300, rerank=300)
    asked = index.search(queries, ["Coat"], k=300, n_probes=n_probes, rerank=300)
    for one, two in zip(by_itself, asked, strict=True):
        assert np.array_equal(one, two)
    assert by_itself.buckets.tolist() == [n_probes] * 4
    # the category beside it is scanned as before, and who asks for buckets gets those
    both = index.search(queries, ["Coat", "Dress"], k=600, rerank=600)
    assert both.buckets.tolist() == [n_probes] * 4
    assert np.array_equal(both.candidates, by_itself.candidates + 300)
    assert index.search(queries, ["Coat", "Dress"], n_probes=5).buckets.tolist() == [10] * 4


def test_where_there_are_fewer_buckets_than_are_pinned_all_are_probed() -> None:
    plain, vectors = make_index(600)
    index = tuned(plain, Coat=Tuning(n_probes=1_000))
    found = index.search(vectors[:3], ["Coat"], k=300, rerank=300)
    assert (found.buckets.tolist(), found.candidates.tolist()) == ([8] * 3, [300] * 3)
    assert_same_neighbours(found, plain.search(vectors[:3], ["Coat"], k=300, rerank=300))


@pytest.mark.parametrize(
    ("tuning", "n_bits", "sentence"),
    [
        (Tuning(key_bits=-1), 64, "by 0 to 16 bits of a code of 64, not by -1"),
        (Tuning(key_bits=17), 64, "by 0 to 16 bits of a code of 64, not by 17"),
        (Tuning(key_bits=9), 8, "by 0 to 8 bits of a code of 8, not by 9"),
        (Tuning(n_probes=0), 64, "can probe 1 to 65,536 buckets, not 0"),
        (Tuning(key_bits=3, n_probes=9), 64, "can probe 1 to 8 buckets, not 9"),
        (Tuning(key_bits=0, n_probes=2), 64, "can probe 1 to 1 buckets, not 2"),
        (Tuning(n_probes=257), 8, "can probe 1 to 256 buckets, not 257"),
    ],
)
def test_what_cannot_be_pinned_is_refused_with_what_can(tuning: Tuning, n_bits: int, sentence: str) -> None:
    hyperplanes = RandomHyperplanes.draw(np.zeros(D, np.float32), n_bits, 0)
    with pytest.raises(TuningError, match=f"“Coat” .*{sentence}"):
        CategoryIndex(hyperplanes, {}, {"Coat": tuning})


@pytest.mark.parametrize("tuning", [Tuning(0, 1), Tuning(8, 256), Tuning(None, 256), Tuning(8)])
def test_the_limits_of_what_can_be_pinned_are_allowed(tuning: Tuning) -> None:
    hyperplanes = RandomHyperplanes.draw(np.zeros(D, np.float32), 8, 0)
    assert CategoryIndex(hyperplanes, {}, {"Coat": tuning}).tunings == {"Coat": tuning}


def crowded(n: int, seed: int) -> tuple[Floats, npt.NDArray[np.str_]]:
    """Two narrow cones, n directions in each, as the pictures of two categories lie."""
    near = [unit_vectors(1, D, seed + i) + 0.25 * unit_vectors(n, D, seed + 10 + i) for i in range(2)]
    vectors = np.concatenate(near)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.repeat(["Coat", "Dress"], n)


def test_the_hyperplanes_of_a_category_go_through_its_middle() -> None:
    vectors, names = crowded(500, seed=3)
    index = CategoryIndex.build(vectors, np.arange(1000), names, n_bits=64)
    for name, partition in index.partitions.items():
        assert np.allclose(partition.hyperplanes.mean, vectors[names == name].mean(axis=0), atol=1e-3)
        assert partition.hyperplanes.planes is index.hyperplanes.planes
        ones = np.unpackbits(partition.codes, axis=1).mean(axis=0)
        assert ones.min() > 0.3  # no bit is the same for nearly all
        assert ones.max() < 0.7
    assert np.allclose(index.hyperplanes.mean, vectors.mean(axis=0), atol=1e-6)


def test_a_category_of_few_items_is_cut_through_the_middle_of_the_collection() -> None:
    vectors, names = crowded(CENTRED_FROM, seed=3)
    index = CategoryIndex.build(vectors[:-1], np.arange(2 * CENTRED_FROM - 1), names[:-1], n_bits=64)
    assert np.array_equal(index.partitions["Dress"].hyperplanes.mean, index.hyperplanes.mean)
    assert not np.array_equal(index.partitions["Coat"].hyperplanes.mean, index.hyperplanes.mean)


def test_a_moved_item_is_hashed_as_those_of_its_new_category() -> None:
    vectors, names = crowded(300, seed=5)
    index = CategoryIndex.build(vectors, np.arange(600), names, n_bits=64)
    dress = index.partitions["Dress"].hyperplanes
    index.move([0, 7], "Dress")
    partition = index.partitions["Dress"]
    stored = index.embeddings(partition.ids)
    assert partition.hyperplanes.mean is dress.mean
    assert np.array_equal(partition.codes, dress.encode(stored))
    assert index.search(vectors[[0, 7]], ["Dress"], k=1).ids[:, 0].tolist() == [0, 7]


def test_many_queries_at_once_find_what_each_finds_alone() -> None:
    index, vectors = make_index(2000)
    queries = unit_vectors(BLOCK + 44, D, seed=9)
    for n_probes in (None, 3):  # of both categories some of the queries re-rank one alone
        together = index.search(queries, ["Coat", "Dress"], k=5, n_probes=n_probes, rerank=40)
        for row in (0, BLOCK - 1, BLOCK, BLOCK + 43):
            alone = index.search(queries[row : row + 1], ["Coat", "Dress"], k=5, n_probes=n_probes, rerank=40)
            assert_same_neighbours(alone, Neighbours(*(part[row : row + 1] for part in together)))


def test_of_several_categories_those_with_something_to_show_are_re_ranked_as_far_as_one_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors, names = crowded(900, seed=3)
    index = CategoryIndex.build(vectors, np.arange(1800), names, n_bits=16)  # so few that the first look misses some
    queries = vectors[[0, 5, 900, 905]]
    alone = [index.search(queries[i : i + 1], [["Coat", "Dress"][i // 2]], k=20) for i in range(4)]
    looked: list[tuple[int, int]] = []
    cosines = Partition.cosines
    monkeypatch.setattr(
        Partition,
        "cosines",
        lambda its, query, rows: looked.append((its.ids.min(), len(rows))) or cosines(its, query, rows),
    )
    together = index.search(queries, ["Coat", "Dress"], k=20)
    for row, its in enumerate(alone):
        assert found_ids(together, row) == found_ids(its)
    assert together.candidates.tolist() == [1800] * 4
    few = max(FIRST, 20)
    assert sorted(looked) == sorted([(first, few) for first in (0, 900)] * 4 + [(0, RERANK)] * 2 + [(900, RERANK)] * 2)
    first_looks = [index.search(queries[i : i + 1], [["Coat", "Dress"][i // 2]], k=20, rerank=few) for i in range(4)]
    assert any(found_ids(first) != found_ids(its) for first, its in zip(first_looks, alone, strict=True))


@pytest.mark.parametrize(("n", "most"), [(700, 600), (180_000, 600), (325_820, 1086)])
def test_of_a_large_category_more_candidates_are_re_ranked(n: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (n, 8), np.uint8)
    hyperplanes = RandomHyperplanes.draw(np.zeros(D, np.float32), 64, 0)
    part = Partition(np.arange(n), codes, np.zeros((n, D), np.int16), 0, hyperplanes)
    looked = []
    monkeypatch.setattr(Partition, "cosines", lambda its, query, rows: looked.append(len(rows)) or np.zeros(len(rows)))
    CategoryIndex(hyperplanes, {"Coat": part}).search(unit_vectors(1, D, seed=1), ["Coat"])
    assert looked == [most]
