"""Shared by the tests of the metrics."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Tiny networks are fastest on one thread, and several threads on busy cores collapse."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def parity_root() -> Path:
    """Folder of the parity data, one sub-folder for each network."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "parity"
    return Path(os.environ.get("MUSISCENE_PARITY") or default)
