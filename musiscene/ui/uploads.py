"""How much a visitor may send: one file at a time is bounded while it arrives, and all of them together by the hour.

Gradio writes an upload to the disk as it comes. It removes what it has written where the multipart text is damaged, and
keeps it where a connection ends; so every refusal of ours reaches it as the former.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from musiscene.errors import MediaError
from musiscene.settings import Settings
from musiscene.ui.guarding import visitor_of
from musiscene.ui.texts import LANGUAGES, Texts, duration_words, fill, size_words, texts_for

SLOWEST = 8_000
"""Bytes a second that an upload has to make on the whole."""

AT_ONCE = 4
"""Uploads of one visitor."""

ALL_AT_ONCE = 100
"""Uploads of everybody."""

_AROUND = 64 * 1024
"""Bytes of the multipart text around a file."""

_SPARE = 256 * 1024**2
"""Bytes of the disk that stay free."""

_COUNTED = re.compile(r"/gradio_api/|^/musiscene/")

_VISITORS_AT_MOST = 10_000
_HOUR_S = 3600.0
_MINUTE_S = 60.0


class Refused(MultiPartException):
    """An upload is not taken; Gradio removes what it has of it."""

    def __init__(self, status: int, key: str, wait_s: float = 0.0, **values: object) -> None:
        self.status, self.key, self.wait_s, self.values = status, key, wait_s, values
        super().__init__(key)

    def said(self, texts: Texts) -> str:
        """The reason in one language."""
        waiting = duration_words(max(1, round(self.wait_s)), texts)
        return fill(texts[self.key], **{**self.values, "time": waiting})


class Meter:
    """What each visitor did within a time, as amounts with their moments. Safe to use from several threads."""

    def __init__(self, within_s: float, at_most: float) -> None:
        self._within_s, self._at_most = within_s, at_most
        self._spent: OrderedDict[str, deque[tuple[float, float]]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, visitor: str, now: float) -> float:
        """Seconds until there is something left for this visitor; 0 where there is now."""
        if self._at_most <= 0:
            return 0.0
        with self._lock:
            spent = self._spent.get(visitor, deque())
            while spent and spent[0][0] <= now - self._within_s:
                spent.popleft()
            if sum(amount for _, amount in spent) < self._at_most:
                return 0.0
            return max(0.0, spent[0][0] + self._within_s - now)

    def spend(self, visitor: str, amount: float, now: float) -> None:
        """Count `amount`; what falls into one second is counted as one."""
        if self._at_most <= 0:
            return
        with self._lock:
            spent = self._spent.setdefault(visitor, deque())
            self._spent.move_to_end(visitor)
            if spent and now - spent[-1][0] < 1.0:
                spent[-1] = (spent[-1][0], spent[-1][1] + amount)
            else:
                spent.append((now, amount))
            while len(self._spent) > _VISITORS_AT_MOST:
                self._spent.popitem(last=False)


class Uploads:
    """ASGI middleware that refuses uploads that are too large, too slow or too many, and too many events.

    Args:
        app: What is guarded.
        settings: The limits.
        folder: Where uploads are written.
        clock: Seconds of a steady clock.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, folder: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app, self._settings, self._folder, self._clock = app, settings, folder, clock
        self._number = Meter(_HOUR_S, settings.uploads_per_hour)
        self._bytes = Meter(_HOUR_S, settings.upload_bytes_per_hour)
        self._events = Meter(_MINUTE_S, settings.events_per_minute)
        self._under_way: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # Answers of a study are never refused: a whole class may have one address.
        if scope["type"] != "http" or scope["method"] != "POST" or not _COUNTED.search(scope["path"]):
            await self._app(scope, receive, send)
            return
        texts = _texts_of(scope)
        if scope["path"].rstrip("/").endswith("/gradio_api/upload"):
            await self._upload(scope, receive, send, texts)
            return
        visitor, now = visitor_of(scope), self._clock()
        wait_s = self._events.wait_s(visitor, now)
        if wait_s:
            said = Refused(429, "guard_events", wait_s).said(texts)
            # Gradio's clients show `detail`.
            answer = Response(json.dumps({"detail": said, "error": said}), 429, media_type="application/json")
            await answer(scope, receive, send)
            return
        self._events.spend(visitor, 1, now)
        await self._app(scope, receive, send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send, texts: Texts) -> None:
        visitor = visitor_of(scope)
        try:
            self._admit(visitor, _length(scope))
        except Refused as refusal:
            await PlainTextResponse(refusal.said(texts), refusal.status)(scope, receive, send)
            return
        self._under_way[visitor] = self._under_way.get(visitor, 0) + 1
        upload = _Upload(self, visitor, receive, send)
        try:
            await self._app(scope, upload.receive, upload.send)
        except Refused:
            pass  # it came when nobody was parsing; the answer is below
        finally:
            self._under_way[visitor] -= 1
            if not self._under_way[visitor]:
                del self._under_way[visitor]
        if upload.refusal is not None and not upload.answered:
            await PlainTextResponse(upload.refusal.said(texts), upload.refusal.status)(scope, receive, send)

    def _admit(self, visitor: str, length: int) -> None:
        """Raise `Refused` where nothing of it needs to be read to know."""
        now, most = self._clock(), self._settings.limits.max_bytes
        if length > most + _AROUND:
            raise Refused(413, "guard_size", limit=size_words(most))
        if self._under_way.get(visitor, 0) >= AT_ONCE:
            raise Refused(429, "guard_together", n=AT_ONCE)
        if sum(self._under_way.values()) >= ALL_AT_ONCE:
            raise Refused(503, "guard_everybody")
        wait_s = self._number.wait_s(visitor, now)
        if wait_s:
            raise Refused(429, "guard_often", wait_s, n=self._settings.uploads_per_hour)
        self._check_amount(visitor, now)
        self._folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._folder).free < length + _SPARE:
            raise Refused(507, "guard_disk")
        self._number.spend(visitor, 1, now)

    def _check_amount(self, visitor: str, now: float) -> None:
        wait_s = self._bytes.wait_s(visitor, now)
        if wait_s:
            raise Refused(429, "guard_much", wait_s, size=size_words(self._settings.upload_bytes_per_hour))

    def take(self, visitor: str, size: int, received: int, seconds: float) -> None:
        """Count bytes that have arrived.

        Args:
            visitor: Who sent them.
            size: How many these are.
            received: How many of this upload have arrived, these included.
            seconds: Since its first one was waited for.

        Raises:
            Refused: That is more than is taken, or too slow.
        """
        now, settings = self._clock(), self._settings
        if received > settings.limits.max_bytes + _AROUND:
            raise Refused(413, "guard_size", limit=size_words(settings.limits.max_bytes))
        if seconds > settings.upload_pause_s and received < SLOWEST * (seconds - settings.upload_pause_s):
            raise Refused(408, "guard_slow", seconds)
        self._check_amount(visitor, now)
        self._bytes.spend(visitor, size, now)

    @property
    def pause_s(self) -> float:
        """Longest silence of an upload."""
        return self._settings.upload_pause_s

    def now(self) -> float:
        """Seconds of the clock."""
        return self._clock()


