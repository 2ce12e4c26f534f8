"""The door: looks at keys, sizes and documents, hands requests to the backends, and keeps the time."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray.exceptions import RayError, TaskCancelledError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from musiscene.remote import documents
from musiscene.remote.documents import DocumentError
from musiscene.remote.frames import CONTENT_TYPE, MAX_DOCUMENT_BYTES, PROTOCOL, FrameError, FrameReader, frame

_log = logging.getLogger(__name__)

SIGN_OF_LIFE_S = 2.0
"""While nothing else is told."""
SLOWEST_UPLOAD_S = 60.0
"""Longest silence in the middle of an upload."""
_WORKS = {"captions": "captions", "soundtracks": "soundtracks", "questions": "captions"}
"""What may be asked -> the stage whose backends do it."""


@dataclass(frozen=True, slots=True)
class House:
    """What the door knows.

    Attributes:
        catalogue: What is here, as JSON.
        digests: SHA-256 of the keys that are taken; none are wanted when empty.
        max_upload_bytes: Files of one request together.
        limits_s: Deployment -> its time for a request.
    """

    catalogue: Mapping[str, Any]
    digests: Sequence[str]
    max_upload_bytes: int
    limits_s: Mapping[str, float]


class Door:
    """Takes HTTP requests. Ray Serve calls it."""

    def __init__(self, house: House, **rooms: Any) -> None:
        """Remember where to send requests.

        Args:
            house: What the door knows.
            rooms: Deployment -> its handle.
        """
        self._house, self._rooms = house, rooms

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if not self._known(request.headers.get("authorization", "")):
            return PlainTextResponse("Show a key: Authorization: Bearer KEY", 401)
        parts = request.url.path.strip("/").split("/")
        if parts == ["v1", "backends"] and request.method == "GET":
            return JSONResponse(dict(self._house.catalogue))
        room = self._room(parts)
        if room is None or request.method != "POST":
            return PlainTextResponse("there is no such backend here", 404)
        if not request.headers.get("content-type", "").startswith(CONTENT_TYPE):
            return PlainTextResponse(f"send {CONTENT_TYPE}", 415)
        try:
            document, files = await _read(request, self._house.max_upload_bytes)
        except _TooLargeError:
            return PlainTextResponse(f"it takes {self._house.max_upload_bytes / 1e6:.0f} MB", 413)
        except (DocumentError, FrameError) as error:
            return PlainTextResponse(f"the request cannot be understood ({error})", 400)
        except (ClientDisconnect, TimeoutError):
            return PlainTextResponse("the upload broke off", 400)
        return StreamingResponse(self._answer(room, parts[1], document, files), media_type=CONTENT_TYPE)

    def _known(self, authorization: str) -> bool:
        if not self._house.digests:
            return True
        given = hashlib.sha256(authorization.removeprefix("Bearer ").strip().encode()).hexdigest()
        return sum(hmac.compare_digest(given, digest) for digest in self._house.digests) > 0  # always looks at all

    def _room(self, parts: Sequence[str]) -> str | None:
        if len(parts) != 3 or parts[0] != "v1" or parts[1] not in _WORKS:
            return None
        room = f"{_WORKS[parts[1]]}-{parts[2]}"
        return room if room in self._rooms else None

    async def _answer(self, room: str, what: str, document: dict[str, Any], files: list[bytes]) -> AsyncIterator[bytes]:
        """Frames of the room, with signs of life in between, until its time is over."""
        limit_s = self._house.limits_s[room]
        end = time.monotonic() + limit_s
        frames = self._rooms[room].options(stream=True).work.remote(what, document, files)
        following: asyncio.Future[bytes] | None = None
        try:
            yield frame({"event": "alive"})
            while True:
                following = following or asyncio.ensure_future(anext(frames))
                left = end - time.monotonic()
                done, _ = await asyncio.wait({following}, timeout=min(SIGN_OF_LIFE_S, max(0.0, left)))
                if done:
                    item, following = following.result(), None
                    yield item
                elif left <= 0:
                    yield frame({"event": "late", "limit_s": limit_s})
                    return
                else:
                    yield frame({"event": "alive"})
        except StopAsyncIteration:
            return
        except BackPressureError:
            yield frame({"event": "busy"})
        except (TaskCancelledError, RequestCancelledError):
            yield frame({"event": "lost"})
        except (RayError, DeploymentUnavailableError) as error:
            _log.warning("%s was lost: %s", room, str(error).partition("\n")[0])
            yield frame({"event": "lost"})
        finally:
            if following is not None:
                following.cancel()
                with contextlib.suppress(BaseException):
                    await following
            with contextlib.suppress(Exception):
                frames.cancel()


class _TooLargeError(Exception):
    """More than is taken."""


async def _read(request: Request, max_bytes: int) -> tuple[dict[str, Any], list[bytes]]:
    """The document and the files of a request; never more in memory than is allowed.

    Raises:
        DocumentError: It is none of ours.
        FrameError: Likewise.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes + MAX_DOCUMENT_BYTES:
        raise _TooLargeError
    reader, document, sizes, body = FrameReader(), None, list[int](), bytearray()
    stream = request.stream()
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream), SLOWEST_UPLOAD_S)
        except StopAsyncIteration:
            break
        if document is None:
            found = next(reader.push(chunk), None)
            if found is None:
                continue
            document, chunk = found[0], reader.rest()
            if document.get("protocol") != PROTOCOL:
                raise DocumentError(f"this machine speaks version {PROTOCOL} of the protocol")
            listed = documents.list_of(document, "files", 16)
            if not all(isinstance(facts, dict) for facts in listed):
                raise DocumentError("files must be objects")
            sizes = [documents.whole_of(facts, "bytes", 0, 2**63) for facts in listed]
            if sum(sizes) > max_bytes:
                raise _TooLargeError
        body += chunk
        if len(body) > sum(sizes):
            raise DocumentError("the files are longer than was said")
    if document is None or len(body) != sum(sizes):
        raise DocumentError("the files are shorter than was said")
    files, begin = [], 0
    for size in sizes:
        files.append(bytes(memoryview(body)[begin : begin + size]))
        begin += size
    return document, files
