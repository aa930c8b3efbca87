"""Uploaded files and photos as arrays."""

from __future__ import annotations

# what the widget lets through, so that a file above our own limit gets our own sentence, not a small red icon
WIDGET_MB = 100
