"""How generated sound ends: at its exact length, and not in the middle of a note."""

from __future__ import annotations

import numpy as np

from musiscene.media import fit_duration
from musiscene.types import Waveform

_FADE_SHARE = 0.12
_FADE_MAX_S = 4.0
_TAIL_S = 0.03


def finished(waveform: Waveform, sample_rate: int, duration_s: float) -> Waveform:
    """`waveform` at exactly `duration_s`, with a fade as a mixing desk makes one.

    The model writes until it is stopped, so the music would break off. The fade takes an eighth of the piece, up to
    four seconds, and falls evenly in decibels (to -36), as the ear follows loudness; the last hundredths go to silence.
    """
    fitted = fit_duration(waveform, sample_rate, duration_s, fade_out_s=0.0).copy()
    samples = fitted.shape[-1]
    fade = min(samples, round(min(_FADE_MAX_S, _FADE_SHARE * duration_s) * sample_rate))
    if fade:
        along = np.linspace(0.0, 1.0, fade, dtype=np.float32)
        smooth = along * along * (3 - 2 * along)  # no corner where it begins
        fitted[:, -fade:] *= np.float32(10.0) ** (-36.0 / 20.0 * smooth)
    tail = min(samples, max(1, round(_TAIL_S * sample_rate)))
    fitted[:, -tail:] *= np.linspace(1.0, 0.0, tail, dtype=np.float32)
    return fitted
