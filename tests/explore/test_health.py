"""Each check finds the fault that was planted, and nothing where none was."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fashion16.collections.opened import Collection
from fashion16.errors import SearchError
from fashion16.explore import health
from fashion16.search import neighbours
from fashion16.search.hyperplanes import RandomHyperplanes, keys_of
from fashion16.search.index import CategoryIndex
from fashion16.search.partition import Partition, Tuning, to_int16
from fashion16.types import Codes, Floats, Ids
from tests.fakes import unit_vectors


def partition_of(codes: Codes, embeddings: Floats | None = None, key_bits: int = 0) -> Partition:
    """Items from id 1 with these codes, and hyperplanes that do not matter."""
    n, d = len(codes), 4 if embeddings is None else embeddings.shape[1]
    rows = to_int16(unit_vectors(n, d, seed=1) if embeddings is None else embeddings)
    hyperplanes = RandomHyperplanes.draw(np.zeros(d, np.float32), 8 * codes.shape[1], seed=1)
    return Partition.sort(np.arange(n) + 1, codes, rows, hyperplanes, key_bits)


def index_of(n: int = 1500, d: int = 32, n_bits: int = 64, tunings: dict[str, Tuning] | None = None) -> CategoryIndex:
    """Items from id 1 in two categories by turns."""
    names = np.array(["Bag", "Coat"])[np.arange(n) % 2]
    return CategoryIndex.build(unit_vectors(n, d, seed=1), np.arange(n) + 1, names, n_bits, seed=5, tunings=tunings)


def with_codes(index: CategoryIndex, category: str, damaged: dict[int, Codes]) -> CategoryIndex:
    """The index with other codes at these ids, in the buckets that they name."""
    part = index.partitions[category]
    codes = part.codes.copy()
    for item_id, code in damaged.items():
        codes[part.ids == item_id] = code
    other = Partition.sort(part.ids, codes, part.embeddings, part.hyperplanes, part.key_bits)
    return CategoryIndex(index.hyperplanes, {**index.partitions, category: other}, index.tunings)


def code_of(index: CategoryIndex, category: str, item_id: int) -> Codes:
    part = index.partitions[category]
    return part.codes[part.ids == item_id][0]


# bits 0 to 7 of four items: 1 for two of them and the same as 0; the opposite; uneven; alternating; always 1; never 1
HAND_MADE = np.packbits(
    [
        [1, 1, 0, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 0, 1, 0, 0],
        [0, 0, 1, 0, 1, 1, 0, 0],
        [0, 0, 1, 0, 0, 1, 0, 0],
    ],
    axis=1,
)


def test_the_balance_of_hand_made_codes() -> None:
    table = health.bit_balance(partition_of(HAND_MADE))
    assert table["bit"].tolist() == list(range(8))
    assert table["ones"].tolist() == [0.5, 0.5, 0.5, 0.25, 0.5, 1, 0, 0]
    assert table["most_like"].tolist()[:4] == [1, 0, 0, 0]
    # bit 3 with bit 0: (1/4 - 1/2 * 1/4) / (1/2 * sqrt(3/16)) = 1 / sqrt(3)
    assert table["correlation"].tolist()[:4] == pytest.approx([1, 1, -1, 1 / 3**0.5])
    assert table["most_like"][4] == 3  # with bits 0 to 2 it has nothing in common
    assert table["correlation"][4] == pytest.approx(1 / 3**0.5)
    assert table["correlation"].tolist()[5:] == [0, 0, 0]  # bits that never change are like none
    assert (table["most_like"] != table["bit"]).all()


def test_bits_that_are_the_same_for_all_have_another_bit_and_no_correlation() -> None:
    table = health.bit_balance(partition_of(np.full((5, 1), 0b11110000, np.uint8)))
    assert table["ones"].tolist() == [1] * 4 + [0] * 4
    assert (table["most_like"] != table["bit"]).all()
    assert table["correlation"].tolist() == [0] * 8


def test_the_correlation_of_bits_is_numpys_over_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "BLOCK", 64)
    codes = np.random.default_rng(2).integers(0, 256, (500, 3), np.uint8)
    codes[:, 2] |= codes[:, 0]
    part = partition_of(codes)
    expected = np.corrcoef(np.unpackbits(codes, axis=1), rowvar=False)
    assert health.bit_correlation(part, 16) == pytest.approx(expected[:16, :16], abs=1e-6)
    assert health.bit_correlation(part).shape == (24, 24)  # there are no more
    table = health.bit_balance(part)
    assert table["ones"].to_numpy() == pytest.approx(np.unpackbits(codes, axis=1).mean(axis=0))
    np.fill_diagonal(expected, 0)
    assert table["correlation"].abs().to_numpy() == pytest.approx(np.abs(expected).max(axis=1))


def test_of_many_items_the_correlation_is_that_of_a_part_from_all_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "BLOCK", 64)
    monkeypatch.setattr(health, "PRODUCTS", 300 * 8 * 8)
    codes = np.repeat(np.array([[0b11000000], [0b00000000]], np.uint8), 5000, axis=0)
    correlation = health.bit_correlation(partition_of(codes, key_bits=1))
    assert correlation[0, 1] == pytest.approx(1)  # 0 if one of the two buckets were not among them


def found_by_searches(index: CategoryIndex, category: str) -> list[int]:
    """The items that one search each does not find: what lost_items promises, done the long way."""
    ids = index.partitions[category].ids.tolist()
    best = [index.search(index.embeddings([item_id]), [category], 1).similarities[0, 0] for item_id in ids]
    return sorted(item_id for item_id, cosine in zip(ids, best, strict=True) if cosine < 1 - 1e-4)


def test_in_an_index_as_it_is_made_no_item_is_lost() -> None:
    for tunings in (None, {"Bag": Tuning(6, 1), "Coat": Tuning(0, None)}):
        assert health.lost_items(index_of(tunings=tunings)).tolist() == []


def test_an_item_with_a_damaged_code_is_lost_and_no_other() -> None:
    index = index_of()
    damaged = with_codes(index, "Bag", {101: ~code_of(index, "Bag", 101)})
    assert health.lost_items(damaged).tolist() == [101]
    assert health.lost_items(damaged, ["Coat"]).tolist() == []
    assert found_by_searches(damaged, "Bag") == [101]


def test_an_item_in_a_bucket_that_is_not_probed_is_lost_until_it_is_probed() -> None:
    """One bit is flipped: no other code is nearer, but it is the first bit of the bucket's name."""
    index = index_of(tunings={"Bag": Tuning(4, 1)})
    code = code_of(index, "Bag", 101).copy()
    code[0] ^= 0b10000000
    damaged = with_codes(index, "Bag", {101: code})
    assert health.lost_items(damaged).tolist() == [101]
    wider = CategoryIndex(damaged.hyperplanes, damaged.partitions, {"Bag": Tuning(4, 16)})
    assert health.lost_items(wider).tolist() == []
    code[0] ^= 0b10000000
    code[7] ^= 1  # and a bit that is in no bucket's name loses nothing
    assert health.lost_items(with_codes(index, "Bag", {101: code})).tolist() == []


