"""Loudness and true peak of a sound (ITU-R BS.1770-4)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from musiscene.types import Waveform

_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_STEP_S = 0.1
_STEPS_PER_BLOCK = 4
"""Blocks of 400 ms that overlap by 75 % (BS.1770-4, annex 1)."""
_CHUNK = 1 << 18
_PEAK_MARGIN = 256
"""Samples of run-up at each end of a chunk: longer than the oversampling filter."""


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
    return Loudness(_integrated_lufs(waveform, sample_rate), decibels(true_peak(waveform, sample_rate)))


def true_peak(waveform: Waveform, sample_rate: int) -> float:
    """Highest absolute value of `waveform` oversampled to 192 kHz or so (BS.1770-4, annex 2)."""
    return float(max((chunk.max(initial=0.0) for chunk in _peak_chunks(waveform, sample_rate)), default=0.0))


def peak_envelope(waveform: Waveform, sample_rate: int) -> NDArray[np.float32]:
    """For each sample the highest absolute value at it and up to the next one, over all channels, `(samples,)`."""
    return np.concatenate([*_peak_chunks(waveform, sample_rate), np.zeros(0, np.float32)])


def _peak_chunks(waveform: Waveform, sample_rate: int) -> Iterator[NDArray[np.float32]]:
    import soxr

    factor = 4 if sample_rate < 96_000 else 2 if sample_rate < 192_000 else 1
    total = waveform.shape[1]
    for start in range(0, total, _CHUNK):
        end = min(total, start + _CHUNK)
        low, high = max(0, start - _PEAK_MARGIN), min(total, end + _PEAK_MARGIN)
        peaks = np.abs(waveform[:, start:end]).max(axis=0)
        if factor > 1:
            for channel in waveform[:, low:high]:
                fine = np.abs(soxr.resample(channel, sample_rate, factor * sample_rate, quality="HQ"))
                fine = np.resize(fine, factor * channel.size).reshape(-1, factor)[start - low : end - low]
                for phase in range(factor):  # a reduction over so short an axis is ten times slower
                    np.maximum(peaks, fine[:, phase], out=peaks)
        yield peaks


def _integrated_lufs(waveform: Waveform, sample_rate: int) -> float:
    return gated_lufs(weighted_power(waveform, sample_rate), sample_rate)


def weighted_power(waveform: Waveform, sample_rate: int) -> NDArray[np.float64]:
    """Square of the K-weighted channels, summed with their weights, `(samples,)`."""
    power = np.zeros(waveform.shape[1])
    for channel, weight in zip(waveform, _channel_weights(waveform.shape[0]), strict=True):
        if weight:
            power += weight * np.square(_k_weighted(channel, sample_rate))
    return power


def gated_lufs(power: NDArray[np.float64], power_rate: float) -> float:
    """Integrated loudness of a K-weighted power with `power_rate` values a second (BS.1770-4, annex 1)."""
    steps = int(power.size / power_rate / _STEP_S + 1e-6)
    if steps < _STEPS_PER_BLOCK:
        return _lufs(float(power.mean())) if power.size else -math.inf
    edges = np.round(np.arange(steps + 1) * _STEP_S * power_rate).astype(np.int64)
    sums = np.add.reduceat(power[: edges[-1]], edges[:-1])
    blocks = np.convolve(sums, np.ones(_STEPS_PER_BLOCK), mode="valid")
    blocks /= edges[_STEPS_PER_BLOCK:] - edges[:-_STEPS_PER_BLOCK]
    gated = blocks[blocks > _power(_ABSOLUTE_GATE_LUFS)]
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


def decibels(amplitude: float) -> float:
    """`amplitude` relative to full scale; -inf for nothing."""
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf
