"""A headphone check that loudspeakers fail: Huggins pitch, made here.

The same white noise goes to both ears, but in a narrow band around 600 Hz its phase runs through a full turn in one
ear. Over headphones a faint tone is heard in the noise; loudspeakers mix the ears in the air, and the tone is gone
(Cramer and Huggins, Journal of the Acoustical Society of America 30, 1958). Three intervals, one with the tone, six
trials, all six right to pass: Milne et al., "An online headphone screening test based on dichotic pitch", Behavior
Research Methods 53 (2021), 1551-1562.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 44_100
CENTRE_HZ = 600.0
REACH = 0.06
"""The band is the centre ± this share of it, as in Milne et al."""
INTERVAL_S = 1.0
GAP_S = 0.5
INTERVALS = 3
_FADE_S = 0.03
_LEVEL = 0.08
"""Root mean square of the noise: about as loud as music at -18 LUFS."""


def huggins_trial(right: int, seed: int) -> NDArray[np.float32]:
    """Three intervals of noise `(2, samples)` at 44.1 kHz, the one numbered `right` (from 1) with the pitch.

    The noise of every interval is drawn anew, so that nothing but the phase tells them apart.
    """
    generator = np.random.default_rng(seed)
    gap = np.zeros((2, round(GAP_S * SAMPLE_RATE)))
    parts: list[NDArray[np.float64]] = []
    for number in range(1, INTERVALS + 1):
        if parts:
            parts.append(gap)
        parts.append(_interval(generator, pitch=number == right))
    return np.concatenate(parts, axis=1).astype(np.float32)


def wav_bytes(waveform: NDArray[np.float32]) -> bytes:
    """`waveform` as a 16-bit WAV file without any tags."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, waveform.T, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return out.getvalue()


def _interval(generator: np.random.Generator, *, pitch: bool) -> NDArray[np.float64]:
    count = round(INTERVAL_S * SAMPLE_RATE)
    left = generator.standard_normal(count)
    spectrum = np.fft.rfft(left)
    if pitch:
        frequency_hz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
        low, high = CENTRE_HZ * (1 - REACH), CENTRE_HZ * (1 + REACH)
        turn = np.clip((frequency_hz - low) / (high - low), 0.0, 1.0)  # no turn below the band, a full one above
        spectrum = spectrum * np.exp(2j * np.pi * turn)
    ears = np.stack([left, np.fft.irfft(spectrum, count)]) * _LEVEL
    fade = round(_FADE_S * SAMPLE_RATE)
    ramp = np.sin(np.linspace(0, np.pi / 2, fade)) ** 2
    ears[:, :fade] *= ramp
    ears[:, -fade:] *= ramp[::-1]
    return np.asarray(ears)
