"""The app as a script."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.conftest import REPOSITORY


def fresh() -> AppTest:
    """The app as somebody sees it who opens it for the first time."""
    return AppTest.from_file(str(REPOSITORY / "streamlit_app.py"), default_timeout=120)
