"""Torch modules that know nothing of clips: the published networks, written against their checkpoints."""
