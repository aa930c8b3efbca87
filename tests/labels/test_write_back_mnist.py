"""MNIST's format gets new files of labels of its own kind, and numbers keep their names."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from fashion16.catalogue.rows import ImportedItem
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.labels import write_back_mnist
from fashion16.labels.write_back import write_back
from fashion16.sources.fashion_mnist import CATEGORIES
from fashion16.sources.mnist import IdxData, read_idx
from tests.labels.test_write_back import correct, decide, files_below, notes, undo, written
from tests.pictures import import_from, labels_of, tree


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


def idx(values: np.ndarray) -> bytes:
    shape = b"".join(length.to_bytes(4, "big") for length in values.shape)
    return bytes([0, 0, 8, values.ndim]) + shape + values.tobytes()


def mnist(folder: Path, numbers: list[int], names: bytes = b"") -> Path:
    """A data set of one part packed and one not, of the same labels."""
    for at, part in enumerate(("train", "t10k")):
        pictures = np.random.default_rng(at).integers(0, 256, (len(numbers), 8, 8), np.uint8)
        tree(folder, {f"{part}-images-idx3-ubyte": idx(pictures)})
    data = idx(np.array(numbers, np.uint8))
    tree(folder, {"train-labels-idx1-ubyte.gz": gzip.compress(data), "t10k-labels-idx1-ubyte": data})
    return tree(folder, {"labels.txt": names} if names else {})


def test_mnist_s_format_gets_new_files_of_the_same_kind(shop: Workspace, tmp_path: Path) -> None:
    folder = mnist(tmp_path / "idx", [0, 1, 2], b"Hat\r\nCoat")
    import_from(shop, folder)
    correct(shop, {"train/00000": "Coat", "t10k/00001": "Robe d'été"})
    decide(shop, "train/00002", "exclude")
    # 2 has no name of its own, so the new one is 3
    assert [done.path.name for done in written(shop) if done.path] == [
        "labels.txt",
        "train-labels-idx1-ubyte.gz",
        "t10k-labels-idx1-ubyte",
        "excluded.csv",
    ]
    assert (folder / "labels.txt").read_bytes() == "Hat\r\nCoat\r\n2\r\nRobe d'été\r\n".encode()
    assert read_idx(folder / "train-labels-idx1-ubyte.gz").tolist() == [1, 1, 2]
    assert (folder / "t10k-labels-idx1-ubyte").read_bytes() == idx(np.array([0, 3, 2], np.uint8))
    # packed without the time, so that the same labels are the same bytes
    assert (folder / "train-labels-idx1-ubyte.gz").read_bytes()[4:8] == bytes(4)
    assert (folder / "excluded.csv").read_text() == "file,label\ntrain/00002,2\n"
    assert {entry.name: entry.label for entry in IdxData.read(folder)} == labels_of(shop)
    assert len(list(folder.glob("*.bak"))) == 3
    assert written(shop) == []
    undo(shop)
    undo(shop)
    assert [done.path.name for done in written(shop) if done.path] == ["t10k-labels-idx1-ubyte", "excluded.csv"]
    assert (folder / "t10k-labels-idx1-ubyte").read_bytes() == idx(np.array([0, 1, 2], np.uint8))
    assert (folder / "excluded.csv").read_text() == "file,label\n"


def test_labels_that_are_numbers_need_no_names_until_one_is_a_name(shop: Workspace, tmp_path: Path) -> None:
    folder = mnist(tmp_path / "idx", [0, 1, 5])
    import_from(shop, folder)
    correct(shop, {"train/00000": "9"})
    written(shop)
    assert read_idx(folder / "train-labels-idx1-ubyte.gz").tolist() == [9, 1, 5]
    assert not (folder / "labels.txt").exists()
    correct(shop, {"train/00001": "Hat", "t10k/00000": "099"})
    written(shop)
    assert read_idx(folder / "train-labels-idx1-ubyte.gz").tolist() == [9, 10, 5]
    assert (folder / "labels.txt").read_text() == "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\nHat\n099\n"
    assert {entry.name: entry.label for entry in IdxData.read(folder)} == labels_of(shop)


@pytest.mark.parametrize(
    ("numbers", "label", "note"), [([0, 255], "Hat", "has 256 labels at most"), ([0, 1], "a\nb", "cannot hold “a")]
)
def test_what_mnist_s_format_cannot_hold_is_said(
    shop: Workspace, tmp_path: Path, numbers: list[int], label: str, note: str
) -> None:
    folder = mnist(tmp_path / "idx", numbers)
    import_from(shop, folder)
    correct(shop, {"train/00000": label, "t10k/00000": "1"})
    before = files_below(folder)
    assert [note in each for each in notes(shop)] == [True]
    assert files_below(folder) == before


def test_fashion_mnist_itself_is_written_beside_its_pictures(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_back_mnist, "N_TRAINING", 3)
    with shop.collection().catalogue() as catalogue:
        catalogue.add(ImportedItem(n, f"{n:064}", CATEGORIES[n], "train", DEFAULT_COLLECTION) for n in range(5))
    np.save(shop.collection().pictures_file, np.zeros((5, 28, 28), np.uint8))
    folder = shop.collection().data_folder / "corrected"
    assert [done.path for done in write_back(shop.collection())] == [None]
    assert not folder.exists()
    with shop.collection().catalogue() as catalogue:
        catalogue.correct(1, "Bag", "ann", 0)
        catalogue.correct(5, "Gown", "ann", 0)
        catalogue.exclude(2, "ann", 0)
    assert sum(done.n_changed for done in write_back(shop.collection())) == 2
    assert read_idx(folder / "train-labels-idx1-ubyte.gz").tolist() == [8, 1, 2]
    assert read_idx(folder / "t10k-labels-idx1-ubyte.gz").tolist() == [3, 10]
    assert (folder / "labels.txt").read_text().split("\n") == [*CATEGORIES, "Gown", ""]
    assert (folder / "excluded.csv").read_text() == "file,label\ntrain/00001,Trouser\n"
    assert not [done for done in write_back(shop.collection()) if done.is_written]
