"""What the comparison with other libraries has found, as the Metrics page shows it: points of recall and speed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

GOOD = 0.99  # the recall at which methods are compared


OURS = "Fashion-16"  # how the names of our own methods begin


LEAST_MISSED = 0.0005  # better points are drawn here


def points_of(document: dict[str, Any], items: int) -> pd.DataFrame:
    """The points that docs/peers.json has of one size.

    Where a method searches one category, its recall is that within the category, and `everywhere` its recall
    against the exact neighbours among all items.

    Returns:
        A row a point: method, setting (in words), recall with its interval low to high and its n queries, everywhere,
        milliseconds and queries_per_second of one query at a time, batch_queries_per_second of 256 at once (NaN where
        the method has no such way), build_seconds, bytes.
    """
    rows = []
    for point in document["points"]:
        if point["items"] != items:
            continue
        recall = point["recall_in_category"] or point["recall"]
        rows.append(
            {
                "method": point["method"],
                "setting": point["words"],
                "recall": recall["value"],
                "low": recall["low"],
                "high": recall["high"],
                "n": recall["n"],
                "everywhere": point["recall"]["value"],
                "milliseconds": point["single"]["milliseconds"],
                "queries_per_second": 1000 / point["single"]["milliseconds"],
                "batch_queries_per_second": (point["batch"] or {}).get("queries_per_second", np.nan),
                "build_seconds": point["build_seconds"],
                "bytes": point["bytes"],
            }
        )
    columns = (
        "method setting recall low high n everywhere milliseconds queries_per_second batch_queries_per_second "
        "build_seconds bytes"
    )
    return pd.DataFrame(rows, columns=columns.split())


def fastest(points: pd.DataFrame, least: float = GOOD) -> pd.DataFrame:
    """Of each method the point that answers a single query soonest among those of enough recall, soonest first."""
    good = points[points["recall"] >= least].sort_values("milliseconds", kind="stable")
    return good.drop_duplicates("method").reset_index(drop=True)


def pareto(points: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which points (recall, queries_per_second) no other beats in one without losing in the other."""
    recall, speed = points["recall"].to_numpy(), points["queries_per_second"].to_numpy()
    better = (recall[None] >= recall[:, None]) & (speed[None] >= speed[:, None])
    better &= (recall[None] > recall[:, None]) | (speed[None] > speed[:, None])
    beaten: npt.NDArray[np.bool_] = better.any(axis=1)
    return ~beaten


def own_front(points: pd.DataFrame, method: str) -> pd.DataFrame:
    """The points of one method that none of its own beats, in order of recall."""
    its = points[points["method"] == method]
    return its[pareto(its)].sort_values(["recall", "queries_per_second"])


def missed(points: pd.DataFrame) -> npt.NDArray[np.float64]:
    """The share of true neighbours that each point misses, not below LEAST_MISSED: a logarithmic axis has no 0."""
    shares: npt.NDArray[np.float64] = np.maximum(1 - points["recall"].to_numpy(float), LEAST_MISSED)
    return shares
