"""ZeroGPU: the neural stages on a GPU that is lent for one call, in a process of its own.

What the platform asks for (huggingface.co/docs/hub/spaces-zerogpu, and the source of `spaces` 0.51): `import spaces`
comes before anything that touches CUDA; networks are placed on "cuda" by the main thread before the page is served,
where `spaces` keeps their weights until a call has a GPU; a call runs in a process forked from this one, its arguments
and results are pickled; how long it may take is said before, and counts against the visitor's quota of the day.

So there is one call for all captions of a clip, one for all soundtracks of a comparison, and one for a question.
Everything else (decoding for the page, sketch captions, loudness, muxing) stays in this process. On any other machine
`make_pipeline` gives the plain pipeline, and nothing here runs.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from contextvars import Context
from typing import Any

from musiscene.backend_options import backend_options
from musiscene.crossing import (
    AskWork,
    Call,
    CaptionWork,
    DescribeWork,
    Message,
    ScoreWork,
    Work,
    key_of,
    receive,
    serve,
)
from musiscene.errors import BackendUnavailableError, MusisceneError, Stopped, explain
from musiscene.events import CaptionReady, Event, KindUnavailable, StageProgress
from musiscene.pipeline import ALL_KINDS, Pipeline, why_impossible
from musiscene.registry import BackendSpec, Captioner, MusicGenerator, Pool, discover
from musiscene.settings import Settings
from musiscene.sources import Sources
from musiscene.types import Caption, CaptionKind, CaptionRequest, CaptionSet, Clip, Job, ScoreRequest, Soundtrack

_log = logging.getLogger(__name__)

SKETCH = "The sketch profile needs no GPU: choose it under Settings."
"""What still works."""

_EARLY = (
    *("scipy.signal", "scipy.fft", "scipy.ndimage", "cv2", "scenedetect", "PIL.Image", "soundfile", "soxr"),
    *("musiscene.mux", "musiscene.media.loudness", "musiscene.media.levelling", "musiscene.media.encoding"),
    *("musiscene.captions._music.analysis", "musiscene.captions._video.analysis", "musiscene.captions._fusion.brief"),
)

_OWN_PROCESS = frozenset({"audiocraft"})
"""They compute in a process of their own environment, to which no GPU is lent."""


def is_zero_gpu(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this runs on ZeroGPU, as `spaces` finds it out."""
    environ = os.environ if environ is None else environ
    return environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def make_pipeline(settings: Settings) -> Pipeline:
    """The pipeline of this machine. On ZeroGPU it is called by the main thread before the page is served.

    Raises:
        ConfigError: A setting is not valid.
    """
    if not is_zero_gpu():
        return Pipeline(settings)
    import spaces

    pipeline = ZeroGpuPipeline(settings)

    def far_side(work: Work) -> Iterator[Message]:  # runs in the forked process, with what this one has loaded
        yield from serve(pipeline.inner(), work)

    pipeline.call = spaces.GPU(far_side, duration=duration_s)
    pipeline.place()
    return pipeline


# -- the pipeline ------------------------------------------------------------------------------------------------------


