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
from fashion16.head import DEFAULT_C, Head
from fashion16.lsh import Floats
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
