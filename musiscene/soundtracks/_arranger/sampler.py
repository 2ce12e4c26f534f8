"""Plays notes with a SoundFont: each distinct sound is resampled once and then only scaled, cut and added.

symusic 0.5.9's own synthesizer was measured and set aside: it ignores velocity, cuts releases, holds decaying sounds
at a constant level and returns NaN for some programs, which leaves no dynamics at all (docs/arranger.md).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from musiscene.soundtracks._arranger.soundfont import SoundFont, Zone
from musiscene.soundtracks._arranger.voices import LONGEST_S, SAMPLE_RATE, Voice, make_voice, softened

__all__ = ["SAMPLE_RATE", "PlayedNote", "Sampler"]

_VELOCITY_LAYERS = (64, 108)
"""Brightness is computed for these velocities; loudness follows each note's own."""
_LENGTHS_S = (0.25, 0.4, 0.65, 1.05, 1.7, 2.7, 4.4, 7.0, 11.0, LONGEST_S)
"""Sounds are made in these lengths."""
_DRUM_S = 4.0
_CACHE_BYTES = 160 * 1024**2
_FLOAT = np.float32
_CHOKE = np.linspace(1.0, 0.0, 900, dtype=_FLOAT)
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
        self._voices: OrderedDict[tuple[int, bool, int, int, int], Voice | None] = OrderedDict()
        self._bytes = 0
        self._levels: dict[tuple[int, bool, tuple[int, ...]], float] = {}
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
        """The sound of one instrument, shape (1 or 2, samples): one where both sides are the same. What would sound
        later than `samples` is left out. `check` may stop it.
        """
        out = np.zeros((1, samples), dtype=_FLOAT)
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
                held = round(min(cut_at.get(index, _DRUM_S), _DRUM_S) * SAMPLE_RATE)
            gain = (note.velocity / 127.0) ** 2  # section 8.4.1: 40 log10(127 / velocity) dB
            voice = self._find(program, note.pitch, note.velocity, held, drums)
            if voice is not None:
                if len(voice.wave) > len(out):
                    out = np.repeat(out, 2, axis=0)
                _add(out, voice.wave, _CHOKE if index in cut_at else voice.release, start, held, gain)
        return out

    def level(self, program: int, pitches: tuple[int, ...], *, drums: bool = False) -> float:
        """How loud the first 0.6 s of a note at velocity 100 are to the ear (root mean square after the K-weighting of
        ITU-R BS.1770-4), over `pitches`: for balancing instruments.
        """
        from scipy.signal import sosfilt

        from musiscene.media.loudness import k_weighting

        key = (program, drums, pitches)
        with self._lock:
            if key in self._levels:
                return self._levels[key]
        length = round(0.6 * SAMPLE_RATE)
        powers = []
        for pitch in pitches:
            sound = self.render([PlayedNote(0.0, 0.5, pitch, 100)], program, length, drums=drums)
            heard = sosfilt(k_weighting(SAMPLE_RATE), sound.astype(np.float64), axis=-1)
            powers.append(float(np.mean(np.square(heard))))
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

    def _find(self, program: int, pitch: int, velocity: int, held: int, drums: bool) -> Voice | None:
        dark, bright = _VELOCITY_LAYERS
        layer = dark if velocity - dark < bright - velocity else bright
        seconds = _DRUM_S if drums else next((one for one in _LENGTHS_S if one * SAMPLE_RATE >= held), LONGEST_S)
        length = round(seconds * SAMPLE_RATE)
        key = (program, drums, pitch, layer, length)
        with self._lock:
            if key in self._voices:
                self._voices.move_to_end(key)
                return self._voices[key]
        zones = _matching(self.soundfont.preset(program, drums=drums), pitch, layer)
        voice: Voice | None = None
        if zones and layer == dark and zones == _matching(self.soundfont.preset(program, drums=drums), pitch, bright):
            # The same samples, softer: resampling is the dear part, so the bright sound is filtered instead.
            loud = self._find(program, pitch, bright, length, drums)
            voice = None if loud is None else softened(loud, zones, dark)
        elif zones:
            voice = make_voice(zones, pitch, layer, length)
        with self._lock:
            self._bytes -= _size(self._voices.pop(key, None))
            self._voices[key] = voice
            self._bytes += _size(voice)
            while self._bytes > _CACHE_BYTES and len(self._voices) > 1:
                self._bytes -= _size(self._voices.popitem(last=False)[1])
        return voice


def _size(voice: Voice | None) -> int:
    return 0 if voice is None else voice.wave.nbytes


def _matching(zones: tuple[Zone, ...], pitch: int, velocity: int) -> list[Zone]:
    return [
        zone
        for zone in zones
        if zone.keys[0] <= pitch <= zone.keys[1] and zone.velocities[0] <= velocity <= zone.velocities[1]
    ]


def _add(out: Mono, wave: Mono, release: Mono, start: int, held: int, gain: float) -> None:
    """Mix one note into `out`, shape (1 or 2, samples): at full level while the key is held, then its release."""
    room = out.shape[1] - start
    length = wave.shape[1]
    body = min(held, length, room)
    falling = max(0, min(len(release), length - body, room - body)) if body == held else 0
    piece = wave[:, : body + falling] * _FLOAT(gain)
    if falling:
        piece[:, body:] *= release[:falling]
    out[:, start : start + body + falling] += piece
