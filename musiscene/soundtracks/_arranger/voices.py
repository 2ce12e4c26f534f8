"""What one key of a SoundFont sounds like: its samples looped, filtered, resampled and shaped, ready to be added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from musiscene.soundtracks._arranger.soundfont import Zone

SAMPLE_RATE = 44100
LONGEST_S = 16.0
"""No key is held longer."""

_FLOAT = np.float32
_LN10 = 2.302585
_CENTS_A_STEP = 150.0
"""The filter's cutoff moves in steps of this size, an eighth of an octave."""
_VELOCITY_CENTS = 1000.0
"""How much darker the softest stroke is: less than half of section 8.4.2 allows, with all of it soft music is dull."""

Mono = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Voice:
    """What one key sounds like: shape (1 or 2, samples), envelope applied up to the release, and the release."""

    wave: Mono
    release: Mono


def make_voice(zones: list[Zone], pitch: int, velocity: int, held: int) -> Voice:
    """Add up the zones that sound together, for a key held for `held` samples; the longest release is everyone's."""
    release_s = min(max([0.03, *(zone.release_s for zone in zones)]), 4.0)
    tail = round(min(0.55 * release_s + 0.02, 1.0) * SAMPLE_RATE)  # 55 dB down is gone
    centred = all(abs(zone.pan) < 0.02 for zone in zones)
    sides = [(1.0, 1.0) if centred else _sides(zone.pan) for zone in zones]
    waves = [
        _zone_wave(zone, pitch, velocity, held + tail, max(left, right))
        for zone, (left, right) in zip(zones, sides, strict=True)
    ]
    release = _exponential(tail, release_s)
    if centred and len(waves) == 1:
        return Voice(waves[0][None], release)
    together = np.zeros((1 if centred else 2, max(len(wave) for wave in waves)), dtype=_FLOAT)
    for wave, (left, right) in zip(waves, sides, strict=True):
        together[0 if left >= right else 1, : len(wave)] += wave
        less = min(left, right) / max(left, right)
        if not centred and less > 1e-6:
            together[1 if left >= right else 0, : len(wave)] += wave * _FLOAT(less)
    return Voice(together, release)


def _sides(pan: float) -> tuple[float, float]:
    """Gains left and right, of equal power for every `pan`."""
    angle = (pan + 1.0) * np.pi / 4.0
    return float(np.cos(angle) * 2**0.5), float(np.sin(angle) * 2**0.5)


def softened(voice: Voice, zones: list[Zone], velocity: int) -> Voice:
    """The same key struck more softly: darker; its loudness is the player's."""
    cutoff_hz = max(_brightest(zone, velocity) for zone in zones)
    if cutoff_hz >= 15000.0:
        return voice
    return Voice(_low_pass(voice.wave, cutoff_hz, SAMPLE_RATE), voice.release)


def _zone_wave(zone: Zone, pitch: int, velocity: int, samples: int, gain: float) -> Mono:
    """One zone at one key, scaled by `gain`, shape (samples,) or shorter when the sample ends before."""
    import soxr

    cents = zone.cents_per_key * (pitch - 60) + 6000.0 - zone.root_cents
    ratio = 2.0 ** (cents / 1200.0) * zone.sample_rate / SAMPLE_RATE
    need = int(samples * ratio) + 256  # what the resampler does at the end is cut away
    data = zone.data
    if zone.loop is not None:
        begin, end = zone.loop
        if need > end:
            repeats = (need - end) // (end - begin) + 1
            data = np.concatenate([data[:end], np.tile(data[begin:end], repeats)])
    ended = len(data) < need
    source = data[:need].astype(_FLOAT) * _FLOAT(zone.gain * gain / 32768.0)
    # Most sources have fewer samples than their sound will have, so they are filtered first.
    _filter(source, zone, velocity, ratio * SAMPLE_RATE)
    wave = np.asarray(soxr.resample(source, ratio * SAMPLE_RATE, SAMPLE_RATE, quality="MQ"), dtype=_FLOAT)[:samples]
    _shape(wave, zone)
    if ended or samples >= LONGEST_S * SAMPLE_RATE:
        fade = min(200, len(wave))
        wave[len(wave) - fade :] *= _ramp(fade)[::-1]
    return wave


def _brightest(zone: Zone, velocity: int) -> float:
    """The filter's highest cutoff in Hz: opened by its envelope, closed by a soft stroke (section 8.4.2)."""
    cents = max(0.0, zone.opens_cents) - _VELOCITY_CENTS * (1.0 - velocity / 127.0)
    return float(zone.cutoff_hz * 2.0 ** (cents / 1200.0))


