"""Training histories to plotly figures: plain tables in, a chart for each figure out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from fashion16.training.runs import smoothed
from ui.shared import charts

TRAINING, VALIDATION = "training", "validation"
EPOCHS, MINUTES = "Epochs", "Minutes"
COLUMN_OF = {EPOCHS: "epoch", MINUTES: "minutes"}
LEARNING_RATE = "learning_rate"
FIRST = ("loss", "accuracy", LEARNING_RATE)  # what every run has, as the paper's figure 4 shows it
COLUMNS = ["run", "figure", "part", "epoch", "minutes", "value", "smoothed"]
HEIGHT, LOW = 300, 200
MOST = 5_000  # points of a chart: more cannot be distinguished, and make a browser slow
FEW = 40  # points of a line that are marked one by one
NO_FIGURES = ("epoch", "seconds")
KINDS = {"small": "small pictures"}  # the encoder learns from these and from photos


def tidy(histories: Mapping[str, pd.DataFrame], weight: float = 0.0) -> pd.DataFrame:
    """The histories of runs, by their names, as one table.

    Args:
        histories: tables with a row an epoch, as `Run.history` gives them; `epoch` is the number of epochs behind
            the row less one, and not whole while the epoch is under way.
        weight: of the smoothing, from 0, none, to below 1; see `fashion16.training.runs.smoothed`.

    Returns:
        A row for each run, figure, part (training or validation) and epoch: run, figure, part, epoch (from 1), minutes
        (of computing since the run began), value, and smoothed. The learning rate is set, and not smoothed.
    """
    parts = []
    for run, history in histories.items():
        if history.empty:
            continue
        seconds = history["seconds"] if "seconds" in history else pd.Series(math.nan, history.index)
        frame = pd.DataFrame({"run": run, "epoch": history["epoch"] + 1.0, "minutes": seconds.cumsum() / 60})
        for column in history.columns.difference(NO_FIGURES, sort=False):
            figure = column.removeprefix("val_")
            part = TRAINING if figure == column else VALIDATION
            line = frame.assign(figure=figure, part=part, value=history[column].astype(float))
            line = line.dropna(subset="value")
            steady = weight == 0 or figure == LEARNING_RATE
            line["smoothed"] = line["value"] if steady else smoothed(line["value"].to_numpy(), weight)
            parts.append(line[COLUMNS])
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def figures_of(histories: Sequence[pd.DataFrame]) -> list[str]:
    """The figures that these histories have, those that every run has first."""
    found = {column.removeprefix("val_") for history in histories for column in history.columns} - {*NO_FIGURES}
    return [*FIRST, *sorted(found - {*FIRST})]


def words(figure: str) -> str:
    """A figure's name as it is shown: photos_accuracy is “Accuracy of photos”."""
    kind, _, figure_name = figure.rpartition("_")
    if kind and figure_name in ("loss", "accuracy"):
        return f"{figure_name.capitalize()} of {KINDS.get(kind, kind.replace('_', ' '))}"
    return figure.replace("_", " ").capitalize()


def colours(runs: Sequence[str]) -> dict[str, str]:
    """A colour for each run; the eighth has the first one's again."""
    return {run: charts.PALETTE[number % len(charts.PALETTE)] for number, run in enumerate(runs)}


