"""How good the served model and index are."""
