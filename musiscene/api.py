"""The verbs as plain functions: probe, caption, score, compare, doctor. They block and return values.

Whoever wants results as they are ready uses `musiscene.pipeline` and its events.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from musiscene import media
from musiscene.errors import MediaError, RequestError, StorageError
from musiscene.machine import Report, examine
from musiscene.pipeline import (
    ALL_KINDS,
    CaptionReady,
    Event,
    KindUnavailable,
    Pipeline,
    RenditionFailed,
    RenditionReady,
    ScoreOptions,
    SoundPart,
    check_melody,
)
from musiscene.registry import find_generator
from musiscene.results import Comparison, Description, Score
from musiscene.settings import Settings
from musiscene.sources import Sources, open_sources
from musiscene.types import (
    Caption,
    CaptionKind,
    CaptionSet,
    Clip,
    Job,
    Rendition,
    ScoreRequest,
    Waveform,
)

Watcher = Callable[[Event], None]
"""Is told of every event of the pipeline, in the caller's thread."""


def probe(file: str | os.PathLike[str], *, settings: Settings | None = None) -> Clip:
    """The facts of a media file.

    Raises:
        MediaError: The file cannot be used; the message says why.
    """
    return media.probe(_path(file), (settings or Settings.from_env()).limits)


def caption(
    file: str | os.PathLike[str],
    music: str | os.PathLike[str] | None = None,
    *,
    kinds: frozenset[CaptionKind] = ALL_KINDS,
    captioners: Mapping[CaptionKind, str] | None = None,
    profile: str | None = None,
    seed: int = 0,
    prompts: Mapping[CaptionKind, str] | None = None,
    settings: Settings | None = None,
    watch: Watcher | None = None,
    stop: threading.Event | None = None,
) -> Description:
    """Write the captions of a video or a track.

    Args:
        file: A video or a music track.
        music: A reference track that is listened to instead of the file's own sound.
        kinds: The captions wanted.
        captioners: Kind -> backend name, where it differs from the profile.
        profile: Name of the profile; the settings' by default.
        seed: The same file and seed give the same captions.
        prompts: Kind -> what a language model is asked: a template's name, or words of one's own.
        settings: Read from the environment when not given.
        watch: Is told of every event, to show progress.
        stop: Set it, from another thread, to end the work.

    Raises:
        MusisceneError: Nothing can be described; the message says why.
    """
    pipeline = _pipeline(settings, profile)
    clip, track, sources = _open(pipeline, file, music)
    return _describe(pipeline, clip, track, sources, kinds, captioners, seed, prompts, watch, stop)


def compare(
    file: str | os.PathLike[str],
    music: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str],
    kinds: frozenset[CaptionKind] = ALL_KINDS,
    captioners: Mapping[CaptionKind, str] | None = None,
    generator: str | None = None,
    options: ScoreOptions | None = None,
    profile: str | None = None,
    prompts: Mapping[CaptionKind, str] | None = None,
    settings: Settings | None = None,
    watch: Watcher | None = None,
    stop: threading.Event | None = None,
) -> Comparison:
    """Write the captions, make a soundtrack from each and put it on the clip.

    Everything is written to the folder `out`, `manifest.json` last: where it is, the comparison is complete.

    Args:
        file: A video or a music track.
        music: A reference track that is listened to instead of the file's own sound.
        out: Folder of the results; made when it is not there.
        kinds: The captions wanted, and scored.
        captioners: Kind -> backend name, where it differs from the profile.
        generator: Name of the music generator, where it differs from the profile.
        options: Duration, seed, takes, mix.
        profile: Name of the profile; the settings' by default.
        prompts: Kind -> what a language model is asked: a template's name, or words of one's own.
        settings: Read from the environment when not given.
        watch: Is told of every event, to show progress.
        stop: Set it, from another thread, to end the work.

    Raises:
        MusisceneError: Nothing can be made; the message says why.
    """
    options = options or ScoreOptions()
    pipeline = _pipeline(settings, profile)
    clip, track, sources = _open(pipeline, file, music)
    pipeline.score_duration(sources, options.duration_s)  # refused now, not after the captions are written
    folder = Path(out).expanduser()
    _make_folder(folder)
    described = _describe(pipeline, clip, track, sources, kinds, captioners, options.seed, prompts, watch, stop)
    if not described.captions:
        raise RequestError(" ".join(dict.fromkeys(described.unavailable.values())))
    renditions: list[Rendition] = []
    failed: dict[CaptionKind, str] = {}
    events = pipeline.score(
        sources, described.captions, folder, kinds=kinds, generator=generator, options=options, stop=stop
    )
    for event in events:
        if watch:
            watch(event)
        if isinstance(event, RenditionReady):
            renditions.append(event.rendition)
        elif isinstance(event, RenditionFailed):
            failed[event.kind] = event.reason
    order = list(CaptionKind)
    renditions.sort(key=lambda r: (r.take, order.index(r.kind)))
    comparison = Comparison(described, tuple(renditions), folder, failed)
    write_manifest(comparison.as_dict(), folder)
    return comparison


