"""Tiny networks on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_musicgen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random MusicGen in the published layout."""
    from musiscene.networks.musicgen.random_model import random_musicgen, save_with_tokenizer

    return save_with_tokenizer(random_musicgen("tiny"), tmp_path_factory.mktemp("musicgen"))


@pytest.fixture(scope="session")
def tiny_mu_llama(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Options of a tiny random MU-LLaMA."""
    from musiscene.networks.mu_llama.tiny import write_tiny

    folder = tmp_path_factory.mktemp("mu-llama")
    paths = {name: str(path) for name, path in write_tiny(folder).items()}
    return {**paths, "cache_dir": str(folder / "heard"), "max_new": 24}
