"""A collection on disk, and opened."""
