"""Linear mixed models with participants and items as crossed random effects, fitted by statsmodels.

Ratings of one person resemble each other, and so do ratings of one video: taking them as independent, or averaging
one of the two away, finds differences that are not there (H. H. Clark, Journal of Verbal Learning and Verbal Behavior
12, 1973; Baayen, Davidson and Bates, Journal of Memory and Language 59, 2008). People and videos also differ in *how
much* they prefer a condition, so the model has those slopes too (Barr et al., Journal of Memory and Language 68, 2013).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

_MAX_SLOPE_CELLS = 260
"""Levels of random effects up to which the model of all ratings has slopes; beyond, a fit takes minutes."""


@dataclass(frozen=True, slots=True)
class Omnibus:
    """The model of all ratings: do the conditions differ at all?

    Attributes:
        means: Estimated mean of each condition.
        variances: Of participant, item, their interactions with the condition where they are in the model, residual.
        statistic: Wald's χ² of all differences being zero.
        df: Its degrees of freedom.
    """

    means: dict[str, float]
    variances: dict[str, float]
    statistic: float
    df: int
    p: float
    converged: bool
    slopes: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """Second condition minus first.

    Attributes:
        p_holm: Corrected for the number of pairs (S. Holm, Scandinavian Journal of Statistics 6, 1979).
        d: The difference in standard deviations of a single rating within a condition, over all sources of variance
            (Westfall, Kenny and Judd, Journal of Experimental Psychology: General 143, 2014).
        dz: The difference in standard deviations of the participants' own differences.
    """

    first: str
    second: str
    count: int
    estimate: float
    se: float
    df: float
    low: float
    high: float
    p: float
    p_holm: float
    d: float
    dz: float
    converged: bool
    variances: dict[str, float] = field(default_factory=dict)

    @property
    def significant(self) -> bool:
        """At 5 % after correction."""
        return self.p_holm < 0.05


def omnibus(ratings: pd.DataFrame, conditions: Sequence[str]) -> Omnibus | None:
    """Rating ~ condition + (1 + condition | participant) + (1 + condition | item), by REML; None with too little data.

    The slopes are variances of the cells participant x condition and item x condition (compound symmetry). With very
    many cells they are left out, and the result says so; the pairwise differences always have them.
    """
    data = ratings[ratings["condition"].isin(conditions)]
    present = [name for name in conditions if (data["condition"] == name).any()]
    if len(present) < 2 or data["participant"].nunique() < 2 or data["item"].nunique() < 2:
        return None
    design = np.column_stack(
        [np.ones(len(data))] + [(data["condition"] == name).to_numpy(float) for name in present[1:]]
    )
    of_person = data["participant"].astype(str)
    of_item = data["item"].astype(str)
    groups = {"participant": of_person, "item": of_item}
    cells = len(present) * (of_person.nunique() + of_item.nunique())
    slopes = cells <= _MAX_SLOPE_CELLS
    if slopes:
        groups["participant x condition"] = of_person + " x " + data["condition"]
        groups["item x condition"] = of_item + " x " + data["condition"]
    fitted, converged = _fit(data["value"].to_numpy(float), design, groups)
    if fitted is None:
        return None
    effects = np.asarray(fitted.fe_params)
    covariance = np.asarray(fitted.cov_params())[: len(effects), : len(effects)]
    contrasts = effects[1:]
    statistic = float(contrasts @ np.linalg.solve(covariance[1:, 1:], contrasts))
    means = {present[0]: float(effects[0])}
    means.update({name: float(effects[0] + step) for name, step in zip(present[1:], contrasts, strict=True)})
    variances = {name: float(value) for name, value in zip(groups, fitted.vcomp, strict=True)}
    variances["residual"] = float(fitted.scale)
    df = len(contrasts)
    return Omnibus(means, variances, statistic, df, float(stats.chi2.sf(statistic, df)), converged, slopes)


def pairwise(ratings: pd.DataFrame, conditions: Sequence[str], *, paired_pages: bool = False) -> list[Difference]:
    """Every pair of conditions: the difference within participant and item ~ 1 + (1 | participant) + (1 | item).

    Subtracting within a page takes the intercepts of person and video away; the two random effects that are left are
    their slopes. Interval and test are Student's, with Satterthwaite's degrees of freedom from the expected mean
    squares of the crossed design (Clark's quasi-F, solved for one contrast). Holm's correction is over all pairs.

    Args:
        ratings: Columns participant, item, condition, value, trial.
        conditions: Whose pairs are wanted.
        paired_pages: The two values of a page belong together only (a paired comparison).
    """
    from statsmodels.stats.multitest import multipletests

    found: list[Difference] = []
    for first, second in combinations(conditions, 2):
        differences = _differences(ratings, first, second, paired_pages)
        both = ratings[ratings["condition"].isin((first, second))]
        within = float(np.sqrt(both.groupby("condition")["value"].var(ddof=1).mean()))
        made = _difference(first, second, differences, within)
        if made is not None:
            found.append(made)
    if not found:
        return []
    corrected = multipletests([one.p for one in found], method="holm")[1]
    return [_with(one, p_holm=float(p)) for one, p in zip(found, corrected, strict=True)]


def _differences(ratings: pd.DataFrame, first: str, second: str, paired_pages: bool) -> pd.DataFrame:
    keys = ["participant", "item", "trial"] if paired_pages else ["participant", "item"]
    table = ratings[ratings["condition"].isin((first, second))].pivot_table(
        index=keys, columns="condition", values="value", aggfunc="mean"
    )
    if first not in table or second not in table:
        return pd.DataFrame(columns=["participant", "item", "value"])
    gap = (table[second] - table[first]).dropna().rename("value").reset_index()
    return gap[["participant", "item", "value"]]


def _difference(first: str, second: str, data: pd.DataFrame, rating_sd: float) -> Difference | None:
    people, items = data["participant"].nunique(), data["item"].nunique()
    if people < 2 or items < 2:
        return None
    values = data["value"].to_numpy(float)
    groups = {"participant": data["participant"].astype(str), "item": data["item"].astype(str)}
    fitted, converged = _fit(values, np.ones((len(values), 1)), groups)
    if fitted is None or float(np.ptp(values)) == 0.0:
        estimate = float(values.mean())
        same = 1.0 if estimate == 0 else 0.0
        return Difference(
            first, second, len(values), estimate, 0.0, 1.0, estimate, estimate, same, same, 0.0, 0.0, False
        )
    estimate, se = float(fitted.fe_params[0]), float(fitted.bse_fe[0])
    of_people, of_items = (max(0.0, float(value)) for value in fitted.vcomp)
    noise = float(fitted.scale)
    df = _satterthwaite(of_people, of_items, noise, people, items, len(values))
    reach = float(stats.t.ppf(0.975, df)) * se
    p = 2 * float(stats.t.sf(abs(estimate) / se, df))
    own = data.groupby("participant")["value"].mean()
    spread = float(own.std(ddof=1))
    return Difference(
        first,
        second,
        len(values),
        estimate,
        se,
        df,
        estimate - reach,
        estimate + reach,
        p,
        p,
        estimate / rating_sd if rating_sd else 0.0,
        float(own.mean()) / spread if spread else 0.0,
        converged,
        {"participant": of_people, "item": of_items, "residual": noise},
    )


def _satterthwaite(of_people: float, of_items: float, noise: float, people: int, items: int, count: int) -> float:
    """Degrees of freedom of the mean of `count` differences: (MSp + MSi - MSe)² over what each is uncertain by."""
    per_person, per_item = count / people, count / items
    square_people = noise + per_person * of_people
    square_items = noise + per_item * of_items
    rest = max(1, count - people - items + 1)
    spread = square_people**2 / (people - 1) + square_items**2 / (items - 1) + noise**2 / rest
    return max(1.0, (square_people + square_items - noise) ** 2 / spread)


def _fit(values: NDArray[np.float64], design: NDArray[np.float64], groups: dict[str, pd.Series]) -> tuple[Any, bool]:
    """A fit by REML with independent random intercepts for each of `groups`, and whether it converged."""
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

    names: list[str] = list(groups)
    columns: list[list[list[str]]] = []
    matrices: list[list[NDArray[np.float64]]] = []
    for group in groups.values():
        levels, codes = np.unique(group.to_numpy(str), return_inverse=True)
        columns.append([[str(level) for level in levels]])
        matrices.append([np.eye(len(levels))[codes]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a variance of zero is an answer here, not a problem
        model = MixedLM(values, design, groups=np.zeros(len(values)), exog_vc=VCSpec(names, columns, matrices))
        for method in ("lbfgs", "powell"):
            try:
                fitted = model.fit(reml=True, method=method)
            except (np.linalg.LinAlgError, ValueError):
                continue
            if np.isfinite(fitted.bse_fe).all() and math.isfinite(float(fitted.scale)):
                return fitted, bool(fitted.converged)
    return None, False


def _with(difference: Difference, **changes: Any) -> Difference:
    from dataclasses import replace

    return replace(difference, **changes)
