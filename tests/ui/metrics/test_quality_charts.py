"""An evaluation's figures as tables and charts, the paper's beside ours, and the map: drawn is what was found."""

from __future__ import annotations

import json
from dataclasses import astuple, replace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from fashion16.estimate import Figure
from fashion16.evaluation import paper
from fashion16.evaluation.figures import Evaluation
from fashion16.evaluation.reproduction import (
    ByFeatures,
    Features,
    OverSeeds,
    Reproduction,
    Searched,
    Searches,
    SizePoint,
    Timing,
)
from ui.metrics import map_charts, paper_charts, quality_charts, quality_tables
from ui.metrics import paper as paper_page

FOREIGN = "<b>Coat</b> & *more*"
CONFUSION = pd.DataFrame([[8, 2, 0], [1, 3, 0], [0, 0, 5]], index=list("abc"), columns=list("abc"))


def figure(value: float, n: int = 100) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01, "n": n}


def report(**more: Any) -> Evaluation:
    """A small evaluation, from the shape of the file."""
    names = list("abc")
    found = {
        "measured_at": "2026-11-03T16:05:28+00:00",
        "encoder_digest": "0123456789abcdef",
        "label_revision": 7,
        "categories": names,
        "classification": {
            "accuracy": figure(16 / 19, 19),
            "categories": {
                "a": {"precision": figure(0.9), "recall": figure(0.8), "f1": 0.85},
                "b": {"precision": figure(0.6), "recall": figure(0.75), "f1": 0.67},
                "c": {"precision": None, "recall": figure(0.1), "f1": 0.0},
            },
            "confusion": CONFUSION.to_numpy().tolist(),
            "calibration": {"expected_error": 0.05, "curve": [{"confidence": 0.9, "accuracy": 0.8, "n": 10}]},
        },
        "retrieval": {
            way: {"precision_at_20": figure(value), "map_at_20": figure(value)}
            for way, value in (("in_category", 0.9), ("direct", 0.8))
        },
        "instances": {
            way: {"recall_at_1": figure(0.7), "recall_at_20": figure(0.75)} for way in ("in_category", "direct")
        },
        "index": [
            {"n_bits": 512, "n_probes": 1, "recall_at_20": figure(0.4), "candidates": 860.5},
            {"n_bits": 512, "n_probes": None, "recall_at_20": figure(0.99), "candidates": 5000.0},
            {"n_bits": 64, "n_probes": None, "recall_at_20": figure(0.7), "candidates": 5000.0},
        ],
        "few_labels": [{"per_category": 10, "accuracy": figure(0.8)}],
        "speed": {
            step: {"median_ms": 2.0, "p95_ms": 3.0} for step in ("prepare", "encode", "classify", "search", "total")
        }
        | {"n": 200, "cores": 2, "machine": "x86_64"},
    }
    return msgspec.convert(found | more, Evaluation)


def drawn(chart: go.Figure) -> dict[str, Any]:
    """The chart as a browser gets it."""
    found: dict[str, Any] = json.loads(chart.to_json())
    return found


def test_mistakes_are_counted_by_hand_and_the_most_frequent_comes_first() -> None:
    table = quality_tables.mistakes(CONFUSION)
    assert table.to_dict("records") == [
        {"label": "a", "predicted": "b", "pictures": 2, "share": 0.2},
        {"label": "b", "predicted": "a", "pictures": 1, "share": 0.25},
    ]
    assert quality_tables.mistakes(pd.DataFrame(np.eye(3, dtype=int), list("abc"), list("abc"))).empty


def test_of_many_categories_those_with_the_most_mistakes_stay_in_their_order() -> None:
    counts = pd.DataFrame(np.diag([5] * 60), [f"c{i}" for i in range(60)], [f"c{i}" for i in range(60)])
    counts.loc["c50", "c7"] = 3
    counts.loc["c20", "c21"] = 1
    shown = quality_tables.most_confused(counts, 4)
    assert shown.index.tolist() == shown.columns.tolist() == ["c7", "c20", "c21", "c50"]
    assert shown.loc["c50", "c7"] == 3
    assert quality_tables.most_confused(CONFUSION, 3) is CONFUSION


