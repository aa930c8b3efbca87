"""An opened collection: corrections reach the next search, without a pass of the network."""

from __future__ import annotations

import threading
from base64 import b64decode
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fashion16.collections.opened
from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.rows import ImportedItem
from fashion16.collections.indexing import build_index
from fashion16.collections.opened import THUMBNAIL_SIDE, Collection
from fashion16.collections.workspace import Workspace
from fashion16.errors import DataError, StaleItemError, UnknownItemError
from fashion16.search.searcher import Result

# the first picture of Fashion-MNIST
BOOT = 1


def correct(opened: Collection, item_id: int, label: str) -> None:
    opened.correct(item_id, label, "ann", opened.catalogue.item(item_id).version)


def correct_elsewhere(opened: Collection, item_id: int, label: str) -> None:
    """Write the correction to the catalogue alone, as another process does."""
    opened.catalogue.correct(item_id, label, "bob", opened.catalogue.item(item_id).version)


def category_of(opened: Collection, item_id: int) -> str | None:
    return opened.searcher.index.category_of(item_id)


def test_a_picture_of_the_collection_finds_itself_first(collection: Collection) -> None:
    for item_id in (1, 30_000, 70_000):
        photo = collection.picture(item_id)
        label = str(collection.catalogue.item(item_id).label)
        answer = collection.find(collection.classify(photo), categories=[label])
        assert answer.results[0].id == item_id
        assert answer.results[0].similarity > 0.999
        assert len(answer.results) == 20


