"""Participants that do not exist, with effects that are known: for rehearsals, for power, and to test the analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from musiscene.study.assignment import choose_cell, participant_seed, plan
from musiscene.study.design import Design, TrialType

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Population:
    """Where ratings come from: mean of the condition + participant + item + their interactions with it + noise.

    Deviations are standard deviations in points of the 0 to 100 scale.
    """

    means: Mapping[str, float] = field(default_factory=dict)
    mean: float = 55.0
    """Of conditions that `means` does not name."""
    participant_sd: float = 10.0
    item_sd: float = 7.0
    participant_condition_sd: float = 4.0
    item_condition_sd: float = 4.0
    residual_sd: float = 14.0


class SimulatedRater:
    """Draws the ratings of one simulated study; the same person, item and condition keep their deviations."""

    def __init__(self, population: Population, seed: int) -> None:
        self._population, self._seed = population, seed
        self._drawn: dict[tuple[object, ...], float] = {}
        self._generator = np.random.default_rng([seed, 99])

    def rate(self, person: int, item: int, condition: str) -> float:
        """A rating, not yet cut to the scale."""
        p = self._population
        return (
            p.means.get(condition, p.mean)
            + self._deviation(p.participant_sd, "p", person)
            + self._deviation(p.item_sd, "i", item)
            + self._deviation(p.participant_condition_sd, "pc", person, condition)
            + self._deviation(p.item_condition_sd, "ic", item, condition)
            + p.residual_sd * float(self._generator.standard_normal())
        )

    def _deviation(self, sd: float, *key: object) -> float:
        if key not in self._drawn:
            self._drawn[key] = float(self._generator.standard_normal())
        return sd * self._drawn[key]


def answer_page(view: Mapping[str, Any], design: Design, value: float | None = None) -> dict[str, Any]:
    """What an obedient participant answers to the page `view`, rating everything `value` (by turns when None)."""
    step = view["step"]
    kind = step["kind"]
    if kind == "consent":
        return {"accepted": True, "language": view["language"]}
    if kind == "volume":
        return {"volume": 0.5}
    if kind == "headphones":
        return {"choices": [1] * len(step["sounds"])}
    if kind == "questions":
        return {"answers": {question.id: question.lowest for question in design.questions if question.kind == "number"}}
    listened = step["duration_s"]
    if step.get("pair"):
        return {"preference": 50.0 if value is None else value, "listened_s": [listened, listened]}
    given = [20.0 + 10 * place if value is None else value for place in range(len(step["tracks"]))]
    if kind == "instructed":
        given = [float(step["target"])]
    return {
        "ratings": [
            {"slot": slot, "value": rated, "listened_s": listened}
            for slot, rated in zip(step["tracks"], given, strict=True)
        ]
    }


def simulated_ratings(
    design: Design,
    population: Population,
    participants: int,
    seed: int,
    *,
    references: Sequence[bool] | None = None,
    dropout: float = 0.0,
) -> pd.DataFrame:
    """One simulated study in the form that the analysis reads; ratings are cut to 0 to 100 and rounded, as sliders do.

    Assignment is the study's own. A share `dropout` of the participants leaves at some trial.
    """
    import pandas as pd

    references = references or [False] * design.item_count
    rater = SimulatedRater(population, seed)
    generator = np.random.default_rng([seed, 7])
    tested: dict[tuple[int, int], int] = {}
    rows: list[dict[str, Any]] = []
    for person in range(1, participants + 1):
        own_seed = participant_seed(design, person + 1000 * seed)
        cell = choose_cell(design, references, tested, own_seed)
        trials = [step for step in plan(design, references, cell, own_seed) if step.kind in ("trial", "repeat")]
        until = int(generator.integers(len(trials))) if generator.random() < dropout else len(trials)
        for position, step in enumerate(trials[:until]):
            if step.kind == "trial" and step.item is not None:
                tested[step.item, step.row] = tested.get((step.item, step.row), 0) + 1
            values = [rater.rate(person, slot.item, slot.condition) for slot in step.slots]
            if design.trial is TrialType.PAIR:
                second = 50 + (values[1] - values[0]) / 2
                values = [100 - second, second]
            for place, (slot, value) in enumerate(zip(step.slots, values, strict=True)):
                rows.append(
                    {
                        "participant": person,
                        "item": f"item {slot.item + 1}",
                        "condition": slot.condition,
                        "kind": step.kind,
                        "trial": position,
                        "place": place,
                        "value": float(np.clip(round(value), 0, 100)),
                    }
                )
    return pd.DataFrame(rows)
