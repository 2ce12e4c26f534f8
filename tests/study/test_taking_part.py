"""Whoever takes part is asked everything once, in a stored order; what was acknowledged is there exactly once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from musiscene.errors import ConfigError, StorageError
from musiscene.study import schema
from musiscene.study.answers import Refused
from musiscene.study.bundle import Bundle
from musiscene.study.database import Database
from musiscene.study.simulated import answer_page
from musiscene.study.taking_part import Arrival, Study

TOKEN = "t" * 32


def walk(study: Study, token: str = TOKEN, stop_at: int | None = None, **arrival: Any) -> list[dict[str, Any]]:
    """The pages that somebody sees who answers everything, up to page number `stop_at`."""
    view = study.enter(Arrival(token, **arrival))
    seen = [view]
    while view["step"]["kind"] not in ("end", "declined") and len(seen) != stop_at:
        number = view["step"]["number"]
        view = study.save(token, view["step"]["id"], f"save-{number:06d}", answer_page(view, study.design))
        seen.append(view)
    return seen


def rows(study: Study, table: sa.Table) -> list[Any]:
    """Everything in a table."""
    with study._database.reading("testing") as connection:
        return list(connection.execute(sa.select(table).order_by(table.c.id)).mappings())


@pytest.mark.slow(seconds=3)
def test_a_whole_study_is_asked_in_order_and_kept(study: Study) -> None:
    """Consent, checks, practice, trials, questions, and the completion code at the very end only."""
    views = walk(study)

    kinds = [view["step"]["kind"] for view in views]
    assert kinds[:4] == ["consent", "volume", "headphones", "practice"]
    assert kinds[-2:] == ["questions", "end"]
    assert kinds.count("trial") == 5  # four videos, one of them twice
    assert kinds.count("instructed") == 1
    assert all("C0DE" not in json.dumps(view) for view in views[:-1])
    assert views[-1]["step"]["completion_code"] == "C0DE"
    saved = rows(study, schema.ratings)
    planned = rows(study, schema.stimuli)
    volume = next(step for step in rows(study, schema.steps) if step["kind"] == "volume")
    assert len(saved) == len([row for row in planned if row["step_id"] != volume["id"]])
    assert rows(study, schema.participants)[0]["finished_at"] is not None


def test_the_assignment_is_stored_before_the_first_page(study: Study) -> None:
    """Whoever only opens the consent has all pages and soundtracks in the database."""
    study.enter(Arrival(TOKEN))

    stored = rows(study, schema.steps)
    assert [step["kind"] for step in stored][-1] == "end"
    assert sum(step["kind"] == "trial" for step in stored) == 4
    assert len(rows(study, schema.stimuli)) > 12


def test_nothing_that_a_browser_gets_tells_a_condition(study: Study) -> None:
    """No condition, source name or hash is in any page, nor the kind of a repeated trial."""
    text = json.dumps(walk(study))

    sources = {track.source["source_sha256"] for item in study.bundle.items for track in item.tracks.values()}
    files = {track.file for item in study.bundle.items for track in item.tracks.values()}
    for word in {*study.design.conditions, "reference", "anchor", "repeat", "secretclip", *sources, *files}:
        assert word not in text, word


def test_sending_an_answer_again_changes_nothing(study: Study) -> None:
    """The same id and the same answer are acknowledged again; there is one row."""
    view = study.enter(Arrival(TOKEN))
    first = study.save(TOKEN, view["step"]["id"], "save-000001", {"accepted": True, "language": "en"})
    again = study.save(TOKEN, view["step"]["id"], "save-000001", {"accepted": True, "language": "en"})

    assert again == first


def test_another_answer_to_a_page_is_refused(study: Study) -> None:
    """A second tab that answers the same page differently is told so; the first answer stays."""
    views = walk(study, stop_at=5)
    step = views[3]["step"]
    before = rows(study, schema.ratings)

    with pytest.raises(Refused, match="answered already") as refused:
        study.save(TOKEN, step["id"], "another-tab-1", answer_page(views[3], study.design, value=1))

    assert refused.value.status == 409
    assert rows(study, schema.ratings) == before


def test_a_page_cannot_be_answered_before_its_turn(study: Study) -> None:
    """The ids of later pages are refused with the place where one is."""
    views = walk(study, stop_at=4)
    later = rows(study, schema.steps)[-3]

    with pytest.raises(Refused, match="not the next one"):
        study.save(TOKEN, later["public_id"], "early-000001", answer_page(views[3], study.design))


def test_nobody_answers_for_another(study: Study) -> None:
    """With one's own key, a page of somebody else is no page; with no key, nothing is."""
    mine = walk(study, stop_at=4)[-1]
    walk(study, "u" * 32, stop_at=4)

    with pytest.raises(Refused, match="not one of yours"):
        study.save("u" * 32, mine["step"]["id"], "forged-00001", answer_page(mine, study.design))
    with pytest.raises(Refused, match="Nobody here has that key"):
        study.save("v" * 32, mine["step"]["id"], "forged-00002", answer_page(mine, study.design))


def test_the_database_itself_refuses_a_rating_of_anothers_stimulus(study: Study) -> None:
    """Foreign keys of two columns keep a rating with its participant and its page."""
    walk(study)
    walk(study, "u" * 32, stop_at=4)
    rating = dict(rows(study, schema.ratings)[0])
    del rating["id"]
    others = [row for row in rows(study, schema.stimuli) if row["step_id"] != rating["step_id"]]

    for change in ({"participant_id": 2}, {"stimulus_id": others[-1]["id"]}, {"value": 101.0}, {}):
        with pytest.raises(StorageError), study._database.writing("testing") as connection:
            connection.execute(sa.insert(schema.ratings).values(**{**rating, **change}))


