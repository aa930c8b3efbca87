"""The app as a script."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.conftest import REPOSITORY


def fresh() -> AppTest:
    """The app as somebody sees it who opens it for the first time."""
    return AppTest.from_file(str(REPOSITORY / "streamlit_app.py"), default_timeout=120)


def at(script: str, app: AppTest, view: str = "", **where: str | list[str]) -> AppTest:
    """The app at a page's address, whose script has run without an error."""
    app.query_params |= ({"view": view} if view else {}) | where
    app.switch_page(f"pages/{script}").run()
    assert not app.exception
    return app
