"""A collection packed and unpacked: nothing is lost on the way, nothing hostile gets in, and it opens by itself."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import fashion16.collections.packing
from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.rows import ImportedItem, Item
from fashion16.collections.indexing import build_index
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.opened import Collection
from fashion16.collections.pack_files import COLUMNS, PackCard, read_pack, write_table
from fashion16.collections.packing import pack, unpack
from fashion16.collections.pictures import thumbnail_name
from fashion16.collections.stored import StoredCollection
from fashion16.collections.workspace import Workspace
from fashion16.errors import (
    BusyError,
    CatalogueError,
    DamagedDataError,
    DataError,
    HeadError,
    NewerIndexError,
    WorkspaceError,
)
from fashion16.files.locks import only_one
from fashion16.search.encoder import EncoderCard
from fashion16.search.head import Head
from fashion16.search.index_file import read_index, write_index
from tests.catalogue import test_postgresql
from tests.conftest import REPOSITORY
from tests.pictures import bare_workspace

url = test_postgresql.url  # a real server

NAME = "shop"
# 1 to 20: small pictures, odd ids coats and even ones bags; the others:
TALL, TWIN, UNLABELLED, EXCLUDED = 21, 22, 23, 24
N = 24


def photo(number: int, width: int = 48, height: int = 40, kind: str = "PNG") -> bytes:
    """A picture of its own for each number: 6 x 6 fields of random colours."""
    pixels = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(file, kind)
    return file.getvalue()


def put(workspace: Workspace, source: str, label: str | None, data: bytes) -> None:
    """Import one picture."""
    stored = workspace.collection(NAME).store().put(data)
    split = "validation" if source.endswith("0") else "train"
    item = ImportedItem(
        None, stored.sha256, label, split, source, stored.file, stored.width, stored.height, "2026-11-24T12:00:00Z"
    )
    with workspace.collection(NAME).catalogue() as catalogue:
        assert catalogue.add_new([item]) == 1


def exclude(workspace: Workspace, item_id: int) -> None:
    with workspace.collection(NAME).catalogue() as catalogue, catalogue.writing() as connection:
        connection.execute(sa.text(f"UPDATE items SET status = 'excluded' WHERE id = {item_id}"))


def import_label(workspace: Workspace, item_id: int, label: str) -> None:
    """Give the item a label as an import may bring it: those that people write are held to more."""
    change = sa.text("UPDATE items SET label = :label WHERE id = :id")
    with workspace.collection(NAME).catalogue() as catalogue, catalogue.writing() as connection:
        connection.execute(change, {"label": label, "id": item_id})


def correct(workspace: Workspace, item_id: int, label: str) -> None:
    with workspace.collection(NAME).catalogue() as catalogue:
        catalogue.correct(item_id, label, "ann", catalogue.item(item_id).version)


def everything(workspace: Workspace, name: str = NAME) -> list[Item]:
    with workspace.collection(name).catalogue() as catalogue:
        return catalogue.items(range(1, catalogue.count() + 1))


def cloned(packed: Workspace, root: Path, database_url: str | None = None) -> Workspace:
    """A bare workspace with the pack."""
    made = bare_workspace(root, database_url)
    shutil.copytree(packed.collection(NAME).pack_folder, made.collection(NAME).pack_folder)
    return made


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a workspace with a collection of files, indexed, and one correction since."""
    made = bare_workspace(tmp_path_factory.mktemp("template"))
    for number in range(1, 21):
        put(made, f"{number}.png", "Coat" if number % 2 else "Bag", photo(number))
    put(made, "tall.jpg", "Coat", photo(21, 500, 1000, "JPEG"))
    put(made, "twin of 1.png", "Coat", photo(1))
    put(made, "unlabelled.png", None, photo(23))
    put(made, "excluded.png", "Bag", photo(24))
    build_index(made.collection(NAME))
    correct(made, 3, "Bag")
    exclude(made, EXCLUDED)
    return made.root


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Workspace:
    """The template as a workspace of the test's own, not packed yet."""
    return Workspace(shutil.copytree(template, tmp_path / "shop", symlinks=True))


@pytest.fixture(scope="module")
def packed_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packed") / "shop"
    pack(Workspace(shutil.copytree(template, root, symlinks=True)).collection(NAME))
    return root


@pytest.fixture
def packed(packed_template: Path) -> Workspace:
    """The template, packed; only to be read."""
    return Workspace(packed_template)


