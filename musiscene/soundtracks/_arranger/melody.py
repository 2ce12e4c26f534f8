"""The melody: a motif that is stated, varied and returns, in phrases that ask and answer."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from musiscene.soundtracks._arranger import theory
from musiscene.soundtracks._arranger.chance import weighted
from musiscene.soundtracks._arranger.form import Phrase
from musiscene.soundtracks._arranger.harmony import Harmony
from musiscene.soundtracks._arranger.piece import Meter, Note
from musiscene.soundtracks._arranger.styles import Style
from musiscene.soundtracks._arranger.timing import Frame

Cell = tuple[tuple[float, float], ...]
"""Onset and length of each note of a bar, in beats."""


@dataclass(frozen=True, slots=True)
class Motif:
    """The musical idea of a section.

    Attributes:
        head: Rhythm of its first bar.
        tail: Rhythm of its second bar: it comes to rest.
        steps: Scale steps from note to note of the head.
        tail_steps: The same for the tail.
    """

    head: Cell
    tail: Cell
    steps: tuple[int, ...]
    tail_steps: tuple[int, ...]

    def inverted(self) -> Motif:
        """Upside down."""
        return replace(self, steps=tuple(-s for s in self.steps), tail_steps=tuple(-s for s in self.tail_steps))

    def with_tail_first(self) -> Motif:
        """The rest comes first, the movement answers."""
        return Motif(self.tail, self.head, self.tail_steps, self.steps)


# Height of each bar's beginning above the phrase's level, in scale steps, and which bar is the climax.
_OUTLINES_OPEN = ((0, 1, 2, 1), (0, 1, 3, 1), (1, 0, 2, 1), (0, -1, 2, 1), (0, 0, 2, 3))
_OUTLINES_CLOSE = ((0, 1, 3, 0), (1, 3, 2, 0), (0, 2, 3, 0), (2, 3, 1, 0))
_SECTION_LEVEL = {"I": 0, "A": 0, "B": 2, "C": -1}
_WINDOW = 7
"""No note of a bar is farther from where the bar begins, in semitones: most melodies stay within an octave or so."""


class Composer:
    """Writes the melody of a piece for one instrument's range."""

    def __init__(
        self,
        style: Style,
        frame: Frame,
        harmony: Harmony,
        low: int,
        high: int,
        rng: random.Random,
        *,
        density: float,
        pentatonic: bool = False,
    ) -> None:
        self._style, self._frame, self._harmony = style, frame, harmony
        self._meter: Meter = frame.meter
        self._low, self._high = low, high
        self._rng = rng
        self._density = density
        self._pentatonic = pentatonic
        # Sing in the upper middle of the range; leave room above for the climax.
        self._home = min(low + round(0.5 * (high - low)), high - 8)
        # Either walking or running: one length of note is heard most in a melody.
        self._plain = rng.choice((0.4, 1.2)) if density < 1.5 else 0.4
        self._divisions = self._chosen_divisions()
        self._motifs: dict[str, Motif] = {}
        first = self._invent()
        self._motifs["A"] = self._motifs["I"] = first
        second = first.inverted() if rng.random() < 0.5 else self._invent()
        self._motifs["B"] = (
            replace(second, head=self._head(min(2.2, self._density * 1.2))) if rng.random() < 0.5 else second
        )
        self._motifs["B"] = self._matched(self._motifs["B"])
        self._motifs["C"] = self._matched(first.with_tail_first())
        self._outlines: dict[tuple[str, bool], tuple[int, ...]] = {}
        for letter in ("I", "A", "B", "C"):
            self._outlines[letter, False] = rng.choice(_OUTLINES_OPEN)
            self._outlines[letter, True] = rng.choice(_OUTLINES_CLOSE)

    def phrase(self, phrase: Phrase, energy: float) -> list[Note]:
        """The notes of one phrase; every phrase ends with a breath."""
        motif = self._motifs[phrase.section]
        outline = self._outlines[phrase.section, phrase.closing]
        beats = self._meter.beats
        notes: list[Note] = []
        rng = random.Random(self._rng.random() if phrase.visit else f"{phrase.section}{phrase.closing}")
        level = _SECTION_LEVEL[phrase.section] + (1 if phrase.visit >= 1 and energy > 0.6 else 0)
        previous: int | None = None
        for bar in range(phrase.bars):
            start = float((phrase.start + bar) * beats)
            last_bar = bar == phrase.bars - 1
            height = outline[min(bar, 3)] if phrase.bars >= 3 else outline[min(3, bar * 2)]
            if last_bar:
                cell, steps = self._cadence(phrase)
            elif bar % 2 == 0:
                cell, steps = motif.head, motif.steps
                if phrase.visit and bar >= 2:
                    steps = tuple(-step for step in steps) if rng.random() < 0.25 else steps
            else:
                cell, steps = motif.tail, motif.tail_steps
            written = self._bar(start, cell, steps, level + height, previous, cadence=last_bar, phrase=phrase)
            if phrase.visit and not last_bar and energy > 0.35 and rng.random() < 0.6:
                written = self._ornament(written, rng)
            notes += written
            if notes:
                previous = notes[-1].pitch
        return _smoothed(notes, self._low, self._high)

    def final(self, previous: int | None) -> list[Note]:
        """The last note: the tonic chord's, near where the melody was, held to the end."""
        span = self._harmony.spans[-1]
        near = previous if previous is not None else self._home
        third_or_root = (span.chord.core[0],) if self._rng.random() < 0.75 else span.chord.core[:2]
        pitch = theory.nearest(near, third_or_root, self._low, self._high)
        return [Note(span.beat, span.length, pitch, 90)]

    def pickup(self, target: int) -> list[Note]:
        """A short run up to the first downbeat, within the frame's pick-up."""
        count = min(3, int(self._frame.pickup * 2))
        notes = []
        pitch = target
        for index in range(count):
            pitch = theory.steps_from(pitch, -1, self._harmony.scale)
            notes.append(Note(-(index + 1) * 0.5, 0.5, max(self._low, pitch), 80))
        return sorted(notes)

    def _invent(self) -> Motif:
        return self._matched(Motif(self._head(self._density), self._rhythm(self._density * 0.6, tail=True), (), ()))

    def _chosen_divisions(self) -> list[tuple[tuple[float, ...], float]]:
        """One or two ways of dividing a beat, which then mark the whole melody: more would not be remembered."""
        slow = self._style.tempo[1] < 90
        density, syncopation = self._density, self._style.syncopation
        choices: list[tuple[tuple[float, ...], float]] = [
            ((0.0, 0.5), 0.6),
            ((0.0, 0.75), 0.12),
            ((0.5,), 0.4 * syncopation),
            ((0.0, 0.5, 0.75), (0.22 if slow else 0.12) * density),
            ((0.0, 0.25, 0.5, 0.75), (0.1 if slow else 0.05) * max(0.0, density - 0.9) ** 2 * 4),
        ]
        first = weighted(self._rng, [(choice, choice[1]) for choice in choices])
        second = weighted(self._rng, [(choice, choice[1]) for choice in choices])
        return [(first[0], 0.8)] if first == second else [(first[0], 0.65), (second[0], 0.15)]

    def _head(self, density: float) -> Cell:
        """A rhythm that can be recognised again: two notes at the least, three where the music moves."""
        least = 2 if density < 0.5 or self._meter.beats < 3 else 3
        head = self._rhythm(density, tail=False)
        for _ in range(12):
            if len(head) >= least:
                break
            head = self._rhythm(max(density, 0.5) * 1.25, tail=False)
        return head

    def _matched(self, motif: Motif) -> Motif:
        """The motif with as many steps as its rhythms need."""
        head, tail = len(motif.head) - 1, len(motif.tail) - 1
        steps = motif.steps if len(motif.steps) == head else self._contour(head)
        tail_steps = motif.tail_steps if len(motif.tail_steps) == tail else self._contour(tail)
        return replace(motif, steps=steps, tail_steps=tail_steps)

    def _rhythm(self, density: float, *, tail: bool) -> Cell:
        """Divide a bar: each beat is held over, plain, or divided, the more the denser."""
        rng, meter = self._rng, self._meter
        onsets: list[float] = []
        for beat in range(meter.beats):
            if meter.compound:
                options: list[tuple[tuple[float, ...], float]] = [
                    ((), max(0.05, 0.6 - 0.35 * density)),
                    ((0.0,), 0.5),
                    ((0.0, 2 / 3), 0.5 * density),
                    ((0.0, 1 / 3, 2 / 3), 0.45 * density * density),
                ]
            else:
                options = [((), max(0.04, 0.55 - 0.4 * density)), ((0.0,), self._plain)]
                options += [(division, weight * density) for division, weight in self._divisions]
            if tail and beat >= meter.beats - max(1, meter.beats // 3):
                options = [((), 1.0)]  # the breath
            chosen = weighted(rng, options)
            if beat == 0 and not chosen:
                chosen = (0.0,)
            onsets += [beat + part for part in chosen]
        if rng.random() < self._style.syncopation and len(onsets) > 2 and not meter.compound:
            index = rng.randrange(1, len(onsets))
            moved = onsets[index] - 0.5
            if abs(onsets[index] - round(onsets[index])) < 1e-6 and moved - onsets[index - 1] >= 0.25:
                onsets[index] = moved
        end = meter.beats - (0.5 if tail and meter.beats > 2 else 0.0)
        return tuple((onset, following - onset) for onset, following in zip(onsets, [*onsets[1:], end], strict=True))

    def _contour(self, count: int) -> tuple[int, ...]:
        """Mostly steps in one direction, at most one leap, which the next step fills (law of gap fill:
        L. B. Meyer, "Explaining Music", 1973, chapter 5).
        """
        rng = self._rng
        direction = rng.choice((1, 1, -1))
        turn = rng.randrange(1, count + 1) if count > 1 else 1
        leap_at = rng.randrange(0, count) if count and rng.random() < 0.6 else -1
        steps: list[int] = []
        for index in range(count):
            if index == turn:
                direction = -direction
            if steps and abs(steps[-1]) >= 3:
                step = -1 if steps[-1] > 0 else 1
            elif index == leap_at:
                step = direction * rng.choice((2, 3, 3, 4, 5))
            else:
                step = direction * weighted(rng, [(1, 1.0), (2, 0.18), (0, 0.24)])
            steps.append(step)
        return tuple(steps)

    def _cadence(self, phrase: Phrase) -> tuple[Cell, tuple[int, ...]]:
        """The phrase's last bar: two steps into a long note, then a breath."""
        beats = self._meter.beats
        breath = 0.5 if phrase.last else 1.0
        if self._meter.compound:
            breath = 1 / 3 if beats <= 2 else 1.0
            return ((0.0, 2 / 3), (2 / 3, 1 / 3), (1.0, max(1 / 3, beats - 1 - breath))), (-1, -1)
        if beats == 2:
            return ((0.0, 0.5), (0.5, 0.5), (1.0, 0.75)), (-1, -1)
        if self._density < 0.6:
            return ((0.0, 1.0), (1.0, beats - 1 - breath)), (-1,)
        return ((0.0, 1.0), (1.0, 0.5), (1.5, 0.5), (2.0, max(0.5, beats - 2 - breath))), (1, -1, -1)

    def _bar(
        self,
        start: float,
        cell: Cell,
        steps: tuple[int, ...],
        height: int,
        previous: int | None,
        *,
        cadence: bool,
        phrase: Phrase,
    ) -> list[Note]:
        harmony, scale = self._harmony, self._harmony.scale_at(start)
        home = theory.nearest(self._home, scale, self._low, self._high)
        anchor = theory.steps_from(home, height, scale) if height else home
        if previous is not None and abs(anchor - previous) > 5:
            anchor = previous + (5 if anchor > previous else -5)  # the outline is reached in two bars, without a jump
        notes: list[Note] = []
        pitch = anchor
        for index, (onset, length) in enumerate(cell):
            chord = harmony.at(start + onset)
            classes = self._scale_for(chord, start + onset)
            if index == 0:
                pitch = theory.nearest(anchor, chord.core, self._low, self._high)
            else:
                moved = theory.steps_from(pitch, steps[index - 1], classes)
                if abs(moved - notes[0].pitch) > _WINDOW:
                    moved = theory.steps_from(pitch, -steps[index - 1], classes)
                pitch = moved
                strong = self._meter.weight(onset) >= 0.7 or length >= 1.5
                if strong and pitch % 12 not in chord.tones:
                    # Onto the chord, on towards where the motif goes, and not back to the note it came from.
                    lean = 0.6 if steps[index - 1] > 0 else -0.6
                    came_from = notes[-1].pitch if abs(steps[index - 1]) > 1 else None
                    pitch = theory.nearest(pitch + lean, chord.tones, self._low, self._high, avoid=came_from)
            if cadence and index == len(cell) - 1:
                pitch = self._goal(start + onset, pitch, phrase)
            pitch = self._kept(pitch)
            notes.append(Note(start + onset, length, pitch, 80))
        if cadence and len(notes) >= 2:
            notes[-2] = self._approach(notes[-2], notes[-1])
        return notes

    def _goal(self, beat: float, near: int, phrase: Phrase) -> int:
        """Where a phrase ends: the tonic when it closes, another tone of the chord when it leaves things open."""
        chord, (tonic, _) = self._harmony.at(beat), self._harmony.key_at(beat)
        if phrase.closing and not phrase.last and tonic in chord.tones:
            return theory.nearest(near, (tonic,), self._low, self._high)
        others = tuple(tone for tone in chord.core if tone != tonic) or chord.core
        return theory.nearest(near, others, self._low, self._high)

    def _approach(self, note: Note, goal: Note) -> Note:
        """The note before the goal comes from the side, by step."""
        scale = self._harmony.scale_at(note.beat)
        above = theory.steps_from(goal.pitch, 1, scale)
        below = theory.steps_from(goal.pitch, -1, scale)
        pitch = above if abs(above - note.pitch) <= abs(below - note.pitch) else below
        return note._replace(pitch=self._kept(pitch))

    def _ornament(self, notes: list[Note], rng: random.Random) -> list[Note]:
        """Divide one long note with its upper neighbour."""
        long = [index for index, note in enumerate(notes) if note.length >= 1.0]
        if not long or self._meter.compound:
            return notes
        index = rng.choice(long)
        note = notes[index]
        scale = self._harmony.scale_at(note.beat)
        neighbour = self._kept(theory.steps_from(note.pitch, rng.choice((1, 1, -1)), scale))
        half = 0.5 if note.length < 2 else 1.0
        parts = [note._replace(length=half), Note(note.beat + half, half / 2, neighbour, note.velocity)]
        rest = note.length - 1.5 * half
        parts.append(Note(note.beat + 1.5 * half, rest, note.pitch, note.velocity))
        if note.length < 1.5 * half + 0.2:
            return notes
        return [*notes[:index], *parts, *notes[index + 1 :]]

    def _scale_for(self, chord: theory.Chord, beat: float) -> tuple[int, ...]:
        classes = self._harmony.local_scale(chord, beat)
        if not self._pentatonic:
            return classes
        # The pentatonic leaves out the two degrees that make semitones.
        tonic, mode = self._harmony.key_at(beat)
        degrees = (0, 3, 5, 7, 10) if mode in theory.MINOR_MODES else (0, 2, 4, 7, 9)
        five = tuple((tonic + degree) % 12 for degree in degrees)
        return tuple(sorted({*five, *chord.core[:1]}))

    def _kept(self, pitch: int) -> int:
        while pitch > self._high:
            pitch -= 12
        while pitch < self._low:
            pitch += 12
        return pitch


def _smoothed(notes: list[Note], low: int, high: int) -> list[Note]:
    """No leap beyond an octave, and no pitch more than three times in a row is left to chance: an octave is moved."""
    found: list[Note] = []
    for note in notes:
        pitch = note.pitch
        if found:
            while pitch - found[-1].pitch > 9 and pitch - 12 >= low:
                pitch -= 12
            while found[-1].pitch - pitch > 9 and pitch + 12 <= high:
                pitch += 12
        found.append(note._replace(pitch=pitch))
    return found
