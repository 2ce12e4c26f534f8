"""A stage on the other side of a process boundary: what goes there, what comes back, and how both are pickled.

The work goes as values (paths, captions, numbers), the results come as values with NumPy in them, one message after the
other while they are made. Nothing of a network, and no tensor, crosses.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from musiscene import errors
from musiscene.errors import BackendError, MusisceneError, Stopped, explain
from musiscene.events import Event
from musiscene.following import Put, follow
from musiscene.pipeline import Pipeline
from musiscene.registry import BackendSpec, discover
from musiscene.sources import Sources
from musiscene.types import (
    Caption,
    CaptionKind,
    CaptionRequest,
    CaptionSet,
    Clip,
    Job,
    ScoreRequest,
    Soundtrack,
    Waveform,
)

_log = logging.getLogger(__name__)

ALIVE_EVERY_S = 0.2
"""The other side says this often that it is there; a stop is noticed as soon."""


Key: TypeAlias = tuple[str, frozenset[CaptionKind]]
"""Which backend is meant: its name and what it writes (nothing: a music generator). Specs themselves hold functions."""


def key_of(spec: BackendSpec) -> Key:
    """The key of a backend."""
    return spec.name, spec.produces


def spec_of(key: Key) -> BackendSpec:
    """The backend of that key."""
    return next(spec for spec in discover("captions" if key[1] else "soundtracks") if key_of(spec) == key)


# -- there -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DescribeWork:
    """All captions of a request that are made there, those that others are made from included."""

    sources: Sources
    kinds: frozenset[CaptionKind]
    captioners: Mapping[CaptionKind, str]
    known: CaptionSet
    seed: int = 0
    prompts: Mapping[CaptionKind, str] = field(default_factory=dict)

    def run(self, pipeline: Pipeline, job: Job) -> Iterator[Event]:
        """Make them with the stages of that process."""
        return pipeline.describe(
            self.sources, kinds=self.kinds, captioners=self.captioners, known=self.known, seed=self.seed,
            prompts=self.prompts, stop=job.stop,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CaptionWork:
    """What one captioner is asked by itself."""

    backend: Key
    request: CaptionRequest

    def run(self, pipeline: Pipeline, job: Job) -> Iterator[Caption]:
        """Write the captions with the captioner of that process."""
        return pipeline.pool.captioner(spec_of(self.backend)).describe(self.request, job)


@dataclass(frozen=True, slots=True)
class ScoreWork:
    """All soundtracks of a comparison."""

    backend: Key
    requests: tuple[ScoreRequest, ...]

    def run(self, pipeline: Pipeline, job: Job) -> Iterator[Soundtrack]:
        """Make them with the generator of that process."""
        return pipeline.pool.generator(spec_of(self.backend)).generate(self.requests, job)


@dataclass(frozen=True, slots=True)
class AskWork:
    """A person's question about a clip's sound."""

    backend: Key
    clip: Clip
    question: str
    seed: int = 0

    def run(self, pipeline: Pipeline, job: Job) -> Iterator[str]:
        """Answer it with the captioner of that process, piece by piece."""
        captioner: Any = pipeline.pool.captioner(spec_of(self.backend))
        answer: Iterator[str] = captioner.ask(self.clip, self.question, seed=self.seed, job=job)
        return answer


Work: TypeAlias = DescribeWork | CaptionWork | ScoreWork | AskWork

# -- back --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alive:
    """Nothing new."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    fraction: float
    note: str


@dataclass(frozen=True, slots=True)
class Partial:
    """A caption as far as it is written."""

    kind: CaptionKind
    text: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A piece of a soundtrack while the rest is made."""

    number: int
    piece: Waveform
    sample_rate: int


@dataclass(frozen=True, slots=True)
class Made:
    """A result."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not be made: the name of our error, and its sentence. Errors with more in them are not pickled."""

    error: str
    words: str

    @classmethod
    def of(cls, error: BaseException) -> Failed:
        """What may be told of `error`; a defect is logged on the side where it happened."""
        if isinstance(error, MusisceneError):
            known = next(base.__name__ for base in type(error).__mro__ if getattr(errors, base.__name__, None) is base)
            return cls(known, str(error))
        return cls(BackendError.__name__, explain(error, "computing on the GPU"))

    def raised(self) -> MusisceneError:
        """The error again, on this side."""
        kind: type[MusisceneError] = getattr(errors, self.error)
        return kind(self.words)


Message: TypeAlias = Alive | Progress | Partial | Heard | Made | Failed
Call: TypeAlias = Callable[[Work], Iterator[Message]]
"""Has work done on the other side; closing the iterator ends the work."""


def serve(pipeline: Pipeline, work: Work) -> Iterator[Message]:
    """Do `work` in this process and yield what is to be sent back; closing the generator ends the work.

    It never raises: what goes wrong is a message too.
    """
    told: queue.Queue[Message | None] = queue.Queue()
    stop = threading.Event()
    job = Job(
        report=lambda fraction, note: told.put(Progress(fraction, note)),
        stop=stop,
        partial=lambda kind, text: told.put(Partial(kind, text)),
        heard=lambda number, piece, rate: told.put(Heard(number, np.array(piece, np.float32), rate)),
    )

    def run() -> None:
        try:
            for value in work.run(pipeline, job):
                told.put(Made(value))
        except BaseException as error:  # noqa: BLE001 - whatever happens has to reach the other side
            told.put(Failed.of(error))
        finally:
            told.put(None)

    worker = threading.Thread(target=run, name="musiscene-crossing", daemon=True)
    worker.start()
    try:
        while True:
            try:
                message = told.get(timeout=ALIVE_EVERY_S)
            except queue.Empty:
                yield Alive()
                continue
            if message is None:
                return
            yield message
    finally:
        stop.set()
        worker.join()


# -- here --------------------------------------------------------------------------------------------------------------


def receive(call: Call, work: Work, job: Job) -> Iterator[Any]:
    """Have `work` done on the other side and yield its results; progress and pieces go to `job`.

    A stop is answered at once, also while the other side has not begun; the work there ends with its next message.

    Raises:
        MusisceneError: What went wrong there.
        Stopped: `job` was stopped.
    """

    def pump(put: Put[Message], left: threading.Event) -> None:
        messages = call(work)
        with closing(messages):  # type: ignore[type-var]
            for message in messages:
                put(message)
                if left.is_set():
                    return

    with closing(follow(pump, "musiscene-far-side", job.check)) as messages:
        for message in messages:
            match message:
                case Failed():
                    raise Stopped if message.error == Stopped.__name__ else message.raised()
                case Progress():
                    job.progress(message.fraction, message.note)
                case Partial():
                    job.partial(message.kind, message.text)
                case Heard():
                    job.heard(message.number, message.piece, message.sample_rate)
                case Made():
                    yield message.value
                case Alive():
                    pass
