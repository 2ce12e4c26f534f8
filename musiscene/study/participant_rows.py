"""What the database has of one participant: found in two statements, moved on in a few more.

With two hundred people at once, a save costs what its statements cost: each is a way to the database and back, during
which another thread takes the interpreter, and SQLAlchemy writes each anew that is not the same object as before. So
they are few, they are made once, and many rows go with one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as insert_postgres
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.engine import Connection, RowMapping

from musiscene.study.answers import Answer, Happening
from musiscene.study.database import UtcDateTime
from musiscene.study.schema import events, participants, ratings, steps, stimuli, tokens

_AHEAD = 3
"""Pages to look ahead: the one that is answered, the one that comes, and the one that is preloaded."""

_WHO = sa.bindparam("who", type_=sa.BigInteger)
_PAGE = sa.bindparam("page", type_=sa.String)
_NOW = sa.bindparam("now", type_=UtcDateTime)

_owner_of_token = sa.select(tokens.c.participant_id).where(tokens.c.sha256 == sa.bindparam("token"))
# The update that tells that somebody is here also locks the row: two messages of one person are served in turn.
_FIND = (
    sa.update(participants)
    .where(participants.c.id == _owner_of_token.scalar_subquery(), participants.c.study_id == sa.bindparam("study"))
    .values(seen_at=_NOW)
    .returning(participants)
)

_own = steps.alias("own")
_ahead = (
    sa.select(_own.c.id)
    .where(_own.c.participant_id == _WHO, _own.c.saved_at.is_(None))
    .order_by(_own.c.position)
    .limit(_AHEAD)
)
_last = sa.select(sa.func.max(_own.c.position)).where(_own.c.participant_id == _WHO)
_used = sa.select(_own.c.id).where(_own.c.participant_id == _WHO, _own.c.save_id == sa.bindparam("save"))
_noted = (
    sa.select(sa.func.count())
    .select_from(events.join(_own, _own.c.id == events.c.step_id))
    .where(_own.c.participant_id == _WHO, _own.c.public_id == _PAGE)
)
_AROUND = (
    sa.select(
        steps.c.id,
        steps.c.position,
        steps.c.public_id,
        steps.c.kind,
        steps.c.item,
        steps.c.secret,
        steps.c.started_at,
        steps.c.saved_at,
        steps.c.save_id,
        steps.c.save_sha256,
        stimuli.c.id.label("stimulus_id"),
        stimuli.c.public_id.label("slot"),
        _last.scalar_subquery().label("last"),
        _used.exists().label("save_used"),
        _noted.scalar_subquery().label("noted"),
    )
    .select_from(steps.outerjoin(stimuli, stimuli.c.step_id == steps.c.id))
    .where(steps.c.participant_id == _WHO, sa.or_(steps.c.public_id == _PAGE, steps.c.id.in_(_ahead)))
    .order_by(steps.c.position, stimuli.c.position)
)

_KEEP_ANSWER = (
    sa.update(steps)
    .where(steps.c.id == sa.bindparam("answered"))
    .values(
        answer=sa.bindparam("given", type_=sa.JSON),
        saved_at=_NOW,
        save_id=sa.bindparam("save"),
        save_sha256=sa.bindparam("fingerprint"),
    )
)
_KEEP_START = sa.update(steps).where(steps.c.id == sa.bindparam("shown")).values(started_at=_NOW)
_KEEP_RATINGS = sa.insert(ratings)
# What another message has brought at this very moment is left out.
_KEEP_EVENTS = {
    "postgresql": insert_postgres(events).on_conflict_do_nothing(),
    "sqlite": insert_sqlite(events).on_conflict_do_nothing(),
}


@dataclass(frozen=True, slots=True)
class Page:
    """One planned page of one participant.

    Attributes:
        slots: Public id -> number of each soundtrack, in the order of the page.
    """

    id: int
    position: int
    public_id: str
    kind: str
    item: int | None
    secret: Mapping[str, Any]
    started: bool
    saved: bool
    save_id: str | None
    save_sha256: str | None
    slots: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Around:
    """The page that a message is about, and those that are not yet answered.

    Attributes:
        asked: The page that the message names, where it is one of this participant's.
        ahead: The next pages without an answer, the current one first.
        last: Position of the last page.
        save_used: Whether the id of the save belongs to a page already.
        noted: Events that the page that was asked for has.
    """

    asked: Page | None
    ahead: tuple[Page, ...]
    last: int
    save_used: bool
    noted: int


def find(connection: Connection, study_id: int, token_sha256: str, now: datetime) -> RowMapping | None:
    """Whose token it is; noted as being here now, and locked until the transaction ends."""
    given = {"study": study_id, "token": token_sha256, "now": now}
    return connection.execute(_FIND, given).mappings().first()


def around(connection: Connection, participant_id: int, page: str = "", save_id: str = "") -> Around:
    """Where a participant is.

    Args:
        connection: In a transaction.
        participant_id: Whose pages.
        page: Public id of the page that a message is about, if it is about one.
        save_id: Its id of a save.
    """
    rows = connection.execute(_AROUND, {"who": participant_id, "page": page, "save": save_id}).all()
    pages: dict[int, Page] = {}
    for row in rows:
        if row.id not in pages:
            started, saved = row.started_at is not None, row.saved_at is not None
            pages[row.id] = Page(
                row.id, row.position, row.public_id, row.kind, row.item, row.secret, started, saved, row.save_id,
                row.save_sha256, {},
            )  # fmt: skip
        if row.slot is not None:
            pages[row.id].slots[row.slot] = row.stimulus_id  # type: ignore[index]
    asked = next((one for one in pages.values() if one.public_id == page), None)
    ahead = tuple(one for one in pages.values() if not one.saved)[:_AHEAD]
    # There are always rows: the last page has no answer.
    return Around(asked, ahead, rows[0].last, rows[0].save_used, rows[0].noted)


def keep_answer(
    connection: Connection,
    participant_id: int,
    page: Page,
    answer: Answer,
    save_id: str,
    fingerprint: str,
    now: datetime,
) -> None:
    """Store an answer and its ratings."""
    given = {"answered": page.id, "given": dict(answer.stored), "save": save_id, "fingerprint": fingerprint, "now": now}
    connection.execute(_KEEP_ANSWER, given)
    rows = [
        {
            "participant_id": participant_id,
            "step_id": page.id,
            "stimulus_id": page.slots[rated.slot],
            "value": rated.value,
            "listened_s": rated.listened_s,
            "saved_at": now,
        }
        for rated in answer.ratings
    ]
    if rows:
        connection.execute(_KEEP_RATINGS, rows)


def keep_events(
    connection: Connection, participant_id: int, page_id: int, happened: Sequence[Happening], now: datetime
) -> None:
    """Store events of the log; those that were told before are left out."""
    rows = [
        {
            "participant_id": participant_id,
            "step_id": page_id,
            "client_id": event.client_id,
            "kind": event.kind,
            "at_s": event.at_s,
            "media_s": event.media_s,
            "slot": event.slot,
            "value": event.value,
            "received_at": now,
        }
        for event in happened
    ]
    if rows:
        connection.execute(_KEEP_EVENTS[connection.dialect.name], rows)


def keep_start(connection: Connection, page: Page, now: datetime) -> None:
    """Note when a page was shown for the first time."""
    if not page.started:
        connection.execute(_KEEP_START, {"shown": page.id, "now": now})


def change(connection: Connection, participant_id: int, about: Mapping[str, Any]) -> RowMapping:
    """Change a participant's row."""
    mine = sa.update(participants).where(participants.c.id == participant_id).values(**about)
    return connection.execute(mine.returning(participants)).mappings().one()