class ZeroGpuPipeline(Pipeline):
    """The stages, of which those with networks are made on the other side of a process boundary.

    Attributes:
        call: Has work done there; `spaces.GPU` of `serve`, or whatever a test puts in its place.
    """

    call: Call

    def __init__(self, settings: Settings, pool: Pool | None = None) -> None:
        self._inner = Pipeline(settings, pool or Pool(options=backend_options(settings)))
        super().__init__(settings, _FarPool(self))
        self.profile = self._inner.profile

    def inner(self) -> Pipeline:
        """The plain stages with the networks that are loaded, for use in a forked process: its locks are new.

        A lock that another thread of the first process held when it was forked would be held forever.
        """
        fresh = object.__new__(Pipeline)
        fresh.settings, fresh.profile = self._inner.settings, self._inner.profile
        fresh.pool = Pool(self._inner.pool.options, dict(self._inner.pool._loaded))
        return fresh

    def place(self) -> None:
        """Load every network whose weights are here; one that cannot be loaded says why where somebody asks for it.

        What the stages import when they are first used is imported too: a process that is forked while a thread of this
        one imports a module would wait for that module forever.
        """
        for module in _EARLY:
            importlib.import_module(module)
        for spec in (*discover("captions"), *discover("soundtracks")):
            if self.is_far(spec) and self._inner.pool.why_unavailable(spec) is None:
                try:
                    self._inner.pool._get(spec)
                except MusisceneError as error:
                    _log.warning("%s was not placed: %s", spec.name, error)

    def is_far(self, spec: BackendSpec) -> bool:
        """Whether a backend computes on the GPU that is lent."""
        options = self._inner.pool.options.get(spec.name, {})
        if spec.name in _OWN_PROCESS or spec.vram_gb <= 0 or spec.is_elsewhere(options):
            return False
        source = options.get("source")
        return source is None or source.connection.provider == "local"  # a language model may be on a server

    def far(self, work: Work, job: Job) -> Iterator[Any]:
        """The results of work that is done there.

        Raises:
            MusisceneError: It could not be done; the message says what still works.
            Stopped: `job` was stopped.
        """
        job.progress(0.0, "Waiting for a GPU")
        call = self.call
        request = _visitors_request()

        def named(work: Work) -> Iterator[Message]:
            # In a context of its own: whose quota it is goes along, and the event of the page does not, since its end
            # (a page that is reloaded) is not the end of the work.
            context = Context()
            messages = context.run(_begin, call, work, request)
            with closing(messages):  # type: ignore[type-var]
                while True:
                    try:
                        yield context.run(next, messages)
                    except StopIteration:
                        return

        try:
            yield from receive(named, work, job)
        except (MusisceneError, GeneratorExit):
            raise
        except BaseException as error:
            raise refusal(error) from error

    def describe(
        self,
        sources: Sources,
        *,
        kinds: frozenset[CaptionKind] = ALL_KINDS,
        captioners: Mapping[CaptionKind, str] | None = None,
        known: CaptionSet | None = None,
        seed: int = 0,
        prompts: Mapping[CaptionKind, str] | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Event]:
        """As `Pipeline.describe`: what computes here is made here, all the rest in one call."""
        names = {**self.profile.captioners, **(captioners or {})}
        captions = known or CaptionSet()
        specs = self._with_needs(kinds, names, captions)
        failed: set[CaptionKind] = set()
        for kind in [kind for kind in CaptionKind if kind in specs]:
            if reason := why_impossible(kind, specs[kind], sources):
                failed.add(kind)
                del specs[kind]
                yield KindUnavailable(kind, reason)
        while specs:
            part, far = self._next_part(specs, captions, failed)
            if not part:
                for kind in [kind for kind in CaptionKind if kind in specs and specs[kind].needs & failed]:
                    lacking = next(need for need in CaptionKind if need in specs[kind].needs & failed)
                    failed.add(kind)
                    del specs[kind]
                    yield KindUnavailable(
                        kind, f"The {kind} caption is made from the {lacking} caption, which is missing."
                    )
                continue
            plan = DescribeWork(sources, frozenset(part), names, captions, seed, dict(prompts or {}))
            for event in (self._far_events if far else self._near_events)(plan, stop):
                if isinstance(event, CaptionReady):
                    captions = captions.adding(event.caption)
                yield event
            failed |= part - set(captions)
            for kind in part:
                del specs[kind]

    def _next_part(
        self, specs: Mapping[CaptionKind, BackendSpec], captions: CaptionSet, failed: set[CaptionKind]
    ) -> tuple[set[CaptionKind], bool]:
        """All captions that can be made on one side without the other one, and which side; this one goes first.

        Empty when all that are left need one that failed.
        """
        for far in (False, True):
            part: set[CaptionKind] = set()
            while more := {
                kind
                for kind, spec in specs.items()
                if kind not in part and self.is_far(spec) == far and spec.needs <= part | set(captions)
            }:
                part |= more
            if part:
                return part, far
        assert any(spec.needs & failed for spec in specs.values()), "the captions' needs have no circle"
        return set(), False

    def _near_events(self, plan: DescribeWork, stop: threading.Event | None) -> Iterator[Event]:
        return self._inner.describe(
            plan.sources, kinds=plan.kinds, captioners=plan.captioners, known=plan.known, seed=plan.seed,
            prompts=plan.prompts, stop=stop,
        )  # fmt: skip

    def _far_events(self, plan: DescribeWork, stop: threading.Event | None) -> Iterator[Event]:
        """The events of one call; what it was refused or broken off for, becomes the reason of what is not there."""
        missing = set(plan.kinds)
        yield StageProgress("caption", plan.kinds, 0.0, "Waiting for a GPU", None)
        try:
            for event in self.far(plan, Job(stop=stop or threading.Event())):
                if isinstance(event, CaptionReady):
                    missing.discard(event.caption.kind)
                elif isinstance(event, KindUnavailable):
                    missing.discard(event.kind)
                yield event
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - a failed stage becomes words and never hides the others
            for kind in CaptionKind:
                if kind in missing:
                    yield KindUnavailable(kind, explain(error, f"writing the {kind} caption"))


