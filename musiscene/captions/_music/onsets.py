"""Where something begins: how much the spectrum rises from frame to frame, in four registers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from musiscene.captions._music.signal import FLOOR_DB, FRAME_RATE, Array, Samples, band_centres_hz

_EDGES_HZ = (160.0, 640.0, 2500.0)
"""Kick and bass | body of melody and chords | presence, snare | hats, air."""
LAG = 2
"""Frames that a rise is measured over (23 ms)."""


@dataclass(frozen=True, slots=True)
class Onsets:
    """Onset strength.

    Attributes:
        strength: `(frames,)` mean rise over all bands, in dB a band.
        registers: `(4, frames)` the same for each register.
        times_s: When single onsets were found, in seconds.
        weights: `(onsets,)` their strength, dB a band.
    """

    strength: Array
    registers: Array
    times_s: Array
    weights: Array


def find_onsets(level_db: Samples) -> Onsets:
    """Onset strength of a band spectrogram in dB, `(frames, bands)`.

    SuperFlux (Böck & Widmer 2013, "Maximum filter vibrato suppression for onset detection"): each band is compared
    with the strongest of itself and its neighbours `LAG` frames earlier, so that a gliding or trembling tone is no
    onset; only rises count.
    """
    loud = level_db - FLOOR_DB
    before = ndimage.maximum_filter1d(loud, 3, axis=1)
    rise = np.zeros_like(loud)
    rise[LAG:] = np.maximum(loud[LAG:] - before[:-LAG], 0.0)
    # What lies 45 dB below the loud parts is decoration; a rise up to there is not heard as an onset.
    audible = np.clip((level_db + 55.0) / 20.0, 0.0, 1.0)
    rise = np.minimum(rise, 30.0) * audible
    register = np.searchsorted(_EDGES_HZ, band_centres_hz())
    registers = np.stack([rise[:, register == k].mean(axis=1) for k in range(4)]).astype(np.float64)
    strength = np.asarray(rise.mean(axis=1), np.float64)
    peaks, weights = _peaks(strength)
    return Onsets(strength, registers, peaks / FRAME_RATE, weights)


def _peaks(strength: Array) -> tuple[Array, Array]:
    """Frames of single onsets: peaks that stand clear of their surroundings and of the track's loud onsets."""
    if strength.size < 8:
        return np.zeros(0), np.zeros(0)
    smooth = ndimage.gaussian_filter1d(strength, 1.0)
    local = ndimage.uniform_filter1d(smooth, int(0.5 * FRAME_RATE))
    strong = float(np.percentile(smooth, 99))
    least = max(0.7, 0.12 * strong)
    found, facts = signal.find_peaks(smooth, height=least, prominence=least, distance=int(0.05 * FRAME_RATE))
    keep = smooth[found] > 1.3 * local[found]
    return np.asarray(found[keep], np.float64), np.asarray(facts["peak_heights"][keep], np.float64)
