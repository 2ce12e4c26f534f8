"""Taking the data out: long format, one row a rating, with a dictionary of every column; and taking a person out."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import sqlalchemy as sa

from musiscene.errors import ConfigError, RequestError, StorageError
from musiscene.media.files import atomic_path
from musiscene.study.analysis.frames import StudyData, event_rows, study_data
from musiscene.study.database import Database
from musiscene.study.schema import participants, studies, tokens
from musiscene.study.store import safe_cell
from musiscene.study.taking_part import participant_code

FORMATS = ("csv", "parquet", "json")
DICTIONARY = {
    "participant": "number of the participant, in order of arrival",
    "item": "name of the video",
    "condition": "what the soundtrack was made from; reference: the clip's own; anchor: deliberately mismatched",
    "kind": "trial: counts; repeat: the same page again; practice and instructed: count in nothing",
    "trial": "position of the page in the participant's session, from 0",
    "place": "position of the soundtrack on the page, from 0",
    "square_row": "row of the Williams square that gave the order; -1 where there is none",
    "value": "rating, 0 to 100; in a paired comparison the preference, two values of a page adding to 100",
    "listened_s": "seconds for which this soundtrack was heard, as the browser counted",
    "page_s": "seconds from the first showing of the page to its saving, by the server's clock",
    "saved_at": "when it was saved, UTC",
    "code": "what the participant can quote",
    "external_id": "id from the recruitment service; empty after anonymising",
    "external_study": "the service's id of the study",
    "external_session": "the service's id of the session",
    "language": "language of the page",
    "agent": "class of browser and device",
    "block": "block of items, from 0",
    "row_offset": "offset into the rows of the Williams square",
    "consented": "agreed to the consent text",
    "declined": "did not take part",
    "finished": "came to the end",
    "created_at": "arrival, UTC",
    "finished_at": "end, UTC",
    "consent_sha256": "hash of the consent text that was agreed to",
    "headphones": "right answers in the headphone check, of 6",
    "at_s": "seconds since the page of the visit was loaded, by a clock that cannot be set",
    "media_s": "position in the clip, seconds",
    "slot": "position of the soundtrack on the page, from 0",
    "received_at": "when the event reached the server, UTC",
}
"""Every column of every table."""


def export(database: Database, name: str, out: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write ratings, participants and events of a study, and a data dictionary, to the folder `out`.

    Raises:
        RequestError: There is no such study or format.
        ConfigError: Parquet needs a package that is not installed.
        StorageError: The folder cannot be written.
    """
    unknown = [kind for kind in formats if kind not in FORMATS]
    if unknown or not formats:
        raise RequestError(f"Formats are {', '.join(FORMATS)}; got {', '.join(unknown) or 'none'}.")
    data = study_data(database, name)
    tables = {"ratings": data.ratings, "participants": data.participants, "events": event_rows(database, name)}
    written: list[Path] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for title, table in tables.items():
            for kind in formats:
                written.append(_write(out / f"{title}.{kind}", table, kind))
        written.append(_dictionary(out / "dictionary.csv", data, tables))
        (out / "study.toml").write_text(data.design.text, "utf-8")
    except OSError as error:
        raise StorageError(f"{out} cannot be written ({error.strerror}).") from error
    return [*written, out / "study.toml"]


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV that no spreadsheet takes for formulas."""
    safe = table.copy()
    for column in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[column]):
            safe[column] = [_cell(value) for value in safe[column]]
    return str(safe.to_csv(index=False, lineterminator="\n"))


def _cell(value: object) -> object:
    if isinstance(value, pd.Timestamp):
        value = None if pd.isna(value) else value.to_pydatetime()
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return ""
    return safe_cell(value)


def _write(path: Path, table: pd.DataFrame, kind: str) -> Path:
    with atomic_path(path) as temporary:
        if kind == "csv":
            temporary.write_text(csv_text(table), "utf-8")
        elif kind == "json":
            rows = json.loads(table.to_json(orient="records", date_format="iso", force_ascii=False))
            temporary.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", "utf-8")
        else:
            try:
                _typed(table).to_parquet(temporary, index=False)
            except ImportError:
                raise ConfigError("Parquet needs pyarrow: run `pip install 'musiscene[study]'`.") from None
    return path


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of mixed values as text: Parquet has one type a column."""
    typed = table.copy()
    for column in typed.columns:
        kinds = {type(value) for value in typed[column].dropna()}
        if len(kinds) > 1 and not kinds <= {int, float}:
            typed[column] = [None if pd.isna(value) else str(value) for value in typed[column]]
    return typed


