"""What the music is like apart from its notes: level, density, brightness, percussion, register, texture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from musiscene.captions._music.onsets import Onsets
from musiscene.captions._music.pitch import Pitches
from musiscene.captions._music.signal import BANDS_AN_OCTAVE, FRAME_RATE, RATE, Array, Samples, band_centres_hz

STEP_S = 0.1
_MARGIN = 2.0
"""What is wide and short counts as struck only where it exceeds what is held; steady noise is neither."""


@dataclass(frozen=True, slots=True)
class Character:
    """Measured properties.

    Attributes:
        loudness_range_lu: Spread of the short-term loudness.
        onsets: How many single onsets were found.
        onset_density_hz: Onsets a second while something sounds.
        brightness_hz: Spectral centroid below 8 kHz.
        percussive_share: Share of the energy that is struck rather than held, 0 to 1.
        flatness: How noise-like the spectrum is, 0 (tones) to 1 (white noise).
        pitch_centre: Mean pitch of the tonal peaks as a MIDI note number; NaN where nothing is tonal.
        register: "low", "middle" or "high".
        voices: A rough count of the notes that sound together.
        fullness: 0 (one thin voice) to 1 (many voices over the whole range).
        texture: "solo", "sparse" or "full": `fullness` in words.
        tonality: Share of the energy that lies in spectral peaks, 0 to 1.
        energy: `(points,)` level over time, 0 to 1.
        sounding_share: Share of the time in which something sounds.
    """

    loudness_range_lu: float
    onsets: int
    onset_density_hz: float
    brightness_hz: float
    percussive_share: float
    flatness: float
    pitch_centre: float
    register: str
    voices: float
    fullness: float
    texture: str
    tonality: float
    energy: Array
    sounding_share: float


def describe_character(
    samples: Samples, energy: Samples, level_db: Samples, onsets: Onsets, pitches: Pitches
) -> Character:
    """All properties of a sound at `RATE` from its band energies, its onsets and its pitches."""
    loud = energy.sum(axis=1)
    sounding = loud > 1e-5 * max(1e-20, float(np.percentile(loud, 95)))
    share = float(sounding.mean()) if sounding.size else 0.0
    seconds = max(0.5, share * loud.size / FRAME_RATE)
    percussive = percussive_share(energy)
    voices = float(np.average(pitches.voices, weights=pitches.chroma.sum(axis=1) + 1e-9))
    density = onsets.times_s.size / seconds
    fullness = _fullness(energy, pitches, voices, percussive)
    weight = pitches.chroma.sum(axis=1)
    valid = np.isfinite(pitches.centre) & (weight > 0)
    centre = float(np.average(pitches.centre[valid], weights=weight[valid])) if valid.any() else float("nan")
    return Character(
        loudness_range_lu=loudness_range(samples),
        onsets=onsets.times_s.size,
        onset_density_hz=density,
        brightness_hz=_centroid(energy),
        percussive_share=percussive,
        flatness=_flatness(energy, sounding),
        pitch_centre=centre,
        register="low" if centre < 52 else "high" if centre > 70 else "middle",
        voices=voices,
        fullness=fullness,
        texture="solo" if fullness < 0.2 else "sparse" if fullness < 0.55 else "full",
        tonality=float(np.average(pitches.tonality, weights=weight + 1e-9)),
        energy=energy_curve(samples),
        sounding_share=share,
    )


def percussive_share(energy: Samples) -> float:
    """Share of the energy in what is short in time and wide in frequency.

    Median filters along time and along frequency with soft masks (Fitzgerald 2010, "Harmonic/percussive separation
    using median filtering"), here on band energies instead of single bins.
    """
    energy = energy[::2]  # the filters are slow, and every second frame tells as much
    root = np.sqrt(energy)
    held = ndimage.median_filter(root, size=(13, 1))
    struck = ndimage.median_filter(root, size=(1, 11))
    mask = struck**2 / (struck**2 + (_MARGIN * held) ** 2 + 1e-20)
    return float((mask * energy).sum() / max(1e-20, float(energy.sum())))


def loudness_range(samples: Samples) -> float:
    """Spread of the short-term loudness in LU: 95th minus 10th percentile of 3 s windows (EBU Tech 3342).

    Of sounds shorter than 12 s the windows are a quarter of the length, at least 0.4 s.
    """
    step = int(STEP_S * RATE)
    count = samples.size // step
    if count < 8:
        return 0.0
    power = np.square(_k_weighted(samples)[: count * step], dtype=np.float64).reshape(count, step).mean(axis=1)
    window = int(np.clip(count // 4, 4, 30))
    short = np.convolve(power, np.full(window, 1 / window), "valid")
    short = short[short > 1e-7]
    if short.size < 2:
        return 0.0
    short = short[short > 0.01 * short.mean()]  # the relative gate of 20 LU
    low, high = np.percentile(10 * np.log10(short), [10, 95])
    return float(high - low)


def energy_curve(samples: Samples, points: int = 120) -> Array:
    """Level over time in at most `points` steps: 0 at 40 dB below the loudest step, 1 at the loudest."""
    step = int(STEP_S * RATE)
    count = min(points, samples.size // step)
    if count < 1:
        return np.zeros(0)
    level = np.array([float(np.mean(np.square(part, dtype=np.float64))) for part in np.array_split(samples, count)])
    if level.max() <= 0:
        return np.zeros(count)
    return np.asarray(np.clip(1.0 + 10 * np.log10(level / level.max() + 1e-12) / 40.0, 0.0, 1.0), np.float64)


def peaks_over_time(samples: Samples, points: int = 400) -> Array:
    """Highest absolute sample in each of at most `points` equal parts, for drawing the waveform."""
    if samples.size == 0:
        return np.zeros(0)
    return np.array([float(np.abs(part).max()) for part in np.array_split(samples, min(points, samples.size))])


def _k_weighted(samples: Samples) -> Array:
    """BS.1770's weighting at `RATE`: its analogue prototypes through the bilinear transform."""

    def section(kind: str, frequency: float, quality: float, gain_db: float = 0.0) -> list[float]:
        k = np.tan(np.pi * frequency / RATE)
        scale = 1 + k / quality + k * k
        low = [2 * (k * k - 1) / scale, (1 - k / quality + k * k) / scale]
        if kind == "high-pass":
            return [1.0, -2.0, 1.0, 1.0, *low]
        high, band = 10 ** (gain_db / 20), 10 ** (gain_db / 20 * 0.4996667741545416)
        ahead = [high + band * k / quality + k * k, 2 * (k * k - high), high - band * k / quality + k * k]
        return [*(value / scale for value in ahead), 1.0, *low]

    sections = [
        section("shelf", 1681.974450955533, 0.7071752369554196, 3.999843853973347),
        section("high-pass", 38.13547087602444, 0.5003270373238773),
    ]
    return np.asarray(signal.sosfilt(np.asarray(sections), samples), np.float64)


def _centroid(energy: Samples) -> float:
    """Spectral centroid in Hz, each frame by its level: mean frequency weighted by amplitude."""
    centres = band_centres_hz()
    amplitude = np.sqrt(energy.mean(axis=0)) * centres  # a band's width grows with its frequency
    return float((amplitude * centres).sum() / max(1e-12, float(amplitude.sum())))


def _flatness(energy: Samples, sounding: Array) -> float:
    """Geometric over arithmetic mean of the band densities from 120 Hz to 4 kHz, mean over the sounding frames."""
    centres = band_centres_hz()
    density = energy[sounding][:, (centres > 120) & (centres < 4000)].astype(np.float64) + 1e-14
    if density.size == 0:
        return 0.0
    return float(np.mean(np.exp(np.log(density).mean(axis=1)) / density.mean(axis=1)))


def _fullness(energy: Samples, pitches: Pitches, voices: float, percussive: float) -> float:
    """How much sounds at once, 0 for a single line to about 1 for a band or an orchestra.

    From the width of the spectrum (octaves within 35 dB of the strongest band), how far apart the notes lie, how many
    sound together, and percussion. The weights are ours, set on rendered pieces of known scoring.
    """
    level = 10 * np.log10(energy.mean(axis=0) + 1e-14)
    octaves = float((1 / (1 + np.exp(-(level - level.max() + 35) / 2.0))).sum()) / BANDS_AN_OCTAVE
    notes = pitches.notes.sum(axis=0)
    place = np.arange(notes.size)
    share = notes / max(1e-9, float(notes.sum()))
    spread = float(np.sqrt(max(0.0, share @ place**2 - (share @ place) ** 2)))
    full = 0.5 + 0.17 * (octaves - 5.4) + 0.03 * (spread - 13.5) + 0.05 * (voices - 4.3) + 0.2 * (percussive - 0.25)
    return float(np.clip(full, 0.0, 1.0))
