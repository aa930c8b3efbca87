"""What the program says of its work: nothing until it is asked, then what somebody who runs it for others asks first."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fashion16 import settings
from fashion16.collections import opened as opened_module
from fashion16.collections.workspace import Workspace
from fashion16.errors import StaleItemError


@pytest.fixture(autouse=True)
def everything_heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "fashion16")


def test_a_refused_correction_is_logged_with_its_reason(
    small_workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    collection = small_workspace.open()
    item = collection.item(5)
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


def command(folder: Path, *arguments: str, **environment: str) -> str:
    """What an import writes to standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "fashion16.cli", *arguments, "import", "folder", str(folder), "--into", "shop"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_commands_are_silent_until_they_are_asked(tmp_path: Path) -> None:
    pass
