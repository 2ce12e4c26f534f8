"""The next pictures are made ready in a second thread while this one measures."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item], most: int) -> Generator[Item, None, None]:
    """The same items; `items` runs in a thread of its own, at most `most` items in front.

    An exception of `items` is raised here, at its place. Closing this generator ends the thread.
    """
    waiting: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(most)
    over = threading.Event()

    def put(entry: tuple[bool, Item | BaseException | None]) -> None:
        while not over.is_set():
            try:
                waiting.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in items:
                put((True, item))
                if over.is_set():
                    break
            put((False, None))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            put((False, error))
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, name="pictures ahead", daemon=True)
    thread.start()
    try:
        while True:
            more, entry = waiting.get()
            if more:
                yield entry  # type: ignore[misc]
            elif isinstance(entry, BaseException):
                raise entry
            else:
                return
    finally:
        over.set()
        thread.join()
