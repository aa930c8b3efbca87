"""What import-linter cannot say: what a search really loads, and how the folders are kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

from fashion16 import settings
from fashion16.collections.workspace import Workspace
from tests.conftest import REPOSITORY

MODULES = [path for folder in ("fashion16", "ui", "experiments") for path in (REPOSITORY / folder).rglob("*.py")]


def test_a_search_loads_neither_the_training_libraries_nor_the_pages(workspace: Workspace) -> None:
    program = """
import json, sys
from fashion16.collections.workspace import Workspace
collection = Workspace().open()
answer = collection.find(collection.classify(collection.picture(collection.random_ids(1, seed=0)[0])))
print(json.dumps([len(answer.results), sorted(sys.modules)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env=os.environ | {settings.HOME.variable: str(workspace.root)},
        capture_output=True,
        text=True,
        check=True,
    )
    found, modules = json.loads(done.stdout.splitlines()[-1])
    assert found == 20
    assert {name.split(".")[0] for name in modules}.isdisjoint({"tensorflow", "keras", "sklearn", "streamlit"})


def test_no_folder_has_more_than_sixteen_modules() -> None:
    counts = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert {folder: n for folder, n in counts.items() if n > 16} == {}


def test_every_module_has_a_name_that_says_what_it_is() -> None:
    assert {path.name for path in MODULES}.isdisjoint({"utils.py", "util.py", "helpers.py", "misc.py", "common.py"})
