"""An import: every picture exactly once, whatever is in its way, and the same again adds only what is new."""

from __future__ import annotations

import errno
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.imports import ImportLog, ImportReport
from fashion16.catalogue.rows import ImportedItem
from fashion16.collections import importing
from fashion16.collections.importing import WAITING, Source, import_entries, import_source, split_of
from fashion16.collections.workspace import Workspace
from fashion16.errors import BusyError, CatalogueError, DamagedDataError, DataError, WorkspaceError
from fashion16.sources.local import LocalEntry
from fashion16.sources.local_files import Refusal
from tests.pictures import SHOP, assert_exactly, import_from, items_of, labels_of, photo, photos, tree

FILES = {**photos("Hat", range(5)), **photos("Dress", range(5, 8)), "loose.png": photo(8)}


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


@pytest.fixture
def heap(tmp_path: Path) -> Path:
    return tree(tmp_path / "heap", FILES)


def counts(report: ImportReport) -> tuple[int, int, int]:
    return report.added, report.unchanged, report.n_skipped


def test_every_picture_is_catalogued_stored_as_it_came_and_has_a_thumbnail(shop: Workspace, heap: Path) -> None:
    report = import_from(shop, heap)
    assert counts(report) == (9, 0, 0)
    assert (report.location, report.relabelled, report.passed_over, report.skipped) == (str(heap), 0, 0, ())
    assert report.ended_at is not None
    assert_exactly(shop, FILES)
    assert labels_of(shop) == {name: name.split("/")[0] if "/" in name else None for name in FILES}
    assert {item.status for item in items_of(shop)} == {"active"}
    assert {(item.version, item.position, item.fetched_at) for item in items_of(shop)} == {(0, None, None)}
    assert shop.collection(SHOP).is_imported()


def test_ids_follow_the_names_whatever_takes_longest(shop: Workspace, tmp_path: Path) -> None:
    # the first takes far longer to decode than all others together
    heap = tree(tmp_path / "heap", {"a.png": photo(0, 3000, 3000), **{f"b{n}.png": photo(n) for n in range(1, 30)}})
    import_from(shop, heap)
    assert [item.source for item in items_of(shop)] == sorted(path.name for path in heap.iterdir())


def test_the_same_again_adds_nothing_and_a_second_heap_only_what_is_new(shop: Workspace, heap: Path) -> None:
    import_from(shop, heap)
    before = items_of(shop)
    assert counts(import_from(shop, heap)) == (0, 9, 0)
    assert items_of(shop) == before
    tree(heap, {"Hat/new.png": photo(20), "Aaa/first.png": photo(21)})
    assert counts(import_from(shop, heap)) == (2, 9, 0)
    # new ones come after the old ones, wherever their names would sort
    assert items_of(shop)[:9] == before
    assert_exactly(shop, {**FILES, "Hat/new.png": photo(20), "Aaa/first.png": photo(21)})


def test_the_same_pictures_may_come_from_elsewhere(shop: Workspace, heap: Path, tmp_path: Path) -> None:
    import_from(shop, heap)
    heap.rename(tmp_path / "moved")
    assert counts(import_from(shop, tmp_path / "moved")) == (0, 9, 0)


def test_exact_duplicates_are_items_of_their_own_with_one_file_and_one_split(shop: Workspace, tmp_path: Path) -> None:
    files = {f"{folder}/{number}.png": photo(number) for folder in ("Hat", "Cap") for number in range(12)}
    import_from(shop, tree(tmp_path / "heap", files))
    assert_exactly(shop, files)
    by_content = Counter(item.sha256 for item in items_of(shop))
    assert set(by_content.values()) == {2}
    of_both = {item.source: (item.file, item.split) for item in items_of(shop)}
    assert all(of_both[f"Hat/{number}.png"] == of_both[f"Cap/{number}.png"] for number in range(12))
    assert len(list((shop.collection(SHOP).data_folder / "pictures").rglob("*.png"))) == 12


def test_a_file_that_was_replaced_is_a_new_picture_beside_the_old_one(shop: Workspace, heap: Path) -> None:
    import_from(shop, heap)
    (heap / "loose.png").write_bytes(photo(99))
    assert counts(import_from(shop, heap)) == (1, 8, 0)
    loose = [item for item in items_of(shop) if item.source == "loose.png"]
    assert [item.sha256 for item in loose] == [hashlib.sha256(photo(n)).hexdigest() for n in (8, 99)]


def test_another_label_at_a_second_import_is_counted_and_the_catalogue_s_stays(shop: Workspace, tmp_path: Path) -> None:
    heap = tree(tmp_path / "heap", {"a.png": photo(1), "b.png": photo(2), "c.png": photo(3)})
    tree(heap, {"labels.csv": "file,label\na.png,Hat\nb.png,Hat\nc.png,\n"})
    import_from(shop, heap)
    with shop.collection(SHOP).catalogue() as catalogue:
        catalogue.correct(1, "Cap", "ann", 0)
    tree(heap, {"labels.csv": "file,label\na.png,Hat\nb.png,Dress\nc.png,Coat\n"})
    report = import_from(shop, heap)
    # a.png came as it had come before; that it was corrected since is not the table's doing
    assert (report.unchanged, report.relabelled) == (3, 2)
    assert labels_of(shop) == {"a.png": "Cap", "b.png": "Hat", "c.png": None}


