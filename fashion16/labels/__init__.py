"""Finding wrong labels, and carrying corrections out and in."""
