"""Features by hand: SIFT at keypoints or on a grid, gathered into one vector a picture; and HOG.

SIFT: Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004. HOG: Dalal & Triggs, "Histograms of
oriented gradients for human detection", CVPR 2005.

Needs OpenCV (requirements-train.txt). The app serves a network, and never imports this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from fashion16.errors import TrainingError
from fashion16.types import Floats

Pictures = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]

SIFT_DIMENSIONS = 128
BINS_ACROSS = 4  # a descriptor is 4 x 4 histograms
BIN_OF_SIZE = 1.5  # pixels of a histogram for a keypoint's size of 1: OpenCV's SIFT_DESCR_SCL_FCTR, halved
ROUNDS = 15  # of k-means; more moved no word noticeably
MOST_A_WORD = 1000  # descriptors that k-means looks at, for each word
TINY = 1e-9


def open_cv() -> Any:
    """OpenCV's module.

    Raises:
        TrainingError: it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise TrainingError(
            "SIFT and HOG need OpenCV. Run: pip install opencv-python-headless (it is in requirements-train.txt)"
        ) from error
    return cv2


class LocalDescriptors(NamedTuple):
    """The descriptors of n pictures, those of a picture together.

    Attributes:
        n: pictures, also those that have no descriptor.
        pictures: (m,) int64, the row of the picture that each descriptor belongs to, ascending.
        values: (m, 128) float32, not negative; none is all zeros.
        places: (m, 2) float32, x and y of its middle, -1 to 1 across the picture.
    """

    n: int
    pictures: Rows
    values: Floats
    places: Floats

    @property
    def described(self) -> npt.NDArray[np.bool_]:
        """Which pictures have a descriptor, (n,)."""
        return np.bincount(self.pictures, minlength=self.n) > 0


@dataclass(frozen=True)
class Keypoints:
    """SIFT where its own detector finds something, on pictures enlarged to `side` pixels."""

    side: int

    def describe(self, pictures: Pictures) -> LocalDescriptors:
        """The descriptors of pictures (n, h, w)."""
        sift = open_cv().SIFT_create()
        found = [sift.detectAndCompute(enlarged(picture, self.side), None) for picture in pictures]
        return _gathered(found, self.side)


@dataclass(frozen=True)
class Grid:
    """SIFT upright on a regular grid ("dense SIFT"), on pictures enlarged to `side` pixels.

    Bosch, Zisserman, Munoz, "Image classification using random forests and ferns", ICCV 2007, among others.

    Attributes:
        step: pixels between neighbours, of the enlarged picture.
        windows: the widths of the squares that are described at each place, in pixels of the enlarged picture.
    """

    side: int
    step: int
    windows: tuple[int, ...]

    def describe(self, pictures: Pictures) -> LocalDescriptors:
        """The descriptors of pictures (n, h, w); flat squares have none."""
        cv2 = open_cv()
        sift = cv2.SIFT_create()
        places = np.arange(self.step / 2, self.side, self.step)
        keypoints = [
            cv2.KeyPoint(float(x), float(y), window / (BINS_ACROSS * BIN_OF_SIZE), 0.0)
            for window in self.windows
            for y in places
            for x in places
        ]
        found = [sift.compute(enlarged(picture, self.side), keypoints) for picture in pictures]
        return _gathered(found, self.side)


def enlarged(picture: Pictures, side: int) -> Pictures:
    """A picture (h, w) at side x side pixels, by cubic interpolation."""
    cv2 = open_cv()
    result: Pictures = cv2.resize(np.ascontiguousarray(picture), (side, side), interpolation=cv2.INTER_CUBIC)
    return result


def _gathered(found: Sequence[tuple[Sequence[Any], Floats | None]], side: int) -> LocalDescriptors:
    """The keypoints and descriptors of each picture as one; descriptors of all zeros tell nothing and are left out."""
    cv2 = open_cv()
    values, places = [np.zeros((0, SIFT_DIMENSIONS), np.float32)], [np.zeros((0, 2), np.float32)]
    counts = []
    for keypoints, descriptors in found:
        counts.append(0 if descriptors is None else len(descriptors))
        if descriptors is not None:
            values.append(descriptors)
            places.append(cv2.KeyPoint_convert(keypoints))
    pictures = np.repeat(np.arange(len(found)), counts)
    together = np.concatenate(values)
    told = together.any(axis=1)
    middles = np.concatenate(places) * np.float32(2 / side) - 1
    return LocalDescriptors(len(found), pictures[told], together[told], middles[told])


def root_sift(values: Floats) -> Floats:
    """SIFT descriptors (m, 128) whose Euclidean distances are Hellinger's: each sums to 1, then its square root.

    Arandjelović & Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012.
    """
    result: Floats = np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), np.float32(TINY)))
    return result


@dataclass(frozen=True)
class MainAxes:
    """Principal component analysis: what vectors are, as far as a few axes tell it.

    Attributes:
        mean: (d,) float32.
        axes: (d, r) float32, the main axis first.
    """

    mean: Floats
    axes: Floats

    @classmethod
    def fit(cls, vectors: Floats, axes: int, seed: int) -> MainAxes:
        """The main axes of vectors (n, d), at most n and d."""
        from sklearn.decomposition import PCA  # here, because its import takes a second

        model = PCA(min(axes, *vectors.shape), random_state=seed).fit(vectors)
        return cls(model.mean_.astype(np.float32), np.ascontiguousarray(model.components_.T, np.float32))

    def of(self, vectors: Floats) -> Floats:
        """Vectors (n, d) on the axes, (n, r)."""
        result: Floats = ((vectors - self.mean) @ self.axes).astype(np.float32, copy=False)
        return result


