"""Corrections from elsewhere are made where both sides mean the same picture and label, and nowhere else."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashion16.catalogue.rows import ImportedItem
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.errors import DamagedDataError, DataError, MissingDataError, TextError
from fashion16.labels import exports
from fashion16.labels.correction_files import COLUMNS, read_corrections
from fashion16.labels.correction_import import Finding, import_corrections
from fashion16.labels.write_back import write_back
from tests.catalogue import test_postgresql
from tests.labels.test_exports import WHY, decided, shop_at, table
from tests.pictures import SHOP, import_from, items_of, labels_of, photo, tree

url = test_postgresql.url  # a real server

FOREIGN = (
    '=HYPERLINK("http://x";"y")',
    "@SUM(1)",
    "\u200b\uff1d1",
    "<b>'x'</b>, \u202e👗",
    "\\N",
    "a;=1",
    "two\nlines\r\n-1",
    "'quoted",
    "﷽" * 200,
)


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    return shop_at(tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> Workspace:
    """The same pictures on another machine, where their ids are others, and one is missing."""
    return shop_at(tmp_path / "other", "Zabc")


@pytest.fixture
def file(shop: Workspace, tmp_path: Path) -> Path:
    with shop.collection(SHOP).catalogue() as catalogue:
        decided(catalogue)
        exports.corrections_csv(catalogue, tmp_path / "c.csv")
    return tmp_path / "c.csv"


def told(findings: Any) -> list[tuple[str, str]]:
    return [(finding.source, finding.sentence) for finding in findings]


def test_corrections_are_made_where_both_sides_mean_the_same_as_one_batch(other: Workspace, file: Path) -> None:
    report = import_corrections(other.collection(SHOP), file, "zoe")
    assert told(report.applied) == [
        ("Hat/a.png", "“Hat” becomes “=Cap”."),
        ("Hat/b.png", "It is kept as “Hat”."),
        ("Hat/c.png", "“Hat” becomes “Hat”, excluded."),
    ]
    assert told(report.unknown) == [("Hat/d.png", "No picture of this content is in the collection.")]
    assert (report.unchanged, report.conflicts) == ([], [])
    items = {item.source: item for item in items_of(other)}
    assert [(items[f"Hat/{name}.png"].label, items[f"Hat/{name}.png"].status) for name in "Zabc"] == [
        ("Hat", "active"),
        ("=Cap", "active"),
        ("Hat", "active"),
        ("Hat", "excluded"),
    ]
    assert [items[f"Hat/{name}.png"].decided for name in "Zabc"] == [False, True, True, True]
    assert report.lines()[0] == "Changed: 3. There already: 0. Conflicts: 0. Unknown: 1."
    with other.collection(SHOP).catalogue() as catalogue:
        assert {(row.who, row.why, row.batch) for row in catalogue.corrections()} == {
            ("zoe", "Imported from c.csv", report.batch)
        }
        assert report.batch and len(catalogue.undo(report.batch, "zoe").corrections) == 3
    assert set(labels_of(other).values()) == {"Hat"}


def test_the_same_again_changes_nothing(other: Workspace, file: Path) -> None:
    import_corrections(other.collection(SHOP), file, "zoe")
    before = items_of(other)
    report = import_corrections(other.collection(SHOP), file, "zoe")
    assert (len(report.applied), len(report.unchanged), report.batch) == (0, 3, None)
    assert items_of(other) == before


def test_what_was_decided_otherwise_here_stays_and_both_are_said(other: Workspace, file: Path) -> None:
    with other.collection(SHOP).catalogue() as catalogue:
        catalogue.correct(2, "Bag", "zoe", 0)
        catalogue.correct(3, "Bag", "zoe", 0)
    report = import_corrections(other.collection(SHOP), file, "zoe")
    assert told(report.conflicts) == [
        ("Hat/a.png", "It is “Bag” here; the file changes “Hat” to “=Cap”."),
        ("Hat/b.png", "It is “Bag” here; the file keeps “Hat”."),
    ]
    assert labels_of(other)["Hat/a.png"] == labels_of(other)["Hat/b.png"] == "Bag"


def test_an_item_that_stands_where_the_file_once_was_follows(other: Workspace, file: Path) -> None:
    with other.collection(SHOP).catalogue() as catalogue:
        catalogue.correct(2, "Cap", "zoe", 0)
    assert ("Hat/a.png", "“Cap” becomes “=Cap”.") in told(
        import_corrections(other.collection(SHOP), file, "zoe").applied
    )


def test_a_dry_run_changes_nothing_and_says_what_the_real_one_does(other: Workspace, file: Path) -> None:
    with other.collection(SHOP).catalogue() as catalogue:
        catalogue.correct(3, "Bag", "zoe", 0)
    before = items_of(other)
    foretold = import_corrections(other.collection(SHOP), file, "zoe", dry_run=True)
    assert items_of(other) == before
    report = import_corrections(other.collection(SHOP), file, "zoe")
    assert report.batch is not None
    assert foretold.lines() == report.lines()
    assert vars(foretold) == vars(report) | {"batch": None}


def test_a_picture_is_recognised_by_its_content_under_another_name_if_only_one_has_it(tmp_path: Path) -> None:
    here = Workspace(tmp_path / "here")
    import_from(
        here, tree(tmp_path / "1", {"Hat/one.png": photo(1), "Hat/two.png": photo(2), "Hat/twin.png": photo(2)})
    )
    sha = {item.source: item.sha256 for item in items_of(here)}
    lines = "".join(
        f"{sha[f'Hat/{name}.png']},{source},Hat,Cap\n"
        for name, source in [("one", "elsewhere.png"), ("two", "Hat/twin.png"), ("two", "elsewhere.png")]
    )
    path = tree(tmp_path, {"c.csv": f"sha256,source,from,to\n{lines}"}) / "c.csv"
    report = import_corrections(here.collection(SHOP), path, "zoe")
    assert labels_of(here) == {"Hat/one.png": "Cap", "Hat/two.png": "Hat", "Hat/twin.png": "Cap"}
    assert report.unknown == [
        Finding(
            4,
            "elsewhere.png",
            "2 pictures of the collection have this content, and none of them is called “elsewhere.png”.",
        )
    ]
    # its own name counts more than another one
    one = sha["Hat/one.png"]
    tree(tmp_path, {"c.csv": f"sha256,source,from,to\n{one},x,Cap,Bag\n{one},Hat/one.png,Cap,Cap\n{one},y,Cap,Tie\n"})
    assert told(import_corrections(here.collection(SHOP), path, "zoe").unchanged) == [
        ("Hat/one.png", "It is “Cap” already.")
    ]
    # of one picture under two names elsewhere, neither of which is its own, the labels must agree
    tree(
        tmp_path, {"c.csv": f"sha256,source,from,to\n{sha['Hat/one.png']},x,Cap,Bag\n{sha['Hat/one.png']},y,Cap,Tie\n"}
    )
    assert told(import_corrections(here.collection(SHOP), path, "zoe").conflicts) == [
        ("y", "The file has several pictures of this content, and wants for them: “Bag”, “Tie”.")
    ]


def test_an_item_of_an_array_is_known_by_its_row(tmp_path: Path) -> None:
    here = Workspace(tmp_path / "home")
    with here.collection().catalogue() as catalogue:
        # twice the same picture
        catalogue.add(ImportedItem(n, "0" * 64, "Bag", "train", DEFAULT_COLLECTION) for n in range(2))
        np.save(here.collection().pictures_file, np.zeros((2, 28, 28), np.uint8))
        row = {"sha256": "0" * 64, "source": "fashion-mnist/1", "from": "Bag", "to": "Coat", "id": 7}
        path = tree(tmp_path, {"c.jsonl": json.dumps(row)}) / "c.jsonl"
        assert len(import_corrections(here.collection(), path, "zoe").applied) == 1
        assert [item.label for item in catalogue.items([1, 2])] == ["Bag", "Coat"]


def test_a_label_that_no_catalogue_can_keep_or_take_away_is_a_conflict(other: Workspace, tmp_path: Path) -> None:
    sha = {item.source: item.sha256 for item in items_of(other)}
    rows = [
        {"sha256": sha["Hat/a.png"], "from": "Hat", "to": "x" * 201},
        {"sha256": sha["Hat/b.png"], "from": "Hat", "to": None},
    ]
    rows += [{"sha256": sha["Hat/c.png"], "from": "Hat", "to": "\ud800"}]
    path = tree(tmp_path, {"c.jsonl": "\n".join(map(json.dumps, rows))}) / "c.jsonl"
    assert [
        sentence[:45] for _, sentence in told(import_corrections(other.collection(SHOP), path, "zoe").conflicts)
    ] == [
        "A label has at most 200 characters, received ",
        "It is “Hat” here, and only an undo can take a",
        "The label holds a character that cannot be st",
    ]


def test_a_file_that_a_spreadsheet_has_saved_is_read(other: Workspace, file: Path) -> None:
    rows = table(file)
    with file.open("w", encoding="latin-1", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, delimiter=";")
        writer.writeheader()
        writer.writerows([row | {"why": "é"} for row in rows[::-1]])  # sorted otherwise, too
    assert told(import_corrections(other.collection(SHOP), file, "zoe").applied)[-1] == (
        "Hat/a.png",
        "“Hat” becomes “=Cap”.",
    )


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("label", FOREIGN, ids=range(len(FOREIGN)))
def test_foreign_text_comes_back_as_it_was(shop: Workspace, tmp_path: Path, label: str, suffix: str) -> None:
    other = shop_at(tmp_path / "other")
    with shop.collection(SHOP).catalogue() as catalogue:
        catalogue.correct(1, label, label, 0, WHY)
        getattr(exports, f"corrections_{suffix}")(catalogue, tmp_path / f"c.{suffix}")
    assert [each.new_label for each in read_corrections(tmp_path / f"c.{suffix}")] == [label]
    assert len(import_corrections(other.collection(SHOP), tmp_path / f"c.{suffix}", "zoe").applied) == 1
    assert labels_of(other)["Hat/a.png"] == label


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("c.csv", "file,label\na,b\n", "it has no column sha256"),
        ("c.csv", "", None),
        ("c.csv", "sha256,from,to\nabc,Hat,Cap\n", "line 2 has “abc” as its sha256"),
        ("c.csv", f'sha256,from,to\n{"0" * 64},"Hat,Cap\n', "line 2 has a quotation mark too many or too few"),
        ("c.jsonl", "{", "Expecting property name"),
        ("c.jsonl", "\n[1]", "line 2 is no correction"),
        ("c.jsonl", "[" * 100_000, ""),
        ("c.jsonl", json.dumps({"sha256": "0" * 64, "from": "a", "to": ["b"]}), "line 1 holds “\\['b'\\]”"),
        ("c.jsonl", json.dumps({"sha256": "0" * 64, "from": "a", "to": "b", "to_status": "x"}), "“x” as a status"),
        ("c.jsonl", b"\xff", "invalid start byte"),
    ],
)
def test_what_is_no_file_of_corrections_says_so(
    tmp_path: Path, name: str, content: str | bytes, reason: str | None
) -> None:
    path = tree(tmp_path, {name: content}) / name
    if reason is None:
        assert read_corrections(path) == []
        return
    with pytest.raises(DamagedDataError, match=f"holds no corrections that can be read .*{reason}"):
        read_corrections(path)


def test_what_cannot_begin_says_so(other: Workspace, file: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="There is no file of corrections at"):
        import_corrections(other.collection(SHOP), tmp_path / "gone.csv", "zoe")
    with pytest.raises(DataError, match="“empty” has no pictures yet"):
        import_corrections(other.collection("empty"), file, "zoe")
    with pytest.raises(TextError, match="at most 200 characters"):
        import_corrections(other.collection(SHOP), file, "z" * 201, dry_run=True)


def test_on_a_server_it_is_all_the_same(tmp_path: Path, url: str) -> None:
    here = Workspace(tmp_path / "home", url)
    heap = tree(tmp_path / "heap", {f"Hat/{name}.png": photo(ord(name)) for name in "abcd"})
    import_from(here, heap)
    with here.collection(SHOP).catalogue() as catalogue:
        decided(catalogue)
        assert exports.labels_csv(catalogue, tmp_path / "labels.csv") == 4
        assert exports.excluded_csv(catalogue, tmp_path / "excluded.csv") == 1
        assert exports.corrections_csv(catalogue, tmp_path / "c.csv") == 6
    assert [done.n_changed for done in write_back(here.collection(SHOP))] == [2]
    there = Workspace(tmp_path / "there", url)
    import_from(there, heap, "other", table="labels.csv")
    assert labels_of(there, "other") == labels_of(here) | {"Hat/c.png": None}
    assert len(import_corrections(there.collection("other"), tmp_path / "c.csv", "zoe").unchanged) == 2
