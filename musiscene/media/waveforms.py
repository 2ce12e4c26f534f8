"""Sound on its way out: its exact length, its file, its outline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from musiscene.errors import RequestError
from musiscene.media.files import atomic_path
from musiscene.types import Waveform

_DITHER_SEED = 1770
_CHUNK = 1 << 18


def fit_duration(waveform: Waveform, sample_rate: int, duration_s: float, *, fade_out_s: float = 0.05) -> Waveform:
    """`waveform` with exactly `round(duration_s * sample_rate)` samples.

    What is too long is cut and faded out over `fade_out_s`, so that it does not click; what is too short ends in
    silence.

    Raises:
        RequestError: The duration is negative.
    """
    if duration_s < 0:
        raise RequestError(f"A duration cannot be negative, got {duration_s} s.")
    waveform = np.atleast_2d(np.asarray(waveform, np.float32))
    wanted = round(duration_s * sample_rate)
    given = waveform.shape[1]
    if given == wanted:
        return waveform
    if given < wanted:
        return np.pad(waveform, ((0, 0), (0, wanted - given)))
    fitted = waveform[:, :wanted].copy()
    fade = min(wanted, round(fade_out_s * sample_rate))
    if fade:
        # A quarter of a cosine ends at silence and starts without a corner.
        fitted[:, -fade:] *= np.cos(np.linspace(0.0, np.pi / 2, fade, dtype=np.float32)) ** 2
    return fitted


def write_wav(path: Path | str, waveform: Waveform, sample_rate: int) -> None:
    """Write a 16-bit WAV file; it appears under `path` when it is complete.

    Triangular dither of ±1 step keeps fades free of distortion (Lipshitz, Wannamaker and Vanderkooy 1992). Its seed is
    fixed: the same sound gives the same bytes. Digital silence stays digital silence.

    Raises:
        StorageError: The file cannot be written.
    """
    import soundfile

    waveform = np.atleast_2d(np.asarray(waveform, np.float32))
    generator = np.random.default_rng(_DITHER_SEED)
    with (
        atomic_path(path) as temporary,
        soundfile.SoundFile(temporary, "w", sample_rate, waveform.shape[0], "PCM_16", format="WAV") as file,
    ):
        for start in range(0, waveform.shape[1], _CHUNK):
            file.write(_dithered(waveform[:, start : start + _CHUNK], generator))


def _dithered(block: Waveform, generator: np.random.Generator) -> NDArray[np.int16]:
    noise = generator.random(block.shape, np.float32) - generator.random(block.shape, np.float32)
    steps = np.round(block * np.float32(32767.0) + np.where(block == 0.0, np.float32(0.0), noise))
    return np.ascontiguousarray(np.clip(steps, -32768, 32767).T.astype(np.int16))


def waveform_envelope(waveform: Waveform, points: int) -> NDArray[np.float32]:
    """Lowest and highest value of the mono mix in each of `points` equal parts, `(points, 2)`, for drawing."""
    mono = np.atleast_2d(waveform).mean(axis=0)
    if not mono.size or points < 1:
        return np.zeros((max(0, points), 2), np.float32)
    starts = np.minimum(np.arange(points) * mono.size // points, mono.size - 1)
    return np.stack([np.minimum.reduceat(mono, starts), np.maximum.reduceat(mono, starts)], axis=1).astype(np.float32)
