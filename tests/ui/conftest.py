"""The app under test, as a script and as a server. Each file says with `home` in which workspace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from fashion16 import settings
from fashion16.collections.workspace import Workspace
from tests.browsing import complaints_of
from tests.server import Server
from tests.ui.apps import fresh


@pytest.fixture
def home(small_workspace: Workspace) -> Workspace:
    """The workspace that the app is opened in: small, and of the test's own."""
    return small_workspace


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    """What the app keeps for all sessions does not outlive a file's tests."""
    yield
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def app(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app as a script, for somebody who may manage it."""
    monkeypatch.setenv(settings.HOME.variable, str(home.root))
    monkeypatch.setenv(settings.MANAGE.variable, "1")
    return fresh()


@pytest.fixture(scope="module")
def server_options() -> dict[str, Any]:
    """What the server is started with, besides its home."""
    return {settings.MANAGE.variable: "1"}


@pytest.fixture(scope="module")
def server(
    home: Workspace, server_options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The app as a server, for a file whose `home` lasts as long; its log must be clean at the end."""
    log = tmp_path_factory.mktemp("server") / "log"
    with Server(home.root, log, **server_options) as running:
        yield running
    assert complaints_of(log) == []
