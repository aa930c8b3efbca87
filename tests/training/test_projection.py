"""The embedding's projection: distorted copies become the nearest, whatever varies most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from fashion16.training import projection
from fashion16.training.projection import Pairs, discriminant_projection
from fashion16.types import Floats

FEATURES, GARMENT, NUISANCE = 24, 8, 4


def basis(seed: int, size: int = FEATURES) -> npt.NDArray[np.float64]:
    """Orthonormal rows: garments vary along the first, copies along the next."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def photos(n: int, seed: int, axes: npt.NDArray[np.float64], nuisance: float = 2.0) -> Pairs:
    """Features of n pictures and their copies; light and pose vary more than garments do."""
    rng = np.random.default_rng(seed)
    garments = 3 + rng.standard_normal((n, GARMENT)) @ axes[:GARMENT]

    def taken() -> Floats:
        light = nuisance * rng.standard_normal((n, NUISANCE)) @ axes[GARMENT : GARMENT + NUISANCE]
        return (garments + light + 0.02 * rng.standard_normal((n, FEATURES))).astype(np.float32)

    return taken(), taken()


def principal_components(features: Floats, dimensions: int) -> tuple[Floats, Floats]:
    mean = features.mean(axis=0)
    return mean, np.linalg.svd(features - mean, full_matrices=False)[2][:dimensions]


def found(pairs: Pairs, projection: tuple[Floats, Floats]) -> float:
    """Share of copies to which, by cosine, their own picture is the nearest."""
    mean, components = projection
    pictures, copies = ((rows - mean) @ components.T for rows in pairs)
    pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
    return float(((copies @ pictures.T).argmax(axis=1) == np.arange(len(copies))).mean())


def cosines(kinds: Sequence[Pairs], rows: Floats, dimensions: int = GARMENT) -> Floats:
    """All cosines between embedded rows: they do not depend on the embedding's axes."""
    mean, components = discriminant_projection(kinds, dimensions)
    embedded = (rows - mean) @ components.T
    embedded /= np.linalg.norm(embedded, axis=1, keepdims=True)
    return (embedded @ embedded.T).astype(np.float32)


def test_copies_are_nearest_to_their_pictures_where_principal_components_fail() -> None:
    axes = basis(1)
    training, fresh = photos(400, 2, axes), photos(200, 3, axes)
    assert found(fresh, discriminant_projection([training], GARMENT)) > 0.95
    assert found(fresh, principal_components(training[0], GARMENT)) < 0.3


def test_one_projection_serves_kinds_that_are_disturbed_otherwise() -> None:
    one = basis(4)
    other = np.concatenate([one[:GARMENT], one[: GARMENT - 1 : -1]])
    both = discriminant_projection([photos(400, 5, one), photos(100, 6, other)], GARMENT)
    assert found(photos(200, 7, one), both) > 0.95
    assert found(photos(200, 8, other), both) > 0.95


def test_the_projection_has_its_shapes_and_is_the_same_each_time() -> None:
    kinds = [photos(100, 9, basis(9))]
    mean, components = discriminant_projection(kinds, 5)
    assert (mean.shape, components.shape) == ((FEATURES,), (5, FEATURES))
    assert mean.dtype == np.float32
    assert components.dtype == np.float32
    again = discriminant_projection(kinds, 5)
    np.testing.assert_array_equal(again[0], mean)
    np.testing.assert_array_equal(again[1], components)


def test_copies_are_as_far_from_their_pictures_in_each_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "SHRINKAGE", 0.001)  # which draws the directions together
    rng = np.random.default_rng(10)
    pictures = 20 * rng.standard_normal((2_000, 6)) @ rng.standard_normal((6, 6))
    copies = pictures + rng.standard_normal((2_000, 6)) * [1, 1, 2, 2, 3, 3] @ basis(10, 6)
    _, components = discriminant_projection([(pictures.astype(np.float32), copies.astype(np.float32))], 4)
    away = (pictures - copies) @ components.T
    np.testing.assert_allclose(away.T @ away / (2 * len(away)), np.eye(4), atol=0.05)


def test_all_dimensions_may_be_kept() -> None:
    _, components = discriminant_projection([photos(100, 11, basis(11))], FEATURES)
    assert np.linalg.matrix_rank(components.astype(np.float64)) == FEATURES


