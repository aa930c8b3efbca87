"""The experiment as a whole, on so few pictures that it takes seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.paper import sift
from experiments.paper.local_features import Grid, LocalDescriptors
from experiments.paper.vector_figures import Sizes
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.errors import DataError

TINY = Sizes(300, 40, 50, 20, 80, 40, 100, 60, 100, 3, choices=1)
FIGURES = ("accuracy", "precision_at_20_in_category", "precision_at_20_direct")
NAMES = [
    "SIFT keypoints, not enlarged, bag of words",
    "SIFT keypoints, not enlarged, VLAD",
    "SIFT keypoints, enlarged, bag of words",
    "SIFT keypoints, enlarged, VLAD",
    "Dense SIFT, enlarged, bag of words",
    "Dense SIFT, enlarged, VLAD",
    "HOG, softmax head",
    "HOG, SVM",
]


@pytest.fixture(scope="module")
def tiny() -> pytest.MonkeyPatch:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sift, "QUICK", TINY)
        patch.setattr(sift, "VLAD_WORDS", 16)
        patch.setattr(sift, "BAG_WORDS", 100)
        yield patch


@pytest.fixture(scope="module")
def measured(
    workspace: Workspace, tmp_path_factory: pytest.TempPathFactory, tiny: pytest.MonkeyPatch
) -> tuple[sift.Sift, Path, list[int]]:
    """What a run found, the folder of its steps, and the percents that it reported."""
    folder, seen = tmp_path_factory.mktemp("sift"), []
    found = sift.run(workspace, DEFAULT_COLLECTION, folder, True, lambda done, _: seen.append(done))
    return found, folder, seen


def test_every_method_states_its_figures_with_interval_and_sample(measured: tuple[sift.Sift, Path, list[int]]) -> None:
    found, _, _ = measured
    assert [method.name for method in found.methods] == NAMES
    for method in [*found.methods, found.cnn]:
        assert [getattr(method, name).n for name in FIGURES] == [50, 20, 20]
        for name in FIGURES:
            figure = getattr(method, name)
            assert 0 <= figure.low <= figure.value <= figure.high <= 1
        # nobody needs luck to be better than one in ten
        assert method.accuracy.low > 0.1
        assert method.ms_per_picture > 0


def test_small_pictures_as_they_are_leave_some_without_descriptors(measured: tuple[sift.Sift, Path, list[int]]) -> None:
    naive, _, _, _, dense, *_ = measured[0].methods
    assert 0 < naive.without_descriptors < 0.5
    assert naive.accuracy.value <= 1 - naive.without_descriptors
    assert dense.without_descriptors == 0


def test_progress_only_rises_and_ends_at_all(measured: tuple[sift.Sift, Path, list[int]]) -> None:
    seen = measured[2]
    assert seen == sorted(seen) and seen[-1] == 100


def test_an_interrupted_run_repeats_only_what_is_missing(
    measured: tuple[sift.Sift, Path, list[int]], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, folder, _ = measured
    (folder / "sift-hog.json").unlink()
    (folder / "sift-cnn.json").write_text('{"key": ')  # cut off

    def repeated(*_: object) -> None:
        raise AssertionError("a step that was kept is made again")

    monkeypatch.setattr(sift, "_sift", repeated)
    monkeypatch.setattr(sift, "_choose", repeated)
    again = sift.run(workspace, DEFAULT_COLLECTION, folder, True)
    assert again.settings == found.settings
    assert again.methods[:6] == found.methods[:6]
    for one, other in zip([*again.methods[6:], again.cnn], [*found.methods[6:], found.cnn], strict=True):
        assert [getattr(one, name) for name in FIGURES] == [getattr(other, name) for name in FIGURES]


def test_steps_of_another_version_are_made_anew(
    measured: tuple[sift.Sift, Path, list[int]], workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, folder, _ = measured
    for file in folder.glob("*.json"):
        (tmp_path / file.name).write_text(file.read_text())
    monkeypatch.setattr(sift, "VERSION", -1)
    monkeypatch.setattr(sift, "_choose", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sift.run(workspace, DEFAULT_COLLECTION, tmp_path, True)
    assert json.loads((tmp_path / "sift-cnn.json").read_text())["key"]["version"] == -1


def test_a_collection_without_test_pictures_says_so(small_workspace: Workspace, tmp_path: Path) -> None:
    with small_workspace.collection().catalogue() as catalogue:
        assert "test" not in catalogue.labels().splits
    with pytest.raises(DataError, match="test split"):
        sift.run(small_workspace, DEFAULT_COLLECTION, tmp_path, True)


def test_blocks_joined_are_what_one_block_would_be() -> None:
    pictures = np.kron(np.random.default_rng(16).integers(0, 256, (5, 7, 7), np.uint8), np.ones((4, 4), np.uint8))
    pictures[2] = 0
    features = Grid(56, 14, (16,))
    joined = sift._joined([features.describe(pictures[:3]), features.describe(pictures[3:])])
    whole: LocalDescriptors = features.describe(pictures)
    assert joined.n == whole.n == 5
    assert joined.pictures.tolist() == whole.pictures.tolist()
    assert joined.values.tolist() == whole.values.tolist()
    assert joined.described.tolist() == [True, True, False, True, True]
