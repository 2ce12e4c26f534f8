"""The stages in order: clip -> captions -> soundtracks -> renditions. The only place that knows them all.

Both stages are generators of events: results appear as they are ready, independent stages run side by side, a stage
that fails never hides the others, and closing the generator (or setting `stop`) ends the work inside the stages.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from musiscene import media
from musiscene.backend_options import backend_options
from musiscene.errors import RequestError, Stopped, explain
from musiscene.events import (
    CaptionPart,
    CaptionReady,
    Event,
    KindUnavailable,
    RenditionFailed,
    RenditionReady,
    SoundPart,
    StageProgress,
)
from musiscene.playable_picture import PlayablePicture
from musiscene.profiles import choose
from musiscene.registry import BackendSpec, Pool, find_captioner, find_generator
from musiscene.settings import Settings
from musiscene.sources import Sources
from musiscene.types import (
    CaptionKind,
    CaptionRequest,
    CaptionSet,
    Clip,
    Job,
    Mix,
    Rendition,
    ScoreRequest,
    Soundtrack,
    Waveform,
)
from musiscene.workers import Workers

__all__ = [
    "ALL_KINDS",
    "CaptionPart",
    "CaptionReady",
    "Event",
    "KindUnavailable",
    "Pipeline",
    "RenditionFailed",
    "RenditionReady",
    "ScoreOptions",
    "SoundPart",
    "StageProgress",
    "check_melody",
    "why_impossible",
]

ALL_KINDS = frozenset(CaptionKind)

_HEAD_START_S = 1.0
_FEW_CORES = (os.cpu_count() or 1) <= 2
"""On two cores, stages side by side wait for each other: sound, which is quick, goes ahead, and is read meanwhile."""


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """How soundtracks are made.

    Attributes:
        duration_s: Length of the music; None for the picture's own length (or 30 s for a track alone).
        seed: Of the first take; further takes count up from it.
        takes: Soundtracks per caption.
        mix: What happens to the clip's own sound.
        music_gain_db: Level of the music beside the clip's own sound.
        overrides: Kind -> fields of the generator's brief that a person edited.
        melody: The music follows the tune of the reference track, or of the clip's own sound (generators that can).
    """

    duration_s: float | None = None
    seed: int = 0
    takes: int = 1
    mix: Mix = Mix.REPLACE
    music_gain_db: float = 0.0
    overrides: Mapping[CaptionKind, Mapping[str, Any]] = field(default_factory=dict)
    melody: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.takes <= 16:
            raise RequestError(f"Ask for 1 to 16 takes, not {self.takes}.")
        if not 0 <= self.seed < 2**31:
            raise RequestError(f"A seed is a whole number from 0 to {2**31 - 1}, not {self.seed}.")


def check_melody(spec: BackendSpec) -> None:
    """Refuse a melody for a generator that would not hear it.

    Raises:
        RequestError: It cannot follow one.
    """
    if not spec.follows_melody:
        raise RequestError(f"{spec.name} cannot follow a melody. Choose musicgen or audiocraft, or leave it out.")


DEFAULT_TRACK_SCORE_S = 30.0
"""Length of the music for a track alone, where no picture says how long it should be."""


class Pipeline:
    """The stages with the backends they use. One per application; safe to use from several threads at once."""

    def __init__(self, settings: Settings | None = None, pool: Pool | None = None) -> None:
        self.settings = settings or Settings()
        self.pool = pool or Pool(options=backend_options(self.settings))
        self.profile = choose(self.settings.profile, self.pool.options)

    def probe(self, path: Path) -> Clip:
        """The facts of the media file at `path`.

        Raises:
            MediaError: It cannot be used.
        """
        return media.probe(path, self.settings.limits)

    # -- words ---------------------------------------------------------------------------------------------------

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
        """Write captions; yield each as soon as it is ready.

        Args:
            sources: What is looked at and listened to.
            kinds: The captions wanted. What they are made from is made too, and yielded.
            captioners: Kind -> backend name, where it differs from the profile.
            known: Captions that exist (edited by a person, say); they are used, not made again.
            seed: The same sources and seed give the same captions.
            prompts: Kind -> what a language model is to be asked, where it differs from the default.
            stop: Set it to end the work; so does closing the generator.

        Raises:
            UnknownBackendError: A backend's name is wrong.
            Stopped: `stop` was set.
        """
        names = {**self.profile.captioners, **(captioners or {})}
        captions = known or CaptionSet()
        specs = self._with_needs(kinds, names, captions)
        failed: dict[CaptionKind, str] = {}
        waiting: dict[CaptionKind, BackendSpec] = {}
        for kind in CaptionKind:
            if kind in specs:
                reason = why_impossible(kind, specs[kind], sources)
                if reason:
                    failed[kind] = reason
                    yield KindUnavailable(kind, reason)
                else:
                    waiting[kind] = specs[kind]
        with Workers(stop, threads=2) as workers:
            while waiting or workers.busy:
                if not workers.busy:
                    workers.check()  # what the waiting ones wait for was stopped
                for kind in [kind for kind, spec in waiting.items() if spec.needs & failed.keys()]:
                    lacking = next(need for need in CaptionKind if need in waiting[kind].needs & failed.keys())
                    del waiting[kind]
                    failed[kind] = f"The {kind} caption is made from the {lacking} caption, which is missing."
                    yield KindUnavailable(kind, failed[kind])
                ready = [kind for kind, spec in waiting.items() if spec.needs <= captions.keys()]
                groups = _by_spec({kind: waiting.pop(kind) for kind in ready})
                for number, (spec, group_kinds) in enumerate(groups):
                    request = CaptionRequest(group_kinds, sources.picture, sources.sound, captions, seed, prompts or {})
                    workers.start(self._describe_group, spec, request)
                    if number == 0 and len(groups) > 1 and _FEW_CORES:
                        workers.wait_for_result(_HEAD_START_S)
                event = workers.next_event()
                if isinstance(event, CaptionReady):
                    captions = captions.adding(event.caption)
                elif isinstance(event, KindUnavailable):
                    failed[event.kind] = event.reason
                if event is not None:
                    yield event
            workers.check()

    def _with_needs(
        self, kinds: frozenset[CaptionKind], names: Mapping[CaptionKind, str], known: CaptionSet
    ) -> dict[CaptionKind, BackendSpec]:
        specs: dict[CaptionKind, BackendSpec] = {}
        wanted = [kind for kind in kinds if kind not in known]
        while wanted:
            kind = wanted.pop()
            if kind not in specs and kind not in known:
                specs[kind] = find_captioner(kind, names[kind])
                wanted.extend(specs[kind].needs)
        return specs

    def _describe_group(self, spec: BackendSpec, request: CaptionRequest, workers: Workers) -> None:
        """Run one captioner in a worker thread; everything that happens becomes an event."""
        missing = set(request.kinds)
        try:
            job = workers.job("caption", request.kinds)
            self._tell_loading(spec, job)
            captioner = self.pool.captioner(spec)
            for caption in captioner.describe(request, job):
                missing.discard(caption.kind)
                workers.put(CaptionReady(caption))
            for kind in missing:
                workers.put(KindUnavailable(kind, f"{spec.name} wrote no {kind} caption for this clip."))
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - a failed stage becomes words and never hides the others
            for kind in CaptionKind:
                if kind in missing:
                    workers.put(KindUnavailable(kind, explain(error, f"writing the {kind} caption")))

    def _tell_loading(self, spec: BackendSpec, job: Job) -> None:
        """Say that a network is being loaded; what has none is there at once."""
        if spec.packages and not self.pool.is_loaded(spec):
            job.progress(0.0, f"Loading {spec.name}")

    # -- music ---------------------------------------------------------------------------------------------------

    def score(
        self,
        sources: Sources,
        captions: CaptionSet,
        out_dir: Path,
        *,
        kinds: frozenset[CaptionKind] = ALL_KINDS,
        generator: str | None = None,
        options: ScoreOptions | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Event]:
        """Make a soundtrack from each caption, level it, and put it on the clip; yield each as soon as it is ready.

        Files are written to `out_dir` as `KIND.wav`, `KIND.mid` and `KIND.mp4` (`KIND-2.wav` … for further takes).

        Raises:
            RequestError: There is no caption to work from, or the duration is out of range.
            UnknownBackendError: The generator's name is wrong.
            Stopped: `stop` was set.
        """
        options = options or ScoreOptions()
        chosen = [caption for kind, caption in captions.items() if kind in kinds and caption.text.strip()]
        if not chosen:
            raise RequestError("There is no caption to make music from. Describe the clip first, or write one.")
        spec = find_generator(generator or self.profile.generator)
        duration_s = self.score_duration(sources, options.duration_s)
        if options.melody:
            check_melody(spec)
        if options.melody and sources.sound is None:
            raise RequestError(f"There is no tune to follow: {sources.silence}. Add a reference track.")
        seen = captions[CaptionKind.VIDEO].evidence if CaptionKind.VIDEO in captions else {}
        requests = [
            ScoreRequest(
                caption=caption,
                duration_s=duration_s,
                seed=(options.seed + take) % 2**31,
                cuts_s=tuple(seen.get("cuts_s", ())),
                motion=tuple(seen.get("motion_curve", ())),
                overrides=options.overrides.get(caption.kind, {}),
                melody=sources.sound if options.melody else None,
            )
            for take in range(options.takes)
            for caption in chosen
        ]
        out_dir.mkdir(parents=True, exist_ok=True)
        with Workers(stop, threads=3) as workers:
            picture = PlayablePicture(sources.picture, out_dir)
            workers.start(self._score_all, spec, requests, sources, picture, options)
            if sources.picture is not None:
                workers.start(picture.prepare)
            try:
                while workers.busy:
                    event = workers.next_event()
                    if event is not None:
                        yield event
                workers.check()
            finally:
                workers.leave()
                picture.discard()

    def score_duration(self, sources: Sources, asked_s: float | None) -> float:
        """How long the music will be, in seconds.

        Raises:
            RequestError: `asked_s` is not between 1 s and the limit of this installation.
        """
        longest = self.settings.limits.max_score_s
        if asked_s is not None:
            if not 1.0 <= asked_s <= longest:
                raise RequestError(f"Music can be 1 to {longest:g} seconds long, not {asked_s:g}.")
            return float(asked_s)
        natural = sources.picture.duration_s if sources.picture else DEFAULT_TRACK_SCORE_S
        return min(max(natural, 1.0), longest)

    def _score_all(
        self,
        spec: BackendSpec,
        requests: list[ScoreRequest],
        sources: Sources,
        picture: PlayablePicture,
        options: ScoreOptions,
        workers: Workers,
    ) -> None:
        """Generate in this worker thread; each finished soundtrack is levelled and muxed in another."""
        per_take = len(requests) // options.takes
        done = 0
        try:
            job = workers.job("soundtrack", frozenset(request.caption.kind for request in requests))
            self._tell_loading(spec, job)
            generator = self.pool.generator(spec)
            told_s = [0.0] * len(requests)

            def heard(number: int, piece: Waveform, sample_rate: int) -> None:
                kind, take = requests[number].caption.kind, number // per_take + 1
                workers.put(SoundPart(kind, take, told_s[number], piece, sample_rate))
                told_s[number] += piece.shape[-1] / sample_rate

            job = replace(job, heard=heard)
            for soundtrack in generator.generate(requests, job):
                take = done // per_take + 1
                done += 1
                workers.start(self._render, soundtrack, sources, picture, take, options)
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            for index, request in enumerate(requests[done:], start=done):
                kind = request.caption.kind
                reason = explain(error, f"making music from the {kind} caption")
                workers.put(RenditionFailed(kind, index // per_take + 1, reason))

    def _render(
        self,
        soundtrack: Soundtrack,
        sources: Sources,
        picture: PlayablePicture,
        take: int,
        options: ScoreOptions,
        workers: Workers,
    ) -> None:
        kind = soundtrack.caption.kind
        stem = kind.value if take == 1 else f"{kind.value}-{take}"
        started = time.perf_counter()
        out_dir = picture.folder
        try:
            waveform, loudness = media.normalize_loudness(soundtrack.waveform, soundtrack.sample_rate)
            audio = out_dir / f"{stem}.wav"
            media.write_wav(audio, waveform, soundtrack.sample_rate)
            midi = None
            if soundtrack.midi is not None:
                midi = out_dir / f"{stem}.mid"
                with media.atomic_path(midi) as part:
                    part.write_bytes(soundtrack.midi)
            video = None
            if sources.picture is not None:
                video = out_dir / f"{stem}.mp4"
                job = workers.job("mux", frozenset({kind}))
                from musiscene.mux import mux  # it brings scipy, a second that the page's start need not wait for

                mux(
                    sources.picture,
                    waveform,
                    soundtrack.sample_rate,
                    video,
                    mix=options.mix,
                    music_gain_db=options.music_gain_db,
                    picture=picture.get(job),
                    job=job,
                )
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            workers.put(RenditionFailed(kind, take, explain(error, f"putting the {kind} soundtrack on the clip")))
            return
        levelled = replace(soundtrack, loudness_lufs=loudness.integrated_lufs, true_peak_dbtp=loudness.true_peak_dbtp)
        workers.put(
            RenditionReady(
                Rendition(
                    kind=kind,
                    caption=soundtrack.caption,
                    backend=soundtrack.backend,
                    seed=soundtrack.seed,
                    loudness_lufs=levelled.loudness_lufs,
                    true_peak_dbtp=levelled.true_peak_dbtp,
                    duration_s=levelled.duration_s,
                    seconds=soundtrack.seconds + time.perf_counter() - started,
                    audio=audio,
                    video=video,
                    midi=midi,
                    take=take,
                    provenance=soundtrack.provenance,
                )
            )
        )


def why_impossible(kind: CaptionKind, spec: BackendSpec, sources: Sources) -> str | None:
    """Why this clip can have no caption of a kind, and the next step; None when it can."""
    needs_picture = spec.needs_picture or CaptionKind.VIDEO in spec.needs
    needs_sound = spec.needs_sound or bool({CaptionKind.MUSIC, CaptionKind.MSI} & spec.needs)
    name = "scene (MSI)" if kind is CaptionKind.MSI else kind.value
    if needs_picture and sources.picture is None:
        return f"The {name} caption needs a picture, and this is sound alone. Upload a video to get it."
    if needs_sound and sources.sound is None:
        return f"The {name} caption needs sound, and the clip is silent: {sources.silence}. Add a reference track."
    return None


def _by_spec(ready: Mapping[CaptionKind, BackendSpec]) -> list[tuple[BackendSpec, frozenset[CaptionKind]]]:
    """Kinds of one backend are asked for together: one analysis, or one batch, serves them all; sound comes first."""
    groups: dict[int, tuple[BackendSpec, set[CaptionKind]]] = {}
    for kind, spec in ready.items():
        groups.setdefault(id(spec), (spec, set()))[1].add(kind)
    ordered = sorted(groups.values(), key=lambda group: group[0].needs_picture)
    return [(spec, frozenset(kinds)) for spec, kinds in ordered]
