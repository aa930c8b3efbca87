"""The paper's SIFT against its network (table 3), on this collection: features by hand against the encoder's.

Every method gets the same head (on as many axes as the validation split likes best), the same index and the same
queries as the encoder's embeddings. All settings are chosen on the validation split. Pictures without descriptors
count as errors. Each step is kept as a JSON in a folder, so that an interrupted run repeats only what is missing.

Needs OpenCV (requirements-train.txt).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import faiss
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from experiments.kept_results import kept
from experiments.paper.local_features import (
    Grid,
    Keypoints,
    LocalDescriptors,
    MainAxes,
    Pictures,
    Vocabulary,
    hog,
    open_cv,
    unit,
    weighted_words,
    word_weights,
)
from experiments.paper.vector_figures import (
    AXES,
    PENALTIES,
    Labels,
    Material,
    Sizes,
    checked,
    drawn,
    figures,
    head_figures,
    milliseconds_of,
)
from fashion16.collections.embeddings import labelled_embeddings
from fashion16.collections.stored import StoredCollection
from fashion16.collections.workspace import Workspace
from fashion16.errors import DataError
from fashion16.evaluation.metrics import SEED
from fashion16.evaluation.reproduction import ByFeatures, Features
from fashion16.images import to_network
from fashion16.machine import cores
from fashion16.search.encoder import Encoder
from fashion16.types import Floats, Progress

Share = Callable[[float], None]
T = TypeVar("T")


@dataclass(frozen=True)
class TriedKeypoints:
    """Settings of `Keypoints`, and how often a head is right with them on the validation split."""

    side: int
    place_weight: float
    accuracy: float


@dataclass(frozen=True)
class TriedGrid:
    """The same of a `Grid`."""

    side: int
    step: int
    windows: tuple[int, ...]
    place_weight: float
    accuracy: float


@dataclass(frozen=True)
class TriedHog:
    """The same of HOG: pixels a side of its cells."""

    cell: int
    accuracy: float


@dataclass(frozen=True)
class SvmSettings:
    """A support vector machine with a Gaussian kernel; gamma in units of the vectors' variance."""

    C: float
    gamma: float


@dataclass(frozen=True)
class TriedSvm(SvmSettings):
    """The same settings, and how often it is right on the validation split."""

    accuracy: float


Tried = TypeVar("Tried", TriedKeypoints, TriedGrid, TriedHog, TriedSvm)


@dataclass(frozen=True)
class Choice(Generic[Tried]):
    """The settings that are most often right on n validation pictures, and what they were chosen among."""

    chosen: Tried
    tried: list[Tried]
    n: int

    @classmethod
    def among(cls, tried: list[Tried], n: int) -> Choice[Tried]:
        """Of equals the first."""
        return cls(max(tried, key=lambda settings: settings.accuracy), tried, n)


@dataclass(frozen=True)
class Choices:
    """The settings of each kind of features, and of the support vector machine."""

    keypoints: Choice[TriedKeypoints]
    grid: Choice[TriedGrid]
    hog: Choice[TriedHog]
    svm: Choice[TriedSvm]


@dataclass(frozen=True)
class Settings(Choices):
    """The same, with what they were chosen with."""

    sizes: Sizes
    opencv: str


@dataclass(frozen=True)
class Sift(ByFeatures):
    """Classification by kind of features, and the settings of each; None where nothing was measured."""

    settings: Settings | None = None

    @property
    def best(self) -> Features:
        """The method of SIFT that is most often right."""
        return max((method for method in self.methods if "SIFT" in method.name), key=lambda one: one.accuracy.value)


