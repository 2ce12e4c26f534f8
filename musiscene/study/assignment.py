"""Who sees what, in which order: everything follows from the design, the cell and the participant's seed.

A *cell* is a block of items and an offset into the rows of the Williams square. It is chosen least-tested-first, so
that the cells stay balanced when people drop out; all else is drawn from the participant's own seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from musiscene.study.design import ANCHOR, REFERENCE, Design, TrialType
from musiscene.study.squares import blocks, williams

HEADPHONE_TRIALS = 6
MAIN_KINDS = ("trial", "repeat")
"""Steps whose ratings are about the conditions."""
_INSTRUCTED_VALUES = (10, 30, 70, 90)


@dataclass(frozen=True, slots=True)
class Slot:
    """One soundtrack on a page: of which item, in which condition."""

    item: int
    condition: str


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One page of one participant.

    Attributes:
        kind: consent, volume, headphones, practice, trial, repeat, instructed, questions or end.
        item: The video that is seen, as its number in the bundle.
        row: Row of the square that gave the order; -1 where there is none.
        slots: Soundtracks in the order of the page.
        secret: What only the server may know: right answers.
    """

    kind: str
    item: int | None = None
    row: int = -1
    slots: tuple[Slot, ...] = ()
    secret: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cell:
    """Block of items and offset into the rows of the square."""

    block: int
    offset: int


Tested = Mapping[tuple[int, int], int]
"""(item, row) -> how many people have rated it so, or are about to."""


