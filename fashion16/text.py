"""Foreign text in our sentences, files and databases."""

from __future__ import annotations


def as_text(name: str) -> str:
    """A file's name whose bytes are no UTF-8 holds lone surrogates, which no database and no page can carry."""
    return name.encode("utf-8", "backslashreplace").decode()


def storable(text: str) -> str:
    """Text as every database can carry it: lone surrogates, and zero bytes, which PostgreSQL refuses, are escaped."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def shown(text: str) -> str:
    """Somebody else's text inside a sentence of ours: quoted, on one line, and not too long."""
    short = text if len(text) <= 60 else text[:59] + "…"
    return "“" + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in short) + "”"
