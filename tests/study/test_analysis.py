"""The analysis finds what is there, says how sure it is, and hides nothing."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_study import design_text

from musiscene.study.analysis.frames import RATING_COLUMNS, StudyData
from musiscene.study.analysis.intervals import condition_means
from musiscene.study.analysis.models import omnibus, pairwise
from musiscene.study.analysis.plots import figures, rendered
from musiscene.study.analysis.ranks import friedman, reliability, signed_ranks
from musiscene.study.analysis.report import html_report
from musiscene.study.analysis.results import Analysis, analyse
from musiscene.study.analysis.screening import screen
from musiscene.study.design import Design, load_design, parse_design
from musiscene.study.power import power
from musiscene.study.simulated import Population, simulated_ratings

PRESETS = Path(__file__).resolve().parents[2] / "assets" / "studies"
MEANS = {"alphaone": 50.0, "betatwo": 50.0, "gammathree": 62.0, "reference": 85.0, "anchor": 15.0}


def design(**options: Any) -> Design:
    """Ten videos, three conditions."""
    return parse_design(design_text(**{"count": 10, **options}))


def study_data(asked: Design, ratings: pd.DataFrame, **people: Any) -> StudyData:
    """As it comes from the database."""
    for column in RATING_COLUMNS:
        if column not in ratings:
            ratings[column] = {"page_s": 60.0, "listened_s": 30.0, "square_row": 0}.get(column)
    numbers = sorted(ratings["participant"].unique())
    about = {"participant": numbers, "declined": False, "consented": True, "finished": True, "headphones": 6, **people}
    pages = pd.DataFrame(columns=["participant", "trial", "kind", "item", "answer", "secret", "started_at", "saved_at"])
    return StudyData(asked, ratings, pd.DataFrame(about), pages)


@pytest.fixture(scope="module")
def ratings() -> pd.DataFrame:
    """Twenty-four people, with a reference, an anchor and a repeat."""
    return simulated_ratings(design(), Population(means=MEANS), 24, 3, references=[True] * 10)


@pytest.fixture(scope="module")
def analysed(ratings: pd.DataFrame) -> Analysis:
    """What is found in them, by the design as it is."""
    return analyse(study_data(design(), ratings.copy()))


def main_of(ratings: pd.DataFrame) -> pd.DataFrame:
    """The ratings that count."""
    return ratings[ratings["kind"] == "trial"]


@pytest.mark.slow(seconds=3)
def test_known_effects_are_found(ratings: pd.DataFrame) -> None:
    """A difference of 12 points is found by model and ranks, one of nothing is not."""
    names = design().conditions
    gaps = {(gap.first, gap.second): gap for gap in pairwise(main_of(ratings), names)}

    assert gaps["alphaone", "gammathree"].significant and gaps["betatwo", "gammathree"].significant
    assert not gaps["alphaone", "betatwo"].significant
    for (first, second), gap in gaps.items():
        assert gap.estimate == pytest.approx(MEANS[second] - MEANS[first], abs=8)  # coverage has its own benchmark
        assert gap.low < gap.estimate < gap.high
        assert gap.p <= gap.p_holm
    for mean in condition_means(main_of(ratings), names):
        assert mean.low is not None and mean.high is not None and mean.low < mean.mean < mean.high
        assert mean.mean == pytest.approx(MEANS[mean.condition], abs=8)
    test = friedman(main_of(ratings), names)
    assert test is not None and test.p < 0.001
    ranks = {(one.first, one.second): one for one in signed_ranks(main_of(ratings), names)}
    assert ranks["alphaone", "gammathree"].p_holm < 0.01 and ranks["alphaone", "gammathree"].rank_biserial > 0.5
    model = omnibus(main_of(ratings), names)
    assert model is not None and model.p < 0.001 and model.slopes and model.converged
    assert model.means["gammathree"] == pytest.approx(62, abs=8)


def test_the_difference_is_the_classical_one_for_complete_data() -> None:
    """With every cell filled, estimate and standard error are those of the two-way analysis of variance."""
    generator = np.random.default_rng(1)
    people, items = 12, 9
    gap = 5 + 6 * generator.normal(size=(people, 1)) + 5 * generator.normal(size=(1, items))
    gap = gap + 8 * generator.normal(size=(people, items))
    rows = [
        {"participant": p, "item": f"i{i}", "condition": c, "value": value, "trial": i}
        for p in range(people)
        for i in range(items)
        for c, value in (("a", 0.0), ("b", gap[p, i]))
    ]
    (found,) = pairwise(pd.DataFrame(rows), ["a", "b"])

    mean = gap.mean()
    square_people = items * gap.mean(axis=1).var(ddof=1)
    square_items = people * gap.mean(axis=0).var(ddof=1)
    rest = gap - gap.mean(axis=1, keepdims=True) - gap.mean(axis=0, keepdims=True) + mean
    noise = (rest**2).sum() / ((people - 1) * (items - 1))
    assert found.estimate == pytest.approx(mean)
    assert found.se == pytest.approx(np.sqrt((square_people + square_items - noise) / (people * items)), rel=1e-3)
    assert min(people, items) - 1 <= found.df <= people + items


def test_agreement_with_oneself_is_an_intraclass_correlation() -> None:
    """Shrout and Fleiss's own example (Psychological Bulletin 86, 1979, judges 1 and 3 of table 2)."""
    pairs = [(9, 5), (6, 3), (8, 4), (7, 2), (10, 6), (6, 4)]
    rows = [
        {"participant": n, "item": "i", "condition": "a", "kind": kind, "value": float(value)}
        for n, pair in enumerate(pairs)
        for kind, value in zip(("trial", "repeat"), pair, strict=True)
    ]
    found = reliability(pd.DataFrame(rows))

    table = np.array(pairs, float)
    rows_ms = 2 * table.mean(axis=1).var(ddof=1)
    columns_ms = 6 * table.mean(axis=0).var(ddof=1)
    total = ((table - table.mean()) ** 2).sum()
    error = (total - 5 * rows_ms - columns_ms) / 5
    assert found is not None and found.mean_gap == pytest.approx(np.abs(table[:, 0] - table[:, 1]).mean())
    assert found.icc == pytest.approx((rows_ms - error) / (rows_ms + error + 2 * (columns_ms - error) / 6))
    assert found.spearman == pytest.approx(stats.spearmanr(*table.T).statistic)