def test_labels_that_say_nothing_are_left_out(shop: Workspace, heap: Path) -> None:
    import_from(shop, heap, unlabelled=("Hat",))
    assert Counter(labels_of(shop).values()) == {None: 6, "Dress": 3}
    assert import_from(shop, heap, unlabelled=("Hat",)).relabelled == 0


def test_a_broken_picture_is_one_line_and_the_others_are_imported(shop: Workspace, heap: Path) -> None:
    tree(heap, {"Hat/001.png": photo(1)[:-40], "Hat/empty.png": b"", "Dress/letter.jpg": b"Dear reader"})
    report = import_from(shop, heap)
    assert counts(report) == (8, 0, 3)
    assert dict(report.skipped) == {
        "Dress/letter.jpg": "This file is not a picture we can read. Choose a JPEG, PNG, WebP, AVIF, GIF, BMP or "
        "TIFF file.",
        "Hat/001.png": "This picture is damaged or cut off. Save or download it again.",
        "Hat/empty.png": "This file is empty. Choose another picture.",
    }
    assert_exactly(shop, {name: data for name, data in FILES.items() if name != "Hat/001.png"})
    tree(heap, {"Hat/001.png": photo(1)})
    assert counts(import_from(shop, heap)) == (1, 8, 2)


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("part", ["pictures", "thumbnails"])
def test_a_lost_file_comes_back_by_the_same_import(
    shop: Workspace, heap: Path, part: str, lose: Callable[[Path], object]
) -> None:
    import_from(shop, heap)
    for path in (shop.collection(SHOP).data_folder / part).rglob("*.png"):
        lose(path)
    assert counts(import_from(shop, heap)) == (0, 9, 0)
    assert_exactly(shop, FILES)


def test_a_thumbnail_that_was_cut_off_comes_back_by_the_same_import(shop: Workspace, tmp_path: Path) -> None:
    files = {"a.jpg": photo(1, 100, 80, "JPEG"), "b.png": photo(2)}
    heap = tree(tmp_path / "heap", files)
    import_from(shop, heap)
    for path in (shop.collection(SHOP).data_folder / "thumbnails").rglob("*.*"):
        data = path.read_bytes()
        # as long as before, as some file systems leave it
        path.write_bytes(data[:-20] + bytes(20) if path.suffix == ".jpg" else data[:-20])
    assert counts(import_from(shop, heap)) == (0, 2, 0)
    assert_exactly(shop, files)


# splits


def test_splits_have_the_paper_s_proportions() -> None:
    n = 100_000
    found = Counter(split_of(hashlib.sha256(str(number).encode()).hexdigest()) for number in range(n))
    for split, weight in {"train": 200_000, "validation": 100_000, "test": 25_820}.items():
        share = weight / 325_820
        # four standard deviations of a fair draw
        assert abs(found[split] - n * share) < 4 * np.sqrt(n * share * (1 - share))
    assert found.total() == n


@pytest.mark.parametrize(
    ("content", "split"), [(b"a hat", "train"), (b"a dress", "validation"), (b"a sneaker", "test"), (b"", "validation")]
)
def test_the_split_of_a_content_is_the_same_for_ever(content: bytes, split: str) -> None:
    assert split_of(hashlib.sha256(content).hexdigest()) == split


# what gets in the way