def test_an_embedding_of_zeros_is_lost() -> None:
    index = index_of()
    part = index.partitions["Coat"]
    embeddings = part.embeddings.copy()
    embeddings[part.ids == 200] = 0
    damaged = CategoryIndex(index.hyperplanes, {"Coat": dataclasses.replace(part, embeddings=embeddings)})
    assert health.lost_items(damaged).tolist() == [200]


def test_copies_find_each_other_and_an_item_behind_more_of_them_than_are_re_ranked_is_lost() -> None:
    """Item 601 is like 600 copies of another: with three bits off, it is farther from itself than they are."""
    vectors = np.concatenate([np.repeat(unit_vectors(1, 32, seed=3), 601, axis=0), unit_vectors(299, 32, seed=4)])
    vectors[600] += unit_vectors(1, 32, seed=6)[0] * 0.02
    index = CategoryIndex.build(vectors, np.arange(900) + 1, np.array(["Bag"] * 900), 64, seed=5)
    assert health.lost_items(index).tolist() == []
    code = code_of(index, "Bag", 601).copy()
    assert np.bitwise_count(code ^ code_of(index, "Bag", 1)).sum() < 3
    code[7] ^= 0b00000111
    behind = with_codes(index, "Bag", {601: code})
    assert health.lost_items(behind).tolist() == found_by_searches(behind, "Bag") == [601]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tuning", [Tuning(), Tuning(3, 1), Tuning(3, 3)])
