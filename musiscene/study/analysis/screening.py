"""Whose answers may not be meant: rules with their source, each told with what it found, none applied in silence.

Nobody is deleted. The screened analysis stands beside the raw one, and the report names every exclusion.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from musiscene.study.analysis.frames import StudyData
from musiscene.study.assignment import HEADPHONE_TRIALS
from musiscene.study.design import ANCHOR, REFERENCE

REFERENCE_LEAST = 90.0
REFERENCE_SHARE = 0.15
_FEWEST_FOR_SHARE = 7
"""With fewer ratings a single one is more than 15 %, and the rule would punish one slip."""
INSTRUCTED_TOLERANCE = 5.0
REPEAT_GAP = 40.0
STRAIGHT_SD = 2.0


@dataclass(frozen=True, slots=True)
class Rule:
    """One screening rule and whom it found.

    Attributes:
        source: Where the rule comes from.
        applied: Whether it excludes; else it only reports.
        found: Participant -> what was seen.
        note: Why it could not be applied, or how it was.
    """

    name: str
    source: str
    applied: bool
    found: dict[int, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Screening:
    """All rules, and who is left out of the screened analysis."""

    rules: tuple[Rule, ...]
    excluded: dict[int, tuple[str, ...]]
    """Participant -> names of the rules."""


def screen(data: StudyData) -> Screening:
    """Apply every rule that the design allows."""
    rules = [
        _hidden_reference(data),
        _anchor(data),
        _instructed(data),
        _headphones(data),
        _repeats(data),
        _straight(data),
        _too_fast(data),
        _far_out(data),
    ]
    excluded: dict[int, list[str]] = {}
    for rule in rules:
        if rule.applied:
            for person in rule.found:
                excluded.setdefault(person, []).append(rule.name)
    return Screening(tuple(rules), {person: tuple(names) for person, names in sorted(excluded.items())})


def _share_rule(
    name: str, source: str, ratings: pd.DataFrame, wrong: pd.Series, words: str, *, most_do: float | None = None
) -> Rule:
    """Who is wrong on more than 15 % of their own ratings of a kind; the share is of the person's, not of anybody's."""
    if ratings.empty:
        return Rule(name, source, False, note="not part of this study")
    counts = ratings.groupby("participant")["value"].size()
    if int(counts.max()) < _FEWEST_FOR_SHARE:
        note = f"not applied: nobody rated {_FEWEST_FOR_SHARE} of them, and one of fewer is more than 15 % already"
        return Rule(name, source, False, note=note)
    misses = wrong.groupby(ratings["participant"]).sum()
    shares = (misses / counts)[counts >= _FEWEST_FOR_SHARE]
    found = {
        int(person): f"{int(misses[person])} of {int(counts[person])} {words}"
        for person, share in shares.items()
        if share > REFERENCE_SHARE
    }
    if most_do is not None and len(found) > most_do * len(shares):
        note = f"not applied: {len(found)} of {len(shares)} people do so, so it is the stimulus and not the person"
        return Rule(name, source, False, found, note)
    return Rule(name, source, True, found)


def _main(data: StudyData, condition: str | None = None) -> pd.DataFrame:
    mine = data.ratings[data.ratings["kind"].isin(("trial", "repeat"))]
    return mine if condition is None else mine[mine["condition"] == condition]


def _hidden_reference(data: StudyData) -> Rule:
    ratings = _main(data, REFERENCE)
    wrong = ratings["value"] < REFERENCE_LEAST
    source = "ITU-R BS.1534-3, 4.1.2: the hidden reference below 90 on more than 15 % of the items"
    rule = _share_rule("hidden reference", source, ratings, wrong, "below 90", most_do=0.25)
    if rule.found and not rule.applied:
        return rule
    caution = "a clip's own soundtrack is no flawless signal: read this rule with the means of the reference"
    return Rule(rule.name, rule.source, rule.applied, rule.found, rule.note or caution)


def _anchor(data: StudyData) -> Rule:
    ratings = _main(data, ANCHOR)
    source = "after ITU-R BS.1534-3, 4.1.2: the low anchor above 90 on more than 15 %, unless over 25 % of people do so"
    if not ratings.empty and ratings.groupby("participant").size().max() < _FEWEST_FOR_SHARE:
        # One anchor a person is usual here; rating a mismatched soundtrack above all else on its page is a miss.
        best = _main(data).groupby(["participant", "trial"])["value"].transform("max")
        missed = ratings[(ratings["value"] > REFERENCE_LEAST) & (ratings["value"] >= best.loc[ratings.index])]
        found = {int(row.participant): f"rated the mismatched soundtrack {row.value:g}" for row in missed.itertuples()}
        people = ratings["participant"].nunique()
        applied = len(found) <= 0.25 * people
        note = "with few anchors: above 90 and the best of its page"
        return Rule("mismatched anchor", source, applied, found, note)
    return _share_rule(
        "mismatched anchor", source, ratings, ratings["value"] > REFERENCE_LEAST, "above 90", most_do=0.25
    )


def _instructed(data: StudyData) -> Rule:
    source = "ITU-T P.808: trapping question"
    ratings = data.ratings[data.ratings["kind"] == "instructed"]
    if ratings.empty:
        return Rule("instructed response", source, False, note="not part of this study, or not reached yet")
    targets = {(row.participant, row.trial): row.secret.get("target") for row in data.pages.itertuples() if row.secret}
    found: dict[int, str] = {}
    for row in ratings.itertuples():
        target = float(targets[row.participant, row.trial])
        if abs(row.value - target) > INSTRUCTED_TOLERANCE:
            found[int(row.participant)] = f"asked for {target:g}, gave {row.value:g}"
    return Rule("instructed response", source, True, found)


def _headphones(data: StudyData) -> Rule:
    source = "Milne et al. 2021: Huggins pitch, six of six"
    scores = data.participants[["participant", "headphones"]].dropna()
    if scores.empty:
        return Rule("headphone check", source, False, note="not part of this study, or not reached yet")
    found = {
        int(row.participant): f"{int(row.headphones)} of {HEADPHONE_TRIALS}"
        for row in scores.itertuples()
        if row.headphones < HEADPHONE_TRIALS
    }
    note = "reported, not applied: loudspeakers are no carelessness; judge by how much the results differ"
    return Rule("headphone check", source, False, found, note)


def _repeats(data: StudyData) -> Rule:
    source = (
        f"ours, after BS.1534-3 4.1.2 (reliability): repeated ratings differ by more than {REPEAT_GAP:g} on average"
    )
    keys = ["participant", "item", "condition"]
    first = data.ratings[data.ratings["kind"] == "trial"].groupby(keys)["value"].mean()
    again = data.ratings[data.ratings["kind"] == "repeat"].groupby(keys)["value"].mean()
    gaps = (first - again).abs().dropna()
    if gaps.empty:
        return Rule("repeated item", source, False, note="not part of this study, or not reached yet")
    means = gaps.groupby(level="participant").mean()
    found = {int(person): f"{gap:.0f} points apart" for person, gap in means.items() if gap > REPEAT_GAP}
    return Rule("repeated item", source, True, found)


def _straight(data: StudyData) -> Rule:
    source = f"ours: all ratings within a standard deviation of {STRAIGHT_SD:g} points (straight-lining)"
    main = _main(data)
    main = main[main["condition"].isin(data.design.conditions)]  # to like every reference is no straight-lining
    spread = main.groupby("participant")["value"].agg(["std", "size", "mean"])
    flat = spread[(spread["size"] >= 6) & (spread["std"] < STRAIGHT_SD)]
    found = {int(person): f"everything about {row['mean']:.0f}" for person, row in flat.iterrows()}
    return Rule("straight-lining", source, True, found)


def _too_fast(data: StudyData) -> Rule:
    source = "ours: a page was left sooner than its longest soundtrack lasts, by the server's clock"
    main = _main(data).dropna(subset=["page_s"])
    longest = main.groupby(["participant", "trial"]).agg({"listened_s": "max", "page_s": "first"})
    quick = longest[(longest["page_s"] < 0.9 * longest["listened_s"]) & (longest["listened_s"] > 0)]
    counts = quick.groupby(level="participant").size()
    found = {int(person): f"{count} pages" for person, count in counts.items()}
    note = "reported, not applied: the page was open for less time than its browser says was heard"
    return Rule("too fast", source, False, found, note)


def _far_out(data: StudyData) -> Rule:
    source = "ITU-R BS.1534-3, 4.1.2: outside 1.5 interquartile ranges of the ratings of a condition and item"
    main = _main(data)
    cells = main.groupby(["item", "condition"])["value"]
    low, high = cells.transform(lambda v: np.percentile(v, 25)), cells.transform(lambda v: np.percentile(v, 75))
    reach = 1.5 * (high - low)
    out = main[(main["value"] < low - reach) | (main["value"] > high + reach)]
    counts = out.groupby("participant").size()
    found = {int(person): f"{count} ratings" for person, count in counts.items()}
    note = "reported, not applied: the standard lets one delete a rating only where an error is shown"
    return Rule("far-out ratings", source, False, found, note)
