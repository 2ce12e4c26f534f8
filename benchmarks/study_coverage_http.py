"""How often the intervals hold the truth when every rating went through the real HTTP interface and the real storage.

    python benchmarks/study_coverage_http.py [--studies 300] [--processes 2] [--participants 24] [--items 8]

Each study is a new database behind a server on loopback. Simulated participants enter it, give consent, rate every page
and finish; the analysis reads the database. Two of the three conditions are equal (the null effect), the other is six
points lower. `study_coverage.py` runs the presets at their full size, without the server. The result is a matter of
chance, not of time, so it may run beside other work.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "study"), str(ROOT / "benchmarks")]

from served_study import Caller, served, walk  # noqa: E402
from small_study import small_bundle  # noqa: E402
from study_coverage import expected  # noqa: E402

from musiscene.study.analysis.frames import study_data  # noqa: E402
from musiscene.study.analysis.intervals import condition_means  # noqa: E402
from musiscene.study.analysis.models import pairwise  # noqa: E402
from musiscene.study.bundle import load_bundle  # noqa: E402
from musiscene.study.database import Database  # noqa: E402
from musiscene.study.simulated import Population, SimulatedRater  # noqa: E402

EFFECT = 6.0


@dataclass(frozen=True, slots=True)
class Found:
    """What one study said; the truth is known."""

    ratings: int
    missing: int
    means_in: tuple[bool, ...]
    gaps_in: tuple[bool, ...]
    null_holm: bool
    null_raw: bool
    null_in: bool


def one_study(frozen: Path, participants: int, seed: int, folder: Path) -> Found:
    """Everybody of one study over HTTP, and what the analysis makes of its database."""
    bundle = load_bundle(frozen)
    names = bundle.design.conditions
    population = Population(means={name: 50.0 + (EFFECT if place else 0.0) for place, name in enumerate(names)})
    truth = {name: expected(population, name) for name in names}
    database = Database(f"sqlite:///{folder / f'study-{seed}.db'}")
    rater = SimulatedRater(population, seed)
    try:
        with served(bundle, database) as port:
            caller = Caller(port, bundle.design.name)
            acknowledged = sum(
                walk(caller, database.engine, bundle.design, rater, person) for person in range(1, participants + 1)
            )
            caller.close()
        ratings = study_data(database, bundle.design.name).ratings
    finally:
        database.close()
        for file in folder.glob(f"study-{seed}.db*"):
            file.unlink()
    means = condition_means(ratings, names, seed)
    gaps = pairwise(ratings, names)
    null = next(gap for gap in gaps if (gap.first, gap.second) == names[1:])
    return Found(
        len(ratings),
        acknowledged - len(ratings),
        tuple(mean.low is not None and mean.low <= truth[mean.condition] <= (mean.high or 0.0) for mean in means),
        tuple(gap.low <= truth[gap.second] - truth[gap.first] <= gap.high for gap in gaps),
        null.significant,
        null.p < 0.05,
        null.low <= 0.0 <= null.high,
    )


def _work(given: tuple[Path, int, int, Path]) -> Found:
    return one_study(*given)


def _start() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"


def told(found: Iterable[Found], participants: int, seconds: float) -> str:
    """One line for all studies."""
    rows = list(found)
    means = [value for one in rows for value in one.means_in]
    gaps = [value for one in rows for value in one.gaps_in]
    count = len(rows)
    return (
        f"{count} studies over HTTP, {participants} participants each, {sum(one.ratings for one in rows)} ratings "
        f"({sum(one.missing for one in rows)} missing): a mean's interval holds the truth in "
        f"{sum(means) / len(means):.3f}, a difference's in {sum(gaps) / len(gaps):.3f}, that of the null effect in "
        f"{sum(one.null_in for one in rows) / count:.3f}; null effect significant in "
        f"{sum(one.null_holm for one in rows) / count:.3f} (Holm), {sum(one.null_raw for one in rows) / count:.3f} "
        f"(uncorrected); {seconds:.0f} s"
    )


def main() -> None:
    """Print a line every twenty studies, and one at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--participants", type=int, default=24)
    parser.add_argument("--items", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="study-coverage-"))
    started = time.perf_counter()
    try:
        small_bundle(folder / "frozen", items=arguments.items, duration_s=0.5, checks="")
        jobs = [
            (folder / "frozen", arguments.participants, arguments.seed + number, folder)
            for number in range(arguments.studies)
        ]
        found: list[Found] = []
        with multiprocessing.get_context("spawn").Pool(arguments.processes, _start) as pool:
            for one in pool.imap_unordered(_work, jobs):
                found.append(one)
                if len(found) % 20 == 0 or len(found) == len(jobs):
                    print(told(found, arguments.participants, time.perf_counter() - started), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
