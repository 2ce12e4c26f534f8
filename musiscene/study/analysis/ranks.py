"""The check without a normal distribution: ranks of the participants' own means, and agreement with oneself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True, slots=True)
class Friedman:
    """Do the conditions differ in rank (M. Friedman, 1937)? Kendall's W is its effect size."""

    statistic: float
    p: float
    participants: int
    kendall_w: float


@dataclass(frozen=True, slots=True)
class SignedRank:
    """Wilcoxon's signed-rank test of one pair over participants, with the matched-pairs rank-biserial correlation."""

    first: str
    second: str
    participants: int
    statistic: float
    p: float
    p_holm: float
    rank_biserial: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """How well people agree with themselves when an item comes again.

    Attributes:
        icc: Intraclass correlation, two-way, absolute agreement, single rating (ICC(A,1): McGraw and Wong,
            Psychological Methods 1, 1996).
        mean_gap: Mean absolute difference in points.
    """

    pairs: int
    participants: int
    icc: float
    spearman: float
    mean_gap: float


def friedman(ratings: pd.DataFrame, conditions: Sequence[str]) -> Friedman | None:
    """Friedman's test on the means of the participants who rated every condition; None with too few of either."""
    table = _means(ratings, conditions)
    if table.shape[0] < 3 or table.shape[1] < 3:
        return None
    result = stats.friedmanchisquare(*(table[name] for name in table))
    if not math.isfinite(float(result.statistic)):  # everybody gave everything the same
        return Friedman(0.0, 1.0, len(table), 0.0)
    w = float(result.statistic) / (len(table) * (table.shape[1] - 1))
    return Friedman(float(result.statistic), float(result.pvalue), len(table), w)


def signed_ranks(ratings: pd.DataFrame, conditions: Sequence[str]) -> list[SignedRank]:
    """Wilcoxon's test for every pair, Holm-corrected."""
    from statsmodels.stats.multitest import multipletests

    found: list[SignedRank] = []
    for first, second in combinations(conditions, 2):
        table = _means(ratings, (first, second))
        if table.shape[1] < 2 or len(table) < 3:
            continue
        gaps = (table[second] - table[first]).to_numpy(float)
        moved = gaps[gaps != 0]
        if not len(moved):
            found.append(SignedRank(first, second, len(table), 0.0, 1.0, 1.0, 0.0))
            continue
        result = stats.wilcoxon(gaps)
        ranks = stats.rankdata(np.abs(moved))
        biserial = float((ranks[moved > 0].sum() - ranks[moved < 0].sum()) / ranks.sum())
        p = float(result.pvalue)
        found.append(SignedRank(first, second, len(table), float(result.statistic), p, p, biserial))
    if not found:
        return []
    corrected = multipletests([one.p for one in found], method="holm")[1]
    return [replace(one, p_holm=float(p)) for one, p in zip(found, corrected, strict=True)]


def reliability(ratings: pd.DataFrame) -> Reliability | None:
    """Agreement of first and repeated ratings of the same soundtrack; None with fewer than three."""
    keys = ["participant", "item", "condition"]
    first = ratings[ratings["kind"] == "trial"].set_index(keys)["value"]
    again = ratings[ratings["kind"] == "repeat"].set_index(keys)["value"]
    both = pd.concat([first.groupby(level=keys).mean(), again.groupby(level=keys).mean()], axis=1).dropna()
    if len(both) < 3:
        return None
    pair = both.to_numpy(float)
    varied = bool(np.ptp(pair[:, 0])) and bool(np.ptp(pair[:, 1]))
    spearman = float(stats.spearmanr(pair[:, 0], pair[:, 1]).statistic) if varied else math.nan
    people = len(set(both.index.get_level_values("participant")))
    return Reliability(len(both), people, _icc(pair), spearman, float(np.abs(pair[:, 0] - pair[:, 1]).mean()))


def _icc(pair: np.ndarray) -> float:
    """ICC(A,1) of `pair` `(targets, 2)` from the mean squares of a two-way analysis."""
    count, raters = pair.shape
    grand = pair.mean()
    rows = raters * float(((pair.mean(axis=1) - grand) ** 2).sum()) / (count - 1)
    columns = count * float(((pair.mean(axis=0) - grand) ** 2).sum()) / (raters - 1)
    rest = pair - pair.mean(axis=1, keepdims=True) - pair.mean(axis=0, keepdims=True) + grand
    error = float((rest**2).sum()) / ((count - 1) * (raters - 1))
    below = rows + (raters - 1) * error + raters * (columns - error) / count
    return (rows - error) / below if below else math.nan


def _means(ratings: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """Mean of each participant in each condition over the items rated in all of them; complete rows only."""
    mine = ratings[ratings["condition"].isin(conditions)]
    cells = mine.pivot_table(index=["participant", "item"], columns="condition", values="value", aggfunc="mean")
    cells = cells.reindex(columns=[name for name in conditions if name in cells]).dropna()
    return cells.groupby(level="participant").mean()
