"""Taking part in a study: who comes, what page is next, and saving what they say.

A browser is told what `view` returns and nothing else: it has public ids that are drawn for one participant, and no
condition, backend, caption, file or video name. Every answer is in one transaction, acknowledged after its commit,
and known by an id that the browser made, so that sending it again changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from musiscene.errors import ConfigError
from musiscene.study import migrations
from musiscene.study.answers import Happening, Refused, checked_answer, checked_events, checked_external, checked_id
from musiscene.study.assignment import HEADPHONE_TRIALS, choose_cell, participant_seed, plan
from musiscene.study.bundle import Bundle
from musiscene.study.database import Database
from musiscene.study.design import TrialType
from musiscene.study.headphones import huggins_trial, wav_bytes
from musiscene.study.schema import events, participants, ratings, steps, stimuli, studies, tokens

AWAY_AFTER = timedelta(hours=2)
"""Who was not seen for so long no longer holds a place in a cell; coming back is possible at any time."""
_MIGRATION_LOCK = 7_203_511
_SHOWN_KIND = {"repeat": "trial"}
_MAX_EVENTS_OF_A_STEP = 20_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """What somebody brings along: ids from a recruitment service, where there is one."""

    token: str
    person: object = None
    study: object = None
    session: object = None
    language: str = ""
    agent: str = "other"


class Study:
    """A frozen study that people take part in. Safe to use from many threads and processes."""

    def __init__(self, bundle: Bundle, database: Database) -> None:
        """Bring the database up to date and enter the study into it.

        Raises:
            ConfigError: The database has a study of that name with other media or another design.
            StorageError: The database cannot be used.
        """
        self.bundle, self.design, self._database = bundle, bundle.design, database
        migrate(database)
        with database.writing("opening the study") as connection:
            known = connection.execute(sa.select(studies).where(studies.c.name == self.design.name)).mappings().first()
            if known is None:
                row = {"name": self.design.name, "bundle_sha256": bundle.sha256, "design": self.design.text}
                made = connection.execute(sa.insert(studies).values(**row, created_at=_now()).returning(studies.c.id))
                self.id: int = made.scalar_one()
                return
        if known["bundle_sha256"] != bundle.sha256:
            raise ConfigError(
                f"The study {self.design.name!r} began with another frozen bundle. Its answers would not belong to "
                "these media: give the new study another name, or restore the old bundle."
            )
        self.id = known["id"]

    # -- coming and seeing ----------------------------------------------------------------------------------------

    def enter(self, arrival: Arrival) -> dict[str, Any]:
        """Let somebody in, new or back again, and return their page.

        The whole assignment is stored before the first page is shown.

        Raises:
            Refused: An id is not valid.
            StorageError: The database refused.
        """
        token = _hash(checked_id(arrival.token, "key of your session"))
        person = checked_external(arrival.person, "PROLIFIC_PID")
        language = arrival.language if arrival.language in self.design.languages else self.design.languages[0]
        with self._database.writing("letting you in") as connection:
            owner = self._owner(connection, token)
            if owner is None:
                # One at a time from here on, so that two who come together do not take the same place.
                connection.execute(sa.select(studies.c.id).where(studies.c.id == self.id).with_for_update())
                owner = self._owner(connection, token) or self._recruited(connection, token, person)
            elif person is not None and owner["external_id"] not in (person, None):
                raise Refused("This key belongs to another participant. Open your own link again.", 403, "other")
            if owner is None:
                outer = {
                    "external_id": person,
                    "external_study": checked_external(arrival.study, "STUDY_ID"),
                    "external_session": checked_external(arrival.session, "SESSION_ID"),
                }
                owner = self._admit(connection, token, {**outer, "language": language, "agent": arrival.agent[:32]})
            return self._view(connection, owner)

    def view(self, token: object) -> dict[str, Any]:
        """The page where the owner of `token` is.

        Raises:
            Refused: Nobody has that token.
            StorageError: The database refused.
        """
        with self._database.writing("opening your page") as connection:
            return self._view(connection, self._known(connection, token))

    # -- saving ---------------------------------------------------------------------------------------------------

    def save(
        self, token: object, step_id: object, save_id: object, answer: object, happened: object = None
    ) -> dict[str, Any]:
        """Store the answer to a page, once, and return the next page.

        Raises:
            Refused: The page is not the participant's current one, or the answer does not fit it.
            StorageError: The database refused; nothing was stored.
        """
        save_id = checked_id(save_id, "id of this answer")
        noted = checked_events(happened)
        fingerprint = hashlib.sha256(json.dumps(answer, sort_keys=True, default=str).encode()).hexdigest()
        with self._database.writing("saving your answer") as connection:
            owner = self._known(connection, token, lock=True)
            step = self._step(connection, owner, step_id)
            if step["saved_at"] is not None:
                if step["save_id"] == save_id and step["save_sha256"] == fingerprint:
                    return self._view(connection, owner)  # the answer to the first sending was lost on the way
                raise Refused("This page was answered already; its answer stays as it was.", 409, "already")
            current = self._current(connection, owner["id"])
            if owner["declined_at"] is not None or current is None or current["id"] != step["id"]:
                raise Refused("That page is not the next one. Here is where you are.", 409, "order")
            shown = self._stimuli(connection, step["id"])
            checked = checked_answer(self.design, step["kind"], list(shown), answer, step["secret"])
            now = _now()
            change = {"answer": dict(checked.stored), "saved_at": now, "save_id": save_id, "save_sha256": fingerprint}
            if connection.execute(
                sa.select(steps.c.id).where(steps.c.participant_id == owner["id"], steps.c.save_id == save_id)
            ).first():
                raise Refused("That answer was given to another page. Reload the page.", 409, "already")
            connection.execute(sa.update(steps).where(steps.c.id == step["id"]).values(**change))
            rows = [
                {
                    "participant_id": owner["id"],
                    "step_id": step["id"],
                    "stimulus_id": shown[rated.slot]["id"],
                    "value": rated.value,
                    "listened_s": rated.listened_s,
                    "saved_at": now,
                }
                for rated in checked.ratings
            ]
            if rows:
                connection.execute(sa.insert(ratings), rows)
            self._note(connection, owner["id"], step["id"], noted, now)
            owner = self._after(connection, owner, step, checked.stored, now)
            return self._view(connection, owner)

    def note(self, token: object, step_id: object, happened: object) -> None:
        """Keep events of the log: play, seek, focus. What was told before is not kept twice.

        Raises:
            Refused: They are not events of one of this participant's pages.
            StorageError: The database refused.
        """
        noted = checked_events(happened)
        with self._database.writing("keeping the log") as connection:
            owner = self._known(connection, token)
            step = self._step(connection, owner, step_id)
            self._note(connection, owner["id"], step["id"], noted, _now())

    # -- media ----------------------------------------------------------------------------------------------------

    def media(self, public_id: str) -> Path | bytes | None:
        """The file behind a public id: a page's picture, a soundtrack, a sound of the headphone check."""
        public_id, _, part = public_id.partition(".")
        with self._database.reading("finding the file") as connection:
            step = connection.execute(self._mine(steps.c.public_id == public_id)).mappings().first()
            if step is not None:
                if part.isdigit() and step["kind"] == "headphones" and 1 <= int(part) <= HEADPHONE_TRIALS:
                    secret = step["secret"]
                    number = int(part) - 1
                    return wav_bytes(huggins_trial(secret["right"][number], secret["seed"] + number))
                if part or step["item"] is None:
                    return None
                return self.bundle.path(self.bundle.items[step["item"]].picture)
            query = (
                sa.select(stimuli.c.item, stimuli.c.condition)
                .join(steps, steps.c.id == stimuli.c.step_id)
                .join(participants, participants.c.id == steps.c.participant_id)
                .where(stimuli.c.public_id == public_id, participants.c.study_id == self.id)
            )
            stimulus = connection.execute(query).first()
        if stimulus is None or part:
            return None
        return self.bundle.path(self.bundle.items[stimulus.item].tracks[stimulus.condition].file)

    # -- inside a transaction -------------------------------------------------------------------------------------

    def _mine(self, condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
        joined = sa.select(steps).join(participants, participants.c.id == steps.c.participant_id)
        return joined.where(condition, participants.c.study_id == self.id)

    def _owner(self, connection: Connection, token_sha256: str, *, lock: bool = False) -> RowMapping | None:
        query = (
            sa.select(participants)
            .join(tokens, tokens.c.participant_id == participants.c.id)
            .where(tokens.c.sha256 == token_sha256, participants.c.study_id == self.id)
        )
        if lock:
            query = query.with_for_update(of=participants)
        return connection.execute(query).mappings().first()

    def _recruited(self, connection: Connection, token_sha256: str, person: str | None) -> RowMapping | None:
        """Who came with that id before, on another device perhaps; the new token becomes theirs too."""
        if person is None:
            return None
        here = sa.and_(participants.c.study_id == self.id, participants.c.external_id == person)
        owner = connection.execute(sa.select(participants).where(here)).mappings().first()
        if owner is not None:
            connection.execute(sa.insert(tokens).values(sha256=token_sha256, participant_id=owner["id"]))
        return owner

    def _known(self, connection: Connection, token: object, *, lock: bool = False) -> RowMapping:
        owner = self._owner(connection, _hash(checked_id(token, "key of your session")), lock=lock)
        if owner is None:
            raise Refused("Nobody here has that key. Open the link to the study again.", 401, "unknown")
        return owner

    def _step(self, connection: Connection, owner: RowMapping, public_id: object) -> RowMapping:
        query = sa.select(steps).where(steps.c.participant_id == owner["id"], steps.c.public_id == str(public_id)[:64])
        step = connection.execute(query).mappings().first()
        if step is None:
            raise Refused("That page is not one of yours. Reload the page.", 404, "unknown")
        return step

    def _admit(self, connection: Connection, token_sha256: str, about: Mapping[str, Any]) -> RowMapping:
        highest = sa.select(sa.func.max(participants.c.number)).where(participants.c.study_id == self.id)
        number = (connection.execute(highest).scalar() or 0) + 1
        seed = participant_seed(self.design, number)
        references = self.bundle.references
        cell = choose_cell(self.design, references, self._tested(connection), seed)
        now = _now()
        row = {"number": number, "seed": seed, "block": cell.block, "row_offset": cell.offset, **about}
        made = connection.execute(
            sa.insert(participants)
            .values(study_id=self.id, created_at=now, seen_at=now, **row)
            .returning(participants.c.id)
        )
        identity = made.scalar_one()
        connection.execute(sa.insert(tokens).values(sha256=token_sha256, participant_id=identity))
        planned = plan(self.design, references, cell, seed, self.bundle.practice_item)
        rows = [
            {
                "participant_id": identity,
                "position": position,
                "public_id": secrets.token_urlsafe(16),
                "kind": step.kind,
                "item": step.item,
                "item_name": None if step.item is None else self.bundle.items[step.item].name[:255],
                "square_row": step.row,
                "secret": dict(step.secret),
            }
            for position, step in enumerate(planned)
        ]
        connection.execute(sa.insert(steps), rows)
        mine = sa.select(steps.c.position, steps.c.id).where(steps.c.participant_id == identity)
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
        return connection.execute(sa.select(participants).where(participants.c.id == identity)).mappings().one()

    def _tested(self, connection: Connection) -> dict[tuple[int, int], int]:
        """(item, row) -> saved trials, and those that somebody who is here now is about to do."""
        here = sa.and_(
            participants.c.declined_at.is_(None),
            participants.c.finished_at.is_(None),
            participants.c.seen_at > _now() - AWAY_AFTER,
        )
        query = (
            sa.select(steps.c.item, steps.c.square_row, sa.func.count())
            .join(participants, participants.c.id == steps.c.participant_id)
            .where(participants.c.study_id == self.id, steps.c.kind == "trial", steps.c.square_row >= 0)
            .where(sa.or_(steps.c.saved_at.is_not(None), here))
            .group_by(steps.c.item, steps.c.square_row)
        )
        return {(item, row): count for item, row, count in connection.execute(query)}

    def _current(self, connection: Connection, participant_id: int) -> RowMapping | None:
        query = (
            sa.select(steps)
            .where(steps.c.participant_id == participant_id, steps.c.saved_at.is_(None))
            .order_by(steps.c.position)
            .limit(1)
        )
        return connection.execute(query).mappings().first()

    def _stimuli(self, connection: Connection, step_id: int) -> dict[str, RowMapping]:
        query = sa.select(stimuli).where(stimuli.c.step_id == step_id).order_by(stimuli.c.position)
        return {row["public_id"]: row for row in connection.execute(query).mappings()}

    def _note(
        self, connection: Connection, participant_id: int, step_id: int, noted: Sequence[Happening], now: datetime
    ) -> None:
        if not noted:
            return
        count = connection.execute(sa.select(sa.func.count()).where(events.c.step_id == step_id)).scalar_one()
        if count + len(noted) > _MAX_EVENTS_OF_A_STEP:
            return  # no person does that; the ratings go on
        told = {event.client_id: event for event in noted}
        known = sa.select(events.c.client_id).where(
            events.c.participant_id == participant_id, events.c.client_id.in_(list(told))
        )
        for client_id in connection.execute(known).scalars().all():
            del told[client_id]
        rows = [
            {
                "participant_id": participant_id,
                "step_id": step_id,
                "client_id": event.client_id,
                "kind": event.kind,
                "at_s": event.at_s,
                "media_s": event.media_s,
                "slot": event.slot,
                "value": event.value,
                "received_at": now,
            }
            for event in told.values()
        ]
        if rows:
            connection.execute(_insert_new(connection, rows))

    def _after(
        self, connection: Connection, owner: RowMapping, step: RowMapping, stored: Mapping[str, Any], now: datetime
    ) -> RowMapping:
        """What an answer means for the participant."""
        change: dict[str, Any] = {"seen_at": now}
        if step["kind"] == "consent":
            if stored["accepted"]:
                words = self.design.consent[stored["language"]]
                change["consent_sha256"] = hashlib.sha256(words.encode()).hexdigest()
                change["consented_at"], change["language"] = now, stored["language"]
            else:  # who does not take part is not kept
                change["declined_at"] = now
                change.update(external_id=None, external_study=None, external_session=None)
        following = self._current(connection, owner["id"])
        if following is not None and following["kind"] == "end":
            change["finished_at"] = now
        mine = participants.c.id == owner["id"]
        connection.execute(sa.update(participants).where(mine).values(**change))
        return connection.execute(sa.select(participants).where(mine)).mappings().one()

    # -- what a browser may know ----------------------------------------------------------------------------------

    def _view(self, connection: Connection, owner: RowMapping) -> dict[str, Any]:
        base = {"language": owner["language"], "code": participant_code(self.design.seed, self.id, owner["number"])}
        if owner["declined_at"] is not None:
            return {**base, "step": {"kind": "declined"}}
        ahead = (
            connection.execute(
                sa.select(steps)
                .where(steps.c.participant_id == owner["id"], steps.c.saved_at.is_(None))
                .order_by(steps.c.position)
                .limit(2)
            )
            .mappings()
            .all()
        )
        current = ahead[0]
        if current["started_at"] is None:
            connection.execute(sa.update(steps).where(steps.c.id == current["id"]).values(started_at=_now()))
        total = connection.execute(sa.select(sa.func.count()).where(steps.c.participant_id == owner["id"])).scalar_one()
        shown = self._shown(connection, current)
        shown["number"], shown["of"] = current["position"], total - 1
        following = self._shown(connection, ahead[1]) if len(ahead) > 1 else {}
        preload = {name: following[name] for name in ("picture", "tracks") if name in following}
        return {**base, "step": shown, "next": preload}

    def _shown(self, connection: Connection, step: RowMapping) -> dict[str, Any]:
        kind = _SHOWN_KIND.get(step["kind"], step["kind"])
        shown: dict[str, Any] = {"id": step["public_id"], "kind": kind}
        if kind == "headphones":
            shown["sounds"] = [f"{step['public_id']}.{number + 1}" for number in range(HEADPHONE_TRIALS)]
        if kind == "instructed":
            shown["target"] = step["secret"]["target"]
        if kind == "end":
            shown["completion_code"], shown["return_url"] = self.design.completion_code, self.design.return_url
        if step["item"] is not None:
            tracks = list(self._stimuli(connection, step["id"]))
            paired = self.design.trial is TrialType.PAIR and len(tracks) == 2
            shown.update(picture=step["public_id"], tracks=tracks, pair=paired)
            shown["duration_s"] = self.bundle.items[step["item"]].duration_s
        return shown


def migrate(database: Database) -> None:
    """Bring the tables up to date; processes that start at once do it one after the other."""
    with database.writing("preparing the tables") as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        migrations.upgrade(connection)


def participant_code(seed: int, study_id: int, number: int) -> str:
    """What a participant can quote, to have their data deleted; it is made from nothing personal."""
    return hashlib.sha256(f"code/{seed}/{study_id}/{number}".encode()).hexdigest()[:10]


def _insert_new(connection: Connection, rows: list[dict[str, Any]]) -> Any:
    """An insert that leaves out what another message, at this very moment, has brought."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_postgres

        return insert_postgres(events).values(rows).on_conflict_do_nothing()
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite

    return insert_sqlite(events).values(rows).on_conflict_do_nothing()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)
