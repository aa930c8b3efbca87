"""Foreign text in Markdown and HTML."""

from __future__ import annotations

from fashion16.catalogue.rows import Item


def plain(text: object) -> str:
    """Text of a data set as Markdown shows it letter for letter."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]<>()#+-.!|~$:" else letter for letter in str(text))


def label(item: Item) -> str:
    """The item's label as plain text."""
    return "unlabelled" if item.label is None else item.label
