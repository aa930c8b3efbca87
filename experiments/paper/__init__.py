"""The paper's experiments on our data."""