@pytest.fixture
def clone(packed: Workspace, tmp_path: Path) -> Workspace:
    """A bare workspace of the test's own with the pack."""
    return cloned(packed, tmp_path / "clone")


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# packing


def test_a_pack_has_a_card_a_table_thumbnails_head_and_index(packed: Workspace) -> None:
    folder = packed.collection(NAME).pack_folder
    assert {path.name for path in folder.iterdir()} == {
        "pack.json",
        "catalogue.csv",
        "thumbnails",
        "head.h5",
        "index.h5",
        ".gitattributes",
    }
    card = PackCard.read(folder / "pack.json")
    assert (card.name, card.items, card.active, card.label_revision, card.size) == (NAME, 24, 23, 1, 320)
    assert card.encoder_digest == EncoderCard.read(packed.encoder_folder / "encoder.json").digest
    with (folder / "catalogue.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    item = everything(packed)[2]
    assert rows[2] == {
        "id": "3",
        "file": item.file,
        "source": "3.png",
        "label": "Bag",
        "original_label": "Coat",
        "split": "train",
        "status": "active",
        "sha256": item.sha256,
        "width": "48",
        "height": "40",
        "fetched_at": "2026-11-24T12:00:00Z",
        "version": "1",
        "decided": "1",
    }
    assert rows[EXCLUDED - 1]["status"] == "excluded"


def test_twins_share_a_thumbnail_and_excluded_items_have_none(packed: Workspace) -> None:
    thumbnails = {path.name for path in (packed.collection(NAME).pack_folder / "thumbnails").glob("*/*")}
    items = everything(packed)
    assert items[0].file == items[TWIN - 1].file
    expected = {
        os.path.basename(thumbnail_name(str(item.file), item.width or 0, item.height or 0))
        for item in items
        if item.id != EXCLUDED
    }
    assert thumbnails == expected
    assert len(thumbnails) == 22


def test_thumbnails_that_are_small_enough_are_copied(packed: Workspace) -> None:
    of_the_pack = files_below(packed.collection(NAME).pack_folder / "thumbnails")
    of_the_store = files_below(packed.collection(NAME).data_folder / "thumbnails")
    assert of_the_pack.items() < of_the_store.items()


# its longer side is the size or, of a small picture and where there are no more pixels, its own
@pytest.mark.parametrize(
    ("size", "small", "tall"),
    [(32, (27, 32), (32, 16)), (200, (40, 48), (200, 100)), (640, (40, 48), (640, 320)), (1024, (40, 48), (1000, 500))],
)
def test_pictures_of_a_pack_have_at_most_the_size(
    shop: Workspace, size: int, small: tuple[int, int], tall: tuple[int, int]
) -> None:
    folder = pack(shop.collection(NAME), size) / "thumbnails"
    sizes = {path.suffix: set() for path in folder.glob("*/*")}
    for path in folder.glob("*/*"):
        with Image.open(path) as picture:
            assert {".png": "PNG", ".jpg": "JPEG"}[path.suffix] == picture.format
            sizes[path.suffix].add((picture.height, picture.width))
    assert sizes == {".png": {small}, ".jpg": {tall}}


def test_without_the_original_a_pack_has_the_thumbnail(shop: Workspace) -> None:
    shutil.rmtree(shop.collection(NAME).data_folder / "pictures")
    with Image.open(next((pack(shop.collection(NAME), 1024) / "thumbnails").glob("*/*.jpg"))) as picture:
        assert picture.size == (160, 320)


def test_a_small_pack_packed_smaller_still_has_jpegs_where_their_names_say_so(shop: Workspace) -> None:
    shutil.copytree(pack(shop.collection(NAME), 60), shop.root / "first")
    again = bare_workspace(shop.root.parent / "again")
    shutil.copytree(shop.root / "first", again.collection(NAME).pack_folder)
    with Image.open(next((pack(again.collection(NAME), 40) / "thumbnails").glob("*/*.jpg"))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (20, 40))


@pytest.mark.parametrize("size", [-1, 0, 31, 1025])
def test_other_sizes_are_refused(shop: Workspace, size: int) -> None:
    with pytest.raises(DataError, match=f"have 32 to 1,024 pixels a side, received {size:,}"):
        pack(shop.collection(NAME), size)


def test_head_and_index_of_a_pack_stand_at_todays_labels_and_revision_0(packed: Workspace) -> None:
    folder = packed.collection(NAME).pack_folder
    index, header = read_index(folder / "index.h5")
    # item 3 was corrected after the index was written, item 24 excluded
    assert read_index(packed.collection(NAME).index_file)[0].category_of(3) == "Coat"
    assert index.category_of(3) == "Bag"
    assert index.category_of(EXCLUDED) is None
    assert len(index) == 23
    assert (header.revision, Head.read(folder / "head.h5").label_revision) == (0, 0)


def test_progress_counts_the_pictures(shop: Workspace) -> None:
    reported: list[tuple[int, int]] = []
    pack(shop.collection(NAME), progress=lambda done, total: reported.append((done, total)))
    assert reported == [(23, 23)]
    again = cloned(shop, shop.root.parent / "again")
    assert unpack(again.collection(NAME), lambda done, total: reported.append((done, total))) == 24
    assert reported[1:] == [(24, 24)]


def test_a_second_pack_replaces_the_first(shop: Workspace) -> None:
    folder = pack(shop.collection(NAME))
    first = files_below(folder)
    assert len(first) == 22 + 5
    exclude(shop, TALL)
    assert pack(shop.collection(NAME)) == folder
    second = files_below(folder)
    tall = everything(shop)[TALL - 1]
    gone = "thumbnails/" + thumbnail_name(str(tall.file), 500, 1000)
    assert first.keys() - second.keys() == {gone}
    assert [path.name for path in folder.parent.iterdir()] == [NAME]


def test_a_pack_may_be_written_elsewhere(shop: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert pack(shop.collection(NAME), to=tmp_path / "empty") == tmp_path / "empty"
    assert pack(shop.collection(NAME), to=tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert files_below(tmp_path / "a" / "b").keys() == files_below(tmp_path / "empty").keys()
    assert not shop.collection(NAME).pack_folder.exists()


@pytest.mark.parametrize("others", [["notes.txt"], ["thumbnails/cat.jpg"], ["pack.json", ".git/HEAD"]])
def test_a_folder_with_other_things_is_left_alone(shop: Workspace, tmp_path: Path, others: list[str]) -> None:
    for name in others:
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text("mine")
    with pytest.raises(WorkspaceError, match="holds other things than a pack .*Name a folder that is new") as caught:
        pack(shop.collection(NAME), to=tmp_path / "mine")
    assert caught.value.path == tmp_path / "mine"
    assert files_below(tmp_path / "mine") == {name: b"mine" for name in others}


def test_a_file_where_the_pack_belongs_is_our_own_error(shop: Workspace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for to in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(WorkspaceError, match="could not be written"):
            pack(shop.collection(NAME), to=to)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_our_own_error_and_leaves_the_old_pack(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files_below(pack(shop.collection(NAME)))
    real = Path.write_bytes

    def no_room(path: Path, data: bytes) -> int:
        if path.suffix == ".jpg":
            raise OSError(28, "No space left on device")
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", no_room)
    with pytest.raises(WorkspaceError, match="No space left on device.*the disk has room"):
        pack(shop.collection(NAME), 100)
    assert files_below(shop.root / "packs") == {f"{NAME}/{path}": data for path, data in before.items()}


def run(workspace: Workspace, call: str, first: str = "") -> subprocess.Popen[str]:
    """Another process that runs `first`, then the call and prints its answer."""
    program = (
        "import os, signal; from pathlib import Path; import fashion16.collections.packing as packing\n"
        f"from fashion16.collections.workspace import Workspace\n{first}\n"
        f"print({call.format(workspace=f'Workspace(Path({str(workspace.root)!r}))')})"
    )
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)


@pytest.mark.parametrize(
    ("dies", "left"),
    [
        # in the middle of the pictures; as the old one has been moved away; as the new one is in place
        ("packing.thumbnail_name = lambda *_: os.kill(os.getpid(), signal.SIGKILL)", "old"),
        (
            "rename = Path.rename\n"
            "Path.rename = lambda self, to: rename(self, to) if '.pack-old' in str(to) else os.kill(os.getpid(), 9)",
            "none",
        ),
        ("packing.shutil.rmtree = lambda *_, **__: os.kill(os.getpid(), 9)", "new"),
    ],
)
def test_a_killed_pack_leaves_the_old_one_or_none_and_the_next_one_tidies_up(
    shop: Workspace, dies: str, left: str
) -> None:
    folder = pack(shop.collection(NAME))
    before = files_below(folder)
    process = run(shop, f"packing.pack({{workspace}}.collection({NAME!r}), 100)", dies)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    if left == "old":
        assert files_below(folder) == before
    elif left == "none":
        assert not folder.exists()
    else:
        assert PackCard.read(folder / "pack.json").size == 100
    pack(shop.collection(NAME), 100)
    assert [path.name for path in folder.parent.iterdir()] == [NAME]
    assert unpack(cloned(shop, shop.root.parent / "again").collection(NAME)) == N


def test_a_missing_picture_is_named_and_leaves_the_old_pack(shop: Workspace) -> None:
    before = files_below(pack(shop.collection(NAME)))
    item = everything(shop)[4]
    name = thumbnail_name(str(item.file), 48, 40)
    (shop.collection(NAME).data_folder / "thumbnails" / name).unlink()
    (shop.collection(NAME).pack_folder / "thumbnails" / name).unlink()
    with pytest.raises(DataError, match=f"thumbnail .*{name} is missing. Import the same pictures again"):
        pack(shop.collection(NAME))
    assert files_below(shop.collection(NAME).pack_folder).keys() == before.keys() - {f"thumbnails/{name}"}


def test_an_excluded_picture_may_be_missing(shop: Workspace) -> None:
    (
        shop.collection(NAME).data_folder
        / "thumbnails"
        / thumbnail_name(str(everything(shop)[EXCLUDED - 1].file), 48, 40)
    ).unlink()
    assert len(files_below(pack(shop.collection(NAME)))) == 22 + 5


def test_pictures_that_are_not_indexed_are_counted_with_what_to_do(shop: Workspace) -> None:
    put(shop, "new.png", "Bag", photo(100))
    with pytest.raises(DataError, match=f"Pictures of “{NAME}” are not in its index yet: 1. .*fashion16 index {NAME}"):
        pack(shop.collection(NAME))


def test_what_cannot_be_opened_cannot_be_packed(shop: Workspace) -> None:
    shop.collection(NAME).head_file.unlink()
    with pytest.raises(HeadError, match="There is no head"):
        pack(shop.collection(NAME))
    with pytest.raises(DataError, match="“hats” has no pictures yet"):
        pack(shop.collection("hats"))
    with pytest.raises(WorkspaceError, match="cannot be called"):
        pack(shop.collection("../hats"))
    assert not (shop.root / "packs").exists()
    assert not shop.collection("hats").data_folder.exists()


def test_a_collection_is_not_packed_while_it_grows(shop: Workspace) -> None:
    with only_one(shop.collection(NAME).import_lock), pytest.raises(BusyError):
        pack(shop.collection(NAME))


def test_a_correction_between_opening_and_reading_is_in_table_and_index(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Collection.open

    def open_and_correct(stored: StoredCollection) -> Collection:
        opened = real(stored)
        correct(shop, 5, "Gumboot")
        return opened

    monkeypatch.setattr(Collection, "open", open_and_correct)
    folder = pack(shop.collection(NAME))
    assert read_pack(folder)[4].label == read_index(folder / "index.h5")[0].category_of(5) == "Gumboot"


# in = out


def test_a_clone_has_every_item_as_it_was_packed(packed: Workspace, clone: Workspace) -> None:
    assert unpack(clone.collection(NAME)) == N
    assert everything(clone) == everything(packed)
    assert clone.collection(NAME).is_imported()
    with clone.collection(NAME).catalogue() as catalogue:
        assert catalogue.revision() == 0


HARD = (
    "=1+1",
    "@SUM(A1:A9)",
    "-2",
    '"',
    '","',
    "\\",
    "\\N",
    "",
    " ",
    "two\nlines",
    "\r",
    "\r\n",
    "tab\t",
    "🧥👗",
    "‮gpj.exe",
    "\ufeff",
    "\0",
    "NULL",
    "nan",
    "01",
    "x" * 10_000,
    "\\" * 10_000,
)
texts = st.text(max_size=30) | st.sampled_from(HARD)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(texts, st.none() | texts, st.none() | texts, texts, st.none() | texts), max_size=20))
def test_any_text_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str | None, str | None, str, str | None]]
) -> None:
    items = [
        Item(
            n,
            f"{n:02x}/{n:02x}{'0' * 62}.webp",
            None,
            f"{n:02x}{'0' * 62}",
            a,
            b,
            c,
            d,
            n * 7,
            e,
            n,
            n + 1,
            f,
            n % 2 == 0,
        )
        for n, (e, a, b, c, f) in enumerate(rows, start=1)
        for d in ["train"]
    ]
    folder = tmp_path_factory.mktemp("texts")
    write_table(folder / "catalogue.csv", items, NAME)
    PackCard(NAME, "", len(items), len(items), 0, 320, "").write(folder / "pack.json")
    assert read_pack(folder) == items
    with closing(Catalogue.in_file(folder / "catalogue.sqlite")) as catalogue:
        assert catalogue.restore(read_pack(folder)) == len(items)
        assert catalogue.items(range(1, 100)) == items


