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
        self._style = style
        beats = frame.meter.beats
        self.keys: list[tuple[float, int, str]] = [(0.0, tonic, mode)]
        for phrase in plan:
            key = ((tonic + phrase.shift) % 12, phrase.mode or mode)
            if key != self.keys[-1][1:]:
                self.keys.append((float(phrase.start * beats), *key))
        bars = self._bars(plan, rng)
        self.spans: list[Span] = []
        for index, chords in enumerate(bars):
            for chord, (start, length) in zip(chords, _divide(len(chords), beats), strict=True):
                self.spans.append(Span(index * beats + start, length, chord))
        ring = max(0.5, frame.end_beat - frame.final_beat)
        _, last_tonic, last_mode = self.keys[-1]
        self.spans.append(Span(frame.final_beat, ring, theory.chord(self._final_symbol(last_mode), last_tonic)))

    def _final_symbol(self, mode: str) -> str:
        """The chord that ends the piece."""
        minor = mode in theory.MINOR_MODES
        if mode == "locrian":
            return "idim"
        if mode in ("phrygian dominant", "lydian", "mixolydian"):
            return "I"
        if self._style.vocabulary in _FINAL and mode in ("major", "minor"):
            return _FINAL[self._style.vocabulary][minor]
        return "i" if minor else "I"

    def key_at(self, beat: float) -> tuple[int, str]:
        """Tonic and mode that hold at `beat`."""
        _, tonic, mode = next((key for key in reversed(self.keys) if key[0] <= beat + 1e-6), self.keys[0])
        return tonic, mode

    def scale_at(self, beat: float) -> tuple[int, ...]:
        """Pitch classes of the key that holds at `beat`, tonic first."""
        return theory.scale(*self.key_at(beat)) if len(self.keys) > 1 else self.scale

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

    def local_scale(self, chord: Chord, beat: float) -> tuple[int, ...]:
        """The scale of the key at `beat`, bent where the chord has tones outside it."""
        scale = self.scale_at(beat)
        foreign = [tone for tone in chord.tones if tone not in scale]
        if not foreign:
            return scale
        kept = [tone for tone in scale if all((tone - out) % 12 not in (1, 11) for out in foreign)]
        return tuple(sorted({*kept, *foreign, *(tone for tone in chord.core)}))

    def _bars(self, plan: list[Phrase], rng: random.Random) -> list[list[Chord]]:
        bank = list(progressions.choices(self._style.vocabulary, self.mode))
        rng.shuffle(bank)
        chosen: dict[str, progressions.EightBars] = {}
        for letter in ("A", "B", "C"):
            chosen[letter] = bank[len(chosen) % len(bank)]
        chosen["I"] = chosen["A"]
        for phrase in plan:
            if phrase.mode and phrase.mode != self.mode:
                others = progressions.choices(self._style.vocabulary, phrase.mode)
                chosen[phrase.section] = others[rng.randrange(len(others))]
        bars: list[list[Chord]] = []
        shift = 0
        for phrase in plan:
            eight = chosen[phrase.section]
            four = eight[4:] if phrase.closing else eight[:4]
            if phrase.section == "I":
                four = (eight[0], eight[0], eight[1], eight[0])  # the key is made plain before anything else
            tonic = (self.tonic + phrase.shift) % 12
            if phrase.shift != shift and bars:
                # The new key is announced by its dominant.
                bars[-1] = [bars[-1][0], theory.chord("V7", tonic)]
            shift = phrase.shift
            bars += [[theory.chord(symbol, tonic) for symbol in bar] for bar in self._fit(four, phrase)]
        return bars

    def _fit(self, four: tuple[tuple[str, ...], ...], phrase: Phrase) -> list[tuple[str, ...]]:
        if phrase.last:
            body = list(four[:2])
            close = self._close(phrase.mode or self.mode)
            if phrase.bars == 1:
                return [close[-1]]
            return [*(body + body)[: max(0, phrase.bars - len(close))], *close[-phrase.bars :]]
        if phrase.bars <= 4:
            return list(four[-phrase.bars :] if phrase.closing else four[: phrase.bars])
        extra = phrase.bars - 4
        return [*(four[:extra] if extra > 1 else ()), *four, *([four[-1]] if extra == 1 else ())]

    def _close(self, mode: str) -> list[tuple[str, ...]]:
        """The two bars that lead into the final chord."""
        minor = mode in theory.MINOR_MODES
        subdominant = "iv" if minor else "IV"
        if mode in _MODAL_CLOSE:
            return [(subdominant,), (_MODAL_CLOSE[mode],)]
        if self._style.cadence == "plagal" and self._style.vocabulary != "blues":
            return [
                ("bVI" if minor else "vi",),
                (("bVII", "iv")[self._style.name == "ambient"] if minor else "IV",),
            ]
        if self._style.cadence == "loop" and self._style.vocabulary == "loop":
            return [("bVI" if minor else "IV",), ("bVII" if minor else "V",)]
        dominant = _DOMINANT.get(self._style.vocabulary, ("V7", "V7"))[minor].split()
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
            cost = 0.35 * abs(centre - register) + _doubling(span.chord, candidate)
            if previous is not None:
                cost += _movement(previous, candidate)
            if best is None or cost < best[0]:
                best = (cost, candidate)
        chosen = best[1] if best else tuple(sorted({theory.nearest(register, (tone,), low, high) for tone in tones}))
        found.append(chosen)
        previous = chosen
    return found


def _doubling(chord: Chord, pitches: tuple[int, ...]) -> float:
    """A root that is doubled makes the harmony plain; a fifth or a third that is doubled blurs it."""
    classes = [pitch % 12 for pitch in pitches]
    roots = classes.count(chord.root)
    others = max((classes.count(tone) for tone in set(classes) if tone != chord.root), default=0)
    return 1.2 * max(0, others - 1) - 0.8 * max(0, roots - 1)


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
