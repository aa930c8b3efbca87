"""A file is either the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fashion16.errors import WorkspaceError
from fashion16.files.atomic import replacing


def test_the_new_content_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == path.parent
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "list.txt"
    with replacing(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"


def test_other_users_may_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    with replacing(path) as partial:
        partial.write_text("new")
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as partial:
        partial.write_text("half of the ne")
        raise KeyError("interrupted")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_a_workspace_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("old")
    with (
        pytest.raises(WorkspaceError, match="No space left on device.*disk has room") as caught,
        replacing(path) as partial,
        # the kernel's own full disk: every write to it fails
        open("/dev/full", "wb", buffering=0) as full,
    ):
        partial.write_text("half of the ne")
        full.write(b"w")
    assert caught.value.path == path
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_where_the_folder_should_be_is_a_workspace_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file")
    path = tmp_path / "a" / "list.txt"
    with pytest.raises(WorkspaceError, match="could not be written") as caught, replacing(path):
        raise AssertionError("the block must not begin")
    assert caught.value.path == path


def test_a_folder_where_the_file_should_be_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.mkdir()
    (path / "inside").write_text("kept")
    with pytest.raises(WorkspaceError, match="could not be written"), replacing(path) as partial:
        partial.write_text("new")
    assert (path / "inside").read_text() == "kept"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_at_once_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    # the inner block ends first, so the outer one has the last word
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_the_content_is_on_disk_before_the_file_is_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda *given: (steps.append("fsync"), fsync(*given)))
    monkeypatch.setattr(os, "replace", lambda *given: (steps.append("replace"), replace(*given)))
    with replacing(tmp_path / "list.txt") as partial:
        partial.write_text("new")
    assert steps == ["fsync", "replace"]
