"""Keys, modes and chords as numbers.

Pitch classes count semitones from C (0 to 11); pitches are MIDI keys (60 is middle C).
Chord symbols are Roman numerals over the parallel major scale, so that "bVI" means the same in every mode.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

MODES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
    "phrygian dominant": (0, 1, 4, 5, 7, 8, 10),
}
"""Semitones above the tonic."""

MINOR_MODES = frozenset({"minor", "harmonic minor", "dorian", "phrygian", "locrian"})

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SHARP_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_MAJOR_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
_ROMAN = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}
_QUALITIES = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "5": (0, 7),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "m7b5": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
    "mmaj7": (0, 3, 7, 11),
    "add9": (0, 4, 7, 14),
    "madd9": (0, 3, 7, 14),
    "9": (0, 4, 7, 10, 14),
    "maj9": (0, 4, 7, 11, 14),
    "m9": (0, 3, 7, 10, 14),
    "13": (0, 4, 10, 14, 21),
    "7b9": (0, 4, 7, 10, 13),
    "7sus4": (0, 5, 7, 10),
    "69": (0, 4, 7, 9, 14),
    "maj7#11": (0, 4, 7, 11, 18),
}
_SYMBOL = re.compile(r"^(b|#)?(VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)([^/]*)(?:/(b|#)?([1-7]))?$")


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord in a key.

    Attributes:
        symbol: Its Roman numeral.
        root: Pitch class of the root.
        tones: Pitch classes, root first, without the bass of a slash chord.
        bass: Pitch class that the bass plays.
    """

    symbol: str
    root: int
    tones: tuple[int, ...]
    bass: int

    @property
    def core(self) -> tuple[int, ...]:
        """Root, third and fifth (or what stands for them)."""
        return self.tones[:3]


def pitch_class(name: str) -> int:
    """Of a note name such as "F#", "Bb" or "E"; any number of accidentals, enharmonics included.

    Raises:
        ValueError: It is no note name.
    """
    letter, accidentals = name[:1].upper(), name[1:].replace("♯", "#").replace("♭", "b")
    if letter not in _LETTERS or accidentals.strip("#b"):
        raise ValueError(f"{name!r} is not a note name")
    return (_LETTERS[letter] + accidentals.count("#") - accidentals.count("b")) % 12


def key_name(tonic: int, mode: str) -> str:
    """The usual spelling of a tonic: fewest accidentals in its key signature."""
    return (_MINOR_NAMES if mode in MINOR_MODES else _MAJOR_NAMES)[tonic % 12]


def signature_fifths(tonic: int, mode: str) -> tuple[int, bool]:
    """Sharps (positive) or flats of the key signature, -7 to 7, and whether it is written as minor."""
    minor = mode in MINOR_MODES
    major_tonic = (tonic + (3 if minor else 0)) % 12
    fifths = (major_tonic * 7) % 12
    return (fifths - 12 if fifths > 6 else fifths), minor


def scale(tonic: int, mode: str) -> tuple[int, ...]:
    """Pitch classes of a mode, tonic first."""
    return tuple((tonic + step) % 12 for step in MODES[mode])


@cache
def chord(symbol: str, tonic: int) -> Chord:
    """Read a Roman numeral: case gives the third ("ii", "IV"), then a quality ("7", "maj7", "m7b5", "sus4"), then a
    bass degree after a slash ("I/3").

    Raises:
        ValueError: The symbol is not understood.
    """
    match = _SYMBOL.match(symbol)
    if match is None:
        raise ValueError(f"{symbol!r} is not a chord symbol")
    accidental, numeral, quality, bass_accidental, bass_degree = match.groups()
    shift = {"b": -1, "#": 1, None: 0}
    root = (tonic + _ROMAN[numeral.upper()] + shift[accidental]) % 12
    if numeral.islower() and quality in ("", "6", "7", "9", "maj7", "add9"):
        quality = "m" + quality
    intervals = _QUALITIES[quality]
    tones = tuple(dict.fromkeys((root + interval) % 12 for interval in intervals))
    bass = root
    if bass_degree:
        degrees = MODES["minor" if numeral.islower() else "major"]
        bass = (root + degrees[int(bass_degree) - 1] + shift[bass_accidental]) % 12
    return Chord(symbol, root, tones, bass)


def nearest(pitch: float, classes: tuple[int, ...], low: int, high: int, *, avoid: int | None = None) -> int:
    """The pitch nearest to `pitch` whose class is in `classes`, from `low` to `high`; ties go down."""
    best, distance = None, 1e9
    for candidate in range(low, high + 1):
        if candidate % 12 in classes and candidate != avoid and abs(candidate - pitch) < distance:
            best, distance = candidate, abs(candidate - pitch)
    return best if best is not None else max(low, min(high, round(pitch)))


def steps_from(pitch: int, steps: int, classes: tuple[int, ...]) -> int:
    """Move `steps` scale steps up (or down) from `pitch`; a pitch outside the scale counts as its lower neighbour."""
    direction = 1 if steps > 0 else -1
    for _ in range(abs(steps)):
        pitch += direction
        while pitch % 12 not in classes:
            pitch += direction
    return pitch
