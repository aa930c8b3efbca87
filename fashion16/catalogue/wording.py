"""What people write into a catalogue: labels, their own names and reasons, held to what every database can keep."""

from __future__ import annotations

import unicodedata

from fashion16.errors import LabelError, TextError

LONGEST = 200  # characters of a label and of a name, as migrations.py has it
# blanks, control and format characters: a label of these alone would look like none
UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})


def label(text: str) -> str:
    """The text as a label: without blanks round it.

    Raises:
        LabelError: nothing of it can be seen, it is too long, or it cannot be stored.
    """
    name = text.strip()
    if all(unicodedata.category(character) in UNSEEN for character in name):
        raise LabelError("A label needs at least one character that can be seen.")
    if len(name) > LONGEST:
        raise LabelError(f"A label has at most {LONGEST} characters, received {len(name):,}.")
    if not _can_be_stored(name):
        raise LabelError("The label holds a character that cannot be stored (NUL, or half of one). Type it again.")
    return name


def who(text: str) -> str:
    """The text as somebody's name.

    Raises:
        TextError: it is too long or cannot be stored.
    """
    if len(text) > LONGEST:
        raise TextError(f"A name has at most {LONGEST} characters, received {len(text):,}.")
    if not _can_be_stored(text):
        raise TextError("The name holds a character that cannot be stored (NUL, or half of one). Type it again.")
    return text


def why(text: str) -> str | None:
    """The text as a reason, of any length; None where it is empty.

    Raises:
        TextError: it cannot be stored.
    """
    if not _can_be_stored(text):
        raise TextError("The reason holds a character that cannot be stored (NUL, or half of one). Type it again.")
    return text or None


def _can_be_stored(text: str) -> bool:
    # PostgreSQL takes no NUL, and no database a surrogate, which is half of a character
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)
