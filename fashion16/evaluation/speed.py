"""How long each step of a search takes on this machine."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import numpy as np

from fashion16.evaluation.metrics import Ids
from fashion16.machine import cores
from fashion16.search.searcher import Searcher
from fashion16.types import Pixels, Progress

STEPS = ("prepare", "encode", "classify", "search")
TOTAL = "total"
UNTIMED = 3  # the first pictures, for which the network lays out its memory


def measure(
    searcher: Searcher, ids: Ids, picture: Callable[[int], Pixels], progress: Progress | None = None
) -> dict[str, Any]:
    """The median and 95th percentile, in milliseconds, of each step of a search with one of these items, and of all.

    Pictures are searched with one after the other, as the pages do it, and read before the clock starts.

    Returns:
        A dictionary with median_ms and p95_ms for each of STEPS and for TOTAL; n, the pictures; cores, those that
        this process may use; machine, their kind.
    """
    times = np.zeros((len(ids), len(STEPS)))
    for item_id in ids[:UNTIMED]:
        searcher.search(picture(int(item_id)))
    for row, item_id in enumerate(ids):
        answer = searcher.search(picture(int(item_id)))
        times[row] = [answer.milliseconds[step] for step in STEPS]
        if progress:
            progress(row + 1, len(ids))
    columns = [*zip(STEPS, times.T, strict=True), (TOTAL, times.sum(axis=1))]
    return {
        **{step: {"median_ms": _rounded(ms, 50), "p95_ms": _rounded(ms, 95)} for step, ms in columns},
        "n": len(ids),
        "cores": cores(),
        "machine": platform.machine(),
    }


def _rounded(milliseconds: np.ndarray[Any, np.dtype[np.float64]], percent: int) -> float:
    return round(float(np.percentile(milliseconds, percent)), 3)
