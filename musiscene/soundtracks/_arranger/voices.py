"""What one key of a SoundFont sounds like: the tones of its zones, shaped by their volume envelopes and placed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from musiscene.soundtracks._arranger.filters import Mono
from musiscene.soundtracks._arranger.soundfont import Zone
from musiscene.soundtracks._arranger.tones import LONGEST_S, Tone

_FLOAT = np.float32
_LN10 = 2.302585
_COLUMNS = 512


@dataclass(frozen=True, slots=True)
class Voice:
    """What one key sounds like: shape (1 or 2, samples), envelope applied up to the release, and the release."""

    wave: Mono
    release: Mono


def make_voice(zones: list[Zone], held: int, rate: int, tone: Callable[[Zone, int], Tone]) -> Voice:
    """What a key sounds like that is held for `held` samples, and its release; the longest one is every zone's.

    Args:
        zones: What sounds.
        held: In samples.
        rate: Samples a second.
        tone: The sound of a zone, so many samples of it.
    """
    release_s = min(max([0.03, *(zone.release_s for zone in zones)]), 4.0)
    tail = round(min(0.55 * release_s + 0.02, 1.0) * rate)  # 55 dB down is gone
    return Voice(together(zones, held + tail, rate, tone), _exponential(tail, release_s * rate))


def together(zones: list[Zone], samples: int, rate: int, tone: Callable[[Zone, int], Tone]) -> Mono:
    """The sum of the zones while the key is held, shape (1 or 2, samples): one where both sides are the same."""
    centred = all(abs(zone.pan) < 0.02 for zone in zones)
    sides = [(1.0, 1.0) if centred else _sides(zone.pan) for zone in zones]
    waves = [
        _zone_wave(zone, tone(zone, samples), samples, rate, max(left, right))
        for zone, (left, right) in zip(zones, sides, strict=True)
    ]
    if centred and len(waves) == 1:
        return waves[0][None]
    out = np.zeros((1 if centred else 2, max(len(wave) for wave in waves)), dtype=_FLOAT)
    for wave, (left, right) in zip(waves, sides, strict=True):
        out[0 if left >= right else 1, : len(wave)] += wave
        less = min(left, right) / max(left, right)
        if not centred and less > 1e-6:
            wave *= _FLOAT(less)
            out[1 if left >= right else 0, : len(wave)] += wave
    return out


def _sides(pan: float) -> tuple[float, float]:
    """Gains left and right, of equal power for every `pan`."""
    angle = (pan + 1.0) * np.pi / 4.0
    return float(np.cos(angle) * 2**0.5), float(np.sin(angle) * 2**0.5)


def _zone_wave(zone: Zone, tone: Tone, samples: int, rate: int, gain: float) -> Mono:
    """One zone with its volume envelope, scaled by `gain`, shape (samples,) or shorter when the sample ends before."""
    wave = tone.first(samples)
    _shape(wave, zone, rate, zone.gain * gain)
    if samples >= LONGEST_S * rate:
        fade = min(200, len(wave))
        wave[len(wave) - fade :] *= _ramp(fade)[::-1]
    return wave


@lru_cache(maxsize=512)
def _ramp(samples: int) -> Mono:
    """From 0 to 1; shared, so not to be changed."""
    return np.linspace(0.0, 1.0, samples, dtype=_FLOAT)


@lru_cache(maxsize=128)
def _exponential(samples: int, samples_for_100_db: float) -> Mono:
    """A decay that is linear in decibels and ends at exactly zero; shared, so not to be changed."""
    curve = np.ones(samples, dtype=_FLOAT)
    _decay(curve, samples_for_100_db)
    fade = min(samples, 600)
    curve[samples - fade :] *= _ramp(fade)[::-1]
    return curve


def _decay(wave: Mono, samples_for_100_db: float) -> None:
    """Let `wave` decay in place, linear in decibels. Powers of a power are products: few exponentials are computed."""
    rate = -5.0 * _LN10 / max(1.0, samples_for_100_db)
    inside = np.exp(rate * np.arange(_COLUMNS)).astype(_FLOAT)
    rows = len(wave) // _COLUMNS
    each = np.exp(rate * _COLUMNS * np.arange(rows + 1)).astype(_FLOAT)
    block = wave[: rows * _COLUMNS].reshape(rows, _COLUMNS)
    block *= each[:rows, None]
    block *= inside
    rest = wave[rows * _COLUMNS :]
    rest *= inside[: len(rest)] * each[rows]


def _shape(wave: Mono, zone: Zone, rate: int, gain: float) -> None:
    """Apply `gain`, then delay, attack, hold and decay to the sustain level, in place (section 8.1.2, generators 33 to
    37).
    """
    samples = len(wave)
    wave *= _FLOAT(gain)
    at = min(samples, round(zone.delay_s * rate))
    wave[:at] = 0.0
    attack = max(round(zone.attack_s * rate), 24)  # under a millisecond at least: no click
    part = wave[at : at + attack]
    part *= _ramp(attack)[: len(part)]
    at = min(samples, at + attack + round(zone.hold_s * rate))
    if zone.sustain_db > 0.0 and at < samples:
        deepest_db = min(zone.sustain_db, 100.0)
        falling = min(samples - at, round(deepest_db / 100.0 * zone.decay_s * rate) + 1)
        _decay(wave[at : at + falling], zone.decay_s * rate)
        wave[at + falling :] *= _FLOAT(10.0 ** (-deepest_db / 20.0))
