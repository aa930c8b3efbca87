"""An evaluation's tables to plotly figures.

Every figure that a click opens pictures of carries in `customdata` what was clicked, as lists: of arrays the browser
makes objects.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from ui.shared.charts import ACCENT, PALETTE, QUIET, as_text, styled

# cells that hold a number are of one colour on both grounds, and their numbers dark
NONE, RIGHT = "rgba(138,138,138,0.07)", "#D6D3D5"
WRONG = ((0.0, "#FAEAF0"), (1.0, "#E77FA3"))
NUMBER = "#241B20"
WORDED = 14  # categories whose cells have room for a number


def confusion(counts: pd.DataFrame, shares: bool = False, of_label: npt.NDArray[np.int64] | None = None) -> go.Figure:
    """What was taken for what: the right ones in grey, mistakes the stronger the greater their share of the label.

    A click's `customdata` is the cell's row and column.

    Args:
        counts: a row a label and a column a predicted category.
        shares: write shares of the label's pictures into the cells instead of counts.
        of_label: (n,) pictures of each label, where `counts` is a part of a larger matrix.
    """
    values = counts.to_numpy()
    n = len(values)
    whole = values.sum(axis=1) if of_label is None else of_label
    part = values / np.maximum(whole, 1)[:, None]
    diagonal = np.eye(n, dtype=bool)
    seen = values > 0
    place = np.arange(n)
    shown = {"x": place, "y": place, "xgap": 1, "ygap": 1, "showscale": False, "hoverinfo": "skip"}
    figure = go.Figure()
    figure.add_heatmap(z=(seen & diagonal).astype(float), zmin=0, zmax=1, colorscale=[[0, NONE], [1, RIGHT]], **shown)
    wrong = np.where(seen & ~diagonal, part, np.nan)
    strongest = float(np.nanmax(wrong)) if (seen & ~diagonal).any() else 1.0
    figure.add_heatmap(z=wrong, zmin=0, zmax=strongest, colorscale=[list(stop) for stop in WRONG], **shown)
    # heat maps report no clicks: points above the cells do
    rows, columns = np.indices((n, n)).reshape(2, -1)
    names = [as_text(name) for name in counts.index]
    words = [f"{part[i, j]:.1%}" if shares else f"{values[i, j]:,}" for i, j in zip(rows, columns, strict=True)]
    figure.add_scatter(
        x=columns,
        y=rows,
        mode="markers+text" if n <= WORDED else "markers",
        text=[word if seen[i, j] else "" for word, i, j in zip(words, rows, columns, strict=True)],
        textfont={"size": 11, "color": NUMBER},
        marker={"size": max(6, min(26, 300 // n)), "symbol": "square", "opacity": 0},
        customdata=np.stack([rows, columns], axis=1).tolist(),
        hovertext=[
            f"{names[i]}, predicted {names[j]}<br>{values[i, j]:,} pictures, {part[i, j]:.1%} of {names[i]}"
            for i, j in zip(rows, columns, strict=True)
        ],
        hoverinfo="text",
        unselected={"marker": {"opacity": 0}, "textfont": {"color": NUMBER}},
        showlegend=False,
    )
    styled(figure, 90 + n * max(14, min(40, 800 // n)), "predicted", "label")
    # a tick for every name: plotly leaves some out where it finds them too close
    ticks = {"tickmode": "array", "tickvals": place, "ticktext": names, "showgrid": False, "zeroline": False}
    ends = [-0.5, n - 0.5]
    figure.update_xaxes(**ticks, range=ends, tickangle=-60, fixedrange=True)
    figure.update_yaxes(**ticks, range=ends[::-1], fixedrange=True)
    figure.update_layout(hovermode="closest", hoverdistance=-1)
    return figure


def dots(frame: pd.DataFrame, name: str, series: str, values: str = "", row: int = 34) -> go.Figure:
    """Shares as points with their intervals: a line a name, a colour a series, the first name on top.

    A click's `customdata` is the name and the series.

    Args:
        frame: columns `name` and `series`, value, low, high and n.
        values: the title of the axis.
        row: pixels a line.
    """
    names, kinds = list(dict.fromkeys(frame[name])), list(dict.fromkeys(frame[series]))
    place = {text: number for number, text in enumerate(names)}
    figure = go.Figure()
    for number, kind in enumerate(kinds):
        part = frame[frame[series] == kind]
        shift = 0.3 * (number - (len(kinds) - 1) / 2)
        figure.add_scatter(
            x=part["value"],
            y=part[name].map(place) + shift,
            mode="markers",
            name=as_text(str(kind)),
            marker={"color": PALETTE[number % len(PALETTE)], "size": 9, "symbol": ("circle", "diamond")[number % 2]},
            error_x=whiskers(part),
            customdata=part[[name, series]].to_numpy().tolist(),
            hovertext=[f"{as_text(str(a))}, {as_text(str(kind))}<br>" for a in part[name]] + _words(part),
            hoverinfo="text",
        )
    styled(figure, 80 + row * max(1, len(names)), values)
    figure.update_yaxes(
        tickmode="array", tickvals=list(place.values()), ticktext=[as_text(str(text)) for text in names],
        range=[len(names) - 0.5, -0.5], zeroline=False, fixedrange=True,
    )  # fmt: skip
    figure.update_xaxes(tickformat=".0%", fixedrange=True)
    return closest(figure)


def calibration(curve: pd.DataFrame) -> go.Figure:
    """Confidence against how often it was right; the dashed line is where both agree, larger points are more answers.

    A click's `customdata` is the row in the table.
    """
    figure = go.Figure()
    low = float(min(curve["confidence"].min(), curve["value"].min())) if len(curve) else 0.0
    ends = [max(0.0, low - 0.05), 1.0]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", name="as sure as right", line={"dash": "dash", "color": QUIET}, hoverinfo="skip"
    )
    biggest = max(1.0, float(curve["n"].max())) if len(curve) else 1.0
    figure.add_scatter(
        x=curve["confidence"],
        y=curve["value"],
        mode="lines+markers",
        name="measured",
        line={"color": ACCENT, "width": 2},
        marker={"size": 7 + 13 * np.sqrt(curve["n"] / biggest), "color": ACCENT},
        error_y=whiskers(curve),
        customdata=[[row] for row in range(len(curve))],
        hovertext=[f"{confidence:.1%} sure<br>" for confidence in curve["confidence"]] + _words(curve, "right"),
        hoverinfo="text",
    )
    styled(figure, 380, "how sure it was", "how often it was right")
    figure.update_xaxes(tickformat=".0%", fixedrange=True)
    figure.update_yaxes(tickformat=".0%", fixedrange=True)
    return closest(figure)


def curve(frame: pd.DataFrame, x: str, title: str, values: str, numeric: bool = False) -> go.Figure:
    """A share along steps that stand side by side, or along a logarithmic axis, with its interval."""
    named = frame[x].map(lambda value: f"{value:,}" if numeric else as_text(str(value)))
    extra = [
        f"<br>{candidates:,.0f} pictures compared" if candidates == candidates else ""
        for candidates in (frame["candidates"].astype(float) if "candidates" in frame else [np.nan] * len(frame))
    ]
    figure = go.Figure(
        go.Scatter(
            x=frame[x] if numeric else named,
            y=frame["value"],
            mode="lines+markers",
            line={"color": ACCENT, "width": 2},
            marker={"size": 8},
            error_y=whiskers(frame),
            hovertext=[f"{as_text(title)}: {a}<br>" for a in named] + _words(frame) + np.array(extra, object),
            hoverinfo="text",
        )
    )
    styled(figure, 300, title, values)
    if numeric:
        figure.update_xaxes(type="log", tickmode="array", tickvals=list(frame[x]), ticktext=list(named))
    else:
        figure.update_xaxes(type="category")
    figure.update_xaxes(fixedrange=True)
    figure.update_yaxes(tickformat=".0%", fixedrange=True)
    return closest(figure)


def speed(steps: pd.DataFrame) -> go.Figure:
    """Milliseconds of each step: half of all searches are faster than the bar, 95 of 100 than its whisker."""
    over = (steps["p95_ms"] - steps["median_ms"]).clip(lower=0).fillna(0)
    figure = go.Figure(
        go.Bar(
            x=steps["median_ms"],
            y=[as_text(step) for step in steps["step"]],
            orientation="h",
            marker_color=PALETTE[0],
            error_x={"type": "data", "array": over, "arrayminus": [0] * len(steps), "color": QUIET, "thickness": 2},
            hovertext=[
                f"{as_text(step)}<br>half within {median:,.1f} ms"
                + (f", 95 % within {p95:,.1f} ms" if p95 == p95 else "")
                for step, median, p95 in zip(steps["step"], steps["median_ms"], steps["p95_ms"], strict=True)
            ],
            hoverinfo="text",
        )
    )
    styled(figure, 70 + 40 * len(steps), "milliseconds")
    figure.update_yaxes(autorange="reversed", fixedrange=True)
    figure.update_xaxes(fixedrange=True)
    return closest(figure)


def closest(figure: go.Figure) -> go.Figure:
    """The figure, whose points answer a finger that misses them a little."""
    figure.update_layout(hovermode="closest", hoverdistance=30)
    return figure


def whiskers(frame: pd.DataFrame) -> dict[str, object]:
    up, down = (frame["high"] - frame["value"]).fillna(0), (frame["value"] - frame["low"]).fillna(0)
    return {
        "type": "data", "array": up.clip(lower=0), "arrayminus": down.clip(lower=0), "thickness": 1.5, "width": 3,
        "symmetric": False,
    }  # fmt: skip


def _words(frame: pd.DataFrame, what: str = "") -> npt.NDArray[np.object_]:
    """Each figure with its interval and sample."""
    return np.array([sentence(*figure, what) for figure in _figures(frame)], object)


def _figures(frame: pd.DataFrame) -> Sequence[tuple[float, float, float, float]]:
    return list(frame[["value", "low", "high", "n"]].astype(float).itertuples(index=False, name=None))


def sentence(value: float, low: float, high: float, n: float, what: str = "") -> str:
    """One share in words, with its interval and sample where it has them."""
    words = f"{value:.1%}" + (f" {what}" if what else "")
    if low == low and high == high:
        words += f", likely {low:.1%} to {high:.1%}"
    return words + (f"<br>{n:,.0f} pictures" if n == n else "")
