"""The sound as every measure sees it: one channel, one rate, one level; and its spectra, made block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from musiscene.types import Job, Waveform

RATE = 22050
"""Everything is analysed at this rate, in Hz, and below `TOP_HZ`: what survives common encodings."""
TOP_HZ = 8000.0
HOP = 256
"""Samples between two frames of the band spectrogram (11.6 ms)."""
FRAME_RATE = RATE / HOP
_WINDOW = 1024
_BLOCK = 1024
BANDS_AN_OCTAVE = 8
FLOOR_DB = -70.0
"""Band energies this far below the loud parts count as nothing: encoders change what lies lower."""

Samples = NDArray[np.float32]
Array = NDArray[np.float64]


def to_analysis(waveform: Waveform, sample_rate: int) -> Samples:
    """Mix `(channels, samples)` to one channel at `RATE`.

    Channels in opposite phase would cancel in a plain mean, so the louder of sum and difference is taken.
    """
    mono = waveform.mean(axis=0, dtype=np.float32)
    if waveform.shape[0] == 2:
        side = 0.5 * (waveform[0] - waveform[1])
        if float(np.dot(side, side)) > 4.0 * float(np.dot(mono, mono)):
            mono = side
    if sample_rate != RATE and mono.size:
        import soxr

        mono = soxr.resample(mono, sample_rate, RATE).astype(np.float32)
    mono = mono - np.float32(mono.mean() if mono.size else 0.0)
    return np.ascontiguousarray(mono, np.float32)


def frames_of(samples: Samples, window: int, hop: int, job: Job, block: int = _BLOCK) -> Iterator[Samples]:
    """Hann-windowed magnitude spectra, `(frames, bins)` a block; frame k is centred on sample k * hop."""
    padded = np.pad(samples, window // 2)
    count = max(1, 1 + samples.size // hop)
    padded = np.pad(padded, (0, max(0, (count - 1) * hop + window - padded.size)))
    shape = signal.get_window("hann", window).astype(np.float32)
    view = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    for start in range(0, count, block):
        job.check()
        yield np.abs(fft.rfft(view[start : min(start + block, count)] * shape, axis=1)).astype(np.float32)


def band_centres_hz() -> Array:
    """Centre frequencies of the bands, from 60 Hz up to `TOP_HZ`."""
    count = int(np.log2(TOP_HZ / 60.0) * BANDS_AN_OCTAVE)
    return np.asarray(60.0 * 2.0 ** (np.arange(count) / BANDS_AN_OCTAVE), np.float64)


def _filters(bins: int) -> Samples:
    """Triangular filters on a logarithmic frequency axis, each at least two bins wide; `(bins, bands)`."""
    centres = band_centres_hz()
    spacing = RATE / 2 / (bins - 1)
    freq = np.arange(bins) * spacing
    ratio = 2.0 ** (1.0 / BANDS_AN_OCTAVE)
    width = np.maximum(centres * (ratio - 1.0), spacing)
    weights = np.clip(1.0 - np.abs(freq[:, None] - centres[None, :]) / width[None, :], 0.0, None)
    return np.asarray(weights / np.maximum(weights.sum(axis=0), 1e-9), np.float32)


def band_spectrogram(samples: Samples, job: Job) -> Samples:
    """Energy by frame and band, `(frames, bands)`, `FRAME_RATE` frames a second; not normalised."""
    filters = _filters(_WINDOW // 2 + 1)
    scale = np.float32(2.0 / _WINDOW)
    return np.concatenate([(np.square(scale * block)) @ filters for block in frames_of(samples, _WINDOW, HOP, job)])


def decibels_below_loud(energy: Samples) -> Samples:
    """Band energies in dB relative to the loud parts (95th percentile of the frames' strongest bands), floored."""
    loud = float(np.percentile(energy.max(axis=1), 95)) if energy.size else 0.0
    if loud <= 0:
        return np.full_like(energy, FLOOR_DB)
    return np.asarray(np.maximum(10.0 * np.log10(np.maximum(energy / loud, 1e-12)), FLOOR_DB), np.float32)
