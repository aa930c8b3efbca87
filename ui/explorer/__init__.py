"""The Index explorer page."""