def test_foreign_labels_come_back_all_the_way(shop: Workspace) -> None:
    for number, text in enumerate(HARD[:20], start=1):
        import_label(shop, number, text or "empty")
    build_index(shop.collection(NAME))
    pack(shop.collection(NAME))
    clone = cloned(shop, shop.root.parent / "clone")
    unpack(clone.collection(NAME))
    assert everything(clone) == everything(shop)
    with closing(clone.open(NAME)) as opened:
        for item in everything(clone)[:20]:
            assert opened.searcher.index.category_of(item.id) == item.label


def test_a_catalogue_that_would_not_come_back_is_not_packed(shop: Workspace) -> None:
    with shop.collection(NAME).catalogue() as catalogue, catalogue.writing() as connection:
        connection.execute(sa.text("UPDATE items SET source = :source WHERE id = 2"), {"source": "x" * 200_000})
    with pytest.raises(DataError, match=f"The catalogue of “{NAME}” cannot be packed .field larger"):
        pack(shop.collection(NAME))


# a clone opens by itself


def test_a_clone_searches_shows_and_keeps_corrections(packed: Workspace, clone: Workspace) -> None:
    unpack(clone.collection(NAME))
    with closing(clone.open(NAME)) as opened:
        for item_id in (2, 4, TALL, UNLABELLED):
            answer = opened.find(opened.classify(opened.picture(item_id)), categories=opened.searcher.index.categories)
            assert answer.results[0].id == item_id
            assert answer.results[0].similarity > 0.99
        np.testing.assert_array_equal(opened.picture(TALL), packed.open(NAME).picture(TALL))
        opened.correct(2, "Coat", "bob", 0)
    # the correction outlives the process, and every later unpacking
    assert unpack(clone.collection(NAME)) == 0
    with closing(clone.open(NAME)) as again:
        assert again.searcher.index.category_of(2) == again.catalogue.item(2).label == "Coat"
        assert again.catalogue.item(2).original_label == "Bag"
        # the one before the packing is a fact, and no longer history
        assert again.catalogue.history(3) == []
        assert again.catalogue.item(3).version == 1


