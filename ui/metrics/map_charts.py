"""The map of a collection as a plotly figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ui.shared.charts import ACCENT, PALETTE, SEQUENTIAL, as_text, styled

# six of the palette's and four of Paul Tol's "muted" colours that read on both grounds; grey is for all others
COLOURS = (*PALETTE[:6], "#AA4499", "#999933", "#44AA99", "#B5485D")
GREY = PALETTE[6]
OTHERS, UNLABELLED = "others", "no label"
HEIGHT = 600


def largest(labels: pd.Series, most: int = len(COLOURS)) -> list[str]:
    """The labels that get a colour of their own: at most `most`, the most frequent first."""
    counts = labels[labels != ""].value_counts()
    return sorted(counts.index, key=lambda name: (-counts[name], name))[:most]


def by_label(points: pd.DataFrame, named: list[str]) -> go.Figure:
    """Points coloured by label: id, label, x, y. The labels `named` get a colour and a line of the legend each."""
    label = points["label"]
    groups = [(OTHERS, GREY, ~label.isin([*named, ""])), (UNLABELLED, GREY, label == "")]
    groups += [(name, colour, label == name) for name, colour in zip(named, COLOURS, strict=False)]
    figure = go.Figure()
    for name, colour, which in groups:
        if which.any():
            figure.add_trace(_dots(points[which], as_text(name), {"color": colour}, len(points)))
    return _mapped(figure)


def by_suspicion(points: pd.DataFrame) -> go.Figure:
    """Points coloured by how likely their label is wrong: id, label, x, y, score (NaN where it was not judged)."""
    figure = go.Figure()
    judged = points[points["score"].notna()].sort_values("score", kind="stable")  # the suspicious ones lie on top
    rest = points[points["score"].isna()]
    if len(rest):
        figure.add_trace(_dots(rest, "not judged", {"color": GREY}, len(points)))
    bar = {
        "title": {"text": "chance that the label is wrong", "side": "top"}, "orientation": "h", "y": -0.01,
        "yanchor": "top", "x": 0, "xanchor": "left", "len": 0.6, "thickness": 10, "tickformat": ".0%",
    }  # fmt: skip
    marker = {
        "color": judged["score"], "colorscale": SEQUENTIAL, "cmin": 0, "cmax": 1, "colorbar": bar,
        "size": _size(len(points)) * (1 + judged["score"]), "line": {"width": 0},
    }  # fmt: skip
    figure.add_trace(_dots(judged, "judged", marker, len(points)))
    _mapped(figure)
    figure.update_layout(showlegend=False)
    return figure


def _dots(part: pd.DataFrame, name: str, marker: dict[str, object], of: int) -> go.Scattergl:
    words = [
        f"{as_text(label or UNLABELLED)}<br>picture {item}"
        for label, item in zip(part["label"], part["id"], strict=True)
    ]
    if "score" in part:
        words = [
            f"{text}<br>{score:.0%} likely wrong" if score == score else text
            for text, score in zip(words, part["score"], strict=True)
        ]
    return go.Scattergl(
        x=part["x"].to_numpy(np.float32),
        y=part["y"].to_numpy(np.float32),
        mode="markers",
        name=name,
        marker={"size": _size(of), "opacity": 0.75, **marker},
        selected={"marker": {"opacity": 1.0}},
        unselected={"marker": {"opacity": 0.12}},
        customdata=[[item] for item in part["id"].tolist()],
        hovertext=words,
        hoverinfo="text",
    )


def _size(of: int) -> int:
    """Width of a point in pixels, by the number of points."""
    return 7 if of < 2_000 else 5 if of < 8_000 else 4


def _mapped(figure: go.Figure) -> go.Figure:
    """The figure as a map: neither axis means anything by itself; a drag is a lasso."""
    styled(figure, HEIGHT)
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": ""}
    figure.update_xaxes(**hidden)
    figure.update_yaxes(**hidden)
    figure.update_layout(
        dragmode="lasso", hovermode="closest", margin={"t": 32},
        # below the map: plotly's tools are above it
        legend={"itemsizing": "constant", "itemwidth": 30, "y": -0.01, "yanchor": "top"},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": ACCENT},
    )  # fmt: skip
    return figure
