"""A slow answer is fetched in a thread of its own, so that whoever waits for it can stop at once."""

from __future__ import annotations

import asyncio
import math
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing

from musiscene.captions._language.model import Delta, LanguageModelError
from musiscene.types import Job

POLL_S = 0.05

Put = Callable[[Delta], None]
Produce = Callable[[Put, threading.Event], None]
"""Hands on pieces of an answer until it is complete or the event is set: nobody listens any more."""


def follow(produce: Produce, job: Job, silence_s: float = math.inf, longest_s: float = math.inf) -> Iterator[Delta]:
    """Yield what `produce` hands on in its thread.

    It is left when `job` is stopped, when nothing comes for `silence_s`, or when there is no end after `longest_s`:
    signs of life alone are no answer.

    Raises:
        LanguageModelError: It took too long, or `produce` raised it.
        Stopped: `job` was stopped.
    """
    arrived: queue.Queue[Delta | BaseException | None] = queue.Queue()
    left = threading.Event()

    def work() -> None:
        try:
            produce(arrived.put, left)
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            arrived.put(error)
        finally:
            arrived.put(None)

    threading.Thread(target=work, name="musiscene-language-model", daemon=True).start()
    heard = began = time.monotonic()
    try:
        while True:
            job.check()
            if time.monotonic() - began > longest_s:
                raise LanguageModelError(
                    f"The language model has come to no end in {longest_s:g} seconds. Try again later, or choose "
                    "a smaller "
                    "model."
                )
            try:
                item = arrived.get(timeout=POLL_S)
            except queue.Empty:
                if time.monotonic() - heard > silence_s:
                    raise LanguageModelError(
                        f"The language model has not answered for {silence_s:g} seconds. Try again later, choose a "
                        "smaller model, or raise MUSISCENE_LLM_TIMEOUT_S."
                    ) from None
                continue
            heard = time.monotonic()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        left.set()


def from_async(stream: Callable[[], AsyncGenerator[Delta, None]]) -> Produce:
    """Run an asynchronous stream as `produce`; leaving it closes its connection at once, even while it waits."""

    def produce(put: Put, left: threading.Event) -> None:
        async def consume() -> None:
            async with aclosing(stream()) as deltas:
                async for delta in deltas:
                    put(delta)

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
