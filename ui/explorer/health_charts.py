"""What a code's bits are worth, and which labels stand where others do, as plotly figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fashion16.types import Floats
from ui.explorer.probing_charts import DIVERGING
from ui.shared.charts import ACCENT, PALETTE, as_text, styled


def bit_balance(table: pd.DataFrame, items: int, key_bits: int) -> go.Figure:
    """The share of ones of each bit, and where fair coins would lie in 95 of 100 cases.

    Args:
        table: bit, ones (share), most_like (bit), correlation.
        items: that the shares are of.
        key_bits: first bits, which name the bucket and are coloured.
    """
    chance = 2 * 0.5 / max(items, 1) ** 0.5
    figure = go.Figure()
    figure.add_hrect(y0=0.5 - chance, y1=0.5 + chance, fillcolor=PALETTE[2], opacity=0.35, line_width=0)
    for name, rows, color, size in (
        ("other bits", table[table["bit"] >= key_bits], PALETTE[0], 5),
        ("bits of the bucket’s number", table[table["bit"] < key_bits], ACCENT, 9),
    ):
        figure.add_trace(
            go.Scatter(
                x=rows["bit"], y=rows["ones"], mode="markers", name=name, marker={"color": color, "size": size},
                customdata=rows[["most_like", "correlation"]].to_numpy(),
                hovertemplate="bit %{x}: <b>%{y:.1%}</b> ones<br>most like bit %{customdata[0]}, correlation "
                "%{customdata[1]:+.2f}<extra></extra>",
            )
        )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=[None], y=[None], mode="markers", name="fair coins ± 2σ",
            marker={"color": PALETTE[2], "symbol": "square", "size": 11, "opacity": 0.6},
        )
    )  # fmt: skip
    styled(figure, 300, x="bit", y="share of ones")
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(fixedrange=True, showgrid=False, zeroline=False)
    figure.update_yaxes(fixedrange=True, range=[0, 1], tickformat=".0%")
    return figure


def bit_correlation(correlation: Floats) -> go.Figure:
    """Pearson's correlation of each pair of bits, shape (bits, bits); the diagonal, always 1, is left blank."""
    shown = np.array(correlation, np.float32)
    np.fill_diagonal(shown, np.nan)
    bound = float(np.nanmax(np.abs(shown))) if np.isfinite(shown).any() else 0.1
    bound = max(0.1, float(np.ceil(10 * bound) / 10))
    figure = go.Figure(
        go.Heatmap(
            z=shown, zmin=-bound, zmax=bound, colorscale=DIVERGING, colorbar={"thickness": 12, "tickformat": "+.1f"},
            hovertemplate="bits %{y} and %{x}: %{z:+.3f}<extra></extra>",
        )
    )  # fmt: skip
    styled(figure, 360, x="bit", y="bit")
    figure.update_layout(margin={"t": 8})
    figure.update_xaxes(fixedrange=True, showgrid=False, zeroline=False)
    figure.update_yaxes(fixedrange=True, showgrid=False, zeroline=False, autorange="reversed")
    return figure


def confusions(pairs: pd.DataFrame) -> go.Figure:
    """How often which label stands among neighbours of another: label, neighbours_label, items; the most on top."""
    at = np.arange(len(pairs))
    names = [
        f"{as_text(a)} → {as_text(b)}" for a, b in zip(pairs["label"], pairs["neighbours_label"], strict=True)
    ]  # fmt: skip
    figure = go.Figure(
        go.Bar(
            x=pairs["items"], y=at, orientation="h", marker_color=PALETTE[0], text=pairs["items"], hovertext=names,
            textposition="auto", textangle=0, hovertemplate="%{hovertext}: %{x:,} items<extra></extra>",
        )
    )  # fmt: skip
    styled(figure, 26 * len(pairs) + 60, x="items")
    figure.update_layout(bargap=0.25, margin={"t": 8})
    figure.update_xaxes(fixedrange=True, rangemode="tozero")
    figure.update_yaxes(tickvals=at.tolist(), ticktext=names, autorange="reversed", fixedrange=True, ticks="")
    return figure
