"""The list of collections, and what removing and renaming leave behind: nothing, and nothing of another's."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from fashion16.catalogue.migrations import TABLES
from fashion16.catalogue.rows import ImportedItem
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.manage import names, remove, rename
from fashion16.collections.pack_files import PackCard
from fashion16.collections.workspace import Workspace
from fashion16.errors import BusyError, CatalogueError, WorkspaceError
from fashion16.files import locks
from fashion16.files.locks import only_one
from tests.catalogue import test_postgresql

url = test_postgresql.url  # a real server


def make(workspace: Workspace, name: str) -> None:
    """A collection with every kind of file that one can have, as small as can be, and one item."""
    with workspace.collection(name).catalogue() as catalogue:
        catalogue.add([ImportedItem(None, "a" * 64, "Coat", "train", name, f"aa/{'a' * 64}.png", 9, 9)])
    for path in (
        workspace.collection(name).data_folder / "thumbnails" / "aa" / "a.png",
        workspace.collection(name).data_folder / "embeddings-1-64.npy",
        workspace.collection(name).pack_folder / "thumbnails" / "aa" / "a.png",
        workspace.collection(name).head_file,
        workspace.collection(name).evaluation_file,
        workspace.collection(name).index_file,
        workspace.collection(name).job_folder / "log.txt",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    PackCard(name, "", 1, 1, 0, 320, "").write(workspace.collection(name).pack_folder / "pack.json")


def label_of(workspace: Workspace, name: str) -> str | None:
    with workspace.collection(name).catalogue() as catalogue:
        return catalogue.item(1).label


def below(folder: Path) -> set[str]:
    """Everything below a folder, as paths without links followed."""
    return {
        os.path.relpath(os.path.join(root, name), folder)
        for root, folders, files in os.walk(folder)
        for name in (*folders, *files)
    }


def left_of(workspace: Workspace, name: str) -> set[str]:
    return {path for path in below(workspace.root) if name in path}


@pytest.fixture
def two(tmp_path: Path) -> Workspace:
    """A workspace with the collections bags and shoes."""
    made = Workspace(tmp_path / "home")
    make(made, "bags")
    make(made, "shoes")
    return made


# the list


def test_a_workspace_without_collections_has_the_one_that_comes_with_it(tmp_path: Path) -> None:
    assert names(Workspace(tmp_path)) == [DEFAULT_COLLECTION]
    assert list(tmp_path.iterdir()) == []


def test_a_collection_is_known_by_its_catalogue_pictures_thumbnails_or_pack(tmp_path: Path) -> None:
    for file in (
        "data/a/catalogue.sqlite",
        "data/b/pictures.npy",
        "data/c/thumbnails/aa/a.png",
        "packs/d/pack.json",
        "packs/a/pack.json",
        # none of these is one
        "data/e/import.lock",
        "data/f/pictures/aa/a.png",
        "packs/g/catalogue.csv",
        "data/Upper/catalogue.sqlite",
        "data/.a.removed/catalogue.sqlite",
        "packs/under_score/pack.json",
        "data/downloads/pictures.npy",
        "data/jobs/thumbnails/x",
        "packs/encoder/pack.json",
        "data/catalogue.sqlite",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert names(Workspace(tmp_path)) == ["a", "b", "c", "d", DEFAULT_COLLECTION]


# removing


def test_removing_leaves_nothing_of_it_and_all_of_the_others(two: Workspace) -> None:
    everything = below(two.root)
    of_it = left_of(two, "bags")
    assert len(of_it) > 12
    remove(two.collection("bags"))
    assert below(two.root) == everything - of_it
    assert names(two) == [DEFAULT_COLLECTION, "shoes"]


@pytest.mark.parametrize("part", ["data", "packs", "models", "indexes", "data/jobs"])
def test_what_has_one_part_only_is_removed(two: Workspace, part: str) -> None:
    for other in {"data", "packs", "models", "indexes", "data/jobs"} - {part}:
        path = two.root / other / ("bags.h5" if other == "indexes" else "bags")
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    remove(two.collection("bags"))
    assert left_of(two, "bags") == set()


def test_the_collection_that_comes_with_it_stays(two: Workspace) -> None:
    make(two, DEFAULT_COLLECTION)
    before = below(two.root)
    with pytest.raises(WorkspaceError, match="“fashion-mnist” comes with Fashion-16 and stays."):
        remove(two.collection())
    with pytest.raises(WorkspaceError, match="“fashion-mnist” comes with Fashion-16 and stays."):
        rename(two.collection(), "mine")
    assert below(two.root) == before


def test_an_unknown_or_impossible_name_changes_nothing(two: Workspace) -> None:
    before = below(two.root)
    unknown = "There is no collection called “hats”. There are: bags, fashion-mnist, shoes."
    with pytest.raises(WorkspaceError, match=unknown):
        remove(two.collection("hats"))
    with pytest.raises(WorkspaceError, match=unknown):
        rename(two.collection("hats"), "caps")
    for name in ("", ".", "..", "../bags", "downloads", "jobs", "encoder", "/bags", "Bags"):
        with pytest.raises(WorkspaceError, match="cannot be called"):
            remove(two.collection(name))
        with pytest.raises(WorkspaceError, match="cannot be called"):
            rename(two.collection("bags"), name)
    assert below(two.root) == before


def test_what_is_being_filled_is_neither_removed_nor_renamed(two: Workspace) -> None:
    with only_one(two.collection("bags").import_lock):
        before = below(two.root)
        with pytest.raises(BusyError, match="Another process is at work on “bags”"):
            remove(two.collection("bags"))
        with pytest.raises(BusyError, match="Another process is at work on “bags”"):
            rename(two.collection("bags"), "hats")
        assert below(two.root) == before
    remove(two.collection("bags"))


def test_what_the_app_is_at_work_on_is_neither_removed_nor_renamed(two: Workspace) -> None:
    (two.collection("bags").job_folder / "job.json").write_text('{"arguments": ["index", "bags"]}')
    handle = locks.take(two.collection("bags").job_folder / "lock")
    assert handle is not None
    before = below(two.root)
    with pytest.raises(BusyError, match="“bags” is being worked on"):
        remove(two.collection("bags"))
    with pytest.raises(BusyError, match="“bags” is being worked on"):
        rename(two.collection("bags"), "hats")
    assert below(two.root) == before
    os.close(handle)
    remove(two.collection("bags"))
    assert left_of(two, "bags") == set()


def link(path: Path, elsewhere: Path) -> Path:
    """Move what lies at `path` elsewhere, and link to it."""
    elsewhere.parent.mkdir(exist_ok=True)
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)
    return elsewhere


def test_of_a_link_the_link_alone_is_removed(two: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for number, path in enumerate(
        (
            two.collection("bags").data_folder,
            two.collection("bags").pack_folder,
            two.collection("bags").index_file,
            two.collection("bags").head_file.parent,
        )
    ):
        link(path, outside / str(number))
    # and of a link inside it, too
    (two.collection("bags").job_folder / "inside").symlink_to(two.collection("shoes").data_folder)
    before, shoes = below(outside), left_of(two, "shoes")
    remove(two.collection("bags"))
    assert below(outside) == before
    assert left_of(two, "bags") == set()
    assert left_of(two, "shoes") == shoes
    assert label_of(two, "shoes") == "Coat"


def test_a_link_is_renamed_as_a_link(two: Workspace, tmp_path: Path) -> None:
    outside = link(two.collection("bags").data_folder, tmp_path / "outside" / "data")
    before = below(outside)
    rename(two.collection("bags"), "hats")
    assert two.collection("hats").data_folder.readlink() == outside
    assert below(outside) == before
    assert label_of(two, "hats") == "Coat"


def test_a_link_to_nowhere_is_removed(two: Workspace) -> None:
    shutil.rmtree(two.collection("bags").data_folder)
    two.collection("bags").data_folder.symlink_to(two.root / "nowhere")
    remove(two.collection("bags"))
    assert left_of(two, "bags") == set()


class Killed(BaseException):
    """As good as a kill: nobody catches it."""


def dying(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Die at the next change of the disk after the given number."""
    left = after

    def counted(real):  # type: ignore[no-untyped-def]
        def change(*arguments: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real(*arguments, **options)

        return change

    for owner, name in ((Path, "rename"), (Path, "touch"), (Path, "unlink"), (shutil, "rmtree"), (os, "replace")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))


