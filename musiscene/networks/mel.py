"""Mel triangles as Kaldi and the AudioSet networks draw them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mel_triangles(bands: int, fft_size: int, sample_rate: int, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Weights `(fft_size // 2 + 1, bands)`: triangles whose slopes are straight on the mel axis, peak 1.

    mel(f) = 1127 ln(1 + f / 700) (O'Shaughnessy 1987; HTK's constants). The edges are equally spaced in mel, each
    triangle reaches from the peak of the one below to that of the one above, and areas are not evened out. The first
    bin (0 Hz) weighs nothing.
    """
    frequencies = np.arange(fft_size // 2 + 1) * (sample_rate / fft_size)
    mels = 1127.0 * np.log1p(frequencies / 700.0)
    edges = np.linspace(1127.0 * np.log1p(low_hz / 700.0), 1127.0 * np.log1p(high_hz / 700.0), bands + 2)
    rising = (mels[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - mels[:, None]) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0
    return np.asarray(weights, np.float64)
