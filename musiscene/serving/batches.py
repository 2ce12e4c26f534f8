"""Requests of several people become batches: who comes while a batch is being filled goes with it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from musiscene.errors import MusisceneError, Stopped, explain
from musiscene.types import CaptionKind, Job, Waveform

_log = logging.getLogger(__name__)

TOLD_EVERY_S = 0.1
"""Progress travels through several processes; a network takes a hundred steps a second."""


@dataclass
class Ticket:
    """One person's request.

    Attributes:
        asked: What the backend is given.
        rows: How many places of a batch it takes.
        alike: Only tickets of which this is equal go into one batch.
        tell: Told everything that happens, in any thread; an event of None says that there is no more.
        stop: Set when the person is gone.
        doing: Said when something goes wrong.
    """

    asked: Any
    rows: int
    alike: Hashable
    tell: Callable[[str | None, Any], None]
    doing: str
    stop: threading.Event = field(default_factory=threading.Event)

    def fail(self, error: BaseException) -> None:
        """Tell an error, in words that may be shown."""
        known = error if isinstance(error, MusisceneError) else MusisceneError(explain(error, self.doing))
        self.tell("error", known)


Owner = Callable[[int], tuple[Ticket, int]]
"""Number of a row in a batch -> whose it is, and its number there."""

Results = Iterator[tuple[Ticket, str, Any]]
"""Whose, what ("caption", "soundtrack" or "piece"), and the thing itself."""


class Batches:
    """A line of tickets, and threads that take batches from it."""

    def __init__(self, run: Callable[[Sequence[Ticket]], None], *, most: int, wait_s: float, at_once: int) -> None:
        self._run, self._most, self._wait_s = run, most, wait_s
        self._line: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"musiscene-batch-{number}", daemon=True)
            for number in range(at_once)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def healthy(self) -> bool:
        """Whether all of its threads are alive."""
        return all(thread.is_alive() for thread in self._threads)

    def put(self, ticket: Ticket) -> None:
        """Join the line."""
        with self._changed:
            self._line.append(ticket)
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            batch = self._next()
            try:
                self._run(batch)
            except BaseException as error:  # noqa: BLE001 - this thread serves everybody and must live on
                for ticket in batch:
                    ticket.fail(error)
            finally:
                for ticket in batch:
                    ticket.tell(None, None)

    def _next(self) -> list[Ticket]:
        """The next batch: the first in the line, and those like it, for as long as `wait_s`."""
        with self._changed:
            while not (first := self._first()):
                self._changed.wait()
            batch, rows = [first], first.rows
            end = time.monotonic() + self._wait_s
            while rows < self._most:
                for ticket in list(self._line):
                    if ticket.alike == first.alike and rows + ticket.rows <= self._most:
                        self._line.remove(ticket)
                        batch.append(ticket)
                        rows += ticket.rows
                left = end - time.monotonic()
                if left <= 0 or rows >= self._most:
                    break
                self._changed.wait(left)
            return batch

    def _first(self) -> Ticket | None:
        while self._line:
            ticket = self._line.popleft()
            if not ticket.stop.is_set():
                return ticket
            ticket.tell(None, None)
        return None


def run_together(tickets: Sequence[Ticket], together: Callable[[Sequence[Ticket]], Results]) -> None:
    """Do the work of `tickets` in one batch; if that fails, each alone, so that nobody pays for another's mistake.

    Results of several people's batch are told when all are there: then nothing is told twice.

    Args:
        tickets: The batch.
        together: Does the work and yields the results.
    """
    waiting = [ticket for ticket in tickets if not ticket.stop.is_set()]
    if len(waiting) > 1:
        try:
            for ticket, event, value in list(together(waiting)):
                ticket.tell(event, value)
            return
        except Stopped:
            return
        except Exception as error:  # noqa: BLE001 - told below to whom it belongs
            _log.info("a batch of %d failed, so each is done alone: %s", len(waiting), error)
            for ticket in waiting:
                ticket.tell("begin", None)
    for ticket in waiting:
        if ticket.stop.is_set():
            continue
        try:
            for _, event, value in together([ticket]):
                ticket.tell(event, value)
        except Stopped:
            continue
        except Exception as error:  # noqa: BLE001 - it becomes words
            ticket.fail(error)


def batch_job(tickets: Sequence[Ticket], owner: Owner) -> Job:
    """A job whose progress everybody hears, and which stops when everybody is gone."""
    told = 0.0

    def report(fraction: float, note: str) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < TOLD_EVERY_S and fraction < 1.0:
            return
        told = now
        for ticket in tickets:
            ticket.tell("progress", (fraction, note))

    def partial(kind: CaptionKind, text: str) -> None:
        if len(tickets) == 1:
            tickets[0].tell("partial", (kind, text))

    def heard(number: int, piece: Waveform, sample_rate: int) -> None:
        ticket, own = owner(number)
        ticket.tell("heard", (own, piece, sample_rate))

    return Job(report=report, stop=_AllGone(tickets), partial=partial, heard=heard)


class _AllGone(threading.Event):
    """Set when every one of some people is gone."""

    def __init__(self, tickets: Sequence[Ticket]) -> None:
        super().__init__()
        self._tickets = tickets

    def is_set(self) -> bool:
        return all(ticket.stop.is_set() for ticket in self._tickets)
