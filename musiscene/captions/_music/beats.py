"""Single beats along a known pulse: when, how strong, how steady, and how they group into bars."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from musiscene.captions._music.onsets import Onsets
from musiscene.captions._music.signal import FRAME_RATE, Array, Samples
from musiscene.types import Job

_TIGHTNESS = 180.0
"""How much a step that is not one beat long costs (Ellis 2007 uses 100 to 400)."""


@dataclass(frozen=True, slots=True)
class Beats:
    """The beats.

    Attributes:
        times_s: When, in seconds.
        tempo_bpm: Mean rate of the beats.
        strength: 0 to 1: how much the onsets on the beats stand out from those between.
        steadiness: 0 to 1: 1 for a machine, about 0.8 for a band, below 0.5 for free timing.
        meter: 3 or 4 beats in a bar; None where it is not clear.
    """

    times_s: Array
    tempo_bpm: float
    strength: float
    steadiness: float
    meter: int | None


def track_beats(onsets: Onsets, level_db: Samples, tempo_bpm: float, job: Job) -> Beats:
    """Beats by dynamic programming (Ellis 2007, "Beat tracking by dynamic programming")."""
    envelope = ndimage.gaussian_filter1d(onsets.strength, 1.5)
    envelope = envelope / (envelope.std() + 1e-9)
    frames = _best_path(envelope, 60.0 * FRAME_RATE / tempo_bpm, job)
    times = frames / FRAME_RATE
    if times.size < 4:
        return Beats(times, tempo_bpm, 0.0, 0.0, None)
    gaps = np.diff(times)
    middle = float(np.median(gaps))
    # Frames are 12 ms wide, so single gaps are rough; local means over four beats show how the tempo moves.
    local = np.convolve(gaps, np.full(min(4, gaps.size), 1 / min(4, gaps.size)), "valid")
    spread = float(np.mean(np.abs(local / middle - 1.0)) + 0.25 * np.mean(np.abs(gaps / middle - 1.0)))
    steadiness = float(np.clip(1.0 - 8.0 * max(0.0, spread - 0.004), 0.0, 1.0))
    mean_rate = 60.0 * gaps.size / (times[-1] - times[0])
    rate = mean_rate if spread < 0.04 else 60.0 / middle
    return Beats(times, float(rate), _contrast(envelope, frames), steadiness, _meter(onsets, level_db, frames))


def _best_path(envelope: Array, period: float, job: Job) -> Array:
    """Frames of the beats: the chain of strong onsets whose steps stay close to `period` frames."""
    count = envelope.size
    near, far = max(1, round(period / 2)), round(2 * period)
    steps = np.arange(far, near - 1, -1)
    cost = -_TIGHTNESS * np.log(steps / period) ** 2
    total = np.concatenate([np.zeros(far), envelope.copy()])
    link = np.full(count, -1, np.int64)
    for frame in range(count):
        if frame % 4096 == 0:
            job.check()
        reach = total[frame : frame + steps.size] + cost
        best = int(reach.argmax())
        if reach[best] > 0:
            total[far + frame] += reach[best]
            link[frame] = frame - steps[best]
    total = total[far:]
    tail = total[-max(1, round(1.2 * period)) :]
    frame = count - tail.size + int(tail.argmax())
    path = []
    while frame >= 0:
        path.append(frame)
        frame = int(link[frame])
    return np.asarray(path[::-1], np.float64)


def _contrast(envelope: Array, frames: Array) -> float:
    """Mean onset strength on the beats against that of the quiet half of all frames between them."""
    at = frames.astype(int)
    near = ndimage.maximum_filter1d(envelope, 5)
    on = float(near[at].mean())
    between = float(np.percentile(near, 40))
    return float(np.clip((on - between) / (on + between + 0.8), 0.0, 1.0))


def _meter(onsets: Onsets, level_db: Samples, frames: Array) -> int | None:
    """Whether accents recur every three or every four (or two) beats.

    Accent of a beat: its low onset strength and how much the spectrum of the beat differs from that of the one before
    (chords change at bar lines); both autocorrelated over beats.
    """
    at = frames.astype(int)
    if at.size < 13:
        return None
    edges = np.append(at, min(level_db.shape[0], at[-1] + int(np.median(np.diff(at)))))
    spectra = np.stack([level_db[a : max(a + 1, b)].mean(axis=0) for a, b in pairwise(edges)])
    change = np.zeros(at.size)
    change[1:] = np.abs(np.diff(spectra, axis=0)).mean(axis=1)
    low = ndimage.maximum_filter1d(onsets.registers[:2].sum(axis=0), 7)[at]
    high = ndimage.maximum_filter1d(onsets.registers[2:].sum(axis=0), 7)[at]
    triple = quadruple = 0.0
    for accent in (low, high, change):
        deviation = accent - accent.mean()
        energy = float(deviation @ deviation)
        if energy <= 0:
            continue
        correlation = [float(deviation[k:] @ deviation[:-k]) / energy for k in range(1, 13)]
        triple += float(np.mean([correlation[k - 1] for k in (3, 6, 9, 12) if k < at.size - 4]))
        quadruple += float(np.mean([correlation[k - 1] for k in (2, 4, 8) if k < at.size - 4]))
    if abs(triple - quadruple) < 0.25 or max(triple, quadruple) < 0.35:
        return None
    return 3 if triple > quadruple else 4
