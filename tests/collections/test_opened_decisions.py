"""What is decided reaches the index in memory at once, in every process, and the index file when it is wanted."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from fashion16.catalogue.rows import Change
from fashion16.collections.embeddings import active_embeddings
from fashion16.collections.indexing import build_index, is_indexed, rewrite_index
from fashion16.collections.opened import Collection
from fashion16.collections.workspace import Workspace
from fashion16.errors import BusyError, DataError, MissingIndexError, StaleItemError, UnknownItemError
from fashion16.search.encoder import Encoder
from fashion16.search.index_file import read_index, write_index
from fashion16.types import Floats, Pixels

# the first picture of Fashion-MNIST
BOOT = 1


def category_of(opened: Collection, item_id: int) -> str | None:
    return opened.searcher.index.category_of(item_id)


def assert_agree(opened: Collection) -> None:
    """Each active item lies in its label's category, and nothing else is in the index."""
    today = opened.catalogue.labels()
    index = opened.searcher.index
    assert set(index.categories) == set(today.labels.tolist())
    for category, partition in index.partitions.items():
        assert sorted(partition.ids) == today.ids[today.labels == category].tolist()


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each pass of the network took."""
    passes: list[int] = []
    original = Encoder.encode

    def encode(self: Encoder, pictures: Pixels) -> Floats:
        passes.append(len(pictures))
        return original(self, pictures)

    monkeypatch.setattr(Encoder, "encode", encode)
    return passes


def test_an_excluded_item_is_found_no_more_and_comes_back_without_encoding(
    small_workspace: Workspace, encoded: list[int]
) -> None:
    opened = small_workspace.open()
    boot = opened.classify(opened.picture(BOOT))
    before = opened.find(boot, categories=["Ankle boot"]).results
    made = opened.exclude(BOOT, "ann", 0)
    assert category_of(opened, BOOT) is None
    assert len(opened.searcher.index) == 399
    assert BOOT not in [result.id for result in opened.find(boot, categories=["Ankle boot"], k=400).results]
    assert BOOT not in opened.random_ids(400)
    opened.undo(made.id, "ann")
    after = opened.find(boot, categories=["Ankle boot"]).results
    assert [result.id for result in after] == [result.id for result in before]
    assert after[0].similarity > 0.999
    assert encoded == [1]  # the query
    assert_agree(opened)


def test_an_item_included_again_with_another_label_lies_in_that_category(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    opened.exclude(BOOT, "ann", 0)
    opened.correct(BOOT, "Bag", "ann", 1)
    assert category_of(opened, BOOT) is None
    opened.include(BOOT, "ann", 2)
    assert category_of(opened, BOOT) == "Bag"
    assert_agree(opened)


def test_who_did_not_see_the_item_go_encodes_its_picture_again(small_workspace: Workspace, encoded: list[int]) -> None:
    opened = small_workspace.open()
    vector = opened.searcher.index.embeddings([BOOT])[0]
    opened.exclude(BOOT, "ann", 0)
    rewrite_index(opened)
    again = small_workspace.open()
    assert category_of(again, BOOT) is None
    again.include(BOOT, "ann", 1)
    assert encoded == [1]
    assert category_of(again, BOOT) == "Ankle boot"
    assert float(again.searcher.index.embeddings([BOOT])[0] @ vector) > 0.999
    # the other process, which has it still, needs no pass
    assert opened.refresh() == 1
    assert category_of(opened, BOOT) == "Ankle boot"
    assert encoded == [1]


def test_an_item_excluded_and_included_since_the_index_was_written_stays_in_it(
    small_workspace: Workspace, encoded: list[int]
) -> None:
    with small_workspace.collection().catalogue() as catalogue:
        catalogue.exclude(BOOT, "bob", 0)
        catalogue.include(BOOT, "bob", 1)
    assert category_of(small_workspace.open(), BOOT) == "Ankle boot"
    assert encoded == []


def test_an_item_that_loses_its_label_by_an_undo_lies_where_the_head_puts_it(small_workspace: Workspace) -> None:
    with small_workspace.collection().catalogue() as catalogue, catalogue.writing() as connection:
        connection.exec_driver_sql("UPDATE items SET label = NULL WHERE id = 1")
    opened = small_workspace.open()
    predicted = opened.classify(opened.picture(BOOT)).category
    made = opened.correct(BOOT, "Gumboot", "ann", 0)
    assert category_of(opened, BOOT) == "Gumboot"
    opened.undo(made.id, "ann")
    assert category_of(opened, BOOT) == predicted
    opened.exclude(BOOT, "ann", 2)
    opened.include(BOOT, "ann", 3)
    assert category_of(opened, BOOT) == predicted


def test_a_batch_and_its_undo_reach_the_index_of_another_process(small_workspace: Workspace) -> None:
    here, elsewhere = small_workspace.open(), small_workspace.open()
    excluded = [Change(item_id, 0, status="excluded") for item_id in range(1, 11)]
    batch = here.decide_all([*excluded, *(Change(item_id, 0, "Hat") for item_id in range(11, 21))], "ann")
    assert elsewhere.refresh() == 20
    for opened in (here, elsewhere):
        assert len(opened.searcher.index) == 390
        assert category_of(opened, 11) == "Hat"
        assert_agree(opened)
    elsewhere.undo(batch.corrections[0].id, "ann")
    here.refresh()
    for opened in (here, elsewhere):
        assert len(opened.searcher.index) == 400
        assert_agree(opened)


def test_a_renamed_label_is_a_renamed_category(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    n = opened.catalogue.label_counts()["Coat"]
    batch = opened.rename_label("Coat", "Overcoat", "ann", include_test=True)
    assert len(batch.corrections) == len(opened.searcher.index.partitions["Overcoat"]) == n
    assert "Coat" not in opened.searcher.index.categories
    assert_agree(opened)


def test_what_comes_too_late_changes_neither_catalogue_nor_index(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    opened.keep(BOOT, "ann", 0)
    with pytest.raises(StaleItemError):
        opened.exclude(BOOT, "bob", 0)
    assert category_of(opened, BOOT) == "Ankle boot"
    assert opened.catalogue.item(BOOT).status == "active"


def test_an_item_without_its_picture_cannot_be_included_but_an_undo_goes_on_without(
    small_workspace: Workspace,
) -> None:
    opened = small_workspace.open()
    made = opened.exclude(400, "ann", 0)
    rewrite_index(opened)
    path = small_workspace.collection().pictures_file
    np.save(path, small_workspace.collection().pictures()[:399].copy())
    again = small_workspace.open()
    with pytest.raises(DataError, match="The picture of item 400 is missing"):
        again.include(400, "ann", 1)
    assert again.catalogue.item(400).status == "excluded"
    again.undo(made.id, "ann")
    assert category_of(again, 400) is None
    assert again.refresh() == 0
    with pytest.raises(UnknownItemError):
        again.include(401, "ann", 0)


def test_a_result_excluded_since_it_was_found_is_left_out(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    answer = opened.find(opened.classify(opened.picture(BOOT)), categories=["Ankle boot"], k=3)
    opened.exclude(answer.results[1].id, "ann", 0)
    assert [item.id for _, item in opened.results(answer)] == [answer.results[0].id, answer.results[2].id]


def test_an_index_made_again_leaves_excluded_items_out_and_takes_included_ones_back(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    opened.exclude(BOOT, "ann", 0)
    _, index = build_index(small_workspace.collection())
    assert (len(index), index.category_of(BOOT)) == (399, None)
    assert is_indexed(small_workspace.collection())
    opened.include(BOOT, "ann", 1)
    today, embeddings, _ = active_embeddings(small_workspace.collection(), opened.searcher.encoder.digest)
    assert len(today) == len(embeddings) == 400


def test_a_catalogue_made_anew_takes_out_of_the_index_what_it_excludes(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    opened.keep(BOOT, "ann", 0)
    opened.keep(2, "ann", 0)
    rewrite_index(opened)
    with opened.catalogue.writing() as connection:
        connection.exec_driver_sql("DELETE FROM corrections")
        connection.exec_driver_sql("UPDATE items SET status = 'excluded' WHERE id = 3")
    again = small_workspace.open()
    assert category_of(again, 3) is None
    assert len(again.searcher.index) == 399


# the index file


def test_a_rewritten_index_has_todays_labels_and_every_item(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    head = small_workspace.collection().head_file.read_bytes()
    opened.correct(BOOT, "Bag", "ann", 0)
    opened.exclude(2, "ann", 0)
    newest = opened.keep(3, "ann", 0)
    assert opened.n_since_index == 3
    assert rewrite_index(opened) == newest.id
    assert opened.n_since_index == 0
    index, header = read_index(small_workspace.collection().index_file)
    assert header.revision == newest.id
    assert (len(index), index.category_of(BOOT), index.category_of(2)) == (399, "Bag", None)
    assert small_workspace.collection().head_file.read_bytes() == head
    again = small_workspace.open()
    assert again.n_since_index == 0
    assert_agree(again)


def test_a_rewritten_index_keeps_what_is_on_disk_and_not_in_memory(small_workspace: Workspace) -> None:
    path = small_workspace.collection().index_file
    whole, header = read_index(path)
    fewer, _ = read_index(path)
    fewer.remove(range(201, 401))
    write_index(path, fewer, header)
    opened = small_workspace.open()  # before the import of the other half
    write_index(path, whole, header)
    opened.correct(BOOT, "Bag", "ann", 0)
    rewrite_index(opened)
    index, _ = read_index(path)
    assert (len(opened.searcher.index), len(index)) == (200, 400)
    assert index.category_of(BOOT) == "Bag"


def test_an_index_that_is_made_anew_meanwhile_stays(
    small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = small_workspace.open()
    path = small_workspace.collection().index_file
    opened.correct(BOOT, "Bag", "ann", 0)
    index, header = read_index(path)

    def overtaken(partial: Path, *what: object) -> None:
        index.remove([2])
        write_index(path, index, header)

    monkeypatch.setattr("fashion16.collections.indexing.write_index", overtaken)
    with pytest.raises(BusyError, match="has rebuilt the index of “fashion-mnist”; that one stays"):
        rewrite_index(opened)
    assert len(read_index(path)[0]) == 399
    assert opened.n_since_index == 1
    assert not list(path.parent.glob("*.partial")) and not list(path.parent.glob(".*.partial"))


def test_no_index_is_rewritten_where_there_is_none(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    path = small_workspace.collection().index_file
    path.unlink()
    with pytest.raises(MissingIndexError):
        rewrite_index(opened)
    assert not path.exists()


def test_corrections_while_the_index_is_rewritten_are_not_lost(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    raised: list[BaseException] = []

    def person(first: int) -> None:
        try:
            for item_id in range(first, first + 40):
                made = opened.correct(item_id, "Bag", "ann", 0)
                if item_id % 3 == 0:
                    opened.exclude(item_id, "ann", 1)
                elif item_id % 3 == 1:
                    opened.undo(made.id, "ann")
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=person, args=(first,)) for first in (1, 101, 201)]
    for thread in threads:
        thread.start()
    written = 0
    while any(thread.is_alive() for thread in threads):
        rewrite_index(opened)
        written += 1
    for thread in threads:
        thread.join()
    assert raised == []
    assert written > 0
    again = small_workspace.open()
    assert again.refresh() == 0
    for each in (opened, again):
        each.refresh()
        assert_agree(each)
