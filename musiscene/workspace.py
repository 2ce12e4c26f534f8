"""One folder per request, with a name nobody can guess, and its removal when its time is over."""

from __future__ import annotations

import secrets
import shutil
import time
from pathlib import Path

from musiscene.errors import StorageError


def new_folder(root: Path) -> Path:
    """Make and return an empty folder for one request under `root`, readable by this user only.

    Raises:
        StorageError: The disk refused.
    """
    folder = root / secrets.token_urlsafe(16)
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise StorageError(f"Cannot make a folder in {root} ({error.strerror}). Set MUSISCENE_WORK_DIR.") from error
    return folder


def clean(root: Path, keep_s: float) -> int:
    """Remove the request folders under `root` that nothing was written to for `keep_s` seconds; say how many."""
    removed = 0
    oldest = time.time() - keep_s
    for folder in root.glob("*") if root.is_dir() else ():
        try:
            if folder.is_dir() and folder.stat().st_mtime < oldest:
                shutil.rmtree(folder)
                removed += 1
        except OSError:  # another process cleans the same folder, or it is in use; the next round takes it
            continue
    return removed
