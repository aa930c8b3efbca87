"""Each page as a script: what it promises, asked of the catalogue rather than of the text."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from fashion16 import settings
from fashion16.collections.opened import Collection
from fashion16.collections.workspace import Workspace
from tests.ui.apps import fresh


@pytest.fixture(scope="module")
def home(workspace: Workspace) -> Workspace:
    return workspace


@pytest.fixture
def app(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app for a visitor, who searches and manages nothing."""
    monkeypatch.delenv(settings.MANAGE.variable)
    return app


def _search(app: AppTest) -> AppTest:
    app.switch_page("pages/1_Search.py")
    return app.run()


def _png(collection: Collection, item_id: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(collection.picture(item_id)).save(out, "PNG")
    return out.getvalue()


def _found(app: AppTest) -> list[int]:
    """The ids of the results, as their buttons will search with them."""
    lines = [element.value for element in app.markdown if element.value.startswith("**")]
    return [int(line.rsplit(" ", 1)[1]) for line in lines if "%" in line]


def _upload(app: AppTest, data: bytes, name: str = "photo.png") -> AppTest:
    app.file_uploader(key="file_Upload").upload(name, data, "image/png")
    return app.run()


def test_home_shows_the_figures_of_the_collection(app: AppTest, collection: Collection) -> None:
    app.run()
    assert not app.exception
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Pictures"] == f"{len(collection.searcher.index):,}" == "70,000"
    assert figures["Categories"] == "10"


def test_search_invites_before_there_is_a_photo(app: AppTest) -> None:
    _search(app)
    assert not app.exception
    assert any("begin with one of these" in element.value for element in app.markdown)
    assert _found(app) == []


def test_an_upload_finds_the_twenty_that_the_core_finds(app: AppTest, collection: Collection) -> None:
    data = _png(collection, 777)
    _upload(_search(app), data)
    assert not app.exception
    expected = collection.find(collection.classify(collection.picture(777)))
    assert _found(app) == [result.id for result in expected.results]
    assert expected.results[0].id == 777  # the picture is in the collection, so it finds itself


def test_a_picture_of_the_collection_is_not_its_own_result(app: AppTest, collection: Collection) -> None:
    _search(app)
    app.segmented_control(key="source").set_value("Collection")
    app.number_input(key="id").set_value(777)
    app.run()
    assert not app.exception
    found = _found(app)
    assert len(found) == 20
    assert 777 not in found
    labels = {item.label for item in collection.catalogue.items(found)}
    assert labels == {collection.classify(collection.picture(777)).category}


def test_an_override_searches_in_the_chosen_categories(app: AppTest, collection: Collection) -> None:
    _upload(_search(app), _png(collection, 777))
    app.segmented_control(key="scope").set_value("Choose")
    app.run()
    app.pills(key="in").set_value(["Bag", "Sandal"])
    app.run()
    assert not app.exception
    found = _found(app)
    assert len(found) == 20
    assert {item.label for item in collection.catalogue.items(found)} <= {"Bag", "Sandal"}


def test_the_second_guess_searches_in_the_second_category(app: AppTest, collection: Collection) -> None:
    _upload(_search(app), _png(collection, 777))
    app.segmented_control(key="scope").set_value("Second guess")
    app.run()
    second = list(collection.classify(collection.picture(777)).probabilities)[1]
    assert {item.label for item in collection.catalogue.items(_found(app))} == {second}


def test_all_categories_is_the_direct_search(app: AppTest, collection: Collection) -> None:
    _upload(_search(app), _png(collection, 777))
    app.segmented_control(key="scope").set_value("All categories")
    app.run()
    everywhere = collection.find(
        collection.classify(collection.picture(777)), categories=collection.searcher.index.categories
    )
    assert _found(app) == [result.id for result in everywhere.results]


def test_search_with_this_makes_the_result_the_query(app: AppTest, collection: Collection) -> None:
    _upload(_search(app), _png(collection, 777))
    third = _found(app)[2]
    app.button(key="with_3").click()
    app.run()
    assert not app.exception
    assert app.session_state["id"] == third
    expected = collection.find(collection.classify(collection.picture(third)), leave_out=third)
    assert _found(app) == [result.id for result in expected.results]


def test_random_shows_some_picture_of_the_collection(app: AppTest, collection: Collection) -> None:
    _search(app)
    app.segmented_control(key="source").set_value("Collection")
    app.run()
    app.button(key="random").click()
    app.run()
    assert not app.exception
    assert 1 <= app.session_state["id"] <= 70_000
    assert len(_found(app)) == 20


def test_a_link_names_its_search(app: AppTest, collection: Collection) -> None:
    app.query_params["source"] = "Collection"
    app.query_params["id"] = "4321"
    _search(app)
    assert not app.exception
    expected = collection.find(collection.classify(collection.picture(4321)), leave_out=4321)
    assert _found(app) == [result.id for result in expected.results]


def test_a_photo_is_kept_while_the_person_looks_at_something_else(app: AppTest, collection: Collection) -> None:
    _upload(_search(app), _png(collection, 777))
    first = _found(app)
    app.segmented_control(key="source").set_value("Collection")
    app.run()
    app.segmented_control(key="source").set_value("Upload")
    app.run()
    assert _found(app) == first


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty"),
        (b"hello", "not a picture"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "damaged"),
    ],
)
def test_a_bad_upload_gets_a_sentence(app: AppTest, data: bytes, sentence: str) -> None:
    _upload(_search(app), data)
    assert not app.exception
    assert [error for error in app.error if sentence in error.value]


