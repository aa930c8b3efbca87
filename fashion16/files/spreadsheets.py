"""Foreign text in CSV files that people open in a spreadsheet, which must show it and not run it.

A cell that would begin a formula gets an apostrophe before it, as OWASP's page on CSV injection has it. So does what
would begin one where a reader takes another separator for the right one, or loses count of quotation marks. Before
an apostrophe in such a place stands another, so that `plain` undoes exactly what `safe` did.
"""

from __future__ import annotations

import re

# as they are, full width, and small, as Chinese and Japanese keyboards give them; a spreadsheet takes them alike
FORMULA = "=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"
# what a reader may skip before it: blanks, control characters, marks of no width, quotation marks
SKIPPED = '\\s\\x00-\\x20\\x7f\\xad"\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u061c\u180e'
BEGIN = f"(\\A|[,;|\t\r\n])([{SKIPPED}]*)"
_DANGER = re.compile(f"{BEGIN}(?=[{FORMULA}'])")
_GUARD = re.compile(f"{BEGIN}'")
_LEADING = ("\t", "\r", "\n")


def safe(text: str) -> str:
    """The text as a cell that no spreadsheet runs."""
    guarded = _DANGER.sub(r"\1\2'", text)
    return "'" + guarded if guarded.startswith(_LEADING) else guarded


def plain(cell: str) -> str:
    """The text that `safe` made the cell of."""
    if cell.startswith("'") and cell[1:].startswith(_LEADING):
        cell = cell[1:]
    return _GUARD.sub(r"\1\2", cell)
