"""The pictures of a collection as files, and the log of what was imported."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.imports import SHOWN, ImportLog
from fashion16.catalogue.rows import Item
from fashion16.collections.pictures import ArrayPictures, PictureStore, StoredPictures, file_name, thumbnail_name
from fashion16.errors import DamagedPictureError, DataError, ImageError, WorkspaceError
from fashion16.text import storable
from tests.pictures import photo
from tests.test_images import saved

A = "ab" + "c" * 62


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    return PictureStore(tmp_path / "shop")


def item(file: str | None, width: int | None = 24, height: int | None = 32, position: int | None = None) -> Item:
    return Item(7, file, position, A, None, None, "active", "train", 0, "a.png", width, height)


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# what is stored, and where


def test_a_picture_lies_as_it_came_under_its_digest_with_a_thumbnail(store: PictureStore) -> None:
    data = photo(1, 640, 480, "WEBP")
    digest = hashlib.sha256(data).hexdigest()
    stored = store.put(data)
    assert (stored.sha256, stored.width, stored.height) == (digest, 640, 480)
    assert stored.file == f"{digest[:2]}/{digest}.webp"
    folder, name = digest[:2], f"{digest[:2]}/{digest}"
    assert files_below(store.folder) == {f"pictures/{name}.webp", f"thumbnails/{name}.jpg"}
    assert (store.folder / "pictures" / folder / f"{digest}.webp").read_bytes() == data
    assert store.original(stored.file) == data
    assert store.pixels(stored.file, 640, 480).shape == (240, 320, 3)
    assert store.of(item(stored.file, 640, 480)).shape == (240, 320, 3)


@pytest.mark.parametrize(
    ("form", "suffix"),
    [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif"), ("BMP", "bmp"), ("TIFF", "tif")]
    + [("PPM", "ppm"), ("AVIF", "avif"), ("MPO", "jpg")],
)
def test_each_format_keeps_its_own_ending(store: PictureStore, form: str, suffix: str) -> None:
    # with one picture alone, Pillow writes a JPEG for an MPO
    more = {"append_images": [Image.new("RGB", (24, 32))], "save_all": True} if form == "MPO" else {}
    stored = store.put(photo(1, form=form, **more))
    assert stored.file.endswith(f".{suffix}")
    assert store.has_thumbnail(stored.file, 24, 32)


@pytest.mark.parametrize(("side", "suffix"), [(64, ".png"), (65, ".jpg")])
def test_a_small_picture_s_thumbnail_has_its_every_pixel(store: PictureStore, side: int, suffix: str) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (side, 20, 3), np.uint8)
    stored = store.put(saved(Image.fromarray(pixels), "PNG"))
    assert thumbnail_name(stored.file, 20, side).endswith(suffix)
    found = store.pixels(stored.file, 20, side)
    assert found.shape == pixels.shape
    assert np.array_equal(found, pixels) == (suffix == ".png")


def test_a_picture_turned_by_its_exif_stands_upright(store: PictureStore) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    stored = store.put(photo(1, 60, 40, "JPEG", exif=exif))
    assert (stored.width, stored.height) == (40, 60)
    assert store.of(item(stored.file, 40, 60)).shape == (60, 40, 3)


@pytest.mark.parametrize("data", [b"", b"Dear reader", photo(1)[:-30]])
def test_what_is_no_picture_leaves_nothing(store: PictureStore, data: bytes) -> None:
    with pytest.raises(ImageError):
        store.put(data)
    assert not store.is_there()
    assert not store.folder.exists()


def test_the_same_picture_again_writes_nothing(store: PictureStore) -> None:
    first = store.put(photo(1))
    times = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*.png")}
    assert store.put(photo(1)) == first
    assert {path: path.stat().st_mtime_ns for path in store.folder.rglob("*.png")} == times
    assert store.is_there()


def test_a_picture_put_by_many_at_once_is_whole(store: PictureStore) -> None:
    failures: list[BaseException] = []
    barrier = threading.Barrier(8)

    def put() -> None:
        barrier.wait()
        try:
            for number in range(10):
                store.put(photo(number))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(files_below(store.folder)) == 20
    for number in range(10):
        stored = store.put(photo(number))
        assert store.original(stored.file) == photo(number)


@pytest.mark.parametrize("damage", [b"", bytes(40), b"another file"])
def test_a_file_with_other_content_than_its_name_says_is_replaced(store: PictureStore, damage: bytes) -> None:
    stored = store.put(photo(1))
    for name in files_below(store.folder):
        # of the same length, too
        size = (store.folder / name).stat().st_size
        (store.folder / name).write_bytes(damage.ljust(size, b"\0") if damage else b"")
    assert not store.has_thumbnail(stored.file, 24, 32)
    store.put(photo(1))
    assert store.original(stored.file) == photo(1)
    assert store.has_thumbnail(stored.file, 24, 32)
    assert store.has_original(stored.file, len(photo(1)))
    assert not store.has_original(stored.file, len(photo(1)) - 1)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_what_cannot_be_written_is_our_own_error_and_leaves_no_part(
    store: PictureStore, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refused(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", refused)
        with pytest.raises(WorkspaceError, match=rf"could not be written \({os.strerror(code)}\). Make room") as caught:
            store.put(photo(1))
    assert caught.value.path.is_relative_to(store.folder / "pictures")
    assert files_below(store.folder) == set()
    store.put(photo(1))
    assert len(files_below(store.folder)) == 2


def test_what_is_missing_says_what_to_do(store: PictureStore) -> None:
    file = file_name(A, ".jpg")
    with pytest.raises(DataError, match=r"The thumbnail .*abccc.*\.png is missing. Import the same pictures again."):
        store.thumbnail(file, 24, 32)
    with pytest.raises(DataError, match="is not stored here as it came"):
        store.original(file)
    for odd in (item(None), item(file, None), item(file, 24, None)):
        with pytest.raises(DataError, match="The picture of item 7 is missing"):
            store.of(odd)


def test_a_damaged_thumbnail_says_what_to_do(store: PictureStore) -> None:
    stored = store.put(photo(1))
    (store.folder / "thumbnails" / stored.file).write_bytes(b"x")
    with pytest.raises(DamagedPictureError, match="A stored thumbnail is damaged. Import the collection again."):
        store.of(item(stored.file))


def test_a_pack_s_thumbnails_are_seen_behind_one_s_own(tmp_path: Path) -> None:
    packed = PictureStore(tmp_path / "packed")
    theirs = packed.put(photo(1))
    store = PictureStore(tmp_path / "shop", packed.folder)
    assert store.is_there()
    assert store.has_thumbnail(theirs.file, 24, 32)
    assert not store.has_original(theirs.file, len(photo(1)))
    assert store.thumbnail(theirs.file, 24, 32) == packed.thumbnail(theirs.file, 24, 32)
    mine = store.put(photo(2))
    assert store.has_thumbnail(mine.file, 24, 32) and not packed.has_thumbnail(mine.file, 24, 32)


def test_pictures_by_row_are_black_only_where_excluded_ones_are_missing(store: PictureStore) -> None:
    stored = store.put(photo(1))
    gone = file_name(A, ".png")
    rows = StoredPictures(store, [(stored.file, 24, 32), (gone, 5, 5), (gone, 6, 6)], {2})
    assert len(rows) == 3
    assert rows[0].shape == (32, 24, 3)
    assert rows[2].tolist() == [[[0, 0, 0]]]
    with pytest.raises(DataError, match="is missing"):
        rows[1]


def test_pictures_of_an_array_are_its_rows() -> None:
    pictures = ArrayPictures(np.arange(8, dtype=np.uint8).reshape(2, 2, 2))
    assert pictures.of(item(None, position=1)).tolist() == [[4, 5], [6, 7]]
    for position in (None, 2, -1):
        with pytest.raises(DataError, match="The picture of item 7 is missing"):
            pictures.of(item(None, position=position))


# the log of imports


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ImportLog]:
    with Catalogue.in_file(tmp_path / "catalogue.sqlite") as catalogue:
        yield ImportLog(catalogue)


def test_reports_come_the_newest_first_and_those_cut_short_have_no_end(log: ImportLog) -> None:
    whole = log.begin("/home/ann/pictures", {"label_column": "Art"})
    whole.added, whole.unchanged, whole.relabelled, whole.passed_over = 4, 3, 2, 1
    log.end(whole)
    cut_short = log.begin("/home/ann/more.zip", {})
    cut_short.added = 9
    newest, oldest = log.reports()
    assert (newest.location, newest.ended_at, newest.added) == ("/home/ann/more.zip", None, 0)
    assert oldest.choices == {"label_column": "Art"}
    assert (oldest.added, oldest.unchanged, oldest.relabelled, oldest.passed_over) == (4, 3, 2, 1)
    assert oldest.ended_at is not None
    began, ended = map(datetime.fromisoformat, (oldest.began_at, oldest.ended_at))
    assert began <= ended and began.utcoffset() is not None
    assert newest.id > oldest.id


def test_refusals_are_kept_each_with_its_import_even_one_cut_short(log: ImportLog) -> None:
    first, second = log.begin("first", {}), log.begin("second", {})
    log.refuse(second, [("b", "No."), ("a", "No, too.")])
    log.refuse(first, [("c", "Never.")])
    log.refuse(second, [("b", "Again.")])
    log.refuse(second, [])
    newest, oldest = log.reports()
    assert (newest.skipped, newest.n_skipped) == ([("b", "No."), ("a", "No, too."), ("b", "Again.")], 3)
    assert (oldest.skipped, oldest.n_skipped) == ([("c", "Never.")], 1)


def test_of_many_refusals_the_first_are_shown_and_all_are_counted(log: ImportLog) -> None:
    report = log.begin("heap", {})
    log.refuse(report, [(f"{number}.jpg", "No.") for number in range(SHOWN + 7)])
    (found,) = log.reports()
    assert found.n_skipped == SHOWN + 7
    assert found.skipped == [(f"{number}.jpg", "No.") for number in range(SHOWN)]


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50)


@settings(max_examples=25, deadline=None)
@given(location=text, choices=st.dictionaries(text, text, max_size=3), name=text, reason=text)
def test_foreign_text_is_kept_exactly(
    tmp_path_factory: pytest.TempPathFactory, location: str, choices: dict[str, str], name: str, reason: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "texts.sqlite"
    with Catalogue.in_file(path) as catalogue:
        log = ImportLog(catalogue)
        report = log.begin(location, choices)
        log.refuse(report, [(name, reason)])
        found = log.reports()[0]
    assert (found.location, found.choices, found.skipped) == (location, choices, [(name, reason)])


def test_what_no_database_can_carry_is_escaped() -> None:
    assert storable("Röcke 👗\n'\"<b>") == "Röcke 👗\n'\"<b>"
    assert storable("a\0b\udcff") == "a\\x00b\\udcff"
