"""From a clip to the sound that is analysed: whole when it is short, in excerpts when it is long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from musiscene.captions._music.analysis import Analysis, analyse
from musiscene.captions._music.signal import to_analysis
from musiscene.errors import MissingStreamError
from musiscene.media import Audio, measure_loudness, read_audio
from musiscene.types import Clip, Job

WHOLE_S = 360.0
"""Up to this length a track is listened to as a whole."""
EXCERPTS = (0.1, 0.4, 0.7)
"""Where the excerpts of a longer track begin, as shares of its length."""
EXCERPT_S = 90.0
SILENT_S = 10.0
"""A track that is known to be digital silence is only looked at, to give the same evidence as any other."""
HIGHEST_RATE = 48000
"""Sound above this rate is read at this rate: what lies higher is not analysed."""


@dataclass(frozen=True, slots=True)
class _Part:
    start_s: float
    duration_s: float | None


def listen(clip: Clip, job: Job) -> Analysis:
    """Analyse the sound of a clip.

    Raises:
        MissingStreamError: The clip has no sound, or none that could be decoded.
        MusisceneError: The file cannot be read.
    """
    if not clip.has_audio:
        raise MissingStreamError(
            f"{clip.path.name} has no sound to describe. Add a music track, or use a clip with sound."
        )
    parts = [_Part(0.0, SILENT_S)] if clip.audio_silent else _parts(clip.duration_s)
    job.progress(0.0, "Decoding the sound")
    heard: list[tuple[Audio, float]] = []
    for number, part in enumerate(parts):
        audio = read_audio(
            clip,
            sample_rate=HIGHEST_RATE if (clip.sample_rate or 0) > HIGHEST_RATE else None,
            stereo=True,
            start_s=part.start_s,
            duration_s=part.duration_s,
            job=_share(job, 0.2 * number / len(parts), 0.2 * (number + 1) / len(parts)),
        )
        if audio.waveform.size:
            heard.append((audio, part.start_s))
    if not heard:
        raise MissingStreamError(
            f"{clip.path.name} holds no sound that can be decoded. Try to play it, or export it again."
        )
    return hear(heard, job)


def hear(parts: Sequence[tuple[Audio, float]], job: Job | None = None) -> Analysis:
    """Analyse decoded sound: excerpts of one track, each with the second at which it starts."""
    job = job or Job()
    mono, loudness, peaks, excerpts = [], [], [], []
    for audio, start_s in parts:
        job.check()
        clean = np.nan_to_num(audio.waveform, nan=0.0, posinf=0.0, neginf=0.0)
        level = measure_loudness(clean, audio.sample_rate)
        loudness.append((level.integrated_lufs, audio.duration_s))
        peaks.append(level.true_peak_dbtp)
        mono.append(to_analysis(clean, audio.sample_rate))
        excerpts.append((start_s, start_s + audio.duration_s))
    return analyse(
        np.concatenate(mono),
        loudness_lufs=_joined_loudness(loudness),
        true_peak_dbtp=max(peaks),
        job=job,
        excerpts_s=tuple(excerpts),
    )


def _share(job: Job, start: float, end: float) -> Job:
    """A job for one step, which reports its progress as a part of the whole."""
    return Job(report=lambda fraction, note: job.report(start + (end - start) * fraction, note), stop=job.stop)


def _parts(duration_s: float) -> list[_Part]:
    if not duration_s > WHOLE_S:
        return [_Part(0.0, WHOLE_S)]
    return [_Part(round(share * duration_s, 3), EXCERPT_S) for share in EXCERPTS]


def _joined_loudness(measured: list[tuple[float, float]]) -> float:
    """Loudness of several excerpts together: the mean of their powers; silent ones are gated out."""
    heard = [(lufs, seconds) for lufs, seconds in measured if np.isfinite(lufs)]
    if not heard:
        return float("-inf")
    power = sum(10 ** (lufs / 10) * seconds for lufs, seconds in heard) / sum(seconds for _, seconds in heard)
    return float(10 * np.log10(power))
