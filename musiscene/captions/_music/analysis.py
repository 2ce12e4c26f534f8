"""Everything that is measured in a sound, together, and as JSON-ready evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from musiscene.captions._music import kind as kinds
from musiscene.captions._music.beats import Beats, track_beats
from musiscene.captions._music.character import Character, describe_character, peaks_over_time
from musiscene.captions._music.key import Key, find_key
from musiscene.captions._music.kind import Kind, stillness_of, syllable_rhythm, tell_kind
from musiscene.captions._music.mood import Mood, tell_mood
from musiscene.captions._music.onsets import find_onsets
from musiscene.captions._music.pitch import find_pitches
from musiscene.captions._music.pulse import Pulse, find_pulse
from musiscene.captions._music.signal import RATE, Samples, band_spectrogram, decibels_below_loud
from musiscene.types import Job

SHORTEST_S = 0.2
"""Less than this cannot be judged as anything."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found in a sound. `pulse`, `beats` and `key` are None where there is none to speak of."""

    kind: Kind
    character: Character
    pulse: Pulse | None
    beats: Beats | None
    key: Key | None
    mood: Mood
    tuning_cents: float
    loudness_lufs: float
    true_peak_dbtp: float
    waveform_peaks: np.ndarray[Any, np.dtype[np.float64]]
    excerpts_s: tuple[tuple[float, float], ...]
    """Parts of the track that were listened to, `(start, end)` in seconds."""

    @property
    def analysed_s(self) -> float:
        """How much was listened to, in seconds."""
        return float(sum(end - start for start, end in self.excerpts_s))


def analyse(
    samples: Samples,
    *,
    loudness_lufs: float,
    true_peak_dbtp: float,
    job: Job,
    excerpts_s: tuple[tuple[float, float], ...] | None = None,
) -> Analysis:
    """Measure a sound at `RATE`. Levels do not matter except for the loudness, which is given."""
    job.progress(0.25, "Listening for onsets")
    energy = band_spectrogram(samples, job)
    level_db = decibels_below_loud(energy)
    onsets = find_onsets(level_db)
    job.progress(0.45, "Listening for the pulse")
    pulse = find_pulse(onsets, job, None if excerpts_s and len(excerpts_s) > 1 else samples.size / RATE)
    beats = track_beats(onsets, level_db, pulse.tempo_bpm, job) if pulse else None
    job.progress(0.65, "Listening for the key")
    pitches = find_pitches(samples, job)
    key = find_key(pitches)
    job.progress(0.85, "Listening to the character")
    character = describe_character(samples, energy, level_db, onsets, pitches)
    kind = tell_kind(loudness_lufs, character, pulse, beats, key, syllable_rhythm(energy), stillness_of(pitches.chroma))
    if kind.name != kinds.MUSIC or not _has_pulse(pulse, beats, character):
        pulse = beats = None
    if key and not _has_key(key, kind):
        key = None
    return Analysis(
        kind=kind,
        character=character,
        pulse=pulse,
        beats=beats,
        key=key,
        mood=tell_mood(character, beats, key),
        tuning_cents=pitches.tuning_cents,
        loudness_lufs=loudness_lufs,
        true_peak_dbtp=true_peak_dbtp,
        waveform_peaks=peaks_over_time(samples),
        excerpts_s=excerpts_s or ((0.0, samples.size / RATE),),
    )


def _has_pulse(pulse: Pulse | None, beats: Beats | None, character: Character) -> bool:
    """Whether onsets recur clearly enough to name a tempo: in a held sound or a rustle they do not."""
    if pulse is None or beats is None or beats.times_s.size < 4 or character.onset_density_hz < 0.3:
        return False
    return pulse.clarity > 0.12 or beats.strength > 0.3


def _has_key(key: Key, kind: Kind) -> bool:
    """Whether the notes suggest a key: a held tone alone, or drums that fit no scale, do not."""
    if kind.name == kinds.MUSIC:
        return key.fit > 0.28
    return kind.name == kinds.DRONE and int((key.chroma > 0.25).sum()) >= 3


def evidence(found: Analysis) -> dict[str, Any]:
    """What was measured, JSON-ready; the units are in the names. Fields are None where there is nothing to measure."""
    character, beats, key, mood = found.character, found.beats, found.key, found.mood
    musical = found.kind.name in (kinds.MUSIC, kinds.DRONE)
    centre = character.pitch_centre
    return {
        "kind_of_sound": found.kind.name,
        "kind_confidence": round(found.kind.confidence, 2),
        "tempo_bpm": round(beats.tempo_bpm, 1) if beats else None,
        "tempo_confidence": round(tempo_confidence(found), 2),
        "beats_s": [round(float(time), 3) for time in beats.times_s] if beats else [],
        "beat_strength": round(beats.strength, 2) if beats else None,
        "steadiness": round(beats.steadiness, 2) if beats else None,
        "meter": beats.meter if beats else None,
        "key": key.name if key else None,
        "key_confidence": round(key.confidence, 2) if key else 0.0,
        "key_other": key.other if key else None,
        "mode": key.mode if key else None,
        "chroma": [round(float(value), 3) for value in key.chroma] if key else [0.0] * 12,
        "tuning_cents": round(found.tuning_cents) if key else None,
        "loudness_lufs": _finite(found.loudness_lufs, 1),
        "loudness_range_lu": round(character.loudness_range_lu, 1),
        "true_peak_dbtp": _finite(found.true_peak_dbtp, 1),
        "onset_density_hz": round(character.onset_density_hz, 2),
        "brightness_hz": round(character.brightness_hz),
        "percussive_share": round(character.percussive_share, 2),
        "register": character.register if math.isfinite(centre) else None,
        "pitch_centre_midi": round(centre, 1) if math.isfinite(centre) else None,
        "texture": character.texture,
        "fullness": round(character.fullness, 2),
        "arousal": round(mood.arousal, 2) if musical else None,
        "valence": round(mood.valence, 2) if musical else None,
        "tension": round(mood.tension, 2) if musical else None,
        "mood": mood.name if musical else None,
        "energy_curve": [round(float(value), 3) for value in character.energy],
        "waveform": [round(float(value), 4) for value in found.waveform_peaks],
        "analysed_s": round(found.analysed_s, 2),
        "excerpts_s": [[round(start, 2), round(end, 2)] for start, end in found.excerpts_s],
    }


def tempo_confidence(found: Analysis) -> float:
    """How sure the tempo is, 0 to 1: how probable its metrical level, and how clear the pulse."""
    if found.pulse is None or found.beats is None:
        return 0.0
    clear = np.clip(0.25 + 1.6 * found.pulse.clarity, 0.0, 1.0) * np.clip(0.4 + found.beats.strength, 0.0, 1.0)
    return float(np.clip(found.pulse.confidence * clear, 0.0, 1.0))


def _finite(value: float, digits: int) -> float | None:
    """JSON has no infinity: silence has no loudness."""
    return round(value, digits) if math.isfinite(value) else None