def test_a_corrected_item_is_found_in_its_new_category_without_encoding(
    small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = small_workspace.open()
    boot = opened.classify(opened.picture(BOOT))

    def no_pass(pictures: object) -> None:
        raise AssertionError("a correction needs no pass of the network")

    monkeypatch.setattr(opened.searcher.encoder, "encode", no_pass)
    assert opened.find(boot, categories=["Ankle boot"]).results[0].id == BOOT
    correct(opened, BOOT, "Bag")
    assert BOOT not in [result.id for result in opened.find(boot, categories=["Ankle boot"], k=400).results]
    assert opened.find(boot, categories=["Bag"]).results[0].id == BOOT
    assert len(opened.searcher.index) == 400


def test_a_correction_to_a_new_label_makes_a_category(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    boot = opened.classify(opened.picture(BOOT))
    correct(opened, BOOT, "Gumboot")
    assert [result.id for result in opened.find(boot, categories=["Gumboot"]).results] == [BOOT]
    correct(opened, BOOT, "Ankle boot")
    assert "Gumboot" not in opened.searcher.index.categories


def test_refresh_applies_each_correction_once(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    correct_elsewhere(opened, 1, "Bag")
    correct_elsewhere(opened, 2, "Bag")
    assert opened.refresh() == 2
    assert opened.refresh() == 0


def test_the_last_of_several_corrections_counts(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    for label in ("Bag", "Coat", "Dress"):
        correct_elsewhere(opened, BOOT, label)
    assert opened.refresh() == 3
    assert category_of(opened, BOOT) == "Dress"


def test_a_correction_by_another_process_reaches_searches_within_a_second(
    small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(fashion16.collections.opened, "monotonic", lambda: now)
    here, elsewhere = small_workspace.open(), small_workspace.open()
    photo = here.classify(here.picture(2))
    correct(elsewhere, BOOT, "Bag")
    now = 100.9
    here.find(photo)
    assert category_of(here, BOOT) == "Ankle boot"
    now = 101.0
    here.find(photo)
    assert category_of(here, BOOT) == "Bag"


def test_a_correction_that_came_too_late_changes_neither_catalogue_nor_index(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    opened.correct(BOOT, "Bag", "ann", 0)
    with pytest.raises(StaleItemError, match="its label is now “Bag”"):
        opened.correct(BOOT, "Coat", "bob", 0)
    assert opened.catalogue.item(BOOT).label == category_of(opened, BOOT) == "Bag"


def test_a_correction_answers_with_its_row_of_history(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    correction = opened.correct(BOOT, "Bag", "ann", 0)
    assert opened.catalogue.history(BOOT) == [correction]
    assert opened.refresh() == 0


def test_reopening_applies_the_corrections_made_since_the_index_was_written(small_workspace: Workspace) -> None:
    first = small_workspace.open()
    correct(first, 1, "Bag")
    correct(first, 2, "Coat")
    again = small_workspace.open()
    assert (category_of(again, 1), category_of(again, 2)) == ("Bag", "Coat")
    assert len(again.searcher.index) == 400


def test_a_catalogue_made_anew_is_reconciled_with_an_index_of_a_later_revision(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    old = opened.catalogue.items(range(1, 401))
    for item_id in (1, 2, 3):
        correct(opened, item_id, "Bag")
    build_index(small_workspace.collection())
    for file in small_workspace.collection().data_folder.glob("catalogue.sqlite*"):
        file.unlink()
    with small_workspace.collection().catalogue() as anew:
        anew.add(ImportedItem(i.position or 0, i.sha256, str(i.original_label), i.split, i.source) for i in old)
        anew.correct(4, "Coat", "bob", 0)
    again = small_workspace.open()
    assert category_of(again, 4) == "Coat"
    for item_id in (1, 2, 3):
        assert category_of(again, item_id) == old[item_id - 1].original_label
    # and from then on it follows the new history
    correct_elsewhere(again, 5, "Dress")
    assert again.refresh() == 1
    assert category_of(again, 5) == "Dress"


def test_corrections_and_searches_at_once_lose_no_item(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    boot = opened.classify(opened.picture(BOOT))
    everything = opened.searcher.index.categories
    raised: list[BaseException] = []

    def person(first: int) -> None:
        try:
            for item_id in range(first, first + 10):
                correct(opened, item_id, "Bag")
                found = opened.find(boot, categories=everything, k=400)
                assert len({result.id for result in found.results}) == len(found.results) == 400
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=person, args=(first,)) for first in (1, 101, 201, 301)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []
    opened.refresh()
    today = opened.catalogue.labels()
    for category, partition in opened.searcher.index.partitions.items():
        assert sorted(partition.ids) == today.ids[today.labels == category].tolist()


def test_an_unknown_item_has_no_picture(collection: Collection) -> None:
    with pytest.raises(UnknownItemError):
        collection.picture(70_001)


def test_an_item_beyond_the_stored_pictures_is_a_sentence(small_workspace: Workspace) -> None:
    np.save(small_workspace.collection().pictures_file, small_workspace.collection().pictures()[:399].copy())
    opened = small_workspace.open()
    with pytest.raises(DataError, match="The picture of item 400 is missing. Import the collection again."):
        opened.picture(400)


@pytest.mark.parametrize(("choices", "side"), [({}, THUMBNAIL_SIDE), ({"side": 50}, 50)])
def test_a_thumbnail_is_a_small_jpeg_in_a_data_uri(collection: Collection, choices: dict[str, int], side: int) -> None:
    kind, content = collection.thumbnail(collection.catalogue.item(BOOT), **choices).split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(BytesIO(b64decode(content, validate=True))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (side, side))


def test_random_ids_are_different_items_of_the_index(collection: Collection) -> None:
    drawn = collection.random_ids(500, seed=3)
    assert len(set(drawn)) == 500
    assert len(collection.catalogue.items(drawn)) == 500
    assert drawn == collection.random_ids(500, seed=3) != collection.random_ids(500, seed=4)


def test_more_random_ids_than_items_are_all_items(small_workspace: Workspace) -> None:
    assert sorted(small_workspace.open().random_ids(1000, seed=0)) == list(range(1, 401))


def test_a_collection_without_items_says_so(small_workspace: Workspace, tmp_path: Path) -> None:
    opened = small_workspace.open()
    opened.searcher.index.remove(range(1, 401))
    with Catalogue.in_file(tmp_path / "empty.sqlite") as empty:
        bare = Collection(
            small_workspace.collection("shop"), empty, np.zeros((0, 28, 28), np.uint8), opened.searcher, 0
        )
        with pytest.raises(DataError, match="“shop” has no items yet. Import some pictures."):
            bare.random_ids(3)


def test_a_result_that_the_catalogue_has_lost_is_left_out(collection: Collection) -> None:
    answer = collection.find(collection.classify(collection.picture(BOOT)), k=3)
    lost = replace(answer, results=(*answer.results, Result(4, 10**9, 0.5)))
    found = collection.results(lost)
    assert [(result, item.id) for result, item in found] == [(result, result.id) for result in answer.results]
