"""The catalogue: items, corrections and their history, and the schema's migrations."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion16.catalogue import migrations
from fashion16.catalogue.catalogue import INSERT_BATCH, Catalogue
from fashion16.catalogue.rows import Correction, ImportedItem
from fashion16.errors import CatalogueError, NewerCatalogueError, StaleItemError, UnknownItemError


def imported(position: int, label: str = "Shirt", split: str = "train", source: str = "shop") -> ImportedItem:
    return ImportedItem(position, f"{position:064x}", label, split, source)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.sqlite"


@pytest.fixture
def catalogue(path: Path) -> Iterator[Catalogue]:
    """Items 1 to 4: two shirts, a coat and a bag."""
    with Catalogue.in_file(path) as opened:
        labels = ("Shirt", "Coat", "Shirt", "Bag")
        opened.add(imported(position, label) for position, label in enumerate(labels))
        yield opened


def run_at_once(jobs: list[Callable[[], None]]) -> list[Exception]:
    """Start all jobs at one moment, wait for them, return what they raised."""
    barrier = threading.Barrier(len(jobs))
    raised: list[Exception] = []

    def run(job: Callable[[], None]) -> None:
        barrier.wait()
        try:
            job()
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_added_items_are_numbered_from_1_and_keep_their_facts(catalogue: Catalogue) -> None:
    coat = catalogue.item(2)
    assert (coat.id, coat.position, coat.file, coat.label, coat.original_label) == (2, 1, None, "Coat", "Coat")
    assert (coat.version, coat.status, coat.split, coat.source) == (0, "active", "train", "shop")
    assert coat.sha256 == f"{1:064x}"


def test_a_second_source_is_numbered_on_from_the_highest_id(catalogue: Catalogue) -> None:
    assert catalogue.add([imported(0, "Dress", source="museum")]) == 1
    assert catalogue.item(5).source == "museum"
    assert catalogue.count() == 5


def test_more_items_than_one_insert_takes_are_all_added(path: Path) -> None:
    n = INSERT_BATCH + 1
    with Catalogue.in_file(path) as catalogue:
        assert catalogue.add(imported(position) for position in range(n)) == n
        assert catalogue.item(n).position == n - 1


def test_items_come_in_the_order_asked_for_without_unknown_ids(catalogue: Catalogue) -> None:
    assert [item.id for item in catalogue.items([3, 99, 1])] == [3, 1]
    assert catalogue.items([]) == []


def test_an_unknown_item_is_named_in_its_error(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownItemError) as caught:
        catalogue.item(99)
    assert caught.value.item_id == 99


def test_labels_are_counted_the_most_frequent_first(catalogue: Catalogue) -> None:
    assert list(catalogue.label_counts().items()) == [("Shirt", 2), ("Bag", 1), ("Coat", 1)]


def test_labels_lists_every_item_in_order_of_id(catalogue: Catalogue) -> None:
    catalogue.correct(4, "Coat", "ann", 0)
    today = catalogue.labels()
    assert today.ids.tolist() == [1, 2, 3, 4]
    assert today.positions.tolist() == [0, 1, 2, 3]
    assert today.labels.tolist() == ["Shirt", "Coat", "Shirt", "Coat"]
    assert today.splits.tolist() == ["train"] * 4
    assert today.revision == 1


def test_an_empty_catalogue_has_no_labels_and_revision_0(path: Path) -> None:
    with Catalogue.in_file(path) as catalogue:
        assert catalogue.count() == catalogue.revision() == len(catalogue.labels().ids) == 0
        assert catalogue.label_counts() == {}


def test_a_correction_changes_the_label_the_version_and_the_history(catalogue: Catalogue) -> None:
    correction = catalogue.correct(2, "Dress", "ann", 0)
    item = catalogue.item(2)
    assert (item.label, item.original_label, item.version) == ("Dress", "Coat", 1)
    assert (correction.item_id, correction.old_label, correction.new_label) == (2, "Coat", "Dress")
    assert correction.who == "ann"
    assert correction.at.endswith("+00:00")
    assert catalogue.history(2) == catalogue.corrections_since(0) == [correction]
    assert catalogue.history(1) == []


def test_a_correction_taken_back_is_a_new_row(catalogue: Catalogue) -> None:
    catalogue.correct(2, "Dress", "ann", 0)
    catalogue.correct(2, "Coat", "ann", 1)
    assert [(row.old_label, row.new_label) for row in catalogue.history(2)] == [("Coat", "Dress"), ("Dress", "Coat")]
    assert catalogue.item(2).version == 2


def test_the_history_after_a_revision_is_the_newer_part(catalogue: Catalogue) -> None:
    first, second, third = (catalogue.correct(item_id, "Dress", "ann", 0) for item_id in (1, 2, 3))
    assert catalogue.corrections_since(first.id) == [second, third]
    assert catalogue.corrections_since(third.id) == []


def test_a_stale_correction_raises_and_writes_nothing(catalogue: Catalogue) -> None:
    catalogue.correct(2, "Dress", "ann", 0)
    with pytest.raises(StaleItemError, match="its label is now “Dress”") as caught:
        catalogue.correct(2, "Bag", "bob", 0)
    assert (caught.value.item_id, caught.value.current_label) == (2, "Dress")
    assert (catalogue.item(2).label, catalogue.item(2).version, len(catalogue.history(2))) == ("Dress", 1, 1)


def test_correcting_an_unknown_item_raises_and_writes_nothing(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownItemError):
        catalogue.correct(99, "Bag", "bob", 0)
    assert catalogue.revision() == 0


def test_when_the_history_row_fails_the_label_is_unchanged(catalogue: Catalogue, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TRIGGER no_history BEFORE INSERT ON corrections BEGIN SELECT RAISE(ABORT, 'the disk broke'); END"
        )
    connection.close()
    with pytest.raises(CatalogueError, match="the disk broke"):
        catalogue.correct(2, "Dress", "ann", 0)
    item = catalogue.item(2)
    assert (item.label, item.version, catalogue.revision()) == ("Coat", 0, 0)


def test_the_revision_grows_with_each_correction(catalogue: Catalogue) -> None:
    revisions = [catalogue.revision()]
    for version, label in enumerate(("Dress", "Bag", "Coat")):
        catalogue.correct(1, label, "ann", version)
        revisions.append(catalogue.revision())
    assert revisions == [0, 1, 2, 3]


def test_a_revision_is_never_given_twice(catalogue: Catalogue, path: Path) -> None:
    catalogue.correct(1, "Dress", "ann", 0)
    newest = catalogue.correct(2, "Dress", "ann", 0)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM corrections WHERE id = ?", (newest.id,))
    connection.close()
    assert catalogue.correct(3, "Dress", "ann", 0).id == newest.id + 1


def test_of_two_people_correcting_one_item_at_once_exactly_one_wins(catalogue: Catalogue) -> None:
    for version in range(40):
        won: list[Correction] = []

        def correct(label: str, version: int = version, won: list[Correction] = won) -> None:
            won.append(catalogue.correct(1, label, "someone", version))

        raised = run_at_once([lambda: correct("Dress"), lambda: correct("Bag")])
        assert [type(error) for error in raised] == [StaleItemError]
        assert [row.new_label for row in won] == [catalogue.item(1).label]
    assert len(catalogue.history(1)) == 40


def test_many_people_correcting_different_items_lose_none(path: Path) -> None:
    n_people, n_each = 8, 15
    with Catalogue.in_file(path) as catalogue:
        catalogue.add(imported(position) for position in range(n_people * n_each))

        def correct(person: int) -> None:
            for item_id in range(1 + person * n_each, 1 + (person + 1) * n_each):
                catalogue.correct(item_id, "Dress", f"person {person}", 0)

        jobs = [lambda person=person: correct(person) for person in range(n_people)]
        assert run_at_once(jobs) == []
        assert catalogue.label_counts() == {"Dress": n_people * n_each}
        assert catalogue.revision() == n_people * n_each


def test_a_stream_that_fails_in_the_middle_adds_nothing(path: Path) -> None:
    def stream() -> Iterator[ImportedItem]:
        # one whole insert has gone to the database when it fails
        yield from (imported(position) for position in range(INSERT_BATCH + 5))
        raise RuntimeError("the cable came out")

    with Catalogue.in_file(path) as catalogue:
        with pytest.raises(RuntimeError, match="the cable came out"):
            catalogue.add(stream())
        assert catalogue.count() == 0


def test_adding_the_same_pictures_twice_raises_and_changes_nothing(catalogue: Catalogue) -> None:
    with pytest.raises(CatalogueError, match="already; nothing was added"):
        catalogue.add([imported(7, "Dress"), imported(0, "Dress")])
    assert catalogue.count() == 4
    assert catalogue.label_counts() == {"Shirt": 2, "Bag": 1, "Coat": 1}


def test_two_sources_added_at_once_are_both_whole(path: Path) -> None:
    with Catalogue.in_file(path) as catalogue:
        sources = ("shop", "museum", "street")
        jobs = [
            lambda source=source: catalogue.add(imported(i, source=source) for i in range(200)) for source in sources
        ]
        assert run_at_once(jobs) == []
        assert catalogue.labels().ids.tolist() == list(range(1, 601))


@settings(deadline=None, max_examples=25)  # the disk's time is not the test's
@given(
    label=st.text(), who=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), source=st.text()
)
def test_labels_and_names_hold_any_text(label: str, who: str, source: str) -> None:
    with tempfile.TemporaryDirectory() as folder, Catalogue.in_file(Path(folder) / "catalogue.sqlite") as catalogue:
        catalogue.add([imported(0, label, source=source)])
        item = catalogue.item(1)
        assert (item.label, item.original_label, item.source) == (label, label, source)
        new = f"{label[::-1].replace(chr(0), '')[:199]}x".strip()
        changed = catalogue.correct(1, new, who, 0)
        assert catalogue.history(1) == [changed]
        assert (changed.old_label, changed.new_label, changed.who) == (label, new, who)


def pragma(catalogue: Catalogue, name: str) -> object:
    with catalogue._engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_an_sqlite_catalogue_writes_ahead_and_checks_foreign_keys(catalogue: Catalogue) -> None:
    assert pragma(catalogue, "journal_mode") == "wal"
    assert pragma(catalogue, "foreign_keys") == 1
    with (
        pytest.raises(sa.exc.IntegrityError, match="FOREIGN KEY"),
        catalogue._engine.begin() as connection,
    ):
        connection.exec_driver_sql("INSERT INTO corrections (item_id, who, at) VALUES (99, 'ann', 'now')")


def test_an_item_lies_in_exactly_one_place(catalogue: Catalogue) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="one_place"), catalogue._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE items SET file = 'shirt.jpg' WHERE id = 1")


def test_each_migration_is_recorded_with_its_name_and_time(path: Path, catalogue: Catalogue) -> None:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT number, name, applied_at FROM migrations").fetchall()
    connection.close()
    assert [(number, name) for number, name, _ in rows] == [
        (1, "m1_items_and_corrections"),
        (2, "m2_sizes_and_imports"),
        (3, "m3_decisions"),
    ]
    assert datetime.fromisoformat(rows[0][2]).tzinfo is not None


def test_opening_twice_is_harmless(catalogue: Catalogue, path: Path) -> None:
    catalogue.correct(1, "Dress", "ann", 0)
    with Catalogue.in_file(path) as again:
        assert again.count() == 4
        assert again.item(1).label == "Dress"
        assert again.revision() == 1


def test_many_processes_may_open_a_new_catalogue_at_once(tmp_path: Path) -> None:
    for number in range(10):
        new = tmp_path / f"{number}.sqlite"
        assert run_at_once([lambda new=new: Catalogue.in_file(new).close()] * 4) == []
        with Catalogue.in_file(new) as catalogue:
            assert pragma(catalogue, "journal_mode") == "wal"


def test_a_migration_that_fails_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def _m1_half(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (id INTEGER)")
        connection.exec_driver_sql("CREATE TABLE half (id INTEGER)")

    monkeypatch.setattr(migrations, "STEPS", (_m1_half,))
    with pytest.raises(CatalogueError, match="half already exists"):
        Catalogue.in_file(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()


def test_a_catalogue_of_an_older_version_is_brought_up_to_date(
    catalogue: Catalogue, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _m4_colours(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE colours (name TEXT)")

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, _m4_colours))
    with Catalogue.in_file(path) as newer:
        assert newer.count() == 4
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT number, name FROM migrations ORDER BY number").fetchall() == [
            (1, "m1_items_and_corrections"),
            (2, "m2_sizes_and_imports"),
            (3, "m3_decisions"),
            (4, "m4_colours"),
        ]
    connection.close()


def test_a_newer_schema_is_refused(catalogue: Catalogue, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO migrations VALUES (7, 'm7_prices', '2030-01-01')")
    connection.close()
    with pytest.raises(NewerCatalogueError, match=r"schema 7, this one knows 3.*Update Fashion-16"):
        Catalogue.in_file(path)


def test_a_reader_does_not_wait_for_a_writer(catalogue: Catalogue, path: Path) -> None:
    writer = sqlite3.connect(path)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE items SET label = 'Dress' WHERE id = 1")
    with Catalogue.in_file(path) as reader:
        assert reader.item(1).label == "Shirt"
    writer.rollback()
    writer.close()


def test_a_file_that_is_no_database_is_refused_with_a_sentence(path: Path) -> None:
    path.write_bytes(b"these are my holiday pictures" * 100)
    with pytest.raises(CatalogueError, match="cannot be used \\(file is not a database\\). Check"):
        Catalogue.in_file(path)
    assert path.read_bytes().startswith(b"these are my")


def test_a_catalogue_damaged_while_open_raises_our_own_error(catalogue: Catalogue, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    path.write_bytes(path.read_bytes()[:4096] + b"x" * 30_000)
    with pytest.raises(CatalogueError, match="cannot be used"):
        catalogue.items([1, 2])
    with pytest.raises(CatalogueError, match="cannot be used"):
        catalogue.correct(1, "Dress", "ann", 0)


def test_a_catalogue_in_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CatalogueError, match="cannot be used .unable to open database file.. Check"):
        Catalogue.in_file(tmp_path / "file" / "catalogue.sqlite")


def test_a_file_that_may_not_be_written_can_be_read_but_not_corrected(catalogue: Catalogue, path: Path) -> None:
    with Catalogue(f"sqlite:///file:{path}?mode=ro&uri=true") as read_only:
        assert read_only.item(2).label == "Coat"
        with pytest.raises(CatalogueError, match="readonly database"):
            read_only.correct(2, "Dress", "ann", 0)
    assert catalogue.item(2).label == "Coat"


@pytest.mark.parametrize(
    "url",
    ["nonsense", "", "sqlite", "nosuchdatabase://host/name", "sqlite+nosuchdriver:///x", "mssql+pymssql://host/x"],
)
def test_a_nonsense_database_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(CatalogueError, match=r"database URL cannot be used .*postgresql\+psycopg://user"):
        Catalogue(url)