def participant_seed(design: Design, number: int) -> int:
    """The seed of participant `number`; the same for the same design and arrival."""
    digest = hashlib.sha256(f"{design.seed}/{design.name}/{number}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def square(design: Design, references: Sequence[bool]) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """What is permuted, and the rows of its square.

    The hidden reference takes part in the square where every item has one; else it is put in at a drawn place.
    """
    if design.trial is TrialType.PAIR:
        return design.conditions, ((0, 1), (1, 0))
    names = design.conditions
    if design.checks.reference and all(references):
        names = (*names, REFERENCE)
    return names, williams(len(names))


def choose_cell(design: Design, references: Sequence[bool], tested: Tested, seed: int) -> Cell:
    """The cell whose block was used least, then whose orders were; what is still equal is drawn.

    How often a block was used is what explains the counts of the items best (least squares): after whole rounds that is
    the number of people, and when some left in the middle it tells which block makes up for them.

    Args:
        design: Of the study.
        references: For each item, whether the bundle has its own soundtrack.
        tested: Counts so far.
        seed: Of the participant.
    """
    groups = blocks(design.item_count, design.per_participant).blocks
    rows = len(square(design, references)[1])
    of_item = np.zeros(design.item_count)
    for (item, _), count in tested.items():
        of_item[item] += count
    holds = np.array([[item in group for group in groups] for item in range(design.item_count)], dtype=float)
    used = np.round(np.linalg.pinv(holds) @ of_item, 6)
    draw = np.random.default_rng([seed, 1]).permutation(len(groups) * rows)
    best: tuple[float, int, int] | None = None
    chosen = Cell(0, 0)
    for number, group in enumerate(groups):
        for offset in range(rows):
            ordered = sum(tested.get((item, (offset + item) % rows), 0) for item in group)
            rank = (float(used[number]), ordered, int(draw[number * rows + offset]))
            if best is None or rank < best:
                best, chosen = rank, Cell(number, offset)
    return chosen


def plan(
    design: Design, references: Sequence[bool], cell: Cell, seed: int, practice_item: int | None = None
) -> tuple[PlannedStep, ...]:
    """All pages of one participant, from consent to the end.

    Args:
        design: Of the study.
        references: For each item, whether the bundle has its own soundtrack.
        cell: See `choose_cell`.
        seed: See `participant_seed`.
        practice_item: A video of the bundle that is kept for practice, where there is one.
    """
    generator = np.random.default_rng([seed, 2])
    group = blocks(design.item_count, design.per_participant).blocks[cell.block]
    order = [int(item) for item in generator.permutation(group)]
    main = _main(design, references, cell, order, generator)
    main = _with_anchors(design, main, generator)
    main = _with_repeats(design, main, generator)
    rehearsal = practice_item if practice_item is not None else _unseen(design, group, generator)
    main = _with_instructed(design, main, rehearsal, generator)
    steps = [PlannedStep("consent")]
    if design.checks.volume:
        steps.append(PlannedStep("volume", rehearsal, slots=(Slot(rehearsal, design.conditions[0]),)))
    if design.checks.headphones:
        right = [int(value) for value in generator.integers(1, 4, HEADPHONE_TRIALS)]
        steps.append(PlannedStep("headphones", secret={"right": right, "seed": int(generator.integers(2**31))}))
    if design.checks.practice:
        shown = design.conditions[: 1 if design.trial is TrialType.SINGLE else 2]
        drawn = [shown[int(place)] for place in generator.permutation(len(shown))]
        steps.append(PlannedStep("practice", rehearsal, slots=tuple(Slot(rehearsal, name) for name in drawn)))
    steps += main
    if design.questions:
        steps.append(PlannedStep("questions"))
    return (*steps, PlannedStep("end"))


def _main(
    design: Design, references: Sequence[bool], cell: Cell, order: list[int], generator: np.random.Generator
) -> list[PlannedStep]:
    names, rows = square(design, references)
    steps: list[PlannedStep] = []
    if design.trial is TrialType.RATING:
        for item in order:
            row = (cell.offset + item) % len(rows)
            slots = [Slot(item, names[place]) for place in rows[row]]
            if design.checks.reference and REFERENCE not in names and references[item]:
                slots.insert(int(generator.integers(len(slots) + 1)), Slot(item, REFERENCE))
            steps.append(PlannedStep("trial", item, row, tuple(slots)))
        return steps
    if design.trial is TrialType.PAIR:
        couples = list(combinations(names, 2))
        for turn in range(len(couples)):
            for item in _round(order, steps, generator):
                number = (turn + item) % len(couples)
                row = (cell.offset + item + number) % 2
                first, second = couples[number] if row == 0 else reversed(couples[number])
                steps.append(PlannedStep("trial", item, row, (Slot(item, first), Slot(item, second))))
        return steps
    for turn in range(len(names)):
        for item in _round(order, steps, generator):
            row = (cell.offset + item) % len(rows)
            steps.append(PlannedStep("trial", item, row, (Slot(item, names[rows[row][turn]]),)))
    if design.checks.reference and REFERENCE not in names:
        for item in order:
            if references[item]:
                place = int(generator.integers(len(steps) + 1))
                steps.insert(place, PlannedStep("trial", item, -1, (Slot(item, REFERENCE),)))
    return steps


def _round(order: list[int], before: list[PlannedStep], generator: np.random.Generator) -> list[int]:
    """All items once more in a new order that does not begin with the item that was seen last."""
    drawn = [order[int(place)] for place in generator.permutation(len(order))]
    if before and len(drawn) > 1 and before[-1].item == drawn[0]:
        drawn.append(drawn.pop(0))
    return drawn


def _with_anchors(design: Design, main: list[PlannedStep], generator: np.random.Generator) -> list[PlannedStep]:
    if not design.checks.anchor:
        return main
    changed = list(main)
    items = list(dict.fromkeys(step.item for step in main if step.item is not None))
    for item in [items[int(place)] for place in generator.permutation(len(items))[: design.checks.anchor]]:
        anchor = Slot(item, ANCHOR)
        if design.trial is TrialType.SINGLE:
            changed.insert(int(generator.integers(len(changed) + 1)), PlannedStep("trial", item, -1, (anchor,)))
            continue
        at = next(place for place, step in enumerate(changed) if step.item == item)
        step = changed[at]
        slots = list(step.slots)
        slots.insert(int(generator.integers(len(slots) + 1)), anchor)
        changed[at] = PlannedStep(step.kind, step.item, step.row, tuple(slots))
    return changed


def _with_repeats(design: Design, main: list[PlannedStep], generator: np.random.Generator) -> list[PlannedStep]:
    """Items of the first half come once more towards the end, their soundtracks in the opposite order."""
    changed = list(main)
    early = [step for step in main[: max(1, (len(main) + 1) // 2)] if step.row >= 0]
    for place in generator.permutation(len(early))[: design.checks.repeat]:
        step = early[int(place)]
        slots = tuple(reversed([slot for slot in step.slots if slot.condition != ANCHOR]))
        again = PlannedStep("repeat", step.item, step.row, slots)
        first = changed.index(step)
        latest = len(changed)
        earliest = min(latest, max(first + 2, (first + latest) // 2 + 1))
        changed.insert(int(generator.integers(earliest, latest + 1)), again)
    return changed


def _with_instructed(
    design: Design, main: list[PlannedStep], item: int, generator: np.random.Generator
) -> list[PlannedStep]:
    changed = list(main)
    for _ in range(design.checks.instructed):
        target = int(generator.choice(_INSTRUCTED_VALUES))
        slots = (Slot(item, design.conditions[0]),)
        step = PlannedStep("instructed", item, slots=slots, secret={"target": target})
        quarter = len(changed) // 4
        changed.insert(int(generator.integers(max(1, quarter), max(2, len(changed) - quarter + 1))), step)
    return changed


def _unseen(design: Design, group: Sequence[int], generator: np.random.Generator) -> int:
    """A video that this participant does not rate, if there is one."""
    others = [item for item in range(design.item_count) if item not in group] or list(group)
    return int(generator.choice(others))
