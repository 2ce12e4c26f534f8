"""The shape in time: phrases, sections, and how much energy each bar has."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from musiscene.soundtracks._arranger.brief import Brief
from musiscene.soundtracks._arranger.timing import Frame


@dataclass(frozen=True, slots=True)
class Phrase:
    """Usually four bars with one musical thought.

    Attributes:
        start: First bar.
        bars: How many.
        section: Letter of its section ("I" intro, "A", "B", "C").
        closing: It answers and closes; otherwise it opens.
        visit: How often this section came before.
        new_section: It begins a section.
        last: The final chord follows it.
        shift: Semitones from the home key to this phrase's.
        mode: This phrase's mode; empty for the home key's.
    """

    start: int
    bars: int
    section: str
    closing: bool
    visit: int
    new_section: bool
    last: bool
    shift: int = 0
    mode: str = ""

    @property
    def end(self) -> int:
        """The bar after it."""
        return self.start + self.bars


def phrases(bars: int, rng: random.Random, cuts: Mapping[int, float] | None = None) -> list[Phrase]:
    """Divide `bars` into an intro, and sections of an opening and a closing phrase each.

    Args:
        bars: How many, without the final chord's.
        rng: For the choice among orders of sections.
        cuts: Bars that begin on one of the picture's cuts, and how much it matters; phrases and sections begin there
            rather than elsewhere.
    """
    if bars <= 0:
        return []
    met = {bar: weight for bar, weight in (cuts or {}).items() if 0 < bar < bars}
    if met and bars >= 4:
        starts = _starts(bars, met)
        intro = starts[1] if len(starts) > 3 and starts[1] <= 3 else 0
        starts = [start for start in starts if start >= intro]
        letters = _letters_on_cuts(starts, met, rng)
        return _laid_out(intro, [b - a for a, b in pairwise([*starts, bars])], letters)
    intro = 2 if bars % 4 >= 2 and bars >= 6 else 0
    if not intro and bars >= 28 and bars % 4 < 2:
        intro = 4
    body = bars - intro
    lengths = [4] * (body // 4)
    if body % 4:
        if lengths and body % 4 == 1:
            lengths[-1] += 1
        else:
            lengths.append(body % 4)
    return _laid_out(intro, lengths, _letters(len(lengths), rng))


def _laid_out(intro: int, lengths: list[int], letters: list[tuple[str, bool]]) -> list[Phrase]:
    found: list[Phrase] = []
    start = 0
    if intro:
        found.append(Phrase(0, intro, "I", False, 0, True, False))
        start = intro
    visits: dict[str, int] = {}
    previous = ""
    for index, (length, (letter, closing)) in enumerate(zip(lengths, letters, strict=True)):
        fresh = letter != previous or not closing
        if fresh:
            visits[letter] = visits.get(letter, -1) + 1
        found.append(Phrase(start, length, letter, closing, visits[letter], fresh, index == len(lengths) - 1))
        previous = letter
        start += length
    return found


_WORTH = 1.6
"""What it is worth to begin on a cut, against the cost of an unusual length."""
_LENGTH_COST = {2: 0.7, 3: 0.45, 4: 0.0, 5: 0.4, 6: 0.5, 7: 0.8, 8: 0.9}
"""How unusual a phrase of so many bars is."""


def _starts(bars: int, met: Mapping[int, float]) -> list[int]:
    """Where phrases begin, from bar 0 on: usual lengths, bent so that as many as can begin on cuts (dynamic programming
    over the bars).
    """
    best: list[tuple[float, int]] = [(0.0, 0)]
    for bar in range(1, bars + 1):
        options = [
            (best[bar - length][0] - cost + _WORTH * met.get(bar, 0.0), bar - length)
            for length, cost in _LENGTH_COST.items()
            if length <= bar and best[bar - length][0] > -1e8
        ]
        best.append(max(options, default=(-1e9, 0)))
    found, at = [], bars
    while at > 0:
        at = best[at][1]
        found.append(at)
    return found[::-1]


_SECTION_COST = {1: 0.35, 2: 0.0, 3: 0.2}
"""How unusual a section of so many phrases is."""


def _letters_on_cuts(starts: list[int], met: Mapping[int, float], rng: random.Random) -> list[tuple[str, bool]]:
    """Sections of one to three phrases that begin on cuts where they can (dynamic programming over the phrases)."""
    best: list[tuple[float, int]] = [(0.0, 0)]
    for index in range(1, len(starts) + 1):
        worth = _WORTH * met.get(starts[index], 0.0) if index < len(starts) else 0.0
        best.append(
            max(
                (best[index - size][0] - cost + worth, index - size)
                for size, cost in _SECTION_COST.items()
                if size <= index
            )
        )
    sizes: list[int] = []
    at = len(starts)
    while at > 0:
        sizes.insert(0, at - best[at][1])
        at = best[at][1]
    order = _order(len(sizes), rng)
    return [(letter, phrase == size - 1) for letter, size in zip(order, sizes, strict=True) for phrase in range(size)]


def _letters(count: int, rng: random.Random) -> list[tuple[str, bool]]:
    """A section letter for each phrase, and whether the phrase closes."""
    if count == 1:
        return [("A", True)]
    if count == 2:
        return [("A", False), ("A", True)]
    if count == 3:
        return [("A", False), ("B", False), ("A", True)]
    if count == 4:
        return rng.choice(
            (
                [("A", False), ("A", True), ("B", False), ("A", True)],
                [("A", False), ("A", True), ("B", False), ("B", True)],
            )
        )
    order = _order(count // 2, rng)
    found = [(letter, closing) for letter in order for closing in (False, True)]
    if count % 2:
        found.insert(2, ("A", True))
    return found


def _order(sections: int, rng: random.Random) -> list[str]:
    """Letters of so many sections: what came first comes back, and last."""
    order = ["A", "B"] if sections == 2 else ["A", "B", "A"]
    while len(order) < sections:
        order += rng.choice((["C", "A"], ["B", "A"], ["C", "B", "A"], ["B", "C", "A"]))
    order = order[:sections]
    if sections > 2:
        if order[-2] == "A":
            order[-2] = "C" if order[-3] == "B" else "B"
        order[-1] = "A"
    return order


_SECTION_LIFT = {"I": -0.18, "A": -0.06, "B": 0.08, "C": -0.08}


def bar_energies(brief: Brief, frame: Frame, plan: list[Phrase], motion: tuple[float, ...]) -> list[float]:
    """Energy of each bar, 0 to 1, the final chord's included as the last.

    What the words ask comes first, then the picture's motion, then the form's own rise and fall.
    """
    middles = [(frame.clock.at((bar + 0.5) * frame.meter.beats)) / frame.duration_s for bar in range(frame.bars)]
    middles.append(min(1.0, (frame.clock.at(frame.final_beat) + frame.duration_s) / 2 / frame.duration_s))
    if brief.energy_curve:
        top = 0.5 + 0.5 * brief.energy
        return [
            top * float(np.interp(m, np.linspace(0, 1, len(brief.energy_curve)), brief.energy_curve)) for m in middles
        ]
    energies = [brief.energy] * (frame.bars + 1)
    last_start = plan[-1].start if plan else 0
    for phrase in plan:
        lift = _SECTION_LIFT[phrase.section] + 0.08 * min(2, phrase.visit) + (0.03 if phrase.closing else 0.0)
        if phrase.start == last_start and len(plan) > 2:
            lift += 0.1
        for bar in range(phrase.start, phrase.end):
            energies[bar] = brief.energy + lift * (0.6 + 0.8 * brief.energy)
    if len(motion) >= 4:
        moving = _smooth(motion, frame.duration_s)
        spread = float(moving.max() - moving.min())
        depth = min(0.45, spread)
        centred = (moving - moving.mean()) / max(spread, 1e-6)
        for index, middle in enumerate(middles):
            energies[index] = 0.6 * energies[index] + 0.4 * brief.energy
            energies[index] += depth * float(np.interp(middle, np.linspace(0, 1, len(centred)), centred))
    return [min(1.0, max(0.05, energy)) for energy in energies]


def _smooth(motion: tuple[float, ...], duration_s: float) -> np.ndarray:
    """Motion over about four seconds: music follows a scene, not every step."""
    values = np.clip(np.nan_to_num(np.asarray(motion, dtype=np.float64)), 0.0, 1.0)
    width = max(1, math.ceil(4.0 / max(duration_s, 0.1) * len(values)))
    if width == 1:
        return values
    kernel = np.hanning(width + 2)[1:-1]
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def level_curve(brief: Brief, frame: Frame, energies: list[float], points: int = 200) -> tuple[float, ...]:
    """Energy on a fine grid over the whole length, for the mix."""
    seconds = np.linspace(0.0, frame.duration_s, points)
    if brief.energy_curve:
        shape = np.interp(seconds / frame.duration_s, np.linspace(0, 1, len(brief.energy_curve)), brief.energy_curve)
        return tuple(float(value) for value in shape)
    at = [frame.clock.at((bar + 0.5) * frame.meter.beats) for bar in range(len(energies))]
    return tuple(float(value) for value in np.interp(seconds, at, energies))
