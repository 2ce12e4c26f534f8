"""What is written beside the files of some weights: what came, from which commit, and that it is complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from musiscene.errors import StorageError
from musiscene.fetching import Remote

NOTE = "weights.json"
"""Written last: commit of the hub, size and SHA-256 of every file."""

PIN = "weights.pin.json"
"""Written when the hub has named a commit, and gone when the note has it: a download that is taken up again after days
does not go on with the files of another commit."""


def is_commit(revision: str) -> bool:
    """Whether a revision names a commit, which stays what it is, and not a branch or tag."""
    return len(revision) == 40 and not set(revision) - set("0123456789abcdef")


def commit_here(folder: Path, repo_id: str) -> str:
    """The commit of a repository whose files are in `folder`, or partly; empty where none are."""
    notes = [read_note(folder, name) or {} for name in (PIN, NOTE)]
    return next((str(note["commit"]) for note in notes if note.get("repo_id") == repo_id and note.get("commit")), "")


def noted_commit(folder: Path) -> str:
    """The commit from which the complete files in `folder` came; empty when that is not known."""
    return str((read_note(folder) or {}).get("commit") or "")


def make_way(folder: Path, remotes: tuple[Remote, ...]) -> None:
    """Before the files of another commit come.

    What is here is not complete any more, and a file for which the hub has no checksum could be taken for the new one
    of its size. The others are compared when they are fetched.

    Raises:
        StorageError: The disk refused.
    """
    unsure = [path for r in remotes for path in ((r.path,) if not r.sha256 else ()) + (f"{r.path}.part",)]
    for name in (NOTE, *unsure):
        drop(folder, name)


def drop(folder: Path, name: str) -> None:
    """Remove a file of a folder, if it is there and not outside.

    Raises:
        StorageError: The disk refused.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be replaced: {error.strerror or error}.") from error


def read_note(folder: Path, name: str = NOTE) -> dict[str, Any] | None:
    """The note of a folder; None without one that can be read."""
    try:
        note = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None


def write_note(folder: Path, note: Mapping[str, Any], name: str = NOTE) -> None:
    """Write the note of a folder, which is made where there is none.

    Raises:
        StorageError: The disk refused.
    """
    part = folder / f"{name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
        part.replace(folder / name)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}.") from error