@pytest.mark.parametrize("after", range(9))
def test_a_removal_that_was_cut_short_is_finished_by_the_next_one(
    two: Workspace, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    with monkeypatch.context() as dies:
        dying(dies, after)
        with pytest.raises(Killed):
            remove(two.collection("bags"))
    # it is in the list with its catalogue and pictures, or as its pack, or not at all
    if "bags" in names(two) and two.collection("bags").data_folder.exists():
        assert after <= 1
        assert label_of(two, "bags") == "Coat"
    elif "bags" in names(two):
        assert after <= 3
        assert PackCard.read(two.collection("bags").pack_folder / "pack.json").items == 1
        assert (two.collection("bags").pack_folder / "thumbnails" / "aa" / "a.png").is_file()
    remove(two.collection("bags"))
    assert left_of(two, "bags") == set()
    with pytest.raises(WorkspaceError, match="There is no collection"):
        remove(two.collection("bags"))


def test_a_folder_that_may_not_be_changed_is_our_own_error(two: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, to: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as refused:
        refused.setattr(Path, "rename", refuse)
        with pytest.raises(
            WorkspaceError, match="could not be changed .Permission denied.*it goes on where it was"
        ) as e:
            remove(two.collection("bags"))
        assert e.value.path == two.collection("bags").data_folder
        with pytest.raises(WorkspaceError, match="could not be changed .Permission denied.*it goes on where it was"):
            rename(two.collection("bags"), "hats")
    assert label_of(two, "bags") == "Coat"


# renaming


def test_renaming_moves_everything_and_nothing_of_the_others(two: Workspace) -> None:
    before = below(two.root)
    rename(two.collection("bags"), "hats-2026")
    assert below(two.root) - {"data/hats-2026/import.lock"} == {path.replace("bags", "hats-2026") for path in before}
    assert names(two) == [DEFAULT_COLLECTION, "hats-2026", "shoes"]
    assert label_of(two, "hats-2026") == "Coat"
    assert PackCard.read(two.collection("hats-2026").pack_folder / "pack.json").name == "hats-2026"
    assert two.collection("hats-2026").head_file.read_text() == "bags"
    rename(two.collection("hats-2026"), "bags")
    assert below(two.root) - {"data/bags/import.lock"} == before


@pytest.mark.parametrize("part", ["data", "packs", "models", "indexes", "data/jobs"])
def test_a_name_of_which_anything_is_left_is_taken(two: Workspace, part: str) -> None:
    (two.root / part / ("hats.h5" if part == "indexes" else "hats")).mkdir()
    before = below(two.root)
    with pytest.raises(WorkspaceError, match="There is a collection called “hats” already. Choose another name."):
        rename(two.collection("bags"), "hats")
    for taken in ("shoes", "bags", DEFAULT_COLLECTION):
        with pytest.raises(WorkspaceError, match=f"There is a collection called “{taken}” already"):
            rename(two.collection("bags"), taken)
    assert below(two.root) - before <= {"data/bags/import.lock"}


@pytest.mark.parametrize("after", range(10))
def test_a_renaming_that_was_cut_short_is_finished_by_the_next_one(
    two: Workspace, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    before = below(two.root)
    with monkeypatch.context() as dies:
        dying(dies, after)
        with pytest.raises(Killed):
            rename(two.collection("bags"), "hats")
    if left_of(two, "bags"):
        rename(two.collection("bags"), "hats")
    left = {path for path in below(two.root) if not path.endswith((".partial", "hats/import.lock"))}
    assert left == {path.replace("bags", "hats") for path in before}
    assert label_of(two, "hats") == "Coat"


def test_a_pack_that_was_never_opened_is_renamed_and_removed(two: Workspace) -> None:
    shutil.rmtree(two.collection("bags").data_folder)
    rename(two.collection("bags"), "hats")
    assert "hats" in names(two)
    assert not two.collection("hats").data_folder.exists()
    remove(two.collection("hats"))
    assert left_of(two, "hats") == set()


def test_a_pack_with_a_broken_card_is_renamed_all_the_same(two: Workspace) -> None:
    (two.collection("bags").pack_folder / "pack.json").write_text("{")
    rename(two.collection("bags"), "hats")
    assert (two.collection("hats").pack_folder / "pack.json").read_text() == "{"


# a catalogue on a server


@pytest.fixture
def served(two: Workspace, url: str) -> Workspace:
    """The same two collections with their catalogues on a server."""
    made = Workspace(two.root, url)
    with made.collection("bags").catalogue() as catalogue, catalogue.writing() as connection:
        for name in schemas(made):
            connection.execute(sa.schema.DropSchema(name, cascade=True))
    for name in ("bags", "shoes"):
        make(made, name)
    return made


def schemas(workspace: Workspace) -> set[str]:
    engine = sa.create_engine(str(workspace.database_url))
    found = set(sa.inspect(engine).get_schema_names()) - {"public", "information_schema"}
    engine.dispose()
    return {name for name in found if not name.startswith("pg_")}


def execute(workspace: Workspace, *statements: str) -> None:
    engine = sa.create_engine(str(workspace.database_url))
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_removing_drops_the_schema(served: Workspace) -> None:
    assert schemas(served) == {"bags", "shoes"}
    remove(served.collection("bags"))
    assert schemas(served) == {"shoes"}
    assert left_of(served, "bags") == set()
    assert label_of(served, "shoes") == "Coat"


def test_a_schema_alone_is_removed(served: Workspace) -> None:
    for path in (*served.root.glob("*/bags*"), *served.root.glob("data/jobs/bags")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    remove(served.collection("bags"))
    assert schemas(served) == {"shoes"}


def test_renaming_renames_the_schema(served: Workspace) -> None:
    with served.collection("bags").catalogue() as catalogue:
        correction = catalogue.correct(1, "Bag", "ann", 0)
    # a name that means something in SQL, and one that must be quoted
    for old, new in (("bags", "select"), ("select", "2-hats-")):
        rename(served.collection(old), new)
    assert schemas(served) == {"2-hats-", "shoes"}
    with served.collection("2-hats-").catalogue() as catalogue:
        assert catalogue.history(1) == [correction]
    remove(served.collection("2-hats-"))
    assert schemas(served) == {"shoes"}


def test_a_name_that_has_a_schema_is_taken(served: Workspace) -> None:
    with served.collection("hats").catalogue():
        pass
    with pytest.raises(WorkspaceError, match="There is a collection called “hats” already"):
        rename(served.collection("bags"), "hats")
    assert label_of(served, "bags") == "Coat"


@pytest.mark.parametrize(
    "foreign", ["CREATE TABLE bags.users (id int)", "CREATE VIEW bags.coats AS SELECT * FROM bags.items"]
)
def test_a_schema_with_other_tables_than_ours_is_not_touched(served: Workspace, foreign: str) -> None:
    execute(served, foreign)
    before = below(served.root)
    with pytest.raises(CatalogueError, match="is not Fashion-16's alone: it has (users|coats). Nothing was changed"):
        remove(served.collection("bags"))
    with pytest.raises(CatalogueError, match="is not Fashion-16's alone"):
        rename(served.collection("bags"), "hats")
    assert below(served.root) - before <= {"data/bags/import.lock"}
    assert label_of(served, "bags") == "Coat"


def test_a_schema_of_another_program_is_not_touched(served: Workspace) -> None:
    execute(served, "CREATE SCHEMA hats", "CREATE TABLE hats.items (id int)")
    with pytest.raises(CatalogueError, match="it has no tables of ours"):
        remove(served.collection("hats"))
    with pytest.raises(CatalogueError, match="it has no tables of ours"):
        rename(served.collection("bags"), "hats")
    execute(served, "DROP TABLE hats.items", "DROP SCHEMA hats")
    assert label_of(served, "bags") == "Coat"


def test_our_tables_are_those_that_a_new_catalogue_has(served: Workspace) -> None:
    engine = sa.create_engine(str(served.database_url))
    assert set(sa.inspect(engine).get_table_names("bags")) == TABLES
    engine.dispose()


def test_a_removal_waits_for_somebody_who_writes(served: Workspace) -> None:
    removing = threading.Thread(target=remove, args=(served.collection("bags"),))
    with served.collection("bags").catalogue() as catalogue, catalogue.writing() as connection:
        connection.execute(sa.text("UPDATE bags.items SET label = 'Bag'"))
        removing.start()
        removing.join(0.3)
        assert removing.is_alive()
    removing.join(10)
    assert schemas(served) == {"shoes"}


def test_a_server_that_does_not_answer_leaves_everything(two: Workspace) -> None:
    for address in ("postgresql+psycopg://nobody@127.0.0.1:1/nothing", "nosuchdatabase://host/name", "nonsense"):
        away = Workspace(two.root, address)
        with pytest.raises(CatalogueError, match="cannot be used"):
            remove(away.collection("bags"))
        with pytest.raises(CatalogueError, match="cannot be used"):
            rename(away.collection("bags"), "hats")
    assert label_of(two, "bags") == "Coat"
