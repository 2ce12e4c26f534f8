"""The whole analysis of a study, raw and screened side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from musiscene.study.analysis.frames import StudyData
from musiscene.study.analysis.intervals import Mean, condition_means
from musiscene.study.analysis.models import Difference, Omnibus, omnibus, pairwise
from musiscene.study.analysis.ranks import Friedman, Reliability, SignedRank, friedman, reliability, signed_ranks
from musiscene.study.analysis.screening import Screening, screen
from musiscene.study.design import EXTRA_CONDITIONS, Design, TrialType

FEW_PEOPLE = 20
"""BS.1534-3, 4.1: about twenty screened assessors often suffice where all is tightly controlled; online needs more."""


@dataclass(frozen=True, slots=True)
class Statements:
    """What one set of ratings says."""

    participants: int
    ratings: int
    means: tuple[Mean, ...]
    omnibus: Omnibus | None
    differences: tuple[Difference, ...]
    friedman: Friedman | None
    signed_ranks: tuple[SignedRank, ...]
    reliability: Reliability | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is."""

    arrived: int
    declined: int
    consented: int
    finished: int
    target: int
    cells_low: int
    cells_high: int
    """Ratings of the least and the most rated soundtrack of the design."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that a report says."""

    design: Design
    progress: Progress
    screening: Screening
    raw: Statements
    screened: Statements
    warnings: tuple[str, ...]
    balance: pd.DataFrame
    """Ratings of each item (rows) in each condition (columns)."""
    main: pd.DataFrame
    """The ratings that the raw statements are about."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without the ratings."""
        return {
            "study": self.design.name,
            "progress": asdict(self.progress),
            "warnings": list(self.warnings),
            "screening": [asdict(rule) for rule in self.screening.rules],
            "excluded": {str(person): list(names) for person, names in self.screening.excluded.items()},
            "raw": asdict(self.raw),
            "screened": asdict(self.screened),
            "balance": {
                str(item): {str(name): int(count) for name, count in row.items()}
                for item, row in self.balance.to_dict("index").items()
            },
        }


def analyse(data: StudyData, seed: int = 0) -> Analysis:
    """Screen, estimate and test.

    Args:
        data: See `study_data`.
        seed: Of the bootstrap.
    """
    design = data.design
    main = data.ratings[data.ratings["kind"] == "trial"]
    screening = screen(data)
    kept = ~data.ratings["participant"].isin(list(screening.excluded))
    raw = _statements(design, data.ratings, seed)
    screened = raw if kept.all() else _statements(design, data.ratings[kept], seed)
    balance = main.pivot_table(index="item", columns="condition", values="value", aggfunc="size", fill_value=0)
    order = [*design.conditions, *EXTRA_CONDITIONS]
    balance = balance[[name for name in order if name in balance]]
    progress = _progress(data, main)
    warnings = tuple(_warnings(design, progress, main, screening, screened))
    return Analysis(design, progress, screening, raw, screened, warnings, balance, main)


def _statements(design: Design, ratings: pd.DataFrame, seed: int) -> Statements:
    main = ratings[ratings["kind"] == "trial"]
    names = [*design.conditions, *EXTRA_CONDITIONS]
    paired = design.trial is TrialType.PAIR
    return Statements(
        int(main["participant"].nunique()),
        len(main),
        tuple(condition_means(main, names, seed)),
        None if paired else omnibus(main, design.conditions),
        tuple(pairwise(main, design.conditions, paired_pages=paired)),
        friedman(main, design.conditions),
        tuple(signed_ranks(main, design.conditions)),
        reliability(ratings),
    )


def _progress(data: StudyData, main: pd.DataFrame) -> Progress:
    people = data.participants
    counts = main[main["condition"].isin(data.design.conditions)].groupby(["item", "condition"]).size()
    expected = data.design.item_count * len(data.design.conditions)
    low = int(counts.min()) if len(counts) >= expected else 0
    return Progress(
        len(people),
        int(people["declined"].sum()),
        int(people["consented"].sum()),
        int(people["finished"].sum()),
        data.design.target_participants,
        low,
        int(counts.max()) if len(counts) else 0,
    )


def _warnings(
    design: Design, progress: Progress, main: pd.DataFrame, screening: Screening, screened: Statements
) -> list[str]:
    told: list[str] = []
    own = main[main["condition"].isin(design.conditions)]["value"]
    if screened.participants < FEW_PEOPLE:
        told.append(
            f"Too few people: {screened.participants} after screening; about {FEW_PEOPLE} is the least "
            "where everything is controlled (BS.1534-3), and an online study needs more."
        )
    if design.target_participants and progress.finished < design.target_participants:
        told.append(
            f"Not finished: {progress.finished} of {design.target_participants} participants. Stopping when a "
            "result is significant makes false results likely; wait for the number that was planned."
        )
    if len(own) >= 20 and float((own >= 80).mean()) > 0.95:
        told.append("Nearly all ratings are at 80-100: the scale was not used, so differences cannot show (BS.1534-3).")
    if len(own) >= 20 and float((own <= 20).mean()) > 0.95:
        told.append("Nearly all ratings are at 0-20: the scale was not used, so differences cannot show.")
    if progress.cells_high and progress.cells_low < 0.7 * progress.cells_high:
        told.append(
            f"Unbalanced cells: the least rated soundtrack has {progress.cells_low} ratings, "
            f"the most rated {progress.cells_high}."
        )
    if design.item_count < 6:
        told.append(f"Only {design.item_count} videos: what is found may be about these videos, not about videos.")
    excluded = len(screening.excluded)
    if excluded and excluded > 0.25 * max(1, progress.consented):
        told.append(f"Screening leaves out {excluded} of {progress.consented} people: look for a cause first.")
    model = screened.omnibus
    if model is not None and not model.converged:
        told.append("The mixed model of all ratings did not converge; rely on the differences and the rank tests.")
    return told


def planned_means(table: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of one table of `[paper]` in a design."""
    return {str(name): float(value) for name, value in table.items() if isinstance(value, int | float)}
