"""What Fashion-16 says of its work, by the standard library's `logging`: a logger for each module, silent by default.

A program that uses Fashion-16 sets levels and handlers as for any library, by package: `fashion16.collections`.
"""

from __future__ import annotations

import logging
import sys

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def to_stderr(level: int) -> None:
    """Write messages from this level on to the terminal; called again, only the level changes."""
    logger = logging.getLogger("fashion16")
    logger.setLevel(level)
    if not any(isinstance(handler, _Stderr) for handler in logger.handlers):
        handler = _Stderr()
        handler.setFormatter(logging.Formatter(FORMAT))
        logger.addHandler(handler)
        logger.propagate = False  # else Streamlit's root handler writes it once more


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Our handler, distinguished from those that others have set."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
