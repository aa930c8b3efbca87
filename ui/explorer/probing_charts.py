"""One query's code, its probes, and recall against its cost, as plotly figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fashion16.types import Floats
from ui.shared.charts import ACCENT, PALETTE, QUIET, styled

ZERO, ONE = PALETTE[0], PALETTE[1]
# From a sure 0 over what the page's own ground shows through to a sure 1: it works on both themes' grounds.
DIVERGING = ((0.0, "rgba(0,114,178,1)"), (0.5, "rgba(128,128,128,0.10)"), (1.0, "rgba(213,94,0,1)"))
ACROSS = 64  # bits in a row of the strip
SHOWN_PROBES = 40  # bars that a phone's width still tells apart
MOST_POINTS = 300
# what a point costs, whatever the computer; how many milliseconds that was on this one stands beside it
COSTS = {"candidates": "items compared", "bytes": "bytes a code"}
TICKS = 11  # on an axis of a phone's width
# what is chosen is drawn by ourselves: plotly would fade everything else
UNFADED = {"selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 1}}}


def bit_strip(bits: np.ndarray, margins: Floats, key_bits: int) -> go.Figure:
    """A code as rows of 64 cells, the first bit top left: colour for the bit, its strength for the distance.

    Args:
        bits: (n_bits,) bool.
        margins: (n_bits,) signed distance to each hyperplane.
        key_bits: how many first bits are framed.
    """
    n = len(bits)
    across = min(ACROSS, n)
    rows = -(-n // across)
    padded = np.full(rows * across, np.nan, np.float32)
    padded[:n] = margins
    number = np.arange(rows * across).reshape(rows, across)
    written = np.array([f"{int(bit)}" for bit in bits] + [""] * (rows * across - n)).reshape(rows, across)
    # half of the bits are sure enough for the full colour; the largest distance of all would leave the others pale
    strong = max(float(np.median(np.abs(margins))) * 2, 1e-6)
    figure = go.Figure(
        go.Heatmap(
            z=padded.reshape(rows, across), zmin=-strong, zmax=strong, colorscale=DIVERGING, showscale=False,
            xgap=1, ygap=2, customdata=np.dstack([number, written]),
            hovertemplate="bit %{customdata[0]}: <b>%{customdata[1]}</b><br>"
            "distance to its hyperplane %{z:+.3f}<extra></extra>",
        )
    )  # fmt: skip
    for first in range(0, key_bits, across):
        last = min(key_bits, first + across) - first
        row = first // across
        figure.add_shape(
            type="rect", x0=-0.5, x1=last - 0.5, y0=row - 0.5, y1=row + 0.5, line={"color": ACCENT, "width": 3}
        )
    styled(figure, 22 * rows + 34)
    figure.update_layout(margin={"t": 6})
    figure.update_xaxes(
        tickvals=list(range(0, across, 8)), fixedrange=True, showgrid=False, zeroline=False, range=[-0.6, across - 0.4]
    )
    figure.update_yaxes(
        tickvals=list(range(rows)), ticktext=[str(row * across) for row in range(rows)], fixedrange=True,
        showgrid=False, zeroline=False, range=[rows - 0.4, -0.6],
    )  # fmt: skip
    return figure


def key_margins(margins: Floats) -> go.Figure:
    """A bar for each bit of a bucket's name: up for 1, down for 0; the shortest bars are flipped first."""
    margins = np.asarray(margins, float)
    turn = np.argsort(np.argsort(np.abs(margins), kind="stable"), kind="stable") + 1
    figure = go.Figure(
        go.Bar(
            x=np.arange(len(margins)), y=margins, customdata=np.stack([margins > 0, turn], axis=1).astype(int),
            marker_color=[ONE if margin > 0 else ZERO for margin in margins],
            text=[str(int(margin > 0)) for margin in margins], textposition="outside", cliponaxis=False,
            hovertemplate="bit %{x}: <b>%{customdata[0]}</b><br>distance to its hyperplane %{y:+.3f}<br>"
            "unsure no. %{customdata[1]} of the bucket’s bits<extra></extra>",
        )
    )  # fmt: skip
    styled(figure, 200, x="bit of the bucket’s number", y="distance")
    figure.update_layout(bargap=0.3, margin={"t": 16})
    figure.update_xaxes(tickvals=list(range(len(margins))), fixedrange=True)
    figure.update_yaxes(fixedrange=True, zeroline=True)
    return figure


