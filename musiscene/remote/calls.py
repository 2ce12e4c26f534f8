"""One request to the other machine: sent, followed frame by frame, given up when it is stopped or falls silent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from musiscene.errors import BackendUnavailableError, MediaLimitError, RequestError
from musiscene.following import follow, from_async
from musiscene.remote.catalogue import USE_SKETCH, Server
from musiscene.remote.documents import DocumentError, Files, list_of, number_of, read_error, text_of, whole_of
from musiscene.remote.frames import CONTENT_TYPE, PROTOCOL, FrameError, FrameReader, frame
from musiscene.types import Clip, Job

if TYPE_CHECKING:
    import httpx

CONNECT_S = 5.0
RETRY_AFTER_S = 1.0
"""Pause before the second try: a killed replica's place is known to be empty by then."""
_READ_BYTES = 256 << 10

Frame = tuple[dict[str, Any], bytes]
_SIGN_OF_LIFE: Frame = ({"event": "alive"}, b"")


class LostError(Exception):
    """The other machine, or the replica that did the work, went away; trying again may help."""


class BusyError(BackendUnavailableError):
    """As many requests wait over there as it takes."""


def call(server: Server, path: str, document: Mapping[str, Any], files: Files, name: str, job: Job) -> Iterator[Frame]:
    """Yield the results of a request, progress told to `job`.

    Args:
        server: Whom to ask.
        path: Below its address.
        document: The request.
        files: The clips that it is about.
        name: Of the backend, for what is said when something goes wrong.
        job: Hears the progress; stops it.

    Raises:
        LostError: It went away, or fell silent.
        BusyError: It is busy.
        MusisceneError: It refused, in words.
        Stopped: `job` was stopped.
    """
    catalogue = server.catalogue()
    listed = files.listed()
    total = sum(each["bytes"] for each in listed)
    if catalogue is not None and total > catalogue.max_upload_bytes:
        raise MediaLimitError(
            f"The machine that runs {name} takes files of {catalogue.max_upload_bytes / 1e6:.0f} MB, and these have "
            f"{total / 1e6:.0f} MB. Use a smaller or shorter clip, or {USE_SKETCH}."
        )
    head = {**document, "protocol": PROTOCOL, "files": listed}
    try:
        body = _Body(head, files.clips)
    except FrameError:
        raise RequestError(f"There is too much text in this request for the machine that runs {name}.") from None
    for event, payload in _follow(server, path, body, name, job):
        try:
            told = text_of(event, "event", 40)
            if told == "progress":
                job.progress(number_of(event, "fraction", 0, 1), text_of(event, "note", 500))
            elif told == "error":
                raise read_error(event)
            elif told == "busy":
                raise busy(name)
            elif told == "late":
                raise BackendUnavailableError(
                    f"{name} was not ready within the {number_of(event, 'limit_s', 0, 1e9):g} s that the other machine "
                    f"gives a request. Ask for less at once, try again later, or {USE_SKETCH}."
                )
            elif told == "lost":
                raise LostError("the replica was lost")
            elif told == "end":
                return
            elif told != "alive":
                yield event, payload
        except DocumentError as error:
            raise garbled(error) from error
    raise LostError("the answer broke off")


def busy(name: str) -> BusyError:
    """The sentence for a machine that takes no more."""
    return BusyError(
        f"The machine that runs {name} is busy: as many people wait as it takes. "
        f"Try again in a minute, or {USE_SKETCH}."
    )


def gone(name: str, why: str) -> BackendUnavailableError:
    """The sentence for a machine that went away twice."""
    return BackendUnavailableError(
        f"The machine that runs {name} could not finish this ({why}; it was tried twice). "
        f"Try again in a few minutes, or {USE_SKETCH}."
    )


def garbled(error: Exception) -> BackendUnavailableError:
    """The sentence for an answer that makes no sense."""
    return BackendUnavailableError(
        f"The machine at MUSISCENE_BACKEND_URL gave an answer that this one does not understand ({error}). "
        "Install the same version of MusiScene on both."
    )


class _Body:
    """The request as it travels: the document, then each file in pieces."""

    def __init__(self, head: Mapping[str, Any], clips: Sequence[Clip]) -> None:
        self._head, self._clips = frame(head), clips
        self._sizes = [whole_of(each, "bytes", 0, 2**63) for each in list_of(head, "files", 64)]
        self.total_bytes = len(self._head) + sum(self._sizes)

    async def chunks(self, sent: Callable[[], None]) -> AsyncIterator[bytes]:
        """The bytes; `sent` is told of each part, since a slow upload is no silence."""
        yield self._head
        for clip, size in zip(self._clips, self._sizes, strict=True):
            with clip.path.open("rb") as file:
                while size > 0 and (chunk := file.read(min(size, _READ_BYTES))):
                    size -= len(chunk)
                    yield chunk
                    sent()
            if size:
                raise OSError("the file became shorter")


def _follow(server: Server, path: str, body: _Body, name: str, job: Job) -> Iterator[Frame]:
    """Run the request; leaving it closes the connection, which the other side takes for a stop."""

    def silent(seconds: float) -> None:
        if seconds > server.silence_s:
            raise LostError(f"it was silent for {server.silence_s:g} s")

    stream = from_async(
        lambda put: _exchange(server, path, body, name, lambda: put(_SIGN_OF_LIFE))  # of the parts that were sent
    )
    return follow(stream, "musiscene-backend-call", job.check, silent)


async def _exchange(
    server: Server, path: str, body: _Body, name: str, sent: Callable[[], None]
) -> AsyncGenerator[Frame, None]:
    import httpx

    headers = {**server.headers, "Content-Type": CONTENT_TYPE, "Content-Length": str(body.total_bytes)}
    timeout = httpx.Timeout(None, connect=CONNECT_S)  # silence is watched where it is waited for
    reader = FrameReader()
    try:
        async with (
            httpx.AsyncClient(timeout=timeout, headers=headers) as client,
            client.stream("POST", f"{server.url}{path}", content=body.chunks(sent)) as response,
        ):
            await _check(response, name)
            async for chunk in response.aiter_bytes():
                for item in reader.push(chunk):
                    yield item
            reader.finish()
    except httpx.TransportError as error:
        connecting = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
        raise LostError("it does not answer" if connecting else "the connection broke") from None
    except FrameError as error:
        raise LostError(f"its answer is damaged: {error}") from None


async def _check(response: httpx.Response, name: str) -> None:
    """Turn a refusal into words."""
    status = response.status_code
    if status == 200 and response.headers.get("content-type", "").startswith(CONTENT_TYPE):
        return
    if status in (429, 503):
        raise busy(name)
    if status in (401, 403):
        raise BackendUnavailableError(
            f"The machine that runs {name} refused the key of this one: set MUSISCENE_BACKEND_KEY."
        )
    if status in (400, 404, 413, 415):
        said = (await response.aread())[:500].decode("utf-8", "replace").strip()
        kind = MediaLimitError if status == 413 else BackendUnavailableError
        raise kind(f"The machine that runs {name} refused this: {said or status}")
    raise LostError(f"it answered with status {status}")
