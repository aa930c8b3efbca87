"""Sealed HDF5 files: whole, foreign, damaged or newer, told before libhdf5 sees them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from fashion16.errors import WorkspaceError
from fashion16.files import sealed
from fashion16.files.sealed import SEAL_BYTES, Seal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.h5"
    with sealed.writing(path, "kind", 3) as opened:
        opened["numbers"] = np.arange(10)
        opened.attrs["name"] = "ten"
    return path


def test_what_was_written_can_be_read_by_any_hdf5_reader(file: Path) -> None:
    assert sealed.check(file, "kind", 3) is Seal.WHOLE
    with h5py.File(file) as opened:
        assert opened["numbers"][:].tolist() == list(range(10))
        assert opened.attrs["name"] == "ten"


def test_kind_and_version_are_told_apart(file: Path) -> None:
    assert sealed.check(file, "kind", 4) is Seal.WHOLE
    assert sealed.check(file, "kind", 2) is Seal.NEWER
    assert sealed.check(file, "kin", 3) is Seal.FOREIGN
    assert sealed.check(file, "other", 3) is Seal.FOREIGN


@pytest.mark.parametrize("flip", [1, 2, 4, 0x20, 0x80, 0xFF])
def test_no_altered_byte_of_the_seal_passes(file: Path, flip: int) -> None:
    # version 1, because a flip can turn a higher version's digit into another known one
    with sealed.writing(file, "kind", 1) as opened:
        opened["numbers"] = np.arange(10)
    data = file.read_bytes()
    for at in range(SEAL_BYTES):
        altered = bytearray(data)
        altered[at] ^= flip
        file.write_bytes(altered)
        assert sealed.check(file, "kind", 1) is not Seal.WHOLE, at


def test_no_altered_byte_of_the_content_passes(file: Path) -> None:
    data = file.read_bytes()
    for at in range(SEAL_BYTES, len(data), 7):
        altered = bytearray(data)
        altered[at] ^= 1
        file.write_bytes(altered)
        assert sealed.check(file, "kind", 3) is Seal.DAMAGED, at


@pytest.mark.parametrize("kept", [0, 3, 4, 100, SEAL_BYTES - 1, SEAL_BYTES, -1])
def test_a_file_that_was_cut_off_does_not_pass(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    assert sealed.check(file, "kind", 3) in (Seal.FOREIGN, Seal.DAMAGED)


def test_a_block_that_fails_leaves_the_old_file(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(ZeroDivisionError), sealed.writing(file, "kind", 3) as opened:
        opened["numbers"] = np.arange(3)
        opened["ratio"] = 1 / 0
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_place_that_cannot_be_written_is_our_own_error(file: Path) -> None:
    with pytest.raises(WorkspaceError, match="could not be written"), sealed.writing(file / "below", "kind", 3):
        pass


def test_what_can_be_made_again_is_read_or_is_nothing(file: Path, tmp_path: Path) -> None:
    def numbers(opened: h5py.File) -> list[int]:
        return list(opened["numbers"][:])

    assert sealed.read_or_none(file, "kind", 3, numbers) == list(range(10))
    assert sealed.read_or_none(tmp_path / "none.h5", "kind", 3, numbers) is None
    assert sealed.read_or_none(tmp_path, "kind", 3, numbers) is None
    assert sealed.read_or_none(file, "other", 3, numbers) is None
    assert sealed.read_or_none(file, "kind", 2, numbers) is None
    assert sealed.read_or_none(file, "kind", 3, lambda opened: opened["letters"][:]) is None
    file.write_bytes(file.read_bytes()[:-1])
    assert sealed.read_or_none(file, "kind", 3, numbers) is None