def test_unpacking_leaves_no_trace_where_there_is_no_pack(tmp_path: Path) -> None:
    assert unpack(Workspace(tmp_path).collection("hats")) == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(WorkspaceError, match="cannot be called"):
        unpack(Workspace(tmp_path).collection("../hats"))


def test_files_that_vanish_are_put_back(clone: Workspace) -> None:
    unpack(clone.collection(NAME))
    for vanish in (
        [
            clone.collection(NAME).data_folder,
            clone.collection(NAME).head_file.parent,
            clone.collection(NAME).index_file.parent,
        ],
        [clone.collection(NAME).data_folder],
    ):
        for folder in vanish:
            shutil.rmtree(folder)
        assert unpack(clone.collection(NAME)) == N
        clone.open(NAME).close()
    clone.collection(NAME).index_file.unlink()
    assert unpack(clone.collection(NAME)) == 0
    clone.collection(NAME).head_file.unlink()
    assert unpack(clone.collection(NAME)) == 0
    clone.open(NAME).close()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def of_another_encoder(path: Path) -> None:
    if path.name == "head.h5":
        replace(Head.read(path), encoder_digest="f" * 64).write(path)
    else:
        index, header = read_index(path)
        write_index(path, index, replace(header, encoder_digest="f" * 64))