def test_an_upload_of_60_mb_gets_a_sentence_and_is_not_kept(app: AppTest) -> None:
    _upload(_search(app), b"\x89PNG" + bytes(60 * 2**20))
    assert not app.exception
    assert [error for error in app.error if "61 MB; the limit is 40" in error.value]
    assert "kept_Upload" not in app.session_state


def test_an_unknown_picture_number_gets_a_sentence(app: AppTest) -> None:
    _search(app)
    app.segmented_control(key="source").set_value("Collection")
    app.number_input(key="id").set_value(99_999_999)
    app.run()
    assert not app.exception
    assert [error for error in app.error if "no item with the id 99999999" in error.value]


def test_a_workspace_without_an_encoder_says_what_to_do(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").symlink_to(workspace.root / "data")
    monkeypatch.setenv("FASHION16_HOME", str(tmp_path))
    app = fresh().run()
    assert not app.exception
    assert [error for error in app.error if "no encoder" in error.value]


def test_near_duplicates_are_hidden_on_demand(app: AppTest, collection: Collection) -> None:
    _upload(_search(app), _png(collection, 777))
    assert 777 in _found(app)
    app.toggle(key="hide").set_value(True)
    app.run()
    found = _found(app)
    assert 777 not in found
    assert len(found) == 20


def test_the_csv_holds_the_results(collection: Collection) -> None:
    from ui.search.results import as_csv

    answer = collection.find(collection.classify(collection.picture(777)))
    rows = as_csv(answer, collection.results(answer)).splitlines()
    assert rows[0] == "rank,id,similarity,label,predicted_category,sha256"
    assert len(rows) == 21
    assert rows[1].startswith("1,777,")


def test_a_drawn_box_becomes_shares_of_the_photo() -> None:
    from ui.search.charts import box_of, photo_with_box

    assert box_of({"box": []}) is None
    # drawn from right to left and upwards, after an older box
    boxes = [{"x": [0.0, 1.0], "y": [0.0, 1.0]}, {"x": [0.75, 0.25], "y": [0.9, 0.1]}]
    assert box_of({"box": boxes}) == (0.25, 0.1, 0.75, 0.9)
    figure = photo_with_box(np.zeros((20, 40, 3), np.uint8))
    assert figure.layout.yaxis.scaleratio == 0.5
