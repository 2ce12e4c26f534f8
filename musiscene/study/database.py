"""Opening a database so that many people can write at once and nothing acknowledged is lost."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from musiscene.errors import ConfigError, StorageError

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for the others of a SQLite file."""

IDLE_S = 20.0
"""How long a connection to a server rests before it is tried."""
_USED = "musiscene_used"

JOURNALS = ("wal", "delete")
"""How SQLite writes: WAL beside readers on a disk of this machine; DELETE, with one process alone, on a mounted
bucket or network disk, where the shared memory of WAL does not work (sqlite.org/wal.html, "Disadvantages")."""


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An instant, kept in UTC also where the database (SQLite) forgets the zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """To the database."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def known_url(url: str | URL) -> URL:
    """`url`, parsed.

    Raises:
        ConfigError: It is not an address of a database that is known here.
    """
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(f"MUSISCENE_DATABASE_URL is not a database address that is known here: {error}.") from None
    return parsed


def make_engine(url: URL, journal: str = "wal") -> Engine:
    """An engine for `url`; the file's folder need not exist yet.

    Raises:
        ConfigError: The driver of the database is not installed, or the journal mode is not known.
    """
    if journal not in JOURNALS:
        raise ConfigError(f"MUSISCENE_SQLITE_JOURNAL must be one of {', '.join(JOURNALS)}, got {journal!r}.")
    try:
        if url.get_backend_name() != "sqlite":
            engine = sa.create_engine(url, pool_size=10, max_overflow=30)
            event.listen(engine, "checkin", _note_use)
            event.listen(engine, "checkout", lambda *given: _try_if_idle(engine, *given))
            return engine
        if url.database in (None, "", ":memory:"):
            return sa.create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, pool_size=10, max_overflow=30)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The database address needs the package {error.name}: run `pip install 'musiscene[postgres]'`."
        ) from None
    event.listen(engine, "connect", lambda connection, _record: _prepare_sqlite(connection, journal))
    return engine


class Database:
    """Transactions on one database, with writers in turn, and failures in words."""

    def __init__(self, url: str | URL, journal: str = "wal") -> None:
        """Prepare it; nothing is opened yet.

        Raises:
            ConfigError: The address or the journal mode cannot be used.
        """
        self.url = known_url(url)
        self.engine = make_engine(self.url, journal or "wal")
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        # SQLite has one writer. Threads that wait for each other here are served in turn; in SQLite they would sleep.
        self._turn = threading.Lock()
        if self.is_sqlite:
            event.listen(self.engine, "connect", _begin_ourselves)
            event.listen(self.engine, "begin", _begin)

    @contextmanager
    def reading(self, doing: str) -> Iterator[Connection]:
        """A transaction that only reads.

        Raises:
            StorageError: The database refused.
        """
        with self._explained(doing), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self, doing: str) -> Iterator[Connection]:
        """A transaction that writes; it is committed when the block ends, and undone when it raises.

        Raises:
            StorageError: The database refused; nothing was changed.
        """
        with self._explained(doing):
            if not self.is_sqlite:
                with self.engine.begin() as connection:
                    yield connection
                return
            with self._turn, self.engine.connect() as connection:
                connection.execution_options(musiscene_write=True)
                with connection.begin():
                    yield connection

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            if self.is_sqlite and self.url.database not in (None, "", ":memory:"):
                Path(str(self.url.database)).parent.mkdir(parents=True, exist_ok=True)
            yield
        except (SQLAlchemyError, OSError) as error:
            raise StorageError(
                f"The database refused while {doing} ({cause(error)}). Nothing was changed; "
                f"check {self.url.render_as_string(hide_password=True)} and try again."
            ) from error

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def cause(error: BaseException) -> str:
    """The driver's own words about `error`, on one line."""
    original: object = getattr(error, "orig", None) or error
    if isinstance(error, OperationalError) and "locked" in str(original):
        return f"other writers kept it locked for {BUSY_TIMEOUT_S:g} s"
    return " ".join(str(original).split())[:200] or type(original).__name__


def _note_use(_connection: Any, record: Any) -> None:
    record.info[_USED] = time.monotonic()


def _try_if_idle(engine: Engine, connection: Any, record: Any, _proxy: Any) -> None:
    """A server may have closed an idle connection. Trying it before every use would cost a way there and back."""
    if time.monotonic() - record.info.get(_USED, math.inf) < IDLE_S:
        return
    try:
        alive = engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error:
        alive = False
    if not alive:
        raise DisconnectionError  # the pool makes a new one, and tries again


def _prepare_sqlite(connection: Any, journal: str) -> None:
    """Readers beside one writer, and a wait where others write."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_S * 1000)}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")  # acknowledged means on the disk, also when the power fails
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute(f"PRAGMA journal_mode = {journal.upper()}")
            break
        except Exception as error:
            # The switch of the journal does not wait for others as statements do, so the waiting is done here.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    cursor.close()


def _begin_ourselves(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins no transaction of its own


def _begin(connection: Connection) -> None:
    # A reader that turns into a writer is refused without waiting when somebody else wrote meanwhile.
    immediate = connection.get_execution_options().get("musiscene_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
