"""The studies' database where the disk is not kept: copies of it in a private dataset on the Hub.

A copy is made every few minutes and when the server stops, if something has changed; at the start the last copy is
fetched before anybody is let in. What was saved since the last copy is lost when the machine is taken away: an
attached bucket (`docs/study.md`) has no such gap.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from musiscene.errors import ConfigError, StorageError
from musiscene.settings import Settings
from musiscene.study.database import Database

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_log = logging.getLogger(__name__)

FILE = "study.db"
EVERY_MIN = 5.0


class Keeper(Protocol):
    """What keeps a database elsewhere."""

    def restore(self) -> bool:
        """Fetch the last copy if there is no database here yet; say whether one came."""

    def start(self) -> None:
        """Begin to keep copies."""


def keeper_of(settings: Settings, database: Database) -> Keeper | None:
    """The keeper that the settings ask for, if any.

    Raises:
        ConfigError: The database is not one that can be copied so.
    """
    if not settings.study_dataset:
        return None
    return DatasetKeeper(settings.study_dataset, database)


class DatasetKeeper:
    """Copies of a SQLite database in a private dataset."""

    def __init__(
        self, repo_id: str, database: Database, api: HfApi | None = None, every_min: float = EVERY_MIN
    ) -> None:
        """Prepare; nothing is fetched or sent yet.

        Raises:
            ConfigError: The database is not a SQLite file.
        """
        if not database.is_sqlite or database.url.database in (None, "", ":memory:"):
            raise ConfigError("MUSISCENE_STUDY_DATASET keeps a SQLite file; a database server keeps its own data.")
        from huggingface_hub import HfApi

        self._repo_id, self._database, self._every_min = repo_id, database, every_min
        self._api = api or HfApi()
        self._file = Path(str(database.url.database))
        self._scheduler: Any = None

    def restore(self) -> bool:
        """Fetch the last copy if there is no database here yet; say whether one came.

        Raises:
            StorageError: The Hub cannot be reached, so nobody knows whether there are answers already.
        """
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError

        if self._file.exists() and self._file.stat().st_size:
            return False
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._file.parent) as folder:
            try:
                fetched = self._api.hf_hub_download(self._repo_id, FILE, repo_type="dataset", local_dir=folder)
            except (EntryNotFoundError, RepositoryNotFoundError) as error:
                # "Not here" is also said to who may not know, and when nobody answered: then there may be answers.
                if _denied(error) or isinstance(error, LocalEntryNotFoundError):
                    raise self._unreachable(error) from error
                return False
            except Exception as error:
                raise self._unreachable(error) from error
            connection = sqlite3.connect(fetched)
            try:
                (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
            except sqlite3.DatabaseError as error:
                raise StorageError(f"The copy in the dataset {self._repo_id} is no database ({error}).") from error
            finally:
                connection.close()
            if verdict != "ok":
                raise StorageError(f"The copy in the dataset {self._repo_id} is damaged ({verdict}).")
            Path(fetched).replace(self._file)
        _log.info("restored the studies' database from %s", self._repo_id)
        return True

    def start(self) -> None:
        """Begin to keep copies.

        Raises:
            StorageError: The dataset cannot be made or written to.
        """
        from huggingface_hub import CommitScheduler

        database_file = self._file
        outbox = self._file.parent / ".study-copies"

        class Scheduler(CommitScheduler):  # type: ignore[misc, unused-ignore]
            """Takes a copy of the database before it looks for what has changed."""

            def push_to_hub(self) -> Any:
                snapshot(database_file, outbox / FILE)
                return super().push_to_hub()

        try:
            # The history is squashed: data that a participant had deleted must not live on in old revisions.
            self._scheduler = Scheduler(
                repo_id=self._repo_id,
                repo_type="dataset",
                folder_path=outbox,
                every=self._every_min,
                private=True,
                squash_history=True,
                hf_api=self._api,
            )
        except Exception as error:
            raise self._unreachable(error) from error

    def push(self) -> None:
        """Send a copy now, and wait until it is there."""
        self._scheduler.trigger().result()

    def stop(self) -> None:
        """Send no more copies."""
        self._scheduler.stop()

    def _unreachable(self, error: BaseException) -> StorageError:
        reason = " ".join(str(error).split())[:160]
        return StorageError(
            f"The dataset {self._repo_id} cannot be used ({reason}). The study does not start, because answers "
            "that are there already would be left behind; check the name and the HF_TOKEN secret (write access)."
        )


def snapshot(database_file: Path, copy: Path) -> bool:
    """Copy a database that is in use, whole and consistent; say whether it differs from the last copy."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    part = copy.with_name(f".{copy.name}.part")
    part.unlink(missing_ok=True)
    source, target = sqlite3.connect(database_file, timeout=30), sqlite3.connect(part)
    try:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
        target.execute("VACUUM")  # what was deleted is not left in free pages
    finally:
        source.close()
        target.close()
    if copy.exists() and _sha256(copy) == _sha256(part):
        part.unlink()
        return False
    part.replace(copy)
    return True


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _denied(error: BaseException) -> bool:
    """Whether the Hub said 401 or 403."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status in (401, 403)
