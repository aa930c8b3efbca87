"""Reference embeddings: what they may be in another collection, and their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashion16.errors import EncoderError
from fashion16.search.references import References
from tests.fakes import reseal, unit_vectors

CATEGORIES = ["Ankle boot", "Pullover", "Sandal", "T-shirt/top"]


def some(labels: list[str]) -> References:
    return References(unit_vectors(len(labels), 8, seed=1), np.array(labels), "digest")


def test_a_reference_may_be_every_category_that_shares_a_class_with_its_label() -> None:
    allowed = some(["Shoes", "Polo", "Hat", "Hoodie", "Pullover"]).allowed(CATEGORIES)
    assert allowed.astype(int).tolist() == [[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]]


def test_what_is_written_comes_back_in_half_the_precision(tmp_path: Path) -> None:
    path = tmp_path / "references.h5"
    references = some(["Polo", "Hat", "Polo", "Größe “XL”"])
    references.write(path)
    found = References.read(path, "digest")
    assert found is not None
    assert found.labels.tolist() == references.labels.tolist()
    np.testing.assert_allclose(found.embeddings, references.embeddings, atol=1e-3)
    assert found.embeddings.dtype == np.float32


def test_no_file_and_another_encoders_are_no_references(tmp_path: Path) -> None:
    path = tmp_path / "references.h5"
    assert References.read(path, "digest") is None
    some(["Polo"]).write(path)
    assert References.read(path, "another") is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "references.h5"
    some(["Polo"] * 9).write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(EncoderError, match=r"references.h5 is damaged. Restore it"):
        References.read(path, "digest")
    # sealed again, the fault is found by what it does
    path.write_bytes(whole.replace(b"label", b"lobel"))
    reseal(path)
    with pytest.raises(EncoderError, match=r"references.h5 is damaged"):
        References.read(path, "digest")
