"""Real databases of both kinds, and a small frozen study."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))  # the tests of this folder share two modules

from private_postgres import private_postgres
from small_study import design_text, make_renditions

from musiscene.mux import picture_only
from musiscene.study.bundle import Bundle
from musiscene.study.database import Database
from musiscene.study.freezing import freeze
from musiscene.study.taking_part import Study


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A private PostgreSQL server."""
    with private_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'folder that is not there' / 'ratings.db'}"
        return
    address: str = request.getfixturevalue("postgres_url")
    yield address
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()


@pytest.fixture(scope="session")
def renditions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five folders of renditions."""
    return make_renditions(tmp_path_factory.mktemp("renditions"))


@pytest.fixture(scope="session")
def make_bundle(renditions: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Bundle]:
    """A factory of frozen studies; each design is frozen once."""
    made: dict[str, Bundle] = {}

    def make(**options: Any) -> Bundle:
        text = design_text(**options)
        if text not in made:
            folder = tmp_path_factory.mktemp("study")
            (folder / "tiny.toml").write_text(text, "utf-8")
            made[text] = freeze(folder / "tiny.toml", [renditions], folder / "frozen", write_picture=picture_only)
        return made[text]

    return make


@pytest.fixture
def study(make_bundle: Callable[..., Bundle], url: str) -> Iterator[Study]:
    """A study with every check, on each database."""
    database = Database(url)
    yield Study(make_bundle(), database)
    database.close()
