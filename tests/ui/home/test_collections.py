"""The home page as a script, with collections of a person's own: what it promises, asked of the workspace."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from fashion16 import settings
from fashion16.collections import manage
from fashion16.collections.importing import Source, import_source
from fashion16.collections.indexing import build_index
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.packing import pack
from fashion16.collections.workspace import Workspace
from tests.reading import as_read
from ui.home import collections
from ui.shared import access


@pytest.fixture(scope="module")
def template(small_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a workspace with the first pictures of Fashion-MNIST, and a shop of two labels, one of them small."""
    made = Workspace(shutil.copytree(small_template, tmp_path_factory.mktemp("shelf") / "home", symlinks=True))
    heap = tmp_path_factory.mktemp("heap")
    rng = np.random.default_rng(4)
    for label, n in {"Scarf": 12, "Glove": 3}.items():
        (heap / label).mkdir(parents=True)
        for number in range(n):
            pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((30, 30)).save(heap / label / f"{number}.png")
    Image.fromarray(rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)).save(heap / "unknown.png")
    (heap / "Glove" / "torn.png").write_bytes(b"torn")
    import_source(made.collection("shop"), Source(heap))
    build_index(made.collection("shop"))
    return made.root


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Workspace:
    """Such a workspace of the test's own."""
    return Workspace(shutil.copytree(template, tmp_path / "small", symlinks=True))


def chosen(app: AppTest, name: str) -> AppTest:
    app.query_params["collection"] = name
    app.run()
    assert not app.exception
    return app


def captions(app: AppTest) -> str:
    return "\n".join(element.value for element in app.caption)


def test_the_sidebar_lists_the_collections_and_begins_with_fashion_mnist(app: AppTest) -> None:
    app.run()
    assert not app.exception
    assert app.selectbox(key="collection").options == [DEFAULT_COLLECTION, "shop"]
    assert app.selectbox(key="collection").value == DEFAULT_COLLECTION


def test_a_collection_of_one_s_own_is_shown_with_its_labels_and_what_could_not_be_used(app: AppTest) -> None:
    chosen(app, "shop")
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Pictures"] == "16"
    assert "Too small to learn, with fewer than 10 pictures: Glove (3)" in captions(app)
    assert "1 pictures have no label" in captions(app)
    assert app.dataframe[0].value["file"].tolist() == ["Glove/torn.png"]


def test_a_packed_collection_opens_by_itself_and_first(home: Workspace, app: AppTest, tmp_path: Path) -> None:
    pack(home.collection("shop"))
    for part in (
        home.collection("shop").data_folder,
        home.collection("shop").head_file.parent,
        home.collection("shop").index_file,
    ):
        part.rename(tmp_path / f"gone-{part.name}-{part.parent.name}")
    app.run()
    assert not app.exception
    assert app.selectbox(key="collection").value == "shop"
    assert {metric.label: metric.value for metric in app.metric}["Pictures"] == "16"


def test_the_collection_that_opens_first_can_be_named(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.COLLECTION.variable, "shop")
    app.run()
    assert app.selectbox(key="collection").value == "shop"


def test_strangers_are_not_offered_to_add_or_remove(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.MANAGE.variable)
    chosen(app, "shop")
    assert {button.label for button in app.button}.isdisjoint({"Import", "Rename", "Remove"})
    assert "This app is shared" in captions(app)


def test_fashion_mnist_cannot_be_removed(app: AppTest) -> None:
    app.run()
    assert {button.label for button in app.button}.isdisjoint({"Rename", "Remove"})


def test_removing_asks_twice(home: Workspace, app: AppTest) -> None:
    chosen(app, "shop")
    assert "Remove" not in {button.label for button in app.button}
    app.checkbox(key="remove_tick").check().run()
    app.text_input(key="remove_name").set_value("shoe").run()
    app.button(key="remove").click().run()
    assert "Nothing was removed" in app.error[0].value
    assert "shop" in manage.names(home)
    app.text_input(key="remove_name").set_value("shop").run()
    app.button(key="remove").click().run()
    assert not app.exception
    assert manage.names(home) == [DEFAULT_COLLECTION]
    assert app.selectbox(key="collection").value == DEFAULT_COLLECTION