def test_damage_of_every_degree_is_found_as_by_a_search_with_each_item(seed: int, tuning: Tuning) -> None:
    """Of 100 items 0 to 40 of 64 bits are flipped, as drawn; the shortcut may skip none that is lost."""
    index = index_of(tunings={"Bag": tuning})
    rng = np.random.default_rng(seed)
    damaged = {}
    for item_id in rng.choice(index.partitions["Bag"].ids, 100, replace=False).tolist():
        flips = np.zeros(64, bool)
        flips[rng.choice(64, rng.integers(0, 41), replace=False)] = True
        damaged[item_id] = code_of(index, "Bag", item_id) ^ np.packbits(flips)
    worse = with_codes(index, "Bag", damaged)
    expected = found_by_searches(worse, "Bag")
    assert 0 < len(expected) < 100
    assert health.lost_items(worse).tolist() == expected


def test_the_bar_for_lost_items_counts_all_of_the_chosen() -> None:
    index = index_of()
    damaged = with_codes(index, "Bag", {i: ~code_of(index, "Bag", i) for i in range(1, 601, 2)})
    told: list[tuple[int, int]] = []
    health.lost_items(damaged, progress=lambda *done: told.append(done))
    assert [total for _, total in told] == [1500] * len(told)
    assert told == sorted(told)
    assert told[-1] == (1500, 1500)
    assert len(told) >= 4  # Bag's 300 damaged ones in parts, and Coat


def test_an_unknown_category_is_said() -> None:
    with pytest.raises(SearchError, match="no category “Hat”. It has: Bag, Coat"):
        health.lost_items(index_of(), ["Bag", "Hat"])


def in_the_plane(degrees: list[float]) -> Floats:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_near_duplicates_are_found_once_each_and_only_within_a_bucket() -> None:
    """The cosine of 6 degrees is 0.995, of 11 degrees 0.982, too little."""
    # ids   1  2  3   4  5   6
    degrees = [0, 5, 11, 0, 60, 63]
    keys = np.array([0, 0, 0, 1, 1, 1], np.uint8)
    part = partition_of((keys << 7)[:, None], in_the_plane(degrees), key_bits=1)
    table = health.near_duplicates(part)
    found = {(row.bucket, row.id, row.twin): row.similarity for row in table.itertuples()}
    assert sorted(found) == [(0, 1, 2), (0, 2, 3), (1, 5, 6)]  # 1 and 4 are the same, but lie apart
    assert found[1, 5, 6] == pytest.approx(np.cos(np.deg2rad(3)), abs=0.002)
    assert table["similarity"].is_monotonic_decreasing
    assert health.near_duplicates(part.bucketed(0)).shape == (5, 4)  # together: 1-4 and 2-4, too


def test_the_smaller_id_comes_first_also_where_it_lies_later() -> None:
    part = partition_of(np.zeros((2, 1), np.uint8), in_the_plane([0, 1]))
    turned = dataclasses.replace(part, ids=np.array([9, 4]))
    assert health.near_duplicates(turned)[["id", "twin"]].to_numpy().tolist() == [[4, 9]]


def test_pairs_are_found_across_the_tiles_of_a_large_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "BLOCK", 16)
    vectors = unit_vectors(100, 16, seed=1)
    for copy, original in ((3, 2), (17, 2), (99, 40), (64, 63)):
        vectors[copy] = vectors[original]
    part = partition_of(np.zeros((100, 1), np.uint8), vectors)
    table = health.near_duplicates(part).sort_values(["id", "twin"])
    assert table[["id", "twin"]].to_numpy().tolist() == [[3, 4], [3, 18], [4, 18], [41, 100], [64, 65]]
    assert table["similarity"].to_numpy() == pytest.approx(1, abs=1e-4)


def test_no_more_pairs_are_listed_than_asked_for() -> None:
    part = partition_of(np.zeros((40, 1), np.uint8), in_the_plane([0] * 40))
    assert len(health.near_duplicates(part)) == 40 * 39 / 2
    assert len(health.near_duplicates(part, most=100)) == 100
    none = health.near_duplicates(partition_of(np.zeros((1, 1), np.uint8)))
    assert none.columns.tolist() == ["bucket", "id", "twin", "similarity"]
    assert len(none) == 0


def two_clusters() -> tuple[CategoryIndex, Ids]:
    """Ids 1 to 12 near one direction, in two categories, and 13 to 24 near one at right angles to it."""
    degrees = [*np.linspace(0, 3, 12), *np.linspace(90, 93, 12)]
    ids = np.arange(24) + 1
    names = np.array(["Bag", "Coat"])[np.arange(24) % 2]
    return CategoryIndex.build(in_the_plane(degrees), ids, names, n_bits=8), ids