def curve(
    table: pd.DataFrame,
    figure: str,
    colour_of: Mapping[str, str],
    axis: str = EPOCHS,
    log: bool = False,
    best: Mapping[str, int] | None = None,
    height: int = HEIGHT,
) -> go.Figure:
    """One figure of all runs: validation solid, training dashed and lighter, the raw line faint behind a smoothed one.

    Args:
        table: of `tidy`.
        axis: EPOCHS or MINUTES.
        log: a logarithmic scale, for what falls by factors: loss and learning rate.
        best: each run's best epoch, from 1, marked with a star on its validation line.
    """
    rows = table[table["figure"] == figure]
    if log:  # what has fallen to 0 has no place on this scale
        rows = rows[(rows["value"] > 0) & (rows["smoothed"] > 0)]
    along = COLUMN_OF[axis]
    fraction = "accuracy" in figure
    number = ".2%" if fraction else ".4g"
    chart = go.Figure()
    lines = [(str(run), str(part), line) for (run, part), line in rows.groupby(["run", "part"], sort=False)]
    stars = []
    for run, part, line in lines:
        shown = _thinned(line, max(100, MOST // (2 * len(lines))))
        colour = colour_of[run]
        if (shown["value"] != shown["smoothed"]).any():
            chart.add_scatter(
                x=shown[along], y=shown["value"], mode="lines", line={"color": colour, "width": 1.5},
                opacity=0.4, hoverinfo="skip", name=f"{run}, {part}, raw",
            )  # fmt: skip
        chart.add_scatter(
            x=shown[along],
            y=shown["smoothed"],
            mode="lines+markers" if len(shown) <= FEW else "lines",
            line={"color": colour, "width": 2.5 if part == VALIDATION else 1.8, "dash": _dash(figure, part)},
            marker={"size": 4},
            opacity=1.0 if part == VALIDATION or figure == LEARNING_RATE else 0.75,
            name=f"{run}, {part}",
            customdata=shown[["epoch", "minutes", "value", "smoothed"]],
            hovertemplate=_hover(run, part, figure, number),
        )
        at_best = line[line["epoch"] == (best or {}).get(run)]
        if part == VALIDATION and len(at_best):
            stars.append((run, colour, at_best.iloc[0]))
    for run, colour, row in stars:  # above all lines
        chart.add_scatter(
            x=[row[along]],
            y=[row["value"]],
            mode="markers",
            marker={"symbol": "star", "size": 15, "color": colour, "line": {"color": "white", "width": 1}},
            name=f"{run}, best epoch",
            hovertemplate=f"<b>{charts.as_text(run)}</b><br>best epoch: {row['epoch']:.0f}<br>"
            f"{words(figure)} %{{y:{number}}}<extra></extra>",
        )
    charts.styled(chart, height, x=axis)
    chart.update_layout(showlegend=False, hovermode="closest", hoverdistance=30, margin_t=8)
    chart.update_xaxes(**_ticks(rows, axis))
    chart.update_yaxes(tickformat="~%" if fraction else "~g")
    if log:
        decades = math.log10(rows["value"].max() / rows["value"].min()) if len(rows) else 0
        # 1, 2 and 5 of each power of ten, or the powers alone
        chart.update_yaxes(type="log", dtick="D2" if decades < 2 else 1)
    return chart


def _dash(figure: str, part: str) -> str:
    return "dash" if part == TRAINING and figure != LEARNING_RATE else "solid"


def _hover(run: str, part: str, figure: str, number: str) -> str:
    first = f"<b>{charts.as_text(run)}</b><br>epoch %{{customdata[0]:~g}} · %{{customdata[1]:.1f}} min<br>"
    if figure == LEARNING_RATE:
        return f"{first}learning rate %{{customdata[2]:.3g}}<extra></extra>"
    return (
        f"{first}{part}: raw %{{customdata[2]:{number}}}<br>{part}: smoothed %{{customdata[3]:{number}}}<extra></extra>"
    )


def _ticks(rows: pd.DataFrame, axis: str) -> dict[str, object]:
    """Ticks of the horizontal axis: epochs are whole numbers."""
    if axis == MINUTES or rows.empty:
        return {"rangemode": "tozero", "tickformat": "~g"}
    return {"tick0": 0, "dtick": max(1, math.ceil(rows["epoch"].max() / 10)), "tickformat": "d"}


def _thinned(line: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` rows at even steps, and the last one."""
    step = math.ceil(len(line) / most)
    if step == 1:
        return line
    return line[[(len(line) - 1 - row) % step == 0 for row in range(len(line))]]
