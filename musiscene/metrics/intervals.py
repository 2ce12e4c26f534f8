"""How sure a number is: bootstrap intervals over clips, and a paired randomisation test between two systems.

A metric is given as additive statistics of every item (a score and a 1; n-gram counts of a sentence) and a rule that
turns their sums into the value. So a corpus BLEU is resampled as correctly as a mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Combine: TypeAlias = Callable[[Array], Array]
"""Sums of statistics `(draws, k)` -> values `(draws,)`."""

DRAWS = 2000
TRIALS = 10_000
LEVEL = 0.95
_CHUNK = 4_000_000
"""Numbers that a table of draws may hold at a time."""


def ratio(sums: Array) -> Array:
    """First sum over second: the mean of items whose statistics are (score * weight, weight)."""
    values: Array = np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] != 0)
    return values


def as_means(scores: Any) -> Array:
    """Statistics `(n, 2)` of plain scores, to be combined by `ratio`."""
    values = np.asarray(scores, np.float64)
    return np.stack([values, np.ones_like(values)], axis=1)


@dataclass(frozen=True, slots=True)
class Scored:
    """A metric of one system, with what is needed to resample it.

    Attributes:
        value: The metric.
        low: Lower end of the interval; nan with fewer than two items.
        high: Upper end.
        n: Number of items.
        statistics: `(n, k)` of the items.
        combine: Turns their sums into the value.
    """

    value: float
    low: float
    high: float
    n: int
    statistics: Array
    combine: Combine

    def as_dict(self) -> dict[str, Any]:
        """JSON layout: nan becomes null."""
        return {"value": finite(self.value), "low": finite(self.low), "high": finite(self.high), "n": self.n}


@dataclass(frozen=True, slots=True)
class Difference:
    """One system against another.

    Attributes:
        value: First minus second.
        low: Lower end of the paired bootstrap interval of the difference.
        high: Upper end.
        p: Two-sided p-value of the randomisation test.
        n: Number of pairs.
    """

    value: float
    low: float
    high: float
    p: float
    n: int

    def as_dict(self) -> dict[str, Any]:
        """JSON layout."""
        return {"value": finite(self.value), "low": finite(self.low), "high": finite(self.high), "p": finite(self.p),
                "n": self.n}  # fmt: skip


def score(statistics: Array, combine: Combine = ratio, *, seed: int = 0, draws: int = DRAWS) -> Scored:
    """The metric with its percentile bootstrap interval over items (Efron & Tibshirani 1993, chapter 13)."""
    n = len(statistics)
    value = float(combine(statistics.sum(axis=0, keepdims=True))[0]) if n else float("nan")
    if n < 2:
        return Scored(value, float("nan"), float("nan"), n, statistics, combine)
    low, high = _percentiles(_resampled(statistics, combine, seed, draws))
    return Scored(value, low, high, n, statistics, combine)


def compare(first: Scored, second: Scored, *, seed: int = 0, trials: int = TRIALS, draws: int = DRAWS) -> Difference:
    """First minus second over the same items, with a paired interval and a p-value.

    Approximate randomisation (Noreen 1989; Riezler & Maxwell 2005): were the systems alike, swapping their outputs on
    any of the items would change nothing; p is the share of random swaps, itself included, whose difference is at
    least as large.

    Raises:
        ValueError: The two do not have the same items.
    """
    if first.n != second.n:
        raise ValueError(f"Systems are compared over the same items, not {first.n} and {second.n}.")
    combine, a, b = first.combine, first.statistics, second.statistics
    observed = first.value - second.value
    if first.n < 2:
        return Difference(observed, float("nan"), float("nan"), float("nan"), first.n)
    swapped = a - b
    sum_a, sum_b = a.sum(axis=0), b.sum(axis=0)
    rng = np.random.default_rng(seed)
    reached, done = 1, 0
    tolerance = 1e-12 + 1e-9 * abs(observed)
    while done < trials:
        size = min(trials - done, max(1, _CHUNK // first.n))
        moved = rng.integers(0, 2, (size, first.n)).astype(np.float64) @ swapped
        differences = combine(sum_a - moved) - combine(sum_b + moved)
        reached += int((np.abs(differences) >= abs(observed) - tolerance).sum())
        done += size
    both = np.concatenate([a, b], axis=1)
    k = a.shape[1]
    low, high = _percentiles(_resampled(both, lambda s: combine(s[:, :k]) - combine(s[:, k:]), seed, draws))
    return Difference(observed, low, high, reached / (trials + 1), first.n)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values of several metrics, adjusted for their number (Holm 1979); those that are nan stay so."""
    known = sorted((name for name, p in p_values.items() if np.isfinite(p)), key=lambda name: p_values[name])
    adjusted = dict(p_values)
    floor = 0.0
    for rank, name in enumerate(known):
        floor = max(floor, min(1.0, (len(known) - rank) * p_values[name]))
        adjusted[name] = floor
    return adjusted


def _resampled(statistics: Array, combine: Combine, seed: int, draws: int) -> Array:
    n = len(statistics)
    rng = np.random.default_rng(seed)
    values = []
    for start in range(0, draws, max(1, _CHUNK // n)):
        size = min(draws - start, max(1, _CHUNK // n))
        weights = rng.multinomial(n, np.full(n, 1 / n), size=size).astype(np.float64)
        values.append(combine(weights @ statistics))
    return np.concatenate(values)


def _percentiles(values: Array) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not values.size:
        return float("nan"), float("nan")
    low, high = np.percentile(values, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)


def finite(value: float) -> float | None:
    """`value` for JSON, which has no nan or infinity."""
    return float(value) if np.isfinite(value) else None
