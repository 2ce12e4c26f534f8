"""Recording work as a CUDA graph while other threads use the device (PyTorch's notes on CUDA semantics)."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

ONE_CAPTURE = threading.Lock()
"""PyTorch records one graph at a time in a process."""


@functools.cache
def side_stream(device: int) -> torch.cuda.Stream:
    """The stream that is recorded, one for each device: libraries keep work space for every stream they have seen."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@contextmanager
def aside(stream: torch.cuda.Stream) -> Iterator[None]:
    """Run what is within on `stream`, behind what is queued here and before what comes after.

    What another thread records on this stream is finished first: work launched into it would be recorded, too.
    """
    here = torch.cuda.current_stream()
    with ONE_CAPTURE:
        stream.wait_stream(here)
        try:
            with torch.cuda.stream(stream):
                yield
        finally:  # also where memory ran out half-way: what was begun still writes into memory that is free again here
            here.wait_stream(stream)


@contextmanager
def recorded(graph: torch.cuda.CUDAGraph, stream: torch.cuda.Stream, pool: Any = None) -> Iterator[None]:
    """Record what is within into `graph`; nothing of it runs. Graphs that run in turn may share a `pool` of memory.

    In torch's default mode an allocation by any other thread, such as one that listens to another clip, would end the
    recording; here only this thread's own calls can.

    Raises:
        RuntimeError: Something in it cannot be recorded. The current stream is what it was before.
    """
    # The outer context brings the stream back where ending the recording fails; torch's own does not then.
    with (
        ONE_CAPTURE,
        torch.cuda.stream(torch.cuda.current_stream()),
        torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"),
    ):
        yield
