"""A collection on disk: its name is checked once, and a first build reads what it needs once."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashion16.catalogue.catalogue import Catalogue
from fashion16.collections.indexing import build_index
from fashion16.collections.workspace import Workspace
from fashion16.errors import WorkspaceError
from fashion16.search.encoder import EncoderCard
from tests.pictures import SHOP, bare_workspace, import_from, photo, tree


def test_a_first_build_opens_the_database_once_and_reads_the_card_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = bare_workspace(tmp_path / "home")
    import_from(shop, tree(tmp_path / "heap", {f"Label {n % 2}/{n:02}.png": photo(n) for n in range(24)}))
    counts = {"database": 0, "card": 0}
    opened, read = Catalogue.__init__, EncoderCard.read

    def open_counted(self: Catalogue, *arguments: object, **named: object) -> None:
        counts["database"] += 1
        opened(self, *arguments, **named)  # type: ignore[arg-type]

    def read_counted(path: Path) -> EncoderCard:
        counts["card"] += 1
        return read(path)

    monkeypatch.setattr(Catalogue, "__init__", open_counted)
    monkeypatch.setattr(EncoderCard, "read", read_counted)
    _, index = build_index(shop.collection(SHOP))
    assert len(index) == 24
    assert counts == {"database": 1, "card": 1}


def test_blocks_within_a_block_share_one_catalogue_and_the_last_one_closes_it(small_workspace: Workspace) -> None:
    stored = small_workspace.collection()
    with stored.catalogue() as outer:
        with stored.catalogue() as inner:
            assert inner is outer
        assert outer.count() == 400  # still open
    with stored.catalogue() as again:
        assert again is not outer


@pytest.mark.parametrize("name", ["Shop!", "", "../up", "encoder", "a" * 41])
def test_a_name_that_no_collection_can_have_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(WorkspaceError, match="A collection cannot be called"):
        Workspace(tmp_path).collection(name)
    assert list(tmp_path.iterdir()) == []
