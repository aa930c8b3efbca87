"""What our search is worth beside what else could be used: recall against speed, as a plotly figure."""

from __future__ import annotations

import html
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from fashion16.evaluation.peers import LEAST_MISSED, OURS, missed, own_front, pareto
from ui.shared.charts import ACCENT, PALETTE, QUIET, as_text, styled

TICKS = (0.5, 0.2, 0.05, 0.01, 0.002, LEAST_MISSED)
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star")


def recall_speed(points: pd.DataFrame) -> go.Figure:
    """Recall against queries a second, a line a method, ours thick; the dotted line is the best there is.

    Only the settings are drawn that no other of the same method beats. Recall stands on a logarithmic axis of what is
    missed, else all that matters would lie in its last tenth.

    Args:
        points: columns method, setting, recall, low, high, n and queries_per_second, as `points_of` gives them.
    """
    figure = go.Figure()
    front = points[pareto(points)].sort_values("recall") if len(points) else points
    figure.add_scatter(
        x=missed(front),
        y=front["queries_per_second"],
        mode="lines",
        name="best there is",
        line={"color": QUIET, "width": 2, "dash": "dot"},
        hoverinfo="skip",
    )
    names = list(dict.fromkeys(points["method"]))
    peers = [name for name in names if not name.startswith(OURS)]
    ours = [name for name in names if name.startswith(OURS)]
    for name in names:
        part = own_front(points, name)
        mine = name in ours
        number = ours.index(name) if mine else peers.index(name)
        figure.add_scatter(
            x=missed(part),
            y=part["queries_per_second"],
            mode="lines+markers",
            name=html.escape(name.removeprefix("faiss ")),
            line={
                "color": ACCENT if mine else PALETTE[number % len(PALETTE)],
                "width": 3 if mine else 1.5,
                "dash": "dash" if mine and number else "solid",
            },
            marker={"size": 9 if mine else 7, "symbol": SYMBOLS[number % len(SYMBOLS)]},
            hovertext=[_words(row) for row in part.to_dict("records")],
            hoverinfo="text",
        )
    styled(figure, 640, "recall@20", "queries a second, one at a time")
    figure.update_layout(legend={"y": -0.15, "yanchor": "top", "maxheight": 1.0}, hovermode="closest", hoverdistance=30)
    figure.update_yaxes(type="log", dtick=1, fixedrange=True)
    figure.update_xaxes(
        type="log", autorange="reversed", fixedrange=True, tickmode="array", tickvals=list(TICKS), tickangle=0,
        ticktext=[tick_of(share) for share in TICKS],
    )  # fmt: skip
    return figure


def tick_of(missing: float) -> str:
    """The recall at which this share of neighbours is missing, in words; the last one stands for all above it."""
    return "100 %" if missing <= LEAST_MISSED else f"{1 - missing:.4%}".rstrip("0%").rstrip(".") + " %"


def _words(row: dict[Any, Any]) -> str:
    return (
        f"{as_text(row['method'])}<br>{as_text(row['setting'])}<br>"
        f"recall {row['recall']:.1%}, likely {row['low']:.1%} to {row['high']:.1%} ({row['n']:,} queries)<br>"
        f"{row['queries_per_second']:,.0f} queries a second"
    )
