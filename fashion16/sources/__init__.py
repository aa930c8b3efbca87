"""Where pictures and labels come from, and go back to."""
