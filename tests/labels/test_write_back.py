"""Back to the data set: only what people changed is written, each source in its own way, and nothing is ever lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion16.catalogue.imports import ImportLog
from fashion16.catalogue.rows import ImportedItem
from fashion16.collections.workspace import Workspace
from fashion16.errors import BusyError, DataError
from fashion16.files.backup import replace_keeping
from fashion16.files.locks import only_one
from fashion16.labels.write_back import WrittenBack, words, write_back
from fashion16.sources.local import LocalEntry, open_local
from tests.conftest import REPOSITORY
from tests.pictures import SHOP, import_from, items_of, labels_of, photo, tree

FOREIGN = (
    '=HYPERLINK("http://x";"y")',
    "<script>alert('1')</script>",
    "👗 ﷽ ‮gpj.exe",
    "a,b;c\td",
    '"',
    "two\nlines\r\nand\rmore",
    "an\rold line",
    "'",
    "x" * 200,
)
PHOTOS = {f"{name}.png": photo(number) for number, name in enumerate("abcd")}
TABLE = "file,label,seen\na.png,Hat,1\nb.png, Hat ,2\nc.png,Coat,3\nd.png,Coat,4\n"


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


def correct(shop: Workspace, labels: Mapping[str, str]) -> None:
    """Give these labels to the items of these sources."""
    with shop.collection(SHOP).catalogue() as catalogue:
        for item in items_of(shop):
            if item.source in labels:
                catalogue.correct(item.id, labels[item.source], "ann", item.version)


def decide(shop: Workspace, source: str, verb: str) -> None:
    """Exclude or include the item of a source."""
    item = next(item for item in items_of(shop) if item.source == source)
    with shop.collection(SHOP).catalogue() as catalogue:
        getattr(catalogue, verb)(item.id, "ann", item.version)


def undo(shop: Workspace) -> None:
    with shop.collection(SHOP).catalogue() as catalogue:
        last = catalogue.last_undoable("ann")
        assert last
        catalogue.undo(last.id, "ann")


def labels(path: Path) -> dict[str, str | None]:
    with open_local(path) as heap:
        return {each.name: each.label for each in heap if isinstance(each, LocalEntry)}


def written(shop: Workspace) -> list[WrittenBack]:
    """What was written, where there is nothing to be said beside it."""
    done = write_back(shop.collection(SHOP))
    assert [each.note for each in done] == [""] * len(done)
    return [each for each in done if each.is_written]


def notes(shop: Workspace) -> list[str]:
    return [each.note for each in write_back(shop.collection(SHOP)) if each.note]


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# tables


@pytest.mark.parametrize("at", ["heap", "heap/labels.csv"])
def test_only_the_cells_of_changed_items_change_and_the_old_table_is_kept(
    shop: Workspace, tmp_path: Path, at: str
) -> None:
    heap = tree(tmp_path / "heap", {**PHOTOS, "labels.csv": TABLE})
    import_from(shop, tmp_path / at)
    correct(shop, {"a.png": "Cap", "c.png": "Dress, long"})
    before = files_below(heap)
    (done,) = written(shop)
    assert (heap / "labels.csv").read_bytes() == (
        b'file,label,seen\na.png,Cap,1\nb.png, Hat ,2\nc.png,"Dress, long",3\nd.png,Coat,4\n'
    )
    assert (done.location, done.path, done.n_changed) == (str(tmp_path / at), heap / "labels.csv", 2)
    assert done.kept and re.fullmatch(r"labels\.before-\d{8}T\d{6}Z\.csv\.bak", done.kept.name)
    assert done.kept.read_bytes() == before["labels.csv"]
    assert files_below(heap).keys() - before.keys() == {done.kept.name}
    assert labels(heap) == labels_of(shop)
    # another collection of the same folder, which has one table still
    import_from(shop, heap, "other")
    assert labels_of(shop, "other") == labels_of(shop)


def test_a_second_write_back_writes_nothing_and_a_dry_run_neither(shop: Workspace, tmp_path: Path) -> None:
    heap = tree(tmp_path / "heap", {**PHOTOS, "labels.csv": TABLE})
    import_from(shop, heap)
    assert written(shop) == []
    correct(shop, {"a.png": "Cap"})
    before = files_below(tmp_path)
    (foretold,) = write_back(shop.collection(SHOP), dry_run=True)
    assert files_below(tmp_path).keys() == before.keys()
    assert (heap / "labels.csv").read_text() == TABLE
    assert words(foretold, True) == f"{heap / 'labels.csv'}: would be written, with 1 label changed."
    (done,) = written(shop)
    assert (done.path, done.is_written, done.n_changed) == (foretold.path, True, 1)
    assert words(done) == f"{heap / 'labels.csv'}: written, with 1 label changed; the old file is {done.kept.name}."  # type: ignore[union-attr]
    (again,) = write_back(shop.collection(SHOP))
    assert words(again) == f"{heap / 'labels.csv'}: it says the same already."


def test_what_was_changed_back_is_written_back_and_the_rest_keeps_its_spelling(shop: Workspace, tmp_path: Path) -> None:
    heap = tree(tmp_path / "heap", {**PHOTOS, "labels.csv": TABLE})
    import_from(shop, heap, unlabelled=("Coat",))
    correct(shop, {"a.png": "Cap"})
    written(shop)
    # labels that were never written back are not to be written when they are taken back
    for source in ("b.png", "c.png", "a.png"):
        correct(shop, {source: "Bag"})
        undo(shop)
    undo(shop)
    assert labels_of(shop) == {"a.png": "Hat", "b.png": "Hat", "c.png": None, "d.png": None}
    assert written(shop)[0].n_changed == 1
    assert (heap / "labels.csv").read_text() == TABLE


def test_an_excluded_item_has_an_empty_label_until_it_comes_back(shop: Workspace, tmp_path: Path) -> None:
    heap = tree(tmp_path / "heap", {**PHOTOS, "labels.csv": TABLE})
    import_from(shop, heap)
    decide(shop, "c.png", "exclude")
    written(shop)
    assert (heap / "labels.csv").read_text() == TABLE.replace("c.png,Coat", "c.png,")
    assert labels(heap)["c.png"] is None
    decide(shop, "c.png", "include")
    written(shop)
    assert (heap / "labels.csv").read_text() == TABLE


def test_rows_that_name_a_file_twice_or_in_other_words_all_change(shop: Workspace, tmp_path: Path) -> None:
    table = "label;file\nHat;x/a.png\nHat;a\nHat;./x/a.png\nHat;gone.png\nHat;y/a.jpg\n"
    heap = tree(tmp_path / "heap", {"x/a.png": photo(1), "t.csv": table})
    import_from(shop, heap)
    correct(shop, {"x/a.png": "Cap"})
    assert written(shop)[0].n_changed == 3
    assert (heap / "t.csv").read_text() == "label;file\nCap;x/a.png\nCap;a\nCap;./x/a.png\nHat;gone.png\nHat;y/a.jpg\n"


def test_a_row_that_may_mean_two_files_stays(shop: Workspace, tmp_path: Path) -> None:
    table = "file,label\na,Hat\nx/a.png,Hat\ny/a.png,Hat\nx/a.png,Hat,more\n"
    heap = tree(tmp_path / "heap", {"x/a.png": photo(1), "y/a.png": photo(2), "t.csv": table})
    import_from(shop, heap)
    correct(shop, {"x/a.png": "Cap"})
    written(shop)
    assert (heap / "t.csv").read_text() == "file,label\na,Hat\nx/a.png,Cap\ny/a.png,Hat\nx/a.png,Hat,more\n"


def test_of_two_choices_of_columns_the_last_one_is_written(shop: Workspace, tmp_path: Path) -> None:
    heap = tree(tmp_path / "heap", {**PHOTOS, "t.csv": "file,label,kind\na.png,Hat,h\n"})
    import_from(shop, heap)
    import_from(shop, heap, label_column="kind")
    correct(shop, {"a.png": "Cap"})
    written(shop)
    assert (heap / "t.csv").read_text() == "file,label,kind\na.png,Hat,Cap\n"


@pytest.mark.parametrize("label", FOREIGN, ids=range(len(FOREIGN)))
@pytest.mark.parametrize("called", ["labels.csv", "labels.parquet", ""])
def test_any_text_is_written_and_read_as_it_is(shop: Workspace, tmp_path: Path, label: str, called: str) -> None:
    heap = tree(tmp_path / "heap", {f"x/{name}": data for name, data in PHOTOS.items()})
    if called == "labels.csv":
        tree(heap, {called: TABLE})
    elif called:
        pq.write_table(pa.table({"file": list(PHOTOS), "label": ["Hat"] * 4}), heap / called)
    import_from(shop, heap)
    correct(shop, {"x/b.png": label})
    assert len(written(shop)) == 1
    assert labels(heap) == labels_of(shop)
    assert labels_of(shop)["x/b.png"] == label


def test_latin1_stays_and_what_it_cannot_hold_is_said_and_not_written(shop: Workspace, tmp_path: Path) -> None:
    table = "file,label\r\na.png,Röcke\r\nb.png,Hüte".encode("latin-1")
    heap = tree(tmp_path / "heap", {**PHOTOS, "labels.csv": table})
    import_from(shop, heap)
    correct(shop, {"a.png": "Bänder"})
    written(shop)
    assert (heap / "labels.csv").read_bytes() == "file,label\r\na.png,Bänder\r\nb.png,Hüte".encode("latin-1")
    # of these bytes alone, every reader would take the second for UTF-8
    for label, reason in (("👗", "Latin-1, which has no “👗”"), ("Ã¶", "would not read back as it was written")):
        correct(shop, {"a.png": label, "b.png": "Hat"})
        before = files_below(heap)
        assert [re.search(reason, note) is not None for note in notes(shop)] == [True]
        assert files_below(heap) == before


def test_a_parquet_table_keeps_its_types_metadata_and_groups(shop: Workspace, tmp_path: Path) -> None:
    columns = {
        "n": pa.array([1, None, 3, 4], pa.int16()),
        "label": pa.array(["Hat", None, "Coat", "Coat"]).dictionary_encode(),
        "file": pa.array(list(PHOTOS), pa.large_string()),
        "when": pa.array([0, 1, 2, 3], pa.timestamp("us", "UTC")),
    }
    table = pa.table(columns).replace_schema_metadata({"by": "ann"})
    heap = tree(tmp_path / "heap", PHOTOS)
    pq.write_table(table, heap / "t.parquet", row_group_size=3, compression="zstd")
    import_from(shop, heap)
    correct(shop, {"b.png": "Belt", "d.png": "Cap"})
    written(shop)
    new = pq.ParquetFile(heap / "t.parquet")
    assert new.read().to_pydict() == table.to_pydict() | {"label": ["Hat", "Belt", "Coat", "Cap"]}
    assert new.schema_arrow.equals(table.schema, check_metadata=True)
    assert [new.metadata.row_group(group).num_rows for group in range(2)] == [3, 1]
    assert new.metadata.row_group(0).column(0).compression == "ZSTD"
    decide(shop, "b.png", "exclude")
    written(shop)
    assert pq.read_table(heap / "t.parquet")["label"].to_pylist() == ["Hat", None, "Coat", "Cap"]


def test_a_column_of_numbers_says_that_it_cannot_hold_a_name(shop: Workspace, tmp_path: Path) -> None:
    heap = tree(tmp_path / "heap", PHOTOS)
    pq.write_table(pa.table({"file": list(PHOTOS), "label": pa.array([0, 1, 1, 0], pa.int8())}), heap / "t.parquet")
    import_from(shop, heap)
    correct(shop, {"a.png": "7"})
    assert written(shop)[0].n_changed == 1
    assert pq.read_table(heap / "t.parquet")["label"].to_pylist() == [7, 1, 1, 0]
    for label in ("Hat", "1000"):
        correct(shop, {"a.png": label})
        (note,) = notes(shop)
        assert "Nothing was written to it." in note
    assert pq.read_table(heap / "t.parquet")["label"].to_pylist() == [7, 1, 1, 0]


# folders and archives


def test_a_folder_without_a_table_gets_one_with_every_picture(shop: Workspace, tmp_path: Path) -> None:
    names = ("Hat/a.png", "Hat/=1+1,\n.png", "Dress/deep/‮b.png", "loose.png", " x/-rf")
    heap = tree(tmp_path / "heap", {**{name: photo(n) for n, name in enumerate(names)}, "Hat/broken.png": b"x"})
    import_from(shop, heap)
    assert written(shop) == []
    correct(shop, {"Hat/a.png": "Cap", "loose.png": "Coat"})
    decide(shop, "Dress/deep/‮b.png", "exclude")
    before = files_below(heap)
    (done,) = written(shop)
    assert (done.path, done.n_changed, done.kept) == (heap / "labels.csv", 3, None)
    assert files_below(heap) == before | {"labels.csv": done.path.read_bytes()}
    expected = labels_of(shop) | {"Dress/deep/‮b.png": None, "Hat/broken.png": "Hat"}
    assert labels(heap) == expected
    # from now on it is the folder's table
    correct(shop, {"loose.png": "Bag"})
    (done,) = written(shop)
    assert done.kept and done.n_changed == 1
    assert labels(heap) == expected | {"loose.png": "Bag"}
    assert written(shop) == []


@pytest.mark.parametrize("table", ["", "labels.csv", "images.tsv"])
def test_an_archive_stays_and_gets_a_table_beside_it(shop: Workspace, tmp_path: Path, table: str) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in PHOTOS.items():
            archive.writestr(f"top/Hat/{name}", data)
        if table:
            archive.writestr(f"top/{table}", TABLE)
    import_from(shop, path)
    before = path.read_bytes()
    assert written(shop) == []
    correct(shop, {"top/Hat/a.png": "Cap"})
    (done,) = written(shop)
    assert done.path == tmp_path / f"photos.zip.labels{Path(table or '.csv').suffix or '.csv'}"
    assert done.path.read_text() == (
        TABLE.replace("a.png,Hat", "a.png,Cap")
        if table
        else "file,label\nHat/a.png,Cap\nHat/b.png,Hat\nHat/c.png,Hat\nHat/d.png,Hat\n"
    )
    assert path.read_bytes() == before
    assert written(shop) == []
    undo(shop)
    (done,) = written(shop)
    assert done.kept and b"Cap" in done.kept.read_bytes() and b"Cap" not in done.path.read_bytes()  # type: ignore[union-attr]
    # unpacked, the table fits
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked", [name for name in archive.namelist() if name.endswith(".png")])
    (tmp_path / "unpacked" / "labels.csv").write_bytes(done.path.read_bytes())  # type: ignore[union-attr]
    assert labels(tmp_path / "unpacked") == labels_of(shop)


# where they came from


def test_a_table_of_addresses_is_rewritten_for_what_was_fetched(shop: Workspace, tmp_path: Path) -> None:
    path = tree(tmp_path, {"urls.csv": "url,label\nhttp://a/1,Hat\nhttp://a/2,Hat\n http://a/1 ,Hat\n"}) / "urls.csv"
    with shop.collection(SHOP).catalogue() as catalogue:
        for number in (1, 2):
            stored = shop.collection(SHOP).store().put(photo(number))
            item = ImportedItem(
                None, stored.sha256, "Hat", "train", f"http://a/{number}", stored.file, 24, 32, "2026-11-24T12:00:00Z"
            )
            catalogue.add_new([item])
        ImportLog(catalogue).begin(str(path), {"urls": "yes"})
    correct(shop, {"http://a/1": "Cap"})
    assert written(shop)[0].n_changed == 2
    assert path.read_text() == "url,label\nhttp://a/1,Cap\nhttp://a/2,Hat\n http://a/1 ,Cap\n"


def test_each_of_several_sources_gets_what_came_from_it(shop: Workspace, tmp_path: Path) -> None:
    table = "file,label\na.png,Hat\nb.png,Hat\n"
    # the same names, of which one is the same picture too
    first = tree(tmp_path / "1", {"a.png": photo(1), "b.png": photo(2), "t.csv": table})
    second = tree(tmp_path / "2", {"a.png": photo(1), "b.png": photo(3), "t.csv": table})
    for heap in (first, second, first):
        import_from(shop, heap)
    with shop.collection(SHOP).catalogue() as catalogue:
        catalogue.correct(1, "Cap", "ann", 0)
        catalogue.correct(3, "Bag", "ann", 0)
    assert len(written(shop)) == 2
    assert (first / "t.csv").read_text() == "file,label\na.png,Cap\nb.png,Hat\n"
    assert (second / "t.csv").read_text() == "file,label\na.png,Cap\nb.png,Bag\n"


def test_what_is_gone_or_another_picture_now_is_said_and_the_rest_is_written(shop: Workspace, tmp_path: Path) -> None:
    heap = tree(tmp_path / "heap", {**PHOTOS, "labels.csv": TABLE})
    gone = tree(tmp_path / "gone", {"Hat/z.png": photo(9)})
    import_from(shop, heap)
    import_from(shop, gone)
    correct(shop, dict.fromkeys(["a.png", "b.png", "c.png", "Hat/z.png"], "Cap"))
    tree(heap, {"b.png": photo(20), "labels.csv": TABLE.replace("c.png,Coat,3\n", "")})
    gone.rename(tmp_path / "moved")
    done = write_back(shop.collection(SHOP))
    assert [words(each) for each in done if each.note] == [
        f"{gone}: There is nothing at {gone} any more. Put it back there, or use an export.",
        "Changed items that are in no source any more, or are another picture there: 3 (“b.png”, “c.png”, "
        "“Hat/z.png”). Use an export instead.",
    ]
    assert (heap / "labels.csv").read_text() == "file,label,seen\na.png,Cap,1\nb.png, Hat ,2\nd.png,Coat,4\n"


def test_an_upload_and_a_folder_with_two_tables_are_said(shop: Workspace, tmp_path: Path) -> None:
    upload = tree(shop.collection(SHOP).job_folder / "upload", {**PHOTOS, "labels.csv": TABLE})
    import_from(shop, upload)
    correct(shop, {"a.png": "Cap"})
    assert "What was uploaded to the app has no place to write back to" in notes(shop)[0]
    assert (upload / "labels.csv").read_text() == TABLE
    heap = tree(tmp_path / "heap", {**PHOTOS, "labels.csv": TABLE})
    import_from(shop, heap, "other")
    tree(heap, {"second.csv": TABLE})
    assert ["has several tables" in each.note for each in write_back(shop.collection("other"))] == [True]
    with pytest.raises(DataError, match="“empty” has no pictures yet"):
        write_back(shop.collection("empty"))


def test_one_at_a_time(shop: Workspace, tmp_path: Path) -> None:
    import_from(shop, tree(tmp_path / "heap", PHOTOS))
    with only_one(shop.collection(SHOP).import_lock), pytest.raises(BusyError):
        write_back(shop.collection(SHOP))


# files


@pytest.mark.parametrize("links", [True, False])
def test_no_kept_file_is_ever_overwritten_and_rights_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    path = tree(tmp_path, {"a.csv": "0"}) / "a.csv"
    path.chmod(0o640)
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(95, "Operation not supported")))
    kept = [replace_keeping(path, str(number).encode()) for number in range(1, 6)]
    assert [each.read_text() for each in kept if each] == ["0", "1", "2", "3", "4"]
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("5", 0o640)
    assert len(list(tmp_path.iterdir())) == 6
    assert replace_keeping(tmp_path / "new" / "b.csv", b"x") is None


@pytest.mark.parametrize(("dies", "after"), [("os.link", True), ("os.replace", False), ("os.replace", True)])
def test_killed_in_between_the_table_is_the_old_or_the_new_one(
    shop: Workspace, tmp_path: Path, dies: str, after: bool
) -> None:
    heap = tree(tmp_path / "heap", {**PHOTOS, "labels.csv": TABLE})
    import_from(shop, heap)
    correct(shop, {"a.png": "Cap"})
    program = (
        "import os; from pathlib import Path; from fashion16.labels.write_back import write_back\n"
        f"from fashion16.collections.workspace import Workspace\nreal = {dies}\n"
        f"def die(*a, **k):\n    {'real(*a, **k)' if after else 'pass'}\n    os.kill(os.getpid(), 9)\n"
        f"workspace = Workspace(Path({str(shop.root)!r})); {dies} = die; write_back(workspace.collection({SHOP!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False)
    assert done.returncode == -signal.SIGKILL
    new = TABLE.replace("a.png,Hat", "a.png,Cap")
    is_new = dies == "os.replace" and after
    assert (heap / "labels.csv").read_text() == (new if is_new else TABLE)
    assert len(written(shop)) == (not is_new)
    assert (heap / "labels.csv").read_text() == new
    assert TABLE.encode() in files_below(heap).values()
