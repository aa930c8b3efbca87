"""What the tests share: workspaces that are made once per run, and the order of the files.

`make test` runs several processes. Each of them takes whole files, in the order of FIRST; they share the workspaces.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner import script_runner

from fashion16 import settings
from fashion16.catalogue.rows import ImportedItem
from fashion16.collections.embeddings import stored_embeddings
from fashion16.collections.importing import import_fashion_mnist
from fashion16.collections.indexing import build_index
from fashion16.collections.opened import Collection
from fashion16.collections.workspace import Workspace
from fashion16.sources.fashion_mnist import find_fashion_mnist
from tests.pictures import link_encoder

pytest_plugins = ["tests.browsing"]

# by hand the properties are tried on new examples each time, in CI on the same ones: a change is judged by itself
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

REPOSITORY = Path(__file__).resolve().parent.parent

# a database of the user's own must not fill with the tests' items
os.environ.pop(settings.DATABASE_URL.variable, None)
os.environ["COLUMNS"] = "120"  # of the terminal that commands print to


# the longest files first: at the end of a run no process should wait for another's long file
FIRST = (
    "test_browser_collections",
    "test_train_command",
    "test_browser_metrics",
    "test_browser_labels",
    "test_browser_search",
    "test_workspace",
    "test_browser_explorer",
    "test_browser_quality",
    "test_browser_follow",
    "test_encoder_training",
    "test_search_pages",
    "test_evaluation",
    "test_follow_pages",
    "test_reliability",
    "test_cli",
    "test_packing",
    "test_explorer_pages",
    "test_refitting",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="repeat kills ten times as often, as `make test-all` does")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: at for at, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(FIRST)))


@pytest.fixture(scope="session", autouse=True)
def one_scan_of_packages() -> None:
    """Every AppTest reads the metadata of all installed packages to find components, which takes a second each."""
    manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


@pytest.fixture(scope="session", autouse=True)
def no_clearing_of_keras() -> None:
    """After each run of a page Streamlit clears Keras, which collects the garbage of a process that loaded TensorFlow.

    The app itself never loads it: tests/test_imports.py.
    """
    script_runner._clean_problem_modules = lambda: None


@pytest.fixture(scope="session")
def repeated(pytestconfig: pytest.Config) -> Callable[[int], int]:
    """How often to repeat a step: the given number of times with --all, else a tenth of it."""
    everything = bool(pytestconfig.getoption("--all"))
    return lambda times: times if everything else -(-times // 10)


@contextmanager
def one_at_a_time(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """The folder that the processes of a run share; the others wait while the block runs."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the folder of a process lies in that of the run
    folder = folder / "shared"
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # unlike fashion16.locks, this waits
        yield folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first process to need it makes, and that all processes of the run read."""
    with one_at_a_time(factory, name) as shared:
        folder, done = shared / name, shared / f"{name}.done"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed on its way
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def facts(workspace: Workspace) -> tuple[object, ...]:
    """What nobody who only reads a workspace changes: its files and the state of its labels."""
    files = {
        path.relative_to(workspace.root): path.stat().st_size
        for path in workspace.root.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))  # SQLite has these while it is read
    }
    with workspace.collection().catalogue() as catalogue:
        return files, catalogue.revision(), catalogue.label_counts()


@pytest.fixture(scope="session")
def fashion_mnist_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four original files, found or fetched as the program itself does."""
    with one_at_a_time(tmp_path_factory, "fashion-mnist"):
        return find_fashion_mnist(REPOSITORY / "data" / "downloads")


@pytest.fixture(scope="session")
def workspace(fashion_mnist_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace of the test run's own, only to be read: no test touches the user's catalogue."""

    def make(root: Path) -> None:
        shutil.copytree(REPOSITORY / "models", root / "models")
        shutil.copytree(REPOSITORY / "indexes", root / "indexes")
        downloads = root / "data" / "downloads"
        downloads.parent.mkdir()
        downloads.symlink_to(fashion_mnist_folder)
        import_fashion_mnist(Workspace(root).collection())

    made = Workspace(made_once(tmp_path_factory, "workspace", make))
    before = facts(made)
    yield made
    assert facts(made) == before, "a test has changed the workspace that all tests share"


@pytest.fixture(scope="session")
def collection(workspace: Workspace) -> Collection:
    """The opened collection; tests that change labels make their own workspace."""
    return workspace.open()


@pytest.fixture(scope="session")
def quick_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an encoder that takes a tenth of the time for a photo."""
    return made_once(tmp_path_factory, "encoder", link_encoder)


def first_pictures(n: int, root: Path, everything: Workspace, encoder: Path) -> Workspace:
    """A new workspace with the first n pictures of another one, their embeddings, a head and an index."""
    (root / "models").mkdir(parents=True)
    (root / "models" / "encoder").symlink_to(encoder)
    made = Workspace(root)
    digest = made.collection().card.digest
    with everything.collection().catalogue() as many, made.collection().catalogue() as few:
        found = many.items(range(1, n + 1))
        few.add(ImportedItem(int(i.position or 0), i.sha256, str(i.label), i.split, i.source) for i in found)
    np.save(made.collection().pictures_file, everything.collection().pictures()[:n])
    _, embeddings, side = stored_embeddings(everything.collection(), digest)
    np.save(made.collection().embeddings_file(digest, side), embeddings[:n])
    build_index(made.collection())
    return made


@pytest.fixture(scope="session")
def small_template(workspace: Workspace, quick_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a workspace with the first 400 pictures, their embeddings, a head and an index."""
    return made_once(tmp_path_factory, "small", lambda root: first_pictures(400, root, workspace, quick_encoder))


@pytest.fixture
def small_workspace(small_template: Path, tmp_path: Path) -> Workspace:
    """A small workspace of the test's own, to be changed and damaged."""
    return Workspace(shutil.copytree(small_template, tmp_path / "small", symlinks=True))


@pytest.fixture(scope="session")
def vgg16_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of VGG-16's weights without its top, drawn at random."""

    def make(folder: Path) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import keras  # here, because its import takes seconds and only two modules' tests need it

        keras.utils.set_random_seed(16)
        keras.applications.VGG16(weights=None, include_top=False).save_weights(folder / "vgg16.weights.h5")

    return made_once(tmp_path_factory, "vgg16", make) / "vgg16.weights.h5"
