"""Captioners and music generators that do their work on the other machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from musiscene.errors import BackendUnavailableError
from musiscene.following import POLL_S
from musiscene.registry import BackendSpec
from musiscene.remote import calls, documents
from musiscene.remote.calls import Frame, LostError
from musiscene.remote.catalogue import Here, Server
from musiscene.remote.documents import DocumentError, Files
from musiscene.types import Caption, CaptionRequest, Clip, Job, ScoreRequest, Soundtrack, Waveform

_log = logging.getLogger(__name__)

TRIES = 2


@dataclass
class OtherMachine:
    """The machine at MUSISCENE_BACKEND_URL, for the options of backends."""

    server: Server

    def offers(self, spec: BackendSpec) -> bool:
        """Whether it answers and has `spec`."""
        catalogue = self.server.catalogue()
        return catalogue is not None and catalogue.find(spec) is not None

    def why_not(self) -> str:
        """Why it is of no use now; empty when it answers."""
        return self.server.trouble()

    def load(self, spec: BackendSpec, here: Here | None) -> RemoteCaptioner | RemoteGenerator:
        """What asks it for the work of `spec`; `here` does it when it cannot."""
        kind = RemoteCaptioner if spec.produces else RemoteGenerator
        return kind(self.server, spec, here)


@dataclass
class _Remote:
    """What captioners and generators share: two tries, and this machine where the backend is light."""

    server: Server
    spec: BackendSpec
    here: Here | None = None

    def _frames(self, path: str, ask: Any, job: Job) -> Iterator[Frame]:
        """Yield frames of a request; `ask()` is called for each try and says what is still wanted.

        Raises:
            BackendUnavailableError: It is busy, or went away twice.
        """
        for attempt in range(1, TRIES + 1):
            files = Files()
            document = ask(files)
            try:
                yield from calls.call(self.server, path, document, files, self.spec.name, job)
                return
            except LostError as lost:
                _log.warning("%s on another machine was lost (try %d): %s", self.spec.name, attempt, lost)
                if attempt == TRIES:
                    if str(lost) == "it does not answer":
                        self.server.failed("The machine at MUSISCENE_BACKEND_URL does not answer.")
                    raise calls.gone(self.spec.name, str(lost)) from None
            _pause(job, calls.RETRY_AFTER_S)
            job.report(0.0, "The other machine was lost; trying once more")

    def _instead(self, error: BackendUnavailableError) -> Any:
        """The same backend here, where that costs nothing.

        Raises:
            BackendUnavailableError: It does not.
        """
        if self.here is None:
            raise error
        _log.info("%s works here instead: %s", self.spec.name, error)
        return self.here()

    def _path(self, work: str) -> str:
        return f"/v1/{work}/{self.spec.name}"

    def _made_on(self) -> dict[str, str]:
        """What every result says of where it was made."""
        catalogue = self.server.catalogue()
        if catalogue is None:
            return {"made_on": "another machine"}
        return {"made_on": f"{catalogue.server} (MusiScene {catalogue.version})"}


@dataclass
class RemoteCaptioner(_Remote):
    """Has captions written on the other machine."""

    def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
        """Yield the captions as they come.

        Raises:
            MusisceneError: They cannot be written, or not over there; the message says what would help.
            Stopped: `job` was stopped, and the work over there with it.
        """
        missing = set(request.kinds)

        def ask(files: Files) -> dict[str, Any]:
            return documents.captions_wanted(request, missing, files)

        try:
            for event, _ in self._frames(self._path("captions"), ask, job):
                caption = self._read(event, job)
                if caption is not None and caption.kind in missing:
                    missing.discard(caption.kind)
                    yield replace(caption, evidence={**self._made_on(), **caption.evidence})
        except BackendUnavailableError as error:
            if missing:
                yield from self._instead(error).describe(replace(request, kinds=frozenset(missing)), job)

    def _read(self, event: dict[str, Any], job: Job) -> Caption | None:
        try:
            if event["event"] == "partial":
                job.partial(documents.kind_of(event.get("kind")), documents.text_of(event, "text"))
                return None
            return documents.read_caption(event) if event["event"] == "caption" else None
        except DocumentError as error:
            raise calls.garbled(error) from error

    def ask(self, clip: Clip, question: str, *, seed: int = 0, job: Job | None = None) -> Iterator[str]:
        """Yield the answer to a person's question about a clip's music, piece by piece.

        Raises:
            MusisceneError: It cannot be answered, or not over there.
            Stopped: `job` was stopped.
        """
        job = job or Job()
        told = 0

        def wanted(files: Files) -> dict[str, Any]:
            return {"question": question, "seed": seed, "music": files.number(clip)}

        before = ""
        for event, _ in self._frames(self._path("questions"), wanted, job):
            if event["event"] == "begin":
                before = ""
            elif event["event"] == "piece":
                try:
                    before += documents.text_of(event, "text")
                except DocumentError as error:
                    raise calls.garbled(error) from error
                if len(before) > told:  # after a second try: what was told already is not told again
                    yield before[told:]
                    told = len(before)


@dataclass
class RemoteGenerator(_Remote):
    """Has music made on the other machine."""

    def generate(self, requests: Sequence[ScoreRequest], job: Job) -> Iterator[Soundtrack]:
        """Yield one soundtrack for each request, in their order, as they come.

        Raises:
            MusisceneError: It cannot be made, or not over there; the message says what would help.
            Stopped: `job` was stopped, and the work over there with it.
        """
        requests = list(requests)
        done = 0

        def ask(files: Files) -> dict[str, Any]:
            incoming.begin(done)
            return documents.music_wanted(requests[done:], files)

        incoming = _Incoming(requests, job)
        try:
            for event, payload in self._frames(self._path("soundtracks"), ask, job):
                made = incoming.take(event, payload)
                if made is not None:
                    done += 1
                    yield replace(made, provenance={**made.provenance, **self._made_on()})
            if done < len(requests):
                raise calls.garbled(DocumentError("a soundtrack is missing"))
        except BackendUnavailableError as error:
            if done < len(requests):
                instead = self._instead(error)
                heard = partial(_heard_later, job, done)
                yield from instead.generate(requests[done:], replace(job, heard=heard))


class _Incoming:
    """Puts soundtracks together from frames, and tells the sound that is heard before they are finished."""

    def __init__(self, requests: Sequence[ScoreRequest], job: Job) -> None:
        self._requests, self._job = requests, job
        self._told = [0] * len(requests)
        self.begin(0)

    def begin(self, first: int) -> None:
        """A try begins, for the requests from `first` on."""
        self._first = self._next = first
        self._head: dict[str, Any] | None = None
        self._sound = bytearray()
        self._heard = [0] * len(self._requests)

    def take(self, event: dict[str, Any], payload: bytes) -> Soundtrack | None:
        """A frame; the soundtrack that it completes."""
        try:
            if event["event"] == "heard":
                self._hear(event, payload)
            elif event["event"] == "begin":  # over there the same is done once more
                self._heard = [0] * len(self._requests)
            elif event["event"] == "soundtrack":
                documents.sound_shape(event)
                if self._head is not None or self._next >= len(self._requests):
                    raise DocumentError("a soundtrack came out of turn")
                self._head, self._sound = event, bytearray()
            elif event["event"] == "sound":
                return self._add(payload)
            return None
        except DocumentError as error:
            raise calls.garbled(error) from error

    def _add(self, payload: bytes) -> Soundtrack | None:
        if self._head is None:
            raise DocumentError("sound came out of turn")
        channels, samples, _ = documents.sound_shape(self._head)
        self._sound += payload
        if len(self._sound) < 4 * channels * samples:
            return None
        made = documents.read_soundtrack(self._head, self._sound, self._requests[self._next])
        self._head, self._sound = None, bytearray()
        self._next += 1
        return made

    def _hear(self, event: dict[str, Any], payload: bytes) -> None:
        number = self._first + documents.whole_of(event, "number", 0, len(self._requests) - self._first - 1)
        rate = documents.whole_of(event, "sample_rate", 1000, documents.HIGHEST_RATE)
        channels = documents.whole_of(event, "channels", 1, documents.MOST_CHANNELS)
        piece: Waveform = documents.read_sound(payload, channels)
        new = piece[:, max(0, self._told[number] - self._heard[number]) :]
        self._heard[number] += piece.shape[1]
        if new.shape[1]:
            self._told[number] = self._heard[number]
            self._job.heard(number, new, rate)


def _heard_later(job: Job, first: int, number: int, piece: Waveform, sample_rate: int) -> None:
    job.heard(first + number, piece, sample_rate)


def _pause(job: Job, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job.check()
        time.sleep(POLL_S)
