"""Codes, buckets and the order in which buckets are probed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion16.search.hyperplanes import MAX_KEY_BITS, RandomHyperplanes, keys_of, pack, probe_order
from tests.fakes import unit_vectors

# like projections of unit vectors; quarters, so that sums are exact and ties occur
distances = st.integers(-8, 8).map(lambda quarter: quarter / 4)


@st.composite
def projections(draw: st.DrawFn, most_bits: int = 10) -> tuple[np.ndarray, int]:
    """One query's projection, 16 bits long, and a number of key bits."""
    row = draw(st.lists(distances, min_size=16, max_size=16))
    return np.array(row, np.float32), draw(st.integers(0, most_bits))


def test_the_first_hyperplane_is_the_highest_bit() -> None:
    row = np.array([[1, -1, 1, 1, -1, -1, -1, 1]], np.float32)
    assert pack(row).tolist() == [[0b10110001]]


def test_a_point_on_the_hyperplane_counts_as_behind_it() -> None:
    assert pack(np.zeros((1, 8), np.float32)).tolist() == [[0]]


def test_the_key_is_the_first_bits_as_a_number() -> None:
    codes = np.array([[0b10110001, 0b11000000, 0b11111111]], np.uint8)
    assert [int(keys_of(codes, bits)[0]) for bits in (0, 1, 3, 8, 10, 16)] == [
        0,
        0b1,
        0b101,
        0b10110001,
        0b1011000111,
        0b1011000111000000,
    ]


@given(st.lists(st.lists(st.booleans(), min_size=24, max_size=24), max_size=8), st.integers(0, MAX_KEY_BITS))
def test_unpacked_codes_are_the_signs_and_keys_are_their_beginning(rows: list[list[bool]], key_bits: int) -> None:
    bits = np.array(rows, bool).reshape(-1, 24)
    codes = pack(np.where(bits, 0.5, -0.5).astype(np.float32))
    assert np.array_equal(np.unpackbits(codes, axis=1).astype(bool), bits)
    expected = [int("0" + "".join("01"[int(bit)] for bit in row[:key_bits]), 2) for row in bits]
    assert keys_of(codes, key_bits).tolist() == expected


@pytest.mark.parametrize(("n_bytes", "key_bits"), [(1, 9), (3, 17), (64, 17), (2, -1)])
def test_a_key_longer_than_the_code_or_than_16_bits_is_refused(n_bytes: int, key_bits: int) -> None:
    with pytest.raises(ValueError, match=f"key_bits must be in 0 to {min(16, 8 * n_bytes)}, received {key_bits}"):
        keys_of(np.zeros((1, n_bytes), np.uint8), key_bits)


def test_the_nearest_hyperplane_is_crossed_first() -> None:
    # own bucket 101; the second plane is nearest (0.01), then the third (0.09), then both (0.1), then the first (1)
    row = np.array([1.0, -0.1, 0.3, 9, 9, 9, 9, 9], np.float32)
    assert probe_order(row, 3).tolist() == [0b101, 0b111, 0b100, 0b110, 0b001, 0b011, 0b000, 0b010]


@given(projections())
def test_the_probe_order_visits_each_bucket_once_beginning_with_the_own(given: tuple[np.ndarray, int]) -> None:
    row, key_bits = given
    order = probe_order(row, key_bits)
    assert sorted(order.tolist()) == list(range(2**key_bits))
    assert order[0] == keys_of(pack(row[None]), key_bits)[0]


@given(projections(most_bits=7))
def test_the_probe_order_has_ascending_cost_over_all_subsets_of_planes(given: tuple[np.ndarray, int]) -> None:
    row, key_bits = given
    own = int(keys_of(pack(row[None]), key_bits)[0])

    def cost(bucket: int) -> float:
        crossed = own ^ int(bucket)
        return sum(float(row[i]) ** 2 for i in range(key_bits) if crossed >> (key_bits - 1 - i) & 1)

    costs = [cost(bucket) for bucket in probe_order(row, key_bits)]
    assert costs == sorted(costs)
    assert costs == sorted(cost(bucket) for bucket in range(2**key_bits))


def test_hyperplanes_are_unit_normals_orthogonal_within_a_block() -> None:
    planes = RandomHyperplanes.draw(np.zeros(12, np.float32), n_bits=32, seed=3).planes
    assert planes.shape == (12, 32)
    for start in (0, 12, 24):
        block = planes[:, start : start + 12]
        assert np.allclose(block.T @ block, np.eye(block.shape[1]), atol=1e-6)


def test_the_same_seed_draws_the_same_hyperplanes_and_another_seed_others() -> None:
    mean = np.zeros(8, np.float32)
    first = RandomHyperplanes.draw(mean, 16, seed=1).planes
    assert np.array_equal(first, RandomHyperplanes.draw(mean, 16, seed=1).planes)
    assert not np.allclose(first, RandomHyperplanes.draw(mean, 16, seed=2).planes)


def test_vectors_at_an_angle_agree_on_a_bit_with_charikars_probability() -> None:
    # 60 degrees apart in the plane of the first two axes: 1 - 60/180 = two bits of three
    vectors = np.zeros((2, 64), np.float32)
    vectors[0, 0] = 1
    vectors[1, :2] = np.cos(np.pi / 3), np.sin(np.pi / 3)
    hyperplanes = RandomHyperplanes.draw(np.zeros(64, np.float32), n_bits=8192, seed=5)
    first, second = np.unpackbits(hyperplanes.encode(vectors), axis=1)
    # the standard deviation of 8,192 independent bits is 0.005
    assert abs((first == second).mean() - 2 / 3) < 0.02


def test_the_mean_is_taken_off_so_that_a_narrow_cone_is_cut_in_the_middle() -> None:
    rng = np.random.default_rng(7)
    cone = (np.full(16, 10.0) + rng.standard_normal((1000, 16))).astype(np.float32)
    set_bits = np.unpackbits(RandomHyperplanes.draw(cone.mean(axis=0), 64, seed=7).encode(cone), axis=1).mean(axis=0)
    assert set_bits.min() > 0.4
    assert set_bits.max() < 0.6


def test_codes_have_a_bit_for_each_hyperplane() -> None:
    hyperplanes = RandomHyperplanes.draw(np.zeros(6, np.float32), 40, seed=0)
    codes = hyperplanes.encode(unit_vectors(3, 6, seed=0))
    assert codes.shape == (3, 5)
    assert codes.dtype == np.uint8
    assert (hyperplanes.n_bits, hyperplanes.dimensions) == (40, 6)
    assert hyperplanes.encode(np.zeros((0, 6), np.float32)).shape == (0, 5)


@pytest.mark.parametrize("n_bits", [0, -8, 12])
def test_a_number_of_bits_that_fills_no_bytes_is_refused(n_bits: int) -> None:
    with pytest.raises(ValueError, match=f"n_bits must be a positive multiple of 8, received {n_bits}"):
        RandomHyperplanes.draw(np.zeros(4, np.float32), n_bits, seed=0)


def test_embeddings_of_another_length_are_refused() -> None:
    hyperplanes = RandomHyperplanes.draw(np.zeros(4, np.float32), 8, seed=0)
    with pytest.raises(ValueError, match=r"embeddings must have 4 columns, received \(2, 5\)"):
        hyperplanes.encode(np.zeros((2, 5), np.float32))