VERSION = 3  # of the steps: figures of another version are measured again
AS_THEY_ARE = Keypoints(28)
# what settings are chosen among; a quick look takes the first of each
KEYPOINTS = (Keypoints(56), Keypoints(112))
GRIDS = (Grid(56, 6, (16, 24)), Grid(56, 4, (16,)), Grid(84, 8, (24, 36)), Grid(112, 10, (32, 48)))
PLACE_WEIGHTS = (0.5, 0.0, 1.0, 2.0, 4.0)
HOG_CELLS = (4, 7)  # 28 pixels are whole cells of them
SVMS = (SvmSettings(3.0, 1.0), SvmSettings(3.0, 2.0), SvmSettings(10.0, 1.0))
SVM_AXES = 128  # more are slower and not righter
WORD_AXES = 64  # of a descriptor, half of SIFT's
VLAD_WORDS, BAG_WORDS = 64, 1000
BLOCK = 200  # pictures whose descriptors are in memory at once, for each thread
# what each step takes of the whole, in percent
STEPS = {"cnn": 5, "settings": 25, "as_they_are": 6, "keypoints": 19, "grid": 25, "hog": 20}
FULL = Sizes(10**9, 10**9, 10**9, 1000, 2000, 1500, 10_000, 1000, 6000, 200, choices=5)
QUICK = Sizes(1000, 200, 300, 100, 300, 200, 500, 60, 400, 10, choices=1)


def _material(stored: StoredCollection, digest: str, sizes: Sizes) -> Material:
    """The labelled pictures of a collection, a limited number of each split, drawn at random.

    Raises:
        DataError: the collection's pictures are not one array of gray ones, or a split is empty.
    """
    if stored.has_files():
        raise DataError(f"The SIFT experiment is for gray pictures of one size; “{stored.name}” has photos.")
    pictures = stored.pictures()
    today, embeddings, _ = labelled_embeddings(stored, digest)
    rng = np.random.default_rng(SEED)
    used = []
    for split in ("train", "validation", "test"):
        rows = np.flatnonzero(today.splits == split)
        if not len(rows):
            raise DataError(f"“{stored.name}” has no labelled pictures in its {split} split, so nothing is measured.")
        used.append(drawn(rows, getattr(sizes, split), rng))
    rows = np.concatenate(used)
    parts = np.split(np.arange(len(rows)), np.cumsum([len(part) for part in used])[:-1])
    return Material(
        np.asarray(pictures[today.positions[rows]]), today.ids[rows], today.labels[rows], embeddings[rows], *parts
    )


# our blocks keep all cores busy, and where others do so too, numpy's threads would mostly wait for each other
@threadpool_limits.wrap(limits=1, user_api="blas")  # type: ignore[untyped-decorator]
def run(
    workspace: Workspace, collection: str, folder: Path, quick: bool = False, progress: Progress | None = None
) -> Sift:
    """Measure every method on a collection of gray pictures of one size.

    Args:
        folder: where steps that are done are kept; those of other pictures, settings or versions are repeated.
        quick: on small samples.
        progress: called with percents done, and 100.

    Raises:
        TrainingError: OpenCV is not installed.
        Fashion16Error: the collection is not there, is not indexed, or holds photos.
    """
    version = open_cv().__version__
    sizes = QUICK if quick else FULL
    encoder = Encoder(workspace.encoder_folder)
    material = _material(workspace.collection(collection), encoder.digest, sizes)
    side = workspace.collection(collection).side(encoder.card)
    key: dict[str, object] = {
        "version": VERSION,
        "opencv": version,
        "encoder_digest": encoder.digest,
        "items": hashlib.sha256(material.ids.tobytes() + "\n".join(material.labels).encode()).hexdigest(),
        "sizes": asdict(sizes),
        "seed": SEED,
    }

    def step(name: str, make: Callable[[Share], T], kind: type[T]) -> T:
        share = _share_of(name, progress)
        found = kept(folder / f"sift-{name}.json", key, lambda: make(share), kind).result
        share(1.0)
        return found

    def network(pictures: Pictures) -> Floats:
        return encoder.encode(np.stack([to_network(picture, side) for picture in pictures]))

    def our_own(share: Share) -> Features:
        milliseconds = milliseconds_of(network, material, sizes)
        return head_figures("Fashion-16's embedding", unit(material.embeddings), milliseconds, material, sizes)

    cnn = step("cnn", our_own, Features)
    chosen = step("settings", lambda share: _choose(material, sizes, share), Choices)
    key["chosen"] = asdict(chosen)
    keypoints, grid = chosen.keypoints.chosen, chosen.grid.chosen
    enlarged = Keypoints(keypoints.side)
    dense = Grid(grid.side, grid.step, grid.windows)
    sift: list[tuple[str, str, Keypoints | Grid, float]] = [
        ("as_they_are", "SIFT keypoints, not enlarged", AS_THEY_ARE, 0.0),
        ("keypoints", "SIFT keypoints, enlarged", enlarged, keypoints.place_weight),
        ("grid", "Dense SIFT, enlarged", dense, grid.place_weight),
    ]
    methods: list[Features] = []
    for name, title, features, place_weight in sift:
        methods += step(name, partial(_sift, title, features, place_weight, material, sizes), list[Features])
    machine = chosen.svm.chosen
    methods += step("hog", partial(_hog, chosen.hog.chosen.cell, machine, material, sizes), list[Features])
    return Sift(cnn=cnn, methods=methods, settings=Settings(**vars(chosen), sizes=sizes, opencv=version))