class _Upload:
    """One upload on its way: what is received is counted, and an answer to a refused one is ours."""

    def __init__(self, meter: Uploads, visitor: str, receive: Receive, send: Send) -> None:
        self._meter, self._visitor, self._receive, self._send = meter, visitor, receive, send
        self._began, self._received = meter.now(), 0
        self._ended = False
        self.refusal: Refused | None = None
        self.answered = False

    async def receive(self) -> Message:
        if self.refusal is not None:
            raise self.refusal
        if self._ended:  # Starlette listens for the end of the connection
            return await self._receive()
        try:
            with anyio.move_on_after(self._meter.pause_s) as waiting:
                message = await self._receive()
            if waiting.cancelled_caught:
                raise Refused(408, "guard_slow", self._meter.pause_s)
            if message["type"] == "http.disconnect":
                raise Refused(400, "guard_cut")
            body = message.get("body", b"")
            self._received += len(body)
            self._meter.take(self._visitor, len(body), self._received, self._meter.now() - self._began)
            self._ended = not message.get("more_body", False)
        except Refused as refusal:
            self.refusal = refusal
            raise
        return message

    async def send(self, message: Message) -> None:
        if self.refusal is None:
            self.answered = True
            await self._send(message)


@contextmanager
def not_kept(path: Path, folder: Path) -> Iterator[None]:
    """A block that reads an upload; one that proves to be no media does not stay in the `folder` of uploads."""
    try:
        yield
    except MediaError:
        if path.resolve().is_relative_to(folder.resolve()):
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()
        raise


def _length(scope: Scope) -> int:
    text = Headers(scope=scope).get("content-length", "")
    return int(text) if text.isdigit() and len(text) < 20 else 0


def _texts_of(scope: Scope) -> Texts:
    """The texts of the first language that the visitor reads and we have."""
    for part in Headers(scope=scope).get("accept-language", "").split(","):
        code = part.split(";")[0].strip().lower().split("-")[0]
        if code in LANGUAGES:
            return texts_for(code)
    return texts_for("en")
