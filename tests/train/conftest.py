"""Tiny networks and sounds for the training tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))  # the tests of this folder share tiny_run.py

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def _one_thread(one_torch_thread: None) -> None:
    """All tests of this folder."""


@pytest.fixture(scope="session")
def run_environment() -> dict[str, str]:
    """What a command of ours is started with: quiet, on one thread, without the network."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": str(REPOSITORY),
        "RAY_worker_niceness": "0",  # by itself Ray lets every other test go first
    }


@pytest.fixture(scope="session")
def write_toml() -> Callable[[Path, dict[str, Any]], Path]:
    """Writes a configuration."""
    return toml


@pytest.fixture(scope="session")
def write_chirp() -> Callable[..., Path]:
    """Writes a sound file: `write_chirp(path, hz, seconds=2.0, rate=24000)`."""
    return chirp


def chirp(path: Path, hz: float, seconds: float = 2.0, rate: int = 24_000) -> Path:
    """A sound file that differs with `hz`."""
    time = np.arange(int(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * hz * time * (1 + 0.1 * time))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate)
    return path


def toml(path: Path, document: dict[str, Any]) -> Path:
    """Write a configuration."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(_lines(document, "")), encoding="utf-8")
    return path


def _lines(table: dict[str, Any], name: str) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    if name:
        yield f"[{name}]\n"
    for key, value in table.items():
        if key not in inner:
            yield f'"{key}" = {_text(value)}\n'
    for key, value in inner.items():
        yield from _lines(value, f'{name}."{key}"' if name else f'"{key}"')


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    return str(value) if isinstance(value, (int, float)) else f"'{value}'"
