"""A measured value with its sample and interval."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

DECIMALS = 4  # of a figure in a report; its interval is wider
T = TypeVar("T")


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


def rounded(value: T) -> T:
    """The same report, with all its figures rounded for reading: in dataclasses, lists, tuples and dictionaries."""
    made: Any = value
    if isinstance(value, Figure):
        low, high = round(value.low, DECIMALS), round(value.high, DECIMALS)
        made = replace(value, value=round(value.value, DECIMALS), low=low, high=high)
    elif is_dataclass(value) and not isinstance(value, type):
        made = replace(value, **{field.name: rounded(getattr(value, field.name)) for field in fields(value)})
    elif isinstance(value, list | tuple):
        made = type(value)(rounded(part) for part in value)
    elif isinstance(value, dict):
        made = {key: rounded(part) for key, part in value.items()}
    found: T = made
    return found