def test_a_full_disk_is_our_own_error_and_the_same_again_goes_on(
    shop: Workspace, heap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = Path.write_bytes, []

    def write_bytes(path: Path, data: bytes) -> int:
        if len(written) >= 7:
            real(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        return real(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", write_bytes)
        with pytest.raises(WorkspaceError, match="No space left on device.*same command again: it goes on"):
            import_from(shop, heap)
    with shop.collection(SHOP).catalogue() as catalogue:
        assert ImportLog(catalogue).reports()[0].ended_at is None
    assert not list(shop.collection(SHOP).data_folder.rglob("*.partial"))
    import_from(shop, heap)
    assert_exactly(shop, FILES)


def test_a_folder_that_may_not_be_written_is_our_own_error(shop: Workspace, heap: Path) -> None:
    # as root any folder may be written, but none below a file
    tree(shop.collection(SHOP).data_folder, {"thumbnails": ""})
    with pytest.raises(WorkspaceError, match="could not be written .*Not a directory") as caught:
        import_from(shop, heap)
    assert caught.value.path.is_relative_to(shop.collection(SHOP).data_folder / "thumbnails")
    (shop.collection(SHOP).data_folder / "thumbnails").unlink()
    import_from(shop, heap)
    assert_exactly(shop, FILES)


def test_a_second_import_at_once_is_told_that_one_runs(shop: Workspace, heap: Path) -> None:
    told: list[str] = []

    def meanwhile(done: int, total: int) -> None:
        with pytest.raises(BusyError, match=f"Another process is at work on “{SHOP}”. Wait until it has ended"):
            import_from(shop, heap)
        import_from(shop, heap, name="other")
        told.append(f"{done} of {total}")

    import_source(shop.collection(SHOP), Source(heap), meanwhile)
    assert told == ["9 of 9"]
    assert_exactly(shop, FILES)
    assert_exactly(shop, FILES, "other")


def test_the_same_items_added_by_many_at_once_are_there_once(tmp_path: Path) -> None:
    rows = [ImportedItem(None, f"{n:064x}", "Hat", "train", f"{n}.png", f"00/{n:064x}.png", 9, 9) for n in range(200)]
    added: list[int] = []
    barrier = threading.Barrier(4)
    with Catalogue.in_file(tmp_path / "catalogue.sqlite") as catalogue:

        def add(seed: int) -> None:
            mine = [rows[at] for at in np.random.default_rng(seed).permutation(200)]
            barrier.wait()
            added.extend(catalogue.add_new(mine[start : start + 30]) for start in range(0, 200, 30))

        threads = [threading.Thread(target=add, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = catalogue.items(range(1, 300))
    assert sum(added) == len(found) == 200
    assert {item.source for item in found} == {row.source for row in rows}


def entries(files: dict[str, bytes], read: list[str]) -> Iterator[LocalEntry]:
    def reader(name: str, data: bytes) -> Callable[[int], bytes]:
        def read_it(limit: int) -> bytes:
            read.append(name)
            return data

        return read_it

    return (LocalEntry(name, None, reader(name, data)) for name, data in files.items())


def test_only_so_many_pictures_are_read_ahead(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"{number:03}.png": photo(number) for number in range(3 * WAITING)}
    read: list[str] = []
    ahead: list[int] = []
    with shop.collection(SHOP).catalogue() as catalogue:
        log = ImportLog(catalogue)
        monkeypatch.setattr(importing, "BATCH", 1)
        taken, report = entries(files, read), log.begin("", {})
        import_entries(
            taken, shop.collection(SHOP).store(), catalogue, report, done=lambda n: ahead.append(len(read) - n)
        )
        assert catalogue.count() == len(files)
    assert max(ahead) <= WAITING


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CatalogueError("no")])
def test_what_was_written_before_an_interruption_stays(
    shop: Workspace, heap: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(importing, "BATCH", 4)

    def interrupted(done: int, total: int) -> None:
        raise error

    with pytest.raises(type(error)):
        import_source(shop.collection(SHOP), Source(heap), interrupted)
    assert len(items_of(shop)) == 4
    assert threading.active_count() == 1
    assert counts(import_from(shop, heap)) == (5, 4, 0)
    assert_exactly(shop, FILES)


def test_progress_counts_every_entry(shop: Workspace, heap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH", 4)
    tree(heap, {"broken.png": b"x"})
    told: list[tuple[int, int]] = []
    import_source(shop.collection(SHOP), Source(heap), lambda done, total: told.append((done, total)))
    assert told == [(4, 10), (8, 10), (10, 10)]


def test_a_mistake_of_ours_is_not_taken_for_a_broken_picture(
    shop: Workspace, heap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("fashion16.collections.pictures.encode_thumbnail", mistaken)
    with pytest.raises(ZeroDivisionError):
        import_from(shop, heap)


# what cannot be imported at all


def test_the_collection_that_comes_with_it_cannot_be_filled(shop: Workspace, heap: Path) -> None:
    with pytest.raises(DataError, match="“fashion-mnist” comes with Fashion-16, and none can be added to it"):
        import_from(shop, heap, name="fashion-mnist")


@pytest.mark.parametrize("name", ["", "../shop", "Shop", "encoder", "jobs", "a/b", "x" * 41, "sh op", "-shop"])
def test_a_name_that_no_collection_may_have_is_refused(shop: Workspace, heap: Path, name: str) -> None:
    with pytest.raises(WorkspaceError, match="A collection cannot be called"):
        import_from(shop, heap, name=name)
    assert not shop.root.exists()


@pytest.mark.parametrize("files", [{}, {"notes.txt": "x", ".hidden.png": "x"}])
def test_a_heap_without_pictures_leaves_no_trace_of_the_collection(
    shop: Workspace, tmp_path: Path, files: dict[str, str]
) -> None:
    heap = tmp_path / "heap"
    heap.mkdir()
    with pytest.raises(DamagedDataError, match="heap holds no pictures.") as caught:
        import_from(shop, tree(heap, files))
    assert caught.value.path == heap
    with pytest.raises(DataError, match="There is nothing at"):
        import_from(shop, tmp_path / "gone")
    with pytest.raises(DataError, match="Name a folder, a table, a ZIP archive or a table of addresses"):
        import_source(shop.collection(SHOP), Source())
    assert not shop.root.exists()


def test_a_heap_of_refusals_alone_is_reported(shop: Workspace, tmp_path: Path) -> None:
    report = import_from(shop, tree(tmp_path / "heap", {"a.jpg": b"x"}))
    assert counts(report) == (0, 0, 1)
    assert not shop.collection(SHOP).is_imported()
    assert isinstance(report.skipped[0], tuple) and not isinstance(report.skipped[0], Refusal)
