"""The house is built as its plan says: which room may know which, and what no room of the core may do."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fashion16.collections.layout import ROOT_VARIABLE
from fashion16.collections.workspace import Workspace
from tests.conftest import REPOSITORY

LEVELS = (
    (
        "errors",
        "atomic",
        "sealed",
        "images",
        "distortions",
        "lsh",
        "garments",
        "projection",
        "label_tables",
        "layout",
        "locks",
        "idx_format",
        "catalogue_rows",
        "wording",
        "spreadsheets",
        "paper",
    ),
    (
        "augmentation",
        "batches",
        "network",
        "category_cnn",
        "runs",
        "checkpoints",
        "fitting",
        "clothing",
        "heap_files",
        "safe_http",
        "encoder",
        "references",
        "head",
        "partition",
        "index",
        "index_file",
        "migrations",
        "importers",
        "database",
        "catalogue_tables",
        "history",
        "decisions",
        "leases",
        "catalogue",
        "picture_store",
        "import_log",
        "pack_files",
        "jobs",
        "table_rewriting",
        "idx_labels",
        "keeping",
        "kept_results",
    ),
    (
        "search",
        "encoder_training",
        "encoder_export",
        "category_training",
        "embedding",
        "evaluation",
        "photo_quality",
        "heaps",
        "fetch",
        "url_tables",
        "crawl",
        "importing",
        "changed_items",
        "correction_files",
        "label_issues",
        "buckets",
        "probing",
        "index_health",
        "speed",
        "selections",
        "synthetic",
        "local_features",
        "machine",
        "paper_experiments",
        "paper_histories",
        "paper_searches",
        "vector_figures",
        "reproduction_report",
    ),
    (
        "collection",
        "workspace",
        "doctor",
        "quality",
        "encoder_making",
        "collecting",
        "packing",
        "holdings",
        "refitting",
        "suspicion",
        "mnist_files",
        "exports",
        "write_back",
        "correction_import",
        "index_writing",
        "index_tuning",
        "collection_map",
        "reproduction",
        "sift_experiment",
    ),
    ("terminal",),
    ("cli", "cli_train", "cli_collections", "cli_labels", "cli_index", "cli_explore", "cli_reproduce", "ui"),
    ("pages", "streamlit_app"),
)
# rooms of one level that may know each other
ARROWS = {
    ("atomic", "errors"),
    ("images", "errors"),
    ("sealed", "atomic"),
    ("layout", "errors"),
    ("locks", "errors"),
    ("idx_format", "errors"),
    ("idx_format", "images"),
    ("index_file", "index"),
    ("index_file", "partition"),
    ("index", "partition"),
    ("database", "migrations"),
    ("wording", "errors"),
    ("history", "catalogue_tables"),
    ("history", "database"),
    ("decisions", "catalogue_tables"),
    ("decisions", "history"),
    ("leases", "catalogue_tables"),
    ("leases", "database"),
    ("leases", "history"),
    ("catalogue", "catalogue_tables"),
    ("catalogue", "decisions"),
    ("catalogue", "history"),
    ("catalogue", "leases"),
    ("index_writing", "collection"),
    ("index_writing", "workspace"),
    ("refitting", "workspace"),
    ("suspicion", "workspace"),
    ("changed_items", "heaps"),
    ("write_back", "mnist_files"),
    ("write_back", "workspace"),
    ("correction_import", "exports"),
    ("correction_import", "workspace"),
    ("import_log", "database"),
    ("workspace", "collection"),
    ("doctor", "workspace"),
    ("doctor", "collection"),
    ("quality", "workspace"),
    ("encoder_making", "workspace"),
    ("collecting", "workspace"),
    ("packing", "workspace"),
    ("packing", "collection"),
    ("holdings", "workspace"),
    ("importing", "heaps"),
    ("label_issues", "search"),
    ("crawl", "heaps"),
    ("crawl", "fetch"),
    ("crawl", "url_tables"),
    ("url_tables", "heaps"),
    ("batches", "augmentation"),
    ("checkpoints", "runs"),
    ("fitting", "checkpoints"),
    ("fitting", "runs"),
    ("label_tables", "errors"),
    ("heap_files", "clothing"),
    ("head", "references"),
    ("photo_quality", "evaluation"),
    ("photo_quality", "search"),
    ("projection", "lsh"),
    ("cli", "cli_train"),
    ("cli", "cli_collections"),
    ("cli", "cli_labels"),
    ("cli_labels", "cli_train"),
    ("cli_collections", "cli_train"),
    ("evaluation", "search"),
    ("distortions", "images"),
    ("buckets", "evaluation"),
    ("probing", "evaluation"),
    ("index_health", "search"),
    ("speed", "evaluation"),
    ("speed", "search"),
    ("quality", "collection"),
    ("index_tuning", "index_writing"),
    ("index_tuning", "workspace"),
    ("index_tuning", "collection"),
    ("collection_map", "workspace"),
    ("cli", "cli_index"),
    ("cli", "cli_explore"),
    ("cli", "cli_reproduce"),
    ("paper_experiments", "evaluation"),
    ("paper_histories", "evaluation"),
    ("paper_histories", "category_training"),
    ("paper_searches", "evaluation"),
    ("paper_searches", "search"),
    ("paper_searches", "paper_experiments"),
    ("paper_searches", "synthetic"),
    ("vector_figures", "evaluation"),
    ("vector_figures", "local_features"),
    ("sift_experiment", "workspace"),
    ("reproduction", "collection"),
    ("reproduction", "quality"),
    ("reproduction", "sift_experiment"),
    ("reproduction", "workspace"),
    ("cli_index", "cli_train"),
    ("cli_explore", "cli_train"),
    ("ui", "ui"),
}
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
CORE = sorted((REPOSITORY / "fashion16").glob("*.py"))
HOUSE = [*CORE, *sorted((REPOSITORY / "ui").glob("*.py")), *sorted((REPOSITORY / "pages").glob("*.py"))]
HOUSE.append(REPOSITORY / "streamlit_app.py")


def room_of(path: Path) -> str:
    return path.parent.name if path.parent.name in ("ui", "pages") else path.stem


def imported_names(path: Path) -> set[str]:
    """Everything that the file imports anywhere in it, dotted: `from a import b` gives a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rooms_known(path: Path) -> set[str]:
    known = set()
    for name in imported_names(path):
        package, _, rest = name.partition(".")
        if package in ("ui", "pages", "streamlit_app"):
            known.add(package)
        # the package itself holds the version alone, and anybody may ask for it
        elif package == "fashion16" and rest != "__version__":
            known.add(rest.split(".")[0])
    return known


