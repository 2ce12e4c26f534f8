"""The melody: a motif that is stated, varied and returns, in phrases that ask and answer."""

from __future__ import annotations

import random
from itertools import pairwise

from musiscene.soundtracks._arranger import theory
from musiscene.soundtracks._arranger.form import Phrase
from musiscene.soundtracks._arranger.harmony import Harmony
from musiscene.soundtracks._arranger.motif import Cell, Inventor, Motif, landing_beat
from musiscene.soundtracks._arranger.piece import Meter, Note
from musiscene.soundtracks._arranger.styles import Style
from musiscene.soundtracks._arranger.timing import Frame

# Height of each bar's beginning above the phrase's level, in scale steps, and which bar is the climax.
_OUTLINES_OPEN = ((0, 1, 2, 1), (0, 1, 0, 1), (0, 1, 3, 1), (1, 0, 2, 1), (0, -1, 2, 1), (0, 0, 2, 3))
_OUTLINES_CLOSE = ((0, 1, 3, 0), (1, 3, 2, 0), (0, 2, 3, 0), (2, 3, 1, 0))
_SECTION_LEVEL = {"I": 0, "A": 0, "B": 2, "C": -1}
_SPARED = {
    "major": (9, 11),
    "minor": (2, 8),
    "harmonic minor": (2,),
    "dorian": (2,),
    "phrygian": (8,),
    "lydian": (2, 9),
    "mixolydian": (2, 9),
}
"""Degrees that a tune may do without, in semitones above the tonic; what marks the mode is not among them."""
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
        self._frame, self._harmony = frame, harmony
        self._meter: Meter = frame.meter
        self._low, self._high = low, high
        self._rng = rng
        self._pentatonic = pentatonic
        # Most tunes that people sing leave a degree of the scale out, or touch it only where the chord has it.
        self._spared = rng.choice(_SPARED.get(harmony.mode, (12,))) if rng.random() < 0.75 else 12
        # Sing in the upper middle of the range; leave room above for the climax.
        self._home = min(low + round(0.5 * (high - low)), high - 8)
        # The faster the music, the plainer its rhythm has to be.
        plainness = min(1.0, max(0.0, (180.0 - frame.clock.usual_bpm()) / 50.0))
        self._ideas = Inventor(self._meter, density, style.syncopation * plainness, style, rng)
        first = self._ideas.invent()
        self._motifs = {"I": first, "A": first, "B": self._ideas.contrast(first)}
        self._motifs["C"] = self._ideas.matched(first.with_tail_first())
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
                cell, steps = self._cadence(phrase, motif)
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

    def _cadence(self, phrase: Phrase, motif: Motif) -> tuple[Cell, tuple[int, ...]]:
        """The phrase's last bar comes to rest on a long note, then a breath: the motif begins once more where things
        stay open, and plain beats walk home where they close.
        """
        beats = self._meter.beats
        landing = landing_beat(beats)
        breath = 0.5 if phrase.last else 1.0
        if self._meter.compound:
            breath = 1 / 3 if beats <= 2 else 1.0
        onsets = [onset for onset, _ in motif.head if onset < landing] or [0.0]
        if phrase.closing and landing >= 2:
            onsets = [float(beat) for beat in range(int(landing))]
        last = (landing, max(0.5, beats - landing - breath))
        steps = (*motif.steps[: len(onsets) - 1], -1)
        return (*zip(onsets, [b - a for a, b in pairwise([*onsets, landing])], strict=True), last), steps

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
        if previous is not None and abs(anchor - previous) > 4:
            anchor = previous + (4 if anchor > previous else -4)  # the outline is reached in two bars, without a jump
        notes: list[Note] = []
        pitch = anchor
        for index, (onset, length) in enumerate(cell):
            chord = harmony.at(start + onset)
            classes = self._scale_for(chord, start + onset)
            if index == 0:
                pitch = self._stable(anchor, chord, start)
            else:
                moved = theory.steps_from(pitch, steps[index - 1], classes)
                if abs(moved - notes[0].pitch) > _WINDOW:
                    moved = theory.steps_from(pitch, -steps[index - 1], classes)
                pitch = moved
                strong = self._meter.weight(onset) >= 0.7 or length >= 1.5
                tones = self._held_tones(chord, start + onset, classes)
                if strong and pitch % 12 not in tones:
                    # Onto the chord, on towards where the motif goes, and not back to the note it came from.
                    lean = 0.6 if steps[index - 1] > 0 else -0.6
                    came_from = notes[-1].pitch if abs(steps[index - 1]) > 1 else None
                    pitch = theory.nearest(pitch + lean, tones, self._low, self._high, avoid=came_from)
            if cadence and index == len(cell) - 1:
                pitch = self._goal(start + onset, pitch, phrase)
            pitch = self._kept(pitch)
            notes.append(Note(start + onset, length, pitch, 80))
        if cadence and len(notes) >= 2:
            notes[-2] = self._approach(notes[-2], notes[-1])
        return notes

    def _stable(self, near: int, chord: theory.Chord, beat: float) -> int:
        """A tone of the chord: the key's tonic or third if it has them not far away, since a tune circles its key."""
        tonic, mode = self._harmony.key_at(beat)
        home = {tonic, (tonic + (3 if mode in theory.MINOR_MODES else 4)) % 12}
        tones = self._held_tones(chord, beat, chord.core)
        shared = tuple(tone for tone in tones if tone in home)
        pitch = theory.nearest(near, shared or tones, self._low, self._high)
        return pitch if abs(pitch - near) <= 3 else theory.nearest(near, tones, self._low, self._high)

    def _held_tones(self, chord: theory.Chord, beat: float, classes: tuple[int, ...]) -> tuple[int, ...]:
        """Tones of the chord to stay on: those of the key where it has two, which hold a tune together over strange
        chords.
        """
        key = self._harmony.scale_at(beat)
        tones = tuple(tone for tone in chord.tones if tone in chord.core or tone in classes)[:4]
        common = tuple(tone for tone in tones if tone in key)
        return common if len(common) >= 2 else tones

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
        scale = self._scale_for(self._harmony.at(note.beat), note.beat)
        neighbour = self._kept(theory.steps_from(note.pitch, rng.choice((1, 1, -1)), scale))
        first_length = 0.75 if self._ideas.dotted else 0.5
        held = note.length - 1.0 if note.length >= 1.5 else 0.0
        kept = [note._replace(length=held)] if held else []
        pair = (neighbour, note.pitch) if held else (note.pitch, neighbour)
        first = Note(note.beat + held, first_length, pair[0], note.velocity)
        second = Note(first.beat + first_length, note.length - held - first_length, pair[1], note.velocity)
        return [*notes[:index], *kept, first, second, *notes[index + 1 :]]

    def _scale_for(self, chord: theory.Chord, beat: float) -> tuple[int, ...]:
        classes = self._harmony.local_scale(chord, beat)
        tonic, mode = self._harmony.key_at(beat)
        if not self._pentatonic:
            spared = (tonic + self._spared) % 12 if self._spared < 12 else -1
            key = self._harmony.scale_at(beat)
            return tuple(one for one in classes if one in chord.core or (one in key and one != spared))
        # The pentatonic leaves out the two degrees that make semitones.
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
