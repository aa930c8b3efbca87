"""A measured value with its sample and interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Figure:
    """A share or a mean, with its 95 % interval and the size of its sample."""

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def share(cls, hits: int, n: int) -> Figure:
        """Hits among n, with Wilson's interval."""
        from scipy.stats import binomtest  # here, because its import takes a second and few commands need it

        interval = binomtest(hits, n).proportion_ci(method="wilson")
        return cls(hits / n, float(interval.low), float(interval.high), n)

    @classmethod
    def mean(cls, values: npt.NDArray[np.floating[Any]]) -> Figure:
        """The mean of independent values in [0, 1], with its normal interval."""
        middle = float(values.mean())
        half = 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
        return cls(middle, max(0.0, middle - half), min(1.0, middle + half), len(values))
