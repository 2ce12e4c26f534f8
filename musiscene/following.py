"""Slow work is followed from another thread, so that whoever waits for it can leave at once."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from typing import TypeAlias, TypeVar

Item = TypeVar("Item")

POLL_S = 0.05

Put: TypeAlias = Callable[[Item], None]
Produce: TypeAlias = Callable[[Put[Item], threading.Event], None]
"""Hands on items until there are no more, or the event is set: nobody listens any more."""


def begin(produce: Produce[Item], name: str) -> tuple[queue.SimpleQueue[Item | BaseException | None], threading.Event]:
    """Run `produce` in a thread called `name`.

    Returns:
        Where its items arrive, at last the exception that ended it, if any, and None; and the event that tells it that
        nobody listens any more.
    """
    arrived: queue.SimpleQueue[Item | BaseException | None] = queue.SimpleQueue()
    left = threading.Event()

    def work() -> None:
        try:
            produce(arrived.put, left)
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            arrived.put(error)
        finally:
            arrived.put(None)

    threading.Thread(target=work, name=name, daemon=True).start()
    return arrived, left


def follow(
    produce: Produce[Item], name: str, check: Callable[[], None], silent: Callable[[float], None] = lambda _: None
) -> Generator[Item, None, None]:
    """Yield what `produce` hands on in a thread called `name`; what it raises is raised here.

    Args:
        produce: Does the work.
        name: Of its thread.
        check: Called before each item and while there is none; leaves by raising.
        silent: The same while there is none, told how many seconds that has been.
    """
    arrived, left = begin(produce, name)
    heard = time.monotonic()
    try:
        while True:
            check()
            try:
                item = arrived.get(timeout=POLL_S)
            except queue.Empty:
                silent(time.monotonic() - heard)
                continue
            heard = time.monotonic()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        left.set()


def from_async(stream: Callable[[Put[Item]], AsyncGenerator[Item, None]]) -> Produce[Item]:
    """Run an asynchronous stream as `produce`; leaving it closes its connection at once, even while it waits.

    Args:
        stream: Given where signs of life may be put between its items.
    """

    def produce(put: Put[Item], left: threading.Event) -> None:
        async def consume() -> None:
            async with aclosing(stream(put)) as items:
                async for item in items:
                    put(item)

        async def watch() -> None:
            task = asyncio.create_task(consume())
            while not task.done():
                await asyncio.wait({task}, timeout=POLL_S)
                if left.is_set():
                    task.cancel()
            if not task.cancelled():
                task.result()

        asyncio.run(watch())

    return produce
