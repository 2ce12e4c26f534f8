"""The errors whose message may be shown to a person.

```text
MusisceneError               what happened, the value, the next step
├── MediaError               a file given to us
│   ├── UnreadableMediaError   not media, damaged, or nothing can be decoded from it
│   ├── MediaLimitError        larger, longer or wider than this installation accepts
│   └── MissingStreamError     the file has no picture (or no sound) and one is needed
├── RequestError             an argument that cannot be used (a duration, a seed, an empty text)
├── BackendError             a captioner or a music generator
│   ├── UnknownBackendError    no backend or profile of that name
│   ├── BackendUnavailableError  known, but weights, memory or a package are missing here
│   └── MissingCaptionError    a caption that this one is made from does not exist
├── ConfigError              a setting or a configuration file
├── StorageError             the database or the disk
└── Stopped                  the person who asked for the work stopped it
```

Anything else that is raised is a defect: the page and the command line log it under an id and show only the id.
"""

from __future__ import annotations

import errno
import logging
import secrets

_log = logging.getLogger(__name__)


class MusisceneError(Exception):
    """Base of everything that is safe to show a user, in one sentence or two."""


class MediaError(MusisceneError):
    """A media file cannot be used."""


class UnreadableMediaError(MediaError):
    """The file is not media, is damaged, or nothing can be decoded from it."""


class MediaLimitError(MediaError):
    """The file exceeds a limit of this installation (bytes, seconds, pixels, streams)."""


class MissingStreamError(MediaError):
    """The file lacks the picture or the sound that the request needs."""


class RequestError(MusisceneError):
    """An argument of a request is outside what can be done."""


class BackendError(MusisceneError):
    """A captioner or a music generator cannot do its work."""


class UnknownBackendError(BackendError):
    """No backend or profile has that name."""


class BackendUnavailableError(BackendError):
    """The backend is known, but this machine lacks a package, weights or memory for it."""


class MissingCaptionError(BackendError):
    """A caption that the requested one is made from does not exist."""


class ConfigError(MusisceneError):
    """A setting or configuration file is not valid."""


class StorageError(MusisceneError):
    """The database or the disk refused."""


class Stopped(MusisceneError):
    """The work was stopped by the person who asked for it."""

    def __init__(self, message: str = "Stopped.") -> None:
        super().__init__(message)


def explain(error: BaseException, doing: str) -> str:
    """One sentence about `error` that may be shown: its own for ours, an id of the log entry for a defect.

    Args:
        error: What was raised.
        doing: What was being done, as in "writing the music caption".
    """
    if isinstance(error, MusisceneError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"There was not enough memory for {doing}. Try a shorter or smaller clip."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full, so {doing} failed. Free some space and try again."
    error_id = secrets.token_hex(4)
    _log.error("error %s while %s", error_id, doing, exc_info=error)
    return f"Something went wrong while {doing}. It is in the log under {error_id}; please try again."
