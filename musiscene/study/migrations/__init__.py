"""The history of the study's tables, and how a database is brought up to date."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import Connection

VERSION_TABLE = "study_alembic_version"


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the tables of `connection` to `revision`, inside its transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
