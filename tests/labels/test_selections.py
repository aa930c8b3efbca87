"""Items picked on one page for another: what a link names is what was picked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion16.errors import DataError
from fashion16.labels.selections import KEPT, Selection, Selections


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.lists(st.integers(0, 2**63 - 1), max_size=20))
def test_what_is_kept_comes_back_in_its_order_and_each_once(
    tmp_path_factory: pytest.TempPathFactory, title: str, ids: list[int]
) -> None:
    selections = Selections(tmp_path_factory.mktemp("selections"))
    kept = selections.keep(title, [*ids, *ids])
    found = selections.of(kept.name)
    assert (found.title, found.ids.tolist()) == (title, list(dict.fromkeys(ids)))


def test_the_name_says_what_is_in_it(tmp_path: Path) -> None:
    selections = Selections(tmp_path / "deep" / "folder")
    one = selections.keep("Bags", [3, 1])
    assert selections.keep("Bags", [3, 1]).name == one.name
    assert len({one.name, selections.keep("Bags", [1, 3]).name, selections.keep("Coats", [3, 1]).name}) == 3


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    selections = Selections(tmp_path)
    names = []
    for number in range(KEPT + 2):
        name = selections.keep("number", [number]).name
        os.utime(tmp_path / f"{name}.json", (number, number))
        names.append(name)
    with pytest.raises(DataError, match="Pick them again"):
        selections.of(names[0])
    assert selections.of(names[-1]).ids.tolist() == [KEPT + 1]


@pytest.mark.parametrize("name", ["", "../../secret", "0123456789abcdef", "x" * 16, "0123456789abcdef.json"])
def test_a_name_that_means_nothing_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path.parent / "secret.json").write_text('{"title": "no", "ids": [1]}')
    with pytest.raises(DataError, match="not kept any more"):
        Selections(tmp_path).of(name)


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", '{"title": "a", "ids": "x"}', '{"title": "a", "ids": [1e99]}'])
def test_a_damaged_file_is_a_selection_that_is_gone(tmp_path: Path, text: str) -> None:
    selections = Selections(tmp_path)
    name = selections.keep("Bags", [1]).name
    (tmp_path / f"{name}.json").write_text(text)
    with pytest.raises(DataError):
        selections.of(name)


def test_an_empty_selection_holds_nothing(tmp_path: Path) -> None:
    kept = Selections(tmp_path).keep("none", [])
    assert isinstance(kept, Selection)
    assert len(Selections(tmp_path).of(kept.name).ids) == 0
