"""Tables of bucket sizes to plotly figures. Each point answers a hover with its number, and most a click."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from ui.shared.charts import ACCENT, PALETTE, QUIET, SEQUENTIAL, as_text, styled

Sizes = npt.NDArray[np.int64]
Cells = npt.NDArray[np.int64]

TODAY, OTHER = PALETTE[0], PALETTE[1]
# without its darkest part: a bucket of one picture is to stand out from the dark theme's ground
SCALE = sample_colorscale(SEQUENTIAL, np.linspace(0.17, 1, 9).tolist())
MOST_BARS = 30  # categories in the bar chart; the table beside it has all
MOST_POINTS = 64 * 64  # what can be clicked on the map: finer cells are smaller than a fingertip
TICKS = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)


def category_bars(table: pd.DataFrame, column: str, title: str, form: str, whole: float | None) -> go.Figure:
    """A horizontal bar for each category, the largest on top.

    Args:
        table: rows with the columns `category` and `column`.
        form: d3's format of the figures, such as ",.0f".
        whole: the figure of the whole collection, drawn as a line; None where the two do not compare.
    """
    shown = shown_bars(table, column)
    names, values = shown["category"].tolist(), shown[column].to_numpy(float)
    figure = go.Figure(
        go.Bar(
            x=values,
            y=np.arange(len(names)),
            orientation="h",
            marker_color=TODAY,
            text=values,
            texttemplate="%{x:" + form + "}",
            textposition="outside",
            cliponaxis=False,
            hovertext=[as_text(name) for name in names],
            hovertemplate="%{hovertext}: %{x:" + form + "}<extra></extra>",
        )
    )
    if whole is not None:
        figure.add_vline(x=whole, line={"color": ACCENT, "dash": "dash", "width": 2}, layer="below")
    styled(figure, 24 * len(names) + 70, x=title)
    figure.update_layout(hovermode="y", bargap=0.25, showlegend=False, clickmode="event+select")
    widest = max(values.max(initial=0.0), whole or 0.0) or 1.0
    figure.update_xaxes(fixedrange=True, range=[0, 1.2 * widest], tickformat=form, nticks=5)
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(names))), ticktext=[as_text(name) for name in names],
        autorange="reversed", fixedrange=True, ticks="", showgrid=False,
    )  # fmt: skip
    return figure


def shown_bars(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows that `category_bars` draws, from the top on."""
    return table.sort_values([column, "category"], ascending=[False, True], kind="stable").head(MOST_BARS)


