"""Exports say what the catalogue says, no spreadsheet runs them, and corrections come back to where they fit."""

from __future__ import annotations

import csv
import json
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.rows import ImportedItem
from fashion16.collections.workspace import Workspace
from fashion16.errors import WorkspaceError
from fashion16.files.spreadsheets import FORMULA, plain, safe
from fashion16.labels import exports
from fashion16.labels.correction_files import COLUMNS
from fashion16.labels.exports import EXCLUDED_COLUMNS, LABEL_COLUMNS
from tests.pictures import SHOP, import_from, photo, tree

WHY = "because\r\n=1+1\t" + "why " * 50_000  # longer than a cell that Python's reader takes


def shop_at(root: Path, names: str = "abcd") -> Workspace:
    """A collection of pictures a.png, b.png, … labelled Hat."""
    made = Workspace(root / "home")
    import_from(made, tree(root / "heap", {f"Hat/{name}.png": photo(ord(name)) for name in names}))
    return made


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    return shop_at(tmp_path)


@pytest.fixture
def catalogue(shop: Workspace) -> Iterator[Catalogue]:
    with shop.collection(SHOP).catalogue() as opened:
        yield opened


def table(path: Path) -> list[dict[str, str]]:
    """A CSV file as its programs would read it, guards and all."""
    csv.field_size_limit(2**20)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file, strict=True))
    finally:
        csv.field_size_limit(2**17)


def decided(catalogue: Catalogue) -> None:
    """Items 1 to 4: corrected twice, kept, excluded, and corrected and taken back."""
    catalogue.correct(1, "Cap", "ann", 0, WHY)
    catalogue.correct(1, "=Cap", "ben", 1)
    catalogue.keep(2, "@ben", 0)
    catalogue.exclude(3, "ann", 0, "blurred")
    last = catalogue.correct(4, "Bag", "ann", 0)
    catalogue.undo(last.id, "ann")


# what is exported


def test_the_label_table_has_a_row_for_each_item(catalogue: Catalogue, tmp_path: Path) -> None:
    decided(catalogue)
    items = catalogue.items(range(1, 5))
    assert exports.labels_csv(catalogue, tmp_path / "labels.csv") == 4
    assert (
        (tmp_path / "labels.csv").read_bytes().startswith(b"\xef\xbb\xbfid,")
    )  # or a spreadsheet takes it for Latin-1
    rows = table(tmp_path / "labels.csv")
    assert tuple(rows[0]) == LABEL_COLUMNS
    assert rows[0] == {
        "id": "1",
        "source": "Hat/a.png",
        "sha256": items[0].sha256,
        "original_label": "Hat",
        "label": "'=Cap",
        "split": items[0].split,
        "status": "active",
        "decided": "true",
        "width": "24",
        "height": "32",
        "fetched_at": "",
    }
    assert [(row["status"], row["decided"]) for row in rows] == [
        ("active", "true"),
        ("active", "true"),
        ("excluded", "true"),
        ("active", "false"),
    ]
    assert exports.labels_parquet(catalogue, tmp_path / "labels.parquet") == 4
    exact = pq.read_table(tmp_path / "labels.parquet").to_pylist()
    assert exact == [{name: getattr(item, name) for name in LABEL_COLUMNS} for item in items]
    assert exact[0]["label"] == "=Cap" and exact[0]["fetched_at"] is None


