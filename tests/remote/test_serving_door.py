"""The door: keys, sizes, the time of a request, and what is told when a backend is busy or lost. Backends are acted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from ray.exceptions import ActorDiedError
from ray.serve.exceptions import BackPressureError
from starlette.requests import Request

from musiscene.remote.catalogue import key_digest
from musiscene.remote.frames import CONTENT_TYPE, PROTOCOL, FrameReader, frame
from musiscene.serving import door as door_module
from musiscene.serving.door import Door, House

HEADERS = {"Authorization": "Bearer one", "Content-Type": CONTENT_TYPE}


class Handle:
    """Plays a deployment: what it is asked is noted, what it answers is `act`'s."""

    def __init__(self, act: Callable[[], AsyncIterator[bytes]]) -> None:
        self.asked: list[tuple[str, dict[str, Any], list[bytes]]] = []
        self.cancelled = False
        self._act = act
        self.work = self

    def options(self, **options: Any) -> Handle:
        assert options == {"stream": True}
        return self

    def remote(self, what: str, document: dict[str, Any], files: list[bytes]) -> Handle:
        self.asked.append((what, document, files))
        self._frames = self._act()
        return self

    def __anext__(self) -> Any:
        return self._frames.__anext__()

    def cancel(self) -> None:
        self.cancelled = True


async def answering() -> AsyncIterator[bytes]:
    yield frame({"event": "caption"})
    yield frame({"event": "end"})


async def thinking() -> AsyncIterator[bytes]:
    yield frame({"event": "progress"})
    await asyncio.sleep(60)


def failing(error: Exception) -> Callable[[], AsyncIterator[bytes]]:
    async def act() -> AsyncIterator[bytes]:
        raise error
        yield b""

    return act


def asked(handle: Handle, content: Any, *, headers: dict[str, str] = HEADERS, path: str = "captions/x") -> Any:
    """The status and the events, or words, of an answer."""
    house = House({"server": "here"}, (key_digest("one"), key_digest("two")), 1000, {"captions-x": 0.4})
    door = Door(house, **{"captions-x": handle})

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await (await door(Request(scope, receive)))(scope, receive, send)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.post(f"/v1/{path}", content=content, headers=headers)

    answer = asyncio.run(ask())
    if answer.status_code != 200:
        return answer.status_code, answer.text
    return answer.status_code, [document["event"] for document, _ in FrameReader().push(answer.content)]


def request(*files: bytes, **changed: Any) -> bytes:
    listed = [{"name": "a", "bytes": len(content)} for content in files]
    return frame({"protocol": PROTOCOL, "files": listed, **changed}) + b"".join(files)


def test_a_request_reaches_its_backend_with_its_files() -> None:
    """However it is cut; the answer comes back as it is."""
    handle = Handle(answering)
    body = request(b"first", b"second", kinds=["music"])

    async def in_pieces() -> AsyncIterator[bytes]:
        for begin in range(0, len(body), 7):
            yield body[begin : begin + 7]

    assert asked(handle, in_pieces()) == (200, ["alive", "caption", "end"])
    ((what, document, files),) = handle.asked
    assert (what, document["kinds"], files) == ("captions", ["music"], [b"first", b"second"])


@pytest.mark.parametrize("key", ["", "Bearer", "Bearer o", "Bearer one,two", f"Bearer {key_digest('one')}"])
def test_without_a_key_nothing_is_read(key: str) -> None:
    """Nor is a part of one, or what Ray knows of it, enough."""
    handle = Handle(answering)
    assert asked(handle, request(), headers={**HEADERS, "Authorization": key})[0] == 401
    assert not handle.asked


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (request(b"x" * 1001), 413),
        (frame({"protocol": PROTOCOL, "files": [{"name": "a", "bytes": 10**6}]}), 413),
        (request(b"abc") + b"more", 400),
        (request(b"abc")[:-1], 400),
        (request(protocol=99), 400),
        (frame({"protocol": PROTOCOL, "files": "a"}), 400),
        (frame({"protocol": PROTOCOL, "files": ["a"]}), 400),
        (frame({"protocol": PROTOCOL, "files": [{"bytes": -1}]}), 400),
        (b"", 400),
        (b"\xff" * 100, 400),
    ],
)
def test_what_is_no_request_of_ours_goes_no_further(content: bytes, status: int) -> None:
    """Too large, too short, too long, of another protocol, or nonsense."""
    handle = Handle(answering)
    assert asked(handle, content)[0] == status
    assert not handle.asked


def test_other_addresses_and_types_are_refused() -> None:
    """In words."""
    assert asked(Handle(answering), request(), path="captions/y")[0] == 404
    assert asked(Handle(answering), request(), path="soundtracks/x")[0] == 404
    assert asked(Handle(answering), request(), headers={**HEADERS, "Content-Type": "text/html"})[0] == 415


def test_time_is_kept_and_signs_of_life_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that does not come to an end is left, and told to stop."""
    monkeypatch.setattr(door_module, "SIGN_OF_LIFE_S", 0.1)
    handle = Handle(thinking)
    _, events = asked(handle, request())
    assert events[:2] == ["alive", "progress"] and events[-1] == "late" and events.count("alive") >= 3
    assert handle.cancelled


@pytest.mark.parametrize(
    ("error", "event"),
    [(BackPressureError(num_queued_requests=3, max_queued_requests=2), "busy"), (ActorDiedError(), "lost")],
)
def test_busy_and_lost_are_told(error: Exception, event: str) -> None:
    """Each by its name: one is worth another try at once, the other is not."""
    assert asked(Handle(failing(error)), request()) == (200, ["alive", event])
