"""The methods that are compared, and our own two ways to search.

A method is built of `Items` and then asked; what it needs to remember of them it keeps itself, so that its memory is
its own.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any, ClassVar, Protocol

from experiments.peers import knobs
from experiments.peers.codes import LSH, BinaryFlat, BinaryHash, BinaryIVF, BinaryMultiHash
from experiments.peers.items import Items
from experiments.peers.knobs import Setting, in_categories
from experiments.peers.vectors import (
    HNSW,
    IVFPQ,
    FlatIP,
    HNSWInCategory,
    Tutorial,
    Usearch8,
    Usearch16,
    UsearchInCategory,
)
from experiments.synthetic import Ids, Labels
from fashion16.search import hyperplanes as lsh
from fashion16.search import index, partition
from fashion16.search.hyperplanes import RandomHyperplanes
from fashion16.search.index import CategoryIndex
from fashion16.search.partition import Partition, key_bits_for
from fashion16.types import Floats


class Method(Protocol):
    """A way to search; built by its class from items and the number of threads that it may use."""

    name: ClassVar[str]
    slow_build: ClassVar[bool]  # its time for a larger size is estimated before it is built
    batches: ClassVar[bool]  # it has a way to answer many queries at once
    in_category: ClassVar[bool]  # it searches the query's category alone

    @staticmethod
    def settings(n: int) -> list[Setting]:
        """The knobs to try with n items, from fast to thorough."""

    def search(self, queries: Floats, categories: Labels, k: int, **setting: Any) -> Ids:
        """Ids, shape (nq, k), most similar first, -1 where there are fewer."""

    def bytes(self) -> int:
        """What the method must keep to be able to search."""


class _Ours:
    slow_build = in_category = False
    batches = True
    n_bits: ClassVar[int] = index.N_BITS

    def __init__(self, items: Items, threads: int) -> None:
        hyperplanes = RandomHyperplanes.draw(items.hyperplanes.mean, self.n_bits, index.SEED)
        parts = {
            name: Partition.hash(ids, items.stored[ids], hyperplanes) for name, ids in items.by_category if len(ids)
        }
        self.index = CategoryIndex(hyperplanes, parts)
        for part in parts.values():  # else the first search would make them
            part.starts  # noqa: B018

    def bytes(self) -> int:
        arrays = ("ids", "codes", "embeddings", "starts")
        return sum(getattr(part, name).nbytes for part in self.index.partitions.values() for name in arrays)


class InCategory(_Ours):
    """Our index, in the category that the head predicts for the query."""

    name = "Fashion-16, in category"
    in_category = True

    @staticmethod
    def settings(n: int) -> list[Setting]:
        buckets = 2 ** key_bits_for(n // 10, index.N_BITS)
        probed = [{"n_probes": max(1, buckets // share)} for share in (16, 8, 4, 2)]
        return [{}, *probed, *_depths(100, 150, 200, 300, 400, 800, 1200, 2400)]

    def search(self, queries: Floats, categories: Labels, k: int, **setting: Any) -> Ids:
        return in_categories(queries, categories, k, lambda its, name: self.index.search(its, [name], k, **setting).ids)


class ShortCodes(InCategory):
    """The same with half the bits."""

    name = "Fashion-16, in category, 256 bits"
    n_bits = 256

    @staticmethod
    def settings(n: int) -> list[Setting]:
        return _depths(200, 400, 600, 1200, 2400)


class LongCodes(InCategory):
    """The same with twice the bits."""

    name = "Fashion-16, in category, 1,024 bits"
    n_bits = 1024

    @staticmethod
    def settings(n: int) -> list[Setting]:
        return _depths(100, 150, 200, 300, 600)


class Direct(_Ours):
    """Our index, in all categories."""

    name = "Fashion-16, everywhere"

    @staticmethod
    def settings(n: int) -> list[Setting]:
        return [{}, *_depths(60, 100, 200, 400, 1200)]

    def search(self, queries: Floats, categories: Labels, k: int, **setting: Any) -> Ids:
        return self.index.search(queries, self.index.categories, k, **setting).ids


METHODS: tuple[type[Method], ...] = (
    InCategory, ShortCodes, LongCodes, Direct, BinaryFlat, BinaryHash, BinaryMultiHash, BinaryIVF, LSH, FlatIP, HNSW,
    IVFPQ, Usearch8, Usearch16, HNSWInCategory, UsearchInCategory, Tutorial,
)  # fmt: skip


def _depths(*depths: int) -> list[Setting]:
    return [{"rerank": depth} for depth in depths]


def source_of(method: type[Method]) -> str:
    """The code of a method and of what it is made of: a result of other code is not today's."""
    ours = (index, partition, lsh) if issubclass(method, _Ours) else ()
    names = dict.fromkeys(kind.__module__ for kind in method.__mro__ if kind.__module__.startswith("benchmarks."))
    return "".join(map(inspect.getsource, (*ours, knobs, *(sys.modules[name] for name in names))))
