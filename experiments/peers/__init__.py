"""Our search beside other libraries."""