class _FarPool(Pool):
    """Backends of this process, and stand-ins for those that compute on the GPU."""

    def __init__(self, pipeline: ZeroGpuPipeline) -> None:
        super().__init__(pipeline._inner.pool.options)
        self._pipeline = pipeline

    def captioner(self, spec: BackendSpec) -> Captioner:
        """The captioner of `spec`, or its stand-in."""
        return _FarCaptioner(self._pipeline, spec) if self._is_far(spec) else self._near.captioner(spec)

    def generator(self, spec: BackendSpec) -> MusicGenerator:
        """The music generator of `spec`, or its stand-in."""
        return _FarGenerator(self._pipeline, spec) if self._is_far(spec) else self._near.generator(spec)

    def is_loaded(self, spec: BackendSpec) -> bool:
        """Whether `spec` is ready to be used."""
        return self._near.is_loaded(spec)

    @property
    def _near(self) -> Pool:
        return self._pipeline._inner.pool

    def _is_far(self, spec: BackendSpec) -> bool:
        if not self._pipeline.is_far(spec):
            return False
        if reason := self.why_unavailable(spec):
            raise BackendUnavailableError(reason)
        return True


class _FarCaptioner:
    """Stands in for a captioner."""

    def __init__(self, pipeline: ZeroGpuPipeline, spec: BackendSpec) -> None:
        self._pipeline, self._key = pipeline, key_of(spec)

    def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
        """As the captioner does it."""
        return self._pipeline.far(CaptionWork(self._key, request), job)

    def ask(self, clip: Clip, question: str, *, seed: int = 0, job: Job | None = None) -> Iterator[str]:
        """As the captioner does it, where it can."""
        return self._pipeline.far(AskWork(self._key, clip, question, seed), job or Job())


class _FarGenerator:
    """Stands in for a music generator."""

    def __init__(self, pipeline: ZeroGpuPipeline, spec: BackendSpec) -> None:
        self._pipeline, self._key = pipeline, key_of(spec)

    def generate(self, requests: Sequence[ScoreRequest], job: Job) -> Iterator[Soundtrack]:
        """As the generator does it: all requests in one call."""
        return self._pipeline.far(ScoreWork(self._key, tuple(requests)), job)


# -- how long ----------------------------------------------------------------------------------------------------------

_START_S = 8.0
"""Weights move to the GPU, and the first kernels are loaded."""
_CAPTION_S = {"swinbert": 1.2, "git-vatex": 1.0, "smolvlm": 3.0, "mu-llama": 6.0, "llm": 12.0, "llm-picture": 12.0}
"""Of one caption; of a video captioner, for each of its windows of ten seconds, of which there are twelve at most."""
_OTHER_CAPTION_S = 10.0
_WINDOWED = frozenset({"swinbert", "git-vatex", "smolvlm"})
_MUSIC_RATE = 0.6
"""Seconds that a second of music takes in a batch of four, with the largest MusicGen."""
_MORE_ROWS = 0.1
"""How much longer each further soundtrack of a batch makes it."""
_MARGIN = 1.5
LEAST_S, MOST_S = 15, 900


