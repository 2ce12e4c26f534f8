"""The same verbs for programs: `/describe`, `/score`, `/compare` and `/rate`, for `gradio_client` and plain HTTP.

Each call that works is a stream: documents with `progress` while it is done, and the result as the last one. Addresses
of files are relative to the page; they hold a random token and are the only way to the files.
"""

from __future__ import annotations

import hmac
import queue
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import gradio as gr
from gradio.events import api
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from musiscene import media, workspace
from musiscene.errors import RequestError, explain
from musiscene.pipeline import ScoreOptions
from musiscene.registry import find_generator
from musiscene.types import Caption, CaptionKind, Job, Mix, ScoreRequest
from musiscene.ui.choices import Choices
from musiscene.ui.comparison import Comparison
from musiscene.ui.desk import Desk
from musiscene.ui.files import manifest
from musiscene.ui.view import media_url

SCORE_ROUTE = "musiscene/score"
LONGEST_TEXT = 4000
_VISITORS_AT_MOST = 10_000
_FILES = {"soundtrack.wav": "audio/wav", "soundtrack.mid": "audio/midi"}

Kind = Literal["video", "music", "fusion", "msi"]
Document = dict[str, Any]


class Gate:
    """Who may call: keys, where the installation has some, and a number of calls an hour for each visitor."""

    def __init__(self, keys: str, per_hour: int) -> None:
        self._keys = [key.strip() for key in keys.split(",") if key.strip()]
        self._per_hour = per_hour
        self._calls: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def enter(self, authorization: str, host: str, now: float | None = None) -> None:
        """Count a call.

        Args:
            authorization: The header of that name.
            host: Address of the caller.
            now: Seconds of a steady clock.

        Raises:
            RequestError: The key is none of ours, or there were too many calls.
        """
        given = authorization.removeprefix("Bearer ").strip()
        if self._keys and not any(hmac.compare_digest(given.encode(), key.encode()) for key in self._keys):
            raise RequestError("This installation wants a key: send the header `Authorization: Bearer KEY`.")
        if self._per_hour <= 0:
            return
        now = time.monotonic() if now is None else now
        visitor = given if self._keys else host
        with self._lock:
            calls = self._calls.setdefault(visitor, deque())
            self._calls.move_to_end(visitor)
            while calls and calls[0] <= now - 3600:
                calls.popleft()
            if len(calls) >= self._per_hour:
                minutes = max(1, round((calls[0] + 3600 - now) / 60))
                raise RequestError(f"There are {self._per_hour} calls an hour; the next is free in {minutes} minutes.")
            calls.append(now)
            while len(self._calls) > _VISITORS_AT_MOST:
                self._calls.popitem(last=False)