def score(
    text: str,
    *,
    out: str | os.PathLike[str],
    duration_s: float = 30.0,
    seed: int = 0,
    midi: str | os.PathLike[str] | None = None,
    generator: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    melody: str | os.PathLike[str] | None = None,
    profile: str | None = None,
    settings: Settings | None = None,
    watch: Watcher | None = None,
    stop: threading.Event | None = None,
) -> Score:
    """Make a soundtrack from words: a WAV file at -16 LUFS, and the notes where the generator writes them.

    Args:
        text: The words.
        out: The WAV file.
        duration_s: Length of the music.
        seed: The same words and seed give the same music.
        midi: Where the notes go, if they are wanted.
        generator: Name of the music generator, where it differs from the profile.
        overrides: Fields of the generator's reading; for MusicGen `{"sections": [[start_s, text], ...]}`, texts that
            take over at their times.
        melody: A track whose tune the music follows (generators that can).
        profile: Name of the profile; the settings' by default.
        settings: Read from the environment when not given.
        watch: Is told of every event: progress, and the sound while it is written (`SoundPart`).
        stop: Set it, from another thread, to end the work.

    Raises:
        RequestError: The text is empty or the duration out of range.
        MusisceneError: It cannot be made; the message says why.
    """
    if not text.strip():
        raise RequestError("There are no words to make music from. Describe the music or the scene.")
    pipeline = _pipeline(settings, profile)
    ScoreOptions(seed=seed)  # the one place that knows which seeds there are
    longest = pipeline.settings.limits.max_score_s
    if not 1.0 <= duration_s <= longest:
        raise RequestError(f"Music can be 1 to {longest:g} seconds long, not {duration_s:g}.")
    audio = Path(out).expanduser()
    if audio.suffix.lower() != ".wav":
        raise RequestError(f"The soundtrack is a WAV file: give a name that ends in .wav, not {audio.name!r}.")
    _make_folder(audio.parent)
    spec = find_generator(generator or pipeline.profile.generator)
    if melody is not None:
        check_melody(spec)
    request = ScoreRequest(
        caption=Caption(CaptionKind.FUSION, text, backend="words"),
        duration_s=duration_s,
        seed=seed,
        overrides=overrides or {},
        melody=None if melody is None else pipeline.probe(_path(melody)),
    )
    started = time.perf_counter()
    job = Job(report=_reporter(watch), stop=stop or threading.Event(), heard=_hearer(watch))
    (soundtrack,) = pipeline.pool.generator(spec).generate([request], job)
    waveform, loudness = media.normalize_loudness(soundtrack.waveform, soundtrack.sample_rate)
    if midi is not None and soundtrack.midi is None:
        raise RequestError(f"{spec.name} writes no notes, so there is no MIDI file to save.")
    media.write_wav(audio, waveform, soundtrack.sample_rate)
    notes = None if midi is None else Path(midi).expanduser()
    if notes is not None and soundtrack.midi is not None:
        _make_folder(notes.parent)
        with media.atomic_path(notes) as part:
            part.write_bytes(soundtrack.midi)
    return Score(
        text=text,
        audio=audio,
        midi=notes,
        seed=seed,
        backend=spec.name,
        loudness_lufs=loudness.integrated_lufs,
        true_peak_dbtp=loudness.true_peak_dbtp,
        duration_s=soundtrack.duration_s,
        seconds=time.perf_counter() - started,
        brief=soundtrack.provenance.get("brief", {}),
        provenance=soundtrack.provenance,
    )


def doctor(*, settings: Settings | None = None) -> Report:
    """What this machine can run, and what to do about what is missing."""
    return examine(settings or Settings.from_env())


def write_manifest(document: Mapping[str, Any], folder: Path) -> Path:
    """Write `folder/manifest.json` in one step.

    Raises:
        StorageError: The disk refused.
    """
    manifest = folder / "manifest.json"
    try:
        with media.atomic_path(manifest) as part:
            part.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    except OSError as error:
        raise StorageError(f"Cannot write {manifest} ({error.strerror}).") from error
    return manifest


def _describe(
    pipeline: Pipeline,
    clip: Clip,
    track: Clip | None,
    sources: Sources,
    kinds: frozenset[CaptionKind],
    captioners: Mapping[CaptionKind, str] | None,
    seed: int,
    prompts: Mapping[CaptionKind, str] | None,
    watch: Watcher | None,
    stop: threading.Event | None,
) -> Description:
    captions = CaptionSet()
    unavailable: dict[CaptionKind, str] = {}
    for event in pipeline.describe(sources, kinds=kinds, captioners=captioners, seed=seed, prompts=prompts, stop=stop):
        if watch:
            watch(event)
        if isinstance(event, CaptionReady):
            captions = captions.adding(event.caption)
        elif isinstance(event, KindUnavailable):
            unavailable[event.kind] = event.reason
    ordered = {kind: unavailable[kind] for kind in CaptionKind if kind in unavailable}
    return Description(clip, captions, ordered, pipeline.profile.name, track)


def _open(
    pipeline: Pipeline, file: str | os.PathLike[str], music: str | os.PathLike[str] | None
) -> tuple[Clip, Clip | None, Sources]:
    clip = pipeline.probe(_path(file))
    track = None if music is None else pipeline.probe(_path(music))
    return clip, track, open_sources(clip, track)


def _pipeline(settings: Settings | None, profile: str | None) -> Pipeline:
    settings = settings or Settings.from_env()
    return Pipeline(replace(settings, profile=profile) if profile else settings)


def _path(file: str | os.PathLike[str]) -> Path:
    path = Path(file).expanduser()
    if not path.exists():
        raise MediaError(f"There is no file {path}.")
    return path


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"Cannot make the folder {folder} ({error.strerror}).") from error


def _reporter(watch: Watcher | None) -> Callable[[float, str], None]:
    from musiscene.pipeline import StageProgress

    def report(fraction: float, note: str) -> None:
        if watch:
            watch(StageProgress("soundtrack", frozenset({CaptionKind.FUSION}), fraction, note))

    return report


def _hearer(watch: Watcher | None) -> Callable[[int, Waveform, int], None]:
    told_s = 0.0

    def heard(number: int, piece: Waveform, sample_rate: int) -> None:
        nonlocal told_s
        if watch:
            watch(SoundPart(CaptionKind.FUSION, number + 1, told_s, piece, sample_rate))
        told_s += piece.shape[-1] / sample_rate

    return heard
