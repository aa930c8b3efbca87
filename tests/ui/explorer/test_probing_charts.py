"""Codes, probes, curves and bits as charts, against numbers worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from ui.explorer import health_charts, probing_charts
from ui.shared.charts import ACCENT, PALETTE

# four buckets of two bits: the query's own is 10, and the second bit is the less sure one
PROBES = pd.DataFrame(
    {
        "order": [1, 2, 3, 4],
        "bucket": [2, 3, 0, 1],
        "flipped": [0, 1, 1, 2],
        "distance": [0.0, 0.01, 0.25, 0.26],
        "items": [10, 20, 0, 30],
        "candidates": [10, 30, 30, 60],
        "true": [3, 1, 0, 1],
        "found": [0.6, 0.8, 0.8, 1.0],
    }
)
CURVE = pd.DataFrame(
    {
        "n_probes": [1, 2, 4, 0],
        "recall": [0.5, 0.75, 1.0, 1.0],
        "low": [0.4, 0.7, 0.98, 0.98],
        "high": [0.6, 0.8, 1.0, 1.0],
        "n": [200] * 4,
        "candidates": [15.0, 30.0, 60.0, 60.0],
        "milliseconds": [0.1, 0.2, 0.4, 0.3],
        "default": [False, False, False, True],
    }
)


def named(figure: go.Figure, name: str) -> go.Scatter:
    (found,) = (trace for trace in figure.data if trace.name == name)
    return found


def test_a_code_is_laid_out_in_rows_of_64_bits_the_first_top_left() -> None:
    margins = np.linspace(-1, 1, 130).astype(np.float32)
    (strip,) = probing_charts.bit_strip(margins > 0, margins, 3).data
    assert strip.z.shape == (3, 64)
    assert strip.z[0, 0] == pytest.approx(-1)
    assert strip.z[1, 0] == pytest.approx(margins[64])
    assert strip.z[2, 1] == pytest.approx(1)
    assert np.isnan(strip.z[2, 2:]).all()  # 130 bits are two rows and two
    assert strip.customdata[1, 0].tolist() == ["64", "0"]
    assert strip.customdata[2, 1].tolist() == ["129", "1"]


def test_the_bits_that_name_the_bucket_are_framed() -> None:
    margins = np.ones(64, np.float32)
    (frame,) = probing_charts.bit_strip(margins > 0, margins, 5).layout.shapes
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (-0.5, 4.5, -0.5, 0.5)
    assert not probing_charts.bit_strip(margins > 0, margins, 0).layout.shapes


def test_a_short_code_is_one_row() -> None:
    margins = np.array([0.1, -0.2, 0.3, -0.4, 0.5, -0.6, 0.7, -0.8], np.float32)
    (strip,) = probing_charts.bit_strip(margins > 0, margins, 0).data
    assert strip.z.shape == (1, 8)
    assert strip.zmax == pytest.approx(0.9)  # twice the middle of the distances, 0.45


def test_the_shortest_bar_is_the_first_unsure_bit() -> None:
    (bars,) = probing_charts.key_margins(np.array([0.5, -0.1, 0.3], np.float32)).data
    assert bars.customdata.tolist() == [[1, 3], [0, 1], [1, 2]]
    assert list(bars.text) == ["1", "0", "1"]
    assert list(bars.marker.color) == [PALETTE[1], PALETTE[0], PALETTE[1]]


def test_each_bar_of_a_probe_says_its_bucket_its_gain_and_its_distance() -> None:
    bars, distances = probing_charts.probe_gains(PROBES, 2, chosen=2).data
    assert list(bars.y) == [3, 1, 0, 1]
    assert list(distances.y) == [0.0, 0.01, 0.25, 0.26]
    assert list(bars.customdata[1]) == [2, "11 (3)", "20", "1", "0.0100", "80%"]
    assert [color == ACCENT for color in bars.marker.color] == [False, True, False, False]


def test_only_as_many_bars_are_drawn_as_a_phone_can_show() -> None:
    many = pd.concat([PROBES] * 30).assign(order=range(1, 121))
    assert len(probing_charts.probe_gains(many, 2).data[0].x) == probing_charts.SHOWN_PROBES


def test_what_is_found_climbs_with_the_items_compared_beside_random_order() -> None:
    figure = probing_charts.found_so_far(PROBES, 2, 5, chosen=4)
    found, random = named(figure, "nearest buckets first"), named(figure, "buckets in random order")
    assert list(found.x) == [10, 30, 30, 60]
    assert list(found.y) == [0.6, 0.8, 0.8, 1.0]
    assert (list(random.x), list(random.y)) == ([0, 60], [0, 1])
    assert (list(figure.data[-1].x), list(figure.data[-1].y)) == ([60], [1.0])  # the ring around the chosen one


def test_a_long_list_of_probes_is_thinned_and_keeps_what_finds_something() -> None:
    n = 2**16
    finds = np.zeros(n, int)
    finds[[0, 5_000, 60_001]] = 1
    probes = pd.DataFrame({"order": np.arange(1, n + 1), "true": finds})
    kept = probing_charts.thinned(probes)["order"].tolist()
    assert len(kept) <= probing_charts.MOST_POINTS
    assert {1, 2, 3, 5_001, 60_002, n} <= set(kept)
    assert kept == sorted(kept)
    assert probing_charts.thinned(PROBES) is PROBES


def test_a_curve_has_a_step_for_each_doubling_and_a_last_one_for_the_own_choice() -> None:
    figure = probing_charts.recall_curve(CURVE, "n_probes", "buckets probed", chosen=2)
    recall = named(figure, "recall@20")
    assert list(recall.x) == [0, 1, 2, 3]
    assert list(figure.layout.xaxis.ticktext) == ["1", "2", "4", "auto"]
    assert list(recall.marker.symbol) == ["circle", "circle", "circle", "diamond"]
    assert list(recall.customdata[1]) == [2, "2", "70.0 to 80.0 %", "30 items compared", "200", "0.20"]
    assert list(named(figure, "95 % interval").y) == [0.6, 0.8, 1.0, 1.0, 0.98, 0.98, 0.7, 0.4]
    cost = figure.data[2]
    assert list(cost.y) == [15.0, 30.0, 60.0, 60.0]
    rings = [trace for trace in figure.data if trace.marker.symbol == "circle-open"]
    assert [(ring.x[0], ring.y[0]) for ring in rings] == [(1, 0.75), (1, 30.0)]


def test_the_cost_of_longer_codes_is_their_bytes() -> None:
    curve = CURVE.assign(n_bits=[64, 128, 256, 512], bytes=[8, 16, 32, 64])
    figure = probing_charts.recall_curve(curve, "n_bits", "bits of a code")
    assert list(named(figure, "recall@20").x) == [6, 7, 8, 9]
    assert list(figure.data[2].y) == [8, 16, 32, 64]
    assert figure.data[2].customdata[3][3] == "64 bytes a code"


def test_a_click_gives_the_number_of_its_point() -> None:
    state = {"selection": {"points": [{"x": 1, "y": 0.75, "customdata": [2, "2", "70.0 to 80.0 %"]}]}}
    assert probing_charts.clicked(state) == 2
    assert probing_charts.clicked({"selection": {"points": [{"x": 1, "y": 2}]}}) is None
    assert probing_charts.clicked({"selection": {"points": []}}) is None
    assert probing_charts.clicked(None) is None
    assert probing_charts.clicked(SimpleNamespace()) is None


def test_a_bucket_is_written_with_all_its_bits() -> None:
    assert probing_charts.binary(5, 4) == "0101"
    assert probing_charts.binary(0, 0) == "–"


def test_the_band_of_fair_coins_is_two_sigma_wide_on_each_side() -> None:
    table = pd.DataFrame({"bit": [0, 1, 2], "ones": [0.5, 0.6, 0.9], "most_like": [1, 0, 1], "correlation": [0.2] * 3})
    figure = health_charts.bit_balance(table, items=400, key_bits=1)
    (band,) = figure.layout.shapes
    assert (band.y0, band.y1) == pytest.approx((0.45, 0.55))  # σ = 0.5 / √400 = 0.025
    assert list(named(figure, "bits of the bucket’s number").x) == [0]
    others = named(figure, "other bits")
    assert list(others.y) == [0.6, 0.9]
    assert others.customdata[0].tolist() == [0, 0.2]


def test_the_correlation_of_bits_is_drawn_around_zero_without_the_diagonal() -> None:
    (cells,) = health_charts.bit_correlation(np.array([[1, -0.34], [-0.34, 1]], np.float32)).data
    assert np.isnan(np.diag(cells.z)).all()
    assert cells.z[0, 1] == pytest.approx(-0.34)
    assert (cells.zmin, cells.zmax) == (-0.4, 0.4)  # the next tenth
    assert cells.colorscale[0][1] != cells.colorscale[-1][1]


def test_bits_that_never_change_have_no_correlation_and_no_error() -> None:
    (cells,) = health_charts.bit_correlation(np.full((2, 2), np.nan, np.float32)).data
    assert cells.zmax == 0.1


def test_foreign_labels_are_shown_letter_for_letter() -> None:
    pairs = pd.DataFrame({"label": ["<b>Bag</b>"], "neighbours_label": ["Coat"], "items": [3]})
    figure = health_charts.confusions(pairs)
    assert list(figure.layout.yaxis.ticktext) == ["&lt;b&gt;Bag&lt;/b&gt; → Coat"]
    assert list(figure.data[0].x) == [3]
