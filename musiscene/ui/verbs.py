"""What programs can ask for, whatever way they come: captions, a soundtrack, a comparison, a rating.

Each verb that works yields documents with `progress` while it is done, and its result as the last one. Problems are
raised as errors whose message may be shown; `endpoints.py` and `tools.py` put them into the words of their protocol.
"""

from __future__ import annotations

import binascii
import hmac
import queue
import shutil
import tempfile
import threading
import time
from base64 import b64decode
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from musiscene import media, workspace
from musiscene.errors import RequestError
from musiscene.pipeline import ScoreOptions
from musiscene.registry import find_generator
from musiscene.types import Caption, CaptionKind, Job, Mix, ScoreRequest
from musiscene.ui.choices import Choices
from musiscene.ui.comparison import Comparison
from musiscene.ui.desk import Desk
from musiscene.ui.files import manifest
from musiscene.ui.uploads import not_kept
from musiscene.ui.view import media_url

SCORE_ROUTE = "musiscene/score"
LONGEST_TEXT = 4000
LARGEST_INLINE_BYTES = 24 * 1024**2
"""Of a clip that comes inside a request; larger ones are uploaded."""

_VISITORS_AT_MOST = 10_000

Document: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who calls.

    Attributes:
        authorization: The header of that name.
        host: Address of the caller.
    """

    authorization: str = ""
    host: str = ""


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


class Verbs:
    """The four verbs, over one desk and one gate."""

    def __init__(self, desk: Desk, upload_dir: Path) -> None:
        self.desk, self._upload_dir = desk, upload_dir.resolve()
        self._gate = Gate(desk.settings.api_keys, desk.settings.api_per_hour)

    def describe(self, visitor: Visitor, clip: Any, kinds: Any = None) -> Iterator[Document]:
        """Write the captions of a clip.

        Args:
            visitor: Who calls.
            clip: See `open_clip`.
            kinds: Names of captions; all of them when empty.

        Raises:
            MusisceneError: It cannot be done; the message says why.
        """
        self._enter(visitor)
        yield from self._work(clip, Choices(kinds=read_kinds(kinds)), score=False)

    def compare(
        self,
        visitor: Visitor,
        clip: Any,
        kinds: Any = None,
        duration_s: Any = None,
        seed: Any = 0,
        mix: Any = "replace",
    ) -> Iterator[Document]:
        """Write the captions, make a soundtrack from each, and put each on the clip.

        Raises:
            MusisceneError: It cannot be done; the message says why.
        """
        self._enter(visitor)
        if mix not in list(Mix):
            raise RequestError(f"There is no mix {mix!r}. Choose one of: {', '.join(Mix)}.")
        length = None if duration_s is None else _number(duration_s, "duration_s")
        choices = Choices(kinds=read_kinds(kinds), duration_s=length, seed=_seed(seed), mix=Mix(mix))
        yield from self._work(clip, choices, score=True)

    def score(self, visitor: Visitor, text: Any, duration_s: Any = 30.0, seed: Any = 0) -> Iterator[Document]:
        """Make a soundtrack from words.

        Raises:
            MusisceneError: It cannot be done; the message says why.
        """
        self._enter(visitor)
        longest = self.desk.settings.limits.max_score_s
        if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_TEXT:
            raise RequestError(f"Describe the music in 1 to {LONGEST_TEXT} characters.")
        length = _number(duration_s, "duration_s")
        if not 1 <= length <= longest:
            raise RequestError(f"Music can be 1 to {longest:g} seconds long, not {length:g}.")
        told: queue.Queue[Document | BaseException | None] = queue.Queue()
        stop = threading.Event()
        arguments = (self._score, text, length, _seed(seed), told, stop)
        # With the caller's context: a GPU provider looks there for whose quota it is.
        threading.Thread(target=copy_context().run, args=arguments, name="musiscene-words", daemon=True).start()
        try:
            while (news := told.get()) is not None:
                if isinstance(news, BaseException):
                    raise news
                yield news
        finally:
            stop.set()

    def rate(self, visitor: Visitor, token: Any, track: Any, score: Any, person: Any, comment: Any = "") -> Document:
        """Keep what a person thinks of a soundtrack.

        Raises:
            MusisceneError: It cannot be kept; the message says why.
        """
        from musiscene.ui.handlers import Page

        self._enter(visitor)
        value = _number(score, "score")
        page = Page.read({"token": token, "person": person})
        self.desk.rate(self.desk.find(page.token), page.person, str(track), value, str(comment))
        return {"token": token, "track": track, "score": value}

    # -- work ----------------------------------------------------------------------------------------------------

    def _enter(self, visitor: Visitor) -> None:
        self._gate.enter(visitor.authorization, visitor.host)

    def _work(self, clip: Any, choices: Choices, *, score: bool) -> Iterator[Document]:
        comparison = self.desk.start(self.open_clip(clip), choices, describe=True, score=score)
        for _ in self.desk.follow(comparison):
            with comparison.changing_nothing():
                ready = [kind.value for kind in comparison.captions]
                made = [track.kind.value for track in comparison.tracks if track.state == "ready"]
                told = {"progress": comparison.work.phase, "captions": ready, "soundtracks": made}
            yield told  # outside: the block's lock is this thread's, and the next step may be another's
        if comparison.work.error:
            raise RequestError(str(comparison.work.error))
        yield _document(comparison, self.desk.pipeline.profile.name)

    def open_clip(self, clip: Any) -> Comparison:
        """A comparison of the clip that somebody means.

        Args:
            clip: A file as Gradio uploads it (`{"path": …}`, or its path alone); its content as `data:…;base64,…`; or
                the token of an earlier comparison of it.

        Raises:
            MusisceneError: There is no such clip, or it cannot be used.
        """
        if isinstance(clip, str) and clip.startswith("data:"):
            return self._open_inline(clip)
        if isinstance(clip, str) and "/" not in clip and "\\" not in clip and clip:
            return self.desk.find(clip)
        given = clip.get("path", "") if isinstance(clip, Mapping) else clip
        try:
            path = Path(str(given or "")).resolve()
            uploaded = path.is_relative_to(self._upload_dir) and path.is_file()
        except (OSError, ValueError):  # longer than a name can be, or with a zero in it
            uploaded = False
        if not uploaded:
            raise RequestError(
                "Upload the clip first: with gradio_client, give `handle_file(path)`; over HTTP, what "
                "POST /gradio_api/upload returned."
            )
        name = clip.get("orig_name") if isinstance(clip, Mapping) else None
        with not_kept(path, self._upload_dir):
            return self.desk.open_file(path, str(name or path.name))

    def _open_inline(self, address: str) -> Comparison:
        head, _, content = address.partition(",")
        if not head.endswith(";base64"):
            raise RequestError("A clip inside a request is written as data:video/mp4;base64,CONTENT.")
        if len(content) > LARGEST_INLINE_BYTES * 4 // 3 + 4:
            raise RequestError(
                f"A clip inside a request can have {LARGEST_INLINE_BYTES // 1024**2} MB. Upload a larger one with "
                "POST /gradio_api/upload, and give the path that it returns."
            )
        try:
            data = b64decode(content, validate=True)
        except (binascii.Error, ValueError):
            raise RequestError("The content of the clip is no base64.") from None
        folder = Path(tempfile.mkdtemp(prefix="musiscene-inline-"))
        try:
            suffix = {"audio": ".audio", "video": ".video"}.get(head.removeprefix("data:").partition("/")[0], "")
            path = folder / f"clip{suffix}"
            path.write_bytes(data)
            return self.desk.open_file(path, "clip")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _score(self, text: str, duration_s: float, seed: int, told: queue.Queue[Any], stop: threading.Event) -> None:
        desk = self.desk
        job = Job(report=lambda fraction, note: told.put({"progress": round(fraction, 3), "note": note}), stop=stop)
        try:
            spec = find_generator(desk.pipeline.profile.generator)
            wanted = ScoreRequest(Caption(CaptionKind.FUSION, text, backend="words"), duration_s, seed=seed)
            with desk.turnstile.turn(stop, lambda ahead: told.put({"progress": "waiting", "ahead": ahead})):
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


def read_kinds(names: Any) -> frozenset[CaptionKind]:
    """The captions that `names` mean; all of them when it is empty.

    Raises:
        RequestError: There is no caption of a name.
    """
    if not names:
        return frozenset(CaptionKind)
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise RequestError(f'kinds is a list of names, as ["video", "msi"], not {names!r}.')
    unknown = [str(name) for name in names if name not in list(CaptionKind)]
    if unknown:
        raise RequestError(f"There is no caption kind {', '.join(unknown)}. Choose from: {', '.join(CaptionKind)}.")
    return frozenset(CaptionKind(name) for name in names)


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise RequestError(f"{name} must be a number, not {value!r}.")
    return float(value)


def _seed(value: Any) -> int:
    number = _number(value, "seed")
    if abs(number) >= 2**53 or number != int(number):
        raise RequestError(f"A seed is a whole number, not {value!r}.")
    return ScoreOptions(seed=int(number)).seed


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
