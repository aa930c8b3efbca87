"""The Correct labels page."""
