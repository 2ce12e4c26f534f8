"""Who works now and who waits: first come, first served, and everyone can see how many are before them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from musiscene.errors import Stopped


class Turnstile:
    """Lets `places` pieces of work run at once."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._line: list[object] = []
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, stop: threading.Event, on_wait: Callable[[int], None]) -> Iterator[None]:
        """Wait for a place, hold it for the block, and give it on.

        Args:
            stop: Ends the waiting.
            on_wait: Is told how many are before this one, whenever that changes.

        Raises:
            Stopped: `stop` was set before there was a place.
        """
        ticket = object()
        told = 0
        with self._changed:
            self._line.append(ticket)
        try:
            while True:
                with self._changed:
                    ahead = self._line.index(ticket) - self._places + 1
                    if ahead <= 0:
                        break
                    if ahead == told:
                        self._changed.wait(timeout=0.1)  # and look at `stop`
                if stop.is_set():
                    raise Stopped
                if ahead != told:
                    told = ahead
                    on_wait(ahead)
            yield
        finally:
            with self._changed:
                self._line.remove(ticket)
                self._changed.notify_all()