@pytest.mark.parametrize("damage", [cut, of_another_encoder])
def test_head_and_index_that_do_not_fit_are_replaced(clone: Workspace, damage: Callable[[Path], None]) -> None:
    unpack(clone.collection(NAME))
    for path in (clone.collection(NAME).head_file, clone.collection(NAME).index_file):
        before = path.read_bytes()
        damage(path)
        assert unpack(clone.collection(NAME)) == 0
        assert path.read_bytes() == before


def test_head_and_index_that_fit_stay(clone: Workspace) -> None:
    unpack(clone.collection(NAME))
    build_index(clone.collection(NAME), n_bits=64)
    before = clone.collection(NAME).index_file.read_bytes()
    unpack(clone.collection(NAME))
    assert clone.collection(NAME).index_file.read_bytes() == before


def test_an_index_of_a_catalogue_that_is_gone_is_replaced(clone: Workspace) -> None:
    unpack(clone.collection(NAME))
    put(clone, "new.png", "Bag", photo(200))
    build_index(clone.collection(NAME))
    shutil.rmtree(clone.collection(NAME).data_folder)
    unpack(clone.collection(NAME))
    assert (
        clone.collection(NAME).index_file.read_bytes() == (clone.collection(NAME).pack_folder / "index.h5").read_bytes()
    )


