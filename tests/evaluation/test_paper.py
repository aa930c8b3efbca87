"""The paper's figures with ours beside them: nothing is made up."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from fashion16.estimate import Figure
from fashion16.evaluation import paper
from fashion16.evaluation.reproduction import OverSeeds, Reproduction, SizePoint, Timing, read

ACCURACY = Figure(0.9361, 0.9311, 0.9407, 10_000)
SECONDS = Timing(0.02, 0.01, 0.03, 200, 0.02, 0.03)


def point(items: int, precision: float) -> SizePoint:
    spread = OverSeeds(precision, precision - 0.01, precision + 0.01, 2000, precision, precision)
    return SizePoint(items, *astuple(spread), spread, spread, spread)


def test_the_papers_figures_are_those_that_it_gives() -> None:
    table = paper.beside_us(None, [], None)
    assert dict(zip(table["what"], table["paper"], strict=True)) == {
        "Classification precision": 0.9271,
        "Precision with SIFT": 0.8940,
        "Retrieval precision, 50,000 pictures": 0.8841,
        "Retrieval precision, 300,000 pictures": 0.9387,
        "Search in the category": 3.2416,
        "Search in everything": 3.6375,
        "Training, 20 epochs": 7301.0,
    }
    assert list(table.columns) == ["what", "paper", "ours", "low", "high", "n", "unit", "remark"]


def test_what_was_not_measured_has_no_figure_and_says_so() -> None:
    table = paper.beside_us(None, [], None)
    assert table[["ours", "low", "high", "n"]].isna().all(axis=None)
    assert set(table["remark"]) == {"not measured yet"}


def test_our_accuracy_stands_beside_the_papers_precision_with_its_interval() -> None:
    row = paper.beside_us(ACCURACY, [], None).set_index("what").loc["Classification precision"]
    assert row[["paper", "ours", "low", "high", "n"]].tolist() == [0.9271, 0.9361, 0.9311, 0.9407, 10_000]


def test_the_newest_run_of_twenty_epochs_gives_the_seconds() -> None:
    runs = [paper.Training("newest", 334.0), paper.Training("older", 900.0)]
    row = paper.beside_us(None, runs, None).set_index("what").loc["Training, 20 epochs"]
    assert row["ours"] == 334.0
    assert "run newest" in row["remark"]


def test_the_reproduction_fills_in_what_it_measured() -> None:
    reproduction = Reproduction(
        retrieval_by_size=[point(300_000, 0.95), point(100_000, 0.93)], seconds_in_category=SECONDS
    )
    table = paper.beside_us(None, [], reproduction).set_index("what")
    assert table.loc["Retrieval precision, 300,000 pictures", ["paper", "ours", "low"]].tolist() == [0.9387, 0.95, 0.94]
    assert table.loc["Search in the category", ["ours", "n"]].tolist() == [0.02, 200]
    assert table.loc["Retrieval precision, 50,000 pictures", "remark"] == "not measured yet"
    assert table.loc["Search in everything", "remark"] == "not measured yet"
    ours_alone = table.loc["Retrieval precision, 100,000 pictures"]
    assert np.isnan(ours_alone["paper"])
    assert ours_alone["ours"] == 0.93
    assert len(table) == len(paper.FIGURES) + 1


def test_our_sizes_come_in_order() -> None:
    found = paper.our_sizes(Reproduction(retrieval_by_size=[point(300_000, 0.3), point(50_000, 0.05)]))
    assert found["items"].tolist() == [50_000, 300_000]
    assert found["value"].tolist() == [0.05, 0.3]
    assert paper.our_sizes(None).empty


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"retrieval_by_size": "none"}',
        '{"retrieval_by_size": [null, 3, {"items": "many", "precision": 1}]}',
        '{"sift_precision": {"value": NaN, "low": 0, "high": 1, "n": 1}}',
        '{"seconds_direct": {"value": true}}',
    ],
)
def test_a_damaged_file_counts_as_not_measured(odd: str, tmp_path: Path) -> None:
    assert read(tmp_path / "none.json") is None
    (tmp_path / "odd.json").write_text(odd)
    assert read(tmp_path / "odd.json") is None