def probe_gains(probes: pd.DataFrame, key_bits: int, chosen: int | None = None) -> go.Figure:
    """The first buckets in the order in which they are probed: true neighbours in each, and its distance.

    Args:
        probes: order, bucket, distance, items, true, found (share).
        chosen: the order of the probe that is marked.
    """
    rows = probes.head(SHOWN_PROBES)
    data = _data(rows, key_bits)
    words = (
        "probe %{customdata[0]}: bucket %{customdata[1]}<br>%{customdata[2]} items, <b>%{customdata[3]}</b> true "
        "neighbours<br>squared distance %{customdata[4]}<br>found so far %{customdata[5]}<extra></extra>"
    )
    colors = [ACCENT if order == chosen else PALETTE[0] for order in rows["order"]]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.62, 0.38], vertical_spacing=0.08)
    figure.add_trace(
        go.Bar(x=rows["order"], y=rows["true"], customdata=data, marker_color=colors, hovertemplate=words, **UNFADED),
        row=1, col=1,
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=rows["order"], y=rows["distance"], customdata=data, mode="lines+markers", hovertemplate=words,
            line={"color": QUIET, "width": 2}, marker={"color": colors, "size": 6}, **UNFADED,
        ),
        row=2, col=1,
    )  # fmt: skip
    styled(figure, 320)
    figure.update_layout(showlegend=False, hovermode="closest", clickmode="event+select", margin={"t": 8})
    figure.update_xaxes(fixedrange=True, showgrid=False, zeroline=False, range=[0.4, len(rows) + 0.6])
    figure.update_xaxes(title_text="probe", row=2, col=1)
    figure.update_yaxes(fixedrange=True, rangemode="tozero")
    figure.update_yaxes(title_text="true neighbours", row=1, col=1)
    figure.update_yaxes(title_text="distance", row=2, col=1)
    return figure


def found_so_far(probes: pd.DataFrame, key_bits: int, k: int, chosen: int | None = None) -> go.Figure:
    """The share of the true neighbours found against the items compared, probe by probe, beside random buckets.

    Args:
        probes: order, bucket, distance, items, candidates (so far), true, found (share so far).
        chosen: the order of the probe that is marked.
    """
    rows = thinned(probes)
    items = int(probes["candidates"].iloc[-1])
    found = rows["found"].to_numpy(float)
    figure = go.Figure(
        [
            go.Scatter(
                x=[0, items], y=[0, 1], mode="lines", name="buckets in random order", hoverinfo="skip",
                line={"color": QUIET, "dash": "dash", "width": 2},
            ),
            go.Scatter(
                x=rows["candidates"], y=found, customdata=_data(rows, key_bits), name="nearest buckets first",
                mode="lines+markers", line={"color": PALETTE[0], "width": 2, "shape": "hv"},
                marker={"size": np.where(rows["true"] > 0, 8, 4), "color": PALETTE[0], "opacity": 1}, **UNFADED,
                hovertemplate="probe %{customdata[0]}: bucket %{customdata[1]}<br>%{x:,} items compared<br>"
                f"<b>%{{y:.0%}}</b> of {k} found<extra></extra>",
            ),
        ]
    )  # fmt: skip
    if chosen is not None and len(row := probes[probes["order"] == chosen]):
        figure.add_trace(_ring(row["candidates"].iloc[0], row["found"].iloc[0]))
    styled(figure, 320, x="items compared", y="true neighbours found")
    figure.update_layout(hovermode="closest", clickmode="event+select")
    figure.update_xaxes(fixedrange=True, rangemode="tozero")
    figure.update_yaxes(fixedrange=True, range=[0, 1.04], tickformat=".0%")
    return figure


