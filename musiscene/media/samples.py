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
    return as_float_counted(frame)[0]


def as_float_counted(frame: AudioFrame) -> tuple[Waveform, int]:
    """As `as_float`, with how many samples were not numbers, or infinite."""
    data: Any = frame.to_ndarray()
    if not frame.format.is_planar:
        channels = max(1, data.size // max(1, frame.samples))
        data = data.reshape(-1, channels).T
    if data.dtype == np.uint8:
        return np.asarray((data.astype(np.float32) - 128.0) / 128.0, dtype=np.float32), 0
    if data.dtype.kind == "i":
        return np.asarray(data, dtype=np.float32) / np.float32(2.0 ** (8 * data.dtype.itemsize - 1)), 0
    with np.errstate(over="ignore", invalid="ignore"):
        floats = np.asarray(data, dtype=np.float32)
    strange = int(floats.size - np.count_nonzero(np.isfinite(floats)))
    if strange:
        floats = np.nan_to_num(floats, copy=True, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(floats, -_LOUDEST, _LOUDEST), strange