def _openings(zone: Zone) -> Iterator[tuple[float, float]]:
    """From when on (in seconds) the filter's envelope has which height, 0 to 1, in small steps; delay, attack, hold and
    decay as in section 8.1.2, generators 25 to 29.
    """
    at = zone.open_delay_s
    if at > 0.0:
        yield 0.0, 0.0
    steps = max(1, round(abs(zone.opens_cents) / _CENTS_A_STEP)) if zone.open_attack_s > 0.005 else 0
    for step in range(steps):
        yield at + zone.open_attack_s * step / steps, (step + 0.5) / steps
    at += zone.open_attack_s
    yield at, 1.0
    at += zone.open_hold_s
    fall = 1.0 - zone.open_sustain
    steps = round(abs(zone.opens_cents) * fall / _CENTS_A_STEP)
    for step in range(steps):
        yield at + zone.open_decay_s * fall * (step + 0.5) / steps, 1.0 - fall * (step + 1.0) / steps


def _filter(source: Mono, zone: Zone, velocity: int, rate: float) -> None:
    """Low-pass `source` in place, its cutoff following the filter's envelope; `rate` is at which it will be played."""
    from scipy.signal import lfilter

    highest = _brightest(zone, velocity)
    if highest >= 0.45 * rate and abs(zone.opens_cents) < _CENTS_A_STEP:
        return
    base = highest * 2.0 ** (-max(0.0, zone.opens_cents) / 1200.0)
    moments = list(_openings(zone)) if abs(zone.opens_cents) >= _CENTS_A_STEP else [(0.0, 1.0)]
    state = np.zeros(2, dtype=_FLOAT)
    for index, (second, height) in enumerate(moments):
        start = round(second * rate)
        stop = round(moments[index + 1][0] * rate) if index + 1 < len(moments) else len(source)
        if start >= len(source) or stop <= start:
            continue
        b, a = _biquad(base * 2.0 ** (zone.opens_cents * height / 1200.0), rate)
        source[start:stop], state = lfilter(b, a, source[start:stop], zi=state)


def _biquad(cutoff_hz: float, rate: float) -> tuple[Mono, Mono]:
    """Second-order Butterworth low pass (R. Bristow-Johnson, Audio EQ Cookbook)."""
    omega = 2.0 * np.pi * min(cutoff_hz, 0.45 * rate) / rate
    alpha = np.sin(omega) / 2.0**0.5
    cos = np.cos(omega)
    b = np.array([(1 - cos) / 2, 1 - cos, (1 - cos) / 2]) / (1 + alpha)
    a = np.array([1.0, -2 * cos / (1 + alpha), (1 - alpha) / (1 + alpha)])
    return b.astype(_FLOAT), a.astype(_FLOAT)


def _low_pass(wave: Mono, cutoff_hz: float, rate: float) -> Mono:
    from scipy.signal import lfilter

    if cutoff_hz >= 7000.0:
        # A symmetric kernel of three, -3 dB at the cutoff: as good up here, and several times as fast.
        share = (1.0 - 0.5**0.5) / (1.0 - np.cos(2.0 * np.pi * cutoff_hz / rate)) / 2.0
        soft = wave * _FLOAT(1.0 - 2.0 * share)
        outer = wave * _FLOAT(share)
        soft[:, 1:] += outer[:, :-1]
        soft[:, :-1] += outer[:, 1:]
        return np.asarray(soft, dtype=_FLOAT)
    b, a = _biquad(cutoff_hz, rate)
    return np.asarray(lfilter(b, a, wave, axis=-1), dtype=_FLOAT)


@lru_cache(maxsize=512)
def _ramp(samples: int) -> Mono:
    """From 0 to 1; shared, so not to be changed."""
    return np.linspace(0.0, 1.0, samples, dtype=_FLOAT)


@lru_cache(maxsize=128)
def _exponential(samples: int, seconds_for_100_db: float) -> Mono:
    """A decay that is linear in decibels and ends at exactly zero; shared, so not to be changed."""
    seconds = np.arange(samples, dtype=_FLOAT) / SAMPLE_RATE
    curve = np.exp(seconds * _FLOAT(-5.0 * _LN10 / seconds_for_100_db))
    fade = min(samples, 600)
    curve[samples - fade :] *= _ramp(fade)[::-1]
    return np.asarray(curve, dtype=_FLOAT)


def _shape(wave: Mono, zone: Zone) -> None:
    """Apply delay, attack, hold and decay to the sustain level, in place (section 8.1.2, generators 33 to 37)."""
    samples = len(wave)
    at = min(samples, round(zone.delay_s * SAMPLE_RATE))
    wave[:at] = 0.0
    attack = max(round(zone.attack_s * SAMPLE_RATE), 24)  # under a millisecond at least: no click
    part = wave[at : at + attack]
    part *= _ramp(attack)[: len(part)]
    at = min(samples, at + attack + round(zone.hold_s * SAMPLE_RATE))
    if zone.sustain_db > 0.0 and at < samples:
        deepest_db = min(zone.sustain_db, 100.0)
        falling = min(samples - at, round(deepest_db / 100.0 * zone.decay_s * SAMPLE_RATE) + 1)
        steps = np.arange(falling, dtype=_FLOAT)
        wave[at : at + falling] *= np.exp(steps * _FLOAT(-5.0 * _LN10 / max(1.0, zone.decay_s * SAMPLE_RATE)))
        wave[at + falling :] *= _FLOAT(10.0 ** (-deepest_db / 20.0))
