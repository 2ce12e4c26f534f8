"""What the `musicgen` backend is made of; imported when it is loaded."""