def duration_s(work: Work) -> int:
    """How many seconds of GPU are asked for. Too many are refused sooner, too few are broken off.

    What is not used is given back to the visitor, so it errs on the long side.
    """
    seconds = _START_S + sum(_parts_s(work))
    return min(MOST_S, max(LEAST_S, math.ceil(_MARGIN * seconds)))


def _parts_s(work: Work) -> Iterator[float]:
    match work:
        case ScoreWork():
            by_length: dict[float, int] = {}
            for request in work.requests:
                by_length[request.duration_s] = by_length.get(request.duration_s, 0) + 1
            for length_s, rows in by_length.items():
                yield _MUSIC_RATE * length_s * (1.0 + _MORE_ROWS * max(0, rows - 4))
        case DescribeWork():
            for kind in work.kinds:
                yield _caption_s(work.captioners[kind], work.sources.picture)
        case CaptionWork():
            yield _caption_s(work.backend[0], work.request.video) * len(work.request.kinds)
        case AskWork():
            yield _caption_s(work.backend[0], None)


def _caption_s(backend: str, picture: Clip | None) -> float:
    windows = 1
    if backend in _WINDOWED and picture is not None:
        windows = min(12, max(1, round(picture.duration_s / 10.0)))
    return windows * _CAPTION_S.get(backend, _OTHER_CAPTION_S)


# -- whose quota, and what is refused ----------------------------------------------------------------------------------


def _visitors_request() -> Any:
    """The request that Gradio serves in this context: `spaces` finds the visitor's token in its headers."""
    if "gradio" not in sys.modules:
        return None
    from gradio.context import LocalContext

    return LocalContext.request.get(None)


def _begin(call: Call, work: Work, request: Any) -> Iterator[Message]:
    if request is not None:
        from gradio.context import LocalContext

        LocalContext.request.set(request)
    return iter(call(work))


class GpuRefusedError(BackendUnavailableError):
    """No GPU was lent, or it was taken away."""


def refusal(error: BaseException) -> MusisceneError:
    """What `spaces` raised, in words that say what still works; of a defect, an id of the log's entry."""
    title, said = str(getattr(error, "title", "")), str(getattr(error, "message", "") or error)
    about = f"{title} {said}".lower()
    if "no gpu was available" in about:
        return GpuRefusedError(f"No GPU was free within a minute. Try again in a minute. {SKETCH}")
    if "illegal duration" in title.lower():
        asked = re.search(r"\((\d+)s\)", said)
        time = f"{asked[1]} s of GPU" if asked else "more GPU time"
        return GpuRefusedError(
            f"This wants {time} at once, more than a visitor may have. Ask for shorter music or fewer captions. "
            f"{SKETCH}"
        )
    if "pending credits" in title.lower():
        return GpuRefusedError(f"Your other work holds all of your GPU time. Try again when it is done. {SKETCH}")
    if "quota exceeded" in title.lower():
        return GpuRefusedError(f"{_quota_words(said)} {SKETCH}")
    if "aborted" in about:
        return GpuRefusedError(
            "The GPU was taken back before this was done; what was finished is kept. Try it shorter, or again. "
            f"{SKETCH}"
        )
    if "expired zerogpu proxy token" in about:
        return GpuRefusedError("The page was open for too long to be lent a GPU. Reload it and try again.")
    if title.lower().startswith("zerogpu"):
        _log.warning("%s: %s", title, said)
        return GpuRefusedError(f"The GPU that was lent failed. Try again in a minute. {SKETCH}")
    return GpuRefusedError(f"{explain(error, 'asking for a GPU')} {SKETCH}")


def _quota_words(said: str) -> str:
    amounts = re.search(r"\((\d+)s requested vs\. (-?\d+)s left\)", said)
    when = re.search(r"Try again in ((?:\d+ days?, )?\d+:\d{2}:\d{2})", said)
    if amounts:
        again = f"; it is free again in {when[1]} hours" if when else ""
        return (
            f"Your GPU time of today is used up ({amounts[1]} s are needed, {max(0, int(amounts[2]))} s left{again})."
        )
    if "runs limit" in said:
        return "You have used the GPU as often as one may today."
    return "The GPU time for visitors without an account is used up. Sign in to Hugging Face for more."
