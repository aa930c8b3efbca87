"""Training and export of the networks; the only part that loads TensorFlow."""
