"""Plays notes with a SoundFont: each distinct sound is resampled once and then only scaled, cut and added.

symusic 0.5.9's own synthesizer was measured and set aside: it ignores velocity, cuts releases, holds decaying sounds
at a constant level and returns NaN for some programs, which leaves no dynamics at all (docs/arranger.md).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from musiscene.soundtracks._arranger.soundfont import SoundFont, Zone

SAMPLE_RATE = 44100
_VELOCITY_LAYERS = (64, 108)
"""Brightness is computed for these velocities; loudness follows each note's own."""
_LONGEST_S = 16.0
_CACHE_BYTES = 160 * 1024**2
_FLOAT = np.float32
_LN10 = 2.302585
_CHOKE = np.linspace(1.0, 0.0, 900, dtype=_FLOAT)
"""How a hi-hat stops when the next one closes it."""

Mono = NDArray[np.float32]


class PlayedNote(NamedTuple):
    """A note in time: seconds, MIDI key, velocity 1 to 127."""

    start_s: float
    duration_s: float
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class _Voice:
    """What one key sounds like: shape (1 or 2, samples), envelope applied up to the release, and the release."""

    wave: Mono
    release: Mono


class Sampler:
    """Notes to sound. One sampler may serve several threads; what it caches depends on its input alone."""

    def __init__(self, soundfont: SoundFont) -> None:
        self.soundfont = soundfont
        self._voices: OrderedDict[tuple[int, bool, int, int], tuple[int, _Voice | None]] = OrderedDict()
        self._bytes = 0
        self._levels: dict[tuple[int, bool], float] = {}
        self._lock = threading.Lock()

    def render(
        self,
        notes: list[PlayedNote],
        program: int,
        samples: int,
        *,
        drums: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> Mono:
        """The sound of one instrument, shape (2, samples); what would sound later is left out. `check` may stop it."""
        out = np.zeros((2, samples), dtype=_FLOAT)
        ordered = sorted(notes)
        cut_at = self._choke_times(ordered, program) if drums else {}
        for index, note in enumerate(ordered):
            if index % 16 == 0:
                check()
            start = round(note.start_s * SAMPLE_RATE)
            if not 0 <= start < samples or note.velocity <= 0:
                continue
            held = max(1, round(note.duration_s * SAMPLE_RATE))
            if drums:
                held = round(min(cut_at.get(index, 4.0), 4.0) * SAMPLE_RATE)
            gain = (note.velocity / 127.0) ** 2  # section 8.4.1: 40 log10(127 / velocity) dB
            voice = self._find(program, note.pitch, note.velocity, held, drums)
            if voice is not None:
                _add(out, voice.wave, _CHOKE if index in cut_at else voice.release, start, held, gain)
        return out

    def level(self, program: int, pitches: tuple[int, ...], *, drums: bool = False) -> float:
        """Root mean square of the first 0.6 s of a note at velocity 100, over `pitches`: for balancing instruments."""
        key = (program, drums)
        with self._lock:
            if key in self._levels:
                return self._levels[key]
        length = round(0.6 * SAMPLE_RATE)
        powers = []
        for pitch in pitches:
            sound = self.render([PlayedNote(0.0, 0.5, pitch, 100)], program, length, drums=drums)
            powers.append(float(np.mean(np.square(sound, dtype=np.float64))))
        measured = float(np.sqrt(np.mean(powers))) if powers else 0.0
        with self._lock:
            self._levels[key] = measured
        return measured

    def _choke_times(self, notes: list[PlayedNote], program: int) -> dict[int, float]:
        """For notes of an exclusive class, how long they sound until the next of their class, in seconds."""
        last: dict[int, int] = {}
        cut: dict[int, float] = {}
        for index, note in enumerate(notes):
            zones = _matching(self.soundfont.preset(program, drums=True), note.pitch, note.velocity)
            exclusive = zones[0].exclusive if zones else 0
            if exclusive:
                if exclusive in last:
                    previous = notes[last[exclusive]]
                    if note.start_s > previous.start_s:
                        cut[last[exclusive]] = note.start_s - previous.start_s
                last[exclusive] = index
        return cut

    def _find(self, program: int, pitch: int, velocity: int, held: int, drums: bool) -> _Voice | None:
        dark, bright = _VELOCITY_LAYERS
        layer = dark if velocity - dark < bright - velocity else bright
        key = (program, drums, pitch, layer)
        with self._lock:
            entry = self._voices.get(key)
            if entry is not None and entry[0] >= held:
                self._voices.move_to_end(key)
                return entry[1]
        # Lengths come in doubling steps, so that a longer note seldom makes the sound anew.
        length = SAMPLE_RATE // 2
        while length < held:
            length *= 2
        length = min(length, round(_LONGEST_S * SAMPLE_RATE))
        zones = _matching(self.soundfont.preset(program, drums=drums), pitch, layer)
        voice: _Voice | None = None
        if zones and layer == dark and zones == _matching(self.soundfont.preset(program, drums=drums), pitch, bright):
            # The same samples, softer: resampling is the dear part, so the bright sound is filtered instead.
            loud = self._find(program, pitch, bright, held, drums)
            if loud is not None:
                voice = _Voice(_low_pass(loud.wave, _cutoff(zones[0], dark)), loud.release)
        elif zones:
            voice = _make_voice(zones, pitch, layer, length)
        with self._lock:
            self._bytes -= _size(self._voices.pop(key, None))
            self._voices[key] = (max(length, held), voice)
            self._bytes += _size(self._voices[key])
            while self._bytes > _CACHE_BYTES and len(self._voices) > 1:
                self._bytes -= _size(self._voices.popitem(last=False)[1])
        return voice


def _size(entry: tuple[int, _Voice | None] | None) -> int:
    return 0 if entry is None or entry[1] is None else entry[1].wave.nbytes


def _matching(zones: tuple[Zone, ...], pitch: int, velocity: int) -> list[Zone]:
    return [
        zone
        for zone in zones
        if zone.keys[0] <= pitch <= zone.keys[1] and zone.velocities[0] <= velocity <= zone.velocities[1]
    ]


def _make_voice(zones: list[Zone], pitch: int, velocity: int, length: int) -> _Voice:
    """Add up the zones that sound together; the longest release among them is everyone's."""
    release_s = min(max([0.03, *(zone.release_s for zone in zones)]), 4.0)
    tail = round(min(release_s, 1.0) * SAMPLE_RATE)
    waves = [_zone_wave(zone, pitch, velocity, length + tail) for zone in zones]
    longest = max(len(wave) for wave in waves)
    centred = all(zone.pan == zones[0].pan == 0.0 for zone in zones)
    together = np.zeros((1 if centred else 2, longest), dtype=_FLOAT)
    for zone, wave in zip(zones, waves, strict=True):
        angle = (zone.pan + 1.0) * np.pi / 4.0
        sides = (1.0,) if centred else (float(np.cos(angle) * 2**0.5), float(np.sin(angle) * 2**0.5))
        for channel, gain in enumerate(sides):
            together[channel, : len(wave)] += wave if gain == 1.0 else wave * _FLOAT(gain)
    return _Voice(together, _exponential(tail, release_s))


def _zone_wave(zone: Zone, pitch: int, velocity: int, samples: int) -> Mono:
    """One zone at one key, shape (samples,) or shorter when the sample ends before."""
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
    source = data[:need].astype(_FLOAT) * _FLOAT(zone.gain / 32768.0)
    wave = np.asarray(soxr.resample(source, ratio * SAMPLE_RATE, SAMPLE_RATE, quality="LQ"), dtype=_FLOAT)[:samples]
    if _cutoff(zone, velocity) < 15000.0:
        wave = _low_pass(wave, _cutoff(zone, velocity))
    wave *= _envelope(zone, len(wave))
    if ended or samples >= _LONGEST_S * SAMPLE_RATE:
        fade = min(200, len(wave))
        wave[len(wave) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=_FLOAT)
    return wave


def _cutoff(zone: Zone, velocity: int) -> float:
    """Of the low-pass filter in Hz: two octaves lower from the hardest to the softest stroke (section 8.4.2)."""
    return float(zone.cutoff_hz * 2.0 ** (-2.0 * (1.0 - velocity / 127.0)))


def _exponential(samples: int, seconds_for_100_db: float) -> Mono:
    """A decay that is linear in decibels and ends at exactly zero."""
    seconds = np.arange(samples, dtype=_FLOAT) / SAMPLE_RATE
    curve = np.exp(seconds * _FLOAT(-5.0 * _LN10 / seconds_for_100_db))
    fade = min(samples, 600)
    curve[samples - fade :] *= np.linspace(1.0, 0.0, fade, dtype=_FLOAT)
    return np.asarray(curve, dtype=_FLOAT)


def _envelope(zone: Zone, samples: int) -> Mono:
    """Delay, attack, hold, decay to the sustain level (section 8.1.2, generators 33 to 37)."""
    curve = np.ones(samples, dtype=_FLOAT)
    at = min(samples, round(zone.delay_s * SAMPLE_RATE))
    curve[:at] = 0.0
    attack = max(round(zone.attack_s * SAMPLE_RATE), 24)  # under a millisecond at least: no click
    part = curve[at : at + attack]
    part[:] = np.linspace(0.0, 1.0, attack, dtype=_FLOAT)[: len(part)]
    at = min(samples, at + attack + round(zone.hold_s * SAMPLE_RATE))
    if zone.sustain_db > 0.0 and at < samples:
        deepest_db = min(zone.sustain_db, 100.0)
        falling = min(samples - at, round(deepest_db / 100.0 * zone.decay_s * SAMPLE_RATE) + 1)
        steps = np.arange(falling, dtype=_FLOAT)
        curve[at : at + falling] = np.exp(steps * _FLOAT(-5.0 * _LN10 / max(1.0, zone.decay_s * SAMPLE_RATE)))
        curve[at + falling :] = 10.0 ** (-deepest_db / 20.0)
    return curve


def _low_pass(wave: Mono, cutoff_hz: float) -> Mono:
    """Second-order Butterworth low pass (R. Bristow-Johnson, Audio EQ Cookbook)."""
    from scipy.signal import lfilter

    omega = 2.0 * np.pi * min(cutoff_hz, 0.45 * SAMPLE_RATE) / SAMPLE_RATE
    alpha = np.sin(omega) / 2.0**0.5
    cos = np.cos(omega)
    b = np.array([(1 - cos) / 2, 1 - cos, (1 - cos) / 2]) / (1 + alpha)
    a = np.array([1.0, -2 * cos / (1 + alpha), (1 - alpha) / (1 + alpha)])
    return np.asarray(lfilter(b.astype(_FLOAT), a.astype(_FLOAT), wave, axis=-1), dtype=_FLOAT)


def _add(out: Mono, wave: Mono, release: Mono, start: int, held: int, gain: float) -> None:
    """Mix one note into `out`, shape (2, samples): at full level while the key is held, then its release."""
    room = out.shape[1] - start
    length = wave.shape[1]
    body = min(held, length, room)
    falling = max(0, min(len(release), length - body, room - body)) if body == held else 0
    piece = wave[:, : body + falling] * _FLOAT(gain)
    if falling:
        piece[:, body:] *= release[:falling]
    out[:, start : start + body + falling] += piece
