"""Which notes sound: spectral peaks folded to twelve pitch classes, at the tuning of the recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from musiscene.captions._music.signal import RATE, Array, Samples, frames_of
from musiscene.types import Job

_WINDOW, _HOP = 8192, 2048
PITCH_RATE = RATE / _HOP
"""Chroma frames a second."""
_LOWEST_HZ, _HIGHEST_HZ, _BASS_HZ = 55.0, 2100.0, 220.0
_HARMONICS = 4
_DECAY = 0.55
"""Weight of a peak as the k-th harmonic of a lower note: `_DECAY` to the power k - 1 (Gómez 2006, section 3.2.3)."""
_STEPS = 10
"""Chroma bins a semitone while the tuning is unknown."""
_MAX_PEAKS = 40


@dataclass(frozen=True, slots=True)
class Pitches:
    """What sounds, over time.

    Attributes:
        chroma: `(frames, 12)` strength of each pitch class, C first; each frame's sum follows its level.
        bass: `(frames, 12)` the same for what lies below 220 Hz.
        centre: `(frames,)` mean pitch of the tonal peaks as a MIDI note number; NaN where none sounds.
        voices: `(frames,)` how many clear partials sound, a rough count of simultaneous notes.
        tonality: `(frames,)` share of the energy that lies in spectral peaks, 0 to 1.
        tuning_cents: How far the recording lies above A = 440 Hz, -50 to 50.
    """

    chroma: Array
    bass: Array
    centre: Array
    voices: Array
    tonality: Array
    tuning_cents: float


def find_pitches(samples: Samples, job: Job) -> Pitches:
    """Chroma of a sound at `RATE`.

    Harmonic pitch class profile (Gómez 2006, "Tonal description of music audio signals"): peaks of the spectrum only,
    so that drums and noise leave little; each peak speaks for the note it may be a harmonic of; frequencies by
    parabolic interpolation; tuning by the circular mean of the peaks' distance from the semitone.
    """
    folded, lows, centre, voices, tonality = [], [], [], [], []
    deviation = 0.0 + 0.0j
    spacing = RATE / _WINDOW
    first, last = int(_LOWEST_HZ / spacing), int(_HIGHEST_HZ / spacing)
    size = 12 * _STEPS
    for block in frames_of(samples, _WINDOW, _HOP, job, block=128):
        spectrum = block[:, : last + 2]
        floor = ndimage.uniform_filter1d(spectrum, 61, axis=1)
        middle = spectrum[:, first:last]
        before, after = spectrum[:, first - 1 : last - 1], spectrum[:, first + 1 : last + 1]
        loudest = middle.max(axis=1, keepdims=True)
        peak = (
            (middle > before) & (middle >= after) & (middle > 1.8 * floor[:, first:last]) & (middle > 0.006 * loudest)
        )
        frame, column = np.nonzero(peak)
        left, top, right = (np.log(part[frame, column] + 1e-12) for part in (before, middle, after))
        shift = 0.5 * (left - right) / np.minimum(left - 2 * top + right, -1e-9)
        frequency = (column + first + np.clip(shift, -0.5, 0.5)) * spacing
        strength = np.sqrt(middle[frame, column].astype(np.float64))
        note = 69.0 + 12.0 * np.log2(frequency / 440.0)
        clear = frequency > 100.0
        deviation += np.sum(strength[clear] * np.exp(2j * np.pi * note[clear]))
        rows = block.shape[0]
        chroma, bass = np.zeros((rows, size)), np.zeros((rows, size))
        for harmonic in range(1, _HARMONICS + 1):
            place = np.rint((note - 12.0 * np.log2(harmonic)) * _STEPS).astype(np.int64) % size
            np.add.at(chroma, (frame, place), strength * _DECAY ** (harmonic - 1))
        low = frequency < _BASS_HZ
        np.add.at(bass, (frame[low], np.rint(note[low] * _STEPS).astype(np.int64) % size), strength[low])
        total = np.bincount(frame, strength, rows)
        with np.errstate(invalid="ignore", divide="ignore"):
            centre.append(np.bincount(frame, strength * note, rows) / total)
        voices.append(np.bincount(frame, top > np.log(0.12 * loudest[frame, 0] + 1e-12), rows))
        power = np.square(block[:, first:last], dtype=np.float64)
        wide = ndimage.maximum_filter1d(peak, 5, axis=1)
        tonality.append((power * wide).sum(axis=1) / np.maximum(power.sum(axis=1), 1e-20))
        folded.append(chroma)
        lows.append(bass)
    tuning = float(np.angle(deviation) / (2 * np.pi))  # in semitones, -0.5 to 0.5
    return Pitches(
        chroma=_to_semitones(np.concatenate(folded), tuning),
        bass=_to_semitones(np.concatenate(lows), tuning),
        centre=np.concatenate(centre),
        voices=np.concatenate(voices).astype(np.float64),
        tonality=np.concatenate(tonality),
        tuning_cents=100.0 * tuning,
    )


def _to_semitones(fine: Array, tuning: float) -> Array:
    """`(frames, 12 * _STEPS)` bins to 12 pitch classes, C first; bins half-way between two notes count little."""
    position = np.arange(12 * _STEPS) / _STEPS - tuning
    nearest = np.rint(position)
    weight = np.cos(np.pi * (position - nearest)) ** 2
    matrix = np.zeros((12 * _STEPS, 12))
    matrix[np.arange(12 * _STEPS), nearest.astype(int) % 12] = weight
    return np.asarray(fine @ matrix, np.float64)
