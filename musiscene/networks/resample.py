"""Resampling by a Hann-windowed sinc, the interpolation that the published music networks were fed with.

The filter has the defaults of `torchaudio.functional.resample` (width 6, roll-off 0.99; J. O. Smith, "Digital Audio
Resampling", 1984): networks trained behind it see the samples they know. Only the taps inside the window are
computed, so any pair of rates costs memory for one table of `new_rate / gcd` phases and no more.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from musiscene.types import Waveform

LOWPASS_WIDTH = 6
"""Half width of the window, in zero crossings of the sinc."""
ROLLOFF = 0.99
"""Cut-off as a share of the lower of the two Nyquist frequencies."""

_BLOCK = 1 << 15
"""Output samples per step: bounds the memory of the gathered taps."""


def resample(waveform: Waveform, sample_rate: int, new_rate: int) -> Waveform:
    """Resample `(channels, samples)` to `ceil(samples * new_rate / sample_rate)` samples per channel.

    Args:
        waveform: `(channels, samples)` float32.
        sample_rate: Its rate, in Hz.
        new_rate: The rate wanted, in Hz.

    Raises:
        ValueError: A rate is not positive.
    """
    if sample_rate <= 0 or new_rate <= 0:
        raise ValueError(f"Sample rates must be positive, got {sample_rate} and {new_rate}.")
    divisor = math.gcd(sample_rate, new_rate)
    old, new = sample_rate // divisor, new_rate // divisor
    if old == new:
        return np.asarray(waveform, dtype=np.float32)

    taps = _taps(old, new)
    reach = (taps.shape[1] - 1) // 2
    length = math.ceil(waveform.shape[-1] * new / old)
    padded = np.pad(np.asarray(waveform, dtype=np.float32), ((0, 0), (reach, reach + 1)))
    neighbours = np.arange(taps.shape[1], dtype=np.int64)

    resampled = np.empty((waveform.shape[0], length), dtype=np.float32)
    for start in range(0, length, _BLOCK):
        # Output n lies at input time n * old / new: a whole number of samples and a phase.
        whole, phase = np.divmod(np.arange(start, min(start + _BLOCK, length), dtype=np.int64) * old, new)
        gathered = padded[:, whole[:, None] + neighbours]
        resampled[:, start : start + len(whole)] = np.einsum("cnk,nk->cn", gathered, taps[phase])
    return resampled


def _taps(old: int, new: int) -> NDArray[np.float32]:
    """The filter for every phase, `(new, taps)`; tap k weighs the sample k - reach after the whole position."""
    cutoff = min(old, new) * ROLLOFF
    reach = math.ceil(LOWPASS_WIDTH * old / cutoff)
    offset = np.arange(new, dtype=np.float64)[:, None] / new - np.arange(-reach, reach + 1, dtype=np.float64)
    crossings = np.clip(offset * cutoff / old, -LOWPASS_WIDTH, LOWPASS_WIDTH)
    window = np.cos(crossings * (np.pi / LOWPASS_WIDTH / 2)) ** 2
    taps: NDArray[np.float32] = (np.sinc(crossings) * window * (cutoff / old)).astype(np.float32)
    return taps
