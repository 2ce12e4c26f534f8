"""A SoundFont's sample at one pitch: looped, filtered and resampled once, then repeated for as long as a key is held.

Most sounds of a SoundFont are short samples that end in a loop. Filtering and resampling are the dear part of playing
them, so they are done for the sample and one round of its loop; the rest is copied. Where the filter still moves when
the loop is reached, a few rounds are made, each as the filter leaves it at one moment, and one fades into the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from musiscene.soundtracks._arranger.filters import Mono, brightest, cutoff, low_pass, moments, response, sweep
from musiscene.soundtracks._arranger.soundfont import Zone

LONGEST_S = 16.0
"""No key is held longer."""
WHOLE = 1 << 30
"""The extent of a tone that lasts as long as wanted."""

_FLOAT = np.float32
_EXTENTS_S = (0.6, 1.5, 3.5, 8.0)
"""Where a sample is longer than the note, its tone is made in one of these lengths, which several notes share."""
_SHUT = 2.5
"""So far above its cutoff a filter of second order leaves nothing that is heard."""
_SETTLE_S = 0.012
"""After this long in its loop a sound repeats itself, whatever the filter heard before."""
_FADE = 256
_MARGIN = 256
"""Samples at a source's end whose resampled sound would depend on where the source was cut."""
_SHORTEST_ROUND, _LONGEST_ROUND = 512, 2048
"""Short loops are gathered in rounds of so many samples: a whole number of samples is then in tune."""
_DETUNED = 0.5 / 1731.0
"""A round may be this much too long or too short: half a cent."""
_STEP_CENTS = 300.0
"""Rounds are as many as the filter's steps of this size."""


@dataclass(frozen=True, slots=True)
class Tone:
    """The sound of a zone at one pitch, before its volume envelope.

    Attributes:
        head: Its beginning, shape (samples,).
        rounds: What follows again and again, shape (moments, samples of a round); no moments when it ends.
        at: When each of them is heard as it is, in samples from the end of `head`; the first is 0.
    """

    head: Mono
    rounds: NDArray[np.float32]
    at: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Memory."""
        return self.head.nbytes + self.rounds.nbytes

    def first(self, samples: int) -> Mono:
        """Its first samples, a new array, shape (samples,) or shorter when the sound ends before."""
        out = np.empty(samples if self.at else min(samples, len(self.head)), dtype=_FLOAT)
        begin = min(len(self.head), len(out))
        out[:begin] = self.head[:begin]
        rest = out[begin:]
        for index, start in enumerate(self.at):
            last = index + 1 == len(self.at)
            span = rest[start:] if last else rest[start : self.at[index + 1]]
            if len(span):
                _repeat(self.rounds[index], start, span)
            if len(span) and not last:
                change = np.empty_like(span)
                _repeat(self.rounds[index + 1] - self.rounds[index], start, change)
                change *= np.arange(len(span), dtype=_FLOAT) * _FLOAT(1.0 / (self.at[index + 1] - start))
                span += change
        return out

    def softened(self, cutoff_hz: float, rate: int) -> Tone:
        """The same, darker; it is played at `rate`."""
        head = low_pass(self.head, cutoff_hz, rate)
        if not self.at:
            return Tone(head, self.rounds, ())
        run_up = min(self.rounds.shape[1], _SHORTEST_ROUND)
        longer = np.concatenate([self.rounds[:, -run_up:], self.rounds, self.rounds[:, :1]], axis=1)
        return Tone(head, low_pass(longer, cutoff_hz, rate)[:, run_up:-1].copy(), self.at)


class _Plan(NamedTuple):
    """How a zone sounds at a key.

    Attributes:
        ratio: Samples of its source for one sample of sound.
        head: Samples of the sound before it repeats itself.
        loops: How many loops a round has.
        round: Samples of a round.
    """

    ratio: float
    head: int
    loops: int
    round: int


def _plan(zone: Zone, pitch: int, rate: int) -> _Plan:
    cents = zone.cents_per_key * (pitch - 60) + 6000.0 - zone.root_cents
    ratio = 2.0 ** (cents / 1200.0) * zone.sample_rate / rate
    if zone.loop is None:
        return _Plan(ratio, 0, 0, 0)
    begin, end = zone.loop
    loops, samples = _round((end - begin) / ratio)
    ratio = loops * (end - begin) / samples
    head = begin / ratio
    if samples > _LONGEST_ROUND:
        # A round for each of the filter's moments would be dearer than playing on until it rests.
        head = max(head, min(moments(zone)[-1][0], LONGEST_S) * rate)
    return _Plan(ratio, math.ceil(head + _SETTLE_S * rate) + _FADE, loops, samples)


@lru_cache(maxsize=1024)
def _round(period: float) -> tuple[int, int]:
    """How many loops of so many samples (a fraction) make a round, and how many samples it then has."""
    best, off = (1, max(1, round(period))), math.inf
    for loops in range(max(1, math.ceil(_SHORTEST_ROUND / period)), max(1, int(_LONGEST_ROUND / period)) + 1):
        exact = loops * period
        fast = next_fast_len(math.ceil(exact * (1.0 - _DETUNED)))
        if fast <= exact * (1.0 + _DETUNED):
            return loops, fast
        if abs(round(exact) / exact - 1.0) < off:
            best, off = (loops, round(exact)), abs(round(exact) / exact - 1.0)
    return best


def highest_hz(zone: Zone, pitch: int) -> float:
    """There is nothing to hear above this: neither in the sample nor through the filter."""
    source = _plan(zone, pitch, 1).ratio / 2.0
    return min(source, _SHUT * brightest(zone, 127))


def extent(zone: Zone, pitch: int, samples: int, rate: int) -> int:
    """Which length of a zone's tone is made when `samples` of it are needed."""
    plan = _plan(zone, pitch, rate)
    longer = next((round(one * rate) for one in _EXTENTS_S if one * rate >= samples), samples)
    return WHOLE if zone.loop is not None and longer >= plan.head + plan.round else longer