def test_a_confusion_matrix_that_does_not_fit_its_categories_is_left_out() -> None:
    assert quality_tables.confusion(report()).equals(CONFUSION)
    assert quality_tables.confusion(report(categories=list("ab"))).empty
    ragged = replace(report().classification, confusion=[[1, 2], [3]])
    assert quality_tables.confusion(replace(report(), categories=list("ab"), classification=ragged)).empty


def test_every_cell_answers_a_click_with_its_row_and_column() -> None:
    cells = drawn(quality_charts.confusion(CONFUSION))["data"][-1]
    assert cells["customdata"] == [[row, column] for row in range(3) for column in range(3)]
    placed = quality_charts.confusion(CONFUSION).data[-1]
    assert np.stack([placed.y, placed.x], axis=1).tolist() == cells["customdata"]
    assert cells["text"] == ["8", "2", "", "1", "3", "", "", "", "5"]
    assert cells["hovertext"][1] == "a, predicted b<br>2 pictures, 20.0% of a"
    by_share = drawn(quality_charts.confusion(CONFUSION, shares=True))["data"][-1]["text"]
    assert by_share == ["80.0%", "20.0%", "", "25.0%", "75.0%", "", "", "", "100.0%"]


def test_a_part_of_a_large_matrix_shows_shares_of_the_whole_label() -> None:
    part = CONFUSION.iloc[:2, :2]
    cells = drawn(quality_charts.confusion(part, True, np.array([20, 4])))["data"][-1]
    assert cells["text"] == ["40.0%", "10.0%", "25.0%", "75.0%"]


def test_a_matrix_of_forty_categories_has_no_numbers_in_its_cells() -> None:
    names = [f"category {i}" for i in range(40)]
    cells = drawn(quality_charts.confusion(pd.DataFrame(np.eye(40, dtype=int), names, names)))
    assert cells["data"][-1]["mode"] == "markers"
    assert len(cells["data"][-1]["customdata"]) == 1600
    assert cells["layout"]["yaxis"]["ticktext"] == names


def test_foreign_names_are_shown_letter_for_letter() -> None:
    counts = pd.DataFrame([[1, 1], [0, 1]], [FOREIGN, "x" * 60], [FOREIGN, "x" * 60])
    text = json.dumps(drawn(quality_charts.confusion(counts)))
    points = pd.DataFrame({"id": [1], "label": [FOREIGN], "x": [0.0], "y": [0.0]})
    for chart in (text, json.dumps(drawn(map_charts.by_label(points, [FOREIGN])))):
        assert "<b>" not in chart
        assert "&lt;b&gt;Coat" in chart
    assert "x" * 60 not in text


def test_the_weakest_category_comes_first_and_one_that_is_never_predicted_has_no_precision() -> None:
    table = quality_tables.categories(report().classification)
    assert table[["category", "measure"]].to_numpy().tolist() == [
        ["c", "recall"], ["b", "precision"], ["b", "recall"], ["a", "precision"], ["a", "recall"],
    ]  # fmt: skip
    chart = drawn(quality_charts.dots(table, "category", "measure"))
    assert chart["layout"]["yaxis"]["ticktext"] == ["c", "b", "a"]
    by_name = {trace["name"]: trace for trace in chart["data"]}
    assert by_name["precision"]["customdata"] == [["b", "precision"], ["a", "precision"]]
    assert "60.0%, likely 59.0% to 61.0%<br>100 pictures" in by_name["precision"]["hovertext"][0]


def test_a_point_of_the_calibration_curve_has_wilsons_interval() -> None:
    (point,) = quality_tables.calibration(report().classification).to_dict("records")
    # 8 of 10, by Wilson's formula with z = 1.96
    assert point["value"] == 0.8
    assert (point["low"], point["high"]) == (pytest.approx(0.490, abs=1e-3), pytest.approx(0.943, abs=1e-3))
    chart = drawn(quality_charts.calibration(quality_tables.calibration(report().classification)))
    assert chart["data"][1]["customdata"] == [[0]]


def test_recall_is_split_into_probes_of_the_served_index_and_bits_in_order() -> None:
    by_probes, by_bits = quality_tables.recall(report())
    assert by_probes["setting"].tolist() == ["1", "as served"]
    assert by_bits["setting"].tolist() == ["64", "512"]
    chart = drawn(quality_charts.curve(by_probes, "setting", "buckets", "found"))
    assert chart["data"][0]["hovertext"][0].endswith("<br>860 pictures compared")


