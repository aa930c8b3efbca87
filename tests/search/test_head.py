"""The softmax head: fitted on embeddings, stored in HDF5, the same numbers as scikit-learn's."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from fashion16.errors import HeadError, WorkspaceError
from fashion16.search.head import BINS, DEFAULT_C, Head, calibration_curve, expected_calibration_error
from fashion16.search.references import References
from fashion16.types import Floats
from tests.fakes import reseal, unit_vectors

DIGEST = "d" * 64


def blobs(categories: tuple[str, ...], each: int, seed: int) -> tuple[Floats, npt.NDArray[np.str_]]:
    """Unit vectors of 8 about one direction a category, the first `each` of the first category."""
    centres = unit_vectors(len(categories), 8, seed).repeat(each, axis=0)
    noisy = centres + 0.1 * unit_vectors(len(centres), 8, seed + 1)
    return (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32), np.repeat(categories, each)


def fit(categories: tuple[str, ...], each: int = 30, seed: int = 0) -> tuple[Head, Floats, npt.NDArray[np.str_]]:
    embeddings, labels = blobs(categories, each, seed)
    return Head.fit(embeddings, labels, DIGEST, 5), embeddings, labels


def predicted(head: Head, embeddings: Floats) -> npt.NDArray[np.str_]:
    return np.array(head.categories)[head.probabilities(embeddings).argmax(axis=1)]


@pytest.mark.parametrize("categories", [("Bag", "Coat"), ("Bag", "Coat", "Dress", "Shirt")])
def test_categories_that_lie_apart_are_learned(categories: tuple[str, ...]) -> None:
    head, embeddings, labels = fit(categories)
    assert (predicted(head, embeddings) == labels).all()
    assert head.categories == categories
    assert (head.encoder_digest, head.label_revision) == (DIGEST, 5)


@pytest.mark.parametrize("categories", [("Bag", "Coat"), ("Bag", "Coat", "Dress")])
def test_each_row_of_probabilities_sums_to_1(categories: tuple[str, ...]) -> None:
    head, embeddings, _ = fit(categories)
    probabilities = head.probabilities(embeddings)
    assert probabilities.shape == (len(embeddings), len(categories))
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("categories", [("Bag", "Coat"), ("Bag", "Coat", "Dress")])
def test_probabilities_equal_those_of_scikit_learn_on_standardised_embeddings(categories: tuple[str, ...]) -> None:
    head, embeddings, labels = fit(categories)
    standardised = (embeddings - embeddings.mean(axis=0)) / embeddings.std(axis=0)
    model = LogisticRegression(C=DEFAULT_C, max_iter=500).fit(standardised, labels)
    np.testing.assert_allclose(head.probabilities(embeddings), model.predict_proba(standardised), atol=1e-3)


def test_probabilities_of_a_head_made_by_hand() -> None:
    # logits of (1, 0): ln 3 and 0, of (0, 1): 0 and 0
    head = Head(np.array([[np.log(3), 0], [0, 0]], np.float32), np.zeros(2, np.float32), ("a", "b"), DIGEST, 0)
    np.testing.assert_allclose(head.probabilities(np.eye(2, dtype=np.float32)), [[0.75, 0.25], [0.5, 0.5]], atol=1e-6)


def test_huge_logits_do_not_overflow() -> None:
    head = Head(np.array([[1e30, -1e30]], np.float32), np.zeros(2, np.float32), ("a", "b"), DIGEST, 0)
    probabilities = head.probabilities(np.array([[1], [-1], [0]], np.float32))
    assert probabilities.tolist() == [[1, 0], [0, 1], [0.5, 0.5]]


def test_embeddings_of_another_length_are_refused() -> None:
    head, _, _ = fit(("Bag", "Coat"))
    with pytest.raises(ValueError, match=r"must have 8 columns, received \(2, 9\)"):
        head.probabilities(np.zeros((2, 9), np.float32))


def test_one_category_is_nothing_to_tell_apart() -> None:
    embeddings, _ = blobs(("Bag",), 5, seed=1)
    with pytest.raises(HeadError, match="at least two categories, and there are 1"):
        Head.fit(embeddings, np.repeat("Bag", 5), DIGEST, 0)
    with pytest.raises(HeadError, match="there are 0"):
        Head.fit(embeddings[:0], np.zeros(0, np.str_), DIGEST, 0)


def test_embeddings_and_labels_must_be_as_many() -> None:
    embeddings, labels = blobs(("Bag", "Coat"), 5, seed=1)
    with pytest.raises(ValueError, match="received 10 and 9"):
        Head.fit(embeddings, labels[:9], DIGEST, 0)


def test_a_dimension_that_never_varies_does_no_harm() -> None:
    embeddings, labels = blobs(("Bag", "Coat"), 20, seed=2)
    embeddings[:, 3] = 0.5
    head = Head.fit(embeddings, labels, DIGEST, 0)
    assert (predicted(head, embeddings) == labels).all()


ANSWERS = st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=60).map(
    lambda answers: (np.array([sure for sure, _ in answers], np.float32), np.array([hit for _, hit in answers]))
)


def test_a_calibration_curve_of_answers_counted_by_hand() -> None:
    confidence = np.array([1, 0.98, 0.51, 0.49, 0.5, 0.5, 0.02], np.float32)
    hits = np.array([True, False, True, False, True, True, False])
    # fifteenths: 0.02 lies in the first, 0.49 to 0.51 in the eighth, 0.98 and 1 in the last
    curve = calibration_curve(confidence, hits)
    assert [point.confidence for point in curve] == pytest.approx([0.02, 0.5, 0.99])
    assert [(point.accuracy, point.n) for point in curve] == [(0, 1), (0.75, 4), (0.5, 2)]
    assert expected_calibration_error(confidence, hits) == pytest.approx((0.02 + 4 * 0.25 + 2 * 0.49) / 7)


@given(ANSWERS)
def test_a_calibration_curve_counts_each_answer_once(answers: tuple[Floats, npt.NDArray[np.bool_]]) -> None:
    confidence, hits = answers
    curve = calibration_curve(confidence, hits)
    n = np.array([point.n for point in curve])
    assert (n > 0).all()
    assert len(curve) <= BINS
    assert n.sum() == len(hits)
    assert n @ [point.accuracy for point in curve] == pytest.approx(hits.sum())
    assert n @ [point.confidence for point in curve] == pytest.approx(confidence.sum(), rel=1e-4, abs=1e-6)
    assert (np.diff([point.confidence for point in curve]) > -1e-6).all()


@given(ANSWERS)
def test_the_calibration_error_is_at_least_the_gap_on_the_whole(
    answers: tuple[Floats, npt.NDArray[np.bool_]],
) -> None:
    confidence, hits = answers
    error = expected_calibration_error(confidence, hits)
    assert abs(float(confidence.mean()) - hits.mean()) - 1e-5 <= error <= 1


@pytest.mark.parametrize(
    ("confidence", "n_right", "error"), [(1.0, 10, 0), (0.0, 0, 0), (0.6, 6, 0), (0.9, 4, 0.5), (1.0, 0, 1), (0, 10, 1)]
)
def test_the_calibration_error_of_answers_of_one_confidence(confidence: float, n_right: int, error: float) -> None:
    hits = np.arange(10) < n_right
    found = expected_calibration_error(np.full(10, confidence, np.float32), hits)
    assert found == pytest.approx(error, abs=1e-6)


def honest_head(categories: tuple[str, ...] = ("Bag", "Coat", "Dress", "Shirt")) -> Head:
    rng = np.random.default_rng(30)
    weights = 2 * rng.standard_normal((6, len(categories)))
    return Head(
        weights.astype(np.float32), np.linspace(-1, 1, len(categories), dtype=np.float32), categories, DIGEST, 5
    )


def bolder(head: Head, factor: float) -> Head:
    """The same answers, surer or less sure of them."""
    return replace(head, weights=head.weights * np.float32(factor), bias=head.bias * np.float32(factor))


def world(head: Head, n: int, seed: int) -> tuple[Floats, npt.NDArray[np.str_]]:
    """Embeddings whose labels are drawn by the head's own probabilities, so that it is honest about them."""
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((n, len(head.weights))).astype(np.float32)
    below = head.probabilities(embeddings).cumsum(axis=1) < rng.random((n, 1))
    return embeddings, np.array(head.categories)[np.minimum(below.sum(axis=1), len(head.categories) - 1)]


