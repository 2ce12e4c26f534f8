"""Files as files: their fingerprint, and writing one so that it appears finished or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from musiscene.errors import StorageError, UnreadableMediaError

_CHUNK_BYTES = 1 << 20


def content_hash(path: Path | str) -> str:
    """SHA-256 of the file's bytes, in hexadecimal: the name under which ratings know a clip.

    Raises:
        UnreadableMediaError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise UnreadableMediaError(f"{Path(path).name} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()


@contextlib.contextmanager
def atomic_path(final: Path | str) -> Iterator[Path]:
    """A temporary path beside `final`, with its suffix, that takes its place when the block ends well.

    Whatever ends the block early (an error, a stop) removes the temporary file and leaves an older `final` as it was.

    Raises:
        StorageError: The folder cannot be written to, or the disk is full.
    """
    final = Path(final)
    temporary = final.with_name(f".{secrets.token_hex(6)}.part{final.suffix}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(final)
    except OSError as error:
        if error.filename is not None or error.errno == 28:  # ENOSPC
            raise StorageError(f"{final.name} cannot be written: {error.strerror}.") from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
