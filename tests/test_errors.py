"""The exception tree is the one drawn, and each message can be shown to a user."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from fashion16 import errors


def drawn_parents() -> dict[str, str | None]:
    """Class and parent of each line of the drawing; a branch is four columns wide."""
    assert errors.__doc__ is not None
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines():
        found = re.match(r"^((?:[ │├└─]{4})+)(\w+Error)\b", line)
        if found:
            depth = len(found[1]) // 4 - 1
            path[depth:] = [found[2]]
            parents[found[2]] = path[depth - 1] if depth else None
    return parents


def classes() -> dict[str, type[Exception]]:
    return {name: each for name, each in vars(errors).items() if inspect.isclass(each) and issubclass(each, Exception)}


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    real = {name: each.__base__.__name__ for name, each in classes().items() if each.__base__ is not None}
    assert real.pop("Fashion16Error") == "Exception"
    drawn = drawn_parents()
    assert drawn.pop("Fashion16Error") is None
    assert drawn == real


def test_the_facts_named_in_the_drawing_are_attributes() -> None:
    assert errors.__doc__ is not None
    made = {
        "PictureTooLargeError": errors.PictureTooLargeError(70.0, 64.0, "pixels"),
        "MissingDataError": errors.MissingDataError("Nowhere.", ["here", "there"]),
        "DamagedDataError": errors.DamagedDataError("Broken.", Path("a")),
        "IndexFileError": errors.IndexFileError("Broken.", Path("a")),
        "UnknownItemError": errors.UnknownItemError(7),
        "StaleItemError": errors.StaleItemError(7, "Dress"),
        "UnknownCorrectionError": errors.UnknownCorrectionError(7),
        "WorkspaceError": errors.WorkspaceError("Locked.", Path("a")),
    }
    drawn = {
        found[1]: re.findall(r"\.(\w+)", found[2])
        for found in re.finditer(r"(\w+Error)\b[^\n]*?((?: \.\w+)+)$", errors.__doc__, re.MULTILINE)
    }
    assert drawn.keys() == made.keys()
    for name, attributes in drawn.items():
        assert set(attributes) <= vars(made[name]).keys()


@pytest.mark.parametrize("each", classes().values(), ids=classes().keys())
def test_each_class_says_in_one_sentence_when_it_is_raised(each: type[Exception]) -> None:
    assert re.fullmatch(r"[A-Z][^.]+\.", each.__doc__ or "")


def test_a_picture_just_over_the_limit_is_not_said_to_be_at_it() -> None:
    error = errors.PictureTooLargeError(40.01, 40, "MB")
    assert str(error) == "This picture has 41 MB; the limit is 40. Make it smaller and try again."
    assert (error.found, error.limit, error.unit) == (40.01, 40, "MB")


def test_missing_data_lists_what_was_tried_a_line_each() -> None:
    error = errors.MissingDataError("Nowhere to be found. Tried:", ["the attic", "the cellar"])
    assert str(error) == "Nowhere to be found. Tried:\n  - the attic\n  - the cellar"
    assert error.tried == ("the attic", "the cellar")


def test_a_stale_item_names_the_label_it_has_now() -> None:
    assert str(errors.StaleItemError(7, "Dress")) == (
        "Item 7 was changed by somebody else in the meantime: its label is now “Dress”. Look at it again, then decide."
    )


def test_a_stale_item_names_who_was_faster_and_that_it_is_excluded() -> None:
    assert str(errors.StaleItemError(7, None, "excluded", 3, "bob", "2026-11-27T12:00:00.000+00:00")) == (
        "Item 7 was changed by bob in the meantime: it has no label now and it is excluded. "
        "Look at it again, then decide."
    )


def test_an_unknown_item_is_named_by_its_id() -> None:
    assert str(errors.UnknownItemError(7)) == "There is no item with the id 7 in this collection."