def test_an_index_of_a_newer_version_is_left_alone(clone: Workspace) -> None:
    unpack(clone.collection(NAME))
    path = clone.collection(NAME).index_file
    path.write_bytes(path.read_bytes().replace(b"fashion16-index 3 ", b"fashion16-index 9 ", 1))
    shutil.rmtree(clone.collection(NAME).data_folder)
    assert unpack(clone.collection(NAME)) == N
    with pytest.raises(NewerIndexError):
        clone.open(NAME)


def test_a_pack_of_another_encoder_is_put_there_and_says_what_to_do(clone: Workspace) -> None:
    for name in ("head.h5", "index.h5"):
        of_another_encoder(clone.collection(NAME).pack_folder / name)
    assert unpack(clone.collection(NAME)) == N
    with pytest.raises(HeadError, match=f"another encoder. Make it again with: fashion16 index {NAME}"):
        clone.open(NAME)
    # from the pack's thumbnails, of which the excluded one is missing
    build_index(clone.collection(NAME))
    with closing(clone.open(NAME)) as opened:
        assert len(opened.searcher.index) == 23


def test_a_pack_beside_other_pictures_of_the_same_name_changes_nothing(clone: Workspace) -> None:
    put(clone, "mine.png", "Hat", photo(300))
    assert unpack(clone.collection(NAME)) == 0
    assert [item.source for item in everything(clone)] == ["mine.png"]
    assert not clone.collection(NAME).head_file.exists()
    assert not clone.collection(NAME).index_file.exists()


def test_pictures_are_added_to_an_unpacked_collection(packed: Workspace, clone: Workspace) -> None:
    unpack(clone.collection(NAME))
    put(clone, "new.png", "Bag", photo(100))
    build_index(clone.collection(NAME))
    with closing(clone.open(NAME)) as opened:
        assert len(opened.searcher.index) == 24
        assert opened.find(opened.classify(opened.picture(25)), categories=["Bag"]).results[0].id == 25
    # and packed with them
    pack(clone.collection(NAME))
    again = cloned(clone, clone.root.parent / "again")
    assert unpack(again.collection(NAME)) == 25
    assert everything(again)[:24] == everything(packed)


def test_two_processes_unpacking_at_once_give_each_item_once(packed: Workspace, clone: Workspace) -> None:
    both = [run(clone, f"packing.unpack({{workspace}}.collection({NAME!r}))") for _ in range(2)]
    answers = [process.communicate(timeout=60)[0].strip() for process in both]
    assert sorted(answers) == ["0", str(N)]
    assert everything(clone) == everything(packed)
    clone.open(NAME).close()


def test_an_unpacking_that_was_killed_is_whole_when_run_again(packed: Workspace, clone: Workspace) -> None:
    dies = "packing._reported = lambda items, progress: (x for x in items if x.id < 9 or os.kill(os.getpid(), 9))"
    process = run(clone, f"packing.unpack({{workspace}}.collection({NAME!r}))", dies)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not clone.collection(NAME).is_imported()
    assert unpack(clone.collection(NAME)) == N
    assert everything(clone) == everything(packed)


# an array


