"""Bringing music to a loudness without clipping: a gain, and a look-ahead limiter where peaks stand in the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from musiscene.media.loudness import (
    Loudness,
    decibels,
    gated_lufs,
    measure_loudness,
    peak_envelope,
    true_peak,
    weighted_power,
)
from musiscene.types import Waveform

_HOP = 16
"""Samples per value of the gain curve: fine enough for peaks, and sixteen times cheaper to search on."""
_CHARACTERS = ((0.005, 40.0), (0.005, 200.0), (0.005, 2000.0), (0.001, 20_000.0))
"""Look-ahead in seconds and release in decibels a second, from one that nobody hears to one that almost clips."""
_MARGIN_DB = 0.1
"""Meters differ by less than this in what they see between samples."""
_CLOSE_ENOUGH_LU = 0.1
_MAX_GAIN_DB = 60.0
_MAX_DRIVE_DB = 48.0
"""How far a limiter may be driven beyond the plain gain; after that there is nothing left to gain."""
_FAINTEST_DBTP = -84.0
"""What peaks below this is the rounding of 16 bits, not music."""
_CORRECTIONS = 3


def normalize_loudness(
    waveform: Waveform, sample_rate: int, *, target_lufs: float = -16.0, max_true_peak_dbtp: float = -1.0
) -> tuple[Waveform, Loudness]:
    """`waveform` at `target_lufs` with no true peak above `max_true_peak_dbtp`, and what was reached.

    The gain alone does it for most music. Where peaks stand in the way a limiter takes them down, and the gain is
    raised until both hold; percussion on near silence gets a faster and faster release. Silence stays silence. A
    sound that cannot reach the target under that peak (a single click) comes as close as it can.

    Args:
        waveform: `(channels, samples)`.
        sample_rate: In Hz.
        target_lufs: Integrated loudness wanted.
        max_true_peak_dbtp: Highest true peak allowed.
    """
    waveform = np.atleast_2d(np.asarray(waveform, np.float32))
    before = measure_loudness(waveform, sample_rate)
    if not math.isfinite(before.integrated_lufs) and before.true_peak_dbtp > _FAINTEST_DBTP:
        # Below the absolute gate, yet a signal: lift it to where it can be measured.
        waveform = waveform * np.float32(10 ** (-before.true_peak_dbtp / 20))
        before = measure_loudness(waveform, sample_rate)
    if not math.isfinite(before.integrated_lufs):
        return waveform.copy(), before
    gain_db = min(target_lufs - before.integrated_lufs, _MAX_GAIN_DB)
    if before.true_peak_dbtp + gain_db <= max_true_peak_dbtp:
        louder = waveform * np.float32(10 ** (gain_db / 20))
        return louder, Loudness(before.integrated_lufs + gain_db, before.true_peak_dbtp + gain_db)
    music = _Analysed.of(waveform, sample_rate)
    best: tuple[Waveform, Loudness] | None = None
    for character in _CHARACTERS:
        result = _driven(music, gain_db, target_lufs, max_true_peak_dbtp, character)
        if best is None or _distance(result, target_lufs) < _distance(best, target_lufs):
            best = result
        if _distance(best, target_lufs) <= _CLOSE_ENOUGH_LU:
            break
    assert best is not None
    return best


def limit_true_peak(waveform: Waveform, sample_rate: int, ceiling_dbtp: float) -> Waveform:
    """`waveform` with no true peak above `ceiling_dbtp`; untouched where it is quieter.

    The attenuation that every sample needs is held, released at a constant number of decibels a second, widened by
    the look-ahead and smoothed over it, so that it is complete when the peak arrives. All channels share it.
    """
    waveform = np.asarray(waveform, np.float32)
    if decibels(true_peak(waveform, sample_rate)) <= ceiling_dbtp:
        return waveform
    return _under_ceiling(_Analysed.of(waveform, sample_rate), 0.0, ceiling_dbtp, _CHARACTERS[0])


@dataclass(frozen=True)
class _Analysed:
    """A sound with its peaks and its K-weighted power on the coarse grid of the gain curve."""

    waveform: Waveform
    sample_rate: int
    peaks_db: NDArray[np.float64]
    power: NDArray[np.float64]

    @classmethod
    def of(cls, waveform: Waveform, sample_rate: int) -> _Analysed:
        starts = np.arange(0, waveform.shape[1], _HOP)
        peaks = np.maximum.reduceat(peak_envelope(waveform, sample_rate), starts)
        power = np.add.reduceat(weighted_power(waveform, sample_rate), starts) / _HOP
        return cls(waveform, sample_rate, 20 * np.log10(np.maximum(peaks, 1e-9).astype(np.float64)), power)

    def attenuation_db(
        self, gain_db: float, ceiling_dbtp: float, character: tuple[float, float]
    ) -> NDArray[np.float64]:
        """What the limiter takes away from the sound after `gain_db`, on the coarse grid."""
        needed_db = np.maximum(self.peaks_db + gain_db - ceiling_dbtp, 0.0)
        look_ahead_s, release_db_per_s = character
        ramp = release_db_per_s * _HOP / self.sample_rate * np.arange(needed_db.size)
        held_db = np.maximum.accumulate(needed_db + ramp) - ramp
        reach = max(1, round(look_ahead_s * self.sample_rate / _HOP))
        # One step wider than the smoothing reaches, because the curve is interpolated between its values.
        widened_db = ndimage.maximum_filter1d(held_db, 2 * reach + 3, mode="nearest")
        window = signal.windows.hann(2 * reach + 3)[1:-1]
        return np.asarray(
            np.maximum(ndimage.convolve1d(widened_db, window / window.sum(), mode="nearest"), 0.0), np.float64
        )

    def loudness_after(self, gain_db: float, attenuation_db: NDArray[np.float64]) -> float:
        """Loudness once both are applied, close enough to search with: the curve is slow beside the sound."""
        return gated_lufs(self.power * 10 ** ((gain_db - attenuation_db) / 10), self.sample_rate / _HOP)

    def applied(self, gain_db: float, attenuation_db: NDArray[np.float64]) -> Waveform:
        """The sound after both."""
        total = self.waveform.shape[1]
        centres = np.arange(attenuation_db.size) * _HOP + (_HOP - 1) / 2
        curve_db = gain_db - np.interp(np.arange(total), centres, attenuation_db)
        return self.waveform * (10 ** (curve_db / 20)).astype(np.float32)


def _distance(result: tuple[Waveform, Loudness], target_lufs: float) -> float:
    return abs(result[1].integrated_lufs - target_lufs)


def _driven(
    music: _Analysed, gain_db: float, target_lufs: float, ceiling_dbtp: float, character: tuple[float, float]
) -> tuple[Waveform, Loudness]:
    """Raise the gain into the limiter until the loudness is there; the forecast is corrected by measuring."""
    aim_lufs = target_lufs
    best: tuple[Waveform, Loudness] | None = None
    for _ in range(_CORRECTIONS):
        drive_db = _drive_db(music, gain_db, aim_lufs, ceiling_dbtp, character)
        limited = _under_ceiling(music, drive_db, ceiling_dbtp, character)
        result = limited, measure_loudness(limited, music.sample_rate)
        if best is None or _distance(result, target_lufs) < _distance(best, target_lufs):
            best = result
        if _distance(result, target_lufs) <= _CLOSE_ENOUGH_LU or drive_db >= gain_db + _MAX_DRIVE_DB - 0.1:
            break
        aim_lufs += target_lufs - result[1].integrated_lufs
    assert best is not None
    return best


def _drive_db(
    music: _Analysed, gain_db: float, aim_lufs: float, ceiling_dbtp: float, character: tuple[float, float]
) -> float:
    """The gain in front of the limiter that gives `aim_lufs` behind it, by bisection."""

    def reached(drive_db: float) -> bool:
        curve_db = music.attenuation_db(drive_db, ceiling_dbtp - _MARGIN_DB, character)
        return music.loudness_after(drive_db, curve_db) >= aim_lufs

    low_db, step_db = gain_db - 1.0, 2.0
    high_db = gain_db
    while not reached(high_db):
        if high_db >= gain_db + _MAX_DRIVE_DB:
            return high_db
        low_db, high_db = high_db, min(high_db + step_db, gain_db + _MAX_DRIVE_DB)
        step_db *= 2
    while high_db - low_db > 0.03:
        middle_db = (low_db + high_db) / 2
        low_db, high_db = (low_db, middle_db) if reached(middle_db) else (middle_db, high_db)
    return high_db


def _under_ceiling(music: _Analysed, gain_db: float, ceiling_dbtp: float, character: tuple[float, float]) -> Waveform:
    aim_dbtp = ceiling_dbtp - _MARGIN_DB
    for _ in range(_CORRECTIONS):
        limited = music.applied(gain_db, music.attenuation_db(gain_db, aim_dbtp, character))
        over_db = decibels(true_peak(limited, music.sample_rate)) - ceiling_dbtp
        if over_db <= 0:
            return limited
        aim_dbtp -= over_db + 0.02  # the curve's own movement lifted a peak by a hair
    return limited * np.float32(10 ** (-(over_db + 0.01) / 20))
