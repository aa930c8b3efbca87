"""Labels and their history: the only SQL."""