def test_an_array_is_packed_as_files(small_workspace: Workspace, tmp_path: Path) -> None:
    pictures = np.load(small_workspace.collection().pictures_file)
    pictures[7] = pictures[3]
    np.save(small_workspace.collection().pictures_file, pictures)
    with small_workspace.collection().catalogue() as catalogue, catalogue.writing() as connection:
        connection.execute(sa.text("UPDATE items SET sha256 = (SELECT sha256 FROM items WHERE id = 4) WHERE id = 8"))
    folder = pack(small_workspace.collection())
    assert len(list(folder.glob("thumbnails/*/*.png"))) == 399
    # at home it is still the array
    assert unpack(small_workspace.collection()) == 0

    clone = bare_workspace(tmp_path / "clone")
    shutil.copytree(folder, clone.collection().pack_folder)
    assert unpack(clone.collection()) == 400
    assert clone.collection().is_imported()
    with closing(clone.open()) as opened, closing(small_workspace.open()) as original:
        for item_id in (1, 4, 8, 400):
            pixels = original.picture(item_id)
            np.testing.assert_array_equal(opened.picture(item_id), np.stack([pixels] * 3, axis=-1))
        answer = opened.find(opened.classify(original.picture(9)), categories=opened.searcher.index.categories)
        assert answer.results[0].id == 9
    home, away = everything(small_workspace, DEFAULT_COLLECTION), everything(clone, DEFAULT_COLLECTION)
    as_files = {"position": None, "width": 28, "height": 28}
    for before, after in zip(home, away, strict=True):
        file = f"{before.sha256[:2]}/{before.sha256}.png"
        assert after == replace(before, **as_files, file=file, source=f"fashion-mnist/{before.position}")


# what may come from anywhere


def rewrite(folder: Path, change: Callable[[list[list[str]]], object]) -> None:
    path = folder / "catalogue.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    change(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def cell(column: str, value: str, row: int = 5) -> Callable[[Path], None]:
    """A pack whose table has this value there."""

    def change(rows: list[list[str]]) -> None:
        rows[row][COLUMNS.index(column)] = value

    return lambda folder: rewrite(folder, change)


def twice(folder: Path) -> None:
    def change(rows: list[list[str]]) -> None:
        rows[6] = ["6", *rows[5][1:]]

    rewrite(folder, change)


def card(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        facts = json.loads((folder / "pack.json").read_text()) | changes
        (folder / "pack.json").write_text(json.dumps(facts))

    return change


SHA = "a" * 64


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cell("file", "../../etc/passwd"), "row 5 names no stored picture"),
        (cell("file", f"/etc/{SHA}.jpg"), "row 5 names no stored picture"),
        (cell("file", f"aa/{SHA}.jpg"), "row 5 names no stored picture"),  # not the picture of its sha256
        (cell("file", f"aa/../{SHA}.jpg"), "row 5 names no stored picture"),
        (cell("file", f"aa/{SHA}.jpg\n"), "row 5 names no stored picture"),
        (cell("file", ""), "row 5 names no stored picture"),
        (cell("sha256", "A" * 64), "row 5 names no stored picture"),
        (cell("width", "0"), "row 5 names no stored picture"),
        (cell("width", "1e3"), "“1e3” is not a number of a catalogue"),
        (cell("height", "-4"), "“-4” is not a number"),
        (cell("height", "４"), "“４” is not a number"),
        (cell("version", ""), "“” is not a number"),
        (cell("version", "9" * 30), "is not a number"),
        (cell("version", "2147483648"), "is not a number"),
        (cell("id", "0"), "row 5 has the id 0"),
        (cell("id", "4"), "row 5 has the id 4"),
        (cell("id", "7"), "row 5 has the id 7"),
        (cell("decided", "2"), "row 5 is decided 2 times"),
        (cell("status", ""), "row 5 has no status"),
        (cell("split", ""), "row 5 has no split"),
        (cell("source", ""), "row 5 has no source"),
        (cell("source", "x" * 200_000), "field larger than field limit"),
        (cell("label", "name", row=0), "its columns are id, file, source, name"),
        (twice, "twice under the same source"),
        (lambda folder: rewrite(folder, lambda rows: rows.pop()), "it has 23 rows instead of 24"),
        (lambda folder: rewrite(folder, lambda rows: rows[3].pop()), "row 3 has 12 cells instead of 13"),
        (lambda folder: rewrite(folder, list.clear), "its columns are  instead of"),
        (lambda folder: cut(folder / "catalogue.csv"), "is damaged"),
        (lambda folder: (folder / "catalogue.csv").write_bytes(b"\xff\xfe"), "can't decode"),
        (lambda folder: (folder / "catalogue.csv").unlink(), "No such file"),
        (card(format_version=2), "was written by a newer Fashion-16. Update Fashion-16."),
        (card(format_version=None), "is not the card of a pack"),
        (card(format="zip"), "is not the card of a pack .it is something else"),
        (card(items="24"), "its values are of the wrong kind"),
        (card(more=1), "is not the card of a pack"),
        (lambda folder: (folder / "pack.json").write_text("[]"), "is not the card of a pack"),
        (lambda folder: (folder / "pack.json").write_text("[" * 100_000), "is not the card of a pack"),
        (lambda folder: (folder / "pack.json").write_bytes(b""), "is not the card of a pack"),
    ],
)
def test_a_pack_that_is_not_as_it_was_written_is_refused_whole(
    clone: Workspace, damage: Callable[[Path], object], reason: str
) -> None:
    damage(clone.collection(NAME).pack_folder)
    with pytest.raises(DamagedDataError, match=reason):
        unpack(clone.collection(NAME))
    assert not clone.collection(NAME).is_imported()
    assert not clone.collection(NAME).head_file.exists()
    assert not clone.collection(NAME).index_file.exists()


