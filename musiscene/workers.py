"""A few threads that turn work into events, with one stop for all of them."""

from __future__ import annotations

import logging
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from musiscene.errors import Stopped
from musiscene.events import CaptionPart, Event, SoundPart, StageProgress
from musiscene.types import CaptionKind, Job

_log = logging.getLogger(__name__)


class Workers:
    """A few threads that turn work into events in one queue; leaving the block stops and joins them."""

    def __init__(self, stop: threading.Event | None, threads: int) -> None:
        self._stop = stop or threading.Event()
        self._left = threading.Event()
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="musiscene-stage")
        self._running = 0
        self._result = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """End all work and wait for it."""
        self._left.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def busy(self) -> bool:
        """Whether something runs, or has left events that were not read."""
        with self._lock:
            return self._running > 0 or not self._events.empty()

    def start(self, work: Any, *arguments: Any) -> None:
        """Run `work(*arguments, workers)` in a thread."""

        def run() -> None:
            try:
                if not self.stopping:
                    work(*arguments, self)
            except Stopped:
                _log.debug("%s stopped", work.__name__)
            finally:
                with self._lock:
                    self._running -= 1
                    self._events.put(None)  # wakes the reader, which may have been waiting for this one alone

        with self._lock:
            self._running += 1
        try:
            self._pool.submit(copy_context().run, run)  # with the visitor's request, for whoever lends a GPU
        except RuntimeError:  # the block was left while this worker was still handing on work
            raise Stopped from None

    def put(self, event: Event) -> None:
        """Tell the reader of an event, from any thread."""
        self._events.put(event)
        if not isinstance(event, StageProgress | SoundPart):
            self._result.set()

    def wait_for_result(self, seconds: float) -> None:
        """Wait until something was told that is more than progress, but no longer than `seconds`."""
        end = time.monotonic() + seconds
        while not self._result.wait(0.02) and not self.stopping and time.monotonic() < end:
            pass

    @property
    def stopping(self) -> bool:
        """Whether the work is to end: stopped, or the block was left."""
        return self._stop.is_set() or self._left.is_set()

    def next_event(self) -> Event | None:
        """The next event; None when a worker ended, or none is at work.

        Raises:
            Stopped: The person stopped the work.
        """
        while True:
            try:
                return self._events.get(timeout=0.1)
            except queue.Empty:  # only now: what was finished before the stop is kept
                self.check()
                if not self.busy:
                    return None

    def check(self) -> None:
        """Raise `Stopped` if the person stopped the work."""
        if self._stop.is_set():
            raise Stopped

    def job(self, stage: str, kinds: frozenset[CaptionKind]) -> Job:
        """A job whose progress becomes events and whose stop is ours."""
        started = time.perf_counter()

        def report(fraction: float, note: str) -> None:
            spent = time.perf_counter() - started
            left = spent * (1 - fraction) / fraction if fraction > 0.05 and spent > 0.5 else None
            self.put(StageProgress(stage, kinds, fraction, note, left))

        def partial(kind: CaptionKind, text: str) -> None:
            self.put(CaptionPart(kind, text))

        return Job(report=report, stop=_EitherEvent(self._stop, self._left), partial=partial)


class _EitherEvent(threading.Event):
    """Set when either of two events is: the person's stop, or the end of the block that the workers belong to."""

    def __init__(self, first: threading.Event, second: threading.Event) -> None:
        super().__init__()
        self._first, self._second = first, second

    def is_set(self) -> bool:
        return self._first.is_set() or self._second.is_set()
