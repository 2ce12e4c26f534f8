"""Ratings: one table, one transaction each, in SQLite or any other database that SQLAlchemy speaks to.

A rating belongs to a person's session and to one rendition. Rating the same rendition again changes that row, so a
repeated or resent click never counts twice.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath
from typing import Any, TextIO

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from musiscene.errors import RequestError, StorageError
from musiscene.study.database import UtcDateTime, cause, known_url, make_engine

LONGEST_COMMENT = 2000
"""Characters of a comment that are kept."""

_metadata = sa.MetaData()

ratings_table = sa.Table(
    "ratings",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("session_id", sa.String(64), nullable=False),
    sa.Column("rendition_id", sa.String(64), nullable=False),
    sa.Column("clip_hash", sa.String(64), nullable=False),
    sa.Column("clip_name", sa.String(255), nullable=False),
    sa.Column("caption_kind", sa.String(16), nullable=False),
    sa.Column("caption_text", sa.Text, nullable=False),
    sa.Column("caption_backend", sa.String(64), nullable=False),
    sa.Column("backend", sa.String(64), nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("take", sa.Integer, nullable=False),
    sa.Column("loudness_lufs", sa.Float, nullable=True),
    sa.Column("duration_s", sa.Float, nullable=False),
    sa.Column("blind", sa.Boolean, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("app_version", sa.String(32), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("session_id", "rendition_id", name="one_rating_per_session_and_rendition"),
    sa.CheckConstraint("score >= 0 AND score <= 100", name="score_is_0_to_100"),
    sa.Index("ratings_by_clip", "clip_hash"),
)


@dataclass(frozen=True, slots=True)
class Rating:
    """What one person thinks of one rendition, with everything needed to make that rendition again.

    Attributes:
        session_id: Whose rating it is; a random name of a browser, not of a person.
        rendition_id: What is rated; unique.
        clip_hash: SHA-256 of the clip's bytes, as hex.
        clip_name: Name of the clip's file; folders are cut off.
        caption_kind: "video", "music", "fusion" or "msi".
        caption_text: The words that the music was made from.
        caption_backend: What wrote them; "edited" when a person did.
        backend: The music generator.
        seed: Its seed.
        take: Which take of this caption, from 1.
        loudness_lufs: Measured; None for silence.
        duration_s: Length of the soundtrack.
        score: 0 (bad) to 100 (excellent).
        comment: A line in the person's own words; may be empty.
        blind: Whether the person could not know which caption it was.
        app_version: Version of MusiScene that made it.
    """

    session_id: str
    rendition_id: str
    clip_hash: str
    clip_name: str
    caption_kind: str
    caption_text: str
    caption_backend: str
    backend: str
    seed: int
    loudness_lufs: float | None
    duration_s: float
    score: float
    comment: str = ""
    blind: bool = False
    take: int = 1
    app_version: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 100:  # also refuses NaN
            raise RequestError(f"A rating is a number from 0 to 100, not {self.score:g}.")
        if len(self.comment) > LONGEST_COMMENT:
            raise RequestError(
                f"A comment can have {LONGEST_COMMENT} characters, this one has {len(self.comment)}. Shorten it."
            )
        for name in ("session_id", "rendition_id"):
            if not 0 < len(getattr(self, name)) <= 64:
                raise RequestError(f"A rating needs a {name} of 1 to 64 characters.")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRating(Rating):
    """A rating as it is in the database."""

    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Summary:
    """Mean rating of a group with its uncertainty.

    Attributes:
        group: The caption kind, or "all".
        count: Number of ratings.
        mean: Their mean.
        low: Lower end of the 95 % confidence interval; None with fewer than two ratings.
        high: Upper end.
        method: How the interval was made.
    """

    group: str
    count: int
    mean: float
    low: float | None
    high: float | None
    method: str = "Student t"


class RatingStore:
    """The ratings of one installation. Safe to use from many threads; many processes may share one database."""

    def __init__(self, url: str | URL) -> None:
        """Prepare the store; the database is opened, and its table made, at the first use.

        Args:
            url: SQLAlchemy address, for instance "sqlite:///ratings.db" or "postgresql+psycopg://user@host/name".

        Raises:
            ConfigError: `url` is not an address of a database that can be used here.
        """
        self._url = known_url(url)
        self._engine = make_engine(self._url)
        self._table_ready = False

    def save(self, rating: Rating) -> None:
        """Store `rating`, or change the one that this session gave to this rendition before.

        Raises:
            StorageError: The database refused; nothing was stored.
        """
        row = _row(rating)
        now = datetime.now(UTC)
        mine = sa.and_(
            ratings_table.c.session_id == row["session_id"], ratings_table.c.rendition_id == row["rendition_id"]
        )
        change = sa.update(ratings_table).where(mine).values(**row, updated_at=now)
        with self._transaction("saving the rating") as connection:
            # The write comes first: a SQLite reader that wants to write later may be refused without waiting.
            if connection.execute(change).rowcount:
                return
            try:
                with connection.begin_nested():
                    connection.execute(sa.insert(ratings_table).values(**row, created_at=now, updated_at=now))
            except IntegrityError:  # the same click, sent twice at once: the other one has inserted the row by now
                if not connection.execute(change).rowcount:
                    raise

    def of_session(self, session_id: str, rendition_ids: Iterable[str]) -> dict[str, StoredRating]:
        """The ratings that a session gave, by rendition.

        Raises:
            StorageError: The database cannot be read.
        """
        wanted = list(rendition_ids)
        query = sa.select(ratings_table).where(
            ratings_table.c.session_id == session_id, ratings_table.c.rendition_id.in_(wanted)
        )
        with self._transaction("reading your ratings") as connection:
            return {row["rendition_id"]: _stored(row) for row in connection.execute(query).mappings()}

    def summaries(self, clip_hash: str | None = None) -> list[Summary]:
        """Mean ratings by caption kind, then of "all", of one clip or of every clip; empty without ratings.

        Raises:
            StorageError: The database cannot be read.
        """
        query = sa.select(ratings_table.c.caption_kind, ratings_table.c.score)
        if clip_hash is not None:
            query = query.where(ratings_table.c.clip_hash == clip_hash)
        scores: dict[str, list[float]] = {}
        with self._transaction("reading the ratings") as connection:
            for kind, score in connection.execute(query):
                scores.setdefault(kind, []).append(score)
        everything = [score for group in scores.values() for score in group]
        groups = [(kind, scores[kind]) for kind in sorted(scores)]
        return [summarize(name, values) for name, values in [*groups, ("all", everything)] if values]

    def all(self) -> Iterator[StoredRating]:
        """Every rating, oldest first.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._transaction("reading the ratings") as connection:
            for row in connection.execute(sa.select(ratings_table).order_by(ratings_table.c.id)).mappings():
                yield _stored(row)

    def export_csv(self, out: TextIO) -> int:
        """Write every rating to `out` as CSV with a header; say how many.

        Raises:
            StorageError: The database cannot be read.
        """
        writer = csv.writer(out, lineterminator="\n")
        names = [field.name for field in fields(StoredRating)]
        writer.writerow(names)
        count = 0
        for rating in self.all():
            writer.writerow([safe_cell(getattr(rating, name)) for name in names])
            count += 1
        return count

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[Connection]:
        try:
            self._make_table()
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise StorageError(
                f"The database refused while {doing} ({cause(error)}). Nothing was changed; "
                f"check {self._url.render_as_string(hide_password=True)} and try again."
            ) from error

    def _make_table(self) -> None:
        if self._table_ready:
            return
        if self._url.get_backend_name() == "sqlite" and self._url.database not in (None, "", ":memory:"):
            Path(str(self._url.database)).parent.mkdir(parents=True, exist_ok=True)
        try:
            _metadata.create_all(self._engine)
        except SQLAlchemyError:
            # Another process may have made it between the look and the making; then all is well.
            if not sa.inspect(self._engine).has_table(ratings_table.name):
                raise
        self._table_ready = True


