"""Local pictures: folders, tables and archives become entries and refusals, however hostile they are."""

from __future__ import annotations

import builtins
import io
import os
import struct
import sys
import tempfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion16.errors import DamagedDataError, MissingDataError
from fashion16.images import MAX_BYTES, encode_jpeg, read_photo
from fashion16.sources.label_table import LabelTable, TableRow, file_key, match_files
from fashion16.sources.local import LocalEntry, open_local
from fashion16.sources.local_files import Refusal
from fashion16.text import shown

ODD_NAMES = (
    'it\'s "quoted".jpg',
    "<script>alert(1)</script>".replace("/", "") + ".jpg",
    "👗 robe d'été ﷽.jpg",
    "two\nlines\r\tand \x1b[31mred.jpg",
    "%s {0} $HOME `rm` ; DROP TABLE items;--.jpg",
    "‮gpj.exe.jpg",
    "=cmd()|' '.jpg",
    " spaces around .jpg ",
    "-rf",
    "no ending",
)
# where a field lies in a member's entry of the directory, where in its own header, and how it is packed
FIELDS = {
    "version": (6, 4, "<H"),
    "flags": (8, 6, "<H"),
    "method": (10, 8, "<H"),
    "crc": (16, 14, "<I"),
    "packed_size": (20, 18, "<I"),
    "size": (24, 22, "<I"),
}


