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
_MOST_CANDIDATES = 6
_RATIOS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1, 4 / 3, 3 / 2, 2, 3, 4)
"""Where a candidate's relatives lie: bars and groups below it, subdivisions above."""

_AUTO = (2.631, 1.174, 0.124, 0.693, -0.662, 1.397, -0.092, -0.511, 0.392, -1.133, -2.382)
_SPECTRAL = (-0.505, 0.281, 0.314, 0.127, 0.072, 0.285, -0.015, -0.267, 0.497, 0.285, 0.427)
_OTHERS = (0.385, -0.251, -0.589, 0.095, -0.406)
"""Weights of the evidence for a metrical level: a multinomial logistic model, fitted on rendered music
(benchmarks/fit_music_weights.py). The third row: salience, octaves from 110 BPM, their square, onsets a beat in
octaves, their square."""

_USUAL_BPM, _USUAL_OCTAVES = 112.0, 0.45
"""People tap near two beats a second (van Noorden & Moelants 1999, "Resonance in the perception of musical pulse");
rendered music knows nothing of that, so this is added to what was fitted."""


_LOOP_BEATS = (4, 8, 16, 32, 64)
_LONGEST_LOOP_S = 40.0
_NEAR_LOOP, _EXACT_LOOP = 1.2, 1.3
"""Log-odds for a rate at which a short file holds one, two, four … bars: within 4 % of that rate, and exactly."""
_LOOP_PADDING_S = 0.07
"""Encoders may lengthen a file by this much."""


def find_pulse(onsets: Onsets, job: Job, file_s: float | None = None) -> Pulse | None:
    """The rate that a listener would tap; None where nothing recurs.

    Peaks of the tempograms are the candidates; which of them is the beat, and not its half or double, follows from
    how strong the levels below and above each one are, from how many onsets fall on one beat, and from what is usual.
    A short file is often a loop: then a rate that fills it with whole bars is the likelier one (Font & Serra 2016,
    "Tempo estimation for music loops and a simple confidence measure").

    Args:
        onsets: Of the sound.
        job: May stop the work.
        file_s: Length of the whole file in seconds; None when only a part of it is heard.
    """
    if onsets.strength.size < 2.0 * FRAME_RATE or not onsets.strength.any():
        return None
    loops = _loop_rates(file_s)
    tempi, features, clarity = candidates(onsets, job, loops)
    if not tempi.size:
        return None
    scores = features @ np.array([*_AUTO, *_SPECTRAL, *_OTHERS])
    scores -= 0.5 * (np.log2(tempi / _USUAL_BPM) / _USUAL_OCTAVES) ** 2
    # The length of the file helps to choose; how sure the pulse is follows from what is heard alone.
    odds = _loop_odds(tempi, loops, file_s) if file_s is not None and loops.size else np.zeros(tempi.size)
    best = int(np.argmax(scores + odds))
    probable = np.exp(scores - scores.max())
    return Pulse(float(tempi[best]), float(probable[best] / probable.sum()), float(clarity[best]))


def _loop_rates(file_s: float | None) -> Array:
    """Rates at which a file of this length holds a power of two of beats; none for long files."""
    if file_s is None or not 1.0 < file_s < _LONGEST_LOOP_S:
        return np.zeros(0)
    rates = 60.0 * np.array(_LOOP_BEATS) / file_s
    return np.asarray(rates[(rates > _CANDIDATES_BPM[0]) & (rates < _CANDIDATES_BPM[-1])], np.float64)


def _loop_odds(tempi: Array, loops: Array, file_s: float) -> Array:
    """What the length of the file adds to the score of each rate."""
    apart = np.log2(tempi[:, None] / loops[None, :])
    nearest = apart[np.arange(tempi.size), np.abs(apart).argmin(axis=1)]
    near = np.abs(nearest) < np.log2(1.04)
    # A padded file seems too long, so that its rate comes out too slow.
    exact = (nearest > -np.log2(1.004)) & (nearest < np.log2(1.004 + _LOOP_PADDING_S / file_s))
    odds = _NEAR_LOOP * near + _EXACT_LOOP * exact
    # Files of five, ten or thirty seconds are mostly excerpts, whose length tells nothing.
    cut_to_length = abs(file_s / 5.0 - round(file_s / 5.0)) < 0.002
    return np.asarray(odds * (0.3 if cut_to_length else 1.0), np.float64)


def candidates(onsets: Onsets, job: Job, likely: Array | None = None) -> tuple[Array, Array, Array]:
    """Rates that may be the beat, `(candidates,)`, the evidence for each, `(candidates, features)`, and its clarity.

    `likely` holds rates that are weighed as well, although the tempograms have no peak there.
    """
    _, auto, spectral = periodicity(onsets, job)
    octaves = np.log2(_GRID)

    def at(curve: Array, rate: Array) -> Array:
        return np.asarray(np.interp(np.log2(rate), octaves, curve), np.float64)

    bpm = _CANDIDATES_BPM
    comb = np.maximum(at(auto, bpm), 0.01)
    comb += 0.5 * np.maximum(at(auto, bpm / 2), 0) + 0.25 * np.maximum(at(auto, bpm / 4), 0)
    teeth = at(spectral, bpm) + 0.5 * at(spectral, 2 * bpm) + 0.25 * at(spectral, 4 * bpm)
    salience = np.log(comb) + np.log(teeth + 1e-9) - 0.5 * np.log2(bpm / _USUAL_BPM) ** 2
    inner = salience[1:-1]
    peaks = 1 + np.flatnonzero((inner >= salience[:-2]) & (inner > salience[2:]))
    peaks = peaks[np.argsort(-salience[peaks], kind="stable")][:_MOST_CANDIDATES]
    tempi = bpm[peaks]
    if likely is not None:
        new = [rate for rate in likely if not tempi.size or np.abs(np.log2(tempi / rate)).min() > np.log2(1.01)]
        tempi = np.concatenate([tempi, new])
    density = max(0.2, onsets.times_s.size / (onsets.strength.size / FRAME_RATE))
    away, a_beat = np.log2(tempi / 110.0), np.log2(density * 60.0 / tempi)
    columns = [at(auto, tempi * ratio) for ratio in _RATIOS]
    columns += [np.log(at(spectral, tempi * ratio) + 0.05) for ratio in _RATIOS]
    columns += [np.interp(tempi, bpm, salience), away, away**2, a_beat, a_beat**2]
    clarity = np.clip(np.max([at(auto, tempi * ratio) for ratio in (0.5, 1, 2)], axis=0), 0, 1)
    return tempi, np.stack(columns, axis=1), clarity


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
