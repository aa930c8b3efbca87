"""What the program says of its work: nothing until it is asked, then what those who run it ask first."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fashion16 import logs, settings
from fashion16.collections import opened as opened_module
from fashion16.collections.workspace import Workspace
from fashion16.errors import CatalogueError, StaleItemError
from tests.pictures import photo, tree


@pytest.fixture(autouse=True)
def everything_heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "fashion16")


def test_a_refused_correction_is_logged_with_its_reason(
    small_workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    collection = small_workspace.open()
    item = collection.catalogue.item(5)
    collection.correct(5, "Bag", "ann", item.version)
    with pytest.raises(StaleItemError) as caught:
        collection.correct(5, "Coat", "bob", item.version)
    refused = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in refused] == [f"refused in {collection.name}: {caught.value}"]
    assert refused[0].name == "fashion16.collections.opened"


def test_a_slow_search_is_logged_with_its_steps(
    small_workspace: Workspace, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = small_workspace.open()
    picture = np.full((28, 28), 90, np.uint8)
    collection.find(collection.searcher.classify(picture))
    assert not [record for record in caplog.records if "slow" in record.getMessage()]
    monkeypatch.setattr(opened_module, "SLOW", 0.0)
    collection.find(collection.searcher.classify(picture))
    (slow,) = [record.getMessage() for record in caplog.records if "slow" in record.getMessage()]
    assert slow.startswith(f"slow search in {collection.name}, ")
    assert "encode" in slow
    assert "search" in slow


def written_by_an_import(root: Path, *options: str, **environment: str) -> str:
    """What an import of one picture and one broken file writes to standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "fashion16.cli", *options, "import", "shop", "--no-index", "--from", str(root / "shop")],
        env=os.environ | {settings.HOME.variable: str(root / "home"), "COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    return done.stderr


def test_a_command_tells_its_steps_only_where_it_is_asked(tmp_path: Path) -> None:
    tree(tmp_path / "shop", {"Bag/a.png": photo(1), "Bag/b.png": b"no picture"})
    assert "fashion16." not in written_by_an_import(tmp_path, FASHION16_LOG="warning")
    told = written_by_an_import(tmp_path, "--verbose")
    assert "INFO fashion16.collections.importing: import into shop begun: 2 entries of" in told
    assert "0 added, 1 there already, 1 skipped" in told


def test_the_address_of_a_database_is_never_logged_with_its_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = Workspace(tmp_path, "postgresql+psycopg://ann:secret@127.0.0.1:1/nothing")
    with pytest.raises(CatalogueError) as caught, workspace.collection("shop").catalogue():
        pass
    assert "secret" not in caplog.text + str(caught.value)


def test_asked_twice_it_writes_each_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    library = logging.getLogger("fashion16")
    before, propagate = list(library.handlers), library.propagate
    try:
        logs.to_stderr(logging.ERROR)
        logs.to_stderr(logging.INFO)
        logging.getLogger("fashion16.collections.importing").info("once")
        assert capsys.readouterr().err.count("INFO fashion16.collections.importing: once") == 1
    finally:
        library.handlers[:], library.propagate = before, propagate
