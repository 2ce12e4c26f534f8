"""Real databases of both kinds, and a small frozen study."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from musiscene.mux import picture_only
from musiscene.study.bundle import Bundle
from musiscene.study.database import Database
from musiscene.study.freezing import freeze
from musiscene.study.taking_part import Study


def _postgres_program(name: str) -> str | None:
    found = shutil.which(name)
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return found or (str(versions[0]) if versions else None)


def _as_postgres_allows() -> dict[str, object]:
    """PostgreSQL refuses to run as root: then its files and processes belong to an unprivileged user."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}
    pytest.fail("PostgreSQL needs a user that is not root, and there is neither 'postgres' nor 'nobody'.")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A private PostgreSQL server on a temporary folder and a loopback port."""
    initdb, server = _postgres_program("initdb"), _postgres_program("postgres")
    if initdb is None or server is None:
        pytest.fail("PostgreSQL is missing: `apt-get install postgresql` (the tests start a private server).")
    identity = _as_postgres_allows()
    folder = Path(tempfile.mkdtemp(prefix="ratings-pg-"))
    try:
        if identity:
            os.chown(folder, int(str(identity["user"])), int(str(identity["group"])))
        data = folder / "data"
        run = {**identity, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        subprocess.run([initdb, "-D", data, "-U", "rater", "-A", "trust", "-E", "UTF8", "--no-sync"], check=True, **run)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = ["-D", data, "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        process = subprocess.Popen([server, *options], **{**run, "stderr": subprocess.DEVNULL})
        url = f"postgresql+psycopg://rater@127.0.0.1:{port}/postgres"
        try:
            for _ in range(200):
                try:
                    engine = sa.create_engine(url)
                    engine.connect().close()
                    engine.dispose()
                    break
                except sa.exc.OperationalError:
                    threading.Event().wait(0.1)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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


DESIGN = """
name = "tiny"
conditions = ["alphaone", "betatwo", "gammathree"]
trial = "{trial}"
seed = 7
[title]
en = "Music for clips"
[question]
en = "How well does it fit?"
[consent]
en = "You may stop at any time."
[items]
count = {count}
per_participant = {per}
[checks]
{checks}
[finish]
completion_code = "C0DE"
[[questions]]
id = "age"
kind = "number"
label.en = "How old are you?"
[[questions]]
id = "words"
kind = "text"
label.en = "Anything else?"
"""
ALL_CHECKS = (
    "practice = true\nvolume = true\nheadphones = true\nrepeat = 1\nanchor = 1\nreference = true\ninstructed = 1"
)


def design_text(trial: str = "rating", count: int = 4, per: int | None = None, checks: str = ALL_CHECKS) -> str:
    """A small design."""
    return DESIGN.format(trial=trial, count=count, per=per or count, checks=checks)


def _music(seed: int, duration_s: float) -> np.ndarray:
    generator = np.random.default_rng(seed)
    time_s = np.arange(round(duration_s * 48_000)) / 48_000
    notes = sum(np.sin(2 * np.pi * hz * time_s) for hz in generator.uniform(200, 900, 3))
    level = 10 ** (generator.uniform(-30, -8) / 20)
    return (level * np.stack([notes, notes]) / 3).astype(np.float32)


@pytest.fixture(scope="session")
def renditions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders as somebody else's tools leave them: a picture with sound, and a track for each condition."""
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from conftest import write_media  # type: ignore[import-not-found]

    root = tmp_path_factory.mktemp("renditions")
    return make_renditions(root, write_media)


def make_renditions(root: Path, write: Callable[..., Any], count: int = 5, duration_s: float = 1.0) -> Path:
    """`count` folders under `root`."""
    from musiscene.media.waveforms import write_wav

    for number in range(count):
        folder = root / f"secretclip{number}"
        folder.mkdir()
        write(
            folder / "picture.mp4", duration_s=duration_s, fps=10, size=(64, 48), audio=_music(100 + number, duration_s)
        )
        for place, condition in enumerate(("alphaone", "betatwo", "gammathree")):
            write_wav(folder / f"{condition}.wav", _music(10 * number + place, duration_s), 48_000)
    return root


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
