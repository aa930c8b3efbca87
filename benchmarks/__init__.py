"""Measures what the documentation says of speed, memory and quality."""
