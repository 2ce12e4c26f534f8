"""How many participants a design needs: simulated studies, analysed as the real one will be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from musiscene.errors import RequestError
from musiscene.study.design import Design
from musiscene.study.simulated import Population, simulated_ratings


@dataclass(frozen=True, slots=True)
class Power:
    """What was found for one number of participants.

    Attributes:
        found: Share of the studies in which the difference was significant after Holm's correction.
        margin: Half of the 95 % interval of that share, from the number of simulated studies.
        width: Mean width of the 95 % interval of the difference, in points.
    """

    participants: int
    studies: int
    found: float
    margin: float
    width: float


def power(
    design: Design,
    difference: float,
    participants: Sequence[int],
    *,
    studies: int = 100,
    seed: int = 1,
    population: Population | None = None,
    tell: Callable[[Power], None] | None = None,
) -> list[Power]:
    """Chance to find `difference` points between the last condition and all others, for each number of participants.

    Args:
        design: Its assignment and its trial type are used; checks are left out.
        difference: In points of the 0 to 100 scale.
        participants: Numbers to try.
        studies: Simulated studies for each number.
        seed: Of the simulation.
        population: Deviations of people, items and noise; `Population`'s by default.
        tell: Is called with every number that is done.

    Raises:
        RequestError: There is nothing to compare, or a number cannot be used.
    """
    from musiscene.study.analysis.models import pairwise

    if len(design.conditions) < 2:
        raise RequestError("Power is about a difference; the design has one condition only.")
    if not math.isfinite(difference) or not 0 < abs(difference) <= 50:
        raise RequestError(f"The difference must be up to 50 points and not zero, got {difference:g}.")
    if any(not 2 <= count <= 5000 for count in participants) or not 1 <= studies <= 10_000:
        raise RequestError("Give 2 to 5000 participants and 1 to 10000 studies.")
    population = population or Population()
    last = design.conditions[-1]
    population = replace(population, means={**population.means, last: population.mean + difference})
    design = replace(design, checks=replace(design.checks, repeat=0, anchor=0, reference=False, instructed=0))
    paired = design.trial.value == "pair"
    results: list[Power] = []
    for count in participants:
        found, widths = 0, 0.0
        for number in range(studies):
            ratings = simulated_ratings(design, population, count, seed + number)
            gaps = [gap for gap in pairwise(ratings, design.conditions, paired_pages=paired) if gap.second == last]
            found += all(gap.significant for gap in gaps) and bool(gaps)
            widths += sum(gap.high - gap.low for gap in gaps) / max(1, len(gaps))
        share = found / studies
        margin = 1.96 * math.sqrt(max(share * (1 - share), 0.25 / studies) / studies)
        results.append(Power(count, studies, share, margin, widths / studies))
        if tell:
            tell(results[-1])
    return results