def thinned(probes: pd.DataFrame) -> pd.DataFrame:
    """At most about 300 rows: those that find something, the first, the last, and ever fewer between."""
    if len(probes) <= MOST_POINTS:
        return probes
    spread = np.unique(np.geomspace(1, len(probes), MOST_POINTS // 2).astype(int) - 1)
    finds = np.flatnonzero(probes["true"].to_numpy() > 0)[: MOST_POINTS // 2]
    return probes.iloc[np.union1d(spread, finds)]


def recall_curve(table: pd.DataFrame, column: str, title: str, chosen: int | None = None) -> go.Figure:
    """Recall with its 95 % interval, above what it costs.

    Args:
        table: `column` (a whole number; 0 for what a search decides by itself), recall, low, high, n, milliseconds,
            default, and candidates or bytes.
        chosen: the number of the point that is ringed.
    """
    rows = table.assign(at=positions(table[column])).sort_values("at", kind="stable")
    x, names = rows["at"].tolist(), [point_name(int(number)) for number in rows[column]]
    cost = "bytes" if "bytes" in rows else "candidates"
    data = [
        [
            int(number),
            name,
            f"{100 * low:.1f} to {100 * high:.1f} %",
            f"{spent:,.0f} {COSTS[cost]}",
            f"{n:,}",
            f"{ms:.2f}",
        ]
        for number, name, low, high, spent, n, ms in zip(
            rows[column], names, rows["low"], rows["high"], rows[cost], rows["n"], rows["milliseconds"], strict=True
        )
    ]
    words = (
        f"{title}: %{{customdata[1]}}<br>recall@20 <b>%{{text}}</b> (%{{customdata[2]}})<br>%{{customdata[5]}} ms a "
        "search, %{customdata[3]}<br>%{customdata[4]} queries<extra></extra>"
    )
    common = {
        "x": x, "customdata": data, "text": [f"{value:.1%}" for value in rows["recall"]], "mode": "lines+markers",
        "hovertemplate": words, **UNFADED,
    }  # fmt: skip
    marks = {
        "size": np.where(rows["default"], 13, 8).tolist(),
        "symbol": np.where(rows["default"], "diamond", "circle").tolist(),
        "color": np.where(rows["default"], ACCENT, PALETTE[0]).tolist(),
        "opacity": 1,  # plotly makes markers of several sizes pale
    }
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.64, 0.36], vertical_spacing=0.07)
    band = [*rows["high"], *rows["low"][::-1]]
    figure.add_trace(
        go.Scatter(
            x=[*x, *x[::-1]], y=band, fill="toself", fillcolor="rgba(0,114,178,0.22)", line={"width": 0},
            mode="lines", hoverinfo="skip", name="95 % interval",
        ),
        row=1, col=1,
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            y=rows["recall"], line={"color": PALETTE[0], "width": 2}, marker=marks, name="recall@20", showlegend=False,
            **common,
        ),
        row=1, col=1,
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            y=rows[cost], line={"color": QUIET, "width": 2}, marker=marks, showlegend=False, **common
        ),
        row=2, col=1,
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=[None], y=[None], mode="markers", name="today’s default",
            marker={"symbol": "diamond", "size": 11, "color": ACCENT},
        )
    )  # fmt: skip
    if chosen is not None and len(row := rows[rows[column] == chosen]):
        for at, value in enumerate((row["recall"].iloc[0], row[cost].iloc[0]), start=1):
            figure.add_trace(_ring(row["at"].iloc[0], value), row=at, col=1)
    styled(figure, 360)
    figure.update_layout(hovermode="closest", clickmode="event+select")
    every = -(-len(x) // TICKS)
    shown = sorted({*range(len(x) - 1, -1, -every)})
    figure.update_xaxes(
        tickvals=[x[i] for i in shown], ticktext=[names[i] for i in shown], fixedrange=True, tickangle=0,
        showgrid=False, zeroline=False,
    )  # fmt: skip
    figure.update_xaxes(title_text=title, row=2, col=1)
    low = float(rows["low"].min()) if len(rows) else 0.0
    figure.update_yaxes(title_text="recall@20", tickformat=".0%", range=[max(0, low - 0.04), 1.02], row=1, col=1)
    figure.update_yaxes(title_text=COSTS[cost], rangemode="tozero", row=2, col=1)
    figure.update_yaxes(fixedrange=True)
    return figure


def positions(numbers: pd.Series) -> np.ndarray:
    """Where numbers stand on the axis: a step for each doubling, and 0, a search's own choice, a step past the last."""
    values = numbers.to_numpy(float)
    at = np.log2(np.maximum(values, 1))
    return np.where(values == 0, at.max(initial=0) + 1, at)


def point_name(number: int) -> str:
    """A point of a curve as its axis and the choice beside it call it."""
    return f"{number:,}" if number else "auto"


def binary(bucket: int, key_bits: int) -> str:
    """A bucket's number as its bits; the one bucket of an unhashed category has none."""
    return format(bucket, f"0{key_bits}b") if key_bits else "–"


def clicked(state: object) -> int | None:
    """The first figure of the data of the point that was clicked; None when none was."""
    selection = state.get("selection") if hasattr(state, "get") else None
    for point in (selection or {}).get("points", []):
        data = point.get("customdata")
        if data is not None and len(data):
            return int(data[0])
    return None


def _data(rows: pd.DataFrame, key_bits: int) -> list[list[object]]:
    return [
        [
            int(order),
            f"{binary(int(bucket), key_bits)} ({bucket})",
            f"{items:,}",
            f"{true}",
            f"{distance:.4f}",
            f"{found:.0%}",
        ]
        for order, bucket, items, true, distance, found in zip(
            rows["order"], rows["bucket"], rows["items"], rows["true"], rows["distance"], rows["found"], strict=True
        )
    ]


def _ring(x: float, y: float) -> go.Scatter:
    return go.Scatter(
        x=[x], y=[y], mode="markers", hoverinfo="skip", showlegend=False,
        marker={"color": ACCENT, "size": 15, "symbol": "circle-open", "line": {"width": 3}},
    )  # fmt: skip
