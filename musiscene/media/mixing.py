"""Music together with the clip's own sound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from musiscene.media.levelling import limit_true_peak, normalize_loudness
from musiscene.types import Waveform

_TARGET_LUFS = -16.0
MAX_TRUE_PEAK_DBTP = -1.0
_OWN_LUFS = -18.0
_STEP_S = 0.01
_DUCK_DB = 12.0
"""How far the music steps back: speech stays clear over music about 12 dB below it (EBU R 128 s1 practice)."""
_DUCK_FROM_DBFS, _DUCK_FULL_DBFS = -45.0, -30.0
_ATTACK_S, _RELEASE_S = 0.08, 0.6


def blend(music: Waveform, own: Waveform, sample_rate: int, gain_db: float = 0.0) -> Waveform:
    """Both at the same loudness, the music changed by `gain_db`; the sum at -16 LUFS, true peak at most -1 dBTP.

    Args:
        music: `(channels, samples)`.
        own: The clip's own sound, same shape.
        sample_rate: In Hz.
        gain_db: How much louder the music is than it would be.
    """
    levelled, _ = normalize_loudness(own, sample_rate, target_lufs=_OWN_LUFS)
    under, _ = normalize_loudness(music, sample_rate, target_lufs=_OWN_LUFS)
    return _summed(levelled, under * _factor(gain_db), sample_rate)


def duck(music: Waveform, own: Waveform, sample_rate: int, gain_db: float = 0.0) -> Waveform:
    """As `blend`, but the music steps back by up to 12 dB while the clip's own sound is heard."""
    levelled, _ = normalize_loudness(own, sample_rate, target_lufs=_OWN_LUFS)
    under, _ = normalize_loudness(music, sample_rate, target_lufs=_OWN_LUFS)
    return _summed(levelled, under * _ducking(levelled, sample_rate) * _factor(gain_db), sample_rate)


def limited(music: Waveform, sample_rate: int, gain_db: float = 0.0) -> Waveform:
    """The music alone, changed by `gain_db`, true peak at most -1 dBTP."""
    return limit_true_peak(music * _factor(gain_db), sample_rate, MAX_TRUE_PEAK_DBTP)


def _summed(own: Waveform, music: Waveform, sample_rate: int) -> Waveform:
    mixed, _ = normalize_loudness(own + music, sample_rate, target_lufs=_TARGET_LUFS)
    return mixed


def _factor(gain_db: float) -> np.float32:
    return np.float32(10 ** (gain_db / 20))


def _ducking(own: Waveform, sample_rate: int) -> NDArray[np.float32]:
    """Gain for the music at every sample, from the level of `own` (a side-chain compressor)."""
    step = max(1, round(_STEP_S * sample_rate))
    total = own.shape[1]
    starts = np.arange(0, total, step)
    power = np.add.reduceat(np.square(own).mean(axis=0, dtype=np.float64), starts) / step
    level_db = 10 * np.log10(power + 1e-10)
    amount = np.clip((level_db - _DUCK_FROM_DBFS) / (_DUCK_FULL_DBFS - _DUCK_FROM_DBFS), 0.0, 1.0)
    # Hold across the gaps between words, begin a little early, then glide.
    amount = ndimage.maximum_filter1d(amount, 1 + 2 * round(_RELEASE_S / 2 / _STEP_S))
    window = signal.windows.hann(3 + 2 * round(_ATTACK_S * 2 / _STEP_S))
    amount = ndimage.convolve1d(amount, window / window.sum(), mode="nearest")
    gain_db = -_DUCK_DB * np.interp(np.arange(total), starts + step / 2, amount)
    return np.asarray(10 ** (gain_db / 20), np.float32)
