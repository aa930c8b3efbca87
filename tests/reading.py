"""What a person reads of an element of a page."""

from __future__ import annotations

import re
from typing import Any


def as_read(element: Any) -> str:
    """The text of an element without the backslashes that keep Markdown from changing it."""
    return re.sub(r"\\(.)", r"\1", str(element.value))
