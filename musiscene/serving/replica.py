"""One copy of one backend: takes requests from other machines, joins them to batches, streams the results."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from musiscene import media
from musiscene.backend_options import backend_options
from musiscene.errors import BackendUnavailableError, RequestError, explain
from musiscene.registry import BackendSpec, ManyCaptioner, Pool
from musiscene.remote import documents
from musiscene.remote.documents import DocumentError
from musiscene.remote.frames import frame, pieces
from musiscene.serving.batches import Batches, Results, Ticket, batch_job, run_together
from musiscene.serving.config import Served
from musiscene.settings import Settings
from musiscene.types import Caption, CaptionKind, CaptionRequest, Clip, ScoreRequest, Soundtrack, Waveform

_HEARD_SAMPLES = 1 << 17
"""Samples of all channels in one frame of sound that is heard early."""


class Model:
    """A backend with its weights in memory. Knows nothing of Ray, which calls `work` and `check_health`."""

    def __init__(self, served: Served) -> None:
        """Load it.

        Raises:
            BackendUnavailableError: It cannot run here.
        """
        self._served = served
        self._settings = replace(Settings.from_env(), backend_url="")  # or it would ask itself
        given = backend_options(self._settings)
        self._pool = Pool({**given, served.name: {**given.get(served.name, {}), **served.options}})
        self._loaded = {spec.produces: self._load(spec) for spec in served.specs()}
        joins = served.stage == "soundtracks" or any(isinstance(each, ManyCaptioner) for each in self._loaded.values())
        self._batches = Batches(
            lambda tickets: run_together(tickets, self._together),
            most=served.batch if joins else 1,
            wait_s=served.wait_s if joins else 0.0,
            at_once=served.at_once,
        )

    def _load(self, spec: BackendSpec) -> Any:
        return self._pool.captioner(spec) if spec.produces else self._pool.generator(spec)

    def check_health(self) -> None:
        """Ray asks now and then.

        Raises:
            RuntimeError: It has to be started anew.
        """
        if not self._batches.healthy:
            raise RuntimeError("a thread that makes batches has ended")

    async def work(self, what: str, document: dict[str, Any], files: list[bytes]) -> AsyncIterator[bytes]:
        """Yield frames of results and progress. Leaving the iterator stops the work, unless others share it.

        Args:
            what: "captions", "soundtracks" or "questions".
            document: The request, as another machine sent it.
            files: The files that it speaks of.
        """
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[tuple[str | None, Any]] = asyncio.Queue()
        folder = Path(tempfile.mkdtemp(prefix="musiscene-request-"))

        def tell(event: str | None, value: Any) -> None:
            if event is None:  # nothing reads the files any more
                shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(RuntimeError):  # the loop ends before its threads when Ray stops us
                loop.call_soon_threadsafe(arrived.put_nowait, (event, value))

        try:
            ticket = await asyncio.to_thread(self._ticket, what, document, files, folder, tell)
        except Exception as error:  # noqa: BLE001 - every problem becomes words
            shutil.rmtree(folder, ignore_errors=True)
            yield frame({"event": "error", **documents.error_document(_in_words(error))})
            return
        try:
            self._batches.put(ticket)
            while True:
                event, value = await arrived.get()
                if event is None:
                    break
                for each in _frames(event, value):
                    yield each
            yield frame({"event": "end"})
        finally:
            ticket.stop.set()

    # -- requests ------------------------------------------------------------------------------------------------

    def _ticket(
        self,
        what: str,
        document: Mapping[str, Any],
        files: Sequence[bytes],
        folder: Path,
        tell: Callable[[str | None, Any], None],
    ) -> Ticket:
        clips = self._clips(document, files, folder)
        limit = self._served.batch
        if what == "soundtracks":
            wanted = documents.read_music_wanted(document, clips)
            return Ticket(wanted, len(wanted), ("music", *{each.duration_s for each in wanted}), tell, "making music")
        if what == "captions":
            request = documents.read_captions_wanted(document, clips)
            alike = self._spec_for(request.kinds).produces
            return Ticket(request, 1, ("captions", alike), tell, "writing the captions")
        if what == "questions" and self._answerer() is not None:
            clip = clips[documents.whole_of(document, "music", 0, len(clips) - 1)]
            seed = documents.whole_of(document, "seed", -(2**63), 2**63 - 1)
            question = (clip, documents.text_of(document, "question"), seed)
            return Ticket(question, limit, ("question", object()), tell, "answering the question")
        raise RequestError(f"{self._served.name} does no {what} here.")

    def _clips(self, document: Mapping[str, Any], files: Sequence[bytes], folder: Path) -> list[Clip]:
        """Write the files and look at them with our own eyes: facts that were sent along are not believed."""
        listed = documents.list_of(document, "files", 16)
        if len(listed) != len(files):
            raise DocumentError("files are missing")
        clips = []
        for number, (facts, content) in enumerate(zip(listed, files, strict=True)):
            place = folder / str(number)
            place.mkdir()
            path = place / documents.safe_name(documents.text_of(facts, "name", 1000))
            path.write_bytes(content)
            clips.append(media.probe(path, self._settings.limits))
        return clips

    def _spec_for(self, kinds: frozenset[CaptionKind]) -> BackendSpec:
        for spec in self._served.specs():
            if kinds and kinds <= spec.produces:
                return spec
        raise RequestError(f"{self._served.name} does not write these captions together.")

    def _answerer(self) -> Any:
        return next((each for each in self._loaded.values() if hasattr(each, "ask")), None)

    # -- work ----------------------------------------------------------------------------------------------------

    def _together(self, tickets: Sequence[Ticket]) -> Results:
        """Do the work of tickets that are alike."""
        first = tickets[0].asked
        if isinstance(first, CaptionRequest):
            return self._captions(tickets)
        return self._music(tickets) if isinstance(first, list) else self._answer(tickets[0])

    def _music(self, tickets: Sequence[Ticket]) -> Results:
        owners = [(ticket, number) for ticket in tickets for number in range(len(ticket.asked))]
        requests: list[ScoreRequest] = [request for ticket in tickets for request in ticket.asked]
        job = batch_job(tickets, lambda row: owners[row])
        for row, made in enumerate(self._loaded[frozenset()].generate(requests, job)):
            ticket, number = owners[row]
            yield ticket, "soundtrack", (number, _noted(made, len(tickets)))

    def _captions(self, tickets: Sequence[Ticket]) -> Results:
        spec = self._spec_for(tickets[0].asked.kinds)
        captioner = self._loaded[spec.produces]
        job = batch_job(tickets, lambda row: (tickets[row], 0))
        written: Iterator[tuple[int, Caption]]
        if len(tickets) > 1:
            written = captioner.describe_many([ticket.asked for ticket in tickets], job)
        else:
            written = ((0, caption) for caption in captioner.describe(tickets[0].asked, job))
        for row, caption in written:
            yield tickets[row], "caption", caption

    def _answer(self, ticket: Ticket) -> Results:
        clip, question, seed = ticket.asked
        job = batch_job([ticket], lambda row: (ticket, row))
        yield ticket, "begin", None
        for piece in self._answerer().ask(clip, question, seed=seed, job=job):
            yield ticket, "piece", piece


def _noted(made: Soundtrack, people: int) -> Soundtrack:
    """With how many requests went into its batch."""
    return replace(made, provenance={**made.provenance, "requests_in_batch": people})


def _in_words(error: Exception) -> Any:
    if isinstance(error, DocumentError):
        return RequestError(f"The request cannot be understood: {error}.")
    return error if isinstance(error, RequestError) else BackendUnavailableError(explain(error, "reading the request"))


def _frames(event: str, value: Any) -> Iterator[bytes]:
    """What happened, as it travels."""
    if event == "progress":
        yield frame({"event": event, "fraction": round(float(value[0]), 4), "note": str(value[1])[:500]})
    elif event == "partial":
        yield frame({"event": event, "kind": value[0].value, "text": value[1][: documents.LONGEST_TEXT]})
    elif event == "caption":
        yield frame({"event": event, **documents.caption_document(value)})
    elif event == "piece":
        yield frame({"event": event, "text": value})
    elif event == "begin":
        yield frame({"event": event})
    elif event == "heard":
        yield from _heard_frames(*value)
    elif event == "soundtrack":
        number, made = value
        yield frame({"event": event, **documents.soundtrack_document(number, made)})
        for part in pieces(documents.sound_bytes(made.waveform)):
            yield frame({"event": "sound"}, part)
    elif event == "error":
        yield frame({"event": event, **documents.error_document(value)})


def _heard_frames(number: int, piece: Waveform, sample_rate: int) -> Iterator[bytes]:
    channels = piece.shape[0]
    facts = {"event": "heard", "number": number, "channels": channels, "sample_rate": sample_rate}
    step = max(1, _HEARD_SAMPLES // channels)
    for begin in range(0, piece.shape[1], step):
        part = np.ascontiguousarray(piece[:, begin : begin + step])
        yield frame(facts, documents.sound_bytes(part))
