"""A real workspace with Fashion-MNIST's 70,000 pictures, made once per run; models and index are the repository's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fashion16.collection import Collection
from fashion16.importers import find_fashion_mnist
from fashion16.workspace import Workspace

REPOSITORY = Path(__file__).resolve().parent.parent


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
    made.import_fashion_mnist()
    return made


@pytest.fixture(scope="session")
def collection(workspace: Workspace) -> Collection:
    """The opened collection; tests that change labels make their own workspace."""
    return workspace.open()
