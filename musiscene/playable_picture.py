"""A clip's picture as browsers play it, for all soundtracks of one request."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from musiscene.errors import MusisceneError
from musiscene.types import Clip, Job
from musiscene.workers import Workers

_log = logging.getLogger(__name__)


class PlayablePicture:
    """The clip's picture in a form that browsers play, encoded at most once for all soundtracks of a request."""

    def __init__(self, clip: Clip | None, folder: Path) -> None:
        self.folder = folder
        self._clip = clip
        self._playable: Clip | None = None
        self._lock = threading.Lock()

    def prepare(self, workers: Workers) -> None:
        """Encode it while the music is being made; a failure is told by the soundtrack that needs it."""
        try:
            self.get(Job(stop=workers.job("mux", frozenset()).stop))
        except MusisceneError as error:
            _log.debug("the picture could not be prepared: %s", error)

    def get(self, job: Job) -> Clip:
        """The clip to copy the picture from.

        Raises:
            MediaError: The picture cannot be read.
            StorageError: The disk refused.
            Stopped: `job` was stopped.
        """
        assert self._clip is not None, "asked only where there is a picture"
        while not self._lock.acquire(timeout=0.1):
            job.check()
        try:
            if self._playable is None:
                from musiscene.mux import playable

                self._playable = playable(self._clip, self.folder, job)
            return self._playable
        finally:
            self._lock.release()

    def discard(self) -> None:
        """Remove the encoding, if one was made."""
        if self._playable is not None and self._playable is not self._clip:
            self._playable.path.unlink(missing_ok=True)
