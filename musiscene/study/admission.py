"""Letting somebody new in: a number, the cell that was tested least, and all pages stored before the first is shown."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from musiscene.study.assignment import choose_cell, participant_seed, plan
from musiscene.study.bundle import Bundle
from musiscene.study.schema import participants, steps, stimuli, studies, tokens

AWAY_AFTER = timedelta(hours=2)
"""Who was not seen for so long no longer holds a place in a cell; coming back is possible at any time."""


def one_at_a_time(connection: Connection, study_id: int) -> None:
    """Until the transaction ends, nobody else is admitted: two who come together do not take the same place."""
    # The weaker lock (FOR NO KEY UPDATE): with the stronger one, whoever saves would wait for it with a foreign key.
    connection.execute(sa.select(studies.c.id).where(studies.c.id == study_id).with_for_update(key_share=True))


def came_before(connection: Connection, study_id: int, token_sha256: str, person: str | None) -> RowMapping | None:
    """Who came with the recruitment id `person` before, on another device perhaps; the new token becomes theirs too."""
    if person is None:
        return None
    here = sa.and_(participants.c.study_id == study_id, participants.c.external_id == person)
    seen = sa.update(participants).where(here).values(seen_at=datetime.now(UTC)).returning(participants)
    owner = connection.execute(seen).mappings().first()
    if owner is not None:
        connection.execute(sa.insert(tokens).values(sha256=token_sha256, participant_id=owner["id"]))
    return owner


def admit(
    connection: Connection, study_id: int, bundle: Bundle, token_sha256: str, about: Mapping[str, Any]
) -> RowMapping:
    """Somebody new, with their whole assignment.

    Args:
        connection: In a transaction that called `one_at_a_time`.
        study_id: Of the study.
        bundle: Of the study.
        token_sha256: Hash of the key that the browser made.
        about: Further columns of the participant.
    """
    design, references, now = bundle.design, bundle.references, datetime.now(UTC)
    highest = sa.select(sa.func.max(participants.c.number)).where(participants.c.study_id == study_id)
    number = (connection.execute(highest).scalar() or 0) + 1
    seed = participant_seed(design, number)
    cell = choose_cell(design, references, _tested(connection, study_id, now), seed)
    row = {"number": number, "seed": seed, "block": cell.block, "row_offset": cell.offset, **about}
    owner = (
        connection.execute(
            sa.insert(participants)
            .values(study_id=study_id, created_at=now, seen_at=now, **row)
            .returning(participants)
        )
        .mappings()
        .one()
    )
    connection.execute(sa.insert(tokens).values(sha256=token_sha256, participant_id=owner["id"]))
    planned = plan(design, references, cell, seed, bundle.practice_item)
    rows = [
        {
            "participant_id": owner["id"],
            "position": position,
            "public_id": secrets.token_urlsafe(16),
            "kind": step.kind,
            "item": step.item,
            "item_name": None if step.item is None else bundle.items[step.item].name[:255],
            "square_row": step.row,
            "secret": dict(step.secret),
        }
        for position, step in enumerate(planned)
    ]
    connection.execute(sa.insert(steps), rows)
    mine = sa.select(steps.c.position, steps.c.id).where(steps.c.participant_id == owner["id"])
    ids = {row.position: row.id for row in connection.execute(mine)}
    tracks = [
        {
            "step_id": ids[position],
            "position": place,
            "public_id": secrets.token_urlsafe(16),
            "condition": slot.condition,
            "item": slot.item,
        }
        for position, step in enumerate(planned)
        for place, slot in enumerate(step.slots)
    ]
    connection.execute(sa.insert(stimuli), tracks)
    return owner


def _tested(connection: Connection, study_id: int, now: datetime) -> dict[tuple[int, int], int]:
    """(item, row) -> saved trials, and those that somebody who is here now is about to do."""
    here = sa.and_(
        participants.c.declined_at.is_(None),
        participants.c.finished_at.is_(None),
        participants.c.seen_at > now - AWAY_AFTER,
    )
    query = (
        sa.select(steps.c.item, steps.c.square_row, sa.func.count())
        .join(participants, participants.c.id == steps.c.participant_id)
        .where(participants.c.study_id == study_id, steps.c.kind == "trial", steps.c.square_row >= 0)
        .where(sa.or_(steps.c.saved_at.is_not(None), here))
        .group_by(steps.c.item, steps.c.square_row)
    )
    return {(item, row): count for item, row, count in connection.execute(query)}
