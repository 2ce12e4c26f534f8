"""Steps of the loop as CUDA graphs: one launch each instead of several hundred."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any, Protocol

import torch

from musiscene.networks.capturing import aside, recorded, side_stream

_log = logging.getLogger(__name__)

BUCKET = 256
"""A captured step looks at the memory up to the next multiple of this; one graph serves that many steps."""

WORTH = 6
"""Steps that a graph has to serve at least: recording it takes as long as some steps do without."""

_AHEAD = 8
"""Steps that the host may be ahead of the device: enough to keep it busy, few enough to stop at once."""


class Stepping(Protocol):
    """What can be captured."""

    before: int
    length: int

    def advance_within(self, reach: int) -> None:
        """One step that looks at `reach` places of the memory."""


class Captured:
    """Runs `advance_within` as CUDA graphs, one for each bucket of the memory.

    The first step of a bucket runs as it is, on the stream that is recorded afterwards: libraries set themselves up on
    first use, which must not be recorded, and keep what they need for each stream. So recording costs little more than
    the launches of one step, once in `BUCKET` steps. The graphs share one pool of memory: they run one after the other,
    and nothing in it outlives a step, since what a step leaves is written into tensors of the loop. The pool is given
    back when the graphs are deleted, at the end of the run.

    Args:
        loop: Its tensors stay where they are as long as this lives.
        last: The last column that will be asked for.
    """

    def __init__(self, loop: Stepping, last: int) -> None:
        self._loop, self._last = loop, last
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._begun: set[int] = set()
        self._stream = side_stream(torch.cuda.current_device())
        self._pool: Any = torch.cuda.graph_pool_handle()
        self._possible = True

    def __call__(self, column: int) -> None:
        """Read `column` and write the one after."""
        position = self._loop.before + column
        reach = min(self._loop.length, (position // BUCKET + 1) * BUCKET)
        remaining = min(reach - position, self._last + 1 - column)
        if reach not in self._graphs and self._possible and reach in self._begun and remaining >= WORTH:
            self._record(reach)
        if reach in self._graphs:
            self._graphs[reach].replay()
        else:
            self._begun.add(reach)
            with aside(self._stream):
                self._loop.advance_within(reach)

    def _record(self, reach: int) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            with recorded(graph, self._stream, self._pool):
                self._loop.advance_within(reach)
        except RuntimeError as error:  # nothing has been computed, so nothing is lost; out of memory is one, too
            self._possible = False
            _log.warning("The step could not be recorded as a CUDA graph and goes on without: slower (%s)", error)
        else:
            self._graphs[reach] = graph


class Pace:
    """Keeps the host a few steps ahead of the device, so that progress is true and a stop comes soon."""

    def __init__(self, device: torch.device) -> None:
        self._events: deque[torch.cuda.Event] | None = deque() if device.type == "cuda" else None

    def wait(self) -> None:
        """Called after each step."""
        if self._events is None:
            return
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._events.append(event)
        if len(self._events) > _AHEAD:
            self._events.popleft().synchronize()
