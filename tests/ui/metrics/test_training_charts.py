"""Training histories as tables and charts, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from tests.training_runs import HISTORY
from ui.metrics import training_charts
from ui.metrics.training_charts import COLUMNS, EPOCHS, MINUTES, TRAINING, VALIDATION
from ui.shared import charts


def rows(table: pd.DataFrame, figure: str, part: str, run: str = "one") -> pd.DataFrame:
    return table[(table["run"] == run) & (table["figure"] == figure) & (table["part"] == part)]


def trace(chart: go.Figure, name: str) -> go.Scatter:
    (found,) = (one for one in chart.data if one.name == name)
    return found


def test_epochs_count_from_one_and_minutes_add_up() -> None:
    line = rows(training_charts.tidy({"one": HISTORY}), "loss", TRAINING)
    assert line.columns.tolist() == COLUMNS
    assert line["epoch"].tolist() == [1, 2, 3]
    assert line["minutes"].tolist() == [1.0, 1.5, 3.0]
    assert line["value"].tolist() == line["smoothed"].tolist() == [2.0, 1.0, 0.5]


def test_smoothing_is_a_debiased_moving_average_and_leaves_the_raw_values() -> None:
    line = rows(training_charts.tidy({"one": HISTORY}, 0.5), "loss", VALIDATION)
    assert line["value"].tolist() == [2.5, 1.5, 1.75]
    # each value counts half as much as the one after it
    by_hand = [2.5, (0.5 * 2.5 + 1.5) / 1.5, (0.25 * 2.5 + 0.5 * 1.5 + 1.75) / 1.75]
    np.testing.assert_allclose(line["smoothed"], by_hand, rtol=1e-12)


def test_the_learning_rate_is_set_and_not_smoothed() -> None:
    line = rows(training_charts.tidy({"one": HISTORY}, 0.9), "learning_rate", TRAINING)
    assert line["smoothed"].tolist() == [0.001, 0.0005, 0.0]


def test_runs_of_different_figures_and_gaps_stand_in_one_table() -> None:
    other = pd.DataFrame({"epoch": [0, 1], "loss": [1.0, math.nan], "val_photos_accuracy": [0.1, 0.2]})
    table = training_charts.tidy({"one": HISTORY, "other": other, "empty": HISTORY[:0]})
    assert table["run"].unique().tolist() == ["one", "other"]
    assert rows(table, "loss", TRAINING, "other")["epoch"].tolist() == [1]
    assert rows(table, "photos_accuracy", VALIDATION, "other")["value"].tolist() == [0.1, 0.2]
    assert table["minutes"][table["run"] == "other"].isna().all()
    assert training_charts.figures_of([HISTORY, other]) == ["loss", "accuracy", "learning_rate", "photos_accuracy"]


def test_an_epoch_under_way_stands_where_it_is() -> None:
    so_far = pd.concat([HISTORY, pd.DataFrame([{"epoch": 2.25, "loss": 0.4, "seconds": 15.0}])])
    line = rows(training_charts.tidy({"one": so_far}), "loss", TRAINING)
    assert line["epoch"].tolist() == [1, 2, 3, 3.25]
    assert line["minutes"].tolist() == [1.0, 1.5, 3.0, 3.25]


def test_nothing_is_an_empty_table_with_the_same_columns() -> None:
    table = training_charts.tidy({"one": HISTORY[:0]}, 0.5)
    assert table.columns.tolist() == COLUMNS
    assert table.empty


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        ("loss", "Loss"),
        ("learning_rate", "Learning rate"),
        ("photos_accuracy", "Accuracy of photos"),
        ("small_loss", "Loss of small pictures"),
    ],
)
def test_figures_have_names_for_people(figure: str, words: str) -> None:
    assert training_charts.words(figure) == words


def test_a_run_has_one_colour_and_the_eighth_begins_anew() -> None:
    found = training_charts.colours([str(number) for number in range(8)])
    assert len(set(found.values())) == len(charts.PALETTE) == 7
    assert found["7"] == found["0"] == charts.PALETTE[0]


def test_validation_is_solid_training_dashed_and_the_raw_line_stays_behind_a_smoothed_one() -> None:
    table = training_charts.tidy({"one": HISTORY}, 0.5)
    chart = training_charts.curve(table, "loss", {"one": "#123456"})
    assert [line.name for line in chart.data] == [
        "one, training, raw", "one, training", "one, validation, raw", "one, validation",
    ]  # fmt: skip
    assert {line.line.color for line in chart.data} == {"#123456"}
    validation, training, raw = (trace(chart, f"one, {part}") for part in ("validation", "training", "training, raw"))
    assert (validation.line.dash, training.line.dash) == ("solid", "dash")
    assert raw.opacity < training.opacity < validation.opacity == 1
    assert list(raw.y) == [2.0, 1.0, 0.5]
    assert list(training.y) == pytest.approx([2.0, 2 / 1.5, (0.5 + 0.5 + 0.5) / 1.75])
    # what the hover shows: epoch, minutes, raw, smoothed
    assert training.customdata[1].tolist() == pytest.approx([2, 1.5, 1.0, 2 / 1.5])
    assert "raw %{customdata[2]" in training.hovertemplate
    assert "smoothed %{customdata[3]" in training.hovertemplate


def test_without_smoothing_there_is_no_second_line() -> None:
    chart = training_charts.curve(training_charts.tidy({"one": HISTORY}), "loss", {"one": "#123456"})
    assert [line.name for line in chart.data] == ["one, training", "one, validation"]


@pytest.mark.parametrize(("axis", "at"), [(EPOCHS, 2), (MINUTES, 1.5)])
def test_the_best_epoch_is_marked_at_its_raw_value(axis: str, at: float) -> None:
    table = training_charts.tidy({"one": HISTORY}, 0.9)
    chart = training_charts.curve(table, "accuracy", {"one": "#123456"}, axis, best={"one": 2})
    star = trace(chart, "one, best epoch")
    assert (list(star.x), list(star.y)) == ([at], [0.8])
    assert "best epoch: 2" in star.hovertemplate
    assert chart.layout.xaxis.title.text == axis
    assert chart.data[-1] is star  # above all lines


def test_the_learning_rate_has_no_best_epoch_and_is_solid() -> None:
    table = training_charts.tidy({"one": HISTORY})
    (line,) = training_charts.curve(table, "learning_rate", {"one": "#123456"}, best={"one": 2}).data
    assert line.line.dash == "solid"


def test_the_scale_is_logarithmic_where_it_is_asked_for() -> None:
    table = training_charts.tidy({"one": HISTORY})
    chart = training_charts.curve(table, "loss", {"one": "#123456"}, log=True)
    assert (chart.layout.yaxis.type, chart.layout.yaxis.dtick) == ("log", "D2")
    assert training_charts.curve(table, "loss", {"one": "#123456"}).layout.yaxis.type != "log"
    wide = training_charts.tidy({"one": HISTORY.assign(loss=[100.0, 10.0, 0.1])})
    assert training_charts.curve(wide, "loss", {"one": "#123456"}, log=True).layout.yaxis.dtick == 1


def test_what_has_fallen_to_zero_has_no_place_on_a_logarithmic_scale() -> None:
    table = training_charts.tidy({"one": HISTORY})
    for log, there in ((True, [0.001, 0.0005]), (False, [0.001, 0.0005, 0.0])):
        (line,) = training_charts.curve(table, "learning_rate", {"one": "#123456"}, log=log).data
        assert list(line.y) == there


def test_epochs_are_whole_numbers_on_the_axis() -> None:
    many = pd.DataFrame({"epoch": range(95), "loss": 1.0})
    for history, step in ((HISTORY, 1), (many, 10)):
        chart = training_charts.curve(training_charts.tidy({"one": history}), "loss", {"one": "#123456"})
        assert chart.layout.xaxis.dtick == step


def test_a_long_history_is_thinned_and_keeps_its_last_epoch() -> None:
    n = 20_000
    long = pd.DataFrame({"epoch": range(n), "loss": np.linspace(2, 1, n), "val_loss": np.linspace(3, 2, n)})
    chart = training_charts.curve(training_charts.tidy({"one": long}, 0.5), "loss", {"one": "#123456"})
    assert 2_000 < sum(len(line.x) for line in chart.data) <= 5_000
    assert {line.x[-1] for line in chart.data} == {n}


def test_a_name_is_shown_letter_for_letter() -> None:
    table = training_charts.tidy({"<b>x": HISTORY})
    chart = training_charts.curve(table, "loss", {"<b>x": "#123456"}, best={"<b>x": 1})
    assert all("&lt;b&gt;x" in line.hovertemplate for line in chart.data)
