"""How often the study's intervals cover the truth, and how often nothing is called something.

Simulated participants with known effects are assigned as real ones are, and the study's own analysis is run on what
they rate; the truth is the expected value of a rating after it was cut to 0-100. `--studies 300` is the full run.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy import stats

from musiscene.study.analysis.intervals import condition_means
from musiscene.study.analysis.models import pairwise
from musiscene.study.design import Design, load_design
from musiscene.study.simulated import Population, simulated_ratings

STUDIES = Path(__file__).resolve().parent.parent / "assets" / "studies"


def expected(population: Population, condition: str) -> float:
    """Mean of a rating in `condition`, over people and items, after rounding and cutting to 0-100."""
    sd = math.sqrt(
        population.participant_sd**2
        + population.item_sd**2
        + population.participant_condition_sd**2
        + population.item_condition_sd**2
        + population.residual_sd**2
    )
    points = np.arange(1, 101)
    return float(stats.norm.sf(points - 0.5, population.means.get(condition, population.mean), sd).sum())


def run(design: Design, participants: int, studies: int, first_seed: int) -> dict[str, float]:
    """Coverage of means and differences, and how often a null effect was significant."""
    names = design.conditions
    # The last two conditions are equal: their difference is the null effect. The others differ by 6 points.
    means = {name: 50.0 + 6.0 * min(place, max(0, len(names) - 2)) for place, name in enumerate(names)}
    population = Population(means=means)
    if len(names) == 2:
        means = {names[0]: 52.0, names[1]: 52.0}
        population = Population(means=means)
    truth = {name: expected(population, name) for name in names}
    in_mean = in_gap = null = null_raw = gaps = nulls = 0
    for seed in range(first_seed, first_seed + studies):
        ratings = simulated_ratings(design, population, participants, seed)
        main = ratings[ratings["kind"] == "trial"]
        for mean in condition_means(main, names, seed):
            assert mean.low is not None and mean.high is not None
            in_mean += mean.low <= truth[mean.condition] <= mean.high
        for gap in pairwise(main, names):
            real = truth[gap.second] - truth[gap.first]
            in_gap += gap.low <= real <= gap.high
            gaps += 1
            if abs(real) < 1e-9:
                nulls += 1
                null += gap.significant
                null_raw += gap.p < 0.05
    assert gaps == studies * len(list(combinations(names, 2)))
    return {
        "means_covered": in_mean / (studies * len(names)),
        "differences_covered": in_gap / gaps,
        "null_significant_holm": null / nulls,
        "null_significant_uncorrected": null_raw / nulls,
    }


def main() -> None:
    """Print one line a design."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--designs", nargs="*", default=["form-1:68", "form-2:50", "form-1-blocks:60"])
    arguments = parser.parse_args()
    for entry in arguments.designs:
        name, people = entry.split(":")
        design = load_design(STUDIES / f"{name}.toml")
        design = replace(design, checks=replace(design.checks, repeat=0, anchor=0, reference=False, instructed=0))
        started = time.perf_counter()
        found = run(design, int(people), arguments.studies, arguments.seed)
        words = ", ".join(f"{key} {value:.3f}" for key, value in found.items())
        seconds = time.perf_counter() - started
        print(f"{name}, {people} participants, {arguments.studies} studies: {words} ({seconds:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