def summarize(group: str, scores: Sequence[float]) -> Summary:
    """Mean and 95 % confidence interval of ratings, by Student's t distribution (Student, Biometrika 6, 1908).

    The interval is mean ± t(0.975, n - 1) · s / √n with s the sample's standard deviation, cut to the 0 to 100 of
    the scale. It takes the ratings as independent; a study with several ratings by one person needs a mixed model.

    Args:
        group: Name of the group.
        scores: At least one rating.
    """
    from scipy.special import stdtrit  # a tenth of a second that saving a rating need not wait for

    count = len(scores)
    mean = math.fsum(scores) / count
    if count < 2:
        return Summary(group, count, mean, None, None)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / (count - 1))
    half_width = float(stdtrit(count - 1, 0.975)) * deviation / math.sqrt(count)
    return Summary(group, count, mean, max(0.0, mean - half_width), min(100.0, mean + half_width))


def _row(rating: Rating) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for field in fields(Rating):
        value = getattr(rating, field.name)
        row[field.name] = storable(value) if isinstance(value, str) else value
    row["clip_name"] = PureWindowsPath(row["clip_name"]).name[-255:]  # knows both kinds of slash
    loudness = row["loudness_lufs"]
    if loudness is not None and not math.isfinite(loudness):
        row["loudness_lufs"] = None
    return row


def storable(text: str) -> str:
    """`text` as every database takes it: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _stored(row: Mapping[Any, Any]) -> StoredRating:
    return StoredRating(**{field.name: row[field.name] for field in fields(StoredRating)})


def safe_cell(value: Any) -> Any:
    """A CSV cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, str) and value.lstrip().startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return f"'{value}"
    if isinstance(value, str) and value[:1] in ("\t", "\r", "\n"):
        return f"'{value}"
    return "" if value is None else value
