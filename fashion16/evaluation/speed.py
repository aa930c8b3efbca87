"""How long each step of a search takes on this machine."""

from __future__ import annotations

import platform
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fashion16.evaluation.figures import Speed, StepTime
from fashion16.evaluation.metrics import Ids
from fashion16.machine import cores
from fashion16.search.searcher import Searcher
from fashion16.types import Pixels, Progress

STEPS = ("prepare", "encode", "classify", "search")
UNTIMED = 3  # the first pictures, for which the network lays out its memory


def measure(searcher: Searcher, ids: Ids, picture: Callable[[int], Pixels], progress: Progress | None = None) -> Speed:
    """The median and 95th percentile, in milliseconds, of each step of a search with one of these items, and of all.

    Pictures are searched with one after the other, as the pages do it, and read before the clock starts.
    """
    times = np.zeros((len(ids), len(STEPS)))
    for item_id in ids[:UNTIMED]:
        searcher.search(picture(int(item_id)))
    for row, item_id in enumerate(ids):
        answer = searcher.search(picture(int(item_id)))
        times[row] = [answer.milliseconds[step] for step in STEPS]
        if progress:
            progress(row + 1, len(ids))
    prepare, encode, classify, search = map(_step_time, times.T)
    return Speed(
        prepare, encode, classify, search, _step_time(times.sum(axis=1)), len(ids), cores(), platform.machine()
    )


def _step_time(milliseconds: npt.NDArray[np.float64]) -> StepTime:
    median, p95 = np.percentile(milliseconds, [50, 95])
    return StepTime(round(float(median), 3), round(float(p95), 3))