def calibration_error(head: Head, embeddings: Floats, labels: npt.NDArray[np.str_]) -> float:
    return expected_calibration_error(head.probabilities(embeddings).max(axis=1), head.predict(embeddings) == labels)


@pytest.mark.parametrize("factor", [0.3, 2.5, 8.0])
def test_a_head_too_sure_or_too_unsure_becomes_honest_on_new_embeddings(factor: float) -> None:
    honest = honest_head()
    head, fresh = bolder(honest, factor), world(honest, 6_000, seed=31)
    assert calibration_error(head, *fresh) > 0.08
    calibrated = head.calibrated(*world(honest, 3_000, seed=32))
    assert calibration_error(calibrated, *fresh) < 0.03
    np.testing.assert_allclose(calibrated.weights, honest.weights, rtol=0.1)
    np.testing.assert_allclose(calibrated.bias, honest.bias, rtol=0.1)


def test_calibration_changes_no_order_of_categories_and_no_fact() -> None:
    honest = honest_head()
    head, (embeddings, labels) = bolder(honest, 2.5), world(honest, 2_000, seed=33)
    calibrated = head.calibrated(embeddings, labels)
    assert calibrated is not head
    facts = (calibrated.categories, calibrated.encoder_digest, calibrated.label_revision)
    assert facts == (head.categories, DIGEST, 5)
    assert calibrated.weights.dtype == calibrated.bias.dtype == np.float32
    np.testing.assert_array_equal(calibrated.predict(embeddings), head.predict(embeddings))
    before, after = (np.argsort(embeddings @ one.weights + one.bias, axis=1) for one in (head, calibrated))
    np.testing.assert_array_equal(after, before)


