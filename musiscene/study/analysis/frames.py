"""The database's rows as tables: one line a rating, one line a participant, one line a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import sqlalchemy as sa

from musiscene.errors import RequestError
from musiscene.study.database import Database
from musiscene.study.design import Design, parse_design
from musiscene.study.schema import events, participants, ratings, steps, stimuli, studies
from musiscene.study.taking_part import participant_code

RATING_COLUMNS = [
    "participant", "item", "condition", "kind", "trial", "place", "square_row", "value", "listened_s", "page_s",
    "saved_at",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class StudyData:
    """Everything that was answered in a study.

    Attributes:
        ratings: One row a rating; `kind` is trial, repeat, practice or instructed; `trial` is the page's position.
        participants: One row a person who consented.
        pages: One row a page with what was answered beside ratings.
    """

    design: Design
    ratings: pd.DataFrame
    participants: pd.DataFrame
    pages: pd.DataFrame


def study_names(database: Database) -> list[str]:
    """The studies in a database."""
    with database.reading("listing the studies") as connection:
        return list(connection.execute(sa.select(studies.c.name).order_by(studies.c.name)).scalars())


def study_data(database: Database, name: str) -> StudyData:
    """All answers of the study `name`.

    Raises:
        RequestError: There is no such study.
        StorageError: The database cannot be read.
    """
    with database.reading("reading the study") as connection:
        study = connection.execute(sa.select(studies).where(studies.c.name == name)).mappings().first()
        if study is None:
            known = connection.execute(sa.select(studies.c.name)).scalars().all()
            there = f"there are: {', '.join(known)}" if known else "there is none yet"
            raise RequestError(f"There is no study named {name!r}; {there}.")
        design = parse_design(study["design"], f"{name}.toml")
        people = [
            dict(row)
            for row in connection.execute(
                sa.select(participants).where(participants.c.study_id == study["id"]).order_by(participants.c.number)
            ).mappings()
        ]
        mine = participants.c.study_id == study["id"]
        rated = connection.execute(
            sa.select(
                participants.c.number.label("participant"),
                steps.c.item_name.label("item"),
                stimuli.c.condition,
                steps.c.kind,
                steps.c.position.label("trial"),
                stimuli.c.position.label("place"),
                steps.c.square_row,
                ratings.c.value,
                ratings.c.listened_s,
                steps.c.started_at,
                ratings.c.saved_at,
            )
            .join(steps, steps.c.id == ratings.c.step_id)
            .join(stimuli, stimuli.c.id == ratings.c.stimulus_id)
            .join(participants, participants.c.id == ratings.c.participant_id)
            .where(mine)
            .order_by(participants.c.number, steps.c.position, stimuli.c.position)
        ).mappings()
        rating_rows = [_rating(row) for row in rated]
        answered = connection.execute(
            sa.select(
                participants.c.number.label("participant"),
                steps.c.position.label("trial"),
                steps.c.kind,
                steps.c.item_name.label("item"),
                steps.c.answer,
                steps.c.secret,
                steps.c.started_at,
                steps.c.saved_at,
            )
            .join(participants, participants.c.id == steps.c.participant_id)
            .where(mine)
            .order_by(participants.c.number, steps.c.position)
        ).mappings()
        page_rows = [dict(row) for row in answered]
    table = pd.DataFrame(rating_rows, columns=RATING_COLUMNS)
    pages = pd.DataFrame(
        page_rows, columns=["participant", "trial", "kind", "item", "answer", "secret", "started_at", "saved_at"]
    )
    return StudyData(design, table, _people(design, study["id"], people, pages), pages)


def event_rows(database: Database, name: str) -> pd.DataFrame:
    """The event log of a study, one row an event."""
    query = (
        sa.select(
            participants.c.number.label("participant"),
            steps.c.position.label("trial"),
            events.c.kind,
            events.c.at_s,
            events.c.media_s,
            events.c.slot,
            events.c.value,
            events.c.received_at,
        )
        .join(steps, steps.c.id == events.c.step_id)
        .join(participants, participants.c.id == events.c.participant_id)
        .join(studies, studies.c.id == participants.c.study_id)
        .where(studies.c.name == name)
        .order_by(participants.c.number, events.c.id)
    )
    columns = ["participant", "trial", "kind", "at_s", "media_s", "slot", "value", "received_at"]
    with database.reading("reading the log") as connection:
        return pd.DataFrame([dict(row) for row in connection.execute(query).mappings()], columns=columns)


def _rating(row: Any) -> dict[str, Any]:
    kept = {name: row[name] for name in RATING_COLUMNS if name in row}
    began, ended = row["started_at"], row["saved_at"]
    # A clock that was set back between the two gives no length.
    kept["page_s"] = max(0.0, (ended - began).total_seconds()) if began is not None else None
    return kept


def _people(design: Design, study_id: int, rows: list[dict[str, Any]], pages: pd.DataFrame) -> pd.DataFrame:
    columns = [
        "participant", "code", "external_id", "external_study", "external_session", "language", "agent", "block",
        "row_offset", "consented", "declined", "finished", "created_at", "finished_at", "consent_sha256",
        "headphones",
    ] + [f"q_{question.id}" for question in design.questions]  # fmt: skip
    made: list[dict[str, Any]] = []
    answers = {
        (row.participant, row.kind): row.answer for row in pages.itertuples() if row.kind in ("headphones", "questions")
    }
    for row in rows:
        number = row["number"]
        person = {name: row[name] for name in columns if name in row}
        person["participant"] = number
        person["code"] = participant_code(design.seed, study_id, number)
        person["consented"] = row["consented_at"] is not None
        person["declined"] = row["declined_at"] is not None
        person["finished"] = row["finished_at"] is not None
        person["headphones"] = (answers.get((number, "headphones")) or {}).get("score")
        given = (answers.get((number, "questions")) or {}).get("answers", {})
        for question in design.questions:
            value = given.get(question.id)
            if question.kind == "choice" and value is not None:
                value = next(iter(question.options[int(value)].values()))
            person[f"q_{question.id}"] = value
        made.append(person)
    return pd.DataFrame(made, columns=columns)