def test_fewer_dimensions_keep_what_tells_most() -> None:
    axes = basis(12)
    rng = np.random.default_rng(13)
    scales = np.arange(GARMENT, 0, -1.0)
    pictures = rng.standard_normal((2_000, GARMENT)) * scales @ axes[:GARMENT]
    copies = pictures + 0.1 * rng.standard_normal(pictures.shape)
    _, components = discriminant_projection([(pictures.astype(np.float32), copies.astype(np.float32))], 3)
    along = np.linalg.norm(components @ axes.T, axis=0)
    assert along[:3].min() > 5 * along[3:].max()


def test_no_dimension_holds_most_of_the_variance() -> None:
    rng = np.random.default_rng(14)
    pictures = 100 * rng.standard_normal((500, 16)) + 1_000 * rng.standard_normal((500, 1))
    copies = pictures + rng.standard_normal(pictures.shape)
    _, components = discriminant_projection([(pictures.astype(np.float32), copies.astype(np.float32))], 16)
    variance = (pictures @ components.T).var(axis=0)
    assert variance.max() < 0.5 * variance.sum()


def test_kinds_count_the_same_however_many_pictures_each_has() -> None:
    few, many = photos(150, 15, basis(15)), photos(150, 16, basis(16), nuisance=3.0)
    multiplied = (np.tile(many[0], (20, 1)), np.tile(many[1], (20, 1)))
    rows = photos(60, 17, basis(17))[0]
    expected = cosines([few, many], rows)
    np.testing.assert_allclose(cosines([few, multiplied], rows), expected, atol=0.02)
    np.testing.assert_allclose(cosines([multiplied, few], rows), expected, atol=0.02)
    mean = discriminant_projection([few, multiplied], GARMENT)[0]
    np.testing.assert_allclose(mean, (few[0].mean(axis=0) + many[0].mean(axis=0)) / 2, atol=1e-4)
    # in one heap the larger kind would prevail
    heap = [(np.concatenate([few[0], multiplied[0]]), np.concatenate([few[1], multiplied[1]]))]
    assert np.abs(cosines(heap, rows) - expected).max() > 0.2


def test_what_tells_kinds_apart_is_not_what_tells_garments_apart() -> None:
    axes = basis(18)
    one, other = photos(300, 19, axes), photos(300, 20, axes)
    step = (1_000 * axes[-1]).astype(np.float32)
    far = (other[0] + step, other[1] + step)
    _, near_components = discriminant_projection([one, other], GARMENT)
    _, far_components = discriminant_projection([one, far], GARMENT)
    np.testing.assert_allclose(
        far_components.T @ far_components, near_components.T @ near_components, atol=0.01 * near_components.max() ** 2
    )


@pytest.mark.parametrize(
    ("features", "copies", "dimensions"),
    [((10, 4), (9, 4), 2), ((10, 4), (10, 5), 2), ((10, 4), (10, 4), 5)],
)
def test_features_that_do_not_fit_are_refused_with_their_shapes(
    features: tuple[int, int], copies: tuple[int, int], dimensions: int
) -> None:
    rng = np.random.default_rng(22)
    good = rng.standard_normal((2, 10, 5)).astype(np.float32)
    bad = (rng.standard_normal(features).astype(np.float32), rng.standard_normal(copies).astype(np.float32))
    message = rf"received features \({features[0]}, {features[1]}\) and copies .* for {dimensions}"
    with pytest.raises(ValueError, match=message):
        discriminant_projection([bad], dimensions)
    with pytest.raises(ValueError, match=message):
        discriminant_projection([(good[0], good[1]), bad], dimensions)


def test_a_shift_between_kinds_of_pictures_is_left_out() -> None:
    axes = basis(20)
    pictures, copies = photos(400, 21, axes)
    shift = axes[:1].astype(np.float32)  # along what tells garments apart as well
    _, plain = discriminant_projection([(pictures, copies)], GARMENT)
    _, shifted = discriminant_projection([(pictures, copies)], GARMENT, 30 * shift)

    def lost(components: Floats) -> float:
        """How far apart two pictures are that differ by the shift, against two that differ as garments do."""
        other = axes[1:2].astype(np.float32)
        return float(np.linalg.norm(shift @ components.T) / np.linalg.norm(other @ components.T))

    assert lost(plain) > 0.5
    assert lost(shifted) < 0.05
    # no shifts are nothing to leave out
    _, none = discriminant_projection([(pictures, copies)], GARMENT, np.zeros((0, FEATURES), np.float32))
    np.testing.assert_array_equal(none, plain)