def make_tone(zone: Zone, pitch: int, velocity: int, samples: int, rate: int) -> Tone:
    """The sound of `zone` at a key, as bright as at `velocity`, to be played at `rate`; `samples` long, or lasting when
    they are `WHOLE`.

    A sound that ends has no more samples than it needs, whatever is asked.
    """
    plan = _plan(zone, pitch, rate)
    lasting = samples == WHOLE
    until_s = moments(zone)[-1][0]
    moving = lasting and until_s > (plan.head - _FADE) / rate
    wanted = samples if not lasting else plan.head if moving else plan.head + plan.round
    sound = _resampled(_looped(zone, int(wanted * plan.ratio) + _MARGIN), zone, velocity, plan.ratio, rate)[:wanted]
    if not lasting:
        if len(sound) < samples:  # the sample ends
            fade = min(200, len(sound))
            sound[len(sound) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=_FLOAT)
        return Tone(sound, np.zeros((0, 0), dtype=_FLOAT), ())
    head = sound[: plan.head].copy()
    if not moving:
        return Tone(head, sound[None, plan.head :].copy(), (0,))
    at, rounds = _moving_rounds(zone, velocity, plan, rate)
    ramp = np.linspace(0.0, 1.0, _FADE, dtype=_FLOAT)
    head[-_FADE:] += (rounds[0, -_FADE:] - head[-_FADE:]) * ramp
    return Tone(head, rounds, at)


def _looped(zone: Zone, samples: int) -> Mono:
    """The first samples of a zone's source, its loop repeated, at full scale 1; shorter when it has no loop."""
    data = zone.data
    if zone.loop is not None and samples > zone.loop[1]:
        begin, end = zone.loop
        out = np.empty(samples, dtype=_FLOAT)
        out[:end] = data[:end]
        _repeat(np.asarray(data[begin:end], dtype=_FLOAT), 0, out[end:])
    else:
        out = data[:samples].astype(_FLOAT)
    out *= _FLOAT(1.0 / 32768.0)
    return out


def _resampled(source: Mono, zone: Zone, velocity: int, ratio: float, rate: int) -> Mono:
    # Most sources have fewer samples than their sound will have, so they are filtered first.
    sweep(source, zone, velocity, ratio * rate)
    return np.asarray(soxr.resample(source, ratio * rate, rate, quality="MQ"), dtype=_FLOAT)


def _moving_rounds(zone: Zone, velocity: int, plan: _Plan, rate: int) -> tuple[tuple[int, ...], NDArray[np.float32]]:
    """One round for each moment of the filter's envelope after the head: a periodic sound is filtered exactly by
    weighing its harmonics, and shifted so that it goes on where the head ends.
    """
    assert zone.loop is not None
    begin, end = zone.loop
    skip = math.ceil(_MARGIN / plan.ratio)
    source = np.empty(int((skip + plan.round) * plan.ratio) + _MARGIN, dtype=_FLOAT)
    _repeat(np.asarray(zone.data[begin:end], dtype=_FLOAT) * _FLOAT(1.0 / 32768.0), 0, source)
    steady = soxr.resample(source, plan.ratio * rate, rate, quality="MQ")[skip : skip + plan.round]
    bins = np.arange(0, plan.round // 2 + 1, plan.loops)  # the harmonics of a loop: there is nothing between them
    later = plan.head - skip - begin / plan.ratio
    spectrum = rfft(steady)[bins] * np.exp(2j * np.pi / plan.round * later * bins)
    at, cutoffs_hz = _after(zone, velocity, plan.head / rate, rate)
    back = np.exp(-2j * np.pi / plan.round / plan.ratio * bins)
    heard = np.zeros((len(at), plan.round // 2 + 1), dtype=np.complex64)
    heard[:, bins] = spectrum * response(cutoffs_hz, plan.ratio * rate, back)
    return at, np.asarray(irfft(heard, plan.round, axis=1), dtype=_FLOAT)


def _after(zone: Zone, velocity: int, second: float, rate: int) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """From `second` on: moments in samples after it, and the filter's cutoff at each in Hz."""
    times, heights = np.array(moments(zone, _STEP_CENTS)).T
    later = np.concatenate([[second], times[(times > second + 0.005) & (times < LONGEST_S)]])
    cutoffs_hz = cutoff(zone, velocity, np.interp(later, times, heights))
    return tuple(np.rint((later - second) * rate).astype(int).tolist()), cutoffs_hz


def _repeat(one: Mono, phase: int, out: Mono) -> None:
    """Fill `out` with a round, again and again, from `phase` on."""
    phase %= len(one)
    begin = min(len(one) - phase, len(out))
    out[:begin] = one[phase : phase + begin]
    rest = out[begin:]
    whole = len(rest) // len(one)
    rest[: whole * len(one)].reshape(whole, len(one))[...] = one
    rest[whole * len(one) :] = one[: len(rest) - whole * len(one)]
