"""Drums: a groove by energy, fills before new sections, a crash where they begin."""

from __future__ import annotations

import random

from musiscene.soundtracks._arranger import grooves, patterns
from musiscene.soundtracks._arranger.form import Phrase
from musiscene.soundtracks._arranger.grooves import Groove
from musiscene.soundtracks._arranger.piece import Note
from musiscene.soundtracks._arranger.timing import Frame

_FILLS: dict[str, tuple[int, ...]] = {
    "toms": (grooves.TOM_HIGH, grooves.TOM_MID, grooves.TOM_LOW, grooves.TOM_FLOOR),
    "snare": (grooves.SNARE, grooves.SNARE, grooves.SNARE, grooves.SNARE),
    "roll": (grooves.SNARE, grooves.SNARE, grooves.SNARE, grooves.SNARE),
    "small": (grooves.SNARE, grooves.STICK),
    "timbale": (grooves.TIMBALE, 66, grooves.TIMBALE, 66),
}


class Drummer:
    """Plays the kit."""

    def __init__(self, groove: Groove, frame: Frame, rng: random.Random, *, half_time: bool = False) -> None:
        self._groove, self._frame, self._rng = groove, frame, rng
        self._half_time = half_time
        # One take's habits: an extra soft kick somewhere, and how the cymbals keep time.
        self._extra_kick = rng.choice((None, 3, 6, 7, 11, 14, 15))
        self._cymbals = rng.choice(("as written", "off the beat", "open"))

    def bar(self, bar: int, energy: float, phrase: Phrase | None, *, fill: bool, crash: bool) -> list[Note]:
        """The hits of one bar."""
        meter = self._frame.meter
        start = float(bar * meter.beats)
        fill_from, size = float("inf"), 0
        notes: list[Note] = []
        if fill and energy > 0.3:
            size = 1 if energy < 0.6 or meter.beats <= 3 else self._rng.choice((1, 2))
            if self._groove.kit == grooves.ELECTRONIC and meter.beats == 4 and energy > 0.6 and not meter.compound:
                size = 4 if self._groove.fill == "roll" else 2
            fill_from = start + meter.beats - size
            notes += self._fill(fill_from, size, energy)
        for line in self._groove.lines:
            if not line.low <= energy < line.high:
                continue
            steps = line.compound if meter.compound else line.steps
            if not steps:
                continue
            text = (
                self._waltz(line.key, steps) if meter.beats == 3 and not meter.compound else patterns.fit(steps, meter)
            )
            if self._half_time and not meter.compound:
                text = _halved(text, bar)
            text = self._own(line.key, text, bar)
            for step, symbol in enumerate(text):
                if symbol == ".":
                    continue
                beat = start + step / meter.steps_per_beat
                if beat >= fill_from + (2.0 if size > 2 and line.key == grooves.KICK else 0.0) and (
                    size > 2 or line.key not in (grooves.KICK, grooves.PEDAL_HAT)
                ):
                    continue
                loud = {"X": 1.0, "x": 0.8, "g": 0.42}[symbol] * line.loudness
                notes.append(Note(beat, 0.25, line.key, round(min(127, 34 + 88 * loud))))
        ends = phrase is not None and bar == phrase.end - 1
        if ends and not fill and energy > 0.35 and not meter.compound:
            notes += self._hint(start + meter.beats - 0.5)
        if crash and self._groove.crash and energy > 0.45:
            notes.append(Note(start, 1.0, grooves.CRASH, round(60 + 40 * energy)))
        return notes

    def _hint(self, beat: float) -> list[Note]:
        """A phrase that goes on is closed by a small sign."""
        keys = {line.key for line in self._groove.lines}
        if grooves.HAT in keys and self._groove.fill != "small":
            return [Note(beat, 0.5, grooves.OPEN_HAT, 72)]
        if grooves.SNARE in keys:
            return [Note(beat, 0.25, grooves.SNARE, 48), Note(beat + 0.25, 0.25, grooves.SNARE, 56)]
        return []

    def final(self, beat: float, energy: float) -> list[Note]:
        """The last hit: kick and cymbal together."""
        notes = [Note(beat, 1.0, grooves.KICK, round(70 + 30 * energy))]
        if energy > 0.35 and self._groove.crash:
            notes.append(Note(beat, 2.0, grooves.CRASH, round(56 + 40 * energy)))
        elif any(line.key == grooves.RIDE for line in self._groove.lines):
            notes.append(Note(beat, 2.0, grooves.RIDE, 70))
        return notes

    def accent(self, beat: float, energy: float) -> list[Note]:
        """On a cut."""
        if energy < 0.4:
            return [Note(beat, 0.5, grooves.KICK, 76)]
        return [
            Note(beat, 0.5, grooves.KICK, 110),
            Note(beat, 1.0, grooves.CRASH if self._groove.crash else grooves.RIDE, 84),
        ]

    def _own(self, key: int, text: str, bar: int) -> str:
        """The take's own way with a line, in metres of four sixteenths a beat."""
        if self._frame.meter.steps_per_beat != 4:
            return text
        steps = list(text)
        if key == grooves.KICK and self._extra_kick is not None and text.count("X") < 4 and bar % 2:
            at = self._extra_kick % len(steps)
            steps[at] = "g" if steps[at] == "." else steps[at]
        elif key in (grooves.HAT, grooves.RIDE) and self._cymbals == "off the beat":
            steps = [("X" if step % 4 == 2 else "x") if symbol != "." else symbol for step, symbol in enumerate(steps)]
        elif key in (grooves.HAT, grooves.SHAKER) and self._cymbals == "open":
            steps = ["." if step % 4 == 0 and symbol == "x" else symbol for step, symbol in enumerate(steps)]
        return "".join(steps)

    def _waltz(self, key: int, steps: str) -> str:
        """Three beats from four: low drums on one, what marked the backbeat on two and three."""
        beats = [steps[index : index + 4] for index in range(0, 16, 4)]
        if key in (grooves.KICK, grooves.TOM_FLOOR, grooves.CONGA_LOW):
            return beats[0] + "...." + "...."
        if key in (grooves.SNARE, grooves.SNARE_2, grooves.STICK, grooves.CLAP, grooves.TAMBOURINE):
            return "...." + beats[1].replace("X", "x") + beats[1].replace("X", "x")
        return beats[0] + beats[1] + beats[2]

    def _fill(self, start: float, beats: int, energy: float) -> list[Note]:
        keys = _FILLS[self._groove.fill]
        compound = self._frame.meter.compound
        if self._groove.fill == "roll" and self._groove.kit == grooves.ELECTRONIC and beats >= 4:
            return _accelerating(start, energy)
        parts = 3 if compound else (4 if energy > 0.5 else 2)
        count = beats * parts
        notes = []
        for index in range(count):
            key = keys[min(len(keys) - 1, index * len(keys) // count)]
            if self._rng.random() < 0.15 and index:
                continue
            loud = 62 + round(50 * energy * (index + 1) / count)
            notes.append(Note(start + index / parts, 1 / parts, key, min(120, loud)))
        return notes


def _accelerating(start: float, energy: float) -> list[Note]:
    """The roll of dance music before a new section: quarters, eighths, then sixteenths, ever louder."""
    beats = [0.0, 1.0, 2.0, 2.5, *(3.0 + step / 4 for step in range(4))]
    return [
        Note(start + beat, 0.25, grooves.SNARE, min(118, round(58 + 14 * beat * (0.6 + 0.5 * energy))))
        for beat in beats
    ]


def _halved(text: str, bar: int) -> str:
    """Half-time: one bar of the groove takes two; cymbals keep their pace by being doubled."""
    half = len(text) // 2
    part = text[:half] if bar % 2 == 0 else text[half:]
    return "".join(symbol + "." for symbol in part)
