"""What is set from outside: environment variables. Top-level secrets of the app are among them, put there by Streamlit.

    python -m fashion16.settings    prints the README's table

They are read when they are asked for, so that a change counts at once.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from fashion16.errors import SettingsError

LOCAL, EVERYBODY = "local", "1"  # who may manage
LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True)
class Setting:
    """An environment variable.

    Attributes:
        meaning: what it says and what holds where it is not set, in Markdown.
    """

    variable: str
    meaning: str

    def read(self) -> str | None:
        """What it is set to; None where it is not set, or is empty."""
        return os.environ.get(self.variable, "").strip() or None


HOME = Setting("FASHION16_HOME", "the folder with `models/`, `indexes/` and `data/`; default: the repository")
DATABASE_URL = Setting(
    "FASHION16_DATABASE_URL",
    "where catalogues are kept, e.g. `postgresql+psycopg://user:password@host/name` (first `pip install "
    '"psycopg[binary]"`); default: SQLite files in `data/`',
)
COLLECTION = Setting(
    "FASHION16_COLLECTION", "the collection that opens first; default: a packed one, else Fashion-MNIST"
)
MANAGE = Setting(
    "FASHION16_MANAGE",
    "who may add and remove collections and correct labels in the app: `local` (whoever uses this computer; `make app` "
    "sets it) or `1` (everybody who opens the app); default: nobody",
)
VGG16_WEIGHTS = Setting(
    "FASHION16_VGG16_WEIGHTS",
    "a file with VGG-16's ImageNet weights for `fashion16 train encoder`; default: downloaded by Keras",
)
LOG = Setting(
    "FASHION16_LOG",
    "what the app and the commands write to the terminal: `debug`, `info` (imports, jobs, new indexes), `warning` "
    "(refused corrections, slow searches) or `error`; default: nothing",
)
ALL = (HOME, DATABASE_URL, COLLECTION, MANAGE, VGG16_WEIGHTS, LOG)
# which job a command runs as: set by the app for the commands that it starts, not by people
JOB = Setting("FASHION16_JOB", "the folder of the job")


def home() -> Path | None:
    """The folder with models, indexes and data; None for the repository.

    Raises:
        SettingsError: it is a file.
    """
    folder = _path(HOME)
    if folder is not None and folder.is_file():
        raise SettingsError(f"{HOME.variable} names the file {folder}. Name a folder.")
    return folder


def database_url() -> str | None:
    """Where catalogues are kept; None for SQLite files.

    Raises:
        SettingsError: it is no URL.
    """
    url = DATABASE_URL.read()
    if url is not None and "://" not in url:
        # what is no URL may still hold a password
        raise SettingsError(
            f"{DATABASE_URL.variable} is not a database URL. It looks like postgresql+psycopg://user:password@host/name."
        )
    return url


def first_collection() -> str | None:
    """The collection that opens first, where one is named."""
    return COLLECTION.read()


def manage() -> str | None:
    """Who may manage collections in the app: LOCAL, EVERYBODY, or None for nobody.

    Raises:
        SettingsError: it is something else.
    """
    who = MANAGE.read()
    if who not in (LOCAL, EVERYBODY, None):
        raise SettingsError(f"{MANAGE.variable} is “{LOCAL}” or “{EVERYBODY}”, received “{who[:40]}”.")
    return who


def vgg16_weights() -> Path | None:
    """The file with VGG-16's ImageNet weights, where one is named."""
    return _path(VGG16_WEIGHTS)


def log_level() -> int | None:
    """From which level on messages are written, as `logging` numbers them; None for none.

    Raises:
        SettingsError: there is no such level.
    """
    level = LOG.read()
    if level is None:
        return None
    if level.lower() not in LEVELS:
        raise SettingsError(f"{LOG.variable} is one of {', '.join(LEVELS)}, received “{level[:40]}”.")
    return logging.getLevelNamesMapping()[level.upper()]


def job_folder() -> Path | None:
    """The folder of the job that this process runs as; None where a person started it."""
    return _path(JOB)


def check() -> None:
    """Read everything that can be wrong.

    Raises:
        SettingsError: a setting is wrong; the sentence says which one and what it may be.
    """
    for read in (home, database_url, manage, log_level):
        read()


def table() -> str:
    """All settings as a Markdown table."""
    rows = [f"| `{setting.variable}` | {setting.meaning} |" for setting in ALL]
    return "\n".join(["| variable | |", "|---|---|", *rows])


def _path(setting: Setting) -> Path | None:
    named = setting.read()
    return Path(named) if named else None


if __name__ == "__main__":
    print(table())  # noqa: T201