def test_the_history_is_exported_whole_the_oldest_first(catalogue: Catalogue, tmp_path: Path) -> None:
    decided(catalogue)
    sha256 = catalogue.item(1).sha256
    assert exports.corrections_jsonl(catalogue, tmp_path / "c.jsonl") == 6
    exact = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text("utf-8").split("\n")[:-1]]
    assert tuple(exact[0]) == COLUMNS
    assert exact[0] | {"at": ""} == {
        "id": 1,
        "item_id": 1,
        "source": "Hat/a.png",
        "sha256": sha256,
        "action": "label",
        "from": "Hat",
        "to": "Cap",
        "from_status": "active",
        "to_status": "active",
        "who": "ann",
        "at": "",
        "why": WHY,
        "batch": None,
        "undoes": None,
        "undone": False,
    }
    assert [(row["action"], row["to"], row["to_status"], row["undoes"], row["undone"]) for row in exact] == [
        ("label", "Cap", "active", None, False),
        ("label", "=Cap", "active", None, False),
        ("keep", "Hat", "active", None, False),
        ("exclude", "Hat", "excluded", None, False),
        ("label", "Bag", "active", None, True),
        ("undo", "Hat", "active", 5, False),
    ]
    assert exports.corrections_csv(catalogue, tmp_path / "c.csv") == 6
    rows = table(tmp_path / "c.csv")
    assert [(row["to"], row["who"]) for row in rows[1:3]] == [("'=Cap", "ben"), ("Hat", "'@ben")]
    as_text = [
        {name: "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)}
        for row in exact
        for name, value in row.items()
    ]
    assert [{name: plain(cell)} for row in rows for name, cell in row.items()] == as_text


def test_excluded_items_say_who_excluded_them_and_why(catalogue: Catalogue, tmp_path: Path) -> None:
    decided(catalogue)
    catalogue.include(3, "ben", 1)
    catalogue.exclude(3, "ben", 2, "no garment")
    catalogue.correct(3, "Tie", "zoe", 3)
    assert exports.excluded_csv(catalogue, tmp_path / "out.csv") == 1
    (row,) = table(tmp_path / "out.csv")
    assert tuple(row) == EXCLUDED_COLUMNS
    assert (row["id"], row["source"], row["label"], row["who"], row["why"]) == (
        "3",
        "Hat/c.png",
        "Tie",
        "ben",
        "no garment",
    )
    assert row["at"].startswith("20")


def test_without_anything_to_export_there_is_the_header_alone(tmp_path: Path) -> None:
    with Catalogue.in_file(tmp_path / "catalogue.sqlite") as catalogue:
        for write in (exports.corrections_csv, exports.corrections_jsonl, exports.labels_csv, exports.excluded_csv):
            assert write(catalogue, tmp_path / "out.csv") == 0
        assert (tmp_path / "out.csv").read_text("utf-8-sig") == ",".join(EXCLUDED_COLUMNS) + "\n"
        assert exports.labels_parquet(catalogue, tmp_path / "out.parquet") == 0
        assert pq.read_schema(tmp_path / "out.parquet").names == list(LABEL_COLUMNS)


def test_an_export_that_cannot_be_written_leaves_the_old_one(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(WorkspaceError, match="could not be written"):
        exports.labels_csv(catalogue, tmp_path / "file" / "labels.csv")
    catalogue.close()
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("kind", ["labels_parquet", "corrections_jsonl"])
def test_a_large_collection_is_never_in_memory_as_a_whole(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 4_000
    # what is read at a time is less than what there is, as in a collection of the paper's size
    for module in (exports, "fashion16.catalogue.catalogue", "fashion16.catalogue.history"):
        monkeypatch.setattr(f"{module if isinstance(module, str) else module.__name__}.BATCH", 100)
    with Catalogue.in_file(tmp_path / "catalogue.sqlite") as catalogue:
        catalogue.add(
            ImportedItem(None, f"{i:064x}", "Hat", "train", f"{i}.png", f"00/{i:064x}.png", 9, 9) for i in range(n)
        )
        catalogue.rename_label("Hat", "Cap", "ann", include_test=True)
        write = getattr(exports, kind)
        tracemalloc.start()
        try:
            assert write(catalogue, tmp_path / "out") == n
            assert tracemalloc.get_traced_memory()[1] < 1.5 * 2**20
        finally:
            tracemalloc.stop()


# foreign text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-rf", "'-rf"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("  =1", "  '=1"),
        ("\ufeff＝1", "\ufeff'＝1"),
        ("'x", "''x"),
        # a reader for which semicolons separate begins another cell there
        ("a;=1", "a;'=1"),
        ('a";\t=1', "a\";\t'=1"),
        ("a\n=1", "a\n'=1"),
        ("T-Shirt", "T-Shirt"),
        ("it's 1 = 1", "it's 1 = 1"),
        ("", ""),
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_is_guarded_and_no_other(text: str, cell: str) -> None:
    assert safe(text) == cell
    assert plain(cell) == text


@given(st.text(st.sampled_from("=+-@'\"\t\r\n ,;|a\u200b\u202e\uff1d\uff0d"), max_size=12))
@example("\t'=")
@settings(max_examples=400)
def test_a_guard_comes_off_again_and_nothing_guarded_begins_a_formula(text: str) -> None:
    cell = safe(text)
    assert plain(cell) == text
    for part in re.split("[,;|\t\r\n]", cell):
        assert not re.match(rf'[\s\u200b\u202e"]*[{FORMULA}]', part)
    assert not cell.startswith(("\t", "\r"))
