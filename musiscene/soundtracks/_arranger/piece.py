"""What the composer writes: notes in parts, over bars on a clock."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Note(NamedTuple):
    """A note of a part.

    Attributes:
        beat: Start, in beats from the first downbeat; negative in a pick-up.
        length: In beats.
        pitch: MIDI key.
        velocity: 1 to 127.
    """

    beat: float
    length: float
    pitch: int
    velocity: int


def swell_shape(bars: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far long notes have swelled at these positions in bars, -1 to 0: most in the third bar of four."""
    inside = np.mod(bars, 4.0) / 4.0
    rising, falling = inside / 0.65, (1.0 - inside) / 0.35
    return np.asarray(np.sin(0.5 * np.pi * np.minimum(rising, falling)) - 1.0)


@dataclass(slots=True)
class Part:
    """One instrument with its notes and its place in the room.

    Attributes:
        name: Track name, human-readable.
        role: "melody", "counter", "bass", "comp", "pad", "arp", "drums", "double" or "hit".
        program: General MIDI program, 0-based; the kit's program for drums.
        pan: -1 (left) to 1 (right).
        gain_db: Relative to the other parts, instruments being balanced first.
        reverb: Send to the room, 0 to 1.
        swell: Long notes rise and fall by this many decibels; 0 for struck and plucked instruments.
    """

    name: str
    role: str
    program: int
    drums: bool = False
    pan: float = 0.0
    gain_db: float = 0.0
    reverb: float = 0.25
    swell: float = 0.0
    notes: list[Note] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Meter:
    """A time signature. In compound meters (6/8, 12/8) a beat is a dotted quarter."""

    name: str
    beats: int
    steps_per_beat: int
    quarters_per_beat: float

    @property
    def steps(self) -> int:
        """Grid positions of one bar (sixteenths)."""
        return self.beats * self.steps_per_beat

    @property
    def compound(self) -> bool:
        """Whether a beat divides into three."""
        return self.steps_per_beat == 6

    def weight(self, beat: float) -> float:
        """Metrical accent of a position in the bar: 1 on the downbeat down to 0.1 between the sixteenths."""
        position = beat % self.beats
        if abs(position) < 1e-6:
            return 1.0
        if abs(position - round(position)) < 1e-6:
            middle = self.beats % 2 == 0 and abs(position - self.beats / 2) < 1e-6
            return 0.75 if middle else 0.55
        if not self.compound and abs(position * 2 - round(position * 2)) < 1e-6:
            return 0.35
        return 0.25


METERS = {
    "4/4": Meter("4/4", 4, 4, 1.0),
    "3/4": Meter("3/4", 3, 4, 1.0),
    "2/4": Meter("2/4", 2, 4, 1.0),
    "5/4": Meter("5/4", 5, 4, 1.0),
    "7/4": Meter("7/4", 7, 4, 1.0),
    "7/8": Meter("7/8", 7, 2, 0.5),
    "6/8": Meter("6/8", 2, 6, 1.5),
    "9/8": Meter("9/8", 3, 6, 1.5),
    "12/8": Meter("12/8", 4, 6, 1.5),
}
"""The meters that the arranger writes."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Beats to seconds: the tempo is constant between the beats in `beats`.

    Attributes:
        beats: Increasing, in beats; the first may be negative.
        seconds: When each of them falls; as many.
        last_bpm: Tempo after the last.
    """

    beats: tuple[float, ...]
    seconds: tuple[float, ...]
    last_bpm: float

    def at(self, beat: float) -> float:
        """When `beat` falls, in seconds."""
        index = bisect_right(self.beats, beat) - 1
        if index >= len(self.beats) - 1 or len(self.beats) == 1:
            return self.seconds[-1] + (beat - self.beats[-1]) * 60.0 / self.last_bpm
        index = max(0, index)
        rate = (self.seconds[index + 1] - self.seconds[index]) / (self.beats[index + 1] - self.beats[index])
        return self.seconds[index] + (beat - self.beats[index]) * rate

    def beat_at(self, second: float) -> float:
        """Which beat falls at `second`."""
        index = bisect_right(self.seconds, second) - 1
        if index >= len(self.seconds) - 1 or len(self.seconds) == 1:
            return self.beats[-1] + (second - self.seconds[-1]) * self.last_bpm / 60.0
        index = max(0, index)
        rate = (self.beats[index + 1] - self.beats[index]) / (self.seconds[index + 1] - self.seconds[index])
        return self.beats[index] + (second - self.seconds[index]) * rate

    def usual_bpm(self) -> float:
        """The tempo that most beats have: the median over beats; the last stretch counts as one bar."""
        tempi = self.tempi()
        spans = [after - before for before, after in pairwise(self.beats)] + [4.0]
        ordered = sorted((tempo, span) for (_, tempo), span in zip(tempi, spans, strict=True))
        half, passed = 0.5 * sum(spans), 0.0
        for tempo, span in ordered:
            passed += span
            if passed >= half:
                return tempo
        return self.last_bpm

    def tempi(self) -> list[tuple[float, float]]:
        """(beat, tempo in beats per minute) at each change."""
        changes = []
        for index in range(len(self.beats) - 1):
            span = self.seconds[index + 1] - self.seconds[index]
            changes.append((self.beats[index], 60.0 * (self.beats[index + 1] - self.beats[index]) / span))
        changes.append((self.beats[-1], self.last_bpm))
        return changes


@dataclass(frozen=True, slots=True)
class Piece:
    """A whole composition, ready to be played or written to a file.

    Attributes:
        title: For the file.
        duration_s: Exact length.
        meter: Its time signature.
        clock: Beats to seconds.
        tonic: Pitch class.
        mode: A name of `theory.MODES`.
        parts: The instruments.
        levels: Energy over the whole length, evenly spaced, 0 to 1: the mix follows it.
        level_depth_db: How far the mix falls at energy 0.
        room: Which of the mix's rooms it plays in.
        pumps_db: How far everything but the drums dips at each stroke of the bass drum.
        last_chord_s: When the final chord falls.
        facts: What was decided, JSON-ready.
        markers: (beat, name) of the sections.
        keys: (beat, tonic, mode) where the key changes; the first is at beat 0.
    """

    title: str
    duration_s: float
    meter: Meter
    clock: Clock
    tonic: int
    mode: str
    parts: list[Part]
    levels: tuple[float, ...]
    level_depth_db: float
    room: str
    last_chord_s: float
    facts: dict[str, object]
    markers: tuple[tuple[float, str], ...]
    keys: tuple[tuple[float, int, str], ...] = ()
    pumps_db: float = 0.0
