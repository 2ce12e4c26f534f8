"""One decoded audio frame as float32 `(channels, samples)`."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.audio.frame import AudioFrame

from musiscene.types import Waveform

_LOUDEST = 8.0
"""Float files may exceed full scale; beyond +18 dB it is damage."""


def as_float(frame: AudioFrame) -> Waveform:
    """The frame's samples at full scale ±1; what is not a number, or infinite, becomes 0."""
    data: Any = frame.to_ndarray()
    if not frame.format.is_planar:
        channels = max(1, data.size // max(1, frame.samples))
        data = data.reshape(-1, channels).T
    if data.dtype == np.uint8:
        return np.asarray((data.astype(np.float32) - 128.0) / 128.0, dtype=np.float32)
    if data.dtype.kind == "i":
        return np.asarray(data, dtype=np.float32) / np.float32(2.0 ** (8 * data.dtype.itemsize - 1))
    with np.errstate(over="ignore", invalid="ignore"):
        floats = np.asarray(data, dtype=np.float32)
    return np.clip(np.nan_to_num(floats, copy=True, nan=0.0, posinf=0.0, neginf=0.0), -_LOUDEST, _LOUDEST)