def one_person(values: list[float], person: int, condition: str = "reference") -> pd.DataFrame:
    """Ratings of the reference on as many pages."""
    rows = [
        {"participant": person, "item": f"item {n}", "condition": condition, "kind": "trial", "trial": n, "value": v}
        for n, v in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_fifteen_percent_is_of_ones_own_ratings() -> None:
    """BS.1534-3: three misses of twenty are 15 % and stay; four are more and leave. One slip drops nobody."""
    good = [95.0] * 20
    table = pd.concat(
        [
            one_person([*good[:19], 50.0], 1),
            one_person(good[:17] + [50.0] * 3, 2),
            one_person(good[:16] + [50.0] * 4, 3),
            *(one_person(good, person) for person in range(4, 9)),
        ],
        ignore_index=True,
    )
    screening = screen(study_data(design(count=20), table))

    rule = next(rule for rule in screening.rules if rule.name == "hidden reference")
    assert rule.applied and rule.found == {3: "4 of 20 below 90"}
    assert list(screening.excluded) == [3]


def test_when_most_do_it_the_stimulus_is_at_fault() -> None:
    """If over a quarter of the people rate the reference low, nobody is left out for it, and the report says why."""
    table = pd.concat([one_person([60.0 if p < 5 else 95.0] * 10, p) for p in range(1, 9)], ignore_index=True)
    screening = screen(study_data(design(), table))

    rule = next(rule for rule in screening.rules if rule.name == "hidden reference")
    assert not rule.applied and "the stimulus and not the person" in rule.note
    assert screening.excluded == {}


@pytest.mark.slow
def test_screening_is_told_and_raw_stays(ratings: pd.DataFrame) -> None:
    """Who gives everything 50 is left out of one column only, by a rule with a name and a source."""
    table = ratings.copy()
    table.loc[table["participant"] == 2, "value"] = 50.0
    result = analyse(study_data(design(), table))

    assert "straight-lining" in result.screening.excluded[2]
    assert result.raw.participants == result.screened.participants + len(result.screening.excluded)
    assert all(rule.source for rule in result.screening.rules)


@pytest.mark.slow(seconds=2)
def test_warnings_are_given() -> None:
    """Too few people, a scale used at one end, and cells that are not even."""
    table = simulated_ratings(
        design(checks=""), Population(mean=97.0, residual_sd=2, participant_sd=1, item_sd=1), 6, 1
    )
    table = table[~((table["item"] == "item 1") & (table["participant"] > 2))]
    words = " ".join(analyse(study_data(design(checks=""), table)).warnings)

    assert "Too few people: 6" in words
    assert "80-100" in words
    assert "Unbalanced cells" in words


class Outside(HTMLParser):
    """Everything that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note addresses."""
        self.found += [
            f"{tag} {value}" for name, value in attrs if name in ("src", "href") and not str(value).startswith("#")
        ]


@pytest.mark.slow
def test_the_report_stands_alone(ratings: pd.DataFrame, analysed: Analysis) -> None:
    """One file without addresses; hostile names are text; the paper's values stand beside ours."""
    asked = replace(
        design(), paper={"table4": {"title": "Table 4", "alphaone": 51.5}}, title={"en": "<script>x</script>"}
    )
    table = ratings.copy()
    table["item"] = table["item"].replace("item 1", "<img src=x onerror=alert(1)>")
    page = html_report(analyse(study_data(asked, table)))
    outside = Outside()
    outside.feed(page)

    assert outside.found == []
    assert "<script" not in page and "<img" not in page
    assert "Table 4" in page and "51.5" in page
    assert page.count("<svg") == 4
    assert "not part of this design" in html_report(analysed)


def test_figures_are_for_print(analysed: Analysis) -> None:
    """SVG with text as text, PNG with 300 dots an inch; the same data give the same bytes."""
    drawn = figures(analysed)

    assert set(drawn) == {"means", "items", "distribution", "differences"}
    svg = rendered(drawn["means"], "svg")
    assert b"gammathree</text>" in svg
    assert svg == rendered(drawn["means"], "svg")
    assert rendered(drawn["means"], "png")[:8] == b"\x89PNG\r\n\x1a\n"


def test_axes_end_where_ratings_and_shares_end(analysed: Analysis) -> None:
    """When everybody gives 100, no axis goes beyond 100 points or 100 %."""
    drawn = figures(replace(analysed, main=analysed.main.assign(value=100.0)))
    assert drawn["items"]().axes[0].get_xlim()[1] == 100
    assert drawn["means"]().axes[0].get_ylim() == (0, 100)
    assert drawn["distribution"]().axes[0].get_ylim() == (0, 100)


def test_nothing_breaks_before_there_are_answers() -> None:
    """A study without any rating, or with one, gives a report that says so."""
    empty = pd.DataFrame(columns=RATING_COLUMNS)
    assert "Too few people: 0" in html_report(analyse(study_data(design(), empty)))
    single = one_person([70.0], 1, "alphaone")
    assert "70.0" in html_report(analyse(study_data(design(), single)))


@pytest.mark.slow(seconds=3)
@pytest.mark.parametrize("trial", ["single", "pair"])
def test_other_trial_types_find_their_effects(trial: str) -> None:
    """Single ratings and paired preferences find 12 points; a preference is a difference of the two."""
    asked = design(trial=trial, checks="")
    table = simulated_ratings(asked, Population(means=MEANS), 24, 5)
    gaps = {(gap.first, gap.second): gap for gap in analyse(study_data(asked, table)).raw.differences}

    assert gaps["alphaone", "gammathree"].significant and gaps["betatwo", "gammathree"].significant
    assert gaps["alphaone", "gammathree"].estimate == pytest.approx(12, abs=8)


@pytest.mark.slow
def test_power_grows_with_people() -> None:
    """More participants find the same difference more often, with a narrower interval."""
    few, many = power(design(checks=""), 15.0, [5, 20], studies=4)

    assert few.found <= many.found and many.width < few.width
    assert many.found >= 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("name", "people"), [("form-1", 68), ("form-2", 50)])
def test_the_papers_forms_are_analysed_in_full(name: str, people: int) -> None:
    """Form 1 at 68 and form 2 at 50 participants: every statement of the report, with the effect that was put in."""
    asked = load_design(PRESETS / f"{name}.toml")
    means = dict.fromkeys(asked.conditions, 50.0)
    means[asked.conditions[-1]] = 60.0
    table = simulated_ratings(asked, Population(means={**means, "anchor": 15.0, "reference": 80.0}), people, 11)
    result = analyse(study_data(asked, table))

    assert result.raw.participants == people
    own = table[(table["kind"] == "trial") & table["condition"].isin(asked.conditions)]
    assert len(own) == people * asked.item_count * len(asked.conditions)
    for gap in result.raw.differences:
        assert gap.significant == (gap.second == asked.conditions[-1])
    assert result.raw.omnibus is not None and result.raw.omnibus.converged
    assert result.raw.reliability is not None
    assert "Methods" in html_report(result)