class Endpoints:
    """What programs call."""

    def __init__(self, desk: Desk, upload_dir: Path) -> None:
        self._desk, self._upload_dir = desk, upload_dir.resolve()
        self._gate = Gate(desk.settings.api_keys, desk.settings.api_per_hour)

    def mount(self) -> None:
        """Add the endpoints to the open `gr.Blocks`."""
        working: dict[str, Any] = {"concurrency_id": "work", "concurrency_limit": 24}
        api(self.describe, api_name="describe", **working)
        api(self.score, api_name="score", **working)
        api(self.compare, api_name="compare", **working)
        api(self.rate, api_name="rate", concurrency_limit=8)

    def describe(self, clip: dict[str, Any], request: gr.Request, kinds: list[str] | None = None) -> Iterator[Document]:
        """Write the captions of a video or a music track.

        Args:
            clip: The file, as `gradio_client.handle_file` gives it.
            kinds: Of "video", "music", "fusion", "msi"; all of them by default.
        """
        yield from self._work(request, clip, Choices(kinds=_kinds(kinds)), score=False)

    def compare(
        self,
        clip: dict[str, Any],
        request: gr.Request,
        kinds: list[str] | None = None,
        duration_s: float | None = None,
        seed: int = 0,
        mix: str = "replace",
    ) -> Iterator[Document]:
        """Write the captions, make a soundtrack from each and put it on the clip.

        Args:
            clip: The file, as `gradio_client.handle_file` gives it.
            kinds: Of "video", "music", "fusion", "msi"; all of them by default.
            duration_s: Length of the music; the clip's own by default.
            seed: The same clip and seed give the same music.
            mix: What becomes of the clip's own sound: "replace", "duck" or "blend".
        """
        with _in_words("reading the request"):
            if mix not in list(Mix):
                raise RequestError(f"There is no mix {mix!r}. Choose one of: {', '.join(Mix)}.")
            ScoreOptions(seed=seed)
            choices = Choices(kinds=_kinds(kinds), duration_s=duration_s, seed=seed, mix=Mix(mix))
        yield from self._work(request, clip, choices, score=True)

    def score(self, text: str, request: gr.Request, duration_s: float = 30.0, seed: int = 0) -> Iterator[Document]:
        """Make a soundtrack from words.

        Args:
            text: Words for the music, a mood, or a scene.
            duration_s: Length in seconds.
            seed: The same words and seed give the same music.
        """
        with _in_words("making the soundtrack"):
            self._enter(request)
            longest = self._desk.settings.limits.max_score_s
            if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_TEXT:
                raise RequestError(f"Describe the music in 1 to {LONGEST_TEXT} characters.")
            if not isinstance(duration_s, (int, float)) or not 1 <= duration_s <= longest:
                raise RequestError(f"Music can be 1 to {longest:g} seconds long, not {duration_s}.")
            ScoreOptions(seed=seed)
        told: queue.Queue[Document | BaseException | None] = queue.Queue()
        stop = threading.Event()
        work = threading.Thread(target=self._score, args=(text, float(duration_s), seed, told, stop), daemon=True)
        work.start()
        try:
            while (news := told.get()) is not None:
                if isinstance(news, BaseException):
                    raise gr.Error(explain(news, "making the soundtrack"), print_exception=False)
                yield news
        finally:
            stop.set()

    def rate(
        self, token: str, track: str, score: float, person: str, request: gr.Request, comment: str = ""
    ) -> Document:
        """Keep what a person thinks of a soundtrack, at once.

        Args:
            token: Of the comparison, as `/compare` returned it.
            track: The soundtrack's id.
            score: 0 (bad) to 100 (excellent).
            person: A random name of 8 to 64 letters, digits and dashes; a second rating replaces the first.
            comment: A line in the person's own words.
        """
        from musiscene.ui.handlers import Page

        with _in_words("saving the rating"):
            self._enter(request)
            page = Page.read({"token": token, "person": person})
            self._desk.rate(self._desk.find(page.token), page.person, str(track), float(score), str(comment))
        return {"token": token, "track": track, "score": float(score)}

    # -- work ----------------------------------------------------------------------------------------------------

    def _work(self, request: gr.Request, clip: Any, choices: Choices, *, score: bool) -> Iterator[Document]:
        with _in_words("reading the clip"):
            self._enter(request)
            comparison = self._desk.open_file(*self._uploaded(clip))
            comparison = self._desk.start(comparison, choices, describe=True, score=score)
        for _ in self._desk.follow(comparison):
            if comparison.active:
                with comparison.changing_nothing():
                    ready = [kind.value for kind in comparison.captions]
                    made = [track.kind.value for track in comparison.tracks if track.state == "ready"]
                    yield {"progress": comparison.work.phase, "captions": ready, "soundtracks": made}
        if comparison.work.error:
            raise gr.Error(str(comparison.work.error), print_exception=False)
        yield _document(comparison, self._desk.pipeline.profile.name)

    def _uploaded(self, clip: Any) -> tuple[Path, str]:
        path = Path(str(clip.get("path", "") if isinstance(clip, Mapping) else "")).resolve()
        if not path.is_relative_to(self._upload_dir) or not path.is_file():
            raise RequestError("Upload the clip first: with gradio_client, give `handle_file(path)`.")
        return path, str(clip.get("orig_name") or path.name)

    def _score(self, text: str, duration_s: float, seed: int, told: queue.Queue[Any], stop: threading.Event) -> None:
        desk = self._desk
        job = Job(report=lambda fraction, note: told.put({"progress": round(fraction, 3), "note": note}), stop=stop)
        try:
            spec = find_generator(desk.pipeline.profile.generator)
            wanted = ScoreRequest(Caption(CaptionKind.FUSION, text, backend="words"), duration_s, seed=seed)
            with desk._turnstile.turn(stop, lambda ahead: told.put({"progress": "waiting", "ahead": ahead})):
                (made,) = desk.pipeline.pool.generator(spec).generate([wanted], job)
            waveform, loudness = media.normalize_loudness(made.waveform, made.sample_rate)
            folder = workspace.new_folder(desk.settings.work_dir)
            media.write_wav(folder / "soundtrack.wav", waveform, made.sample_rate)
            if made.midi:
                (folder / "soundtrack.mid").write_bytes(made.midi)
            address = f"{SCORE_ROUTE}/{folder.name}/"
            told.put({
                "text": text, "seed": seed, "backend": spec.name, "duration_s": round(made.duration_s, 3),
                "loudness_lufs": round(loudness.integrated_lufs, 2) if loudness.integrated_lufs > -200 else None,
                "audio": address + "soundtrack.wav", "midi": address + "soundtrack.mid" if made.midi else None,
                "brief": dict(made.provenance.get("brief", {})),
            })  # fmt: skip
        except BaseException as problem:  # noqa: BLE001 - whatever happens in this thread has to reach the caller
            told.put(problem)
        finally:
            told.put(None)

    def _enter(self, request: gr.Request) -> None:
        host = request.client.host if request.client else ""
        self._gate.enter(request.headers.get("authorization", ""), host)