def test_in_a_pack_from_before_items_could_be_decided_none_is(clone: Workspace) -> None:
    def change(rows: list[list[str]]) -> None:
        for row in rows:
            row.pop()

    rewrite(clone.collection(NAME).pack_folder, change)
    assert unpack(clone.collection(NAME)) == N
    assert not any(item.decided for item in everything(clone))


@pytest.mark.parametrize("place", ["thumbnails", "head.h5", "thumbnails/aa", "thumbnails/aa/a.png"])
def test_a_pack_with_a_link_out_of_it_is_refused(clone: Workspace, tmp_path: Path, place: str) -> None:
    link = clone.collection(NAME).pack_folder / place
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedDataError, match=f"{place} is a link, and a pack has none") as caught:
        unpack(clone.collection(NAME))
    assert caught.value.path == link


@pytest.mark.parametrize("name", ["head.h5", "index.h5"])
def test_a_head_or_index_missing_in_the_pack_is_asked_for_when_it_is_opened(clone: Workspace, name: str) -> None:
    (clone.collection(NAME).pack_folder / name).unlink()
    assert unpack(clone.collection(NAME)) == N
    with pytest.raises((HeadError, fashion16.errors.MissingIndexError), match=f"Make one with: fashion16 index {NAME}"):
        clone.open(NAME)


def test_unpacking_where_nothing_may_be_written_is_our_own_error(clone: Workspace) -> None:
    (clone.root / "indexes").write_text("a file")
    with pytest.raises(WorkspaceError, match="could not be written"):
        unpack(clone.collection(NAME))
    assert not clone.collection(NAME).is_imported()


# a catalogue on a server


def test_a_catalogue_on_a_server_survives_the_host(packed: Workspace, tmp_path: Path, url: str) -> None:
    first = cloned(packed, tmp_path / "first", url)
    assert unpack(first.collection(NAME)) == N
    assert everything(first) == everything(packed)
    with closing(first.open(NAME)) as opened:
        opened.correct(2, "Coat", "bob", 0)
    # all local files of the host are gone, and the next one begins with the clone again
    second = cloned(packed, tmp_path / "second", url)
    assert unpack(second.collection(NAME)) == 0
    assert second.collection(NAME).is_imported()
    with closing(second.open(NAME)) as again:
        assert again.searcher.index.category_of(2) == "Coat"
        assert [correction.who for correction in again.catalogue.history(2)] == ["bob"]
        assert again.picture(2).shape == (40, 48, 3)


def test_a_server_refuses_what_it_cannot_hold_and_has_no_item_then(shop: Workspace, tmp_path: Path, url: str) -> None:
    import_label(shop, 1, "x" * 10_000)  # more than its column has
    build_index(shop.collection(NAME))
    pack(shop.collection(NAME))
    away = cloned(shop, tmp_path / "away", url)
    shutil.move(away.collection(NAME).pack_folder, away.collection("long").pack_folder)
    with pytest.raises(CatalogueError, match="cannot be used .value too long"):
        unpack(away.collection("long"))
    assert not away.collection("long").is_imported()
