"""Plays notes with a SoundFont: each distinct sound is resampled once and then only scaled, cut and added.

symusic 0.5.9's own synthesizer was measured and set aside: it ignores velocity, cuts releases, holds decaying sounds
at a constant level and returns NaN for some programs, which leaves no dynamics at all (docs/arranger.md).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.signal import sosfreqz

from musiscene.media.loudness import k_weighting
from musiscene.soundtracks._arranger.filters import brightest
from musiscene.soundtracks._arranger.remembered import Remembered
from musiscene.soundtracks._arranger.soundfont import SoundFont, Zone
from musiscene.soundtracks._arranger.tones import LONGEST_S, Tone, extent, highest_hz, make_tone
from musiscene.soundtracks._arranger.voices import Voice, make_voice, together

SAMPLE_RATE = 44100
HALF_RATE = SAMPLE_RATE // 2
"""What has nothing above half of this is played at this rate, at half the cost."""

_VELOCITY_LAYERS = (64, 108)
"""Brightness is computed for these velocities; loudness follows each note's own."""
_LENGTHS_S = (0.3, 0.8, 1.6, 3.2, 6.4, 10.0, LONGEST_S)
"""Sounds are made in these lengths."""
_DRUM_S = 4.0
_VOICE_BYTES, _TONE_BYTES = 112 * 1024**2, 48 * 1024**2
_OPEN_HZ = 15000.0
"""A filter above this is left out."""
_DARK_HZ = 11500.0
"""Above this even the brightest General MIDI samples that end there have nothing left."""
_FLOAT = np.float32
_CHOKE = {rate: np.linspace(1.0, 0.0, rate // 49, dtype=_FLOAT) for rate in (SAMPLE_RATE, HALF_RATE)}
"""How a hi-hat stops when the next one closes it."""

Mono = NDArray[np.float32]


class PlayedNote(NamedTuple):
    """A note in time: seconds, MIDI key, velocity 1 to 127."""

    start_s: float
    duration_s: float
    pitch: int
    velocity: int


class Sampler:
    """Notes to sound. One sampler may serve several threads, and what it played before never changes what it plays:
    whatever is remembered is remembered under all that it was made from.
    """

    def __init__(self, soundfont: SoundFont) -> None:
        self.soundfont = soundfont
        self._voices: Remembered[Voice | None] = Remembered(_VOICE_BYTES, lambda one: one.wave.nbytes if one else 0)
        self._tones: Remembered[Tone] = Remembered(_TONE_BYTES, lambda one: one.nbytes)
        self._levels: dict[tuple[int, bool, tuple[int, ...]], float] = {}
        self._lock = threading.Lock()

    def rate(self, program: int, pitches: Iterable[int], *, drums: bool = False) -> int:
        """Samples a second that do for these keys of an instrument: `SAMPLE_RATE`, or half of it."""
        preset = self.soundfont.preset(program, drums=drums)
        zones = ((zone, pitch) for pitch in set(pitches) for zone in preset if zone.keys[0] <= pitch <= zone.keys[1])
        return HALF_RATE if all(highest_hz(zone, pitch) <= _DARK_HZ for zone, pitch in zones) else SAMPLE_RATE

    def render(
        self,
        notes: list[PlayedNote],
        program: int,
        samples: int,
        *,
        drums: bool = False,
        rate: int = SAMPLE_RATE,
        check: Callable[[], None] = lambda: None,
    ) -> Mono:
        """The sound of one instrument at `rate`, shape (1 or 2, samples): one where both sides are the same. What would
        sound later than `samples` is left out. `check` may stop it.
        """
        out = np.zeros((1, samples), dtype=_FLOAT)
        scratch = np.empty((2, round((LONGEST_S + 1.1) * rate)), dtype=_FLOAT)  # memory once, not for each note
        ordered = sorted(notes)
        cut_at = self._choke_times(ordered, program) if drums else {}
        for index, note in enumerate(ordered):
            if index % 16 == 0:
                check()
            start = round(note.start_s * rate)
            if not 0 <= start < samples or note.velocity <= 0:
                continue
            held = max(1, round(note.duration_s * rate))
            if drums:
                held = round(min(cut_at.get(index, _DRUM_S), _DRUM_S) * rate)
            gain = (note.velocity / 127.0) ** 2  # section 8.4.1: 40 log10(127 / velocity) dB
            voice = self._find(program, note.pitch, note.velocity, held, drums, rate)
            if voice is not None:
                if len(voice.wave) > len(out):
                    out = np.repeat(out, 2, axis=0)
                _add(out, scratch, voice.wave, _CHOKE[rate] if index in cut_at else voice.release, start, held, gain)
        return out

    def level(self, program: int, pitches: tuple[int, ...], *, drums: bool = False) -> float:
        """How loud the first 0.6 s of a note at velocity 100 are to the ear (root mean square after the K-weighting of
        ITU-R BS.1770-4), over `pitches`: for balancing instruments.
        """
        key = (program, drums, pitches)
        with self._lock:
            if key in self._levels:
                return self._levels[key]
        rate = self.rate(program, pitches, drums=drums)
        length = round(0.6 * rate)
        weights = _heard_power(length, rate)
        gain = (100 / 127.0) ** 2
        powers = []
        for pitch in pitches:
            zones = _matching(self.soundfont.preset(program, drums=drums), pitch, _VELOCITY_LAYERS[1])
            tone = partial(self._tone, pitch=pitch, velocity=_VELOCITY_LAYERS[1], cutoff_hz=_OPEN_HZ, rate=rate)
            sound = together(zones, length, rate, tone) if zones else np.zeros((1, length), dtype=_FLOAT)
            heard = rfft(sound, length, axis=-1) * _FLOAT(gain)
            # A sum and no dot product: that one's rounding depends on how many threads the linear algebra has.
            powers.append(float(np.mean(np.sum((heard.real**2 + heard.imag**2) * weights, axis=-1))))
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

    def _find(self, program: int, pitch: int, velocity: int, held: int, drums: bool, rate: int) -> Voice | None:
        dark, bright = _VELOCITY_LAYERS
        layer = dark if velocity - dark < bright - velocity else bright
        seconds = _DRUM_S if drums else next((one for one in _LENGTHS_S if one * rate >= held), LONGEST_S)
        length = round(seconds * rate)
        return self._voices.get(
            (program, drums, pitch, layer, length, rate),
            lambda: self._voice(program, pitch, layer, length, drums, rate),
        )

    def _voice(self, program: int, pitch: int, layer: int, length: int, drums: bool, rate: int) -> Voice | None:
        dark, bright = _VELOCITY_LAYERS
        preset = self.soundfont.preset(program, drums=drums)
        zones = _matching(preset, pitch, layer)
        if not zones:
            return None
        cutoff_hz = _OPEN_HZ
        if layer == dark and zones == _matching(preset, pitch, bright):
            # The same samples, softer: resampling is the dear part, so the bright sound is filtered instead.
            layer, cutoff_hz = bright, max(brightest(zone, dark) for zone in zones)
            if cutoff_hz >= _OPEN_HZ:
                return self._find(program, pitch, bright, length, drums, rate)
        return make_voice(
            zones, length, rate, partial(self._tone, pitch=pitch, velocity=layer, cutoff_hz=cutoff_hz, rate=rate)
        )

    def _tone(self, zone: Zone, samples: int, *, pitch: int, velocity: int, cutoff_hz: float, rate: int) -> Tone:
        """A zone's sound at a key, at least so many samples of it, with nothing above `cutoff_hz`."""
        made = extent(zone, pitch, samples, rate)
        key = (zone.timbre, pitch, velocity, made, rate)
        if cutoff_hz >= _OPEN_HZ:
            return self._tones.get(key, lambda: make_tone(zone, pitch, velocity, made, rate))
        bright = partial(self._tone, zone, samples, pitch=pitch, velocity=velocity, cutoff_hz=_OPEN_HZ, rate=rate)
        return self._tones.get((*key, cutoff_hz), lambda: bright().softened(cutoff_hz, rate))


@lru_cache(maxsize=4)
def _heard_power(samples: int, rate: int) -> Mono:
    """What each bin of a real transform of `samples` at `rate` adds to the mean power, K-weighted."""
    bins = samples // 2 + 1
    _, heard = sosfreqz(k_weighting(SAMPLE_RATE), 2.0 * np.pi * rate / SAMPLE_RATE * np.arange(bins) / samples)
    weights = 2.0 * np.abs(heard) ** 2 / samples**2
    weights[0] /= 2.0
    return np.asarray(weights, dtype=_FLOAT)


def _matching(zones: tuple[Zone, ...], pitch: int, velocity: int) -> list[Zone]:
    return [
        zone
        for zone in zones
        if zone.keys[0] <= pitch <= zone.keys[1] and zone.velocities[0] <= velocity <= zone.velocities[1]
    ]


def _add(out: Mono, scratch: Mono, wave: Mono, release: Mono, start: int, held: int, gain: float) -> None:
    """Mix one note into `out`, shape (1 or 2, samples): at full level while the key is held, then its release."""
    room = out.shape[1] - start
    length = wave.shape[1]
    body = min(held, length, room)
    falling = max(0, min(len(release), length - body, room - body)) if body == held else 0
    piece = scratch[: len(wave), : body + falling]
    np.multiply(wave[:, : body + falling], _FLOAT(gain), out=piece)
    if falling:
        piece[:, body:] *= release[:falling]
    out[:, start : start + body + falling] += piece
