"""Accompaniment: chords laid out in a style's patterns."""

from __future__ import annotations

import random

from musiscene.soundtracks._arranger import patterns, theory
from musiscene.soundtracks._arranger.harmony import Harmony, voicings
from musiscene.soundtracks._arranger.instruments import Instrument
from musiscene.soundtracks._arranger.piece import Note
from musiscene.soundtracks._arranger.styles import Layer
from musiscene.soundtracks._arranger.timing import Frame

_LOOSE = frozenset({"jazz comp", "lofi chords", "bossa comp", "scratch", "skank", "stabs", "shiver"})
"""Patterns that a player varies from bar to bar."""

_STRUMMED = frozenset({"strum", "boomchick"})

_RINGING = frozenset({"ballad", "fingerpick", "arpeggio", "harp"})
"""Patterns whose notes ring until the harmony changes: the pedal, or strings left alone."""

_RINGS_S = 3.0
"""No note rings on for longer."""


class Accompanist:
    """Plays one layer of chords."""

    def __init__(
        self,
        layer: Layer,
        instrument: Instrument,
        harmony: Harmony,
        frame: Frame,
        rng: random.Random,
        *,
        busier: float = 0.0,
    ) -> None:
        self._layer, self._harmony, self._frame, self._rng = layer, harmony, frame, rng
        self._instrument, self._busier = instrument, busier
        self._rings = layer.pattern in _RINGING and not instrument.sustained
        arpeggiated = layer.role == "arp" or layer.pattern in ("harp", "arpeggio", "fingerpick", "sequence", "roll")
        seventh = any(len(span.chord.tones) > 3 for span in harmony.spans)
        self._voices = 4 if (seventh or layer.role == "pad" or arpeggiated) else 3
        if layer.pattern == "ostinato":
            self._voices = 3
        low, high = instrument.low, instrument.high
        register = min(max(layer.register, low + 7), high - 7)
        self._voicings = voicings(
            harmony.spans,
            voices=self._voices,
            register=register,
            low=low,
            high=high,
            rootless=layer.role == "comp",
            power=layer.pattern == "power",
        )

    def bar(self, bar: int, energy: float) -> list[Note]:
        """The notes of one bar; more energy takes a denser pattern."""
        meter = self._frame.meter
        name = self._layer.pattern
        family = patterns.COMPING[name]["c" if meter.compound else ("3" if meter.beats == 3 else "4")]
        span = max(0.05, 1.0 - self._layer.enters)
        wish = (energy + self._busier - self._layer.enters) / span * len(family)
        variant = int(wish * 0.999)
        if name in _LOOSE and self._rng.random() < 0.4:
            variant += self._rng.choice((-1, 1))
        text = patterns.bar_pattern(patterns.COMPING[name], meter, variant)
        notes = self._play(text, bar)
        if self._rings:
            return [self._ringing(note) for note in notes]
        if name == "hold" and self._instrument.sustained:
            return self._suspended(notes)
        return notes

    def _ringing(self, note: Note) -> Note:
        """Held until the chord ends, as far as an ear would follow it."""
        span = self._harmony.spans[self._harmony.index_at(note.beat)]
        longest = _RINGS_S * self._frame.clock.usual_bpm() / 60.0
        return note._replace(length=max(note.length, min(span.beat + span.length - note.beat, longest)))

    def _suspended(self, notes: list[Note]) -> list[Note]:
        """Now and then one voice comes late: it keeps the note of the chord before and steps down to its own."""
        found: list[Note] = []
        for note in notes:
            index = self._harmony.index_at(note.beat)
            fresh = index > 0 and abs(self._harmony.spans[index].beat - note.beat) < 1e-6
            above = [pitch for pitch in self._voicings[index - 1] if 1 <= pitch - note.pitch <= 2] if fresh else []
            late = note.length / 2
            if above and late >= 1.0 and above[0] not in self._voicings[index] and self._rng.random() < 0.4:
                found.append(note._replace(length=late, pitch=above[0]))
                found.append(note._replace(beat=note.beat + late, length=note.length - late))
            else:
                found.append(note)
        return found

    def final(self) -> list[Note]:
        """The last chord, spread a little and held to the end."""
        span = self._harmony.spans[-1]
        pitches = list(self._voicings[-1])
        if self._layer.role == "arp":
            step = min(0.25, span.length / 12)
            return [Note(span.beat + i * step, span.length - i * step, p, 76) for i, p in enumerate(pitches)]
        if self._layer.pattern in ("ballad", "fingerpick", "oompah", "boomchick"):
            pitches.insert(0, self._low_note(span.chord.root))
        spread = 0.0 if self._instrument.sustained else min(0.06, span.length / 20)
        return [
            Note(span.beat + i * spread, span.length - i * spread, p, 84) for i, p in enumerate(sorted(set(pitches)))
        ]

    def _low_note(self, tone: int) -> int:
        low = self._instrument.low
        return theory.nearest(max(low + 5, self._layer.register - 17), (tone,), low, self._layer.register - 5)

    def _play(self, text: str, bar: int) -> list[Note]:
        meter, harmony = self._frame.meter, self._harmony
        start = float(bar * meter.beats)
        notes: list[Note] = []
        for stroke, (symbol, offset, length) in enumerate(patterns.strokes(text, meter)):
            beat, left = start + offset, length
            # Swept over a change of harmony, a chord is played again with the new one.
            index = harmony.index_at(beat)
            while True:
                span = harmony.spans[index]
                until = min(beat + left, span.beat + span.length)
                notes += self._stroke(symbol, index, beat, until - beat, stroke)
                if until >= beat + left - 1e-6 or index + 1 >= len(harmony.spans):
                    break
                left -= until - beat
                beat, index = until, index + 1
        return notes

    def _stroke(self, symbol: str, index: int, beat: float, length: float, stroke: int) -> list[Note]:
        voicing = self._voicings[index]
        chord = self._harmony.spans[index].chord
        if symbol in "bf":
            tone = (
                chord.bass
                if symbol == "b"
                else next((tone for tone in chord.tones if (tone - chord.root) % 12 in (6, 7, 8)), chord.root)
            )
            return [Note(beat, length, self._low_note(tone), 82)]
        if symbol.isdigit():
            position = int(symbol)
            pitch = voicing[position % len(voicing)] + 12 * (position // len(voicing))
            while pitch > self._instrument.high:
                pitch -= 12
            return [Note(beat, length, pitch, 74)]
        velocity = 88 if symbol == "X" else 76
        if self._layer.pattern in _STRUMMED and len(voicing) > 2:
            upwards = stroke % 2 == 1 and abs(beat * 2 - round(beat * 2)) < 1e-6 and round(beat * 2) % 2 == 1
            order = voicing[::-1] if upwards else voicing
            gap = 0.018 if upwards else 0.026
            return [
                Note(beat + i * gap, max(0.05, length - i * gap), pitch, velocity - (14 if upwards else 0) - 2 * i)
                for i, pitch in enumerate(order)
            ]
        return [Note(beat, length, pitch, velocity) for pitch in voicing]
