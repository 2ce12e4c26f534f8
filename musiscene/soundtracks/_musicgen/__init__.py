"""What the `musicgen` backend is made of; imported when it is loaded."""

TEXT_TOKENS = 256
"""Tokens of a text that are read; what is longer is cut, and provenance says so."""
