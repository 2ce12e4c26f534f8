"""Musical ideas: a rhythm of two bars that is remembered, and the line it moves in."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from musiscene.soundtracks._arranger.chance import weighted
from musiscene.soundtracks._arranger.piece import Meter
from musiscene.soundtracks._arranger.styles import Style

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


_LANDING = {2: 1.0, 3: 1.0, 4: 2.0, 5: 3.0, 7: 4.0}
"""By the beats of a bar."""


def landing_beat(beats: int) -> float:
    """The beat that a bar comes to rest on."""
    return _LANDING.get(beats, beats / 2)


class Inventor:
    """Invents the motifs of a piece; few ways of dividing a beat mark them all.

    Args:
        meter: The bars.
        density: Notes a beat, roughly.
        syncopation: Chance that a beat is anticipated.
        style: Its tempo and swing decide how beats are divided.
        rng: Chance.
    """

    def __init__(self, meter: Meter, density: float, syncopation: float, style: Style, rng: random.Random) -> None:
        self._meter, self._density, self._syncopation = meter, density, syncopation
        self._style, self._rng = style, rng
        # Either walking or running: one length of note is heard most in a melody.
        self._plain = rng.choice((0.4, 1.2)) if density < 1.5 else 0.4
        self._divisions = self._chosen_divisions()

    @property
    def dotted(self) -> bool:
        """Beats are divided long and short."""
        return self._divisions[0][0] == (0.0, 0.75)

    def invent(self) -> Motif:
        """A new idea."""
        head = self._head(self._density)
        tail = self._rhythm(self._density * 0.6, tail=True) if self._rng.random() < 0.5 else self._echo(head)
        return self.matched(Motif(head, tail, (), ()))

    def contrast(self, first: Motif) -> Motif:
        """What a second section is made of: the first idea upside down, its rhythm with another line, or a new one."""
        kind = weighted(self._rng, [("inverted", 0.4), ("line", 0.2), ("new", 0.4)])
        if kind == "inverted":
            return self.matched(first.inverted())
        if kind == "line":
            return self.matched(Motif(first.head, first.tail, (), ()))
        head = self._head(min(2.2, self._density * self._rng.choice((1.0, 1.2))))
        tail = self._echo(head) if self._rng.random() < 0.5 else first.tail
        return self.matched(Motif(head, tail, (), first.tail_steps))

    def _echo(self, head: Cell) -> Cell:
        """The head's rhythm begins again and comes to rest: what returns is remembered."""
        beats = self._meter.beats
        landing = landing_beat(beats)
        onsets = [onset for onset, _ in head if onset < landing]
        onsets.append(landing)
        end = beats - (0.5 if beats > 2 else 0.0)
        return tuple((onset, following - onset) for onset, following in zip(onsets, [*onsets[1:], end], strict=True))

    def _chosen_divisions(self) -> list[tuple[tuple[float, ...], float]]:
        """One or two ways of dividing a beat, which then mark the whole melody: more would not be remembered."""
        slow = self._style.tempo[1] < 90
        density, syncopation = self._density, self._syncopation
        choices: list[tuple[tuple[float, ...], float]] = [((0.0, 0.5), 0.6), ((0.5,), 0.4 * syncopation)]
        if self._style.swing < 0.6:  # swung pairs are long and short already
            choices += [
                ((0.0, 0.75), 0.12),
                ((0.0, 0.5, 0.75), (0.22 if slow else 0.12) * density),
                ((0.0, 0.25, 0.5, 0.75), (0.1 if slow else 0.05) * max(0.0, density - 0.9) ** 2 * 4),
            ]
        first, second = (weighted(self._rng, [(choice, choice[1]) for choice in choices])[0] for _ in range(2))
        alone = first == second or (0.0, 0.75) in (first, second) or self._rng.random() < 0.4
        return [(first, 0.8)] if alone else [(first, 0.65), (second, 0.15)]

    def _head(self, density: float) -> Cell:
        """A rhythm that can be recognised again: two notes at the least, three where the music moves, and both long and
        short ones where there are more.
        """
        least = 2 if density < 0.5 or self._meter.beats < 3 else 3
        head = self._rhythm(density, tail=False)
        for _ in range(12):
            if len(head) >= least and (len(head) <= 3 or len({round(length, 3) for _, length in head}) > 1):
                break
            head = self._rhythm(max(density, 0.5) * 1.25 if len(head) < least else density, tail=False)
        return head

    def matched(self, motif: Motif) -> Motif:
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
            if onsets and onsets[-1] % 1.0 > 0.7 and not meter.compound:
                options = [option for option in options if option[0][:1] == (0.0,)]  # a short upbeat leads somewhere
            elif tail and beat >= meter.beats - max(1, meter.beats // 3):
                options = [((), 1.0)]  # the breath
            chosen = weighted(rng, options)
            if beat == 0 and not chosen:
                chosen = (0.0,)
            onsets += [beat + part for part in chosen]
        if rng.random() < self._syncopation and len(onsets) > 2 and not meter.compound:
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
                step = direction * rng.choice((2, 3, 3, 4))
            else:
                step = direction * weighted(rng, [(1, 1.0), (2, 0.18), (0, 0.34)])
            steps.append(step)
        return tuple(steps)