def _dictionary(path: Path, data: StudyData, tables: dict[str, pd.DataFrame]) -> Path:
    asked = {f"q_{question.id}": next(iter(question.label.values())) for question in data.design.questions}
    other = {("events", "kind"): "what happened: play, pause, seek, switch, end, move, blur, focus, hide, leave, show",
             ("events", "value"): "value of the slider, where one was moved"}  # fmt: skip
    rows = [
        {
            "table": title,
            "column": column,
            "type": str(table[column].dtype),
            "meaning": other.get((title, column)) or DICTIONARY.get(column) or asked.get(column, ""),
        }
        for title, table in tables.items()
        for column in table.columns
    ]
    with atomic_path(path) as temporary:
        temporary.write_text(csv_text(pd.DataFrame(rows)), "utf-8")
    return path


def delete_participant(database: Database, name: str, who: str) -> int:
    """Delete everything about a participant, by the code they quote or the id of the recruitment service.

    Returns:
        The number that the participant had in the study.

    Raises:
        RequestError: Nobody in that study has that code or id.
    """
    with database.writing("deleting a participant's data") as connection:
        study = connection.execute(sa.select(studies).where(studies.c.name == name)).mappings().first()
        if study is None:
            raise RequestError(f"There is no study named {name!r}.")
        people = connection.execute(sa.select(participants).where(participants.c.study_id == study["id"])).mappings()
        seed = study_seed(study["design"])
        for person in people:
            if who and who in (participant_code(seed, study["id"], person["number"]), person["external_id"]):
                # Steps, stimuli, ratings, events and tokens go with it, by the foreign keys.
                connection.execute(sa.delete(participants).where(participants.c.id == person["id"]))
                return int(person["number"])
    raise RequestError(f"Nobody in the study {name!r} has the code or id {who[:40]!r}.")


def anonymise(database: Database, name: str) -> int:
    """Forget recruitment ids and resume links, and number the participants anew at random; say how many there were.

    What they wrote themselves stays, and may tell who they are: read the text answers.

    Raises:
        RequestError: There is no such study.
    """
    with database.writing("making the study anonymous") as connection:
        study = connection.execute(sa.select(studies).where(studies.c.name == name)).mappings().first()
        if study is None:
            raise RequestError(f"There is no study named {name!r}.")
        mine = participants.c.study_id == study["id"]
        ids = list(connection.execute(sa.select(participants.c.id).where(mine)).scalars())
        connection.execute(sa.delete(tokens).where(tokens.c.participant_id.in_(ids)))
        gone = {"external_id": None, "external_study": None, "external_session": None}
        highest = connection.execute(sa.select(sa.func.max(participants.c.number)).where(mine)).scalar() or 0
        shuffled = list(ids)
        secrets.SystemRandom().shuffle(shuffled)
        for number, identity in enumerate(shuffled, start=1):  # beyond all numbers first, since they are unique
            own = participants.c.id == identity
            connection.execute(sa.update(participants).where(own).values(number=highest + number, **gone))
        shifted = {"number": participants.c.number - highest}
        for identity in sorted(ids):
            connection.execute(sa.update(participants).where(participants.c.id == identity).values(**shifted))
    return len(ids)


def study_seed(design_text: str) -> int:
    """The seed in the text of a design."""
    from musiscene.study.design import parse_design

    return parse_design(design_text).seed
