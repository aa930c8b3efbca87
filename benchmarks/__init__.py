"""What the README says of speed, memory and quality, measured anew."""