def test_a_head_is_not_altered_by_calibrating_it() -> None:
    head = bolder(honest_head(), 2.5)
    weights, bias = head.weights.copy(), head.bias.copy()
    assert head.calibrated(*world(honest_head(), 1_000, seed=34)) is not head
    np.testing.assert_array_equal(head.weights, weights)
    np.testing.assert_array_equal(head.bias, bias)


def test_an_honest_head_stays_as_it_is() -> None:
    head = honest_head()
    assert head.calibrated(*world(head, 3_000, seed=35)) is head


def test_a_calibrated_head_is_not_calibrated_twice() -> None:
    check = world(honest_head(), 3_000, seed=36)
    calibrated = bolder(honest_head(), 2.5).calibrated(*check)
    assert calibrated.calibrated(*check) is calibrated


def test_without_known_labels_there_is_nothing_to_calibrate_by() -> None:
    head = bolder(honest_head(), 2.5)
    embeddings, _ = world(head, 50, seed=37)
    assert head.calibrated(embeddings, np.repeat("Hat", 50)) is head
    assert head.calibrated(embeddings[:0], np.zeros(0, np.str_)) is head


def test_labels_that_the_head_does_not_know_are_not_counted() -> None:
    head, (embeddings, labels) = bolder(honest_head(), 2.5), world(honest_head(), 2_000, seed=38)
    strange = np.where(np.arange(2_000) % 3 == 0, "Umbrella", labels)
    known = strange != "Umbrella"
    with_strange, without = head.calibrated(embeddings, strange), head.calibrated(embeddings[known], labels[known])
    np.testing.assert_array_equal(with_strange.weights, without.weights)
    np.testing.assert_array_equal(with_strange.bias, without.bias)


def test_a_head_with_its_categories_in_any_order_becomes_honest() -> None:
    honest = honest_head(("Shirt", "Bag", "Dress", "Coat"))
    calibrated = bolder(honest, 2.5).calibrated(*world(honest, 3_000, seed=39))
    assert calibration_error(calibrated, *world(honest, 6_000, seed=40)) < 0.03


@settings(deadline=None, max_examples=25)
@given(names=st.lists(st.text(), min_size=2, max_size=6, unique=True), seed=st.integers(0, 99))
def test_a_head_is_the_same_after_writing_and_reading(names: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights, bias = rng.standard_normal((4, len(names))), rng.standard_normal(len(names))
    head = Head(weights.astype(np.float32), bias.astype(np.float32), tuple(names), DIGEST, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.h5"
        head.write(path)
        read = Head.read(path)
    assert read.categories == tuple(names)
    assert (read.encoder_digest, read.label_revision) == (DIGEST, seed)
    np.testing.assert_array_equal(read.weights, head.weights)
    np.testing.assert_array_equal(read.bias, head.bias)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "head.h5"
    fit(("Bag", "Coat"))[0].write(path)
    return path


def test_a_missing_head_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(HeadError, match="There is no head at .*head.h5. Make one with: fashion16 index"):
        Head.read(tmp_path / "head.h5")


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_head_that_was_cut_off_is_refused(file: Path, kept: float) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(HeadError, match="is damaged.*Make it again|is not a head. Make one"):
        Head.read(file)


def test_a_file_that_is_no_head_is_refused(file: Path) -> None:
    file.write_bytes(b"my holiday pictures " * 1000)
    with pytest.raises(HeadError, match="is not a head. Make one with: fashion16 index"):
        Head.read(file)


@pytest.mark.parametrize("attribute", ["categories", "encoder_digest", "label_revision"])
def test_a_head_without_one_of_its_facts_is_refused(file: Path, attribute: str) -> None:
    with h5py.File(file, "a") as opened:
        del opened.attrs[attribute]
    reseal(file)
    with pytest.raises(HeadError, match="is damaged"):
        Head.read(file)


@pytest.mark.parametrize("strange", ["no JSON", "5", '{"a": 1}'])
def test_a_head_whose_categories_are_no_list_is_refused(file: Path, strange: str) -> None:
    with h5py.File(file, "a") as opened:
        opened.attrs["categories"] = strange
    reseal(file)
    with pytest.raises(HeadError, match="is damaged|does not fit together"):
        Head.read(file)


def test_a_head_with_a_group_for_its_weights_is_refused(file: Path) -> None:
    with h5py.File(file, "a") as opened:
        del opened["weights"]
        opened.create_group("weights")
    reseal(file)
    with pytest.raises(HeadError, match="is damaged"):
        Head.read(file)


def test_a_head_of_a_newer_version_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"fashion16-head 1 ", b"fashion16-head 99 ", 1))
    with pytest.raises(HeadError, match="newer Fashion-16. Update Fashion-16"):
        Head.read(file)