def calls(path: Path) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}


def test_every_room_has_its_place_in_the_plan() -> None:
    rooms = {room_of(path) for path in HOUSE} - {"__init__"}
    assert rooms == set(LEVEL_OF)


@pytest.mark.parametrize("path", HOUSE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_imports_only_go_down(path: Path) -> None:
    room = room_of(path)
    wrong = {
        known for known in rooms_known(path) if LEVEL_OF[known] >= LEVEL_OF.get(room, 0) and (room, known) not in ARROWS
    }
    assert not wrong


def test_each_arrow_between_rooms_of_one_level_is_walked() -> None:
    walked = {(room_of(path), known) for path in HOUSE for known in rooms_known(path)}
    level = {(room, known) for room, known in walked if LEVEL_OF.get(room) == LEVEL_OF[known]}
    assert level == ARROWS


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_core_does_not_know_streamlit(path: Path) -> None:
    assert "streamlit" not in {name.split(".")[0] for name in imported_names(path)}


@pytest.mark.parametrize("path", [path for path in CORE if path.name != "cli.py"], ids=lambda path: path.name)
def test_the_core_neither_prints_nor_exits(path: Path) -> None:
    assert calls(path).isdisjoint({"print", "sys.exit", "exit", "quit", "os._exit"})
    assert "sys.exit" not in imported_names(path)


@pytest.mark.parametrize("path", HOUSE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_is_imported_by_star(path: Path) -> None:
    assert not [name for name in imported_names(path) if name.endswith(".*")]


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_no_room_of_the_core_has_more_than_350_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350


def test_everything_has_a_name_that_says_what_it_is() -> None:
    assert {path.name for path in HOUSE}.isdisjoint({"utils.py", "util.py", "helpers.py", "misc.py", "common.py"})


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
        env=os.environ | {ROOT_VARIABLE: str(workspace.root)},
        capture_output=True,
        text=True,
        check=True,
    )
    found, modules = json.loads(done.stdout.splitlines()[-1])
    assert found == 20
    assert {name.split(".")[0] for name in modules}.isdisjoint({"tensorflow", "keras", "sklearn", "streamlit"})
