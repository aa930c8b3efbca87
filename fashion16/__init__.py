"""Fashion-16: visual search and label correction for clothing pictures."""

import logging

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent until somebody asks: see logs.py
