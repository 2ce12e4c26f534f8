"""Loudness and true peak (ITU-R BS.1770-4), and bringing music to a target without clipping."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from musiscene.types import Waveform

_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_STEP_S = 0.1
_STEPS_PER_BLOCK = 4
"""Blocks of 400 ms that overlap by 75 % (BS.1770-4, annex 1)."""
_CHUNK = 1 << 18
_PEAK_TAPS_PER_PHASE = 12

_LOOK_AHEAD_S = 0.005
_CLOSE_ENOUGH_LU = 0.05
_MAX_ROUNDS = 14
_MAX_GAIN_DB = 60.0
_RELEASES_DB_PER_S = (40.0, 200.0, 2000.0)
_LIMITER_MARGIN_DB = 0.05


@dataclass(frozen=True, slots=True)
class Loudness:
    """What BS.1770-4 measures.

    Attributes:
        integrated_lufs: Gated loudness of the whole; -inf for silence.
        true_peak_dbtp: Highest level between the samples, relative to full scale; -inf for silence.
    """

    integrated_lufs: float
    true_peak_dbtp: float


def measure_loudness(waveform: Waveform, sample_rate: int) -> Loudness:
    """Integrated loudness and true peak of `waveform` `(channels, samples)`.

    Sounds shorter than one block of 400 ms are measured as one block without gates.
    Three channels and more are taken as L, R, C, (LFE,) surround in that order: the low-frequency channel does not
    count, surrounds weigh 1.41 (BS.1770-4, table 3).
    """
    waveform = np.atleast_2d(waveform)
    if not waveform.shape[1] or not waveform.any():
        return Loudness(-math.inf, -math.inf)
    return Loudness(_integrated_lufs(waveform, sample_rate), _decibels(true_peak(waveform, sample_rate)))


def normalize_loudness(
    waveform: Waveform, sample_rate: int, *, target_lufs: float = -16.0, max_true_peak_dbtp: float = -1.0
) -> tuple[Waveform, Loudness]:
    """`waveform` at `target_lufs` with no true peak above `max_true_peak_dbtp`, and what was reached.

    The gain alone does it for most music. Where peaks stand in the way a look-ahead limiter takes them down, and gain
    and limiter are repeated until both hold; percussion on near silence gets a faster and faster release. Silence
    stays silence. A sound that cannot reach the target under that peak (a single click) comes as close as it can.

    Args:
        waveform: `(channels, samples)`.
        sample_rate: In Hz.
        target_lufs: Integrated loudness wanted.
        max_true_peak_dbtp: Highest true peak allowed.
    """
    waveform = np.atleast_2d(np.asarray(waveform, np.float32))
    before = measure_loudness(waveform, sample_rate)
    if not math.isfinite(before.integrated_lufs):
        return waveform.copy(), before
    gain_db = min(target_lufs - before.integrated_lufs, _MAX_GAIN_DB)
    if before.true_peak_dbtp + gain_db <= max_true_peak_dbtp:
        louder = waveform * np.float32(10 ** (gain_db / 20))
        return louder, measure_loudness(louder, sample_rate)
    best: tuple[Waveform, Loudness] | None = None
    for release_db_per_s in _RELEASES_DB_PER_S:
        result = _limited_to_target(waveform, sample_rate, gain_db, target_lufs, max_true_peak_dbtp, release_db_per_s)
        if best is None or _distance(result, target_lufs) < _distance(best, target_lufs):
            best = result
        if _distance(best, target_lufs) <= _CLOSE_ENOUGH_LU * 4:
            break
    assert best is not None
    return best


def limit_true_peak(
    waveform: Waveform, sample_rate: int, ceiling_dbtp: float, *, release_db_per_s: float = _RELEASES_DB_PER_S[0]
) -> Waveform:
    """`waveform` with no true peak above `ceiling_dbtp`; untouched where it is quieter.

    The attenuation that every sample needs is held, released at a constant number of decibels a second, widened by
    the look-ahead and smoothed over it, so that it is complete when the peak arrives. All channels share it.
    """
    limited = np.asarray(waveform, np.float32)
    for _ in range(4):  # the gain's own movement may lift a peak by a hair
        over_db = _decibels(true_peak(limited, sample_rate)) - ceiling_dbtp
        if over_db <= 0:
            return limited
        limited = _limited(limited, sample_rate, ceiling_dbtp - _LIMITER_MARGIN_DB, release_db_per_s)
    over_db = max(0.0, _decibels(true_peak(limited, sample_rate)) - ceiling_dbtp)
    return limited * np.float32(10 ** (-over_db / 20)) * (np.float32(1 - 1e-6) if over_db else np.float32(1))


def true_peak(waveform: Waveform, sample_rate: int) -> float:
    """Highest absolute value of `waveform` oversampled to 192 kHz or so (BS.1770-4, annex 2)."""
    return float(max((chunk.max(initial=0.0) for chunk in _peak_chunks(waveform, sample_rate)), default=0.0))


def _distance(result: tuple[Waveform, Loudness], target_lufs: float) -> float:
    return abs(result[1].integrated_lufs - target_lufs)


def _limited_to_target(
    waveform: Waveform,
    sample_rate: int,
    gain_db: float,
    target_lufs: float,
    ceiling_dbtp: float,
    release_db_per_s: float,
) -> tuple[Waveform, Loudness]:
    best: tuple[Waveform, Loudness] | None = None
    for _ in range(_MAX_ROUNDS):
        amplified = waveform * np.float32(10 ** (gain_db / 20))
        limited = limit_true_peak(amplified, sample_rate, ceiling_dbtp, release_db_per_s=release_db_per_s)
        result = limited, measure_loudness(limited, sample_rate)
        if best is None or _distance(result, target_lufs) < _distance(best, target_lufs):
            best = result
        missing_db = target_lufs - result[1].integrated_lufs
        if abs(missing_db) <= _CLOSE_ENOUGH_LU or gain_db + missing_db > _MAX_GAIN_DB:
            break
        # A limiter gives back less than it is given: push a little more than is missing.
        gain_db += missing_db * 1.4
    assert best is not None
    return best


def _limited(waveform: Waveform, sample_rate: int, ceiling_dbtp: float, release_db_per_s: float) -> Waveform:
    ceiling = 10 ** (ceiling_dbtp / 20)
    envelope = np.concatenate(list(_peak_chunks(waveform, sample_rate)))
    needed_db = (20 * np.log10(np.maximum(envelope, ceiling) / ceiling)).astype(np.float64)
    slope_db = release_db_per_s / sample_rate
    ramp = slope_db * np.arange(needed_db.size)
    held_db = np.maximum.accumulate(needed_db + ramp) - ramp
    reach = max(1, round(_LOOK_AHEAD_S * sample_rate))
    widened_db = ndimage.maximum_filter1d(held_db, 2 * reach + 1, mode="nearest")
    window = signal.windows.hann(2 * reach + 3)[1:-1]
    padded = np.pad(widened_db, reach, mode="edge")
    smooth_db = signal.oaconvolve(padded, window / window.sum(), mode="valid")
    return np.asarray(waveform * 10 ** (-np.maximum(smooth_db, 0.0) / 20), np.float32)


def _peak_chunks(waveform: Waveform, sample_rate: int) -> list[NDArray[np.float64]]:
    """For each sample the highest absolute value around it, over all channels, oversampled; in chunks."""
    factor = 4 if sample_rate < 96_000 else 2 if sample_rate < 192_000 else 1
    total = waveform.shape[1]
    if factor == 1:
        return [np.abs(waveform).max(axis=0).astype(np.float64)]
    half = _PEAK_TAPS_PER_PHASE * factor // 2 * 2
    taps = signal.firwin(2 * half + 1, 1.0 / factor, window=("kaiser", 8.0)) * factor
    margin = _PEAK_TAPS_PER_PHASE * 2
    chunks: list[NDArray[np.float64]] = []
    for start in range(0, total, _CHUNK):
        low, high = max(0, start - margin), min(total, start + _CHUNK + margin)
        peaks: NDArray[np.float64] | None = None
        for channel in waveform[:, low:high]:
            fine = np.abs(
                signal.upfirdn(taps, channel.astype(np.float64), up=factor)[half : half + factor * channel.size]
            )
            grid = fine.reshape(-1, factor)
            # The values between sample n and n+1 belong to both: the limiter must act on either side.
            around = np.maximum(grid.max(axis=1), np.abs(channel))
            around[1:] = np.maximum(around[1:], grid[:-1, 1:].max(axis=1))
            peaks = around if peaks is None else np.maximum(peaks, around)
        assert peaks is not None
        chunks.append(peaks[start - low : start - low + min(_CHUNK, total - start)])
    return chunks


def _integrated_lufs(waveform: Waveform, sample_rate: int) -> float:
    weights = _channel_weights(waveform.shape[0])
    edges = np.round(np.arange(0, waveform.shape[1] / sample_rate / _STEP_S + 1e-9) * _STEP_S * sample_rate).astype(int)
    whole_blocks = edges.size - 1 >= _STEPS_PER_BLOCK
    powers: NDArray[np.float64] | float = 0.0
    for channel, weight in zip(waveform, weights, strict=True):
        if not weight:
            continue
        squares = _k_weighted(channel, sample_rate)
        np.square(squares, out=squares)
        if not whole_blocks:
            powers = powers + weight * squares.mean()
            continue
        sums = np.add.reduceat(squares, edges[:-1])
        sums[-1] = squares[edges[-2] : edges[-1]].sum()
        blocks = np.convolve(sums, np.ones(_STEPS_PER_BLOCK), mode="valid")
        lengths = edges[_STEPS_PER_BLOCK:] - edges[:-_STEPS_PER_BLOCK]
        powers = powers + weight * blocks / lengths
    if not whole_blocks:
        return _lufs(float(powers))
    blocks_power = np.asarray(powers)
    gated = blocks_power[blocks_power > _power(_ABSOLUTE_GATE_LUFS)]
    if not gated.size:
        return -math.inf
    gate = gated.mean() * 10 ** (_RELATIVE_GATE_LU / 10)
    return _lufs(float(gated[gated > gate].mean()))


def _channel_weights(channels: int) -> list[float]:
    if channels <= 3:
        return [1.0] * channels
    if channels == 4:
        return [1.0, 1.0, 1.41, 1.41]
    surround = channels - 3
    return [1.0, 1.0, 1.0] + ([1.41] * surround if channels == 5 else [0.0] + [1.41] * (surround - 1))


def _k_weighted(channel: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    sections = k_weighting(sample_rate)
    filtered = np.empty(channel.size)
    state = np.zeros((2, 2))
    for start in range(0, channel.size, _CHUNK):
        part = channel[start : start + _CHUNK].astype(np.float64)
        filtered[start : start + part.size], state = signal.sosfilt(sections, part, zi=state)
    return filtered


def k_weighting(sample_rate: int) -> NDArray[np.float64]:
    """The two K-weighting filters as second-order sections `(2, 6)` for any rate.

    BS.1770-4 (annex 1, tables 1 and 2) gives the coefficients for 48 kHz only; these are the analogue filters that
    the bilinear transform at 48 kHz turns into exactly those.
    """
    shelf_hz, shelf_db, shelf_q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = math.tan(math.pi * min(shelf_hz / sample_rate, 0.499))
    high, band = 10 ** (shelf_db / 20), 10 ** (shelf_db / 20 * 0.4996667741545416)
    a0 = 1 + k / shelf_q + k * k
    shelf = [
        (high + band * k / shelf_q + k * k) / a0,
        2 * (k * k - high) / a0,
        (high - band * k / shelf_q + k * k) / a0,
        1.0,
        2 * (k * k - 1) / a0,
        (1 - k / shelf_q + k * k) / a0,
    ]
    pass_hz, pass_q = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * pass_hz / sample_rate)
    a0 = 1 + k / pass_q + k * k
    high_pass = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / pass_q + k * k) / a0]
    return np.array([shelf, high_pass])


def _lufs(power: float) -> float:
    return -0.691 + 10 * math.log10(power) if power > 0 else -math.inf


def _power(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)


def _decibels(amplitude: float) -> float:
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf
