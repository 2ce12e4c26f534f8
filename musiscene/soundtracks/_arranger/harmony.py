"""Chords on the bars, and voicings that move as little as they can."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import NamedTuple

from musiscene.soundtracks._arranger import progressions, theory
from musiscene.soundtracks._arranger.form import Phrase
from musiscene.soundtracks._arranger.styles import Style
from musiscene.soundtracks._arranger.theory import Chord
from musiscene.soundtracks._arranger.timing import Frame


class Span(NamedTuple):
    """A chord from one beat to another."""

    beat: float
    length: float
    chord: Chord


_FINAL = {
    "jazz": ("I69", "i6"),
    "bossa": ("Imaj9", "i6"),
    "lofi": ("Imaj9", "i9"),
    "ambient": ("Iadd9", "iadd9"),
    "blues": ("I9", "i7"),
    "funk": ("I9", "i9"),
    "soul": ("Imaj9", "i9"),
}
_DOMINANT = {
    "jazz": ("ii9 V13", "iim7b5 V7b9"),
    "bossa": ("ii9 V13", "iim7b5 V7b9"),
    "lofi": ("ii9 V13", "iim7b5 V7b9"),
    "blues": ("V9", "V7"),
    "funk": ("V7sus4", "V7"),
    "soul": ("V7sus4", "V7b9"),
}
_MODAL_CLOSE = {
    "dorian": "IV",
    "phrygian": "bII",
    "lydian": "II",
    "mixolydian": "bVII",
    "locrian": "bII",
    "phrygian dominant": "bII",
}


class Harmony:
    """The chords of a piece."""

    def __init__(
        self, style: Style, mode: str, tonic: int, frame: Frame, plan: list[Phrase], rng: random.Random
    ) -> None:
        self.tonic, self.mode = tonic, mode
        self.scale = theory.scale(tonic, mode)
        self._minor = mode in theory.MINOR_MODES
        self._style = style
        beats = frame.meter.beats
        bars = self._bars(plan, rng)
        self.spans: list[Span] = []
        for index, symbols in enumerate(bars):
            cuts = _divide(len(symbols), beats)
            for symbol, (start, length) in zip(symbols, cuts, strict=True):
                self.spans.append(Span(index * beats + start, length, theory.chord(symbol, tonic)))
        ring = max(0.5, frame.end_beat - frame.final_beat)
        self.spans.append(Span(frame.final_beat, ring, theory.chord(self.final_symbol, tonic)))

    @property
    def final_symbol(self) -> str:
        """The chord that ends the piece."""
        if self.mode == "locrian":
            return "idim"
        if self.mode in ("phrygian dominant", "lydian", "mixolydian"):
            return "I"
        if self._style.vocabulary in _FINAL and self.mode in ("major", "minor"):
            return _FINAL[self._style.vocabulary][self._minor]
        return "i" if self._minor else "I"

    def at(self, beat: float) -> Chord:
        """The chord that sounds at `beat`."""
        return self.spans[self.index_at(beat)].chord

    def index_at(self, beat: float) -> int:
        """Index in `spans` of the chord that sounds at `beat`."""
        low, high = 0, len(self.spans) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.spans[middle].beat <= beat + 1e-6:
                low = middle
            else:
                high = middle - 1
        return low

    def local_scale(self, chord: Chord) -> tuple[int, ...]:
        """The key's scale, bent where the chord has tones outside it."""
        foreign = [tone for tone in chord.tones if tone not in self.scale]
        if not foreign:
            return self.scale
        kept = [tone for tone in self.scale if all((tone - out) % 12 not in (1, 11) for out in foreign)]
        return tuple(sorted({*kept, *foreign, *(tone for tone in chord.core)}))

    def _bars(self, plan: list[Phrase], rng: random.Random) -> list[tuple[str, ...]]:
        bank = list(progressions.choices(self._style.vocabulary, self.mode))
        rng.shuffle(bank)
        chosen: dict[str, progressions.EightBars] = {}
        for letter in ("A", "B", "C"):
            chosen[letter] = bank[len(chosen) % len(bank)]
        chosen["I"] = chosen["A"]
        bars: list[tuple[str, ...]] = []
        for phrase in plan:
            eight = chosen[phrase.section]
            four = eight[4:] if phrase.closing else eight[:4]
            if phrase.section == "I":
                four = eight[:2] * 2
            bars += self._fit(four, phrase)
        return bars

    def _fit(self, four: tuple[tuple[str, ...], ...], phrase: Phrase) -> list[tuple[str, ...]]:
        if phrase.last:
            body = list(four[:2])
            close = self._close()
            if phrase.bars == 1:
                return [close[-1]]
            return [*(body + body)[: max(0, phrase.bars - len(close))], *close[-phrase.bars :]]
        if phrase.bars <= 4:
            return list(four[: phrase.bars])
        return [*four, *[four[-1]] * (phrase.bars - 4)]

    def _close(self) -> list[tuple[str, ...]]:
        """The two bars that lead into the final chord."""
        if self.mode in _MODAL_CLOSE:
            before = "iv" if self._minor else "IV"
            return [("i" if self._minor and before == "IV" else before,), (_MODAL_CLOSE[self.mode],)]
        subdominant = "iv" if self._minor else "IV"
        if self._style.cadence == "plagal" and self._style.vocabulary != "blues":
            return [
                ("bVI" if self._minor else "vi",),
                (("bVII", "iv")[self._style.name == "ambient"] if self._minor else "IV",),
            ]
        if self._style.cadence == "loop" and self._style.vocabulary == "loop":
            return [("bVI" if self._minor else "IV",), ("bVII" if self._minor else "V",)]
        dominant = _DOMINANT.get(self._style.vocabulary, ("V7", "V7"))[self._minor].split()
        if self._style.vocabulary == "horror":
            return [("bvi",), ("viidim7",)]
        if self._style.vocabulary in ("cinematic", "pop"):
            dominant = ["Vsus4", "V"]
        return [(subdominant,), tuple(dominant)]


def _divide(chords: int, beats: int) -> list[tuple[float, float]]:
    """Share a bar of `beats` among its chords: the first gets the longer part."""
    if chords == 1:
        return [(0.0, float(beats))]
    first = beats - beats // 2
    return [(0.0, float(first)), (float(first), float(beats - first))]


def voicings(
    spans: list[Span], *, voices: int, register: int, low: int, high: int, rootless: bool, power: bool = False
) -> list[tuple[int, ...]]:
    """A voicing for each chord, ascending pitches: common tones stay and the others move to their neighbours.

    Args:
        spans: The chords.
        voices: How many notes.
        register: Where the middle of the voicing belongs, MIDI key.
        low: Lowest pitch.
        high: Highest pitch.
        rootless: Leave the root to the bass where the chord has four tones or more.
        power: Root and fifth only.
    """
    found: list[tuple[int, ...]] = []
    previous: tuple[int, ...] | None = None
    for span in spans:
        tones = _chosen_tones(span.chord, voices, rootless, power)
        best: tuple[float, tuple[int, ...]] | None = None
        for candidate in _candidates(tones, voices, register, low, high, power):
            centre = sum(candidate) / len(candidate)
            cost = 0.35 * abs(centre - register)
            if previous is not None:
                cost += _movement(previous, candidate)
            if best is None or cost < best[0]:
                best = (cost, candidate)
        chosen = best[1] if best else tuple(sorted({theory.nearest(register, (tone,), low, high) for tone in tones}))
        found.append(chosen)
        previous = chosen
    return found


def _movement(before: tuple[int, ...], after: tuple[int, ...]) -> float:
    """How far the voices move in all; each new note counts from the nearest old one, the top voice double."""
    total = sum(min(abs(pitch - old) for old in before) for pitch in after)
    total += sum(min(abs(pitch - old) for pitch in after) for old in before)
    return total / 2 + 0.5 * abs(after[-1] - before[-1])


def _chosen_tones(chord: Chord, voices: int, rootless: bool, power: bool) -> tuple[int, ...]:
    if power:
        fifth = next((tone for tone in chord.tones if (tone - chord.root) % 12 in (6, 7, 8)), chord.root)
        return (chord.root, fifth)
    tones = list(chord.tones)
    if rootless and len(tones) >= 4:
        tones = tones[1:]
    # The fifth says least: it is the first to go when there are fewer voices than tones.
    if len(tones) > voices:
        fifths = [tone for tone in tones if (tone - chord.root) % 12 == 7]
        if fifths:
            tones.remove(fifths[0])
    return tuple(tones[: max(voices, 2)])


def _candidates(
    tones: tuple[int, ...], voices: int, register: int, low: int, high: int, power: bool
) -> list[tuple[int, ...]]:
    if power:
        root = theory.nearest(register - 4, (tones[0],), low, high)
        chord = (root, *(pitch for pitch in (root + (tones[1] - tones[0]) % 12, root + 12) if pitch <= high))
        return [chord]
    found = []
    for bottom in range(max(low, register - 14), min(high, register + 6) + 1):
        if bottom % 12 not in tones:
            continue
        pitches = [bottom]
        while len(pitches) < voices:
            after = pitches[-1] + 1
            used = {pitch % 12 for pitch in pitches}
            wanted = [tone for tone in tones if tone not in used] or list(tones)
            while after % 12 not in wanted:
                after += 1
            pitches.append(after)
        for shape in (tuple(pitches), _drop_two(pitches)):
            if shape[0] >= low and shape[-1] <= high and not _muddy(shape):
                found.append(shape)
    return found


def _drop_two(pitches: list[int]) -> tuple[int, ...]:
    """The second voice from above an octave lower: the same chord, open."""
    if len(pitches) < 4:
        return tuple(pitches)
    return tuple(sorted([*pitches[:-2], pitches[-2] - 12, pitches[-1]]))


def _muddy(pitches: tuple[int, ...]) -> bool:
    """Close intervals below the bass clef's middle, or semitones between neighbours anywhere."""
    return any(upper - lower <= 1 or (lower < 50 and upper - lower < 5) for lower, upper in pairwise(pitches))
