"""Charts of the Search page."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from fashion16.images import encode_jpeg, to_data_uri
from fashion16.types import Pixels
from ui.shared.charts import ACCENT, QUIET, SHOWN, as_text


def probabilities(shares: Mapping[str, float], searched: tuple[str, ...]) -> go.Figure:
    """A horizontal bar for each of the ten most likely categories, these on top, the searched ones in colour."""
    names = list(shares)[:SHOWN]
    figure = go.Figure(
        go.Bar(
            x=[shares[name] for name in names],
            y=[as_text(name) for name in names],
            orientation="h",
            marker_color=[ACCENT if name in searched else QUIET for name in names],
            text=[f"{shares[name]:.1%}" for name in names],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.2%}<extra></extra>",
        )
    )
    figure.update_layout(
        height=20 * len(names) + 8,
        margin={"l": 0, "r": 48, "t": 0, "b": 0},
        xaxis={"visible": False, "range": [0, 1], "fixedrange": True},
        yaxis={"autorange": "reversed", "ticks": "", "fixedrange": True},
        bargap=0.35,
    )
    return figure


def photo_with_box(photo: Pixels) -> go.Figure:
    """The photo as a chart on which a box can be drawn; both axes run from 0 to 1, y downwards."""
    rows, columns = photo.shape[:2]
    figure = go.Figure(
        # plotly reports a box only where there is something to select: a point in the middle, unseen
        go.Scatter(x=[0.5], y=[0.5], mode="markers", marker={"opacity": 0}, hoverinfo="skip", showlegend=False)
    )
    figure.add_layout_image(
        source=to_data_uri(encode_jpeg(photo, 640)),
        x=0, y=0, sizex=1, sizey=1, xref="x", yref="y", sizing="stretch", layer="below",
    )  # fmt: skip
    figure.update_layout(
        # for a column about 300 pixels wide; on a phone it may be a little wider than the picture
        height=int(np.clip(300 * rows / columns, 140, 340)),
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        dragmode="select",
        newselection={"line": {"color": ACCENT, "width": 3, "dash": "solid"}},
        xaxis={"visible": False, "range": [0, 1], "constrain": "domain"},
        yaxis={
            "visible": False,
            "range": [1, 0],
            "scaleanchor": "x",
            "scaleratio": rows / columns,
            "constrain": "domain",
        },
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def box_of(selection: Mapping[str, object]) -> tuple[float, float, float, float] | None:
    """The last box drawn on `photo_with_box`, as (left, top, right, bottom) shares of the photo."""
    boxes = selection.get("box")
    if not isinstance(boxes, list) or not boxes:
        return None
    x, y = sorted(boxes[-1]["x"]), sorted(boxes[-1]["y"])
    return float(x[0]), float(y[0]), float(x[-1]), float(y[-1])