def test_renaming_goes_on_with_the_new_name(home: Workspace, app: AppTest) -> None:
    chosen(app, "shop")
    app.text_input(key="renamed").set_value("fashion-mnist").run()
    app.button(key="rename").click().run()
    assert app.error
    app.text_input(key="renamed").set_value("store").run()
    app.button(key="rename").click().run()
    assert not app.exception
    assert manage.names(home) == [DEFAULT_COLLECTION, "store"]
    assert app.selectbox(key="collection").value == "store"


@pytest.mark.parametrize(
    ("name", "path", "sentence"),
    [
        ("Shop!", "/", "A collection cannot be called “Shop!”"),
        ("new", "", "Choose a ZIP, or name a folder on this computer."),
        ("new", "/no/such/folder", "There is nothing at /no/such/folder. Correct its name."),
    ],
)
def test_what_cannot_be_imported_gets_a_sentence(
    home: Workspace, app: AppTest, name: str, path: str, sentence: str
) -> None:
    app.run()
    app.text_input(key="new_name").set_value(name)
    app.text_input(key="new_path").set_value(path)
    app.button(key="new_start").click().run()
    assert not app.exception
    assert sentence in as_read(app.error[0])
    assert manage.names(home) == [DEFAULT_COLLECTION, "shop"]


def test_an_upload_is_started_as_a_command_and_its_file_kept_for_it(
    home: Workspace, app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[Path, list[str]]] = []
    monkeypatch.setattr(collections, "start", lambda folder, arguments: started.append((folder, arguments)))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("Scarf/1.png", b"")
    app.run()
    app.file_uploader(key="new_zip").upload("../My “Shop” 2026.zip", packed.getvalue(), "application/zip")
    app.text_input(key="new_label_column").set_value("kind of thing")
    app.button(key="new_start").click().run()
    assert not app.exception
    ((folder, arguments),) = started
    assert arguments[4:] == ["--label-column", "kind of thing"]
    assert folder == home.collection("my-shop-2026").job_folder
    assert arguments[:3] == ["import", "my-shop-2026", "--from"]
    kept = Path(arguments[3])
    assert kept.parent == folder
    assert kept.read_bytes() == packed.getvalue()


def test_a_collection_without_an_index_says_what_makes_one(home: Workspace, app: AppTest) -> None:
    home.collection("shop").index_file.unlink()
    chosen(app, "shop")
    assert "fashion16 index shop" in app.error[0].value
    # and what there is to do with collections is offered all the same
    assert "Import" in {button.label for button in app.button}


def test_a_picture_s_number_is_forgotten_with_its_collection(home: Workspace, app: AppTest) -> None:
    app.query_params["collection"] = "shop"
    app.query_params["source"] = "Collection"
    app.query_params["id"] = "3"
    app.switch_page("pages/1_Search.py").run()
    assert not app.exception
    assert app.number_input(key="id").value == 3
    app.selectbox(key="collection").set_value(DEFAULT_COLLECTION).run()
    assert not app.exception
    assert app.number_input(key="id").value is None


def test_an_unlabelled_picture_is_called_so(home: Workspace, app: AppTest) -> None:
    with home.collection("shop").catalogue() as catalogue:
        (unlabelled,) = (i.id for i in catalogue.items(range(1, 17)) if i.label is None)
    app.query_params["collection"] = "shop"
    app.query_params["source"] = "Collection"
    app.query_params["id"] = str(unlabelled)
    app.switch_page("pages/1_Search.py").run()
    assert not app.exception
    assert any("labelled **unlabelled**" in element.value for element in app.markdown)


@pytest.mark.parametrize(
    ("address", "own"),
    [
        (None, True),
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.168.1.7", False),
        ("::ffff:192.168.1.7", False),
        ("2001:db8::1", False),
        ("no address", False),
    ],
)
def test_this_computer_is_known_by_each_of_its_addresses(address: str | None, own: bool) -> None:
    assert access.is_this_computer(address) is own


def test_the_door_to_the_search_leads_to_the_same_collection(app: AppTest) -> None:
    chosen(app, "shop")
    app.button(key="door_search").click().run()
    assert not app.exception
    assert app.selectbox(key="collection").value == "shop"
    assert app.session_state["kept_collection"] == "shop"
