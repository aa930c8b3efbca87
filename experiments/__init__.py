"""Experiments that are not shipped with the app: the paper's, and the comparison with other libraries."""
