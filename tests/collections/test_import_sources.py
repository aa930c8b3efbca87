"""Whatever a user points at: tables, archives, data sets in MNIST's format, the clothing dataset, addresses."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from fashion16.catalogue import migrations
from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.imports import ImportLog, ImportReport
from fashion16.catalogue.rows import ImportedItem
from fashion16.collections import importing
from fashion16.collections.importing import Source, clothing_source, import_source
from fashion16.collections.workspace import Workspace
from fashion16.errors import BusyError, DamagedDataError, MissingDataError
from fashion16.sources.web import CrawlSettings
from fashion16.sources.web_fetch import WEB_PAGE
from fashion16.sources.web_safety import PRIVATE
from tests.catalogue import test_postgresql
from tests.fakes import write_clothing_archive
from tests.pictures import SHOP, assert_exactly, import_from, items_of, labels_of, photo, photos, tree
from tests.sources.test_local import packed
from tests.sources.test_mnist import idx, pictures, write
from tests.sources.test_web import QUICK, Answer, Site, coded, typed

url = test_postgresql.url  # a real server


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


def skipped(report: ImportReport) -> dict[str, str]:
    assert report.n_skipped == len(report.skipped)
    return dict(report.skipped)


# tables

TABLE = "image;sort;label\na.png;1;Hat\nimages/b;2;\ngone.png;3;Hat\n../c.png;4;Hat\na.png;5;Cap\n"
FAULTS = {
    "gone.png": "The table names it, but there is no such picture.",
    "../c.png": "The table names a file outside the folder; none is read from there.",
    "images/a.png": "Line 6 of the table gives it the label “Cap”; “Hat” came first.",
}


def table_and_files() -> dict[str, bytes | str]:
    files = {f"images/{name}.png": photo(number) for number, name in enumerate("abc")}
    return files | {"labels.csv": TABLE.replace("\na.png;5", "\nimages/a.png;5"), "read me.txt": "x"}


@pytest.mark.parametrize("way", ["folder", "table", "zip"])
def test_a_table_beside_its_pictures_labels_them(shop: Workspace, tmp_path: Path, way: str) -> None:
    files = table_and_files()
    path = packed(tmp_path / "a.zip", files) if way == "zip" else tree(tmp_path / "heap", files)
    report = import_from(shop, path / "labels.csv" if way == "table" else path)
    assert labels_of(shop) == {"images/a.png": "Hat", "images/b.png": None}
    assert skipped(report) == FAULTS
    # the picture that the table does not mention, and the text
    assert (report.added, report.passed_over) == (2, 2)
    assert_exactly(shop, {f"images/{name}.png": photo(number) for number, name in enumerate("ab")})


def test_the_same_heap_as_a_folder_and_as_a_zip_is_the_same(shop: Workspace, tmp_path: Path) -> None:
    import_from(shop, tree(tmp_path / "heap", table_and_files()))
    assert import_from(shop, packed(tmp_path / "a.zip", table_and_files())).unchanged == 2


def test_a_parquet_table_with_named_columns_labels_its_pictures(shop: Workspace, tmp_path: Path) -> None:
    heap = tree(tmp_path / "heap", {"1.png": photo(1), "2.png": photo(2), "other.csv": "file,label\n1.png,No\n"})
    frame = pd.DataFrame({"number": [1, 2], "Art": ["Röcke", None]})
    frame.to_parquet(heap / "t.parquet")
    report = import_from(shop, heap, table="t.parquet", file_column="number", label_column="Art")
    assert labels_of(shop) == {"1.png": "Röcke", "2.png": None}
    with shop.collection(SHOP).catalogue() as catalogue:
        (kept,) = ImportLog(catalogue).reports()
    assert replace(kept, skipped=()) == report
    assert kept.choices == {"table": "t.parquet", "file_column": "number", "label_column": "Art"}
    with pytest.raises(DamagedDataError, match="holds several tables: “other.csv”, “t.parquet”. Name the one to use"):
        import_from(shop, heap)


# MNIST's format


@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 3)])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_data_set_in_mnist_s_format_is_imported(
    shop: Workspace, tmp_path: Path, shape: tuple[int, ...], compressed: bool
) -> None:
    train, test = pictures(40, shape), pictures(6, shape, seed=1)
    train[3] = test[2]
    folder = write(tmp_path / "mnist", "train", train, [number % 3 for number in range(40)], compressed)
    write(folder, "t10k", test, [0, 1, 2, 3, 0, 1], compressed)
    tree(folder, {"labels.txt": "Röcke\nHat\nCoat\n"})
    report = import_from(shop, folder)
    assert (report.added, report.n_skipped, report.location) == (46, 0, str(folder))
    found = {item.source: item for item in items_of(shop)}
    assert [found[f"train/{n:05}"].label for n in range(4)] == ["Röcke", "Hat", "Coat", "Röcke"]
    assert found["t10k/00003"].label == "3"
    assert {found[f"t10k/{n:05}"].split for n in range(6)} == {"test"}
    # what is not published as a test is split as everything is; a copy goes where its twin is
    assert {found[f"train/{n:05}"].split for n in range(40)} == {"train", "validation", "test"}
    assert found["train/00003"].split == "test"
    assert found["train/00003"].file == found["t10k/00002"].file
    # without loss
    expected = train[7] if len(shape) == 3 else np.repeat(train[7][..., None], 3, axis=2)
    np.testing.assert_array_equal(shop.collection(SHOP).store().of(found["train/00007"]), expected)
    assert import_from(shop, folder).unchanged == 46
    # with the test set come later, only that is new
    write(folder, "t10k", pictures(8, shape, seed=1), [0, 1, 2, 3, 0, 1, 2, 3], compressed)


def test_a_broken_data_set_in_mnist_s_format_leaves_no_trace(shop: Workspace, tmp_path: Path) -> None:
    folder = write(tmp_path / "mnist", "train", pictures(3), [0, 1])
    with pytest.raises(DamagedDataError, match="should hold 3 labels, but has 2"):
        import_from(shop, folder)
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(b"x")
    with pytest.raises(DamagedDataError, match="is broken"):
        import_from(shop, folder)
    assert not shop.root.exists()


def test_pictures_without_a_pixel_are_refused_one_by_one(shop: Workspace, tmp_path: Path) -> None:
    folder = write(tmp_path / "mnist", "train", pictures(2, (0, 4)), [0, 1])
    (folder / "train-images-idx3-ubyte.gz").unlink()
    (folder / "train-images-idx3-ubyte").write_bytes(idx(pictures(2, (0, 4))))
    assert list(skipped(import_from(shop, folder))) == ["train/00000", "train/00001"]


# the public clothing dataset


def test_labels_of_the_clothing_dataset_that_say_nothing_are_none(shop: Workspace, tmp_path: Path) -> None:
    labels = {"a-1": "Dress", "b-2": "Not sure", "c-3": "Other", "d-4": "Skip", "e-5": "T-Shirt", "f-6": "Other shoes"}
    path = write_clothing_archive(tmp_path / "clothing-dataset-master.zip", labels)
    source = clothing_source(shop, path)
    report = import_source(shop.collection("clothing"), source)
    assert (report.added, report.n_skipped) == (6, 0)
    names = {item.source.rsplit("/")[-1].removesuffix(".jpg"): item.label for item in items_of(shop, "clothing")}
    assert names == labels | {"b-2": None, "c-3": None, "d-4": None}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that is served, and its address."""
    root = tmp_path / "web"
    root.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield root, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_clothing_dataset_is_fetched_once_and_kept(
    shop: Workspace, web: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, address = web
    archive = write_clothing_archive(root / "master.zip", {"a-1": "Dress"})
    monkeypatch.setattr(importing, "ARCHIVE_URL", address + "master.zip")
    told: list[tuple[int, int]] = []
    source = clothing_source(shop, None, lambda done, total: told.append((done, total)))
    assert source.path == shop.downloads_folder / "clothing-dataset-master.zip"
    assert source.path.read_bytes() == archive.read_bytes()
    assert told[-1] == (archive.stat().st_size, archive.stat().st_size)
    archive.unlink()
    assert clothing_source(shop, None) == source
    assert import_source(shop.collection("clothing"), source).added == 1


@pytest.mark.parametrize("error", [None, OSError(), ValueError("first line\nsecond line"), TimeoutError("x" * 900)])
def test_a_clothing_dataset_that_cannot_be_had_gets_a_sentence(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    address = "http://127.0.0.1:1/master.zip"  # where nobody listens
    monkeypatch.setattr(importing, "ARCHIVE_URL", address)

    def failing(*_: object) -> None:
        assert error is not None
        raise error

    if error is not None:
        monkeypatch.setattr(importing, "download", failing)
    with pytest.raises(MissingDataError, match=f"could not be fetched. Download {address} yourself, and") as caught:
        clothing_source(shop, None)
    (reason,) = caught.value.tried
    assert reason and "\n" not in reason and len(reason) <= 400
    assert not shop.downloads_folder.exists() or not list(shop.downloads_folder.iterdir())


# addresses


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The crawl that an import begins waits for nothing."""

    def settings(allow_private: bool) -> CrawlSettings:
        return CrawlSettings(**QUICK | {"allow_private": allow_private})

    monkeypatch.setattr(importing, "CrawlSettings", settings)


def gives(number: int) -> Answer:
    return lambda visit: visit.give(photo(number, form="JPEG"))


def url_table(folder: Path, site: Site, *rows: str) -> Path:
    lines = "".join(f"{row}\n".replace("SITE", site.url) for row in rows)
    return tree(folder, {"urls.csv": f"url,label\n{lines}"}) / "urls.csv"


@pytest.mark.usefixtures("quick")
def test_pictures_at_addresses_are_fetched_once_and_those_missing_asked_for_again(
    shop: Workspace, tmp_path: Path
) -> None:
    with Site(hat=gives(1), dress=gives(2), page=typed("text/html", b"<html>"), gone=coded(404)) as site:
        table = url_table(tmp_path, site, "SITE/hat,Hat", "SITE/dress,", "SITE/page,Hat", "SITE/gone,Hat", ",Coat")
        told: list[tuple[int, int]] = []
        source = Source(urls=table, allow_private=True)
        report = import_source(shop.collection(SHOP), source, lambda *counts: told.append(counts))
        assert skipped(report) == {
            "urls.csv:6": "This row of the table names no URL.",
            f"{site.url}/page": WEB_PAGE,
            f"{site.url}/gone": "There is nothing at this address: the server answers 404 (Not Found).",
        }
        assert (report.added, report.unchanged, report.location) == (2, 0, str(table))
        assert report.choices == {"urls": "yes"}
        assert told[-1] == (5, 5)
        assert_exactly(shop, {f"{site.url}/{name}": photo(n, form="JPEG") for n, name in ((1, "hat"), (2, "dress"))})
        assert labels_of(shop) == {f"{site.url}/hat": "Hat", f"{site.url}/dress": None}
        for item in items_of(shop):
            fetched, began = datetime.fromisoformat(str(item.fetched_at)), datetime.fromisoformat(report.began_at)
            assert fetched >= began and fetched.utcoffset() is not None
        assert sorted(site.paths) == ["/dress", "/gone", "/hat", "/page"]
        # only what is missing is asked for
        site.visits.clear()
        site.answers["/gone"] = gives(3)
        again = import_source(shop.collection(SHOP), source, lambda *counts: told.append(counts))
        assert sorted(site.paths) == ["/gone", "/page"]
        assert (again.added, again.unchanged, again.n_skipped) == (1, 2, 2)
        assert told[-1] == (5, 5)
        # a picture whose files were lost is missing, too
        site.visits.clear()
        for path in (shop.collection(SHOP).data_folder / "thumbnails").rglob("*.*"):
            path.unlink()
        third = import_source(shop.collection(SHOP), source)
        assert sorted(site.paths) == ["/dress", "/gone", "/hat", "/page"]
        assert (third.added, third.unchanged, third.n_skipped) == (0, 3, 2)
        names = ((1, "hat"), (2, "dress"), (3, "gone"))
        assert_exactly(shop, {f"{site.url}/{name}": photo(number, form="JPEG") for number, name in names})


@pytest.mark.usefixtures("quick")
def test_addresses_of_one_s_own_network_are_refused_unless_allowed(shop: Workspace, tmp_path: Path) -> None:
    with Site(hat=gives(1)) as site:
        table = url_table(tmp_path, site, "SITE/hat,Hat")
        assert skipped(import_source(shop.collection(SHOP), Source(urls=table))) == {f"{site.url}/hat": PRIVATE}
        assert site.visits == []
        assert import_source(shop.collection(SHOP), Source(urls=table, allow_private=True)).added == 1


@pytest.mark.usefixtures("quick")
def test_what_came_from_an_address_that_is_no_picture_is_one_line(shop: Workspace, tmp_path: Path) -> None:
    with Site(hat=gives(1), cut=typed("image/png", photo(2)[:-40])) as site:
        report = import_source(
            shop.collection(SHOP), Source(urls=url_table(tmp_path, site, "SITE/cut,", "SITE/hat,"), allow_private=True)
        )
    assert skipped(report) == {f"{site.url}/cut": "This picture is damaged or cut off. Save or download it again."}
    assert report.added == 1


def test_an_import_that_ends_early_ends_its_crawl(shop: Workspace, tmp_path: Path, quick: None) -> None:
    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with Site(hat=gives(1)) as site:
        table = url_table(tmp_path, site, "SITE/hat,Hat")
        with pytest.raises(KeyboardInterrupt):
            import_source(shop.collection(SHOP), Source(urls=table, allow_private=True), interrupted)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith(("crawl", "import"))]


# a catalogue on a server, and one of an older version


def test_a_folder_is_imported_into_a_catalogue_on_a_server(url: str, tmp_path: Path) -> None:
    shop = Workspace(tmp_path / "home", url)
    files = photos("Hat", range(6)) | {"two\nlines 👗'\".png": photo(7)}
    heap = tree(tmp_path / "heap", {**files, "broken.png": b"x"})
    # what PostgreSQL cannot carry: zero bytes, and names too long for its unique index
    rng = np.random.default_rng(1)
    long = "/".join(rng.bytes(100).hex() for _ in range(40)) + "/a.png"
    archive = packed(tmp_path / "a.zip", {"zero#.png": photo(8), long: photo(9), "b.png": photo(10)})
    archive.write_bytes(archive.read_bytes().replace(b"zero#.png", b"zero\0.png"))
    report = import_from(shop, heap)
    assert (report.added, list(skipped(report))) == (7, ["broken.png"])
    assert_exactly(shop, files)
    assert import_from(shop, heap).unchanged == 7
    report = import_from(shop, archive)
    assert skipped(report) == {
        "zero\\x00.png": "This name is empty or holds a zero byte, as no file's does.",
        long: f"Its name has {len(long):,} bytes; the limit is 2,500.",
    }
    assert_exactly(shop, {**files, "b.png": photo(10)})
    with shop.collection(SHOP).catalogue() as catalogue:
        newest, _, first = ImportLog(catalogue).reports()
    assert newest == report
    assert first.skipped[0][0] == "broken.png"
    tree(heap, {"labels.csv": "file,label\nHat/000.png,H\0t\nHat/001.png,Cap\n"})
    report = import_from(shop, heap)
    assert skipped(report) == {"Hat/000.png": "Its label holds a zero byte, as no text does."}
    assert (report.unchanged, report.relabelled) == (1, 1)
    with pytest.raises(BusyError):
        import_source(shop.collection(SHOP), Source(heap), lambda done, total: import_from(shop, heap) and None)


@pytest.mark.parametrize("server", [False, True])
def test_a_catalogue_of_the_first_version_keeps_all_its_rows(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: bool
) -> None:
    address: str = request.getfixturevalue("url") if server else f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    schema = "of the first version" if server else None
    place = f'"{schema}".' if schema else ""
    columns = "id, position, sha256, original_label, label, split, source, version"
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "STEPS", migrations.STEPS[:1])
        with Catalogue(address, schema) as old, old.writing() as connection:
            for n in range(1, 4):
                values = f"{n}, {n}, '{n:064x}', 'Hat', 'Cap', 'train', 'old', 1"
                connection.execute(sa.text(f"INSERT INTO {place}items ({columns}) VALUES ({values})"))
            values = "2, 'Hat', 'Cap', 'ann', '2025-01-01'"
            columns = "item_id, old_label, new_label, who, at"
            connection.execute(sa.text(f"INSERT INTO {place}corrections ({columns}) VALUES ({values})"))
    with Catalogue(address, schema) as new:
        found = new.items([1, 2, 3])
        assert [(item.id, item.position, item.label, item.version) for item in found] == [
            (number, number, "Cap", 1) for number in (1, 2, 3)
        ]
        assert {(item.width, item.height, item.fetched_at, item.file) for item in found} == {(None, None, None, None)}
        assert [(correction.item_id, correction.who) for correction in new.history(2)] == [(2, "ann")]
        assert ImportLog(new).reports() == []
        assert new.add_new([ImportedItem(None, "a" * 64, None, "test", "new.png", "aa/a.png", 3, 4)]) == 1
        assert new.item(4).width == 3
        assert new.sources() == {("new.png", "a" * 64): new.sources()["new.png", "a" * 64]}
        assert new.correct(1, "Coat", "bob", 1).id == 2
