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
_LOWEST_HZ, _HIGHEST_HZ = 54.0, 2100.0
_HARMONICS = ((19, 0.5), (28, 0.5), (31, 0.35), (34, 0.3))
"""Semitones from a note to its harmonics 3, 5, 6 and 7, and the share of its strength that is expected there."""
_STEPS = 10
"""Chroma bins a semitone while the tuning is unknown."""
_LOWEST_NOTE = 33
_NOTES = 64
_BASS_NOTES = 57 - _LOWEST_NOTE
"""Notes below A3 (220 Hz) are the bass."""


@dataclass(frozen=True, slots=True)
class Pitches:
    """What sounds, over time.

    Attributes:
        notes: `(frames, notes)` strength at each semitone from A1 upwards, harmonics taken off.
        chroma: `(frames, 12)` strength of each pitch class, C first; each frame's sum follows its level.
        bass: `(frames, 12)` the same for what lies below 220 Hz.
        centre: `(frames,)` mean pitch, harmonics taken off, as a MIDI note number; NaN where nothing is tonal.
        voices: `(frames,)` how many notes sound with like strength, a rough count.
        tonality: `(frames,)` share of the energy that lies in spectral peaks, 0 to 1.
        tuning_cents: How far the recording lies above A = 440 Hz, -50 to 50.
    """

    notes: Array
    chroma: Array
    bass: Array
    centre: Array
    voices: Array
    tonality: Array
    tuning_cents: float


def find_pitches(samples: Samples, job: Job) -> Pitches:
    """Chroma of a sound at `RATE`.

    After Gómez (2006, "Tonal description of music audio signals"): peaks of the spectrum only, so that drums and noise
    leave little; frequencies by parabolic interpolation; tuning by the circular mean of the peaks' distance from the
    semitone. What lower notes' harmonics leave is taken off before folding to pitch classes.
    """
    fine, tonality = [], []
    deviation = 0.0 + 0.0j
    spacing = RATE / _WINDOW
    first, last = int(_LOWEST_HZ / spacing), int(_HIGHEST_HZ / spacing)
    for block in frames_of(samples, _WINDOW, _HOP, job, block=128):
        spectrum = block[:, : last + 2]
        floor = ndimage.uniform_filter1d(spectrum, 61, axis=1)
        middle = spectrum[:, first:last]
        before, after = spectrum[:, first - 1 : last - 1], spectrum[:, first + 1 : last + 1]
        loudest = middle.max(axis=1, keepdims=True)
        peak = (middle > before) & (middle >= after)
        peak &= (middle > 1.8 * floor[:, first:last]) & (middle > 0.006 * loudest)
        frame, column = np.nonzero(peak)
        left, top, right = (np.log(part[frame, column] + 1e-12) for part in (before, middle, after))
        shift = 0.5 * (left - right) / np.minimum(left - 2 * top + right, -1e-9)
        frequency = (column + first + np.clip(shift, -0.5, 0.5)) * spacing
        strength = np.sqrt(middle[frame, column].astype(np.float64))
        note = 69.0 + 12.0 * np.log2(frequency / 440.0)
        clear = frequency > 100.0
        deviation += np.sum(strength[clear] * np.exp(2j * np.pi * note[clear]))
        rows = block.shape[0]
        sounding = np.zeros((rows, _NOTES * _STEPS))
        place = np.clip(np.rint((note - _LOWEST_NOTE) * _STEPS).astype(np.int64), 0, _NOTES * _STEPS - 1)
        np.add.at(sounding, (frame, place), strength)
        power = np.square(block[:, first:last], dtype=np.float64)
        wide = ndimage.maximum_filter1d(peak, 5, axis=1)
        tonality.append((power * wide).sum(axis=1) / np.maximum(power.sum(axis=1), 1e-20))
        fine.append(sounding)
    tuning = float(np.angle(deviation) / (2 * np.pi))  # in semitones, -0.5 to 0.5
    notes = _to_semitones(np.concatenate(fine), tuning)
    alone = _without_harmonics(notes)
    power = alone**2
    total = power.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = power @ np.arange(_LOWEST_NOTE, _LOWEST_NOTE + _NOTES) / total
        voices = np.nan_to_num(total**2 / (power**2).sum(axis=1))
    return Pitches(
        notes=alone,
        chroma=_fold(alone),
        bass=_fold(notes[:, :_BASS_NOTES]),
        centre=centre,
        voices=voices,
        tonality=np.concatenate(tonality),
        tuning_cents=100.0 * tuning,
    )


def _fold(notes: Array) -> Array:
    """Notes to pitch classes."""
    chroma = np.zeros((notes.shape[0], 12))
    for column in range(notes.shape[1]):
        chroma[:, (_LOWEST_NOTE + column) % 12] += notes[:, column]
    return chroma


def _without_harmonics(notes: Array) -> Array:
    """What remains of each note after what the notes below may have left there.

    A tone's third and fifth harmonics lie a fifth and a major third above it in other octaves: unsuppressed they turn
    minor into major and the tonic into the dominant.
    """
    remaining = notes.copy()
    for interval, share in _HARMONICS:
        remaining[:, interval:] -= share * notes[:, :-interval]
    return np.asarray(np.maximum(remaining, 0.0), np.float64)


def _to_semitones(fine: Array, tuning: float) -> Array:
    """`(frames, _NOTES * _STEPS)` to `(frames, _NOTES)`; what lies half-way between two notes counts little."""
    position = np.arange(_NOTES * _STEPS) / _STEPS - tuning
    nearest = np.clip(np.rint(position), 0, _NOTES - 1)
    weight = np.clip(np.cos(np.pi * (position - nearest)), 0, None) ** 2
    matrix = np.zeros((_NOTES * _STEPS, _NOTES))
    matrix[np.arange(_NOTES * _STEPS), nearest.astype(int)] = weight
    return np.asarray(fine @ matrix, np.float64)
