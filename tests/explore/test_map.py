"""The map of a collection: worked out by hand on few vectors, the same again, kept in a file and made by a command."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from fashion16 import settings
from fashion16.catalogue.rows import EXCLUDED, Change
from fashion16.cli import index
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.errors import DataError, IndexFileError
from fashion16.explore import map
from fashion16.explore.map import ITERATIONS, CollectionMap, kept_map, neighbour_map, principal_map, sample
from fashion16.search.encoder import EncoderCard
from fashion16.types import Floats
from tests.fakes import reseal, unit_vectors

DIGEST = "d" * 64


def three_groups(each: int = 20, d: int = 60) -> Floats:
    """Unit vectors about three axes, one group after the other."""
    vectors = np.repeat(np.eye(3, d), each, axis=0) + 0.3 * unit_vectors(3 * each, d, seed=1)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def small_map() -> CollectionMap:
    return CollectionMap(np.array([3, 5, 8]), np.array([[0, 1], [2, 3], [4, 5]], np.float32), "t-SNE", DIGEST)


def exclude(workspace: Workspace, ids: Iterable[int]) -> None:
    with workspace.collection().catalogue() as catalogue:
        catalogue.decide_all([Change(item_id, 0, status=EXCLUDED) for item_id in ids], "somebody")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few iterations as scikit-learn allows."""
    monkeypatch.setattr(map, "ITERATIONS", 250)


def test_few_ids_are_all_sampled_and_of_many_each_part_gets_its_share() -> None:
    assert sample(np.array([9, 2, 5])).tolist() == [2, 5, 9]
    ids = np.arange(1, 70_001)
    found = sample(ids)
    assert len(found) == len(np.unique(found)) == 20_000
    assert (np.diff(found) > 0).all()
    # 2,000 are to be expected of each tenth, with a standard deviation of 36
    assert np.abs(np.bincount((found - 1) // 7000) - 2000).max() < 4 * 36
    assert found.tolist() == sample(ids).tolist() != sample(ids, seed=17).tolist()


def test_the_principal_map_turns_the_widest_direction_to_the_first_axis() -> None:
    # on a cross in the second and third of four dimensions, three times as long in the third
    points = np.array([[7, 0, 3, 1], [7, 0, -3, 1], [7, 1, 0, 1], [7, -1, 0, 1]], np.float32)
    assert principal_map(points) == pytest.approx(np.array([[3, 0], [-3, 0], [0, 1], [0, -1]]), abs=1e-5)


def test_the_principal_map_is_the_projection_with_the_largest_singular_values() -> None:
    vectors = unit_vectors(200, 30, seed=3) * np.linspace(3, 0.1, 30, dtype=np.float32)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    found = principal_map(vectors)
    assert np.abs(found) == pytest.approx(np.abs(left[:, :2] * values[:2]), abs=1e-3)
    assert found.dtype == np.float32
    assert (found == principal_map(vectors)).all()


@pytest.mark.parametrize(("n", "d"), [(0, 8), (1, 8), (2, 8), (3, 1)])
def test_very_few_items_have_a_map_too(n: int, d: int) -> None:
    vectors = np.linspace(1, 2, n * d, dtype=np.float32).reshape(n, d)
    for places in (principal_map(vectors), neighbour_map(vectors)):
        assert places.shape == (n, 2)
        assert np.isfinite(places).all()
        assert (places[:, 1] == pytest.approx(0, abs=1e-5)) if n else True


def test_on_the_neighbour_map_alike_items_lie_together() -> None:
    vectors = three_groups()
    places = neighbour_map(vectors)
    assert (places.shape, places.dtype) == ((60, 2), np.float32)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :5]
    group = np.arange(60) // 20
    assert (group[nearest] == group[:, None]).all()
    assert (places == neighbour_map(vectors)).all()


@pytest.mark.usefixtures("quick")
def test_equal_items_are_drawn_without_an_error() -> None:
    same = np.repeat(unit_vectors(1, 8, seed=2), 10, axis=0)
    assert np.abs(neighbour_map(same)).max() < 1e-5
    pairs = np.repeat(unit_vectors(2, 8, seed=2), 5, axis=0)
    assert np.isfinite(neighbour_map(pairs)).all()


def test_progress_counts_all_iterations_and_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int]] = []
    before = sys.stdout
    neighbour_map(three_groups(each=4), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, ITERATIONS) for done in range(0, ITERATIONS + 1, 50)]
    assert sys.stdout is before
    assert capsys.readouterr().out == ""


