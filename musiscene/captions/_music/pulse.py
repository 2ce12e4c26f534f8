"""The pulse: how fast, how clear, and at which metrical level a listener taps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from musiscene.captions._music.onsets import Onsets
from musiscene.captions._music.signal import FRAME_RATE, Array
from musiscene.types import Job

_GRID = 2.0 ** np.arange(np.log2(10.0), np.log2(960.0), 1 / 72)
"""Rates at which periodicity is measured, per minute: 72 an octave, with room for bars and subdivisions."""
_WINDOW_S = 9.0
_STEP_S = 2.25


@dataclass(frozen=True, slots=True)
class Pulse:
    """What was found.

    Attributes:
        tempo_bpm: Rate of the beat.
        confidence: 0 to 1.
        clarity: How periodic the onsets are, 0 to 1; below about 0.1 there is no pulse to speak of.
    """

    tempo_bpm: float
    confidence: float
    clarity: float


_CANDIDATES_BPM = 46.0 * 2.0 ** np.arange(0.0, np.log2(205.0 / 46.0), 1 / 186)
_RATIOS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1, 4 / 3, 3 / 2, 2, 3, 4)
"""Where a candidate's relatives lie: bars and groups below it, subdivisions above."""

_AUTO = (2.618, 1.202, 0.060, 0.677, -0.666, 1.468, 0.223, -0.528, 0.350, -1.260, -2.286)
_SPECTRAL = (-0.528, 0.245, 0.352, 0.127, 0.093, 0.340, 0.040, -0.203, 0.513, 0.200, 0.391)
_SALIENCE = 0.393
_ONSETS_A_BEAT = (0.078, -0.307)
_TEMPO = (-0.208, -0.621)
"""Weights of the evidence for a metrical level: a multinomial logistic model, fitted on rendered music."""

_USUAL_BPM, _USUAL_OCTAVES = 112.0, 0.45
"""People tap near two beats a second (van Noorden & Moelants 1999, "Resonance in the perception of musical pulse")."""


def find_pulse(onsets: Onsets, job: Job) -> Pulse | None:
    """The rate that a listener would tap; None where nothing recurs.

    Peaks of the tempograms are the candidates; which of them is the beat, and not its half or double, follows from
    how strong the levels below and above each one are, from how many onsets fall on one beat, and from what is usual.
    """
    if onsets.strength.size < 2.0 * FRAME_RATE or not onsets.strength.any():
        return None
    _, auto, spectral = periodicity(onsets, job)
    octaves = np.log2(_GRID)

    def at(curve: Array, rate: Array | float) -> Array:
        return np.asarray(np.interp(np.log2(rate), octaves, curve), np.float64)

    bpm = _CANDIDATES_BPM
    comb = (
        np.maximum(at(auto, bpm), 0.01)
        + 0.5 * np.maximum(at(auto, bpm / 2), 0)
        + 0.25 * np.maximum(at(auto, bpm / 4), 0)
    )
    teeth = at(spectral, bpm) + 0.5 * at(spectral, 2 * bpm) + 0.25 * at(spectral, 4 * bpm)
    salience = np.log(comb) + np.log(teeth + 1e-9) - 0.5 * np.log2(bpm / _USUAL_BPM) ** 2
    peaks = [k for k in range(1, bpm.size - 1) if salience[k] >= salience[k - 1] and salience[k] > salience[k + 1]]
    if not peaks:
        return None
    peaks = sorted(peaks, key=lambda k: -salience[k])[:6]
    density = max(0.2, onsets.times_s.size / (onsets.strength.size / FRAME_RATE))
    scores = []
    for k in peaks:
        rate = float(bpm[k])
        away, a_beat = np.log2(rate / 110.0), np.log2(density * 60.0 / rate)
        score = _SALIENCE * salience[k] + _TEMPO[0] * away + _TEMPO[1] * away**2
        score += _ONSETS_A_BEAT[0] * a_beat + _ONSETS_A_BEAT[1] * a_beat**2
        score += sum(w * float(at(auto, rate * ratio)) for w, ratio in zip(_AUTO, _RATIOS, strict=True))
        score += sum(w * float(np.log(at(spectral, rate * r) + 0.05)) for w, r in zip(_SPECTRAL, _RATIOS, strict=True))
        scores.append(score - 0.5 * (np.log2(rate / _USUAL_BPM) / _USUAL_OCTAVES) ** 2)
    best = int(np.argmax(scores))
    probable = np.exp(np.asarray(scores) - scores[best])
    tempo = float(bpm[peaks[best]])
    clarity = float(np.clip(max(float(at(auto, tempo * r)) for r in (0.5, 1, 2)), 0, 1))
    return Pulse(tempo, float(probable[best] / probable.sum()), clarity)


def periodicity(onsets: Onsets, job: Job) -> tuple[Array, Array, Array]:
    """Autocorrelation and Fourier tempograms of the onset strength, averaged over windows, on `_GRID`.

    The autocorrelation shows a rate and its subharmonics, the Fourier transform a rate and its harmonics; what both
    show is the pulse (Peeters 2007, "Template-based estimation of time-varying tempo").
    """
    envelopes = np.vstack([_detrend(onsets.strength), *(_detrend(one) for one in onsets.registers)])
    frames = envelopes.shape[1]
    length = min(frames, int(_WINDOW_S * FRAME_RATE))
    starts = range(0, max(1, frames - length + 1), int(_STEP_S * FRAME_RATE))
    size = fft.next_fast_len(4 * length)
    lags = 60.0 * FRAME_RATE / _GRID
    bins = _GRID / 60.0 * size / FRAME_RATE
    auto, spectral, weight = np.zeros(_GRID.size), np.zeros(_GRID.size), 0.0
    shape = np.hanning(length + 2)[1:-1]
    overlap = np.maximum(length - np.arange(length), 0.15 * length) / length
    for start in starts:
        job.check()
        part = envelopes[:, start : start + length]
        part = part - part.mean(axis=1, keepdims=True)
        spectrum = fft.rfft(part, size, axis=1)
        correlation = fft.irfft(np.abs(spectrum) ** 2, size, axis=1)[:, :length] / overlap
        energy = correlation[:, :1]
        tapered = np.abs(fft.rfft(part * shape, size, axis=1))
        tapered /= np.sqrt(np.mean(tapered**2, axis=1, keepdims=True)) + 1e-12
        normal = correlation / np.maximum(energy, 1e-9)
        # The whole envelope counts as much as the four registers together; silent registers do not count.
        share = energy[:, 0] / max(1e-12, energy[:, 0].max())
        mix = np.array([1.0, *(0.25 * np.minimum(1.0, 4 * share[1:]))])
        mix /= mix.sum()
        loudness = float(energy[0, 0])
        auto += np.sqrt(loudness) * np.interp(lags, np.arange(length), mix @ normal, right=0.0)
        spectral += np.sqrt(loudness) * np.interp(bins, np.arange(tapered.shape[1]), mix @ tapered)
        weight += np.sqrt(loudness)
    if weight <= 0:
        return _GRID, auto, spectral
    return _GRID, auto / weight, spectral / weight


def _detrend(strength: Array) -> Array:
    """Onset strength above its surroundings of one second, roots taken so that one crash does not rule."""
    smooth = ndimage.gaussian_filter1d(strength, 1.0)
    above = np.maximum(smooth - ndimage.uniform_filter1d(smooth, int(FRAME_RATE)), 0.0)
    return np.asarray(np.sqrt(above), np.float64)