class _in_words:  # noqa: N801 - reads as a statement
    """Every problem becomes one sentence for the caller."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception):
            raise gr.Error(explain(error, self._doing), print_exception=False) from None


class Guard:
    """Refuses Gradio's own file addresses, and puts the security headers on every answer that has none.

    An uploaded file could run as a page under Gradio's addresses; ours serve all there is.
    """

    _HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin"))

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404, or hand the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", []))
                names = {name.lower() for name, _ in given}
                message = {**message, "headers": given + [pair for pair in self._HEADERS if pair[0] not in names]}
            await send(message)

        if any(word in scope["path"] for word in ("/file=", "/file/", "/stream/", "/proxy=")):
            await PlainTextResponse("There is no such file.", 404)(scope, receive, guarded)
        else:
            await self._app(scope, receive, guarded)


def score_routes(desk: Desk) -> list[Route]:
    """The addresses of what `/score` made."""

    def file(request: Request) -> Response:
        token, name = request.path_params["token"], request.path_params["name"]
        path = desk.settings.work_dir / token / name
        if name not in _FILES or not token.replace("-", "").replace("_", "").isalnum() or not path.is_file():
            raise HTTPException(404, "There is no such file.")
        headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, media_type=_FILES[name], headers=headers)

    return [Route(f"/{SCORE_ROUTE}/{{token}}/{{name}}", file, methods=["GET", "HEAD"])]


def _kinds(names: Any) -> frozenset[CaptionKind]:
    if not names:
        return frozenset(CaptionKind)
    unknown = [str(name) for name in names if name not in list(CaptionKind)]
    if unknown:
        raise gr.Error(
            f"There is no caption kind {', '.join(unknown)}. Choose from: {', '.join(CaptionKind)}.",
            print_exception=False,
        )
    return frozenset(CaptionKind(name) for name in names)


def _document(comparison: Comparison, profile: str) -> Document:
    """The comparison in the layout of its manifest, with addresses in place of file names."""
    document = {**manifest(comparison), "token": comparison.token, "profile": profile}
    for source in ("clip", "reference"):
        if document[source]:  # gradio_client takes whatever has a `path` for a file to fetch
            document[source] = {"name": document[source]["path"], **document[source]}
            del document[source]["path"]
    ready = [track for track in comparison.tracks if track.rendition is not None]
    for rendition, track in zip(document["renditions"], ready, strict=True):
        rendition["track"] = track.id
        for part in ("video", "audio", "midi"):
            if rendition.get(part):
                suffix = Path(rendition[part]).suffix
                rendition[part] = media_url(comparison, f"{track.id}{suffix}")
    document["failed"] = {track.kind.value: track.reason for track in comparison.tracks if track.state == "failed"}
    return document
