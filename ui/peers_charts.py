"""What our search is worth beside what else could be used: recall against speed, as a plotly figure."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from ui.charts import ACCENT, PALETTE, QUIET, as_text, styled

GOOD = 0.99  # the recall at which methods are compared
OURS = "Fashion-16"  # how the names of our own methods begin
LEAST_MISSED = 0.0005  # better points are drawn here
TICKS = (0.5, 0.2, 0.05, 0.01, 0.002, LEAST_MISSED)
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star")


def points_of(document: dict[str, Any], items: int) -> pd.DataFrame:
    """The points that docs/peers.json has of one size.

    Where a method searches one category, its recall is that within the category, and `everywhere` its recall
    against the exact neighbours among all items.

    Returns:
        A row a point: method, setting (in words), recall with its interval low to high and its n queries, everywhere,
        milliseconds and queries_per_second of one query at a time, batch_queries_per_second of 256 at once (NaN where
        the method has no such way), build_seconds, bytes.
    """
    rows = []
    for point in document["points"]:
        if point["items"] != items:
            continue
        recall = point["recall_in_category"] or point["recall"]
        rows.append(
            {
                "method": point["method"],
                "setting": point["words"],
                "recall": recall["value"],
                "low": recall["low"],
                "high": recall["high"],
                "n": recall["n"],
                "everywhere": point["recall"]["value"],
                "milliseconds": point["single"]["milliseconds"],
                "queries_per_second": 1000 / point["single"]["milliseconds"],
                "batch_queries_per_second": (point["batch"] or {}).get("queries_per_second", np.nan),
                "build_seconds": point["build_seconds"],
                "bytes": point["bytes"],
            }
        )
    columns = (
        "method setting recall low high n everywhere milliseconds queries_per_second batch_queries_per_second "
        "build_seconds bytes"
    )
    return pd.DataFrame(rows, columns=columns.split())


def fastest(points: pd.DataFrame, least: float = GOOD) -> pd.DataFrame:
    """Of each method the point that answers a single query soonest among those of enough recall, soonest first."""
    good = points[points["recall"] >= least].sort_values("milliseconds", kind="stable")
    return good.drop_duplicates("method").reset_index(drop=True)


def pareto(points: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which points (recall, queries_per_second) no other beats in one without losing in the other."""
    recall, speed = points["recall"].to_numpy(), points["queries_per_second"].to_numpy()
    better = (recall[None] >= recall[:, None]) & (speed[None] >= speed[:, None])
    better &= (recall[None] > recall[:, None]) | (speed[None] > speed[:, None])
    return ~better.any(axis=1)


def own_front(points: pd.DataFrame, method: str) -> pd.DataFrame:
    """The points of one method that none of its own beats, in order of recall."""
    its = points[points["method"] == method]
    return its[pareto(its)].sort_values(["recall", "queries_per_second"])


def missed(points: pd.DataFrame) -> npt.NDArray[np.float64]:
    """The share of true neighbours that each point misses, not below LEAST_MISSED: a logarithmic axis has no 0."""
    shares: npt.NDArray[np.float64] = np.maximum(1 - points["recall"].to_numpy(float), LEAST_MISSED)
    return shares


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
