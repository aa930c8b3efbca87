"""A collection as a map: each picture a point, alike ones side by side; made in a minute, and kept.

Two maps. The principal components are there at once, but of 256 dimensions two show little. t-SNE keeps neighbours
together: van der Maaten, Hinton, "Visualizing data using t-SNE", JMLR 9, 2008. In both, what lies among another
label's pictures is worth a look; how far apart two groups of t-SNE are means nothing.
"""

from __future__ import annotations

import io
import re
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from fashion16.collections.embeddings import active_embeddings
from fashion16.collections.stored import StoredCollection
from fashion16.errors import DataError
from fashion16.files import sealed
from fashion16.types import Floats, Ids, Progress

FORMAT = "fashion16-map"
FORMAT_VERSION = 1
MOST = 20_000  # points that a browser draws without a wait
SEED = 16
COMPONENTS = 50  # van der Maaten's; of the rest the distances hardly change
# 20,000 pictures take 70 seconds. After twice as many, 0.36 of the ten nearest are kept instead of 0.32, and as many of
# a point's neighbours have its label, 0.905; of the embeddings' own it is 0.916.
ITERATIONS = 500
PERPLEXITY = 30  # scikit-learn's; about as many neighbours count
FEWEST = 5  # below, there is no neighbourhood to keep
T_SNE = "t-SNE"


@dataclass(frozen=True)
class CollectionMap:
    """Where items lie on a map.

    Attributes:
        ids: (n,) int64, ascending.
        positions: (n, 2) float32; neither axis nor unit mean anything.
        method: how they were found, for the reader.
        encoder_digest: the encoder of the embeddings that they were found by.
    """

    ids: Ids
    positions: Floats
    method: str
    encoder_digest: str

    def __len__(self) -> int:
        return len(self.ids)

    def write(self, path: Path) -> None:
        """Write the map beside `path`, then move it over.

        Raises:
            WorkspaceError: the folder may not be written, or the disk is full.
        """
        with sealed.writing(path, FORMAT, FORMAT_VERSION) as file:
            file.attrs["method"] = self.method
            file.attrs["encoder_digest"] = self.encoder_digest
            file["ids"], file["positions"] = self.ids, self.positions

    @classmethod
    def read(cls, path: Path, encoder_digest: str) -> CollectionMap | None:
        """The map in an HDF5 file; None where there is none that is whole, of this version and this encoder."""
        found = sealed.read_or_none(path, FORMAT, FORMAT_VERSION, cls._of)
        return found if found is not None and found.encoder_digest == encoder_digest else None

    @classmethod
    def _of(cls, file: h5py.File) -> CollectionMap | None:
        ids, positions = file["ids"][:], file["positions"][:]
        if positions.shape != (*ids.shape, 2):
            return None
        return cls(ids, positions, str(file.attrs["method"]), str(file.attrs["encoder_digest"]))


def sample(ids: Ids, most: int = MOST, seed: int = SEED) -> Ids:
    """At most `most` of the ids, drawn uniformly, ascending; all where there are no more."""
    if len(ids) <= most:
        return np.sort(ids)
    return np.sort(np.random.default_rng(seed).choice(ids, most, replace=False))


def principal_map(embeddings: Floats) -> Floats:
    """The embeddings, (n, d), along the two directions in which they differ most, (n, 2); the same each time.

    A direction in which they do not differ, or do not have, is 0.
    """
    places = np.zeros((len(embeddings), 2), np.float32)
    found = _components(embeddings, 2)
    places[:, : found.shape[1]] = found
    return places


def neighbour_map(embeddings: Floats, seed: int = SEED, progress: Progress | None = None) -> Floats:
    """The embeddings, (n, d), as t-SNE puts them, (n, 2); the same each time on the same computer.

    It begins with the principal map, which makes the large structure less a matter of chance: Kobak, Berens, "The art
    of using t-SNE for single-cell transcriptomics", Nature Communications 10, 2019. Fewer than five items, and items
    that are all the same, stay there. Not for a server: while `progress` is given, sys.stdout is read along.

    Args:
        progress: called with the iterations that are done, and with all.
    """
    n, start = len(embeddings), principal_map(embeddings)
    spread = start[:, 0].std() if n else 0.0
    if n < FEWEST or spread < 1e-6:
        return start
    from sklearn.manifold import TSNE  # here, because serving never needs it

    method = TSNE(
        perplexity=min(PERPLEXITY, (n - 1) / 3),
        init=start * np.float32(1e-4 / spread),
        max_iter=ITERATIONS,
        random_state=seed,
        verbose=2 if progress else 0,
    )
    # one thread, as faiss leaves it to all that use its OpenMP: where others use the cores, two take half as long again
    with redirect_stdout(_Iterations(progress)) if progress else nullcontext():
        places: Floats = method.fit_transform(_components(embeddings, COMPONENTS))
    return places


def make(stored: StoredCollection, progress: Progress | None = None) -> CollectionMap:
    """Make the t-SNE map of a collection, of 20,000 of its items where there are more, and keep it.

    Raises:
        IndexFileError: there are neither embeddings nor an index.
        DataError: there is nothing to draw.
        WorkspaceError: the folder may not be written.
    """
    digest = stored.card.digest
    today, embeddings, _ = active_embeddings(stored, digest)
    if not len(today):
        raise DataError(f"“{stored.name}” has no pictures to draw a map of. Import some.")
    ids = sample(today.ids, MOST)
    places = neighbour_map(embeddings[np.searchsorted(today.ids, ids)], progress=progress)
    made = CollectionMap(ids, places, T_SNE, digest)
    made.write(stored.map_file)
    return made


def kept_map(stored: StoredCollection) -> CollectionMap | None:
    """The map that was kept; None where there is none, or one of another encoder."""
    return CollectionMap.read(stored.map_file, stored.card.digest)


def _components(embeddings: Floats, most: int) -> Floats:
    """The first principal components, (n, k), k at most `most`."""
    n, d = embeddings.shape
    if n < 2:
        return np.zeros((n, 0), np.float32)
    from sklearn.decomposition import PCA  # here, because serving never needs it

    # scikit-learn fixes the signs: the largest weight of each direction is positive
    found = PCA(min(most, n, d), svd_solver="covariance_eigh").fit_transform(embeddings)
    return np.asarray(found, np.float32)


class _Iterations(io.TextIOBase):
    """Reads how far scikit-learn's t-SNE is from what it prints, the only way in which it says so."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        progress(0, ITERATIONS)

    def write(self, text: str) -> int:
        if found := re.match(r"\[t-SNE\] Iteration (\d+):", text):
            self._progress(int(found[1]), ITERATIONS)
        return len(text)
