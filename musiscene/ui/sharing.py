"""Several page processes with one work folder: who works on a comparison, and what another process wrote of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

try:
    from fcntl import LOCK_EX, LOCK_NB, flock

    _LOCKS = True
except ImportError:  # not on this system
    _LOCKS = False

Scores = dict[str, dict[str, dict[str, Any]]]
"""Person -> track -> score and comment."""

_WORKING = ".working"
_WRITING = ".writing"

Stamp = tuple[int, int] | None
"""What tells one version of a file from another."""


def stamp_of(path: Path) -> Stamp:
    """The version of a file; None when it is not there."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ino


class Hold:
    """The right to work on a comparison; it ends with `release`, or with the process."""

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file

    def release(self) -> None:
        """Let others work on it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def try_hold(folder: Path) -> Hold | None:
    """The right to work on the comparison in `folder`; None while another process has it.

    A disk that knows no locks, such as some mounted buckets, holds nobody off.
    """
    return _lock(folder / _WORKING, wait=False)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A block in which no other process writes the state of the comparison in `folder`."""
    hold = _lock(folder / _WRITING, wait=True)
    try:
        yield
    finally:
        if hold is not None:
            hold.release()


def _lock(path: Path, *, wait: bool) -> Hold | None:
    if not _LOCKS:
        return Hold(None)
    file: IO[str] | None = None
    try:
        file = path.open("w")
        flock(file, LOCK_EX if wait else LOCK_EX | LOCK_NB)
    except BlockingIOError:
        if file is not None:
            file.close()
        return None
    except OSError:
        if file is not None:
            file.close()
        return Hold(None)
    return Hold(file)


def merged_scores(before: Scores, ours: Scores, theirs: Scores) -> Scores:
    """What another process wrote, with what was given here since `before`, when both were the same."""
    merged = {person: dict(given) for person, given in theirs.items()}
    for person, given in ours.items():
        for track, score in given.items():
            if score != before.get(person, {}).get(track):
                merged.setdefault(person, {})[track] = score
    return merged


def scores_in(path: Path) -> Scores:
    """The scores in a comparison's file: person -> track -> score; empty when it cannot be read."""
    with suppress(OSError, ValueError, AttributeError):
        scores = json.loads(path.read_text("utf-8")).get("scores", {})
        return {str(person): dict(given) for person, given in scores.items()}
    return {}
