"""What people decide: versions, history, undo, batches, labels and leases, on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

import fashion16.catalogue.history
import fashion16.catalogue.leases
import fashion16.catalogue.tables
from fashion16.catalogue import migrations
from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.rows import Change, Correction, ImportedItem, Item
from fashion16.catalogue.tables import items, leases
from fashion16.errors import LabelError, StaleItemError, TextError, UnknownCorrectionError, UnknownItemError
from tests.catalogue import test_postgresql

url = test_postgresql.url  # a real server

# of items 1 to 6; the last one is of the test split
LABELS = ("Shirt", "Coat", "Shirt", "Bag", None, "Shirt")
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def imported() -> list[ImportedItem]:
    return [
        ImportedItem(n, f"{n:064x}", label, "test" if n == 5 else "train", f"shop/{n}.png")
        for n, label in enumerate(LABELS)
    ]


@pytest.fixture(params=["sqlite", "postgresql"])
def catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalogue]:
    if request.param == "sqlite":
        opened = Catalogue.in_file(tmp_path / "catalogue.sqlite")
    else:
        opened = Catalogue(request.getfixturevalue("url"), f"decisions {uuid4()}")
    with opened:
        opened.add(imported())
        yield opened


def standing(catalogue: Catalogue, item_id: int) -> tuple[str | None, str, bool, int]:
    item = catalogue.item(item_id)
    return item.label, item.status, item.decided, item.version


def words(row: Correction) -> tuple[str, str | None, str | None, str, str, bool, bool]:
    """What a row of history says, less numbers and names."""
    return (
        row.action,
        row.old_label,
        row.new_label,
        row.old_status,
        row.new_status,
        row.old_decided,
        row.new_decided,
    )


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Let it be this time for whoever decides and leases."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return moment

    monkeypatch.setattr(fashion16.catalogue.decisions, "datetime", Clock)
    monkeypatch.setattr(fashion16.catalogue.leases, "datetime", Clock)


# one item


def test_each_verb_changes_the_item_its_version_and_the_history(catalogue: Catalogue) -> None:
    made = [
        catalogue.correct(2, "Dress", "ann", 0, "it has no sleeves"),
        catalogue.keep(2, "bob", 1),
        catalogue.exclude(2, "ann", 2, "a cat"),
        catalogue.include(2, "ann", 3),
    ]
    assert [words(row) for row in made] == [
        ("label", "Coat", "Dress", "active", "active", False, True),
        ("keep", "Dress", "Dress", "active", "active", True, True),
        ("exclude", "Dress", "Dress", "active", "excluded", True, True),
        ("include", "Dress", "Dress", "excluded", "active", True, True),
    ]
    assert [(row.item_id, row.who, row.why, row.batch, row.undoes) for row in made] == [
        (2, "ann", "it has no sleeves", None, None),
        (2, "bob", None, None, None),
        (2, "ann", "a cat", None, None),
        (2, "ann", None, None, None),
    ]
    assert catalogue.history(2) == catalogue.corrections_since(0) == made
    assert standing(catalogue, 2) == ("Dress", "active", True, 4)


def test_a_correction_to_the_label_that_is_there_keeps_it(catalogue: Catalogue) -> None:
    assert catalogue.correct(1, " Shirt ", "ann", 0).action == "keep"
    assert standing(catalogue, 1) == ("Shirt", "active", True, 1)


def test_an_item_without_a_label_can_be_kept_so_and_excluded(catalogue: Catalogue) -> None:
    assert words(catalogue.keep(5, "ann", 0))[:3] == ("keep", None, None)
    assert words(catalogue.exclude(5, "ann", 1))[:3] == ("exclude", None, None)
    assert standing(catalogue, 5) == (None, "excluded", True, 2)


def test_what_is_decided_or_excluded_need_not_be_looked_at(catalogue: Catalogue) -> None:
    assert catalogue.decided_ids().tolist() == []
    catalogue.keep(4, "ann", 0)
    catalogue.exclude(2, "ann", 0)
    with catalogue.writing() as connection:  # excluded by nobody's decision
        connection.execute(items.update().where(items.c.id == 1).values(status="excluded"))
    assert catalogue.decided_ids().tolist() == [1, 2, 4]
    assert catalogue.active().ids.tolist() == [3, 4, 5, 6]
    assert catalogue.labels().ids.tolist() == [3, 4, 6]
    assert catalogue.label_counts() == {"Shirt": 2, "Bag": 1}


def test_versions_and_statuses_are_those_of_known_items(catalogue: Catalogue) -> None:
    catalogue.exclude(2, "ann", 0)
    assert catalogue.versions([2, 99, 1]) == {1: 0, 2: 1}
    assert catalogue.statuses([2, 99, 1]) == {1: "active", 2: "excluded"}
    assert catalogue.versions([]) == {}


def test_items_are_found_by_a_part_of_their_source(catalogue: Catalogue) -> None:
    assert catalogue.ids_from("SHOP/3").tolist() == [4]
    assert catalogue.ids_from("").tolist() == [1, 2, 3, 4, 5, 6]
    assert catalogue.ids_from("%").tolist() == catalogue.ids_from("_").tolist() == []


@pytest.mark.parametrize("verb", ["correct", "keep", "exclude", "include"])
def test_who_comes_too_late_is_told_what_is_there_and_changes_nothing(catalogue: Catalogue, verb: str) -> None:
    catalogue.correct(2, "Dress", "ann", 0)
    newest = catalogue.exclude(2, "bob", 1)
    label = ["Bag"] if verb == "correct" else []
    with pytest.raises(StaleItemError, match="was changed by bob .*now “Dress” and it is excluded") as caught:
        getattr(catalogue, verb)(2, *label, "carl", 1)
    error = caught.value
    assert (error.item_id, error.current_label, error.current_status) == (2, "Dress", "excluded")
    assert (error.current_version, error.changed_by, error.changed_at) == (2, "bob", newest.at)
    assert catalogue.revision() == newest.id
    with pytest.raises(UnknownItemError):
        getattr(catalogue, verb)(99, *label, "carl", 0)


# many items at once


def test_a_batch_is_written_with_one_number_and_says_what_it_left_alone(catalogue: Catalogue) -> None:
    bobs = catalogue.correct(3, "Dress", "bob", 0)
    wanted = [
        Change(4, 0, label="Coat"),
        Change(1, 0),
        Change(2, 0, label="Coat", status="excluded"),
        Change(3, 0, label="Hat"),
        Change(99, 0, label="Hat"),
        Change(4, 0, label="Hat"),
    ]
    batch = catalogue.decide_all(wanted, "ann", "all of them")
    assert [words(row)[:5] for row in batch.corrections] == [
        ("label", "Bag", "Coat", "active", "active"),
        ("keep", "Shirt", "Shirt", "active", "active"),
        ("exclude", "Coat", "Coat", "active", "excluded"),
    ]
    assert batch.id == batch.corrections[0].id == bobs.id + 1
    assert {(row.batch, row.who, row.why) for row in batch.corrections} == {(batch.id, "ann", "all of them")}
    assert [(each.wanted, each.changed_by, each.changed_at) for each in batch.conflicts] == [
        (wanted[3], "bob", bobs.at),
        (wanted[4], None, None),
        (wanted[5], "ann", batch.corrections[0].at),
    ]
    assert [each.now and each.now.label for each in batch.conflicts] == ["Dress", None, "Coat"]
    assert standing(catalogue, 3) == ("Dress", "active", True, 1)
    assert standing(catalogue, 4) == ("Coat", "active", True, 1)


def test_a_batch_of_conflicts_alone_writes_nothing(catalogue: Catalogue) -> None:
    batch = catalogue.decide_all([Change(1, 7)], "ann")
    assert (batch.corrections, batch.id, len(batch.conflicts)) == ((), None, 1)
    assert catalogue.decide_all([], "ann").conflicts == ()
    assert catalogue.revision() == 0


def test_a_label_that_cannot_be_stops_the_whole_batch(catalogue: Catalogue) -> None:
    with pytest.raises(LabelError):
        catalogue.decide_all([Change(1, 0, label="Coat"), Change(2, 0, label=" ")], "ann")
    with pytest.raises(ValueError, match="a status is active or excluded, received gone"):
        catalogue.decide_all([Change(1, 0), Change(2, 0, status="gone")], "ann")
    assert catalogue.revision() == 0


def test_a_batch_may_hold_more_items_than_a_query_takes(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion16.catalogue.tables, "SOME", 2)
    batch = catalogue.decide_all([Change(item_id, 0, label="Hat") for item_id in (6, 5, 4, 3, 2, 1)], "ann")
    assert [row.item_id for row in batch.corrections] == [6, 5, 4, 3, 2, 1]
    assert len(catalogue.undo(batch.corrections[3].id, "ann").corrections) == 6
    assert [catalogue.item(n).label for n in range(1, 7)] == list(LABELS)


# undo


def test_an_undo_is_a_new_row_and_the_item_is_as_before(catalogue: Catalogue) -> None:
    made = catalogue.exclude(2, "ann", 0)
    batch = catalogue.undo(made.id, "bob")
    (undo,) = batch.corrections
    assert (undo.undoes, undo.who, undo.batch, batch.conflicts) == (made.id, "bob", None, ())
    assert words(undo) == ("undo", "Coat", "Coat", "excluded", "active", True, False)
    assert standing(catalogue, 2) == ("Coat", "active", False, 2)
    assert catalogue.history(2) == [made, undo]
    assert catalogue.undone([made.id, undo.id]) == {made.id}
    assert catalogue.decided_ids().tolist() == []


def test_undo_goes_back_to_the_first_correction_one_after_the_other(catalogue: Catalogue) -> None:
    for version, (item_id, label) in enumerate([(2, "Dress"), (2, "Hat"), (2, "Bag")]):
        catalogue.correct(item_id, label, "ann", version)
    catalogue.keep(1, "bob", 0)
    catalogue.exclude(4, "ann", 0)
    seen = []
    while last := catalogue.last_undoable("ann"):
        catalogue.undo(last.id, "ann")
        seen.append((last.item_id, catalogue.item(2).label, catalogue.item(4).status))
    assert seen == [(4, "Bag", "active"), (2, "Hat", "active"), (2, "Dress", "active"), (2, "Coat", "active")]
    assert standing(catalogue, 2) == ("Coat", "active", False, 6)
    assert catalogue.item(1).decided  # bob's
    assert catalogue.last_undoable("nobody") is None


def test_an_undo_can_be_undone_and_so_on(catalogue: Catalogue) -> None:
    made = catalogue.correct(2, "Dress", "ann", 0)
    newest, labels, undone = made.id, [], []
    for _ in range(5):
        newest = catalogue.undo(newest, "ann").corrections[0].id
        labels.append(catalogue.item(2).label)
        undone.append(catalogue.undone([made.id]) == {made.id})
        assert (catalogue.last_undoable("ann") is None) == undone[-1]
    assert labels == ["Coat", "Dress", "Coat", "Dress", "Coat"]
    assert undone == [True, False, True, False, True]
    # what did it again is taken back as the correction itself
    assert [row.undoes for row in catalogue.history(2)] == [None, 1, 2, 1, 4, 1]


def test_a_correction_done_again_is_undone_by_its_own_number_too(catalogue: Catalogue) -> None:
    made = catalogue.correct(2, "Dress", "ann", 0)
    first = catalogue.undo(made.id, "ann").corrections[0]
    catalogue.undo(first.id, "ann")
    with pytest.raises(StaleItemError):  # it is undone already
        catalogue.undo(first.id, "ann")
    second = catalogue.undo(made.id, "ann").corrections[0]
    assert second.undoes == made.id
    with pytest.raises(StaleItemError):
        catalogue.undo(made.id, "ann")
    # either undo says the same now, and to take it back is to take back the newer one
    assert catalogue.undo(first.id, "ann").corrections[0].undoes == second.id
    assert catalogue.undone([made.id]) == set()
    assert catalogue.item(2).label == "Dress"


def test_what_somebody_changed_since_is_not_taken_back(catalogue: Catalogue) -> None:
    anns = catalogue.correct(2, "Dress", "ann", 0)
    bobs = catalogue.correct(2, "Hat", "bob", 1)
    with pytest.raises(StaleItemError, match="was changed by bob .*“Hat”"):
        catalogue.undo(anns.id, "ann")
    assert standing(catalogue, 2) == ("Hat", "active", True, 2)
    # but once bob has taken his back, it is as ann left it
    catalogue.undo(bobs.id, "bob")
    catalogue.undo(anns.id, "ann")
    assert catalogue.item(2).label == "Coat"


def test_the_same_label_by_somebody_else_is_not_what_one_left(catalogue: Catalogue) -> None:
    anns = catalogue.correct(2, "Dress", "ann", 0)
    catalogue.correct(2, "Hat", "bob", 1)
    catalogue.correct(2, "Dress", "bob", 2)
    with pytest.raises(StaleItemError):
        catalogue.undo(anns.id, "ann")
    assert catalogue.item(2).label == "Dress"


def test_who_cannot_take_back_the_last_may_go_on_with_those_before(catalogue: Catalogue) -> None:
    first = catalogue.correct(1, "Dress", "ann", 0)
    batch = catalogue.decide_all([Change(2, 0, label="Hat"), Change(3, 0, label="Hat")], "ann")
    last = catalogue.correct(4, "Dress", "ann", 0)
    catalogue.keep(3, "bob", 1)
    catalogue.keep(4, "bob", 1)
    assert catalogue.last_undoable("ann") == last
    found = catalogue.last_undoable("ann", before=last.id)
    assert found == batch.corrections[1]
    undone = catalogue.undo(found.id, "ann")
    assert [row.item_id for row in undone.corrections] == [2]
    (conflict,) = undone.conflicts
    assert (conflict.wanted, conflict.changed_by) == (Change(3, 2, "Shirt", "active"), "bob")
    assert conflict.now == catalogue.item(3)
    # nothing is left to be taken back of it
    with pytest.raises(StaleItemError):
        catalogue.undo(found.id, "ann")
    assert catalogue.last_undoable("ann", before=batch.id) == first


def test_one_undo_takes_a_batch_back_and_another_does_it_again(catalogue: Catalogue) -> None:
    batch = catalogue.decide_all([Change(n, 0, "Hat") for n in (1, 2, 5)] + [Change(4, 0, status="excluded")], "ann")
    undone = catalogue.undo(batch.corrections[2].id, "bob")
    assert [row.undoes for row in undone.corrections] == [row.id for row in batch.corrections]
    assert {row.batch for row in undone.corrections} == {undone.id}
    assert [standing(catalogue, n) for n in (1, 2, 4, 5)] == [
        ("Shirt", "active", False, 2),
        ("Coat", "active", False, 2),
        ("Bag", "active", False, 2),
        (None, "active", False, 2),
    ]
    assert catalogue.last_undoable("ann") is None
    again = catalogue.undo(undone.corrections[0].id, "ann")
    assert len(again.corrections) == 4
    assert [catalogue.item(n).label for n in (1, 2, 4, 5)] == ["Hat", "Hat", "Bag", "Hat"]
    assert catalogue.item(4).status == "excluded"
    last = catalogue.last_undoable("ann")
    assert last == batch.corrections[-1]


def test_what_an_earlier_undo_had_to_leave_of_a_batch_is_taken_back_later(catalogue: Catalogue) -> None:
    batch = catalogue.decide_all([Change(1, 0, "Hat"), Change(2, 0, "Hat")], "ann")
    bobs = catalogue.correct(2, "Cap", "bob", 1)
    assert [each.wanted.item_id for each in catalogue.undo(batch.corrections[0].id, "ann").conflicts] == [2]
    catalogue.undo(bobs.id, "bob")
    rest = catalogue.undo(batch.corrections[0].id, "ann")
    assert ([row.item_id for row in rest.corrections], rest.conflicts) == ([2], ())
    assert (catalogue.item(1).label, catalogue.item(2).label) == ("Shirt", "Coat")
    with pytest.raises(StaleItemError):
        catalogue.undo(batch.corrections[0].id, "ann")


def test_an_unknown_correction_cannot_be_undone(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownCorrectionError, match="no correction with the id 7") as caught:
        catalogue.undo(7, "ann")
    assert caught.value.correction_id == 7


# the history


def test_the_history_is_filtered_and_paged_the_newest_first(catalogue: Catalogue) -> None:
    rows = [
        catalogue.correct(2, "Dress", "ann", 0),
        catalogue.keep(1, "bob", 0),
        catalogue.exclude(3, "ann", 0),
        catalogue.correct(2, "Hat", "bob", 1),
    ]
    rows += catalogue.undo(rows[3].id, "ann").corrections
    newest = rows[::-1]
    assert catalogue.corrections() == newest
    assert catalogue.corrections(limit=2) == newest[:2]
    assert catalogue.corrections(before=newest[1].id, limit=2) == newest[2:4]
    assert catalogue.corrections(who="bob") == [rows[3], rows[1]]
    assert catalogue.corrections(old_label="Dress") == [rows[3]]
    assert catalogue.corrections(new_label="Dress") == [rows[4], rows[0]]
    assert catalogue.corrections(action="exclude", who="ann") == [rows[2]]
    assert catalogue.corrections(item_id=2) == [rows[4], rows[3], rows[0]]
    assert catalogue.n_corrections_since(rows[1].id) == 3
    assert catalogue.authors() == ["ann", "bob"]


def test_progress_counts_what_stands_and_what_somebody_looked_at(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = catalogue.progress("ann", NOON)
    assert (nothing.today, nothing.today_by_who, nothing.per_minute, nothing.share_changed) == (0, 0, 0.0, None)
    at(monkeypatch, NOON - timedelta(hours=13))  # yesterday
    catalogue.correct(1, "Dress", "ann", 0)
    at(monkeypatch, NOON - timedelta(minutes=11))
    catalogue.keep(1, "ann", 1)
    at(monkeypatch, NOON - timedelta(minutes=5))
    catalogue.keep(2, "ann", 0)
    catalogue.correct(3, "Dress", "bob", 0)
    at(monkeypatch, NOON - timedelta(minutes=1))
    taken_back = catalogue.exclude(4, "ann", 0)
    catalogue.undo(taken_back.id, "ann")
    catalogue.rename_label("Dress", "Gown", "ann")
    catalogue.exclude(5, "ann", 0)
    ann = catalogue.progress("ann", NOON)
    assert (ann.today, ann.today_by_who) == (4, 3)
    assert ann.per_minute == 2 / 5  # two since five minutes ago
    assert ann.share_changed == 2 / 4
    everybody = catalogue.progress(now=NOON)
    assert (everybody.today, everybody.today_by_who, everybody.per_minute) == (4, 4, 3 / 5)
    assert everybody.share_changed == 3 / 5
    assert catalogue.progress("ann", NOON + timedelta(hours=13)).today == 0


def test_the_first_minute_counts_as_a_whole_one(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, NOON - timedelta(seconds=3))
    for item_id in (1, 2, 3):
        catalogue.keep(item_id, "ann", 0)
    assert catalogue.progress("ann", NOON).per_minute == 3.0


def test_the_share_changed_is_that_of_the_last_fifty(catalogue: Catalogue) -> None:
    for version in range(60):
        catalogue.correct(1, "Shirt" if version < 30 or version % 2 else "Coat", "ann", version)
    # 30 were kept; of the other 30, all changed it: Coat, Shirt, Coat, …
    assert catalogue.progress("ann").share_changed == 30 / 50


# labels


def test_labels_are_those_of_active_items_and_those_that_were_added(catalogue: Catalogue) -> None:
    assert catalogue.label_names() == ["Bag", "Coat", "Shirt"]
    assert catalogue.add_label(" Hat ", "ann") == "Hat"
    assert catalogue.add_label("Hat", "bob") == "Hat"
    catalogue.exclude(2, "ann", 0)
    assert catalogue.label_names() == ["Bag", "Hat", "Shirt"]
    assert catalogue.label_counts() == {"Shirt": 3, "Bag": 1}


def test_a_label_is_renamed_in_one_batch_that_decides_nothing(catalogue: Catalogue) -> None:
    catalogue.keep(1, "bob", 0)
    catalogue.exclude(3, "bob", 0)
    batch = catalogue.rename_label("Shirt", " Blouse ", "ann", "as the shop calls it")
    assert (len(batch.corrections), batch.left_alone, batch.conflicts) == (2, 1, ())
    assert {(row.action, row.why, row.batch) for row in batch.corrections} == {
        ("rename", "as the shop calls it", batch.id)
    }
    assert standing(catalogue, 1) == ("Blouse", "active", True, 2)
    assert standing(catalogue, 3) == ("Blouse", "excluded", True, 2)
    assert standing(catalogue, 6) == ("Shirt", "active", False, 0)  # of the test split
    catalogue.undo(batch.corrections[0].id, "ann")
    assert [catalogue.item(n).label for n in (1, 3, 6)] == ["Shirt"] * 3
    assert catalogue.item(3).status == "excluded"


def test_a_merge_with_test_pictures_is_taken_back_whole(catalogue: Catalogue) -> None:
    batch = catalogue.rename_label("Shirt", "Coat", "ann", include_test=True)
    assert (len(batch.corrections), batch.left_alone) == (3, 0)
    assert catalogue.label_counts() == {"Coat": 4, "Bag": 1}
    assert [catalogue.item(n).decided for n in (1, 3, 6)] == [False] * 3
    last = catalogue.last_undoable("ann")
    assert last is not None
    catalogue.undo(last.id, "ann")
    assert [catalogue.item(n).label for n in range(1, 7)] == list(LABELS)


def test_an_added_label_without_items_is_renamed_too(catalogue: Catalogue) -> None:
    catalogue.add_label("Hat", "ann")
    assert catalogue.rename_label("Hat", "Cap", "ann").corrections == ()
    assert catalogue.label_names() == ["Bag", "Cap", "Coat", "Shirt"]
    catalogue.add_label("Hat", "ann")
    catalogue.rename_label("Hat", "Cap", "ann")
    assert catalogue.label_names() == ["Bag", "Cap", "Coat", "Shirt"]


def test_what_is_no_label_cannot_be_renamed(catalogue: Catalogue) -> None:
    with pytest.raises(LabelError, match="There is no label called “Hat”"):
        catalogue.rename_label("Hat", "Cap", "ann")
    with pytest.raises(LabelError, match="is called “Coat” already"):
        catalogue.rename_label("Coat", "Coat ", "ann")


# leases


def leased_by_others(catalogue: Catalogue, who: str) -> set[int]:
    """What is not offered to this person now."""
    now = fashion16.catalogue.history.stamp(fashion16.catalogue.leases._now())
    with catalogue.reading() as connection:
        rows = connection.execute(sa.select(leases.c.item_id, leases.c.who, leases.c.until)).all()
    return {row.item_id for row in rows if row.who != who and str(row.until) > now}


def test_what_somebody_looks_at_is_not_offered_for_two_minutes(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, NOON)
    assert catalogue.lease([1, 2], "ann") == {1, 2}
    assert catalogue.lease([2, 3], "bob") == {3}
    assert leased_by_others(catalogue, "bob") == {1, 2}
    assert leased_by_others(catalogue, "ann") == {3}
    assert leased_by_others(catalogue, "carl") == {1, 2, 3}
    at(monkeypatch, NOON + timedelta(seconds=60))
    assert catalogue.lease([1], "ann") == {1}
    at(monkeypatch, NOON + timedelta(seconds=120))
    assert leased_by_others(catalogue, "carl") == {1}
    assert catalogue.lease([2, 3], "carl", seconds=1) == {2, 3}
    at(monkeypatch, NOON + timedelta(seconds=181))
    assert leased_by_others(catalogue, "bob") == set()


def test_old_leases_are_swept_away(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, NOON)
    catalogue.lease([1, 2], "ann")
    catalogue.lease([3], "bob")
    at(monkeypatch, NOON + timedelta(hours=1))
    catalogue.lease([], "carl")
    with catalogue.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(leases)) == 0


# foreign text

FOREIGN = (
    'O\'Brien "x" `y` \\ ; DROP TABLE items; --',
    "<script>alert(1)</script><b>&amp;",
    '=HYPERLINK("http://x","y")',
    "@SUM(A1)",
    "%s %(who)s {0} :label ?",
    "👩‍👩‍👧 🧥",
    "‮gpj.exe ‏עברית",
    "e\u0301 é ﬁ",
    "two\nlines\ttab",
    "x" * 200,
    "👗" * 200,
)


@pytest.mark.parametrize("text", FOREIGN)
def test_any_text_comes_back_as_it_was_written(catalogue: Catalogue, text: str) -> None:
    made = catalogue.correct(2, text, text, 0, text * 50)
    assert (made.new_label, made.who, made.why) == (text, text, text * 50)
    assert catalogue.item(2).label == text
    assert catalogue.corrections(who=text, new_label=text) == [made]
    assert catalogue.add_label(text, text) == text
    assert text in catalogue.label_names()
    assert catalogue.lease([1], text) == {1}
    assert len(catalogue.rename_label(text, "Coat", "ann", text).corrections) == 1
    assert catalogue.undo(made.id + 1, text).corrections[0].new_label == text


def test_a_reason_may_be_long(catalogue: Catalogue) -> None:
    assert catalogue.keep(1, "ann", 0, "because " * 1_250).why == "because " * 1_250


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("", "at least one character that can be seen"),
        (" \t\n", "at least one character that can be seen"),
        ("\u200b\u200f", "at least one character that can be seen"),
        ("\0", "at least one character that can be seen"),
        ("Co\0at", "a character that cannot be stored"),
        ("\ud83d", "a character that cannot be stored"),
        ("x" * 201, "at most 200 characters, received 201"),
        ("x" * 10_000, "at most 200 characters, received 10,000"),
    ],
)
def test_a_label_that_cannot_be_is_refused_with_a_sentence(catalogue: Catalogue, label: str, reason: str) -> None:
    with pytest.raises(LabelError, match=reason):
        catalogue.correct(2, label, "ann", 0)
    with pytest.raises(LabelError, match=reason):
        catalogue.add_label(label, "ann")
    with pytest.raises(LabelError, match=reason):
        catalogue.rename_label("Coat", label, "ann")
    assert standing(catalogue, 2) == ("Coat", "active", False, 0)


def test_names_and_reasons_that_cannot_be_stored_are_refused(catalogue: Catalogue) -> None:
    for who, why, reason in [
        ("a\0", "", "The name holds a character that cannot be stored"),
        ("a" * 201, "", "A name has at most 200 characters, received 201"),
        ("ann", "\0", "The reason holds a character that cannot be stored"),
        ("ann", "\udfff", "The reason holds a character that cannot be stored"),
    ]:
        with pytest.raises(TextError, match=reason):
            catalogue.keep(1, who, 0, why)
        with pytest.raises(TextError, match=reason):
            catalogue.decide_all([Change(1, 0)], who, why)
    with pytest.raises(TextError):
        catalogue.lease([1], "a\0")
    assert catalogue.revision() == 0


# any order of things

STEPS = ("label", "keep", "exclude", "include", "undo", "z", "batch")
steps = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 30)))


@settings(deadline=None, max_examples=60)
@given(steps)
def test_whatever_was_done_the_history_leads_to_the_items_and_all_of_it_can_be_taken_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    with Catalogue.in_file(tmp_path_factory.mktemp("any") / "catalogue.sqlite") as catalogue:
        catalogue.add(imported())
        came = catalogue.items(range(1, 7))
        for action, number in steps:
            item = catalogue.item(1 + number % 3)
            _do(catalogue, action, number, item)
        for before in came:
            label, status, decided, version = before.label, before.status, before.decided, before.version
            for row in catalogue.history(before.id):
                assert (row.old_label, row.old_status, row.old_decided) == (label, status, decided)
                label, status, decided, version = row.new_label, row.new_status, row.new_decided, version + 1
            assert standing(catalogue, before.id) == (label, status, decided, version)
        while last := catalogue.last_undoable("ann"):
            assert catalogue.undo(last.id, "ann").conflicts == ()
        now = catalogue.items(range(1, 7))
        assert [(i.label, i.status, i.decided) for i in now] == [(i.label, i.status, i.decided) for i in came]


def _do(catalogue: Catalogue, action: str, number: int, item: Item) -> None:
    if action == "label":
        catalogue.correct(item.id, f"Label {number % 4}", "ann", item.version)
    elif action == "batch":
        seen = catalogue.items([1, 2, 3])
        catalogue.decide_all([Change(each.id, each.version, f"Label {number % 4}") for each in seen], "ann")
    elif action == "z":
        if last := catalogue.last_undoable("ann"):
            catalogue.undo(last.id, "ann")
    elif action == "undo":
        if (revision := catalogue.revision()) > number:
            with suppress(StaleItemError):
                catalogue.undo(revision - number, "ann")
    else:
        getattr(catalogue, action)(item.id, "ann", item.version)


# catalogues from before


def test_corrections_from_before_are_decisions_and_can_be_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "catalogue.sqlite"
    with monkeypatch.context() as older:
        older.setattr(migrations, "STEPS", migrations.STEPS[:2])
        Catalogue.in_file(path).close()
    with sqlite3.connect(path) as connection:
        for n, label, status, version in [(1, "Hat", "active", 2), (2, "Coat", "active", 0), (3, "Cap", "excluded", 1)]:
            connection.execute(
                "INSERT INTO items (id, position, sha256, label, original_label, status, split, version, source) "
                "VALUES (?, ?, '', ?, 'Coat', ?, 'train', ?, 'shop')",
                (n, n, label, status, version),
            )
        connection.executemany(
            "INSERT INTO corrections (item_id, old_label, new_label, who, at) VALUES (?, ?, ?, 'ann', '2026-11-01')",
            [(1, "Coat", "Bag"), (3, "Coat", "Cap"), (1, "Bag", "Hat")],
        )
    connection.close()
    with Catalogue.in_file(path) as catalogue:
        assert [words(row) for row in catalogue.corrections_since(0)] == [
            ("label", "Coat", "Bag", "active", "active", False, True),
            ("label", "Coat", "Cap", "excluded", "excluded", False, True),
            ("label", "Bag", "Hat", "active", "active", True, True),
        ]
        assert catalogue.decided_ids().tolist() == [1, 3]
        for _ in range(3):
            last = catalogue.last_undoable("ann")
            assert last is not None
            catalogue.undo(last.id, "bob")
        assert [standing(catalogue, n) for n in (1, 2, 3)] == [
            ("Coat", "active", False, 4),
            ("Coat", "active", False, 0),
            ("Coat", "excluded", False, 2),
        ]
