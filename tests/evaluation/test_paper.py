"""The paper's figures with ours beside them: nothing is made up."""

from __future__ import annotations

import numpy as np
import pytest

from fashion16.evaluation import paper

ACCURACY = {"classification": {"accuracy": {"value": 0.9361, "low": 0.9311, "high": 0.9407, "n": 10_000}}}


def run(name: str, epochs: int = 20, kind: str = "category-cnn", **result: float) -> dict[str, object]:
    return {"name": name, "kind": kind, "settings": {"epochs": epochs}, "result": result}


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


def test_the_newest_finished_run_of_twenty_epochs_gives_the_seconds() -> None:
    runs = [
        run("live"),  # not finished: it has no result
        run("short", epochs=5, seconds=80.0),
        run("other", kind="encoder", seconds=5000.0),
        run("newest", seconds=334.0),
        run("older", seconds=900.0),
    ]
    row = paper.beside_us(None, runs, None).set_index("what").loc["Training, 20 epochs"]
    assert row["ours"] == 334.0
    assert "run newest" in row["remark"]
    assert np.isnan(paper.beside_us(None, runs[:3], None).set_index("what").loc["Training, 20 epochs", "ours"])


def test_the_reproduction_fills_in_what_it_measured() -> None:
    reproduction = {
        "retrieval_by_size": [
            {"items": 300_000, "precision": 0.95, "low": 0.94, "high": 0.96},
            {"items": 100_000, "precision": 0.93, "low": 0.92, "high": 0.94, "n": 2000},
        ],
        "seconds_in_category": {"value": 0.02, "low": 0.01, "high": 0.03, "n": 200},
    }
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
    points = [{"items": n, "precision": n / 1e6, "low": 0.0, "high": 1.0} for n in (300_000, 50_000)]
    found = paper.our_sizes({"retrieval_by_size": points})
    assert found["items"].tolist() == [50_000, 300_000]
    assert found["value"].tolist() == [0.05, 0.3]
    assert found["n"].isna().all()
    assert paper.our_sizes(None).empty


@pytest.mark.parametrize(
    "odd",
    [
        [],
        {"retrieval_by_size": "none", "sift_precision": 0.9, "seconds_direct": None},
        {"retrieval_by_size": [None, 3, {"items": "many", "precision": 1}], "sift_precision": {"value": "good"}},
        {"sift_precision": {"value": float("nan")}, "seconds_direct": {"value": True}},
    ],
)
def test_a_file_of_another_version_counts_as_not_measured(odd: object) -> None:
    table = paper.beside_us({"classification": None}, [{"settings": 3}], odd)  # type: ignore[arg-type]
    assert table["ours"].isna().all()
    assert len(table) == len(paper.FIGURES)
