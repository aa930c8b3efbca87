"""The charts of the index explorer, asked for what they draw and what a click on them means."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from fashion16.explore import buckets
from ui.explorer import bucket_charts
from ui.shared.charts import ACCENT


def trace(figure: go.Figure, name: str) -> go.Scatter:
    (found,) = (one for one in figure.data if one.name == name)
    return found


def test_bars_stand_in_order_of_size_with_foreign_names_as_they_are() -> None:
    table = pd.DataFrame({"category": ["<b>Bag</b>", "Coat", "Hat"], "largest": [5, 9, 5]})
    figure = bucket_charts.category_bars(table, "largest", "Largest", ",.0f", 7.0)
    assert figure.data[0].x.tolist() == [9, 5, 5]
    assert figure.layout.yaxis.ticktext == ("Coat", "&lt;b&gt;Bag&lt;/b&gt;", "Hat")
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].x1) == (7, 7)
    assert not bucket_charts.category_bars(table, "largest", "Largest", ",.0f", None).layout.shapes


def test_no_more_bars_are_drawn_than_can_be_read() -> None:
    table = pd.DataFrame({"category": [f"c{number:04}" for number in range(900)], "items": np.arange(900)})
    shown = bucket_charts.shown_bars(table, "items")
    assert shown["items"].tolist() == list(range(899, 869, -1))
    assert len(bucket_charts.category_bars(table, "items", "Items", ",.0f", None).data[0].x) == 30


def test_the_map_shows_each_bucket_in_its_cell_and_leaves_empty_ones_blank() -> None:
    sizes = np.array([0, 1, 3, 7])
    figure = bucket_charts.bucket_map(sizes, np.array([[0, 1], [2, 3]]))
    heat, points = figure.data
    np.testing.assert_allclose(heat.z, [[np.nan, np.log(2)], [np.log(4), np.log(8)]], rtol=1e-6)
    assert points.x.tolist() == [0, 1, 0, 1]
    assert points.y.tolist() == [0, 0, 1, 1]
    assert points.customdata.tolist() == [[0, 0], [1, 1], [2, 3], [3, 7]]


def test_the_chosen_bucket_and_all_that_differ_in_one_bit_are_outlined() -> None:
    cells = buckets.gray_map(3)  # rows 0, 1, 3, 2 times columns 0, 1
    figure = bucket_charts.bucket_map(np.arange(8), cells, chosen=5)
    outlined = {
        int(cells[int(shape.y0 + 0.5), int(shape.x0 + 0.5)]): (shape.line.color, shape.line.width)
        for shape in figure.layout.shapes
    }
    # 5 is 101; with one bit flipped 100, 111 and 001
    assert outlined == {4: (ACCENT, 1), 7: (ACCENT, 1), 1: (ACCENT, 1), 5: (ACCENT, 3)}


@pytest.mark.parametrize("bits", range(13))
def test_a_click_on_a_cell_means_the_bucket_of_this_cell(bits: int) -> None:
    cells = buckets.gray_map(bits)
    points = bucket_charts.bucket_map(np.ones(2**bits, np.int64), cells).data[1]
    clicked = [bucket_charts.clicked_buckets(cells, x, y).tolist() for x, y in zip(points.x, points.y, strict=True)]
    assert clicked == [[bucket] for bucket in points.customdata[:, 0]]
    assert sorted(bucket for (bucket,) in clicked) == list(range(2**bits))


@pytest.mark.parametrize("bits", [13, 14, 15, 16])
def test_on_a_large_map_a_click_means_a_block_and_each_bucket_is_in_one(bits: int) -> None:
    cells = buckets.gray_map(bits)
    sizes = np.arange(2**bits)
    points = bucket_charts.bucket_map(sizes, cells).data[1]
    assert len(points.x) <= 4096
    blocks = [bucket_charts.clicked_buckets(cells, x, y) for x, y in zip(points.x, points.y, strict=True)]
    np.testing.assert_array_equal(np.sort(np.concatenate(blocks)), np.arange(2**bits))
    assert points.customdata[:, 1].tolist() == [int(sizes[block].sum()) for block in blocks]


def test_a_bar_of_the_histogram_says_its_sizes_and_what_chance_would_give() -> None:
    table = pd.DataFrame({"low": [0, 1, 3], "high": [0, 2, 5], "buckets": [4, 2, 1], "random": [0.5, 3.25, 3.25]})
    figure = bucket_charts.size_histogram(table, chosen=4)
    bars = trace(figure, "buckets")
    assert list(bars.text) == ["0", "1–2", "3–5"]
    assert list(bars.y) == [4, 2, 1]
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(1.5, 2.5)]
    assert list(trace(figure, "by chance").y) == [0.5, 3.25, 3.25]


def test_the_rank_curve_leaves_out_empty_buckets_and_marks_the_chosen_one() -> None:
    table = pd.DataFrame({"rank": [1, 2, 3], "size": [8, 2, 0], "random": [5, 3, 2]})
    figure = bucket_charts.rank_curve(table, (2, 2))
    np.testing.assert_array_equal(trace(figure, "buckets").y, [8, 2, np.nan])
    assert list(trace(figure, "by chance").y) == [5, 3, 2]
    assert (figure.data[-1].x, figure.data[-1].y) == ((2,), (2,))
    assert len(bucket_charts.rank_curve(table, (3, 0)).data) == 2


def test_both_curves_of_a_what_if_are_in_one_chart() -> None:
    today = pd.DataFrame({"rank": [1, 2], "size": [8, 2], "random": [5, 5]})
    other = pd.DataFrame({"rank": [1, 2, 3, 4], "size": [4, 3, 2, 1], "random": [3, 3, 2, 2]})
    figure = bucket_charts.rank_curves(today, other)
    drawn = {one.name: list(one.y) for one in figure.data}
    assert drawn == {"today": [8, 2], "what if": [4, 3, 2, 1], "what if, by chance": [3, 3, 2, 2]}


def test_labels_stand_beside_what_is_predicted() -> None:
    figure = bucket_charts.label_bars([("Bag", 9, 7), ("<i>", 0, 2)])
    assert {one.name: list(one.x) for one in figure.data} == {"labelled": [9, 0], "predicted": [7, 2]}
    assert figure.layout.yaxis.ticktext == ("Bag", "&lt;i&gt;")


def test_a_chart_of_65536_buckets_is_less_than_a_megabyte() -> None:
    sizes = np.random.default_rng(16).poisson(5, 2**16)
    figures = (
        bucket_charts.bucket_map(sizes, buckets.gray_map(16), 17),
        bucket_charts.size_histogram(buckets.histogram(sizes)),
        bucket_charts.rank_curve(buckets.rank_sizes(sizes)),
    )
    assert sum(len(figure.to_json()) for figure in figures) < 1_000_000
    for figure in figures:
        json.loads(figure.to_json())
