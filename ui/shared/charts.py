"""Numbers to plotly figures."""

from __future__ import annotations

import html

import plotly.graph_objects as go

ACCENT = "#C43A6B"  # readable on both themes' grounds
QUIET = "#B9A9B3"
# Okabe and Ito's colours ("Color universal design", 2008), which colour-blind people can distinguish; without yellow
# and black, which are hard to see on the light or the dark theme
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8A8A8A")
SEQUENTIAL = "Cividis"  # of one meaning for all eyes, and with contrast on both grounds
LONGEST = 24  # letters of a name beside its bar
SHOWN = 10  # more would push the results off a phone's first screens


def styled(figure: go.Figure, height: int, x: str = "", y: str = "") -> go.Figure:
    """The figure with what all charts have in common: titles of axes, small margins, a legend above."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1.0, "xanchor": "left", "yanchor": "bottom", "title": None},
        hoverlabel={"namelength": -1},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(title_text=x or None, automargin=True)
    figure.update_yaxes(title_text=y or None, automargin=True)
    return figure


def as_text(name: str) -> str:
    """A name of any length and content as plotly shows it letter for letter: it reads some HTML."""
    return html.escape(name if len(name) <= LONGEST else name[: LONGEST - 1] + "…")