def bucket_map(sizes: Sizes, cells: Cells, chosen: int | None = None) -> go.Figure:
    """All buckets as a grid, colour for size, empty ones blank; `clicked_buckets` reads a click.

    Args:
        sizes: items of each bucket, (2**b,).
        cells: the bucket of each cell, (rows, columns): cells side by side differ in one bit.
        chosen: a bucket to be marked, together with the buckets that differ from it in one bit.
    """
    rows, columns = cells.shape
    of_cells = sizes[cells]
    largest = int(of_cells.max(initial=0))
    figure = go.Figure(
        go.Heatmap(
            # on a scale of ratios, for a few buckets hold many times what the others do
            z=np.where(of_cells > 0, np.log1p(of_cells), np.nan).astype(np.float32),
            zmin=float(np.log1p(1)),
            zmax=float(np.log1p(max(largest, 2))),
            colorscale=SCALE,
            xgap=1 if columns <= 64 else 0,
            ygap=1 if columns <= 64 else 0,
            hoverinfo="skip",
            colorbar=_bar_of(largest),
        )
    )
    step = _step(cells)
    parts = of_cells.reshape(rows // step, step, columns // step, step).sum(axis=(1, 3))
    y, x = np.indices(parts.shape) * step + (step - 1) / 2
    figure.add_trace(
        # plotly reports no clicks on a heatmap: unseen points above it do
        go.Scatter(
            x=x.ravel(),
            y=y.ravel(),
            mode="markers",
            marker={"opacity": 0, "size": 8},
            selected={"marker": {"opacity": 0}},
            unselected={"marker": {"opacity": 0}},
            customdata=np.stack([cells[::step, ::step].ravel(), parts.ravel()], axis=1),
            hovertemplate=_words_of_part(step * step),
            showlegend=False,
        )
    )
    if chosen is not None:
        for bucket in [chosen ^ (1 << bit) for bit in range(_bits(sizes))]:
            _outline(figure, cells, bucket, {"color": ACCENT, "width": 1, "dash": "dot"})
        _outline(figure, cells, chosen, {"color": ACCENT, "width": 3})
    styled(figure, 470)
    figure.update_layout(
        hovermode="closest", hoverdistance=-1, margin={"t": 8}, clickmode="event+select",
        plot_bgcolor="rgba(128,128,128,0.12)",  # where the map ends is to be seen on both themes
    )  # fmt: skip
    figure.update_xaxes(visible=False, range=[-0.5, columns - 0.5], fixedrange=True)
    figure.update_yaxes(visible=False, range=[rows - 0.5, -0.5], fixedrange=True)
    return figure


def clicked_buckets(cells: Cells, x: float, y: float) -> Cells:
    """The buckets of the part of the map around a point that a click has reported: one, or a block in a large map."""
    step = _step(cells)
    row, column = int(y // step) * step, int(x // step) * step
    return cells[row : row + step, column : column + step].ravel()


def size_histogram(table: pd.DataFrame, chosen: int | None = None) -> go.Figure:
    """How many buckets have which size, against random hashing.

    Args:
        table: low, high (sizes), buckets, random.
        chosen: a size whose bar is marked.
    """
    names = [_span(low, high) for low, high in zip(table["low"], table["high"], strict=True)]
    at = np.arange(len(table))
    figure = go.Figure(
        go.Bar(
            x=at,
            y=table["buckets"],
            name="buckets",
            marker_color=TODAY,
            text=names,
            textposition="none",
            customdata=table["random"].round(1).tolist(),
            hovertemplate="%{text} pictures: %{y:,} buckets<br>by chance: %{customdata:,.1f}<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=at, y=table["random"], name="by chance", mode="lines", hoverinfo="skip",
            line={"color": OTHER, "width": 2, "shape": "hvh"},
        )
    )  # fmt: skip
    if chosen is not None:
        bar = int(np.searchsorted(table["high"], chosen))
        figure.add_vrect(x0=bar - 0.5, x1=bar + 0.5, fillcolor=ACCENT, opacity=0.3, line_width=0, layer="below")
    styled(figure, 280, x="pictures in a bucket, from", y="buckets")
    # a low bar is clicked anywhere above it
    figure.update_layout(hovermode="x", bargap=0.1, clickmode="event+select")
    every = max(1, -(-len(names) // 7))
    figure.update_xaxes(
        tickmode="array",
        tickvals=at[::every].tolist(),
        ticktext=[f"{low:,}" for low in table["low"][::every]],
        tickangle=0,
        fixedrange=True,
    )
    figure.update_yaxes(fixedrange=True, rangemode="tozero")
    return figure


def rank_curve(table: pd.DataFrame, chosen: tuple[int, int] | None = None) -> go.Figure:
    """The size of the largest bucket, of the second, and so on, against random hashing.

    Args:
        table: rank, size, random.
        chosen: (rank, size) of a bucket to be marked.
    """
    figure = go.Figure(
        _curve(table, "buckets", TODAY, table["random"].tolist(), "<br>by chance: %{customdata:,.0f} pictures")
    )
    figure.add_trace(
        go.Scatter(
            x=table["rank"], y=_filled(table["random"]), name="by chance", mode="lines", hoverinfo="skip",
            line={"color": OTHER, "width": 2, "dash": "dash"},
        )
    )  # fmt: skip
    if chosen is not None and chosen[1]:
        figure.add_trace(
            go.Scatter(
                x=[chosen[0]], y=[chosen[1]], mode="markers", hoverinfo="skip", showlegend=False,
                marker={"color": ACCENT, "size": 13, "symbol": "circle-open", "line": {"width": 3}},
            )
        )  # fmt: skip
    return _ranked(figure)


def rank_curves(today: pd.DataFrame, other: pd.DataFrame) -> go.Figure:
    """Today's rank-size curve and the one of a what-if, with what chance would give the latter."""
    figure = go.Figure(
        [
            _curve(today, "today", TODAY),
            _curve(other, "what if", ACCENT),
            go.Scatter(
                x=other["rank"], y=_filled(other["random"]), name="what if, by chance", mode="lines", hoverinfo="skip",
                line={"color": OTHER, "width": 2, "dash": "dash"},
            ),
        ]
    )  # fmt: skip
    return _ranked(figure)


def label_bars(counts: Sequence[tuple[str, int, int]]) -> go.Figure:
    """How many pictures carry each label, and of how many the classifier says it: (name, labelled, predicted)."""
    names = [as_text(name) for name, _, _ in counts]
    figure = go.Figure()
    for title, color, values in (
        ("labelled", TODAY, [row[1] for row in counts]),
        ("predicted", QUIET, [row[2] for row in counts]),
    ):
        figure.add_trace(
            go.Bar(
                x=values, y=np.arange(len(names)), orientation="h", name=title, marker_color=color, text=values,
                textposition="outside", cliponaxis=False, hovertext=names,
                hovertemplate="%{hovertext}: %{x:,} " + title + "<extra></extra>",
            )
        )  # fmt: skip
    styled(figure, 34 * len(names) + 60)
    figure.update_layout(bargap=0.25, margin={"r": 40}, dragmode="pan")
    figure.update_xaxes(visible=False, fixedrange=True, rangemode="tozero")
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(names))), ticktext=names, autorange="reversed", fixedrange=True,
        ticks="", showgrid=False,
    )  # fmt: skip
    return figure


def _curve(
    table: pd.DataFrame, name: str, color: str, data: Sequence[float] | None = None, more: str = ""
) -> go.Scatter:
    return go.Scatter(
        x=table["rank"], y=_filled(table["size"]), name=name, mode="lines+markers", customdata=data,
        line={"color": color, "width": 2}, marker={"size": 4},
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
        hovertemplate="rank %{x:,}: %{y:,} pictures" + more + f"<extra>{name}</extra>",
    )  # fmt: skip


def _filled(sizes: pd.Series) -> pd.Series:
    """The sizes without the empty ones, which have no place on a logarithmic axis."""
    return sizes.where(sizes > 0)


def _ranked(figure: go.Figure) -> go.Figure:
    styled(figure, 280, x="rank of the bucket", y="pictures")
    figure.update_layout(hovermode="closest", hoverdistance=-1, clickmode="event+select")
    # both by ratios: a few buckets hold many times what the others do
    figure.update_xaxes(fixedrange=True, type="log", dtick=1, tickformat=",")
    figure.update_yaxes(fixedrange=True, type="log", dtick=1, tickformat=",", rangemode="normal")
    return figure


def _bits(sizes: Sizes) -> int:
    return int(len(sizes)).bit_length() - 1


def _step(cells: Cells) -> int:
    """Cells a side of the parts of the map that can be clicked."""
    step = 1
    while cells.size // step**2 > MOST_POINTS:
        step *= 2
    return step


def _words_of_part(buckets: int) -> str:
    if buckets == 1:
        return "bucket %{customdata[0]:,}: size %{customdata[1]:,}<extra></extra>"
    return f"{buckets} buckets around %{{customdata[0]:,}}: %{{customdata[1]:,}} pictures in all<extra></extra>"


def _outline(figure: go.Figure, cells: Cells, bucket: int, line: dict[str, object]) -> None:
    row, column = (int(found[0]) for found in np.nonzero(cells == bucket))
    figure.add_shape(type="rect", x0=column - 0.5, x1=column + 0.5, y0=row - 0.5, y1=row + 0.5, line=line)


def _bar_of(largest: int) -> dict[str, object]:
    ticks = [tick for tick in TICKS if tick <= largest]
    return {
        "title": {"text": "pictures in a bucket", "side": "bottom"},
        "orientation": "h",
        "y": -0.02,
        "yanchor": "top",
        "ypad": 6,
        "tickvals": [float(np.log1p(tick)) for tick in ticks],
        "ticktext": [f"{tick:,}" for tick in ticks],
        "thickness": 10,
        "len": 1.0,
        "outlinewidth": 0,
    }


def _span(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