def tree(root: Path, files: Mapping[str, Any]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def packed(path: Path, files: Mapping[str, Any], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def patch(path: Path, name: str, **fields: int) -> None:
    """Write what zipfile would not: a member's fields, in the directory and in its own header."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        here = archive.getinfo(name).header_offset
        there = archive.start_dir
    while data[there + 46 :][: len(name.encode())] != name.encode():
        there += 46 + sum(struct.unpack_from("<HHH", data, there + 28))
    for field, value in fields.items():
        in_directory, in_header, form = FIELDS[field]
        struct.pack_into(form, data, there + in_directory, value)
        struct.pack_into(form, data, here + in_header, value)
    path.write_bytes(data)


def rename(path: Path, old: bytes, new: bytes) -> None:
    assert len(old) == len(new)
    path.write_bytes(path.read_bytes().replace(old, new))


def labels(path: Path, **options: Any) -> dict[str, str | None]:
    with open_local(path, **options) as heap:
        return {each.name: each.label for each in heap if isinstance(each, LocalEntry)}


def refusals(path: Path, **options: Any) -> dict[str, str]:
    """Refusals of the heap, at the latest when its entries are read."""
    with open_local(path, **options) as heap:
        read = [each.read() if isinstance(each, LocalEntry) else each for each in heap]
    return {each.name: each.reason for each in read if isinstance(each, Refusal)}


def contents(path: Path, **options: Any) -> dict[str, bytes]:
    with open_local(path, **options) as heap:
        read = {each.name: each.read() for each in heap if isinstance(each, LocalEntry)}
    return {name: data for name, data in read.items() if isinstance(data, bytes)}


def with_table(root: Path, table: bytes | str, *names: str, called: str = "labels.csv") -> Path:
    return tree(root, {called: table, **{name: name for name in names}})


# folders


def test_a_picture_s_label_is_the_first_folder_below_the_root(tmp_path: Path) -> None:
    tree(tmp_path, {"Dress/1.jpg": "", "Dress/long/red/2.jpg": "", "Hat/1.jpg": "", "loose.jpg": ""})
    assert labels(tmp_path) == {
        "Dress/1.jpg": "Dress",
        "Dress/long/red/2.jpg": "Dress",
        "Hat/1.jpg": "Hat",
        "loose.jpg": None,
    }


def test_an_entry_s_bytes_are_a_photo(tmp_path: Path) -> None:
    jpeg = encode_jpeg(np.full((16, 16, 3), 90, np.uint8), 16)
    for path in (tree(tmp_path / "folder", {"Hat/a.jpg": jpeg}), packed(tmp_path / "a.zip", {"Hat/a.jpg": jpeg})):
        assert read_photo(contents(path)["Hat/a.jpg"]).shape == (16, 16, 3)


def test_entries_and_refusals_come_by_name_whatever_order_they_were_made_in(tmp_path: Path) -> None:
    names = ["b/1.jpg", "a/10.jpg", "a/2.jpg", "B/1.jpg", "é/1.jpg", "a.jpg", "a/2.zip", "z/1.jpg"]
    expected = sorted(names)
    for turn, order in enumerate((names, names[::-1])):
        folder = tree(tmp_path / str(turn), dict.fromkeys(order, "x"))
        archive = packed(tmp_path / f"{turn}.zip", dict.fromkeys(order, "x"))
        for path in (folder, archive):
            with open_local(path) as heap:
                assert [each.name for each in heap] == expected
                assert [each.name for each in heap] == expected
                assert len(heap) == 8


def test_a_label_has_no_white_space_around_it_and_an_empty_one_is_none(tmp_path: Path) -> None:
    tree(tmp_path, {" T-Shirt \n/1.jpg": "", "  /2.jpg": ""})
    assert labels(tmp_path) == {" T-Shirt \n/1.jpg": "T-Shirt", "  /2.jpg": None}


@pytest.mark.parametrize("label", ["Not sure", "Other", "Skip"])
def test_a_label_that_says_nothing_stays_as_it_is(tmp_path: Path, label: str) -> None:
    assert labels(tree(tmp_path, {f"{label}/1.jpg": ""})) == {f"{label}/1.jpg": label}


def test_a_label_of_more_than_200_characters_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, {"x" * 200 + "/a.jpg": "", "y" * 201 + "/b.jpg": ""})
    assert labels(tmp_path) == {"x" * 200 + "/a.jpg": "x" * 200}
    assert refusals(tmp_path) == {"y" * 201 + "/b.jpg": "Its label has 201 characters; the limit is 200."}


@pytest.mark.parametrize(
    "name",
    [".hidden.jpg", ".git/a.jpg", "Hat/.thumbs/a.jpg", "__MACOSX/Hat/._a.jpg", "Thumbs.db", "Hat/desktop.ini"]
    + ["README.md", "Hat/notes.TXT", "script.py", "clip.mp4", "Hat/.DS_Store", "more/labels.csv"],
)
def test_what_is_no_picture_is_passed_over_and_counted(tmp_path: Path, name: str) -> None:
    files = {"Hat/a.jpg": "", "loose.jpg": "", name: ""}
    for path in (tree(tmp_path / "folder", files), packed(tmp_path / "a.zip", files)):
        with open_local(path) as heap:
            assert [each.name for each in heap] == ["Hat/a.jpg", "loose.jpg"]
            assert heap.passed_over == 1


@pytest.mark.parametrize("name", ["a.HEIC", "a.svg", "a", "a.jpg_large", "a.tif"])
def test_what_may_be_a_picture_is_an_entry_so_that_its_refusal_gets_a_reason(tmp_path: Path, name: str) -> None:
    assert labels(tree(tmp_path, {name: ""})) == {name: None}


@pytest.mark.parametrize("name", ["more.zip", "Hat/old.tar", "Hat/old.tar.GZ", "a.7z"])
def test_an_archive_inside_is_not_opened(tmp_path: Path, name: str) -> None:
    files = {"Hat/a.jpg": "", name: packed(tmp_path / "inner", {"b.jpg": ""}).read_bytes()}
    for path in (tree(tmp_path / "folder", files), packed(tmp_path / "outer.zip", files)):
        assert refusals(path) == {
            name: "Archives inside an archive or a folder are not opened. Unpack it, and import what it holds."
        }


@pytest.mark.parametrize("name", [*ODD_NAMES, "😀" * 62 + "abc.jpg"], ids=range(11))
def test_any_name_is_carried_as_it_is(tmp_path: Path, name: str) -> None:
    for path in (tree(tmp_path / "folder", {name: "x"}), packed(tmp_path / "a.zip", {name: "x"})):
        assert contents(path) == {name: b"x"}


def test_a_name_of_undecodable_bytes_is_escaped_and_its_file_read(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"R\xf6cke")).mkdir()
    (tmp_path / os.fsdecode(b"R\xf6cke/\xff.jpg")).write_bytes(b"x")
    (tmp_path / os.fsdecode(b"\xfe.zip")).write_bytes(b"x")
    assert labels(tmp_path) == {"R\\udcf6cke/\\udcff.jpg": "R\\udcf6cke"}
    assert contents(tmp_path) == {"R\\udcf6cke/\\udcff.jpg": b"x"}
    assert list(refusals(tmp_path)) == ["\\udcfe.zip"]


def test_two_names_that_would_read_alike_are_not_mixed_up(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    (tmp_path / "\\udcff.jpg").write_bytes(b"x")
    assert contents(tmp_path) == {"\\udcff.jpg": b"x"}
    assert refusals(tmp_path) == {"\\udcff.jpg": "There is another file of the same name; the first one counts."}


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", {"secret.jpg": "secret", "deep/secret.jpg": "secret"})
    heap = tree(tmp_path / "outside2" / "heap", {"Hat/a.jpg": "x"})
    (heap / "file.jpg").symlink_to(outside / "secret.jpg")
    (heap / "relative.jpg").symlink_to("../../outside/secret.jpg")
    (heap / "passwd").symlink_to("/etc/passwd")
    (heap / "Hat" / "folder").symlink_to(outside)
    # a neighbour whose name begins alike is outside too
    tree(tmp_path / "outside2" / "heap2", {"b.jpg": "secret"})
    (heap / "alike.jpg").symlink_to("../heap2/b.jpg")
    assert contents(heap) == {"Hat/a.jpg": b"x"}
    assert refusals(heap) == dict.fromkeys(
        ["Hat/folder", "alike.jpg", "file.jpg", "passwd", "relative.jpg"],
        "This link leads out of the folder, and is not followed.",
    )


def test_a_link_to_a_file_of_the_heap_is_a_file_and_other_links_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, {"Hat/a.jpg": "x"})
    (tmp_path / "Dress").mkdir()
    (tmp_path / "Dress" / "b.jpg").symlink_to("../Hat/a.jpg")
    (tmp_path / "broken.jpg").symlink_to("gone.jpg")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    # followed, it would never end
    (tmp_path / "Hat" / "up").symlink_to("..")
    assert contents(tmp_path) == {"Dress/b.jpg": b"x", "Hat/a.jpg": b"x"}
    assert refusals(tmp_path) == dict.fromkeys(
        ["Hat/up", "broken.jpg", "circle.jpg"], "This link leads to no file; links to folders are not followed."
    )


def test_a_heap_may_be_named_by_a_link(tmp_path: Path) -> None:
    tree(tmp_path / "real", {"Hat/a.jpg": "x"})
    (tmp_path / "link").symlink_to("real")
    assert contents(tmp_path / "link") == {"Hat/a.jpg": b"x"}


def test_a_pipe_is_refused_and_does_not_stop_the_heap(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe.zip")
    assert refusals(tmp_path) == dict.fromkeys(["pipe.jpg", "pipe.zip"], "This is no regular file.")
    with pytest.raises(DamagedDataError, match=r"pipe.zip is neither a folder nor a file"):
        open_local(tmp_path / "pipe.zip")


def test_a_file_that_went_away_or_cannot_be_read_is_refused_when_it_is_read(tmp_path: Path) -> None:
    tree(tmp_path, {"a.jpg": "", "b.jpg": "", "c.jpg": "x"})
    with open_local(tmp_path) as heap:
        (tmp_path / "a.jpg").unlink()
        (tmp_path / "b.jpg").unlink()
        (tmp_path / "b.jpg").mkdir()
        assert [each.read() for each in heap if isinstance(each, LocalEntry)] == [
            Refusal("a.jpg", "This file cannot be read (No such file or directory)."),
            Refusal("b.jpg", "This file cannot be read (Is a directory)."),
            b"x",
        ]


def test_a_folder_that_cannot_be_opened_is_one_refusal_and_the_root_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, {"Hat/a.jpg": "", "locked/b.jpg": ""})
    real, locked = os.scandir, "locked"

    def scandir(path: Path) -> Any:
        # as root, no folder is ever locked
        if Path(path).name == locked:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert labels(tmp_path) == {"Hat/a.jpg": "Hat"}
    assert refusals(tmp_path) == {"locked": "This folder cannot be opened (Permission denied)."}
    locked = tmp_path.name
    with pytest.raises(DamagedDataError, match=r"The folder .* cannot be opened \(Permission denied\)") as caught:
        open_local(tmp_path)
    assert caught.value.path == tmp_path


def test_a_file_larger_than_any_picture_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    for name, size in (("huge.jpg", 50 * 2**30), ("large.jpg", MAX_BYTES + 1), ("right.jpg", MAX_BYTES)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    sentence = "This file is larger than 40 MB, as no picture needs to be. Make it smaller and try again."
    assert refusals(tmp_path) == dict.fromkeys(["huge.jpg", "large.jpg"], sentence)
    assert {name: len(data) for name, data in contents(tmp_path).items()} == {"right.jpg": MAX_BYTES}


def test_looking_through_a_folder_opens_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, {f"{number % 7}/{number}.jpg": "" for number in range(2_000)})

    def no_open(*_: object) -> None:
        raise AssertionError("a file was opened")

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "open", no_open)
        assert len(open_local(tmp_path)) == 2_000


@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_a_heap_is_read_with_one_picture_in_memory_at_a_time(tmp_path: Path, packing: str) -> None:
    files = {f"{number}.jpg": os.urandom(2**20) for number in range(30)}
    path = tree(tmp_path, files) if packing == "folder" else packed(tmp_path / "a.zip", files, zipfile.ZIP_STORED)
    tracemalloc.start()
    try:
        with open_local(path) as heap:
            total = 0
            for each in heap:
                assert isinstance(each, LocalEntry)
                data = each.read()
                assert isinstance(data, bytes)
                total += len(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 30 * 2**20
    # the last picture, the next one, and that again while zipfile puts it together
    assert peak < 5 * 2**20


def test_more_files_than_the_limit_are_refused_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"Hat/{number}.jpg": "" for number in range(20)}
    folder, archive = tree(tmp_path / "folder", files), packed(tmp_path / "a.zip", files)
    # the folder Hat counts
    monkeypatch.setattr("fashion16.sources.local_files.MAX_ENTRIES", 21)
    assert len(open_local(folder)) == len(open_local(archive)) == 20
    monkeypatch.setattr("fashion16.sources.local_files.MAX_ENTRIES", 19)
    for path in (folder, archive):
        with pytest.raises(DamagedDataError, match="holds more than 19 files. Import it in parts.") as caught:
            open_local(path)
        assert caught.value.path == path


def test_an_archive_s_members_are_counted_while_its_directory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "a.zip", {f"{number}.jpg": "" for number in range(50)})
    made, kind = [], zipfile.ZipInfo

    def info(name: str) -> zipfile.ZipInfo:
        made.append(name)
        return kind(name)

    monkeypatch.setattr("fashion16.sources.local_files.MAX_ENTRIES", 5)
    monkeypatch.setattr(zipfile, "ZipInfo", info)
    with pytest.raises(DamagedDataError, match="more than 5 files"):
        open_local(path)
    assert len(made) == 6


def test_nothing_there_says_so(tmp_path: Path) -> None:
    for name in ("gone", "gone.zip", "gone.csv", "a/b\0c"):
        with pytest.raises(MissingDataError, match="There is nothing at .* that can be opened. Correct its name."):
            open_local(tmp_path / name)


def test_an_empty_folder_or_archive_is_an_empty_heap(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", packed(tmp_path / "empty.zip", {})):
        assert len(open_local(path)) == 0


# tables


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("called", ["labels.csv", "Labels.TSV"])
def test_a_table_s_separator_and_line_ends_are_found(tmp_path: Path, separator: str, ending: str, called: str) -> None:
    rows = [["file", "label", "seen, or not"], ["a.jpg", "Hat", "1"], ["b.jpg", "Dress", "2"]]
    table = ending.join(separator.join(f'"{cell}"' for cell in row) for row in rows)
    with_table(tmp_path, table, "a.jpg", "b.jpg", called=called)
    assert labels(tmp_path) == {"a.jpg": "Hat", "b.jpg": "Dress"}


def test_the_separator_is_the_one_that_gives_the_columns(tmp_path: Path) -> None:
    table = "file;label;who, when, where, why\na.jpg;Hat, of straw;x\n"
    assert labels(with_table(tmp_path, table, "a.jpg")) == {"a.jpg": "Hat, of straw"}


@pytest.mark.parametrize("file", ["file", "path", "image", "filename", "picture", "File_Name", " IMAGE "])
@pytest.mark.parametrize("label", ["label", "category", "class", "CLASS"])
def test_columns_are_found_by_their_names(tmp_path: Path, file: str, label: str) -> None:
    assert labels(with_table(tmp_path, f"id,{label},{file}\n7,Hat,a.jpg\n", "a.jpg")) == {"a.jpg": "Hat"}


def test_columns_named_by_the_caller_are_taken(tmp_path: Path) -> None:
    path = with_table(tmp_path, "file,label,Foto,Art\nb.jpg,Hat,a.jpg,Kleid\n", "a.jpg", "b.jpg")
    assert labels(path) == {"b.jpg": "Hat"}
    assert labels(path, file_column="Foto", label_column="art") == {"a.jpg": "Kleid"}


@pytest.mark.parametrize(
    ("header", "options", "sentence"),
    [
        (
            "photo,label",
            {},
            "has no file column called file or path or image or filename or picture. Its columns are: ",
        ),
        (
            "file,kind",
            {},
            "has no label column called label or category or class. Its columns are: “file”, “kind”. Name",
        ),
        (
            "file,label",
            {"label_column": "sort"},
            "has no label column called “sort”. Its columns are: “file”, “label”.",
        ),
        (
            "file,label",
            {"file_column": "no\n"},
            r"has no file column called “no\\n”. Its columns are: “file”, “label”.",
        ),
        ("", {}, "has no file column .* Its columns are: none."),
    ],
)
def test_a_table_without_usable_columns_says_which_it_has(
    tmp_path: Path, header: str, options: dict[str, str], sentence: str
) -> None:
    path = with_table(tmp_path, f"{header}\na.jpg,Hat\n" if header else "", "a.jpg")
    with pytest.raises(DamagedDataError, match=f"The table “labels.csv” in .* {sentence}") as caught:
        open_local(path, **options)
    assert caught.value.path == path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_a_table_is_utf8_with_or_without_mark_or_else_latin1(tmp_path: Path, encoding: str) -> None:
    path = with_table(tmp_path, "file,label\nété.jpg,Röcke\n".encode(encoding), "été.jpg")
    assert labels(path) == {"été.jpg": "Röcke"}


def test_a_mark_before_what_is_not_utf8_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = with_table(tmp_path, b"\xef\xbb\xbffile,label\na.jpg,R\xf6cke\n", "a.jpg")
    assert labels(path) == {"a.jpg": "Röcke"}


@pytest.mark.parametrize(
    "written", ["images/a b.jpg", "a b.jpg", "./images/a b.jpg", "images\\a b.jpg", "images/a b", "a b", " a b.jpg "]
)
def test_a_row_may_name_its_file_in_many_ways(tmp_path: Path, written: str) -> None:
    assert labels(with_table(tmp_path, f"file,label\n{written},Hat\n", "images/a b.jpg")) == {"images/a b.jpg": "Hat"}


def test_the_public_clothing_dataset_is_read(tmp_path: Path) -> None:
    files = {
        "clothing-dataset-master/images.csv": "image,sender_id,label,kids\na-1,7,Not sure,False\nb-2,7,T-Shirt,True\n",
        "clothing-dataset-master/README.md": "Clothing",
        "clothing-dataset-master/images/a-1.jpg": "a",
        "clothing-dataset-master/images/b-2.jpg": "b",
    }
    expected = {"images/a-1.jpg": "Not sure", "images/b-2.jpg": "T-Shirt"}
    assert labels(tree(tmp_path, files) / "clothing-dataset-master") == expected
    path = packed(tmp_path / "master.zip", files)
    assert labels(path) == {f"clothing-dataset-master/{name}": label for name, label in expected.items()}
    assert contents(path)["clothing-dataset-master/images/b-2.jpg"] == b"b"


def test_composed_and_decomposed_characters_are_the_same_name(tmp_path: Path) -> None:
    path = with_table(tmp_path, "file,label\nre\u0301sume\u0301.jpg,Hat\n", "r\u00e9sum\u00e9.jpg")
    assert labels(path) == {"r\u00e9sum\u00e9.jpg": "Hat"}


def test_a_whole_path_comes_before_the_end_of_one_and_an_ending_before_none() -> None:
    names = ["a.jpg", "x/a.jpg", "x/b.jpg", "b", "y/c.jpg", "y/c.png", "z/x/a.jpg"]
    keys = ["a.jpg", "x/a.jpg", "b", "c", "c.png", "x/a", "gone", "z/x/a.jpg", "/a.jpg", "../a.jpg", ""]
    assert match_files(keys, names) == {
        "a.jpg": ["a.jpg"],
        "x/a.jpg": ["x/a.jpg"],
        "b": ["b"],
        "c": ["y/c.jpg", "y/c.png"],
        "c.png": ["y/c.png"],
        "x/a": ["x/a.jpg"],
        "gone": [],
        "z/x/a.jpg": ["z/x/a.jpg"],
        "/a.jpg": [],
        "../a.jpg": [],
        "": [],
    }


@given(st.text(st.sampled_from("ab./\\ é\u0301"), max_size=12))
def test_a_file_is_found_by_its_own_name_whatever_that_is(name: str) -> None:
    assert match_files([file_key(name)], [name, "c/" + name]) == {file_key(name): [name]}


def test_very_deep_files_are_found_by_their_whole_path_alone() -> None:
    deep = "d/" * 5_000 + "a.jpg"
    assert match_files([deep, "a.jpg"], [deep]) == {deep: [deep], "a.jpg": []}


def test_a_row_that_may_mean_several_files_is_refused(tmp_path: Path) -> None:
    path = with_table(tmp_path, "file,label\na.jpg,Hat\nx/a.jpg,Dress\n", "x/a.jpg", "y/a.jpg")
    assert labels(path) == {"x/a.jpg": "Dress"}
    assert refusals(path) == {
        "a.jpg": "The table names it, and 2 files may be meant. Write its whole path into the table."
    }


def test_a_row_whose_file_is_missing_is_refused(tmp_path: Path) -> None:
    path = with_table(tmp_path, "file,label\na.jpg,Hat\ngone.jpg,Hat\n,Dress\n", "a.jpg")
    assert labels(path) == {"a.jpg": "Hat"}
    assert refusals(path) == {
        "gone.jpg": "The table names it, but there is no such picture.",
        "labels.csv:4": "This row of the table names no file.",
    }


def test_a_row_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    tree(tmp_path, {"secret.jpg": "secret", "heap/x/a.jpg": "x"})
    names = ["../secret.jpg", "x/../../secret.jpg", "..\\secret.jpg", str(tmp_path / "secret.jpg"), "/etc/passwd"]
    names += ["C:\\secret.jpg", "c:secret.jpg", "\\\\server\\share\\a.jpg", "x/../x/a.jpg"]
    path = with_table(tmp_path / "heap", "file,label\n" + "".join(f"{name},Hat\n" for name in names))
    assert labels(path) == {}
    assert refusals(path) == dict.fromkeys(names, "The table names a file outside the folder; none is read from there.")


def test_a_second_label_for_a_file_is_refused_and_the_same_again_is_not(tmp_path: Path) -> None:
    table = "file,label\na.jpg,Hat\na.jpg, Hat \nimages/a.jpg,Dress\nb.jpg,\nb,Skirt\n"
    path = with_table(tmp_path, table, "images/a.jpg", "images/b.jpg")
    assert labels(path) == {"images/a.jpg": "Hat", "images/b.jpg": None}
    assert refusals(path) == {
        "images/a.jpg": "Line 4 of the table gives it the label “Dress”; “Hat” came first.",
        "b": "Line 6 of the table gives it the label “Skirt”; “” came first.",
    }


def test_a_table_s_labels_are_stripped_limited_and_else_left_alone(tmp_path: Path) -> None:
    table = f'file,label\na.jpg," Not sure "\nb.jpg,\nc.jpg\nd.jpg,{"x" * 201}\ne.jpg,"<b>\n"",\'"\n'
    path = with_table(tmp_path, table, *(f"{letter}.jpg" for letter in "abcde"))
    assert labels(path) == {"a.jpg": "Not sure", "b.jpg": None, "c.jpg": None, "e.jpg": "<b>\n\",'"}
    assert refusals(path) == {"d.jpg": "Its label has 201 characters; the limit is 200."}


def test_pictures_that_the_table_does_not_mention_are_counted(tmp_path: Path) -> None:
    path = with_table(tmp_path, "file,label\na.jpg,Hat\n", "a.jpg", "b.jpg", "Dress/c.jpg")
    with open_local(path) as heap:
        assert [each.name for each in heap] == ["a.jpg"]
        assert heap.unlisted == 2


def test_a_refused_file_that_the_table_mentions_has_one_line(tmp_path: Path) -> None:
    path = with_table(tmp_path, "file,label\na.jpg,Hat\n")
    (path / "a.jpg").symlink_to("/etc/passwd")
    with open_local(path) as heap:
        assert list(heap) == [Refusal("a.jpg", "This link leads out of the folder, and is not followed.")]


def test_the_table_itself_or_its_folder_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = with_table(tmp_path, "file,label\na.jpg,Hat\n", "images/a.jpg")
    assert labels(path) == labels(path / "labels.csv") == {"images/a.jpg": "Hat"}
    monkeypatch.chdir(tmp_path)
    assert labels(Path("labels.csv")) == labels(Path(".")) == {"images/a.jpg": "Hat"}


def test_of_several_tables_one_must_be_named(tmp_path: Path) -> None:
    files = {
        "train.csv": "file,label\na.jpg,Hat\n",
        "test.csv": "file,label\na.jpg,Cap\n",
        "more/old.csv": "file,label\na.jpg,Top\n",
        "a.jpg": "",
    }
    for path in (tree(tmp_path / "folder", files), packed(tmp_path / "a.zip", files)):
        with pytest.raises(
            DamagedDataError, match="holds several tables: “test.csv”, “train.csv”. Name the one to use"
        ):
            open_local(path)
        assert labels(path, table="train.csv") == {"a.jpg": "Hat"}
        assert labels(path, table="more/old.csv") == {"a.jpg": "Top"}
        with pytest.raises(DamagedDataError, match="holds no table called “gone.csv”. Correct its name."):
            open_local(path, table="gone.csv")
        with pytest.raises(DamagedDataError, match="holds no table called “../train.csv”"):
            open_local(path, table="../train.csv")


def test_a_column_named_without_a_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DamagedDataError, match="has no table in which a column could be named"):
        open_local(tree(tmp_path, {"Hat/a.jpg": ""}), label_column="label")


@pytest.mark.parametrize("table", ["file,label\n", "file,label\n\n,\n", "\n\nfile;label\n;\n"])
def test_a_table_that_names_no_file_is_not_taken_for_none(tmp_path: Path, table: str) -> None:
    with pytest.raises(DamagedDataError, match="The table “labels.csv” in .* names no file."):
        open_local(with_table(tmp_path, table, "Hat/a.jpg"))


def test_a_row_with_too_many_cells_is_refused_unless_they_are_empty(tmp_path: Path) -> None:
    path = with_table(tmp_path, "file,label\na.jpg,Hat, of straw\nb.jpg,Hat,,\n", "a.jpg", "b.jpg")
    assert labels(path) == {"b.jpg": "Hat"}
    assert refusals(path) == {"a.jpg": "This row has more cells than the table has columns."}


@pytest.mark.parametrize("row", ['b.jpg,"Hat\nc.jpg,Hat\n', "b.jpg," + "x" * 200_000, '"b".jpg,Hat\n'])
def test_a_table_with_a_row_that_never_ends_is_refused(tmp_path: Path, row: str) -> None:
    path = with_table(tmp_path, f"file,label\na.jpg,Hat\n{row}", "a.jpg", "b.jpg")
    with pytest.raises(DamagedDataError, match=r"The table “labels.csv” in .* cannot be read after line 2 \("):
        open_local(path)


def test_too_many_rows_or_bytes_in_a_table_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("a.jpg", "Hat"), ("a.jpg", "Hat"), ("a.jpg", "Hat")]
    with_table(tmp_path, "file,label\n" + "".join(f"{file},{label}\n" for file, label in rows), "a.jpg")
    pd.DataFrame(rows, columns=["file", "label"]).to_parquet(tmp_path / "labels.parquet")
    monkeypatch.setattr("fashion16.sources.label_table.MAX_ROWS", 3)
    for name in ("labels.csv", "labels.parquet"):
        assert labels(tmp_path / name) == {"a.jpg": "Hat"}
    monkeypatch.setattr("fashion16.sources.label_table.MAX_ROWS", 2)
    for name in ("labels.csv", "labels.parquet"):
        with pytest.raises(DamagedDataError, match="has more than 2 rows. Import it in parts."):
            open_local(tmp_path / name)
    monkeypatch.setattr("fashion16.sources.local.MAX_TABLE_BYTES", 20)
    with pytest.raises(DamagedDataError, match="The table “labels.csv” cannot be read: This file is larger than"):
        open_local(tmp_path / "labels.csv")


def test_a_table_that_cannot_be_used_is_not_overlooked(tmp_path: Path) -> None:
    tree(tmp_path / "heap", {"images/a.jpg": ""})
    (tmp_path / "heap" / "labels.csv").symlink_to("/etc/passwd")
    with pytest.raises(DamagedDataError, match="The table “labels.csv” cannot be read: This link leads out of"):
        open_local(tmp_path / "heap")
    path = packed(tmp_path / "a.zip", {"images/a.jpg": "", "labels.csv": "file,label\na,Hat\n"})
    patch(path, "labels.csv", flags=1)
    with pytest.raises(DamagedDataError, match="The table “labels.csv” cannot be read: This file is encrypted."):
        open_local(path)


@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_a_parquet_table_is_read(tmp_path: Path, packing: str) -> None:
    out = io.BytesIO()
    frame = pd.DataFrame({"pixels": [1.5] * 4, "Image": [3, 4, 5, 6], "category": ["Hat", " ", None, "Gone"]})
    frame.astype({"category": "category"}).to_parquet(out)
    files = {"t.parquet": out.getvalue(), "images/3.jpg": "", "images/4.jpg": "", "images/5.jpg": ""}
    path = tree(tmp_path, files) if packing == "folder" else packed(tmp_path / "a.zip", files)
    assert labels(path) == {"images/3.jpg": "Hat", "images/4.jpg": None, "images/5.jpg": None}
    assert refusals(path) == {"6": "The table names it, but there is no such picture."}


def test_a_parquet_table_s_errors_are_sentences(tmp_path: Path) -> None:
    path = with_table(tmp_path, b"PAR1 and then nothing", called="labels.parquet")
    with pytest.raises(DamagedDataError, match=r"is no Parquet file that can be read \(ArrowInvalid\)"):
        open_local(path)
    pd.DataFrame({"file": [{"bytes": b"x"}], "label": ["Hat"]}).to_parquet(path / "labels.parquet")
    with pytest.raises(DamagedDataError, match=r"has struct<bytes: binary> in its column “file”, not text"):
        open_local(path)
    pd.DataFrame({"file": ["a"], "kind": ["Hat"]}).to_parquet(path / "labels.parquet")
    with pytest.raises(DamagedDataError, match=r"has no label column .* Its columns are: “file”, “kind”."):
        open_local(path)
    pd.DataFrame({"file": [], "label": []}).astype(str).to_parquet(path / "labels.parquet")
    with pytest.raises(DamagedDataError, match="names no file"):
        open_local(path)


def test_without_pyarrow_a_parquet_table_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = with_table(tmp_path, b"PAR1", called="labels.parquet")
    with pytest.raises(DamagedDataError, match="needs the package pyarrow. Install it, or save the table as CSV."):
        open_local(path)


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5), st.sampled_from([",", ";", "\t"]))
def test_what_is_written_into_a_table_comes_out_of_it(rows: list[tuple[str, str]], separator: str) -> None:
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in [("file", "label"), *rows]]
    data = "\r\n".join(separator.join(row) for row in quoted).encode()
    table = LabelTable("t.csv", Path("t.csv"))
    kept = [row for row in rows if any(row)]
    if not kept:
        with pytest.raises(DamagedDataError, match="names no file"):
            list(table.rows(data))
    else:
        assert [(row.file, row.label) for row in table.rows(data)] == kept
    assert all(isinstance(row, TableRow) and not row.fault for row in (table.rows(data) if kept else ()))


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from(["t.csv", "t.parquet"]), st.sampled_from([b"", b"file,label\n", b"PAR1"])
)
def test_any_bytes_are_a_table_or_an_error(data: bytes, name: str, start: bytes) -> None:
    try:
        assert list(LabelTable(name, Path(name)).rows(start + data))
    except DamagedDataError as error:
        assert "\n" not in str(error)


def test_somebody_else_s_text_in_a_sentence_is_short_and_on_one_line() -> None:
    assert shown("Röcke") == "“Röcke”"
    assert shown("a\nb\x1b\udcff") == "“a\\nb\\x1b\\udcff”"
    assert shown("x" * 61) == "“" + "x" * 59 + "…”"


# archives


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_is_read_as_the_folder_would_be(tmp_path: Path, method: int) -> None:
    files = {"Dress/1.jpg": b"one" * 99, "Hat/deep/2.jpg": b"two", "loose.jpg": b""}
    path = packed(tmp_path / "a.zip", files, method)
    assert labels(path) == {"Dress/1.jpg": "Dress", "Hat/deep/2.jpg": "Hat", "loose.jpg": None}
    assert contents(path) == files


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["set/Dress/1.jpg", "set/Hat/2.jpg", "set/3.jpg", "README.md"], ["Dress", "Hat", None]),
        (["Dress/1.jpg", "Dress/2.jpg"], ["Dress", "Dress"]),
        (["./Dress/1.jpg", "./Hat/2.jpg"], ["Dress", "Hat"]),
        (["set/Dress/1.jpg", "other/Hat/2.jpg"], ["set", "other"]),
        (["set/Dress/1.jpg", "2.jpg"], ["set", None]),
    ],
)
def test_a_folder_around_the_whole_archive_is_no_label(
    tmp_path: Path, names: list[str], expected: list[str | None]
) -> None:
    found = labels(packed(tmp_path / "a.zip", dict.fromkeys(names, "")))
    assert [found[name] for name in names if name.endswith(".jpg")] == expected


def test_nothing_is_unpacked_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.zip", {"Hat/a.jpg": "x", "../b.jpg": "y", "/c.jpg": "z"})
    real, modes = io.open, []

    def noted(file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
        modes.append(mode)
        return real(file, mode, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "open", noted)
        patched.setattr(io, "open", noted)
        contents(path)
    assert set(modes) == {"rb"}
    assert [each.name for each in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../../evil.jpg", "This name leads out of the archive."),
        ("Hat/../../evil.jpg", "This name leads out of the archive."),
        ("Hat/..", "This name leads out of the archive."),
        ("../notes.txt", "This name leads out of the archive."),
        ("/etc/passwd", "This name is an absolute path: it leads out of the archive."),
        ("//server/share/a.jpg", "This name is an absolute path: it leads out of the archive."),
        ("C:/evil.jpg", "This name is an absolute path: it leads out of the archive."),
        ("c:evil.jpg", "This name is an absolute path: it leads out of the archive."),
        (
            "..\\..\\evil.jpg",
            "This name holds a backslash, which some systems take for a folder. Repack the archive.",
        ),
        ("Hat\\a.jpg", "This name holds a backslash, which some systems take for a folder. Repack the archive."),
    ],
)
def test_a_member_whose_name_leads_elsewhere_is_refused(tmp_path: Path, name: str, sentence: str) -> None:
    path = packed(tmp_path / "a.zip", {"Hat/a.jpg": "x", name: "evil", "Hat/b.jpg": "y"})
    assert refusals(path) == {name: sentence}
    assert contents(path) == {"Hat/a.jpg": b"x", "Hat/b.jpg": b"y"}


def test_a_name_with_a_zero_byte_or_none_at_all_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"evil.jpg#.txt": "x", "#.jpg": "y", "Hat/a.jpg": "z"})
    rename(path, b"evil.jpg#.txt", b"evil.jpg\0.txt")
    rename(path, b"#.jpg", b"\0.jpg")
    sentence = "This name is empty or holds a zero byte, as no file's does."
    assert refusals(path) == dict.fromkeys(["\0.jpg", "evil.jpg\0.txt"], sentence)
    assert contents(path) == {"Hat/a.jpg": b"z"}
    nameless = zipfile.ZipInfo("")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive, archive.open(nameless, "w") as file:
        file.write(b"x")
    assert refusals(tmp_path / "b.zip") == {"": sentence}


def test_a_member_that_is_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("Hat/link.jpg")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("Hat/a.jpg", "x")
        archive.mkdir("Dress")
    assert refusals(path) == {"Hat/link.jpg": "This is a link or a device, and no file."}
    assert contents(path) == {"Hat/a.jpg": b"x"}


@pytest.mark.parametrize("flag", [0x1, 0x41, 0x2000])
def test_an_encrypted_member_is_refused(tmp_path: Path, flag: int) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": "secret", "b.jpg": "x"})
    patch(path, "a.jpg", flags=flag)
    assert refusals(path) == {"a.jpg": "This file is encrypted. Pack the archive without a password."}
    assert contents(path) == {"b.jpg": b"x"}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 9, 93, 99])
def test_a_member_packed_by_another_method_is_refused(tmp_path: Path, method: int) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": bytes(10**7)}, method if method in (12, 14) else zipfile.ZIP_DEFLATED)
    patch(path, "a.jpg", method=method)
    sentence = "This file is packed by a method other than Deflate. Repack the archive as a plain ZIP."
    assert refusals(path) == {"a.jpg": sentence}


def test_a_second_member_of_the_same_name_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": "first", "b.jpg": "second"}, zipfile.ZIP_STORED)
    rename(path, b"b.jpg", b"a.jpg")
    assert contents(path) == {"a.jpg": b"first"}
    assert refusals(path) == {"a.jpg": "There is another file of the same name; the first one counts."}


def test_a_member_that_was_refused_does_not_stand_in_for_another_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": "first", "b.jpg": "second"}, zipfile.ZIP_STORED)
    patch(path, "a.jpg", flags=1, size=2**32 - 2)
    rename(path, b"b.jpg", b"a.jpg")
    assert contents(path) == {"a.jpg": b"second"}
    assert refusals(path) == {"a.jpg": "This file is encrypted. Pack the archive without a password."}
    # the bytes counted are those of the file that is read
    monkeypatch.setattr("fashion16.sources.local_files.MAX_TOTAL_BYTES", 5)
    with pytest.raises(DamagedDataError, match="would unpack to"):
        open_local(path)


def test_utf8_names_are_read_even_where_the_archive_does_not_say_so(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"Röcke/ä.jpg": "x"})
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[0].flag_bits == 0x800
    patch(path, "Röcke/ä.jpg", flags=0)
    assert labels(path) == {"Röcke/ä.jpg": "Röcke"}
    # 0x81 alone is no UTF-8, and ü in the code page of DOS
    rename(path, "Röcke/ä".encode(), b"R\x94\x94cke/\x81a")
    assert contents(path) == {"Rööcke/üa.jpg": b"x"}


@pytest.mark.parametrize(
    "damage",
    [{"crc": 7}, {"size": 3}, {"packed_size": 3}, {"version": 63, "method": 0}, {"flags": 0x20}],
)
def test_a_damaged_member_is_refused_and_the_others_are_read(tmp_path: Path, damage: dict[str, int]) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": "damaged" * 9, "b.jpg": "x"})
    patch(path, "a.jpg", **damage)
    assert refusals(path) == {"a.jpg": "This file is damaged inside the archive. Pack it again."}
    assert contents(path) == {"b.jpg": b"x"}


def test_a_size_claimed_too_high_does_no_harm(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": "x" * 99})
    patch(path, "a.jpg", size=900)
    assert contents(path) == {"a.jpg": b"x" * 99}


def test_a_header_of_another_name_is_not_believed(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": "x", "b.jpg": "y"})
    data = path.read_bytes()
    path.write_bytes(data.replace(b"a.jpg", b"c.jpg", 1))
    assert refusals(path) == {"a.jpg": "This file is damaged inside the archive. Pack it again."}


def bomb(path: Path, claimed: int, crc: int = 0) -> Path:
    """A gigabyte of zeros as a.jpg, in an archive of a megabyte, that claims to unpack to `claimed` bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # after a full flush nothing refers to what came before, so a megabyte can be repeated
    megabyte = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed(path, {"a.jpg": megabyte * 1024 + packer.flush()}, zipfile.ZIP_STORED)
    patch(path, "a.jpg", method=zipfile.ZIP_DEFLATED, size=claimed, crc=crc)
    return path


@pytest.mark.parametrize("claimed", [2**30, 2**32 - 2, MAX_BYTES + 1])
def test_a_bomb_that_says_what_it_is_is_refused_unread(
    tmp_path: Path, claimed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_open(*_: object) -> None:
        raise AssertionError("a member was opened")

    path = bomb(tmp_path / "a.zip", claimed)
    assert path.stat().st_size < 2 * 2**20
    monkeypatch.setattr(zipfile.ZipFile, "open", no_open)
    sentence = "This file is larger than 40 MB, as no picture needs to be. Make it smaller and try again."
    assert refusals(path) == {"a.jpg": sentence}


@pytest.mark.parametrize("claimed", [0, 1_000, 10 * 2**20, MAX_BYTES])
def test_a_bomb_that_lies_about_its_size_is_unpacked_no_further_than_it_says(tmp_path: Path, claimed: int) -> None:
    path = bomb(tmp_path / "a.zip", claimed, crc=7)
    tracemalloc.start()
    try:
        found = refusals(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == {"a.jpg": "This file is damaged inside the archive. Pack it again."}
    # what was unpacked, once more while it is joined, and what was read to unpack it
    assert peak < 2 * claimed + 6 * 2**20


def test_a_member_of_too_high_a_ratio_is_refused_unless_it_is_small(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.bmp": bytes(2**20 + 1), "b.bmp": bytes(2**20), "c.csv": bytes(2**21)})
    with pytest.raises(DamagedDataError, match="The table “c.csv”"):
        open_local(path)
    path = packed(tmp_path / "b.zip", {"a.bmp": bytes(2**20 + 1), "b.bmp": bytes(2**20)})
    assert refusals(path) == {"a.bmp": "This file would unpack to more than 100 times its size, as no photo does."}
    assert {name: len(data) for name, data in contents(path).items()} == {"b.bmp": 2**20}


def test_a_table_in_an_archive_is_read_no_further_than_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "a.zip", {"labels.csv": "file,label\n" + "a,Hat\n" * 10**6, "a.jpg": ""})
    monkeypatch.setattr("fashion16.sources.local.MAX_TABLE_BYTES", 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(
            DamagedDataError, match="The table “labels.csv” cannot be read: This file is larger than 1 MB"
        ):
            open_local(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20


def test_an_archive_that_would_unpack_to_too_much_is_refused_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # each claims half a megabyte of the archive for itself, as where members overlap
    names = [f"{number}.jpg" for number in range(30)]
    path = packed(tmp_path / "a.zip", dict.fromkeys(names, "x"))
    for name in names:
        patch(path, name, packed_size=2**19, size=MAX_BYTES)
    with pytest.raises(
        DamagedDataError, match="would unpack to 1,200 MB; for an archive of its size the limit is 40 MB"
    ):
        open_local(path)
    honest = packed(tmp_path / "b.zip", dict.fromkeys(names, "x"))
    monkeypatch.setattr("fashion16.sources.local_files.MAX_TOTAL_BYTES", 30)
    assert len(open_local(honest)) == 30
    monkeypatch.setattr("fashion16.sources.local_files.MAX_TOTAL_BYTES", 29)
    with pytest.raises(DamagedDataError, match="would unpack to 0 MB"):
        open_local(honest)


@pytest.mark.parametrize("content", [b"", b"my holiday pictures " * 100, b"PK\x03\x04", b"Rar!\x1a\x07\x00"])
def test_a_file_that_is_no_heap_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pictures.zip"
    path.write_bytes(content)
    with pytest.raises(DamagedDataError, match="is neither a folder nor a table .* nor a ZIP archive") as caught:
        open_local(path)
    assert caught.value.path == path


def test_an_archive_whose_directory_cannot_be_read_is_refused_as_a_whole(tmp_path: Path) -> None:
    cut = packed(tmp_path / "cut.zip", {"a.jpg": "x"})
    cut.write_bytes(cut.read_bytes()[:-10])
    future = packed(tmp_path / "future.zip", {"a.jpg": "x"})
    patch(future, "a.jpg", version=99)
    # says UTF-8, and is not: Python reads no directory with such a name in it
    wrong = packed(tmp_path / "wrong.zip", {"ä.jpg": "x"})
    rename(wrong, "ä".encode(), b"\xff\xff")
    for path in (cut, future, wrong):
        with pytest.raises(DamagedDataError, match="nor a ZIP archive that can be read"):
            open_local(path)


def test_an_archive_is_read_until_it_is_closed(tmp_path: Path) -> None:
    with open_local(packed(tmp_path / "a.zip", {"a.jpg": "x"})) as heap:
        (entry,) = heap
        assert isinstance(entry, LocalEntry)
        assert entry.read() == entry.read() == b"x"
    with pytest.raises(ValueError, match="the source is closed"):
        entry.read()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=6))
def test_members_of_any_names_are_entries_refusals_or_counted(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                # zipfile cuts a name off at its first zero byte, and warns of a second one alike
                info = zipfile.ZipInfo(name)
                if info.filename in archive.NameToInfo:
                    continue
                with archive.open(info, "w") as file:
                    file.write(info.filename.encode())
        with open_local(path) as heap:
            for each in heap:
                each.name.encode()
                if isinstance(each, LocalEntry):
                    assert each.read() == each.name.encode()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=4))
def test_an_altered_archive_is_a_heap_or_an_error(changes: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = packed(
            Path(folder) / "a.zip", {"Hat/ä.jpg": b"abc" * 50, "b.jpg": "x", "t/t.csv": "file,label\nb,Hat\n"}
        )
        data = bytearray(path.read_bytes())
        for place, value in changes:
            # from the end, where the directory is
            data[-1 - place % len(data)] = value
        path.write_bytes(data)
        try:
            with open_local(path) as heap:
                read = [each.read() if isinstance(each, LocalEntry) else each for each in heap]
        except DamagedDataError:
            return
        assert all(isinstance(each, bytes | Refusal) for each in read)
