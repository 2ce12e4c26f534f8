"""Taking part in a study: who comes, what page is next, and saving what they say.

A browser is told what `view` returns and nothing else: it has public ids that are drawn for one participant, and no
condition, backend, caption, file or video name. Every answer is in one transaction, acknowledged after its commit,
and known by an id that the browser made, so that sending it again changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from musiscene.errors import ConfigError
from musiscene.study import migrations
from musiscene.study.admission import admit, came_before, one_at_a_time
from musiscene.study.answers import Happening, Refused, checked_answer, checked_events, checked_external, checked_id
from musiscene.study.assignment import HEADPHONE_TRIALS
from musiscene.study.bundle import Bundle
from musiscene.study.database import Database
from musiscene.study.design import TrialType
from musiscene.study.headphones import huggins_trial, wav_bytes
from musiscene.study.participant_rows import (
    Around,
    Page,
    around,
    change,
    find,
    keep_answer,
    keep_events,
    keep_start,
)
from musiscene.study.schema import participants, steps, stimuli, studies

_MIGRATION_LOCK = 7_203_511
_SHOWN_KIND = {"repeat": "trial"}
_MAX_EVENTS_OF_A_STEP = 20_000
_PUBLIC_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


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
            owner = find(connection, self.id, token, _now())
            if owner is None:
                one_at_a_time(connection, self.id)
                owner = find(connection, self.id, token, _now()) or came_before(connection, self.id, token, person)
            elif person is not None and owner["external_id"] not in (person, None):
                raise Refused("This key belongs to another participant. Open your own link again.", 403, "other")
            if owner is None:
                about = {
                    "external_id": person,
                    "external_study": checked_external(arrival.study, "STUDY_ID"),
                    "external_session": checked_external(arrival.session, "SESSION_ID"),
                    "language": language,
                    "agent": arrival.agent[:32],
                }
                owner = admit(connection, self.id, self.bundle, token, about)
            return self._view(connection, owner, around(connection, owner["id"]))

    def view(self, token: object) -> dict[str, Any]:
        """The page where the owner of `token` is.

        Raises:
            Refused: Nobody has that token.
            StorageError: The database refused.
        """
        with self._database.writing("opening your page") as connection:
            owner = self._known(connection, token)
            return self._view(connection, owner, around(connection, owner["id"]))

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
            owner = self._known(connection, token)
            where = around(connection, owner["id"], _public(step_id), save_id)
            page = _asked(where)
            if page.saved:
                if page.save_id == save_id and page.save_sha256 == fingerprint:
                    return self._view(connection, owner, where)  # the answer to the first sending was lost on the way
                raise Refused("This page was answered already; its answer stays as it was.", 409, "already")
            if owner["declined_at"] is not None or where.ahead[0].id != page.id:
                raise Refused("That page is not the next one. Here is where you are.", 409, "order")
            checked = checked_answer(self.design, page.kind, list(page.slots), answer, page.secret)
            if where.save_used:
                raise Refused("That answer was given to another page. Reload the page.", 409, "already")
            now = _now()
            keep_answer(connection, owner["id"], page, checked, save_id, fingerprint, now)
            _keep_new_events(connection, owner["id"], where, page, noted, now)
            where = replace(where, ahead=where.ahead[1:])
            owner = self._after(connection, owner, page, where, checked.stored, now)
            return self._view(connection, owner, where)

    def note(self, token: object, step_id: object, happened: object) -> None:
        """Keep events of the log: play, seek, focus. What was told before is not kept twice.

        Raises:
            Refused: They are not events of one of this participant's pages.
            StorageError: The database refused.
        """
        noted = checked_events(happened)
        with self._database.writing("keeping the log") as connection:
            owner = self._known(connection, token)
            where = around(connection, owner["id"], _public(step_id))
            _keep_new_events(connection, owner["id"], where, _asked(where), noted, _now())

    # -- media ----------------------------------------------------------------------------------------------------

    def media(self, public_id: str) -> Path | bytes | None:
        """The file behind a public id: a page's picture, a soundtrack, a sound of the headphone check."""
        public_id, _, part = public_id.partition(".")
        if not _public(public_id):
            return None
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

    def _known(self, connection: Connection, token: object) -> RowMapping:
        owner = find(connection, self.id, _hash(checked_id(token, "key of your session")), _now())
        if owner is None:
            raise Refused("Nobody here has that key. Open the link to the study again.", 401, "unknown")
        return owner

    def _after(
        self,
        connection: Connection,
        owner: RowMapping,
        page: Page,
        where: Around,
        stored: Mapping[str, Any],
        now: datetime,
    ) -> RowMapping:
        """What an answer means for the participant."""
        about: dict[str, Any] = {}
        if page.kind == "consent":
            if stored["accepted"]:
                words = self.design.consent[stored["language"]]
                about["consent_sha256"] = hashlib.sha256(words.encode()).hexdigest()
                about["consented_at"], about["language"] = now, stored["language"]
            else:  # who does not take part is not kept
                about["declined_at"] = now
                about.update(external_id=None, external_study=None, external_session=None)
        if where.ahead[0].kind == "end":
            about["finished_at"] = now
        return change(connection, owner["id"], about) if about else owner

    # -- what a browser may know ----------------------------------------------------------------------------------

    def _view(self, connection: Connection, owner: RowMapping, where: Around) -> dict[str, Any]:
        base = {"language": owner["language"], "code": participant_code(self.design.seed, self.id, owner["number"])}
        if owner["declined_at"] is not None:
            return {**base, "step": {"kind": "declined"}}
        current = where.ahead[0]
        keep_start(connection, current, _now())
        shown = self._shown(current)
        shown["number"], shown["of"] = current.position, where.last
        following = self._shown(where.ahead[1]) if len(where.ahead) > 1 else {}
        preload = {name: following[name] for name in ("picture", "tracks") if name in following}
        return {**base, "step": shown, "next": preload}

    def _shown(self, page: Page) -> dict[str, Any]:
        kind = _SHOWN_KIND.get(page.kind, page.kind)
        shown: dict[str, Any] = {"id": page.public_id, "kind": kind}
        if kind == "headphones":
            shown["sounds"] = [f"{page.public_id}.{number + 1}" for number in range(HEADPHONE_TRIALS)]
        if kind == "instructed":
            shown["target"] = page.secret["target"]
        if kind == "end":
            shown["completion_code"], shown["return_url"] = self.design.completion_code, self.design.return_url
        if page.item is not None:
            tracks = list(page.slots)
            paired = self.design.trial is TrialType.PAIR and len(tracks) == 2
            shown.update(picture=page.public_id, tracks=tracks, pair=paired)
            shown["duration_s"] = self.bundle.items[page.item].duration_s
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


def _keep_new_events(
    connection: Connection, owner_id: int, where: Around, page: Page, noted: Sequence[Happening], now: datetime
) -> None:
    if where.noted + len(noted) <= _MAX_EVENTS_OF_A_STEP:  # no person does more; the ratings go on
        keep_events(connection, owner_id, page.id, noted, now)


def _asked(where: Around) -> Page:
    if where.asked is None:
        raise Refused("That page is not one of yours. Reload the page.", 404, "unknown")
    return where.asked


def _public(value: object) -> str:
    """A public id as it was sent, or "" for what cannot be one (databases refuse some characters)."""
    return value if isinstance(value, str) and _PUBLIC_ID.fullmatch(value) else ""


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)
