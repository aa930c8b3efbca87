"""The paper's figures and ours as plotly figures."""

from __future__ import annotations

import html

import pandas as pd
import plotly.graph_objects as go

from ui.metrics.quality_charts import closest, whiskers
from ui.shared.charts import ACCENT, PALETTE, QUIET, as_text, styled

OURS, PAPER = "ours", "the paper"
GAP = "\u2002"  # room for an interval's end before the figure


def beside(frame: pd.DataFrame, shares: bool) -> go.Figure:
    """The paper's figures and ours as pairs of bars: what, paper, ours, low, high. Where there is none, it says so."""
    names = [as_text(what.replace(" pictures", "")) for what in frame["what"]]
    figure = go.Figure()
    for name, column, colour in ((PAPER, "paper", QUIET), (OURS, "ours", ACCENT)):
        known = frame[column].notna()
        words = [amount(value, shares) if there else "not measured yet" if name == OURS else "not known here"
                 for value, there in zip(frame[column], known, strict=True)]  # fmt: skip
        figure.add_bar(
            x=frame[column].fillna(0),
            y=names,
            orientation="h",
            name=name,
            marker_color=colour,
            error_x=whiskers(frame.rename(columns={"ours": "value"})) if column == "ours" else None,
            text=[GAP + word for word in words],
            textposition="outside",
            textfont={"size": 12},
            cliponaxis=False,
            hovertext=[f"{what}<br>{name}: {word}" for what, word in zip(names, words, strict=True)],
            hoverinfo="text",
        )
    longest = float(frame[["paper", "ours"]].max(axis=None)) if frame[["paper", "ours"]].notna().any(axis=None) else 1.0
    styled(figure, 110 + 62 * len(frame), "" if shares else "seconds")
    figure.update_yaxes(autorange="reversed", fixedrange=True)
    figure.update_xaxes(tickformat=".0%" if shares else None, range=[0, 1.3 * longest], nticks=5, fixedrange=True)
    figure.update_layout(barmode="group", bargap=0.3)
    return closest(figure)


def by_size(paper: pd.DataFrame, ours: pd.DataFrame) -> go.Figure:
    """Retrieval precision against the number of pictures searched: items, value, and for ours its interval."""
    figure = go.Figure()
    for name, frame, colour, dash in ((PAPER, paper, PALETTE[6], "dot"), (OURS, ours, ACCENT, "solid")):
        if frame.empty:
            continue
        spread = {} if name == PAPER else {"error_y": whiskers(frame)}
        words = [
            f"{name}, {n:,} pictures<br>{value:.2%}" for n, value in zip(frame["items"], frame["value"], strict=True)
        ]
        _line(figure, name, frame["items"], frame["value"], colour, dash, words, **spread)
    styled(figure, 300, "pictures searched", "precision")
    figure.update_yaxes(tickformat=".1%", fixedrange=True)
    figure.update_xaxes(fixedrange=True, tickformat=",", rangemode="tozero")
    return closest(figure)


def by_items(searches: pd.DataFrame) -> go.Figure:
    """Milliseconds of a search against the number of items: items, way, seconds, recall."""
    figure = go.Figure()
    ways = (("in_category", "in the category", ACCENT, "solid"), ("direct", "directly", PALETTE[6], "dash"))
    for way, name, colour, dash in ways:
        frame = searches[searches["way"] == way].sort_values("items")
        words = [
            f"{name}, {row['items']:,} pictures<br>{1000 * row['seconds']:.2f} ms, recall {row['recall']:.1%}"
            for row in frame.to_dict("records")
        ]
        _line(figure, name, frame["items"], 1000 * frame["seconds"], colour, dash, words)
    styled(figure, 320, "pictures searched", "ms a search")
    sizes = sorted(set(searches["items"]))
    figure.update_xaxes(
        type="log", fixedrange=True, tickmode="array", tickvals=sizes, ticktext=[f"{n:,}" for n in sizes]
    )
    figure.update_yaxes(type="log", fixedrange=True, tickvals=[0.2, 0.5, 1, 2, 5, 10, 20, 50])
    return closest(figure)


def features(frame: pd.DataFrame) -> go.Figure:
    """The share classified correctly with each kind of features, the best on top: name, value, low, high, n."""
    frame = frame.sort_values("value")
    figure = go.Figure(
        go.Bar(
            x=frame["value"],
            y=["<br>".join(map(html.escape, name.split(", ", 1))) for name in frame["name"]],
            orientation="h",
            marker_color=[ACCENT if name.startswith("Fashion-16") else QUIET for name in frame["name"]],
            error_x=whiskers(frame),
            text=[f"{GAP}{value:.1%}" for value in frame["value"]],
            textposition="outside",
            cliponaxis=False,
            hovertext=[
                f"{as_text(row['name'])}<br>{row['low']:.1%} to {row['high']:.1%}, {row['n']:,.0f} pictures"
                for row in frame.to_dict("records")
            ],
            hoverinfo="text",
        )
    )
    styled(figure, 70 + 38 * len(frame), "")
    figure.update_xaxes(tickformat=".0%", range=[0, 1.15], nticks=5, fixedrange=True)
    figure.update_yaxes(fixedrange=True)
    return closest(figure)


def amount(value: float, share: bool) -> str:
    """A figure with its unit, to as many digits as are read."""
    if share:
        return f"{value:.2%}"
    return f"{value:,.0f} s" if value >= 100 else f"{value:.5g} s" if value >= 0.1 else f"{1000 * value:.3g} ms"


def _line(
    figure: go.Figure, name: str, x: pd.Series, y: pd.Series, colour: str, dash: str, words: list[str], **more: object
) -> None:
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines+markers",
        name=name,
        line={"color": colour, "dash": dash, "width": 2},
        marker={"size": 9},
        hovertext=words,
        hoverinfo="text",
        **more,
    )
