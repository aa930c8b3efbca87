"""Indexes and programs that compare the embeddings themselves."""

from __future__ import annotations

import itertools
import weakref
from typing import Any

import faiss
import h5py
import numpy as np
from usearch.index import Index as UsearchIndex

from experiments.peers.items import Items
from experiments.peers.knobs import PER_CENTROID, Setting, grid, in_categories, lists_for, serialised
from experiments.synthetic import BLOCK, Ids, Labels
from fashion16.types import Floats

PQ_BYTES = 64  # as many as our codes have


class _Faiss:
    """An index of faiss over float32 embeddings."""

    slow_build = in_category = False
    batches = True
    index: Any

    def __init__(self, items: Items, threads: int) -> None:
        self.index = self.made(items)
        for embeddings in items.embeddings:
            self.index.add(embeddings)

    def made(self, items: Items) -> Any:
        raise NotImplementedError

    def tune(self, **knobs: Any) -> None:
        """Set the index's own knobs."""

    def search(self, queries: Floats, categories: Labels, k: int, **knobs: Any) -> Ids:
        self.tune(**knobs)
        found: Ids = self.index.search(queries, k)[1]
        return found

    def bytes(self) -> int:
        return serialised(self.index)


class FlatIP(_Faiss):
    """Every embedding is compared, exactly."""

    name = "faiss IndexFlatIP"

    @staticmethod
    def settings(n: int) -> list[Setting]:
        return [{}]

    def made(self, items: Items) -> Any:
        return faiss.IndexFlatIP(items.dimensions)


class HNSW(_Faiss):
    """A graph with 32 neighbours an item."""

    name = "faiss IndexHNSWFlat"
    slow_build = True

    @staticmethod
    def settings(n: int) -> list[Setting]:
        return grid(efSearch=(20, 40, 80, 160, 320, 1280))

    def made(self, items: Items) -> Any:
        return graph_of(items.dimensions)

    def tune(self, **knobs: Any) -> None:
        self.index.hnsw.efSearch = knobs["efSearch"]


