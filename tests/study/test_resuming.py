"""Whatever happens between two pages, nobody is asked twice and no answer is lost."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from musiscene.study import taking_part
from musiscene.study.analysis.frames import study_data
from musiscene.study.answers import Refused
from musiscene.study.bundle import Bundle
from musiscene.study.database import Database
from musiscene.study.schema import ratings, steps
from musiscene.study.simulated import answer_page
from musiscene.study.taking_part import Arrival, Study

PERSON = "5f0000000000000000000001"
HAPPENINGS = ("reload", "return", "other device", "replay", "second tab", "address bar", "restart", "clock")


@pytest.mark.slow
@given(st.lists(st.sampled_from(HAPPENINGS), max_size=12), st.integers(-100_000, 100_000))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_happens_the_study_goes_on(
    make_bundle: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch, happenings: list[str], jump_s: int
) -> None:
    """Reloads, devices, replays, tabs, restarts and clocks that are set: every page is answered once, with what was
    said first.
    """
    bundle = make_bundle()
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as changed:
        database = Database(f"sqlite:///{Path(folder) / 'study.db'}")
        study, token, number = Study(bundle, database), "a" * 32, 0
        view = study.enter(Arrival(token, person=PERSON))
        asked: list[str] = []
        waiting = list(happenings)
        while view["step"]["kind"] != "end":
            step, save_id = view["step"]["id"], f"save-{len(asked):06d}"
            answer = answer_page(view, study.design)
            after = study.save(token, step, save_id, answer)
            asked.append(step)
            happening = waiting.pop() if waiting else ""
            if happening == "reload":
                assert study.view(token) == after
            elif happening == "return":
                assert study.enter(Arrival(token, person=PERSON)) == after
            elif happening == "other device":
                number += 1
                token = f"device-{number:025d}"
                assert study.enter(Arrival(token, person=PERSON)) == after
            elif happening == "replay":
                assert study.save(token, step, save_id, answer) == after
            elif happening == "second tab":
                with pytest.raises(Refused, match="answered already"):
                    study.save(token, step, f"tab-{len(asked):08d}", answer)
            elif happening == "address bar" and after["step"]["kind"] != "end":
                with pytest.raises(Refused):
                    study.save(token, "not-a-page-of-this", "save-999999", answer)
            elif happening == "restart":
                study = Study(bundle, database)
                assert study.view(token) == after
            elif happening == "clock":
                changed.setattr(taking_part, "_now", lambda: datetime.now(UTC) + timedelta(seconds=jump_s))
            view = after

        with database.reading("testing") as connection:
            pages = connection.execute(sa.select(steps).order_by(steps.c.position)).mappings().all()
            counted = connection.execute(sa.select(sa.func.count()).select_from(ratings)).scalar()
        data = study_data(database, "tiny")
        database.close()
    assert asked == [page["public_id"] for page in pages[:-1]]
    assert [page["save_id"] for page in pages[:-1]] == [f"save-{place:06d}" for place in range(len(asked))]
    assert counted == len(data.ratings) == data.ratings.groupby(["participant", "trial", "place"]).ngroups
    assert len(data.participants) == 1 and (data.ratings["page_s"] >= 0).all()
