"""The bass line: roots where the harmony changes, and steps that lead to the next root."""

from __future__ import annotations

import random

from musiscene.soundtracks._arranger import patterns, theory
from musiscene.soundtracks._arranger.harmony import Harmony
from musiscene.soundtracks._arranger.instruments import Instrument
from musiscene.soundtracks._arranger.piece import Note
from musiscene.soundtracks._arranger.styles import Layer
from musiscene.soundtracks._arranger.timing import Frame

_CHROMATIC = frozenset({"walking", "funk", "tumbao"})


class Bassist:
    """Plays the bass."""

    def __init__(
        self, layer: Layer, instrument: Instrument, harmony: Harmony, frame: Frame, rng: random.Random
    ) -> None:
        self._layer, self._harmony, self._frame, self._rng = layer, harmony, frame, rng
        self._low, self._top = instrument.low, instrument.high
        self._high = min(self._top, self._low + 24)
        self._centre = self._low + 9
        self._previous = self._centre

    def bar(self, bar: int, energy: float) -> list[Note]:
        """The notes of one bar; more energy takes a busier pattern."""
        meter, harmony = self._frame.meter, self._harmony
        family = patterns.BASS[self._layer.pattern]["c" if meter.compound else ("3" if meter.beats == 3 else "4")]
        share = (energy - self._layer.enters) / max(0.05, 1.0 - self._layer.enters)
        text = patterns.bar_pattern(patterns.BASS[self._layer.pattern], meter, int(share * len(family) * 1.2))
        start = float(bar * meter.beats)
        notes: list[Note] = []
        last_index = -1
        for symbol, offset, length in patterns.strokes(text, meter):
            beat = start + offset
            index = harmony.index_at(beat)
            if index != last_index and last_index >= 0 and symbol in "fwta":
                symbol = "r"  # a new chord inside the bar is told by its root
            last_index = index
            pitch = self._pitch(symbol, index, beat)
            self._previous = pitch
            notes.append(Note(beat, length, pitch, 88 if symbol in "rpo" else 78))
        return self._with_changes(notes, start)

    def final(self) -> list[Note]:
        """The tonic, held."""
        span = self._harmony.spans[-1]
        return [Note(span.beat, span.length, self._root(span.chord.root), 92)]

    def _with_changes(self, notes: list[Note], start: float) -> list[Note]:
        """Where a held note would cover a change of harmony, the new root is played there."""
        found: list[Note] = []
        for note in notes:
            index = self._harmony.index_at(note.beat)
            span = self._harmony.spans[index]
            until = span.beat + span.length
            if (
                self._layer.pattern == "pedal"
                or note.beat + note.length <= until + 1e-6
                or index + 1 >= len(self._harmony.spans)
            ):
                found.append(note)
                continue
            found.append(note._replace(length=until - note.beat))
            rest = note.beat + note.length - until
            if rest >= 0.25:
                found.append(Note(until, rest, self._root(self._harmony.spans[index + 1].chord.bass), note.velocity))
        return found

    def _root(self, tone: int) -> int:
        """The root nearest to where the line is, drawn to its home."""
        near = 0.6 * self._previous + 0.4 * self._centre
        return theory.nearest(near, (tone,), self._low, self._high)

    def _pitch(self, symbol: str, index: int, beat: float) -> int:
        spans = self._harmony.spans
        chord = spans[index].chord
        following = spans[min(index + 1, len(spans) - 1)].chord
        if symbol == "r":
            return self._root(chord.bass)
        if symbol == "p":
            return theory.nearest(self._centre, (self._harmony.key_at(beat)[0],), self._low, self._high)
        if symbol == "n":
            return self._root(following.bass)
        if symbol == "o":
            root = self._root(chord.root)
            return root + 12 if root + 12 <= self._top else root
        if symbol in "ft":
            wanted = (
                chord.core[1:2]
                if symbol == "t"
                else tuple(tone for tone in chord.tones if (tone - chord.root) % 12 in (6, 7, 8))
            )
            return theory.nearest(self._previous + 2, wanted or (chord.root,), self._low, self._high)
        if symbol == "a":
            return self._approach(self._root(following.bass), beat)
        return self._walk(chord, self._root(following.bass), beat)

    def _approach(self, target: int, beat: float) -> int:
        if self._layer.pattern in _CHROMATIC and self._rng.random() < 0.6:
            step = -1 if self._previous <= target else 1
            return min(self._high, max(self._low, target + step))
        scale = self._harmony.scale_at(beat)
        step = -1 if self._previous < target else 1
        if target - 3 < self._low:
            step = 1
        return theory.steps_from(target, step, scale)

    def _walk(self, chord: theory.Chord, target: int, beat: float) -> int:
        """The next note of a walk: a chord tone or scale step on the way to `target`."""
        direction = 1 if target > self._previous or self._previous - 5 < self._low else -1
        if self._previous + 5 > self._high:
            direction = -1
        if self._rng.random() < 0.5:
            pitch = self._previous + direction
            while pitch % 12 not in chord.tones and self._low < pitch < self._high:
                pitch += direction
        else:
            pitch = theory.steps_from(self._previous, direction, self._harmony.local_scale(chord, beat))
        return min(self._high, max(self._low, pitch))
