"""Data sets in MNIST's format, whole and broken."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion16.errors import DamagedDataError
from fashion16.images import read_picture
from fashion16.sources import mnist
from fashion16.sources.mnist import IdxData, IdxEntry, parse_idx, read_idx

Array = npt.NDArray[np.uint8]


def idx(array: Array) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def pictures(n: int, shape: tuple[int, ...] = (5, 4), seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), np.uint8)


def write(folder: Path, part: str, images: Array, labels: list[int], packed: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in ((f"{part}-images", images), (f"{part}-labels", np.array(labels, np.uint8))):
        path = folder / f"{name}-idx{array.ndim}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(idx(array), 1) if packed else idx(array))
    return folder


def entries(folder: Path) -> list[IdxEntry]:
    return list(IdxData.read(folder))


@pytest.mark.parametrize("packed", [True, False])
def test_pictures_labels_and_the_published_test_set_are_read(tmp_path: Path, packed: bool) -> None:
    write(tmp_path, "train", pictures(3), [7, 0, 7], packed)
    write(tmp_path, "t10k", pictures(2, seed=1), [1, 255], packed)
    assert IdxData.is_in(tmp_path)
    data = IdxData.read(tmp_path)
    assert len(data) == 5
    assert [(entry.name, entry.label, entry.split) for entry in data] == [
        ("train/00000", "7", None),
        ("train/00001", "0", None),
        ("train/00002", "7", None),
        ("t10k/00000", "1", "test"),
        ("t10k/00001", "255", "test"),
    ]


def test_a_set_without_test_pictures_is_whole(tmp_path: Path) -> None:
    assert len(entries(write(tmp_path, "train", pictures(3), [1, 2, 3]))) == 3


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)])
def test_an_entry_s_bytes_are_a_picture_of_the_same_pixels(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = pictures(2, shape)
    for entry, pixels in zip(entries(write(tmp_path, "train", array, [0, 1])), array, strict=True):
        found = read_picture(entry.read())
        expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        np.testing.assert_array_equal(found.pixels, expected)
        assert (found.format, found.width, found.height) == ("PPM", 4, 5)
    assert entry.read()[:11] == (b"P6 4 5 255\n" if len(shape) == 3 else b"P5 4 5 255\n")


def test_a_training_picture_that_is_in_the_test_set_too_belongs_there(tmp_path: Path) -> None:
    train, test = pictures(4), pictures(2, seed=1)
    train[2] = test[1]
    write(tmp_path, "train", train, [0, 1, 2, 3])
    write(tmp_path, "t10k", test, [0, 1])
    # a copy never sits in two splits
    assert [entry.split for entry in entries(tmp_path)] == [None, None, "test", None, "test", "test"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_labels_have_the_names_in_the_folder_s_list_else_their_numbers(tmp_path: Path, encoding: str) -> None:
    write(tmp_path, "train", pictures(4), [0, 1, 2, 3])
    (tmp_path / "labels.txt").write_text(" Röcke \nHat\n\n", encoding=encoding)
    assert [entry.label for entry in entries(tmp_path)] == ["Röcke", "Hat", "2", "3"]
    assert [entry.label for entry in IdxData.read(tmp_path, ("not", "these"))] == ["Röcke", "Hat", "2", "3"]
    (tmp_path / "labels.txt").unlink()
    assert [entry.label for entry in IdxData.read(tmp_path, ("a", "b", "c", "d"))] == ["a", "b", "c", "d"]


def test_an_empty_line_in_the_list_moves_no_other_name(tmp_path: Path) -> None:
    write(tmp_path, "train", pictures(3), [0, 1, 2])
    (tmp_path / "labels.txt").write_text("Hat\n\nDress\n")
    assert [entry.label for entry in entries(tmp_path)] == ["Hat", "1", "Dress"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"R\xf6cke\n", r"labels.txt cannot be read \("),
        (b"x" * 201, r"labels.txt has a name of 201 characters in line 1; the limit is 200."),
        (b"Hat\nH\0t\n", r"labels.txt has a zero byte in line 2."),
    ],
)
def test_a_list_of_names_that_cannot_be_used_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    write(tmp_path, "train", pictures(1), [0])
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(DamagedDataError, match=sentence):
        IdxData.read(tmp_path)


def test_other_folders_and_files_are_no_such_set(tmp_path: Path) -> None:
    (tmp_path / "train-images.png").write_bytes(b"")
    assert not IdxData.is_in(tmp_path)
    assert not IdxData.is_in(tmp_path / "train-images.png")
    assert not IdxData.is_in(tmp_path / "gone")
    write(tmp_path / "test only", "t10k", pictures(1), [0])
    assert not IdxData.is_in(tmp_path / "test only")


@pytest.mark.parametrize("part", ["train", "t10k"])
@pytest.mark.parametrize(("what", "axes"), [("images", 3), ("labels", 1)])
def test_a_missing_half_is_named(tmp_path: Path, part: str, what: str, axes: int) -> None:
    write(tmp_path, "train", pictures(1), [0])
    write(tmp_path, "t10k", pictures(1), [0])
    (tmp_path / f"{part}-{what}-idx{axes}-ubyte.gz").unlink()
    with pytest.raises(DamagedDataError, match=rf"has no file {part}-{what}-idx\?-ubyte. Put it there."):
        IdxData.read(tmp_path)


@pytest.mark.parametrize("n_labels", [0, 2, 4])
def test_labels_that_are_not_as_many_as_pictures_are_refused(tmp_path: Path, n_labels: int) -> None:
    write(tmp_path, "train", pictures(3), list(range(n_labels)))
    with pytest.raises(DamagedDataError, match=f"should hold 3 labels, but has {n_labels}") as caught:
        IdxData.read(tmp_path)
    assert caught.value.path == tmp_path / "train-labels-idx1-ubyte.gz"


@pytest.mark.parametrize("shape", [(), (5,), (5, 4, 1), (5, 4, 4), (5, 4, 3, 1)])
def test_an_array_of_another_shape_holds_no_pictures(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write(tmp_path, "train", pictures(2, shape), [0, 1])
    with pytest.raises(DamagedDataError, match="holds no pictures: its shape is"):
        IdxData.read(tmp_path)


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, packed: bool) -> None:
    write(tmp_path, "train", pictures(3), [0, 1, 2], packed)
    path = next(tmp_path.glob("train-images-*"))
    whole = path.read_bytes()
    for kept in (0, 1, 3, 4, 9, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        with pytest.raises(DamagedDataError) as caught:
            IdxData.read(tmp_path)
        assert caught.value.path == path
    path.write_bytes(whole)
    assert len(IdxData.read(tmp_path)) == 3


def test_a_file_that_unpacks_to_too_much_is_read_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx(np.zeros((100, 28, 28), np.uint8))))
    size = 16 + 100 * 28 * 28
    monkeypatch.setattr(mnist, "MAX_BYTES", size)
    assert read_idx(path).shape == (100, 28, 28)
    monkeypatch.setattr(mnist, "MAX_BYTES", size - 1)
    with pytest.raises(DamagedDataError, match="holds more than 0 GB. Import it in parts."):
        read_idx(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x0d\x01\0\0\0\0",
        b"\0\0\x08\x02\0\0\0\1",
        b"P5 4 5 255\n",
        # more axes than an array may have
        b"\0\0\x08\xc8" + struct.pack(">I", 1) * 200 + b"x",
        b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1),
        b"\0\0\x08\x03" + struct.pack(">3I", 0, 2**32 - 1, 2**32 - 1),
    ],
)
def test_what_is_no_idx_file_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedDataError, match="f.idx (is not an IDX file of bytes|should hold)"):
        parse_idx(data, Path("f.idx"))


@given(st.lists(st.integers(0, 5), max_size=5), st.integers(0, 2**32))
def test_what_is_written_comes_back(shape: list[int], seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(parse_idx(idx(np.asarray(array, np.uint8)), Path("f")), array)


@settings(max_examples=200)
@given(st.binary(max_size=40), st.sampled_from([b"", b"\0\0\x08", b"\0\0\x08\x01\0\0\0"]))
def test_any_bytes_are_an_array_or_our_own_error(data: bytes, start: bytes) -> None:
    try:
        found = parse_idx(start + data, Path("f"))
    except DamagedDataError:
        return
    assert found.dtype == np.uint8
