"""A real workspace with Fashion-MNIST's 70,000 pictures, made once per run; models and index are the repository's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from fashion16.catalogue.rows import ImportedItem
from fashion16.collections.embeddings import stored_embeddings
from fashion16.collections.importing import import_fashion_mnist
from fashion16.collections.indexing import build_index
from fashion16.collections.layout import DATABASE_VARIABLE
from fashion16.collections.opened import Collection
from fashion16.collections.workspace import Workspace
from fashion16.search.encoder import EncoderCard
from fashion16.sources.fashion_mnist import find_fashion_mnist

pytest_plugins = ["tests.browsing"]

# by hand the properties are tried on new examples each time, in CI on the same ones: a change is judged by itself
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

REPOSITORY = Path(__file__).resolve().parent.parent

# a database of the user's own must not fill with the tests' items
os.environ.pop(DATABASE_VARIABLE, None)


@pytest.fixture(scope="session")
def fashion_mnist_folder() -> Path:
    """The four original files, found or fetched as the program itself does."""
    return find_fashion_mnist(REPOSITORY / "data" / "downloads")


@pytest.fixture(scope="session")
def workspace(fashion_mnist_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace of the test run's own: no test touches the user's catalogue."""
    root = tmp_path_factory.mktemp("workspace")
    shutil.copytree(REPOSITORY / "models", root / "models")
    shutil.copytree(REPOSITORY / "indexes", root / "indexes")
    downloads = root / "data" / "downloads"
    downloads.parent.mkdir()
    downloads.symlink_to(fashion_mnist_folder)
    made = Workspace(root)
    import_fashion_mnist(made.collection())
    return made


@pytest.fixture(scope="session")
def collection(workspace: Workspace) -> Collection:
    """The opened collection; tests that change labels make their own workspace."""
    return workspace.open()


@pytest.fixture(scope="session")
def small_template(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a workspace with the first 400 pictures, their embeddings, a head and an index."""
    root = tmp_path_factory.mktemp("small")
    (root / "models").mkdir()
    (root / "models" / "encoder").symlink_to(REPOSITORY / "models" / "encoder")
    digest = EncoderCard.read(REPOSITORY / "models" / "encoder" / "encoder.json").digest
    made = Workspace(root)
    with workspace.collection().catalogue() as everything, made.collection().catalogue() as few:
        found = everything.items(range(1, 401))
        few.add(ImportedItem(int(i.position or 0), i.sha256, str(i.label), i.split, i.source) for i in found)
    np.save(made.collection().pictures_file, workspace.collection().pictures()[:400])
    _, embeddings, side = stored_embeddings(workspace.collection(), digest)
    np.save(made.collection().embeddings_file(digest, side), embeddings[:400])
    build_index(made.collection())
    return root


@pytest.fixture
def small_workspace(small_template: Path, tmp_path: Path) -> Workspace:
    """A small workspace of the test's own, to be changed and damaged."""
    return Workspace(shutil.copytree(small_template, tmp_path / "small", symlinks=True))


@pytest.fixture(scope="session")
def vgg16_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of VGG-16's weights without its top, drawn at random."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # here, because its import takes seconds and only two rooms' tests need it

    path = tmp_path_factory.mktemp("vgg16") / "vgg16.weights.h5"
    keras.utils.set_random_seed(16)
    keras.applications.VGG16(weights=None, include_top=False).save_weights(path)
    return path
