"""The arranger as a music generator: a soundtrack in a second, from words, without a model.

It reads a caption into a brief, composes from it, and plays the notes with a SoundFont.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musiscene.errors import BackendUnavailableError, RequestError
from musiscene.registry import BackendSpec
from musiscene.soundtracks._arranger.brief import CURVES, Brief
from musiscene.soundtracks._arranger.reading import read_brief
from musiscene.types import Job, ScoreRequest, Soundtrack

if TYPE_CHECKING:
    from musiscene.soundtracks._arranger.sampler import Sampler

__all__ = ["CURVES", "SPEC", "Brief", "SketchArranger", "load", "read_brief"]

LONGEST_S = 600.0
"""The longest soundtrack that is made."""


class SketchArranger:
    """Composes and plays; safe to use from several threads."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def generate(self, requests: Sequence[ScoreRequest], job: Job) -> Iterator[Soundtrack]:
        """Yield one soundtrack for each request, in their order.

        Raises:
            RequestError: A duration, seed or edited field cannot be used.
            Stopped: `job` was stopped.
        """
        briefs = [_brief(request) for request in requests]  # all are checked before any is made
        for number, (request, brief) in enumerate(zip(requests, briefs, strict=True)):
            share = _Share(job, number, len(requests))
            yield self._make(request, brief, share.job())

    def _make(self, request: ScoreRequest, brief: Brief, job: Job) -> Soundtrack:
        from musiscene.soundtracks._arranger import compose, midi, mix
        from musiscene.soundtracks._arranger.sampler import SAMPLE_RATE

        started = time.perf_counter()
        job.progress(0.02, "Composing")
        piece = compose.compose(
            brief,
            text=request.caption.text,
            seed=request.seed,
            duration_s=request.duration_s,
            cuts_s=tuple(request.cuts_s),
            motion=tuple(request.motion),
            check=job.check,
        )
        job.progress(0.1, "Playing")
        waveform = mix.render(piece, self._sampler, job)
        midi_file = midi.write(piece)
        job.progress(1.0, "Done")
        return Soundtrack(
            waveform=waveform,
            sample_rate=SAMPLE_RATE,
            caption=request.caption,
            backend=SPEC.name,
            seed=request.seed,
            midi=midi_file,
            seconds=time.perf_counter() - started,
            provenance={
                "brief": brief.as_dict(),
                "sentence": brief.sentence(),
                "written": dict(piece.facts),
                "soundfont": self._sampler.soundfont.path.name,
            },
        )


class _Share:
    """One request's share of the job's progress."""

    def __init__(self, job: Job, number: int, count: int) -> None:
        self._job, self._number, self._count = job, number, max(1, count)

    def job(self) -> Job:
        """A job that reports within the share and is stopped with the whole."""
        return Job(report=self._report, stop=self._job.stop)

    def _report(self, fraction: float, note: str) -> None:
        self._job.report((self._number + fraction) / self._count, note)


def _brief(request: ScoreRequest) -> Brief:
    duration = request.duration_s
    usable = isinstance(duration, (int, float)) and not isinstance(duration, bool) and math.isfinite(duration)
    if not usable or not 0.0 < duration <= LONGEST_S:
        raise RequestError(
            f"A soundtrack can be up to {LONGEST_S:g} seconds long and must have a length; got {duration!r} seconds."
        )
    if isinstance(request.seed, bool) or not isinstance(request.seed, int):
        raise RequestError(f"A seed must be a whole number, got {request.seed!r}.")
    return read_brief(request.caption.text).with_overrides(request.overrides)


def default_soundfont() -> Path | None:
    """The General MIDI SoundFont that comes with pretty_midi; found without importing it."""
    package = importlib.util.find_spec("pretty_midi")
    if package is None or not package.origin:
        return None
    return next(iter(sorted(Path(package.origin).parent.glob("*.sf2"))), None)


def load(options: Mapping[str, Any]) -> SketchArranger:
    """Read the SoundFont: `options["soundfont"]` when given, else the one that comes with the dependencies.

    Raises:
        ConfigError: The SoundFont cannot be read.
        BackendUnavailableError: There is none.
    """
    from musiscene.soundtracks._arranger import compose, midi, mix  # noqa: F401  # so that the first piece need not wait
    from musiscene.soundtracks._arranger.sampler import Sampler
    from musiscene.soundtracks._arranger.soundfont import SoundFont

    chosen = options.get("soundfont")
    path = Path(chosen) if chosen else default_soundfont()
    if path is None:
        raise BackendUnavailableError(_unavailable())
    arranger = SketchArranger(Sampler(SoundFont(path)))
    read_brief("warm up")  # builds the tables of words once
    return arranger


def _unavailable() -> str | None:
    if default_soundfont() is None:
        return (
            "The arranger found no SoundFont: install pretty_midi (`pip install pretty_midi`) or name an .sf2 file in "
            "MUSISCENE_SOUNDFONT."
        )
    return None


SPEC = BackendSpec(
    name="sketch",
    load=load,
    summary="Composes from the words of the caption and plays the notes; no downloads, a second on any computer.",
    license="MIT; SoundFont TimGM6mb: GPL-2.0",
    unavailable=_unavailable,
)