def test_planted_wrong_labels_are_the_most_foreign() -> None:
    index, ids = two_clusters()
    labels = {int(i): "left" if i <= 12 else "right" for i in ids} | {3: "right", 20: "left"}
    table = health.foreign_neighbours(index, labels, k=5)
    assert len(table) == 24
    assert table["id"].tolist()[:2] == [3, 20]
    assert table.loc[0].to_dict() == {"id": 3, "label": "right", "neighbours_label": "left", "share": 1.0}
    assert table.loc[1, "neighbours_label"] == "right"
    assert table["share"].tolist()[2:] == sorted(table["share"].tolist()[2:], reverse=True)
    assert table["share"][2] <= 0.2  # of five neighbours at most the planted one
    assert (table["label"] == table["neighbours_label"])[2:].all()


def test_of_equally_frequent_labels_the_nearest_one_counts_and_an_item_is_no_neighbour_of_itself() -> None:
    index = CategoryIndex.build(
        in_the_plane([0, 10, 25, 45]), np.array([1, 2, 3, 4]), np.array(["Bag", "Coat", "Bag", "Coat"]), n_bits=8
    )
    table = health.foreign_neighbours(index, {1: "a", 2: "b", 3: "c", 4: "d"}, k=10).set_index("id")
    assert table["share"].tolist() == [1, 1, 1, 1]
    assert table["neighbours_label"].to_dict() == {1: "b", 2: "a", 3: "b", 4: "c"}


def test_items_without_a_label_neither_vote_nor_are_looked_at() -> None:
    index, _ = two_clusters()
    labels = {1: "left", 2: "left", 3: "", 13: "right", 99: "not in the index"}
    table = health.foreign_neighbours(index, labels, k=2).set_index("id")
    assert sorted(table.index) == [1, 2, 13]
    assert table["share"].to_dict() == {13: 1.0, 1: 0.5, 2: 0.5}
    assert table.loc[1, "neighbours_label"] == "left"  # 2 is nearer than 13
    assert health.foreign_neighbours(index, {1: "left"}).empty  # alone, it has no neighbours
    assert health.foreign_neighbours(index, {}).columns.tolist() == table.reset_index().columns.tolist()


def test_neighbours_are_those_of_all_cosines_in_any_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", 64)
    index = index_of()
    ids = np.arange(900) + 1
    labels = {int(i): "xyz"[i % 3] for i in ids}
    stored = index.embeddings(ids).astype(np.float64)
    told: list[tuple[int, int]] = []
    table = health.foreign_neighbours(index, labels, 50, 7, seed=2, progress=lambda *done: told.append(done))
    assert len(table) == 50
    assert told[-1] == (900, 900)
    assert len(told) > 10
    for row in table.itertuples():
        cosines = stored @ stored[row.id - 1]
        cosines[row.id - 1] = -2
        theirs = [labels[int(i)] for i in ids[np.argsort(-cosines)[:7]]]
        assert row.share == pytest.approx(sum(label != row.label for label in theirs) / 7)
        assert theirs.count(row.neighbours_label) == max(map(theirs.count, theirs))


def test_the_seed_draws_the_sample() -> None:
    index, ids = two_clusters()
    labels = {int(i): "left" for i in ids}
    drawn = [set(health.foreign_neighbours(index, labels, 6, seed=seed)["id"]) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    with pytest.raises(ValueError, match="at least 1, received 0 and 6"):
        health.foreign_neighbours(index, labels, 6, k=0)


def test_the_real_collection_has_no_lost_items_and_duplicates_that_share_buckets(collection: Collection) -> None:
    index = collection.searcher.index
    assert health.lost_items(index).tolist() == []
    part = index.partitions["Shirt"]
    table = health.near_duplicates(part)
    assert len(table)
    key_of = dict(zip(part.ids.tolist(), keys_of(part.codes, part.key_bits).tolist(), strict=True))
    for row in table.itertuples():
        assert key_of[row.id] == key_of[row.twin] == row.bucket
        one, other = index.embeddings([row.id, row.twin])
        assert float(one @ other) == pytest.approx(row.similarity, abs=1e-5)
    balance = health.bit_balance(part)
    assert balance["ones"].to_numpy() == pytest.approx(np.unpackbits(part.codes, axis=1).mean(axis=0))