@dataclass(frozen=True)
class Vocabulary:
    """Visual words: the middles of clusters of descriptors.

    Descriptors are made RootSIFT and turned onto their main axes; then their places are put beside them, so that a
    word is something seen somewhere: Sánchez, Perronnin, de Campos, "Modeling the spatial layout of images beyond
    spatial pyramids", Pattern Recognition Letters 33(16), 2012.

    Attributes:
        axes: the r main axes of RootSIFT.
        place_weight: what places count for, 0 for not at all.
        words: (k, r + 2) float32.
    """

    axes: MainAxes
    place_weight: float
    words: Floats

    @classmethod
    def fit(cls, local: LocalDescriptors, k: int, axes: int, place_weight: float, seed: int) -> Vocabulary:
        """k words from at least k descriptors, by k-means, on their first `axes` main axes.

        Raises:
            ValueError: there are fewer descriptors than words.
        """
        m, _ = local.values.shape
        if m < max(k, axes):
            raise ValueError(f"{k} words of {axes} axes need as many descriptors, received {m}")
        main = MainAxes.fit(root_sift(local.values), axes, seed)
        reduced = cls(main, place_weight, np.zeros((0, axes + 2), np.float32)).reduced(local)
        clusters = faiss.Kmeans(
            axes + 2, k, niter=ROUNDS, seed=seed, min_points_per_centroid=1, max_points_per_centroid=MOST_A_WORD
        )
        clusters.train(reduced)
        return cls(main, place_weight, np.asarray(clusters.centroids, np.float32))

    def reduced(self, local: LocalDescriptors) -> Floats:
        """Descriptors as they are compared with words, (m, r + 2) float32."""
        on_axes = self.axes.of(root_sift(local.values))
        return np.concatenate([on_axes, np.float32(self.place_weight) * local.places], axis=1, dtype=np.float32)

    def nearest(self, reduced: Floats) -> Rows:
        """The word nearest to each reduced descriptor, (m,)."""
        if not len(reduced):
            return np.zeros(0, np.int64)
        words: Rows = faiss.knn(reduced, self.words, 1)[1][:, 0]
        return words

    def bag_of_words(self, local: LocalDescriptors) -> Floats:
        """How often each picture has each word, (n, k): Sivic & Zisserman, "Video Google", ICCV 2003."""
        k = len(self.words)
        cells = local.pictures * k + self.nearest(self.reduced(local))
        return np.bincount(cells, minlength=local.n * k).reshape(local.n, k).astype(np.float32)

    def vlad(self, local: LocalDescriptors) -> Floats:
        """What each word's descriptors differ from it by, summed up, of length 1 for each word; (n, k * (r + 2)).

        Jégou et al., "Aggregating local descriptors into a compact image representation", CVPR 2010, with the
        intra-normalisation of Arandjelović & Zisserman, "All about VLAD", CVPR 2013. A row has length 1, or 0 where
        the picture has no descriptor.
        """
        k, d = self.words.shape
        reduced = self.reduced(local)
        words = self.nearest(reduced)
        cells = local.pictures * k + words
        order = np.argsort(cells, kind="stable")
        used, starts = np.unique(cells[order], return_index=True)
        sums = np.zeros((local.n * k, d), np.float32)
        if len(used):
            sums[used] = np.add.reduceat((reduced - self.words[words])[order], starts)
        return unit(unit(sums).reshape(local.n, k * d))


def word_weights(counts: Floats) -> Floats:
    """What each word is worth, (k,): the fewer of the pictures (n, k) have it, the more (its idf)."""
    having = (counts > 0).sum(axis=0)
    result: Floats = np.log(len(counts) / np.maximum(having, 1)).astype(np.float32)
    return result


def weighted_words(counts: Floats, weights: Floats) -> Floats:
    """Bags of words (n, k) of length 1, words weighted, 0 where a picture has none or only worthless ones.

    Of counts the square root is taken, so that a word seen on and on (a plain cloth) does not drown the others.
    """
    return unit(np.sqrt(counts) * weights)


def unit(vectors: Floats) -> Floats:
    """Rows of length 1; rows of zeros stay as they are."""
    result: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), TINY).astype(np.float32)
    return result


def hog(pictures: Pictures, cell: int, directions: int = 9) -> Floats:
    """Histograms of oriented gradients, (n, d) float32: of square cells, normalised in blocks of 2 x 2.

    Args:
        pictures: (n, h, w), a whole number of cells high and wide.
    """
    _, height, width = pictures.shape
    if height % cell or width % cell or min(height, width) < 2 * cell:
        raise ValueError(f"pictures must be whole cells of {cell} pixels, at least two, received {pictures.shape}")
    block = (2 * cell, 2 * cell)
    descriptor = open_cv().HOGDescriptor((width, height), block, (cell, cell), (cell, cell), directions)
    return np.stack([descriptor.compute(np.ascontiguousarray(picture)) for picture in pictures])