def _choose(material: Material, sizes: Sizes, share: Share) -> Choices:
    """The features' settings that are most often right on the validation split, and all that were tried."""
    rng = np.random.default_rng(SEED)
    rows = np.concatenate([drawn(material.train, sizes.choosing, rng), drawn(material.validation, sizes.checking, rng)])
    n = min(sizes.choosing, len(material.train))
    pictures, labels = material.pictures[rows], material.labels[rows]
    keypoints: list[TriedKeypoints] = []
    grids: list[TriedGrid] = []
    jobs: list[Keypoints | Grid] = [*KEYPOINTS[: sizes.choices], *GRIDS[: sizes.choices]]
    for number, features in enumerate(jobs):
        blocks = list(_in_blocks(features.describe, pictures))
        some = _joined(blocks[: -(-min(n, sizes.vocabulary) // BLOCK)])
        for place_weight in PLACE_WEIGHTS[: sizes.choices]:
            vocabulary = Vocabulary.fit(some, VLAD_WORDS, WORD_AXES, place_weight, SEED)
            vectors = np.concatenate([vocabulary.vlad(block) for block in blocks])
            projected = _projected(MainAxes.fit(vectors[:n], AXES[0], SEED), vectors)
            right = max(checked(projected, labels, n, c) for c in PENALTIES)
            if isinstance(features, Keypoints):
                keypoints.append(TriedKeypoints(features.side, place_weight, right))
            else:
                grids.append(TriedGrid(features.side, features.step, features.windows, place_weight, right))
        share((number + 1) / (len(jobs) + 2))
    gradients, hogs = {}, []
    for cell in HOG_CELLS[: sizes.choices]:
        vectors = hog(pictures, cell)
        gradients[cell] = _projected(MainAxes.fit(vectors[:n], AXES[0], SEED), vectors)
        hogs.append(TriedHog(cell, max(checked(gradients[cell], labels, n, c) for c in PENALTIES)))
    chosen, machines = Choice.among(hogs, len(rows) - n), []
    for settings in SVMS[: sizes.choices]:
        vectors = gradients[chosen.chosen.cell][:, :SVM_AXES]
        predicted = _svm(settings, vectors[:n], labels[:n]).predict(vectors[n:])
        machines.append(TriedSvm(settings.C, settings.gamma, float((predicted == labels[n:]).mean())))
    share(1.0)
    return Choices(
        Choice.among(keypoints, chosen.n), Choice.among(grids, chosen.n), chosen, Choice.among(machines, chosen.n)
    )


def _sift(
    title: str, features: Keypoints | Grid, place_weight: float, material: Material, sizes: Sizes, share: Share
) -> list[Features]:
    """Bag of words and VLAD of the same descriptors."""
    rng = np.random.default_rng(SEED)
    some = material.pictures[drawn(material.train, sizes.vocabulary, rng)]
    local = _joined(list(_in_blocks(features.describe, some)))
    n_words = min(BAG_WORDS, len(local.values) // 3)  # words that are seen once tell nothing
    bags = Vocabulary.fit(local, n_words, WORD_AXES, place_weight, SEED)
    clusters = Vocabulary.fit(local, VLAD_WORDS, WORD_AXES, place_weight, SEED)
    weights = word_weights(bags.bag_of_words(local))
    share(0.1)
    ways: dict[str, Callable[[LocalDescriptors], Floats]] = {
        "bag of words": lambda found: weighted_words(bags.bag_of_words(found), weights),
        "VLAD": clusters.vlad,
    }

    def gathered(block: Pictures) -> list[Floats]:
        found = features.describe(block)
        return [gather(found) for gather in ways.values()]

    some = material.pictures[drawn(material.train, sizes.axes, rng)]
    columns = zip(*_in_blocks(gathered, some), strict=True)
    axes = [MainAxes.fit(np.concatenate(column), AXES[-1], SEED) for column in columns]
    share(0.2)

    def projected(block: Pictures) -> list[Floats]:
        return [_projected(*pair) for pair in zip(axes, gathered(block), strict=True)]

    parts = []
    for part in _in_blocks(projected, material.pictures):
        parts.append(part)
        share(0.2 + 0.6 * min(1.0, len(parts) * BLOCK / len(material.pictures)))
    found = []
    for way, main, column in zip(ways, axes, zip(*parts, strict=True), strict=True):

        def alone(picture: Pictures, way: str = way, main: MainAxes = main) -> Floats:
            return _projected(main, ways[way](features.describe(picture)))

        milliseconds = milliseconds_of(alone, material, sizes)
        found.append(head_figures(f"{title}, {way}", np.concatenate(column), milliseconds, material, sizes))
        share(0.8 + 0.1 * len(found))
    return found


def _hog(cell: int, settings: SvmSettings, material: Material, sizes: Sizes, share: Share) -> list[Features]:
    """HOG with the head, and with a support vector machine."""
    rng = np.random.default_rng(SEED)
    axes = MainAxes.fit(hog(material.pictures[drawn(material.train, sizes.axes, rng)], cell), AXES[-1], SEED)

    def vectors_of(pictures: Pictures) -> Floats:
        return _projected(axes, hog(pictures, cell))

    vectors = np.concatenate(list(_in_blocks(vectors_of, material.pictures)))
    milliseconds = milliseconds_of(vectors_of, material, sizes)
    with_softmax = head_figures("HOG, softmax head", vectors, milliseconds, material, sizes)
    share(0.3)
    short = np.ascontiguousarray(vectors[:, :SVM_AXES])
    machine = _svm(settings, short[material.train], material.labels[material.train])
    share(0.7)
    predicted = np.concatenate(list(_in_blocks(machine.predict, short[material.test])))
    share(0.9)
    vectors = vectors[:, : with_softmax.dimensions]
    with_machine = figures("HOG, SVM", vectors, predicted, milliseconds, material, sizes)
    return [with_softmax, replace(with_machine, settings=vars(settings), classified_by_dimensions=short.shape[1])]


def _svm(settings: SvmSettings, vectors: Floats, labels: Labels) -> Any:
    """A support vector machine with a Gaussian kernel, its gamma in units of the vectors' variance."""
    from sklearn.svm import SVC

    variance = float(vectors.var(axis=0).sum())
    return SVC(C=settings.C, gamma=settings.gamma / variance, cache_size=800).fit(vectors, labels)


def _projected(axes: MainAxes, vectors: Floats) -> Floats:
    """Vectors (n, d) on the axes, of length 1; those of zeros stay zero."""
    return unit(axes.of(vectors) * vectors.any(axis=1, keepdims=True))


def _in_blocks(work: Callable[[Any], T], pictures: npt.NDArray[Any]) -> Iterator[T]:
    """What `work` makes of each block of pictures (n, …), in order, on all cores."""
    # faiss's own threads in each of ours would only be in each other's way
    with ThreadPoolExecutor(cores(), initializer=faiss.omp_set_num_threads, initargs=(1,)) as pool:
        yield from pool.map(work, (pictures[start : start + BLOCK] for start in range(0, len(pictures), BLOCK)))


def _joined(blocks: list[LocalDescriptors]) -> LocalDescriptors:
    """The descriptors of the blocks as those of one."""
    starts = np.cumsum([0, *(block.n for block in blocks)])
    return LocalDescriptors(
        int(starts[-1]),
        np.concatenate([block.pictures + start for block, start in zip(blocks, starts, strict=False)]),
        np.concatenate([block.values for block in blocks]),
        np.concatenate([block.places for block in blocks]),
    )


def _share_of(step: str, progress: Progress | None) -> Share:
    """Progress of a step, 0 to 1, as percents of all steps."""
    names = list(STEPS)
    before = sum(STEPS[name] for name in names[: names.index(step)])
    return lambda done: progress(round(before + STEPS[step] * min(1.0, done)), 100) if progress else None
