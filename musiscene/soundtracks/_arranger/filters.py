"""The low-pass filter of a SoundFont's voice, still or moved by its envelope (specification 2.04, section 8.1.2)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from musiscene.soundtracks._arranger.soundfont import Zone

_FLOAT = np.float32
_STEP_CENTS = 150.0
"""The cutoff moves in steps of this size, an eighth of an octave; what moves less is still."""
_VELOCITY_CENTS = 1000.0
"""How much darker the softest stroke is: less than half of section 8.4.2 allows, with all of it soft music is dull."""

Mono = NDArray[np.float32]


def brightest(zone: Zone, velocity: int) -> float:
    """The filter's highest cutoff in Hz: opened by its envelope, closed by a soft stroke (section 8.4.2)."""
    cents = max(0.0, zone.opens_cents) - _VELOCITY_CENTS * (1.0 - velocity / 127.0)
    return float(zone.cutoff_hz * 2.0 ** (cents / 1200.0))


def cutoff(zone: Zone, velocity: int, height: NDArray[np.float64]) -> NDArray[np.float64]:
    """The filter's cutoff in Hz where its envelope has such heights, 0 to 1."""
    closed = brightest(zone, velocity) * 2.0 ** (-max(0.0, zone.opens_cents) / 1200.0)
    return np.asarray(closed * 2.0 ** (zone.opens_cents * height / 1200.0))


def moments(zone: Zone, step_cents: float = _STEP_CENTS) -> list[tuple[float, float]]:
    """The envelope of a zone's filter: at which second it has which height, 0 to 1, in small steps; straight lines in
    cents lie between them. Delay, attack, hold and decay as in section 8.1.2, generators 25 to 29.
    """
    cents = abs(zone.opens_cents)
    if cents < _STEP_CENTS:
        return [(0.0, 1.0)]
    begin = zone.open_delay_s
    found = [(0.0, 0.0)] if begin > 0.0 else []
    steps = max(1, round(cents / step_cents)) if zone.open_attack_s > 0.005 else 0
    found += [(begin + zone.open_attack_s * step / steps, step / steps) for step in range(steps)]
    begin += zone.open_attack_s
    found.append((begin, 1.0))
    fall = 1.0 - zone.open_sustain
    steps = math.ceil(cents * fall / step_cents)
    if steps and zone.open_hold_s > 0.0:
        found.append((begin + zone.open_hold_s, 1.0))
    begin += zone.open_hold_s
    found += [
        (begin + zone.open_decay_s * fall * (step + 1) / steps, 1.0 - fall * (step + 1.0) / steps)
        for step in range(steps)
    ]
    return found


def sweep(source: Mono, zone: Zone, velocity: int, rate: float) -> None:
    """Filter `source` in place, the cutoff following the envelope; `rate` is at which it will be played."""
    path = moments(zone)
    if len(path) == 1 and brightest(zone, velocity) >= 0.45 * rate:
        return
    heights = np.array([height for _, height in path])
    cutoffs_hz = cutoff(zone, velocity, 0.5 * (heights + np.append(heights[1:], heights[-1])))
    starts = [round(second * rate) for second, _ in path]
    state = np.zeros(2, dtype=_FLOAT)
    for start, stop, b, a in zip(starts, [*starts[1:], len(source)], *biquads(cutoffs_hz, rate), strict=True):
        if start < min(stop, len(source)):
            source[start:stop], state = lfilter(b, a, source[start:stop], zi=state)


def biquads(cutoffs_hz: NDArray[np.float64], rate: float) -> tuple[Mono, Mono]:
    """Second-order Butterworth low passes (R. Bristow-Johnson, Audio EQ Cookbook): b and a, each (filters, 3)."""
    omega = 2.0 * np.pi * np.minimum(cutoffs_hz, 0.45 * rate) / rate
    alpha, cos = np.sin(omega) / 2.0**0.5, np.cos(omega)
    b = np.stack([(1 - cos) / 2, 1 - cos, (1 - cos) / 2], axis=1)
    a = np.stack([1 + alpha, -2 * cos, 1 - alpha], axis=1)
    whole = (1 + alpha)[:, None]
    return (b / whole).astype(_FLOAT), (a / whole).astype(_FLOAT)


def response(cutoffs_hz: NDArray[np.float64], rate: float, back: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """What the low passes do to each frequency, shape (filters, frequencies); `back` is by how much a sample's delay
    turns the phase of each.
    """
    b, a = (part.astype(np.float64)[:, :, None] for part in biquads(cutoffs_hz, rate))
    above = b[:, 0] + back * (b[:, 1] + back * b[:, 2])
    return np.asarray(above / (a[:, 0] + back * (a[:, 1] + back * a[:, 2])))


def low_pass(wave: Mono, cutoff_hz: float, rate: float) -> Mono:
    """`wave` with less treble, along its last axis, a new array."""
    if cutoff_hz >= 7000.0:
        # A symmetric kernel of three, -3 dB at the cutoff: as good up here, and several times as fast.
        share = (1.0 - 0.5**0.5) / (1.0 - np.cos(2.0 * np.pi * cutoff_hz / rate)) / 2.0
        soft = wave * _FLOAT(1.0 - 2.0 * share)
        outer = wave * _FLOAT(share)
        soft[..., 1:] += outer[..., :-1]
        soft[..., :-1] += outer[..., 1:]
        return np.asarray(soft, dtype=_FLOAT)
    b, a = biquads(np.array([cutoff_hz]), rate)
    return np.asarray(lfilter(b[0], a[0], wave, axis=-1), dtype=_FLOAT)
