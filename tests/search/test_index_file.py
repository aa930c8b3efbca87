"""The index on disk: in = out, and a file that cannot be used says why and what to do."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
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
    TuningError,
    WorkspaceError,
)
from fashion16.files.sealed import SEAL_BYTES
from fashion16.search.hyperplanes import RandomHyperplanes
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import IndexHeader, IndexSettings, read_index, settings_in, write_index
from fashion16.search.partition import Partition, Tuning, to_int16
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


TUNINGS = st.dictionaries(
    st.text(max_size=20),
    st.builds(Tuning, st.none() | st.integers(4, 16), st.none() | st.integers(1, 16)),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(TUNINGS)
def test_what_is_pinned_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, tunings: dict[str, Tuning]
) -> None:
    path = tmp_path_factory.mktemp("tunings") / "index.h5"
    whole = make_index()
    index = CategoryIndex(whole.hyperplanes, whole.partitions, tunings)
    write_index(path, index, HEADER)
    found, _ = read_index(path)
    assert found.tunings == {name: tuning for name, tuning in tunings.items() if tuning != Tuning()}
    assert_same_index(found, index)


def pinned(path: Path, text: str | None) -> Path:
    """The file with this in the place of what is pinned, nothing for None; sealed again."""
    with h5py.File(path, "a") as opened:
        del opened.attrs["tunings"]
        if text is not None:
            opened.attrs["tunings"] = text
    reseal(path)
    return path


def test_a_file_from_before_anything_could_be_pinned_pins_nothing(file: Path) -> None:
    index, header = read_index(pinned(file, None), HEADER.encoder_digest)
    assert_same_index(index, make_index())
    assert (index.tunings, header) == ({}, HEADER)


def test_a_partition_that_lies_otherwise_than_it_is_pinned_is_bucketed_anew(file: Path) -> None:
    index, _ = read_index(pinned(file, '{"Coat": {"key_bits": 5, "n_probes": null}, "Hat": {"n_probes": 3}}'))
    assert index.tunings == {"Coat": Tuning(5), "Hat": Tuning(None, 3)}
    assert (index.partitions["Coat"].key_bits, index.partitions["Dress"].key_bits) == (5, 1)
    query = unit_vectors(100, 12, seed=1)[:1]
    assert index.search(query, ["Coat"], k=1, n_probes=1).ids.tolist() == [[0]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        "null",
        '{"Coat"',
        '{"Coat": 9}',
        '{"Coat": [9, 12]}',
        '{"Coat": {"bits": 9}}',
        '{"Coat": {"key_bits": "9"}}',
        '{"Coat": {"key_bits": 9.0}}',
        '{"Coat": {"key_bits": true}}',
        '{"Coat": {"key_bits": 17}}',
        '{"Coat": {"key_bits": -1}}',
        '{"Coat": {"n_probes": 0}}',
        '{"Coat": {"key_bits": 2, "n_probes": 5}}',
        '{"Coat": {"n_probes": NaN}}',
        "[" * 100_000,
    ],
)
def test_a_file_that_pins_what_cannot_be_is_damaged(file: Path, text: str) -> None:
    with pytest.raises(DamagedIndexError, match="damaged: it was cut off or altered"):
        read_index(pinned(file, text))
    assert settings_in(file) == IndexSettings()


def test_the_settings_of_a_file_are_those_that_it_was_written_with(tmp_path: Path) -> None:
    path, whole = tmp_path / "shoes.h5", make_index()
    index = CategoryIndex(whole.hyperplanes, whole.partitions, {"Coat": Tuning(5, 3)})
    write_index(path, index, IndexHeader(HEADER.encoder_digest, 96, 12, seed=7))
    assert settings_in(path) == IndexSettings(64, 7, {"Coat": Tuning(5, 3)})


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"index 1 ", b"index 2 ", 1)),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["none", "foreign", "cut off", "newer", "a folder"],
)
def test_where_no_index_can_be_read_the_settings_are_the_recommended_ones(
    file: Path, damage: Callable[[Path], object]
) -> None:
    damage(file)
    assert settings_in(file) == IndexSettings(512, 2019, {})


def test_settings_change_where_they_are_told_to() -> None:
    before = IndexSettings(64, 7, {"Coat": Tuning(5, 3), "Bag": Tuning(2)})
    assert before.changed() == before
    assert before.changed(n_bits=128) == IndexSettings(128, 7, before.tunings)
    assert before.changed(seed=0) == IndexSettings(64, 0, before.tunings)
    changed = before.changed(tunings={"Coat": Tuning(n_probes=4), "Bag": Tuning()})
    assert changed == IndexSettings(64, 7, {"Coat": Tuning(None, 4)})


@pytest.mark.parametrize(
    ("settings_", "sentence"),
    [
        (IndexSettings(n_bits=0), "8 to 4,096 bits, in steps of 8, not 0"),
        (IndexSettings(n_bits=-8), "in steps of 8, not -8"),
        (IndexSettings(n_bits=100), "in steps of 8, not 100"),
        (IndexSettings(n_bits=4104), "8 to 4,096 bits, in steps of 8, not 4,104"),
        (IndexSettings(seed=-1), "not -1. Choose such a number"),
        (IndexSettings(seed=2**63), "A seed is a number from 0 to 2⁶³ - 1"),
        (IndexSettings(seed=16), "16 has turned the embeddings at random.*Choose another seed"),
        (IndexSettings(8, tunings={"Coat": Tuning(9)}), "“Coat” can be named by 0 to 8 bits of a code of 8, not by 9"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_what_can(settings_: IndexSettings, sentence: str) -> None:
    with pytest.raises(TuningError, match=sentence):
        settings_.check()


def test_hdf5_tools_can_read_what_is_pinned(tmp_path: Path) -> None:
    whole = make_index()
    write_index(tmp_path / "a.h5", CategoryIndex(whole.hyperplanes, whole.partitions, {"Hüte": Tuning(5)}), HEADER)
    with h5py.File(tmp_path / "a.h5") as opened:
        assert json.loads(opened.attrs["tunings"]) == {"Hüte": {"key_bits": 5, "n_probes": None}}


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
    assert data[:SEAL_BYTES].rstrip(b"\0").decode() == f"fashion16-index 3 {digest}\n"


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
    file.write_bytes(data.replace(b"fashion16-index 3 ", b"fashion16-index 4 ", 1))
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
from fashion16.search.index_file import read_index, write_index
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


def test_the_point_that_each_categorys_hyperplanes_go_through_is_kept(tmp_path: Path) -> None:
    vectors = unit_vectors(400, 16, seed=8)
    names = np.repeat(["Coat", "Dress"], 200)
    index = CategoryIndex.build(vectors, np.arange(400), names, n_bits=32)
    write_index(tmp_path / "i.h5", index, HEADER)
    read, _ = read_index(tmp_path / "i.h5")
    for name in ("Coat", "Dress"):
        mean = read.partitions[name].hyperplanes.mean
        assert np.array_equal(mean, index.partitions[name].hyperplanes.mean)
        assert not np.array_equal(mean, read.hyperplanes.mean)


def test_a_file_of_version_1_is_searched_by_the_hyperplanes_that_it_was_made_with(tmp_path: Path) -> None:
    path = tmp_path / "old.h5"
    vectors = unit_vectors(400, 16, seed=8)
    hyperplanes = RandomHyperplanes.draw(vectors.mean(axis=0), 32, 1)
    partition = Partition.sort(np.arange(400), hyperplanes.encode(vectors), to_int16(vectors), hyperplanes)
    write_index(path, CategoryIndex(hyperplanes, {"Coat": partition}), HEADER)
    with h5py.File(path, "r+") as file:
        del file["category Coat/centre"]
    path.write_bytes(path.read_bytes().replace(b"fashion16-index 3 ", b"fashion16-index 1 ", 1))
    reseal(path)
    read, _ = read_index(path)
    assert np.array_equal(read.partitions["Coat"].hyperplanes.mean, hyperplanes.mean)
    assert read.search(vectors[:3], ["Coat"], k=1).ids[:, 0].tolist() == [0, 1, 2]


def test_the_embeddings_of_a_file_of_version_2_had_8_bits_a_value(tmp_path: Path) -> None:
    path = tmp_path / "old.h5"
    vectors = unit_vectors(400, 16, seed=8)
    vectors[7] = 0  # a picture without direction stays one
    index = CategoryIndex.build(vectors, np.arange(400), np.array(["Coat"] * 400), n_bits=32)
    write_index(path, index, HEADER)
    with h5py.File(path, "r+") as file:
        rows = file["category Coat/embeddings"][:]
        del file["category Coat/embeddings"]
        largest = np.abs(rows).max(axis=1, keepdims=True)
        file["category Coat/embeddings"] = np.rint(rows / np.maximum(largest, 1) * 127).astype(np.int8)
    path.write_bytes(path.read_bytes().replace(b"fashion16-index 3 ", b"fashion16-index 2 ", 1))
    reseal(path)
    read, _ = read_index(path)
    assert read.partitions["Coat"].embeddings.dtype == np.int16
    assert np.array_equal(read.partitions["Coat"].codes, index.partitions["Coat"].codes)
    assert np.abs(read.embeddings(np.arange(400)) - vectors).max() < 0.005
    assert read.search(vectors[:3], ["Coat"], k=1).ids[:, 0].tolist() == [0, 1, 2]
