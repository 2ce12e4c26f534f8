"""Simulated participants through the real HTTP interface and the real storage: what was put in comes out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from served_study import Caller, served, walk

from musiscene.study.admission import one_at_a_time
from musiscene.study.analysis.frames import study_data
from musiscene.study.analysis.intervals import condition_means
from musiscene.study.analysis.models import pairwise
from musiscene.study.bundle import Bundle
from musiscene.study.database import Database
from musiscene.study.schema import studies
from musiscene.study.simulated import Population, SimulatedRater, answer_page


@pytest.mark.slow
def test_known_effects_come_back_through_http(make_bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    """Four small studies over loopback: all ratings arrive, and the intervals hold what was put in."""
    bundle = make_bundle(checks="")
    names = bundle.design.conditions
    means = {name: 45.0 + 10.0 * (place > 0) for place, name in enumerate(names)}
    held = found = 0
    for seed in range(4):
        database = Database(f"sqlite:///{tmp_path / f'study-{seed}.db'}")
        rater = SimulatedRater(Population(means=means), seed)
        with served(bundle, database) as port:
            caller = Caller(port, bundle.design.name)
            acknowledged = sum(walk(caller, database.engine, bundle.design, rater, person) for person in range(12))
            caller.close()
        ratings = study_data(database, bundle.design.name).ratings
        database.close()

        assert len(ratings) == acknowledged == 12 * 4 * 3
        held += sum(one.low <= means[one.condition] <= one.high for one in condition_means(ratings, names))  # type: ignore[operator]
        held += sum(one.low <= means[one.second] - means[one.first] <= one.high for one in pairwise(ratings, names))
        found += 6
    assert held >= 0.85 * found  # how often exactly is measured by benchmarks/study_coverage_http.py


@pytest.mark.slow
def test_those_who_wait_to_enter_stop_nobody_from_saving(make_bundle: Callable[..., Bundle], postgres_url: str) -> None:
    """While the door is held, and more people stand before it than the server has threads, a save is acknowledged."""
    database = Database(postgres_url)
    bundle = make_bundle(checks="")
    with served(bundle, database) as port:
        inside = Caller(port, bundle.design.name)
        view = inside.post("enter", token="i" * 32)
        waiting = [
            threading.Thread(target=lambda n=n: Caller(port, bundle.design.name).post("enter", token=f"waits-{n:026d}"))
            for n in range(60)
        ]
        with database.engine.begin() as holder:
            one_at_a_time(holder, holder.execute(sa.select(studies.c.id)).scalar_one())
            for thread in waiting:
                thread.start()
            answer = answer_page(view, bundle.design)
            saved = inside.post("save", token="i" * 32, step=view["step"]["id"], save_id="save-000001", answer=answer)
            assert saved["step"]["number"] == 1
        for thread in waiting:
            thread.join()
        inside.close()
    with database.engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    database.close()