def test_another_file_of_ours_is_not_taken_for_a_newer_head(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"fashion16-head", b"fashion16-index", 1))
    with pytest.raises(HeadError, match="is not a head. Make one with: fashion16 index"):
        Head.read(file)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_altered_byte_in_a_head_is_noticed(file: Path, share: float) -> None:
    data = bytearray(file.read_bytes())
    data[int(share * len(data))] ^= 1
    file.write_bytes(data)
    with pytest.raises(HeadError, match="is damaged"):
        Head.read(file)


def test_a_head_with_more_names_than_columns_is_refused(tmp_path: Path) -> None:
    head, _, _ = fit(("Bag", "Coat"))
    replace(head, categories=("Bag", "Coat", "Dress")).write(tmp_path / "head.h5")
    with pytest.raises(HeadError, match="does not fit together"):
        Head.read(tmp_path / "head.h5")


def test_a_head_in_a_place_that_cannot_be_written_is_our_own_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    head, _, _ = fit(("Bag", "Coat"))
    with pytest.raises(WorkspaceError, match="could not be written"):
        head.write(tmp_path / "file" / "head.h5")


def two_worlds() -> tuple[Floats, npt.NDArray[np.str_], References, Floats, npt.NDArray[np.str_]]:
    """A collection of sandals and pullovers, and photos of the same garments that lie the other way round."""
    rng = np.random.default_rng(50)

    def drawn(n: int, side: float) -> tuple[Floats, npt.NDArray[np.bool_]]:
        first = np.arange(n) % 2 == 0
        rows = rng.standard_normal((n, 6)) * 0.05
        # what the collection goes by (column 0) misleads in the other world; column 1 is the same in both
        rows[:, 0] += np.where(first, 1.0, -1.0) * side
        rows[:, 1] += np.where(first, 0.6, -0.6)
        rows[:, 2] += side
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), first

    own, own_first = drawn(400, 1.0)
    other, other_first = drawn(100, -2.0)
    fresh, fresh_first = drawn(200, -2.0)
    references = References(other, np.where(other_first, "Shoes", "Hoodie"), "digest")
    return (
        own,
        np.where(own_first, "Sandal", "Pullover"),
        references,
        fresh,
        np.where(fresh_first, "Sandal", "Pullover"),
    )


def test_references_teach_a_head_what_garments_look_like_elsewhere() -> None:
    own, labels, references, fresh, fresh_labels = two_worlds()
    alone = Head.fit(own, labels, "digest", 0)
    taught = Head.fit(own, labels, "digest", 0, references=references)
    assert (alone.predict(fresh) == fresh_labels).mean() < 0.2
    assert (taught.predict(fresh) == fresh_labels).mean() > 0.95
    assert (taught.predict(own) == labels).mean() > 0.99
    assert taught.categories == ("Pullover", "Sandal")


def test_a_reference_of_several_categories_goes_where_it_is_likeliest() -> None:
    own, labels, references, _, _ = two_worlds()
    boots = own[:100] + np.array([0, 0, 0, 0.5, 0, 0], np.float32)
    own, labels = np.concatenate([own, boots]), np.concatenate([labels, np.full(100, "Ankle boot")])
    # “Shoes” may be both; these lie beside the boots
    shoes = References(boots[:20] + np.float32(0.01), np.full(20, "Shoes"), "digest")
    head = Head.fit(own, labels, "digest", 0, c=0.3, references=shoes)
    assert set(head.predict(shoes.embeddings)) == {"Ankle boot"}
    assert (head.predict(own) == labels).mean() > 0.95


def test_references_of_other_garments_change_nothing() -> None:
    own, labels, references, _, _ = two_worlds()
    hats = References(references.embeddings, np.full(100, "Hat"), "digest")
    alone, beside = Head.fit(own, labels, "digest", 0), Head.fit(own, labels, "digest", 0, references=hats)
    np.testing.assert_array_equal(alone.weights, beside.weights)
