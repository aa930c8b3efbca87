"""The index on disk: in = out, and a file that cannot be used says why and what to do."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion16.errors import (
    DamagedIndexError,
    EncoderMismatchError,
    ForeignIndexError,
    IndexFileError,
    MissingIndexError,
    NewerIndexError,
    WorkspaceError,
)
from fashion16.index import CategoryIndex
from fashion16.index_file import IndexHeader, read_index, write_index
from fashion16.sealed import SEAL_BYTES
from tests.conftest import REPOSITORY
from tests.fakes import FakeEncoder, reseal, unit_vectors

HEADER = IndexHeader(encoder_digest=FakeEncoder().digest, side=96, revision=12, seed=16)


def make_index(categories: tuple[str, ...] = ("Coat", "Dress")) -> CategoryIndex:
    names = np.array([categories[i % len(categories)] for i in range(100)], object)
    index = CategoryIndex.build(unit_vectors(100, 12, seed=1), np.zeros(100, np.int64), np.full(100, ""), 64, seed=16)
    index.remove([0])
    for name in categories:
        rows = np.flatnonzero(names == name)
        index.add(rows, unit_vectors(100, 12, seed=1)[rows], name)
    return index


def assert_same_index(first: CategoryIndex, second: CategoryIndex) -> None:
    assert first.categories == second.categories
    assert np.array_equal(first.hyperplanes.planes, second.hyperplanes.planes)
    assert np.array_equal(first.hyperplanes.mean, second.hyperplanes.mean)
    for name, partition in first.partitions.items():
        other = second.partitions[name]
        assert partition.key_bits == other.key_bits
        for field in ("ids", "codes", "embeddings"):
            mine, its = getattr(partition, field), getattr(other, field)
            assert mine.dtype == its.dtype
            assert np.array_equal(mine, its)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shoes.h5"
    write_index(path, make_index(), HEADER)
    return path


def test_what_was_written_is_read(file: Path) -> None:
    index, header = read_index(file, HEADER.encoder_digest)
    assert_same_index(index, make_index())
    assert header == HEADER


def test_an_index_that_was_read_can_be_searched_and_changed(file: Path) -> None:
    index, _ = read_index(file)
    query = unit_vectors(100, 12, seed=1)[:1]
    index.move([0], "Dress")
    assert index.search(query, ["Dress"], k=1).ids.tolist() == [[0]]


@settings(max_examples=60, deadline=None)
@given(st.sets(st.text(min_size=1, max_size=20), min_size=1, max_size=5))
def test_a_category_may_have_any_name(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    path = tmp_path_factory.mktemp("names") / "index.h5"
    index = make_index(tuple(sorted(names)))
    write_index(path, index, HEADER)
    assert_same_index(read_index(path)[0], index)


@pytest.mark.parametrize(
    "name", ["T-shirt/top", "👗", ".", "..", "/", "a/../b", "%2F", " ", "a\0b", "planes", "x" * 9000]
)
def test_a_category_may_have_an_awkward_name(tmp_path: Path, name: str) -> None:
    index = make_index((name, "Coat"))
    write_index(tmp_path / "index.h5", index, HEADER)
    assert_same_index(read_index(tmp_path / "index.h5")[0], index)


def test_an_empty_index_is_an_index_too(tmp_path: Path) -> None:
    index = make_index()
    index.remove(range(100))
    write_index(tmp_path / "index.h5", index, HEADER)
    assert read_index(tmp_path / "index.h5")[0].categories == ()


def test_any_hdf5_tool_can_read_the_file(file: Path) -> None:
    partition = make_index().partitions["Coat"]
    with h5py.File(file) as opened:
        assert opened.attrs["encoder_digest"] == HEADER.encoder_digest
        assert opened.attrs["categories"] == '["Coat", "Dress"]'
        assert np.array_equal(opened["category Coat/ids"][:], partition.ids)


def test_the_seal_is_the_digest_of_what_follows_it(file: Path) -> None:
    data = file.read_bytes()
    digest = hashlib.sha256(data[SEAL_BYTES:]).hexdigest()
    assert data[:SEAL_BYTES].rstrip(b"\0").decode() == f"fashion16-index 1 {digest}\n"


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    path = tmp_path / "shoes.h5"
    with pytest.raises(MissingIndexError, match="no index at .*Make one with: fashion16 index shoes") as caught:
        read_index(path)
    assert caught.value.path == path


def test_a_folder_in_the_file_s_place_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingIndexError):
        read_index(tmp_path)


@pytest.mark.parametrize("content", [b"", b"Dear reader,\nthis is a letter.\n" * 100], ids=["empty", "text"])
def test_a_foreign_file_is_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "shoes.h5"
    path.write_bytes(content)
    with pytest.raises(ForeignIndexError, match="not an index of Fashion-16.*Move it away.*fashion16 index shoes"):
        read_index(path)
    assert path.read_bytes() == content


def test_another_program_s_hdf5_file_is_foreign(tmp_path: Path) -> None:
    path = tmp_path / "shoes.h5"
    with h5py.File(path, "w") as opened:
        opened["planes"] = np.zeros((4, 8), np.float32)
    with pytest.raises(ForeignIndexError, match="not an index of Fashion-16"):
        read_index(path)


def test_a_newer_file_says_to_update(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data.replace(b"fashion16-index 1 ", b"fashion16-index 2 ", 1))
    with pytest.raises(NewerIndexError, match=r"newer Fashion-16. Update Fashion-16, or make it again"):
        read_index(file)


def test_another_encoder_s_index_says_to_embed_again(file: Path) -> None:
    expected = r"another encoder \(.{12}…\) than the one in use \(0{12}…\).*fashion16 index shoes$"
    with pytest.raises(EncoderMismatchError, match=expected):
        read_index(file, "0" * 64)


def test_without_an_encoder_to_compare_any_index_is_read(file: Path) -> None:
    assert read_index(file)[1].encoder_digest == HEADER.encoder_digest


@pytest.mark.parametrize("kept", [15, 16, 100, 511, 512, 513, 2_000, -1_000, -1])
def test_a_file_cut_off_anywhere_is_damaged(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(
        DamagedIndexError, match="damaged: it was cut off or altered. Restore it, or make it again with"
    ):
        read_index(file)


def test_a_file_with_more_at_its_end_is_damaged(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(DamagedIndexError):
        read_index(file)


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_one_altered_byte_anywhere_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, place: float, flip: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "altered.h5"
    if not path.exists():
        write_index(path, make_index(), HEADER)
    data = bytearray(path.read_bytes())
    at = int(place * len(data))
    data[at] ^= flip
    altered = path.with_name("altered copy.h5")
    altered.write_bytes(data)
    with pytest.raises(DamagedIndexError if at >= SEAL_BYTES else IndexFileError):
        read_index(altered)


def test_a_sealed_file_without_its_parts_is_damaged(file: Path) -> None:
    with h5py.File(file, "a") as opened:
        del opened["planes"]
    reseal(file)
    with pytest.raises(DamagedIndexError):
        read_index(file)


def test_a_failed_write_leaves_the_old_file(file: Path) -> None:
    old = file.read_bytes()
    index = make_index()
    # objects have no place in HDF5, so the second category fails after the first is written
    index.partitions["Dress"].__dict__["codes"] = np.array([object()])
    with pytest.raises(TypeError):
        write_index(file, index, HEADER)
    assert file.read_bytes() == old
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("room", [100, 5_000, 9_000, -1], ids=["the start", "inside", "further", "the last byte"])
def test_a_disk_that_fills_up_leaves_the_old_file_and_is_reported(file: Path, room: int) -> None:
    old = file.read_bytes()
    # the limit holds for a whole process, so the writing has one of its own
    program = f"""
import resource, sys
from pathlib import Path
from fashion16.errors import WorkspaceError
from fashion16.index_file import read_index, write_index
path = Path(sys.argv[1])
index, header = read_index(path)
resource.setrlimit(resource.RLIMIT_FSIZE, ({room} % {len(old)}, resource.RLIM_INFINITY))
try:
    write_index(path, index, header)
except WorkspaceError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program, file], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "could not be written (File too large)" in done.stdout
    assert file.read_bytes() == old
    assert list(file.parent.iterdir()) == [file]


def test_a_folder_that_cannot_be_made_is_a_workspace_error(tmp_path: Path) -> None:
    (tmp_path / "indexes").write_text("a file")
    with pytest.raises(WorkspaceError, match="could not be written"):
        write_index(tmp_path / "indexes" / "shoes.h5", make_index(), HEADER)
