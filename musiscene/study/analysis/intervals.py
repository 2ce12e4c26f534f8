"""Means with intervals that hold for other people and other videos, not for those of the study alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 4000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean of a condition.

    Attributes:
        count: How many ratings.
        low: Lower end of the 95 % interval; None where there are too few people or videos for one.
        high: Upper end.
        sd: Standard deviation of the ratings.
    """

    condition: str
    count: int
    participants: int
    items: int
    mean: float
    low: float | None
    high: float | None
    sd: float
    median: float


def condition_means(ratings: pd.DataFrame, conditions: Sequence[str], seed: int = 0) -> list[Mean]:
    """Mean and 95 % interval of every condition, by a bootstrap over participants and over items.

    Both are drawn anew, crossed (the pigeonhole bootstrap: A. B. Owen, Annals of Applied Statistics 1, 2007,
    386-411). The percentiles are the expanded ones of T. C. Hesterberg (The American Statistician 69, 2015, 371-386):
    moved to where a symmetric distribution of the draws has Student's interval. Plain percentiles are too narrow with
    few items, first because they take the normal distribution for Student's t, and then because draws from n values
    spread by (n - 1)/n too little; and the crossed draws count a rating's own noise three times. The standard error
    and Satterthwaite's degrees of freedom (Biometrics 2, 1946) are those of the two crossed factors.

    Args:
        ratings: Columns participant, item, condition, value.
        conditions: In the order of the result.
        seed: Of the draws.
    """
    people = sorted(ratings["participant"].unique())
    items = sorted(ratings["item"].unique())
    generator = np.random.default_rng(seed)
    weights_people = _draws(generator, len(people))
    weights_items = _draws(generator, len(items))
    result: list[Mean] = []
    for condition in conditions:
        mine = ratings[ratings["condition"] == condition]
        if mine.empty:
            continue
        values = mine["value"].to_numpy(float)
        cells = _cells(mine, people, items)
        interval = _interval(cells, weights_people, weights_items)
        result.append(
            Mean(
                condition,
                len(values),
                int(mine["participant"].nunique()),
                int(mine["item"].nunique()),
                float(values.mean()),
                *interval,
                float(values.std(ddof=1)) if len(values) > 1 else 0.0,
                float(np.median(values)),
            )
        )
    return result


def _draws(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """How often each of `count` is drawn, `(RESAMPLES, count)`."""
    if not count:
        return np.zeros((RESAMPLES, 0))
    return generator.multinomial(count, np.full(count, 1.0 / count), RESAMPLES).astype(float)


def _cells(ratings: pd.DataFrame, people: Sequence[object], items: Sequence[object]) -> NDArray[np.float64]:
    """Mean rating of each participant and item, `(people, items)`, NaN where there is none."""
    table = ratings.pivot_table(index="participant", columns="item", values="value", aggfunc="mean")
    return np.asarray(table.reindex(index=people, columns=items).to_numpy(float))


def _interval(
    cells: NDArray[np.float64], weights_people: NDArray[np.float64], weights_items: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    known = np.isfinite(cells)
    if known.any(axis=1).sum() < 2 or known.any(axis=0).sum() < 2:
        return None, None
    filled = np.where(known, cells, 0.0)
    sums = ((weights_people @ filled) * weights_items).sum(axis=1)
    counts = ((weights_people @ known.astype(float)) * weights_items).sum(axis=1)
    means = sums[counts > 0] / counts[counts > 0]
    df, error = crossed_error(cells)
    spread = float(means.std())
    widened = error / spread if spread else 1.0
    tail = float(stats.norm.sf(stats.t.ppf(0.5 + LEVEL / 2, df) * widened))
    low, high = np.quantile(means, [tail, 1 - tail])
    return max(0.0, float(low)), min(100.0, float(high))


def crossed_error(cells: NDArray[np.float64]) -> tuple[float, float]:
    """Satterthwaite's degrees of freedom of the mean of `cells` `(people, items)`, and its standard error.

    Both factors are random: the squared error is that of the people's means and that of the items' means together. The
    noise of single ratings is in both, so the error is a little too large where there are few of them.
    """
    known = np.isfinite(cells)
    rows, columns = known.any(axis=1), known.any(axis=0)
    people, items = int(rows.sum()), int(columns.sum())
    means = np.nanmean(cells[rows], axis=1), np.nanmean(cells[:, columns], axis=0)
    of_people = float(np.var(means[0], ddof=1)) / people
    of_items = float(np.var(means[1], ddof=1)) / items
    error = math.sqrt(of_people + of_items)
    spread = of_people**2 / (people - 1) + of_items**2 / (items - 1)
    if not spread or not math.isfinite(spread):
        return float(min(people, items) - 1), error
    return max(1.0, (of_people + of_items) ** 2 / spread), error