def test_every_step_is_a_bar_and_without_times_there_is_none() -> None:
    table = quality_tables.speed(report())
    assert table["step"].tolist() == ["Prepare the photo", "Encode", "Classify", "Search"]
    bars = drawn(quality_charts.speed(table))["data"][0]
    assert bars["hovertext"][1] == "Encode<br>half within 2.0 ms, 95 % within 3.0 ms"
    assert quality_tables.speed(report(speed=None)).empty


def test_what_was_not_measured_gives_empty_tables() -> None:
    nothing = report(index=[], few_labels=[])
    assert quality_tables.few_labels(nothing).empty
    assert all(table.empty for table in quality_tables.recall(nothing))


def test_both_ways_of_searching_stand_beside_each_other() -> None:
    table = quality_tables.retrieval(report()).set_index(["measure", "way"])["value"]
    assert table["Same label in 20", quality_tables.IN_CATEGORY] == 0.9
    assert table["Same label in 20", quality_tables.DIRECT] == 0.8
    assert table["Copy found in 20", quality_tables.DIRECT] == 0.75


def test_each_table_says_when_and_of_what_it_was_measured() -> None:
    stamped = quality_tables.stamped(quality_tables.few_labels(report(head_digest="fedcba9876543210")), report())
    row = stamped.iloc[0]
    assert (row["measured"], row["encoder"], row["labels"]) == ("3 Nov 2026, 16:05 UTC", "01234567", "revision 7")
    assert quality_tables.stamp(report(head_digest="fedcba9876543210"))["classifier"] == "fedcba98"


def test_where_there_is_no_figure_of_ours_the_chart_says_so_and_draws_none() -> None:
    table = paper.beside_us(None, [], None)
    chart = drawn(paper_charts.beside(table[table["unit"] == paper.SHARE], shares=True))
    theirs, ours = chart["data"]
    assert theirs["text"][0].strip() == "92.71%"
    assert {text.strip() for text in ours["text"]} == {"not measured yet"}
    words = paper_page.in_words(table)
    assert set(words["ours"]) == {"not measured yet"}
    assert words.set_index("what").loc["Search in the category", "paper"] == "3.2416 s"
    assert words.set_index("what").loc["Training, 20 epochs", "paper"] == "7,301 s"


def size_point(items: int, precision: float) -> SizePoint:
    spread = OverSeeds(precision, precision - 0.01, precision + 0.01, 2000, precision, precision)
    return SizePoint(items, *astuple(spread), spread, spread, spread)


def test_precision_by_size_has_only_the_sizes_that_are_known() -> None:
    chart = drawn(paper_charts.by_size(paper.sizes(), paper.our_sizes(None)))
    (line,) = chart["data"]
    assert line["hovertext"] == ["the paper, 50,000 pictures<br>88.41%", "the paper, 300,000 pictures<br>93.87%"]
    ours = paper.our_sizes(Reproduction(retrieval_by_size=[size_point(70_000, 0.9)]))
    assert len(drawn(paper_charts.by_size(paper.sizes(), ours))["data"]) == 2


def share(value: float) -> Figure:
    return Figure(value, value - 0.01, value + 0.01, 500)


def searched(milliseconds: float, recall: float) -> Searched:
    search, whole = (
        Timing(seconds, seconds - 0.01, seconds + 0.01, 500, seconds, seconds)
        for seconds in (milliseconds / 1000, milliseconds / 1000 + 0.005)
    )
    return Searched(whole, search, share(0.9), share(recall), share(recall), 100.0)


def of(name: str, accuracy: float) -> Features:
    return Features(name, share(accuracy), share(accuracy), share(accuracy), 0.0, 1.5, 256)


REPRODUCTION = Reproduction(
    retrieval_by_size=[size_point(60_000, 0.94)],
    searches=[
        Searches(searched(0.5 * times, 0.99), searched(2 * times, 0.98), items, 4.0, items > 70_000)
        for items, times in ((70_000, 1), (325_820, 2))
    ],
    sift=ByFeatures(of("Fashion-16's embedding", 0.93), [of("Dense SIFT, enlarged, VLAD", 0.92), of("HOG, SVM", 0.94)]),
)