@pytest.mark.parametrize("stop", range(1, 12))
def test_coming_back_continues_at_every_point(make_bundle: Callable[..., Bundle], tmp_path: Path, stop: int) -> None:
    """After a crash at any page the same page comes with the same ids, and the rest is as without it."""
    database = Database(f"sqlite:///{tmp_path / 'study.db'}")
    before = walk(Study(make_bundle(), database), stop_at=stop)
    database.close()
    again = Study(make_bundle(), Database(f"sqlite:///{tmp_path / 'study.db'}"))
    back = again.enter(Arrival(TOKEN))

    assert back["step"] == before[-1]["step"]
    kinds = [view["step"]["kind"] for view in before] + [view["step"]["kind"] for view in walk(again)][1:]
    assert kinds.count("trial") == 5 and kinds[-1] == "end"
    with again._database.reading("testing") as connection:
        counted = connection.execute(sa.select(sa.func.count()).select_from(schema.participants)).scalar()
    assert counted == 1


def test_another_device_with_the_same_recruitment_id_continues(study: Study) -> None:
    """PROLIFIC_PID brings one back with a new key; both keys work."""
    first = walk(study, stop_at=5, person="5f0000000000000000000001")
    back = study.enter(Arrival("w" * 32, person="5f0000000000000000000001"))

    assert back["step"] == first[-1]["step"]
    assert study.view(TOKEN)["step"] == back["step"]
    with pytest.raises(Refused, match="another participant"):
        study.enter(Arrival(TOKEN, person="5f0000000000000000000002"))


def test_who_declines_leaves_no_id(study: Study) -> None:
    """Without consent nothing further is asked and the recruitment id is gone."""
    view = study.enter(Arrival(TOKEN, person="5f0000000000000000000001"))
    after = study.save(TOKEN, view["step"]["id"], "save-000001", {"accepted": False, "language": "en"})

    assert after["step"] == {"kind": "declined"}
    assert rows(study, schema.participants)[0]["external_id"] is None
    with pytest.raises(Refused):
        study.save(TOKEN, rows(study, schema.steps)[1]["public_id"], "save-000002", {"volume": 0.5})


@pytest.mark.slow(seconds=2)
def test_many_arrive_at_once_and_cells_stay_balanced(make_bundle: Callable[..., Bundle], url: str) -> None:
    """Twelve people at once get twelve numbers; each soundtrack's place on the page is even."""
    database = Database(url)
    study = Study(make_bundle(checks=""), database)
    failures: list[BaseException] = []

    def arrive(person: int) -> None:
        try:
            study.enter(Arrival(f"person-{person:030d}"))
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=arrive, args=(person,)) for person in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert sorted(row["number"] for row in rows(study, schema.participants)) == list(range(1, 13))
    counts: dict[tuple[int, str, int], int] = {}
    for row in rows(study, schema.stimuli):
        key = (row["item"], row["condition"], row["position"])
        counts[key] = counts.get(key, 0) + 1
    assert set(counts.values()) == {4}
    database.close()


def test_events_are_kept_once(study: Study) -> None:
    """An event that is told by a beacon and again with the answer is one event."""
    view = study.enter(Arrival(TOKEN))
    step = view["step"]["id"]
    told = [{"id": f"event-{n:04d}", "kind": "play", "at_s": n / 10, "media_s": 0.5, "slot": 0} for n in range(5)]

    study.note(TOKEN, step, told[:3])
    study.save(TOKEN, step, "save-000001", {"accepted": True, "language": "en"}, told)

    assert [row["client_id"] for row in rows(study, schema.events)] == [event["id"] for event in told]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_connection_that_rested_is_tried(
    make_bundle: Callable[..., Bundle], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database server that closed what was idle is asked again by a new connection; nobody notices."""
    monkeypatch.setattr("musiscene.study.database.IDLE_S", 0.0)
    database = Database(url)
    study = Study(make_bundle(checks=""), database)
    view = study.enter(Arrival(TOKEN))
    other = sa.create_engine(url)
    with other.begin() as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        connection.execute(sa.text(f"{ended} AND datname = current_database()"))
    other.dispose()

    assert study.view(TOKEN) == view
    database.close()


def test_a_study_goes_on_with_its_own_media_only(study: Study) -> None:
    """Another bundle under the same name is refused: its answers would be about other sounds."""
    other = replace(study.bundle, sha256="0" * 64)

    with pytest.raises(ConfigError, match="another frozen bundle"):
        Study(other, study._database)


def test_migrations_make_the_documented_tables(study: Study) -> None:
    """What the migrations built and what the code expects are the same."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or str(name) in schema.metadata.tables

    with study._database.reading("testing") as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": "study_alembic_version", "include_name": ours}
        )
        assert compare_metadata(context, schema.metadata) == []


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(token=anything, step=anything, save=anything, answer=anything, events=anything)
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_message_is_refused_with_a_sentence(
    study: Study, token: Any, step: Any, save: Any, answer: Any, events: Any
) -> None:
    """Whatever a forged client sends, it is refused in words, and nothing is stored."""
    view = study.enter(Arrival(TOKEN))
    before = rows(study, schema.steps)

    with pytest.raises(Refused):
        study.save(token, step, save, answer, events)
    with pytest.raises(Refused):
        study.save(TOKEN, view["step"]["id"], "save-000001", answer, events)

    assert rows(study, schema.steps) == before
