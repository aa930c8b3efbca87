"""What is set from outside: each setting is read, refused with a sentence where it is wrong, and in the README."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fashion16 import settings
from fashion16.cli.app import app
from fashion16.collections.workspace import Workspace
from fashion16.errors import SettingsError

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in settings.ALL:
        monkeypatch.delenv(setting.variable, raising=False)


def test_the_readme_s_table_is_that_of_the_settings() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert f"<!-- settings -->\n\n{settings.table()}\n\n<!-- /settings -->" in readme


def test_where_nothing_is_set_or_it_is_empty_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> list[object]:
        return [
            settings.home(),
            settings.database_url(),
            settings.first_collection(),
            settings.manage(),
            settings.vgg16_weights(),
            settings.log_level(),
        ]

    assert read() == [None] * len(settings.ALL)
    for setting in settings.ALL:
        monkeypatch.setenv(setting.variable, " ")
    assert read() == [None] * len(settings.ALL)


def test_what_is_set_counts_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FASHION16_HOME", str(tmp_path))
    monkeypatch.setenv("FASHION16_DATABASE_URL", "sqlite://")
    monkeypatch.setenv("FASHION16_COLLECTION", "shop")
    monkeypatch.setenv("FASHION16_MANAGE", "local")
    monkeypatch.setenv("FASHION16_VGG16_WEIGHTS", str(tmp_path / "weights.h5"))
    monkeypatch.setenv("FASHION16_LOG", "Info")
    settings.check()
    assert (Workspace().root, Workspace().database_url) == (tmp_path, "sqlite://")
    assert (settings.first_collection(), settings.manage()) == ("shop", settings.LOCAL)
    assert settings.vgg16_weights() == tmp_path / "weights.h5"
    assert settings.log_level() == logging.INFO


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("FASHION16_HOME", str(REPOSITORY / "README.md"), "names the file .*README.md. Name a folder"),
        ("FASHION16_DATABASE_URL", "ann:secret@host", "is not a database URL. It looks like postgresql"),
        ("FASHION16_MANAGE", "yes", "is “local” or “1”, received “yes”"),
        ("FASHION16_LOG", "loud", "is one of debug, info, warning, error, received “loud”"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_may_be(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"{variable} {sentence}") as caught:
        settings.check()
    assert "secret" not in str(caught.value)


def test_a_command_says_which_setting_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASHION16_LOG", "loud")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SettingsError)