def test_searches_by_size_are_two_lines_in_milliseconds() -> None:
    searches = paper.searches(REPRODUCTION)
    assert searches["items"].tolist() == [70_000, 70_000, 325_820, 325_820]
    assert searches["synthetic"].tolist() == [False, False, True, True]
    inside, directly = drawn(paper_charts.by_items(searches))["data"]
    assert (inside["name"], directly["name"]) == ("in the category", "directly")
    assert directly["hovertext"][1] == "directly, 325,820 pictures<br>4.00 ms, recall 98.0%"
    assert list(paper_charts.by_items(searches).data[0].y) == pytest.approx([0.5, 1.0])


def test_features_are_bars_the_best_on_top_and_ours_told_by_its_colour() -> None:
    (bars,) = drawn(paper_charts.features(paper.features(REPRODUCTION)))["data"]
    assert list(bars["y"]) == ["Dense SIFT<br>enlarged, VLAD", "Fashion-16&#x27;s embedding", "HOG<br>SVM"]
    assert [text.strip() for text in bars["text"]] == ["92.0%", "93.0%", "94.0%"]
    first, ours, last = bars["marker"]["color"]
    assert first == last != ours
    assert bars["hovertext"][2] == "HOG, SVM<br>93.0% to 95.0%, 500 pictures"


@pytest.mark.parametrize("nothing", [None, Reproduction(), Reproduction(sift=ByFeatures(missing="No OpenCV."))])
def test_of_a_reproduction_that_lacks_them_nothing_is_made_up(nothing: Reproduction | None) -> None:
    assert paper.searches(nothing).empty
    assert paper.features(nothing).empty


def test_a_size_beyond_the_collection_is_not_only_unmeasured() -> None:
    words = paper_page.in_words(paper.beside_us(None, [], REPRODUCTION)).set_index("what")
    assert words.loc["Retrieval precision, 300,000 pictures", ["ours", "remark"]].tolist() == [paper.TOO_LARGE, ""]
    assert words.loc["Retrieval precision, 50,000 pictures", "ours"] == paper.NOT_MEASURED


def test_the_most_frequent_labels_have_colours_and_the_rest_is_others() -> None:
    labels = [f"l{number:02}" for number in range(15) for _ in range(20 - number)] + [""] * 3
    n = len(labels)
    points = pd.DataFrame({"id": np.arange(n), "label": labels, "x": np.zeros(n), "y": np.zeros(n)})
    named = map_charts.largest(points["label"])
    assert named == [f"l{number:02}" for number in range(10)]
    traces = drawn(map_charts.by_label(points, named))["data"]
    assert [trace["name"] for trace in traces] == ["others", "no label", *named]
    assert sum(len(trace["customdata"]) for trace in traces) == n
    assert len(traces[0]["customdata"]) == sum(20 - number for number in range(10, 15))
    assert len({trace["marker"]["color"] for trace in traces[2:]}) == 10


def test_a_label_called_others_keeps_its_colour() -> None:
    points = pd.DataFrame({"id": [1, 2], "label": ["others", "Bag"], "x": [0.0, 1.0], "y": [0.0, 1.0]})
    traces = drawn(map_charts.by_label(points, ["others"]))["data"]
    assert [trace["customdata"] for trace in traces if trace["marker"]["color"] != map_charts.GREY] == [[[1]]]
    assert sum(len(trace["customdata"]) for trace in traces) == 2


def test_the_most_suspicious_points_lie_on_top_and_unjudged_ones_are_grey() -> None:
    points = pd.DataFrame(
        {"id": [1, 2, 3], "label": ["a", "b", ""], "x": [0.0] * 3, "y": [0.0] * 3, "score": [0.9, 0.1, np.nan]}
    )
    grey, judged = drawn(map_charts.by_suspicion(points))["data"]
    assert grey["customdata"] == [[3]]
    assert judged["customdata"] == [[2], [1]]
    assert judged["hovertext"] == ["b<br>picture 2<br>10% likely wrong", "a<br>picture 1<br>90% likely wrong"]