def test_a_map_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = small_map()
    written.write(tmp_path / "map.h5")
    found = CollectionMap.read(tmp_path / "map.h5", DIGEST)
    assert found is not None
    assert len(found) == 3
    assert found.ids.tolist() == [3, 5, 8]
    assert found.positions.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert (found.positions.dtype, found.method) == (np.float32, "t-SNE")


def test_a_map_of_nothing_is_a_map(tmp_path: Path) -> None:
    CollectionMap(np.zeros(0, np.int64), np.zeros((0, 2), np.float32), "t-SNE", DIGEST).write(tmp_path / "map.h5")
    found = CollectionMap.read(tmp_path / "map.h5", DIGEST)
    assert found is not None
    assert len(found) == 0


def test_a_map_that_is_missing_damaged_or_of_another_encoder_is_none(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    assert CollectionMap.read(path, DIGEST) is None
    small_map().write(path)
    assert CollectionMap.read(path, "e" * 64) is None
    whole = path.read_bytes()
    for broken in (b"", whole[:700], whole[:-1] + bytes([whole[-1] ^ 1]), b"something else"):
        path.write_bytes(broken)
        assert CollectionMap.read(path, DIGEST) is None


def test_a_map_whose_columns_do_not_fit_each_other_is_none(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    small_map().write(path)
    with h5py.File(path, "r+") as file:
        del file["ids"]
        file["ids"] = np.arange(2)
    reseal(path)
    assert CollectionMap.read(path, DIGEST) is None


@pytest.mark.usefixtures("quick")
def test_the_map_of_a_collection_holds_its_active_items_and_is_kept(small_workspace: Workspace) -> None:
    exclude(small_workspace, [7, 9])
    assert kept_map(small_workspace.collection()) is None
    made = map.make(small_workspace.collection())
    assert made.ids.tolist() == [item for item in range(1, 401) if item not in (7, 9)]
    found = kept_map(small_workspace.collection())
    assert found is not None
    assert (found.positions == made.positions).all()
    assert found.encoder_digest == EncoderCard.read(small_workspace.encoder_folder / "encoder.json").digest
    # most neighbours on the map carry the label of their neighbour; by chance it would be one in ten
    with small_workspace.collection().catalogue() as catalogue:
        labels = catalogue.active().labels
    distances = np.linalg.norm(made.positions[:, None] - made.positions[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.6


@pytest.mark.usefixtures("quick")
def test_a_large_collection_is_drawn_of_a_sample(small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map, "MOST", 50)
    made = map.make(small_workspace.collection())
    assert made.ids.tolist() == sample(np.arange(1, 401), 50).tolist()
    assert made.positions.shape == (50, 2)


def test_a_collection_that_is_not_there_is_one_sentence(small_workspace: Workspace) -> None:
    with pytest.raises(IndexFileError):
        map.make(small_workspace.collection("nothing"))
    exclude(small_workspace, range(1, 401))
    with pytest.raises(DataError, match="no pictures to draw a map of"):
        map.make(small_workspace.collection())


@pytest.mark.usefixtures("quick")
def test_the_command_makes_the_map_and_says_where_it_is(
    small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.HOME.variable, str(small_workspace.root))
    app = typer.Typer()
    app.command()(index.make_map)
    done = CliRunner().invoke(app, [DEFAULT_COLLECTION])
    assert done.exit_code == 0, done.output
    assert "400 pictures in" in done.output
    found = kept_map(small_workspace.collection())
    assert found is not None
    assert len(found) == 400