class IVFPQ(_Faiss):
    """Product-quantised residuals of 64 bytes in lists, refined with embeddings in half precision.

    With faiss's 8 bits a value, recall@20 would end at 0.98.
    """

    name = "faiss IndexIVFPQ, refined"

    @staticmethod
    def settings(n: int) -> list[Setting]:
        return grid(nprobe=(8, 32, 128), k_factor=(5, 20))

    def made(self, items: Items) -> Any:
        d, n_lists = items.dimensions, lists_for(items.n)
        self.coarse = faiss.IndexFlatIP(d)
        pq_bytes = next(size for size in (PQ_BYTES, 32, 16, 8, 4, 2, 1) if d % size == 0)
        self.lists = faiss.IndexIVFPQ(self.coarse, d, n_lists, pq_bytes, 8, faiss.METRIC_INNER_PRODUCT)
        self.lists.cp.spherical = True
        self.fine = faiss.IndexScalarQuantizer(d, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        index = faiss.IndexRefine(self.lists, self.fine)
        wanted = max(PER_CENTROID * n_lists, PER_CENTROID * 256)
        blocks = itertools.islice(items.embeddings, 1 + wanted // BLOCK)
        index.train(np.concatenate(list(blocks))[:wanted])
        return index

    def tune(self, **knobs: Any) -> None:
        self.lists.nprobe, self.index.k_factor = min(knobs["nprobe"], self.lists.nlist), knobs["k_factor"]


class Usearch8:
    """A graph with usearch's own settings, of embeddings in 8 bits a value."""

    name = "usearch, i8"
    kind = "i8"
    slow_build = batches = True
    in_category = False

    def __init__(self, items: Items, threads: int) -> None:
        self.threads = threads
        self.index = UsearchIndex(ndim=items.dimensions, metric="cos", dtype=self.kind)
        start = 0
        for embeddings in items.embeddings:
            self.index.add(np.arange(start, start + len(embeddings)), embeddings, threads=threads)
            start += len(embeddings)

    @staticmethod
    def settings(n: int) -> list[Setting]:
        return grid(expansion_search=(20, 64, 128, 256, 512, 2048))

    def search(self, queries: Floats, categories: Labels, k: int, **knobs: Any) -> Ids:
        return keys_found(self.index, queries, k, self.threads, **knobs)

    def bytes(self) -> int:
        return int(self.index.serialized_length)


class Usearch16(Usearch8):
    """The same in half precision."""

    name = "usearch, f16"
    kind = "f16"


class _PerCategory:
    """A graph for each category, of which a query is looked for in one: what our search would be with this kernel."""

    slow_build = in_category = batches = True

    def __init__(self, items: Items, threads: int) -> None:
        self.threads = threads
        self.graphs: dict[str, Any] = {}
        place_of = {name: ids for name, ids in items.by_category if len(ids)}
        category_of = np.empty(items.n, np.int64)
        for number, ids in enumerate(place_of.values()):
            category_of[ids] = number
        start = 0
        for embeddings in items.embeddings:
            its = category_of[start : start + len(embeddings)]
            for number, name in enumerate(place_of):
                if len(rows := np.flatnonzero(its == number)):
                    if name not in self.graphs:
                        self.graphs[name] = self.made(items)
                    self.added(self.graphs[name], embeddings[rows], start + rows)
            start += len(embeddings)

    def made(self, items: Items) -> Any:
        """An empty graph."""
        raise NotImplementedError

    def added(self, graph: Any, embeddings: Floats, ids: Ids) -> None:
        """Put embeddings (n, d) with these ids (n,) into the graph."""
        raise NotImplementedError

    def found(self, graph: Any, queries: Floats, k: int, **knobs: Any) -> Ids:
        """The ids (nq, k) that the graph finds, -1 where there are fewer."""
        raise NotImplementedError

    def search(self, queries: Floats, categories: Labels, k: int, **knobs: Any) -> Ids:
        return in_categories(queries, categories, k, lambda its, name: self.found(self.graphs[name], its, k, **knobs))


class HNSWInCategory(_PerCategory):
    """faiss's graphs; each item has its id beside it."""

    name = "faiss IndexHNSWFlat, in category"
    settings = staticmethod(HNSW.settings)

    def made(self, items: Items) -> Any:
        return faiss.IndexIDMap(graph_of(items.dimensions))

    def added(self, graph: Any, embeddings: Floats, ids: Ids) -> None:
        graph.add_with_ids(embeddings, ids)

    def found(self, graph: Any, queries: Floats, k: int, **knobs: Any) -> Ids:
        faiss.downcast_index(graph.index).hnsw.efSearch = knobs["efSearch"]
        found: Ids = graph.search(queries, k)[1]
        return found

    def bytes(self) -> int:
        return sum(map(serialised, self.graphs.values()))


class UsearchInCategory(_PerCategory):
    """usearch's graphs, of embeddings in half precision."""

    name = "usearch, f16, in category"
    settings = staticmethod(Usearch8.settings)

    def made(self, items: Items) -> Any:
        return UsearchIndex(ndim=items.dimensions, metric="cos", dtype="f16")

    def added(self, graph: Any, embeddings: Floats, ids: Ids) -> None:
        graph.add(ids, embeddings, threads=self.threads)

    def found(self, graph: Any, queries: Floats, k: int, **knobs: Any) -> Ids:
        return keys_found(graph, queries, k, self.threads, **knobs)

    def bytes(self) -> int:
        return sum(int(graph.serialized_length) for graph in self.graphs.values())


class Tutorial:
    """Features in an HDF5 file, numpy's dot product and argsort, as tutorials of image retrieval have it.

    The first of its settings reads the file with each query, as a script does that is started for each; the second
    has read it before.
    """

    name = "HDF5 and numpy (tutorial)"
    slow_build = batches = in_category = False

    def __init__(self, items: Items, threads: int) -> None:
        self.path = items.folder / "features.h5"
        self.features: Floats | None = None
        weakref.finalize(self, self.path.unlink, missing_ok=True)  # it may have gigabytes
        with h5py.File(self.path, "w") as file:
            features = file.create_dataset("features", (items.n, items.dimensions), np.float32)
            start = 0
            for embeddings in items.embeddings:
                features[start : start + len(embeddings)] = embeddings
                start += len(embeddings)

    @staticmethod
    def settings(n: int) -> list[Setting]:
        return [{"read": "for each query"}, {"read": "before"}]

    def search(self, queries: Floats, categories: Labels, k: int, **setting: Any) -> Ids:
        if setting["read"] == "before" and self.features is None:
            self.features = self._read()
        found = np.full((len(queries), k), -1, np.int64)
        for row, query in enumerate(queries):
            features = self._read() if self.features is None else self.features
            best = np.argsort(np.dot(features, query))[::-1][:k]
            found[row, : len(best)] = best
        return found

    def _read(self) -> Floats:
        with h5py.File(self.path, "r") as file:
            features: Floats = file["features"][:]
        return features

    def bytes(self) -> int:
        return self.path.stat().st_size


def graph_of(dimensions: int) -> Any:
    """An empty graph of faiss."""
    index = faiss.IndexHNSWFlat(dimensions, 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 100  # faiss's 40 leaves recall@20 at 0.97 whatever efSearch
    return index


def keys_found(graph: UsearchIndex, queries: Floats, k: int, threads: int, expansion_search: int) -> Ids:
    """The keys (nq, k) that a graph of usearch finds."""
    graph.expansion_search = expansion_search
    keys = graph.search(queries, k, threads=min(threads, len(queries))).keys
    return np.atleast_2d(np.asarray(keys)).astype(np.int64)
