"""Music whose tempo, meter and key are known, because it is composed here and rendered with a General MIDI SoundFont.

It shares no code with the arranger: a measure must not be made by what it measures. Styles, instruments, rhythm and
harmony are drawn from a seed; timing and velocity are humanised, a third of the items swing, rush or drag a little.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

SAMPLE_RATE = 44100
TPQ = 480
KEY_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

PROGRESSIONS = {
    "major": (
        "1 5 6 4",
        "1 6 4 5",
        "1 4 5 1",
        "1 4 1 5",
        "2 5 1 1",
        "6 4 1 5",
        "1 3 4 5",
        "1 5 4 4",
        "4 1 5 6",
        "1 2 4 1",
    ),
    "minor": (
        "1 6 3 7",
        "1 4 5 1",
        "1 7 6 5",
        "1 4 7 3",
        "1 6 4 5",
        "6 7 1 1",
        "1 5 6 4",
        "1 1 4 5",
        "4 1 5 1",
        "1 3 7 6",
    ),
}
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}

NATURAL_TEMPI = {
    "pop_band": (75, 140), "rock": (95, 190), "dance": (112, 145), "boom_bap": (70, 105), "drum_and_bass": (155, 180),
    "swing": (90, 190), "bossa": (105, 160), "reggae": (65, 95), "waltz_piano": (80, 190), "waltz_strings": (75, 180),
    "arpeggio": (60, 140), "sustained": (50, 110), "solo": (55, 130), "alberti": (70, 150), "march": (90, 130),
    "picking": (65, 130), "bluegrass": (95, 150), "montuno": (85, 125), "ballad": (50, 85), "hymn": (55, 100),
    "synthwave": (80, 120), "funk": (90, 120), "chip": (100, 180), "percussion": (70, 160),
}  # fmt: skip
STYLES = tuple(NATURAL_TEMPI)
UNPITCHED = frozenset({"percussion"})
"""Styles without a key."""


@dataclass(frozen=True, slots=True)
class Item:
    """One piece: everything about it follows from these fields."""

    style: str
    tempo_bpm: float
    tonic: int
    mode: str
    seed: int
    seconds: float = 20.0

    @property
    def key(self) -> str | None:
        """Its key as "A minor", or None for percussion alone."""
        return None if self.style in UNPITCHED else f"{KEY_NAMES[self.tonic]} {self.mode}"

    @property
    def meter(self) -> int:
        """Beats in a bar."""
        return 3 if self.style.startswith("waltz") else 4


def items(count: int, seed: int = 0, seconds: float = 20.0) -> list[Item]:
    """`count` pieces: styles and keys in turn; half at a tempo natural to the style, half anywhere in 50-190 BPM."""
    rng = random.Random(f"items {seed}")
    keys = [(tonic, mode) for tonic in range(12) for mode in ("major", "minor")]
    rng.shuffle(keys)
    made = []
    for number in range(count):
        style = STYLES[number % len(STYLES)]
        tonic, mode = keys[(number * 7 + number // len(STYLES)) % len(keys)]
        low, high = NATURAL_TEMPI[style] if (number // len(STYLES)) % 2 == 0 else (50, 190)
        tempo = round(low * (high / low) ** rng.random(), 1)
        made.append(Item(style, tempo, tonic, mode, seed * 100_003 + number, seconds))
    return made


def render(item: Item) -> np.ndarray:
    """The piece as `(channels, samples)` float32 at `SAMPLE_RATE`."""
    from musiscene.soundtracks._arranger.sampler import PlayedNote

    samples = int(item.seconds * SAMPLE_RATE)
    seconds_a_tick = 60 / item.tempo_bpm / TPQ
    waveform = np.zeros((2, samples), np.float32)
    for (program, is_drum), notes in _Player(item).compose().items():
        played = [
            PlayedNote(time * seconds_a_tick, max(1, duration) * seconds_a_tick, pitch, velocity)
            for time, duration, pitch, velocity in notes
        ]
        waveform += _sampler().render(played, program, samples, drums=is_drum)
    return 0.7 * waveform / max(1e-6, float(np.abs(waveform).max()))


@cache
def _sampler():
    """Plays notes and composes nothing. (symusic's own synthesizer plays this SoundFont out of tune.)"""
    import pretty_midi

    from musiscene.soundtracks._arranger.sampler import Sampler
    from musiscene.soundtracks._arranger.soundfont import SoundFont

    return Sampler(SoundFont(Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"))


class _Player:
    """Composes one item bar by bar; each style is a method that writes one bar."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.rng = random.Random(f"{item.style}/{item.seed}")
        self.beats = item.meter
        self.notes: dict[tuple[int, bool], list[tuple[int, int, int, int]]] = {}
        self.looseness = self.rng.choice((0.0, 0.006, 0.012))
        self.swing = self.rng.choice((0.5, 0.5, 0.56))
        self.register = self.rng.choice((-12, 0, 0))
        self.progression = [int(step) - 1 for step in self.rng.choice(PROGRESSIONS[item.mode]).split()]
        self.harmonic_minor = self.rng.random() < 0.6
        self.bars_a_chord = self.rng.choice((1, 1, 1, 2))
        self.voice = {
            "keys": self.rng.choice((0, 1, 4, 5)), "lead": self.rng.choice((40, 56, 65, 71, 73, 80)),
            "pad": self.rng.choice((48, 49, 50, 52, 89, 90)), "bass": self.rng.choice((32, 33, 34, 38)),
            "guitar": self.rng.choice((24, 25, 26)), "solo": self.rng.choice((40, 42, 56, 60, 68, 71, 73, 24)),
            "plucked": self.rng.choice((0, 6, 11, 12, 24, 46)), "synth": self.rng.choice((81, 62, 63)),
        }  # fmt: skip
        self.melody_pitch = 7

    def compose(self) -> dict[tuple[int, bool], list[tuple[int, int, int, int]]]:
        bars = int(self.item.seconds * self.item.tempo_bpm / 60 / self.beats) + 2
        write = getattr(self, f"_{self.item.style}")
        for bar in range(bars):
            self.bar = bar
            self.degree = self.progression[(bar // self.bars_a_chord) % len(self.progression)]
            write()
        return self.notes

    # -- writing notes --

    def note(self, program: int, beat: float, length: float, pitch: int, velocity: float, drum: bool = False) -> None:
        whole, part = divmod(beat, 1.0)
        if abs(part - 0.5) < 1e-6:
            part = self.swing  # delayed second eighths
        seconds_a_beat = 60 / self.item.tempo_bpm
        wobble = self.rng.gauss(0, self.looseness) / seconds_a_beat
        time = max(0, round((self.bar * self.beats + whole + part + wobble) * TPQ))
        loud = int(min(127, max(20, velocity + self.rng.gauss(0, 5))))
        self.notes.setdefault((program, drum), []).append((time, round(length * TPQ), pitch, loud))

    def hit(self, pitch: int, *beats: float, velocity: float = 90) -> None:
        for beat in beats:
            self.note(0, beat, 0.1, pitch, velocity, drum=True)

    def pitch(self, step: int, around: int) -> int:
        """MIDI pitch of a scale step, counted from the tonic nearest above `around`."""
        scale = SCALES[self.item.mode]
        octave, index = divmod(step, 7)
        root = around + (self.item.tonic - around) % 12
        raised = self.item.mode == "minor" and self.harmonic_minor and self.degree == 4 and index == 6
        return root + 12 * octave + scale[index] + raised

    def chord(self, around: int = 55, size: int = 3) -> list[int]:
        pitches = [self.pitch(self.degree + 2 * k, around) for k in range(size)]
        return sorted(p - 12 if p > around + 13 else p for p in pitches)

    def root(self, around: int = 31) -> int:
        pitch = self.pitch(self.degree, around)
        return pitch - 12 if pitch > around + 14 else pitch

    def melody(self, program: int, rhythm: tuple[float, ...], around: int = 67, velocity: float = 92) -> None:
        """A line that walks by step and lands on chord tones on strong beats."""
        ends = [*rhythm[1:], float(self.beats)]
        for start, end in zip(rhythm, ends, strict=True):
            step = self.melody_pitch + self.rng.choice((-2, -1, -1, 0, 1, 1, 2))
            if start == int(start) and int(start) % 2 == 0:
                tones = [self.degree + 2 * k + 7 * o for k in range(3) for o in (-1, 0, 1)]
                step = min(tones, key=lambda tone: (abs(tone - step), tone))
            self.melody_pitch = max(-3, min(11, step))
            self.note(program, start, 0.9 * (end - start), self.pitch(self.melody_pitch, around - 7), velocity)

    def rhythm(self, *choices: tuple[float, ...]) -> tuple[float, ...]:
        return self.rng.choice(choices)

    # -- styles --

    def _pop_band(self) -> None:
        self.hit(36, 0, 2, *self.rhythm((), (2.5,), (1.5,)), velocity=105)
        self.hit(38, 1, 3, velocity=105)
        self.hit(42, *[k / 2 for k in range(8)], velocity=70)
        for beat in self.rhythm((0, 1, 2, 3), (0, 1.5, 2, 3), (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5)):
            self.note(self.voice["bass"], beat, 0.5, self.root(), 95)
        for p in self.chord():
            self.note(self.voice["pad"], 0, 4, p, 60)
            for beat in (0, 1.5, 3):
                self.note(self.voice["keys"], beat, 0.8, p, 70)
        self.melody(self.voice["lead"], self.rhythm((0, 1, 2, 3), (0, 0.5, 1, 2, 3.5), (0, 1.5, 2, 3)))

    def _rock(self) -> None:
        self.hit(36, 0, 2, *self.rhythm((), (2.5,), (0.5, 2.5)), velocity=115)
        self.hit(38, 1, 3, velocity=115)
        self.hit(self.rhythm((42, 46), (51, 42))[0], *[k / 2 for k in range(8)], velocity=80)
        if self.bar % 4 == 0:
            self.hit(49, 0, velocity=110)
        for beat in [k / 2 for k in range(8)]:
            self.note(30, beat, 0.45, self.root(40), 95 if beat == int(beat) else 80)
            self.note(30, beat, 0.45, self.root(40) + 7, 85)
            self.note(34, beat, 0.45, self.root(28), 95)
        if self.bar % 2:
            self.melody(29, self.rhythm((0, 1, 2, 3), (0, 0.5, 1.5, 2, 3)))

    def _dance(self) -> None:
        self.hit(36, 0, 1, 2, 3, velocity=118)
        self.hit(39, 1, 3, velocity=85)
        self.hit(46, 0.5, 1.5, 2.5, 3.5, velocity=80)
        for beat in (0.5, 1.5, 2.5, 3.5):
            self.note(38, beat, 0.4, self.root(), 100)
        for beat in self.rhythm((0, 0.75, 1.5, 2.25, 3), (0, 1.5, 3), (0.5, 1.5, 2.5, 3.5)):
            for p in self.chord(60):
                self.note(self.voice["synth"], beat, 0.4, p, 75)
        self.melody(80, self.rhythm((0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5), (0, 0.75, 1.5, 2, 3)), 72, 80)

    def _boom_bap(self) -> None:
        self.hit(36, 0, *self.rhythm((0.75, 2.5), (1.75, 2.5), (2.25,)), velocity=112)
        self.hit(38, 1, 3, velocity=108)
        self.hit(42, *[k / self.rhythm((2,), (4,))[0] for k in range(8)], velocity=65)
        for beat in (0, 1.75, 2.5):
            self.note(33, beat, 0.6, self.root(), 100)
        for p in self.chord(57, 4):
            self.note(4, 0, 1.8, p, 70)
            self.note(4, 2.5, 1.2, p, 62)

    def _drum_and_bass(self) -> None:
        self.hit(36, 0, 2.5, velocity=115)
        self.hit(38, 1, 3, velocity=112)
        self.hit(38, 1.75, 2.25, velocity=55)
        self.hit(42, *[k / 2 for k in range(8)], velocity=75)
        for beat in (0, 1.5, 2.5):
            self.note(38, beat, 0.8, self.root(), 105)
        for p in self.chord(60):
            self.note(self.voice["pad"], 0, 4, p, 70)

    def _swing(self) -> None:
        self.swing = 0.66
        self.hit(51, 0, 1, 1.5, 2, 3, 3.5, velocity=80)
        self.hit(44, 1, 3, velocity=70)
        walk = [self.root(36), *[self.pitch(self.degree + self.rng.choice((1, 2, 3, 4)), 36) for _ in range(3)]]
        for beat, p in enumerate(walk):
            self.note(32, beat, 0.9, p, 90)
        for beat in self.rhythm((0, 1.5), (1.5, 3), (0.5, 2), (1.5, 3.5)):
            for p in self.chord(55, 4):
                self.note(0, beat, 0.5, p, 72)
        self.melody(self.rng.choice((65, 56, 0)), self.rhythm((0, 1, 1.5, 2, 2.5, 3), (0.5, 1, 2, 2.5, 3.5), (0, 2)))

    def _bossa(self) -> None:
        self.hit(37, 0, 1.5, 3, velocity=75) if self.bar % 2 else self.hit(37, 1, 2.5, velocity=75)
        self.hit(42, *[k / 2 for k in range(8)], velocity=60)
        self.hit(36, 0, 1.5, 2, 3.5, velocity=75)
        for beat, fifth in ((0, 0), (1.5, 7), (2, 7), (3.5, 0)):
            self.note(32, beat, 0.5, self.root() + fifth, 85)
        for beat in self.rhythm((0, 1, 2.5), (0, 1.5, 3), (0.5, 1.5, 2.5)):
            for p in self.chord(55, 4):
                self.note(24, beat, 0.5, p, 75)
        self.melody(73, self.rhythm((0, 1.5, 2, 3), (0, 2.5), (0.5, 1, 2, 3.5)), velocity=80)

    def _reggae(self) -> None:
        self.hit(36, 2, velocity=110)
        self.hit(37, 2, velocity=95)
        self.hit(42, *[k / 2 for k in range(8)], velocity=65)
        for beat in (0.5, 1.5, 2.5, 3.5) if self.rng.random() < 0.2 else (1, 3):
            for p in self.chord(57):
                self.note(27, beat, 0.25, p, 85)
                self.note(16, beat, 0.25, p, 60)
        for beat in self.rhythm((0, 0.75, 1.5, 2.5), (0, 1.5, 2, 3)):
            self.note(33, beat, 0.6, self.root(), 105)

    def _waltz_piano(self) -> None:
        self.note(0, 0, 1, self.root(36), 88)
        for beat in (1, 2):
            for p in self.chord(52):
                self.note(0, beat, 0.7, p, 62)
        self.melody(0, self.rhythm((0, 1, 2), (0, 2), (0, 0.5, 1, 1.5, 2, 2.5), (0, 1.5, 2)), 72)

    def _waltz_strings(self) -> None:
        self.note(43, 0, 1, self.root(31), 90)
        for beat in (1, 2):
            for p in self.chord(55):
                self.note(45, beat, 0.5, p, 75)
        for p in self.chord(50):
            self.note(48, 0, 3, p, 50)
        self.melody(self.rng.choice((40, 73, 48)), self.rhythm((0, 1, 2), (0, 2), (0,)), 72)

    def _arpeggio(self) -> None:
        program, step = self.voice["plucked"], self.rng.choice((0.5, 0.5, 0.25)) if self.bar == 0 else self.step
        self.step = step
        tones = [*self.chord(48), *[p + 12 for p in self.chord(48)]]
        order = [0, 1, 2, 3, 4, 5, 4, 3] if self.item.seed % 2 else [0, 2, 1, 2, 3, 2, 1, 2]
        for k in range(int(4 / step)):
            self.note(program, k * step, step * 1.5, tones[order[k % 8]], 88 if k * step == int(k * step) else 70)
        self.note(program, 0, 3.5, self.root(36), 85)

    def _sustained(self) -> None:
        for start in self.rhythm((0,), (0, 2)):
            for p in self.chord(52, 4):
                self.note(48, start, 4 - start, p, 75)
            self.note(43, start, 4 - start, self.root(33), 75)
        self.melody(self.rng.choice((40, 48, 60)), self.rhythm((0, 1, 2, 3), (0, 2), (0, 1, 2)), 67, 85)

    def _solo(self) -> None:
        self.swing = 0.5
        rhythm = self.rhythm((0, 1, 2, 3), (0, 0.5, 1, 2, 3), (0, 1, 2, 2.5, 3, 3.5), (0, 2, 3), (0, 1.5, 2, 3))
        self.melody(self.voice["solo"], rhythm, 67 + self.register)

    def _alberti(self) -> None:
        self.swing = 0.5
        low, middle, high = self.chord(48)
        for k, p in enumerate((low, high, middle, high) * 2):
            self.note(0, k / 2, 0.5, p, 66)
        self.melody(0, self.rhythm((0, 1, 2, 3), (0, 0.5, 1, 2), (0, 2, 3), (0, 1, 1.5, 2, 3)), 72, 90)

    def _march(self) -> None:
        self.hit(36, 0, 2, velocity=105)
        self.hit(38, 1, 3, *self.rhythm((3.5,), (2.75, 2.5), ()), velocity=95)
        self.hit(49, 0, velocity=60)
        for beat, fifth in ((0, 0), (2, -5)):
            self.note(58, beat, 0.6, self.root(36) + fifth, 95)
        for beat in (1, 3):
            for p in self.chord(57):
                self.note(60, beat, 0.4, p, 75)
        self.melody(56, self.rhythm((0, 1, 2, 3), (0, 0.75, 1, 2, 3), (0, 1.5, 2, 3)), 70)

    def _picking(self) -> None:
        program = self.voice["guitar"]
        _, middle, high = self.chord(52)
        for k, p in enumerate((None, middle, high, middle) * 2):
            self.note(program, k / 2, 1.0, self.root(40) if p is None else p + (12 if k == 5 else 0), 85 - 12 * (k % 2))
        if self.bar % 2:
            self.melody(program, self.rhythm((0, 2), (0, 1, 3)), 72, 80)

    def _bluegrass(self) -> None:
        for beat, fifth in ((0, 0), (2, 7)):
            self.note(32, beat, 0.7, self.root(31) + fifth, 100)
        for beat in (1, 3):
            for p in self.chord(60):
                self.note(25, beat, 0.2, p, 85)
        tones = [*self.chord(62), self.chord(62)[0] + 12]
        for k in range(16):
            self.note(105, k / 4, 0.25, tones[(0, 1, 2, 3, 1, 2, 0, 3)[k % 8]], 85 if k % 4 == 0 else 70)
        self.melody(110, self.rhythm((0, 1, 2, 3), (0, 0.5, 1, 2, 2.5, 3)), 72, 80)

    def _montuno(self) -> None:
        self.hit(75, *((0, 0.75, 1.5) if self.bar % 2 else (1, 2)), velocity=90)
        if self.bar % 2:
            self.hit(75, 2.5, 3, velocity=80)
        self.hit(64, 1.5, 3, 3.5, velocity=85)
        self.hit(63, 1, velocity=70)
        self.hit(70, *[k / 2 for k in range(8)], velocity=60)
        for beat, fifth in ((0, 0), (1.5, 7), (3, 12)):
            self.note(32, beat, 0.6, self.root(31) + fifth, 95)
        for k, beat in enumerate((0, 0.5, 1, 1.5, 2.5, 3.5)):
            self.note(0, beat, 0.4, self.chord(60)[k % 3], 85)
            self.note(0, beat, 0.4, self.chord(60)[k % 3] + 12, 80)
        if self.bar % 4 > 1:
            self.melody(56, self.rhythm((0, 1.5, 2.5), (0.5, 1, 2, 3)))

    def _ballad(self) -> None:
        for beat in range(4):
            for p in self.chord(60):
                self.note(0, beat, 0.95, p, 65)
        self.note(0, 0, 2, self.root(36), 75)
        self.note(0, 2, 2, self.root(36), 70)
        if self.item.seed % 3:
            self.hit(36, 0, 2.5, velocity=75)
            self.hit(38, 1, 3, velocity=70)
            self.hit(42, *[k / 2 for k in range(8)], velocity=50)
        self.melody(self.voice["lead"], self.rhythm((0, 1, 2, 3), (0, 1.5, 2), (0, 0.5, 1, 2)), 70, 80)

    def _hymn(self) -> None:
        program = self.rng.choice((19, 52)) if self.bar == 0 else self.program
        self.program = program
        for beat in range(4):
            self.degree = self.progression[(self.bar + beat // 2) % len(self.progression)]
            for p in self.chord(55):
                self.note(program, beat, 0.95, p, 80)
            self.note(program, beat, 0.95, self.root(40), 80)
            self.note(program, beat, 0.95, self.chord(67)[self.rng.randrange(3)], 88)

    def _synthwave(self) -> None:
        self.hit(36, 0, 2, velocity=110)
        self.hit(38, 1, 3, velocity=110)
        self.hit(42, *[k / 4 for k in range(16)], velocity=55)
        for k in range(8):
            self.note(38, k / 2, 0.4, self.root() + (12 if k % 2 else 0), 95)
        for p in self.chord(57):
            self.note(90, 0, 4, p, 65)
        tones = self.chord(69)
        for k in range(16):
            self.note(81, k / 4, 0.2, tones[k % 3], 60)

    def _funk(self) -> None:
        self.hit(36, 0, *self.rhythm((0.75, 2.5), (1.5, 2.25), (2.5, 2.75)), velocity=110)
        self.hit(38, 1, 3, velocity=108)
        self.hit(38, 1.75, 2.25, velocity=45)
        self.hit(42, *[k / 4 for k in range(16)], velocity=62)
        for beat in self.rhythm((0, 0.75, 1.5, 2, 3.75), (0, 0.5, 1.75, 2.5, 3.25)):
            self.note(36, beat, 0.3, self.root() + self.rng.choice((0, 0, 12, 7)), 100)
        for beat in (0.5, 1.25, 2.5, 3.25):
            for p in self.chord(60, 4):
                self.note(27, beat, 0.15, p, 80)
        if self.bar % 2:
            for p in self.chord(65):
                self.note(61, 3.5, 0.4, p, 90)

    def _chip(self) -> None:
        tones = self.chord(72)
        for k in range(16):
            self.note(80, k / 4, 0.2, tones[k % 3], 70)
        for k in range(8):
            self.note(38, k / 2, 0.4, self.root(36), 90)
        self.hit(38, 1, 3, velocity=85)
        self.hit(36, 0, 2, velocity=90)
        self.melody(80, self.rhythm((0, 1, 2, 3), (0, 0.5, 1, 1.5, 2, 3)), 79, 85)

    def _percussion(self) -> None:
        low, high, shaker = self.rng.choice(((64, 63, 70), (61, 60, 69), (41, 45, 82))) if self.bar == 0 else self.kit
        self.kit = (low, high, shaker)
        self.hit(low, 0, *self.rhythm((2,), (1.5,), (2, 2.5)), velocity=105)
        self.hit(high, *self.rhythm((1, 3), (1, 2.5, 3), (0.5, 1, 3, 3.5)), velocity=90)
        self.hit(shaker, *[k / 2 for k in range(8)], velocity=65)
