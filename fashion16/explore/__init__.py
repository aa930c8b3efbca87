"""What the Index explorer shows."""
