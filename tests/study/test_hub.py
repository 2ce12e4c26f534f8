"""Where the disk is not kept, the database is: against a local stand-in for the Hub's file API."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from huggingface_hub import HfApi
from small_study import small_bundle

from musiscene.errors import ConfigError, StorageError
from musiscene.study import schema
from musiscene.study.database import Database
from musiscene.study.hub import DatasetKeeper
from musiscene.study.taking_part import Arrival, Study


class Hub:
    """One dataset: what was committed, by path."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.exists = self.private = False
        self.commits = self.squashed = 0
        self.denied = False


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    """The addresses that `huggingface_hub` uses for small files."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

        def answer(self, status: int, body: bytes = b"{}", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if hub.denied:
                return self.answer(401)
            if self.path == "/api/repos/create":
                given = json.loads(body)
                hub.exists, hub.private = True, given.get("private") is True or given.get("visibility") == "private"
                return self.answer(
                    200, json.dumps({"url": f"http://{self.headers['Host']}/datasets/lab/answers"}).encode()
                )
            if "/preupload/" in self.path:
                files = [
                    {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for f in json.loads(body)["files"]
                ]
                return self.answer(200, json.dumps({"files": files}).encode())
            if "/super-squash/" in self.path:
                hub.squashed += 1
                return self.answer(200)
            if "/commit/" in self.path:
                for line in body.splitlines():
                    entry = json.loads(line)
                    if entry["key"] == "file":
                        hub.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
                hub.commits += 1
                address = "https://huggingface.co/datasets/lab/answers/commit/1"  # told back, never fetched
                told = {"commitUrl": address, "commitOid": "1" * 40, "hookOutput": "", "success": True}
                return self.answer(200, json.dumps(told).encode())
            return self.answer(404)

        def do_GET(self) -> None:
            if hub.denied:
                return self.answer(401)
            name = self.path.split("/resolve/main/")[-1] if "/resolve/" in self.path else ""
            if not hub.exists:
                return self.answer(404, X_Error_Code="RepoNotFound")
            if name in hub.files:
                body = hub.files[name]
                return self.answer(
                    200, body, ETag='"e1"', X_Repo_Commit="1" * 40, Content_Type="application/octet-stream"
                )
            if name:
                return self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit="1" * 40)
            return self.answer(200, json.dumps({"id": "lab/answers", "sha": "1" * 40, "siblings": []}).encode())

        do_HEAD = do_GET  # noqa: N815

    return Handler


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Hub, HfApi]]:
    """A stand-in on a loopback port, and an API that speaks to it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    stand_in = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(stand_in))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield stand_in, HfApi(endpoint=f"http://127.0.0.1:{server.server_port}", token="hf_test")
    server.shutdown()


@pytest.mark.slow(seconds=2)
def test_a_lost_disk_is_restored(hub: tuple[Hub, HfApi], tmp_path: Path) -> None:
    """What was saved before the copy is there on a new machine, and the participant goes on where they were."""
    stand_in, api = hub
    bundle = small_bundle(tmp_path / "frozen", items=2, checks="")
    database = Database(f"sqlite:///{tmp_path / 'one' / 'study.db'}")
    keeper = DatasetKeeper("lab/answers", database, api)
    assert keeper.restore() is False  # a first start: there is no dataset yet
    study = Study(bundle, database)
    keeper.start()
    view = study.enter(Arrival("t" * 32))
    view = study.save("t" * 32, view["step"]["id"], "save-000001", {"accepted": True, "language": "en"})
    keeper.push()
    keeper.stop()
    database.close()
    assert stand_in.private and stand_in.squashed >= 1 and set(stand_in.files) == {"study.db"}

    elsewhere = Database(f"sqlite:///{tmp_path / 'two' / 'study.db'}")
    assert DatasetKeeper("lab/answers", elsewhere, api).restore() is True
    again = Study(bundle, elsewhere)
    assert again.view("t" * 32)["step"] == view["step"]
    with elsewhere.reading("testing") as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.participants)).scalar() == 1
    assert DatasetKeeper("lab/answers", elsewhere, api).restore() is False  # what is here is never overwritten


def test_no_study_starts_without_its_answers(hub: tuple[Hub, HfApi], tmp_path: Path) -> None:
    """If the Hub refuses, or the copy is damaged, the server says so and does not begin an empty database."""
    stand_in, api = hub
    database = Database(f"sqlite:///{tmp_path / 'study.db'}")
    stand_in.denied = True
    with pytest.raises(StorageError, match="HF_TOKEN"):
        DatasetKeeper("lab/answers", database, api).restore()
    stand_in.denied, stand_in.exists = False, True
    stand_in.files["study.db"] = b"not a database" * 100
    with pytest.raises(StorageError, match="no database"):
        DatasetKeeper("lab/answers", database, api).restore()

    assert not (tmp_path / "study.db").exists()


def test_only_a_file_is_kept_so(tmp_path: Path) -> None:
    """A database server keeps its own data, and the setting is refused."""
    with pytest.raises(ConfigError, match="SQLite file"):
        DatasetKeeper("lab/answers", Database("sqlite://"))


def test_a_bucket_has_a_journal_that_suits(tmp_path: Path) -> None:
    """With the delete journal there is no shared-memory file beside the database; another word is refused."""
    database = Database(f"sqlite:///{tmp_path / 'study.db'}", "delete")
    Study(small_bundle(tmp_path / "frozen", items=2, checks=""), database).enter(Arrival("t" * 32))

    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"study.db"}
    with pytest.raises(ConfigError, match="MUSISCENE_SQLITE_JOURNAL"):
        Database(f"sqlite:///{tmp_path / 'other.db'}", "off")
