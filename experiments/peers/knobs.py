"""What the methods of the comparison have in common: their knobs, their sizes, and how large they are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import faiss
import numpy as np

from experiments.synthetic import Ids, Labels
from fashion16.types import Floats

Setting = dict[str, Any]
PER_CENTROID = 40  # items to train a centroid with: faiss warns below 39


def serialised(index: Any) -> int:
    """Bytes of a faiss index as a file, which is nowhere written."""
    total = 0

    def count(part: bytes) -> int:
        nonlocal total
        total += len(part)
        return len(part)

    write = faiss.write_index_binary if isinstance(index, faiss.IndexBinary) else faiss.write_index
    write(index, faiss.PyCallbackIOWriter(count))
    return total


def lists_for(n: int) -> int:
    """Inverted lists for n items: four times their root, but no more than can be trained in a minute or two."""
    return int(min(2048, max(1, 4 * n**0.5), max(1, n // PER_CENTROID)))


def depths(n: int) -> tuple[int, int]:
    """How many candidates to re-rank of n items: where recall@20 comes near 0.99, and where it stops growing."""
    return (300, 1000) if n < 1_000_000 else (1000, 4000)


def sample(rows: Any, n: int) -> Any:
    """At most n of the rows, evenly spread."""
    return np.ascontiguousarray(rows[:: max(1, len(rows) // n)][:n])


def grid(**knobs: Sequence[Any]) -> list[Setting]:
    """Every combination of the knobs' values."""
    return [dict(zip(knobs, values, strict=True)) for values in itertools.product(*knobs.values())]


def in_categories(queries: Floats, categories: Labels, k: int, search: Callable[[Floats, str], Ids]) -> Ids:
    """What `search` finds for the queries of each category, (nq, k), in the order of all queries."""
    found = np.full((len(queries), k), -1, np.int64)
    if len(queries) == 1:
        return search(queries, str(categories[0]))
    for name in np.unique(categories):
        its = np.flatnonzero(categories == name)
        found[its] = search(queries[its], str(name))
    return found
