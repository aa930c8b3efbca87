"""Recall against speed as an SVG, readable on light and dark grounds: the page in docs/ has no plotly."""

from __future__ import annotations

import html
import math

import pandas as pd

from fashion16.evaluation.peers import LEAST_MISSED, OURS, missed, own_front, pareto
from ui.metrics.peers_charts import TICKS, tick_of
from ui.shared.charts import ACCENT, PALETTE

WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 70, 250, 40, 50  # margins; the names stand on the right
INK = "#808080"
LOWEST = 0.5  # recall below it interests nobody


def recall_speed_svg(points: pd.DataFrame, title: str) -> str:
    """Points (method, recall, queries_per_second) as a line a method, the dotted line the best there is.

    The axes and what is drawn are those of `ui.metrics.peers_charts.recall_speed`.
    """
    shown = points[points["recall"] >= LOWEST]
    low = math.floor(math.log10(shown["queries_per_second"].min())) if len(shown) else 0
    high = math.ceil(math.log10(shown["queries_per_second"].max())) if len(shown) else 1
    high = max(high, low + 1)

    worst, best_of_all = math.log(1 - LOWEST), math.log(LEAST_MISSED)

    def x(missing: float) -> float:
        return LEFT + (math.log(missing) - worst) / (best_of_all - worst) * (WIDTH - LEFT - RIGHT)

    def y(speed: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(speed) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12" fill="{INK}">',
        f"<title>{html.escape(title)}: recall against queries a second</title>",
        _text(LEFT, 20, title, size=15),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "recall@20", "middle"),
        f'<g transform="rotate(-90 16 {HEIGHT / 2:.0f})">'
        + _text(16, HEIGHT / 2, "queries a second, one at a time", "middle")
        + "</g>",
    ]
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(_line([(LEFT, at), (WIDTH - RIGHT, at)], INK, 0.3))
        parts.append(_text(LEFT - 8, at + 4, f"{10.0**power:,.{max(0, -power)}f}", "end"))
    for share in TICKS:
        at = x(share)
        parts.append(_line([(at, TOP), (at, HEIGHT - BOTTOM)], INK, 0.3))
        parts.append(_text(at, HEIGHT - BOTTOM + 18, tick_of(share), "middle"))
    best = shown[pareto(shown)].sort_values("recall") if len(shown) else shown
    parts.append(_line([(x(m), y(s)) for m, s in _pairs(best)], INK, 2, "2 4"))
    names = list(dict.fromkeys(points["method"]))
    ours, peers = [n for n in names if n.startswith(OURS)], [n for n in names if not n.startswith(OURS)]
    for number, name in enumerate(names):
        mine = name in ours
        place = ours.index(name) if mine else peers.index(name)
        colour = ACCENT if mine else PALETTE[place % len(PALETTE)]
        # a colour comes again after seven peers, then as a ring
        filled = mine or place < len(PALETTE)
        at = [(x(m), y(s)) for m, s in _pairs(own_front(shown, name))]
        dash = "6 4" if (mine and place) or not filled else ""
        parts.append(_line(at, colour, 3 if mine else 1.5, dash))
        parts += [_dot(a, b, colour, filled) for a, b in at]
        row = TOP + 10 + 22 * number
        parts.append(_line([(WIDTH - RIGHT + 16, row), (WIDTH - RIGHT + 40, row)], colour, 3 if mine else 1.5, dash))
        parts += [_dot(WIDTH - RIGHT + 28, row, colour, filled), _text(WIDTH - RIGHT + 48, row + 4, name)]
    row = TOP + 10 + 22 * len(names)
    parts.append(_line([(WIDTH - RIGHT + 16, row), (WIDTH - RIGHT + 40, row)], INK, 2, "2 4"))
    parts.append(_text(WIDTH - RIGHT + 48, row + 4, "best there is"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _pairs(frame: pd.DataFrame) -> list[tuple[float, float]]:
    return list(zip(missed(frame).tolist(), frame["queries_per_second"], strict=True))


def _line(at: list[tuple[float, float]], colour: str, width: float, dash: str = "") -> str:
    places = " ".join(f"{a:.1f},{b:.1f}" for a, b in at)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'


def _dot(a: float, b: float, colour: str, filled: bool) -> str:
    return f'<circle cx="{a:.1f}" cy="{b:.1f}" r="4" fill="{colour if filled else "none"}" stroke="{colour}"/>'


def _text(a: float, b: float, words: str, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{a:.1f}" y="{b:.1f}" text-anchor="{anchor}" font-size="{size}">{html.escape(words)}</text>'
