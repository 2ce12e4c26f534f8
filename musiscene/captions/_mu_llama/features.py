"""What MERT heard, kept by content: the same sound is never listened to twice, under whatever name it comes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from musiscene.errors import StorageError
from musiscene.media import atomic_path
from musiscene.types import Waveform

MAX_FILES = 4000
"""About 400 MB for MERT 330M; the files not used for longest go first."""


def fingerprint(mono: Waveform, listener: str) -> str:
    """Name of what `listener` (which weights, which part of the track) hears in this sound."""
    digest = hashlib.sha256(listener.encode())
    digest.update(np.ascontiguousarray(mono, dtype=np.float32).tobytes())
    return digest.hexdigest()


def remembered(
    folder: Path | None, name: str, listen: Callable[[], NDArray[np.float32]]
) -> tuple[NDArray[np.float32], bool]:
    """The features called `name`, from the folder or else from `listen`; and whether they were there.

    A file that cannot be read is made again; a folder that cannot be written is done without.
    """
    if folder is None:
        return listen(), False
    path = folder / f"{name}.npy"
    try:
        heard: NDArray[np.float32] = np.load(path, allow_pickle=False)
        path.touch()
        return heard, True
    except (OSError, ValueError, EOFError):
        pass
    heard = listen()
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, heard)
        _forget_oldest(folder)
    except (OSError, StorageError):
        pass
    return heard, False


def _forget_oldest(folder: Path) -> None:
    files = list(folder.glob("*.npy"))
    if len(files) > MAX_FILES:
        for file in sorted(files, key=lambda file: file.stat().st_mtime)[: len(files) - MAX_FILES]:
            file.unlink(missing_ok=True)
