"""Fashion-16: visual search and label correction for clothing pictures."""

__version__ = "0.1.0"
