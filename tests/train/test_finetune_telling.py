"""What a run tells elsewhere: Weights & Biases without a network, and the hub through a local stand-in."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from musiscene.errors import BackendUnavailableError, ConfigError
from train.tuning.config import Output
from train.tuning.export import push
from train.tuning.telling import LOG, Teller


@pytest.mark.slow
def test_weights_and_biases_keeps_a_run_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures are in W&B's own file, to be sent later; a run that goes on is the same one there."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    output = Output(wandb=True, tensorboard=False)
    for step in (0, 1):
        teller = Teller(tmp_path / "run", output, step, 0, {"seed": 3})
        teller.tell("step", step + 1, loss=1.5 - step, clip="not a number")
        teller.close()

    files = list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
    assert files
    waited_until = time.monotonic() + 20  # W&B's own process writes them
    while not all(b"step/loss" in file.read_bytes() for file in files) and time.monotonic() < waited_until:
        time.sleep(0.1)
    assert all(b"step/loss" in file.read_bytes() for file in files)
    assert len({file.name for file in files}) == 1  # one id
    told = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    assert [line["loss"] for line in told] == [1.5, 0.5]


def test_a_board_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run does not begin, and the sentence says how to get it or do without."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"pip install 'musiscene\[wandb\]'`, or output.wandb = false"):
        Teller(tmp_path, Output(wandb=True, tensorboard=False), 0, 0, {})
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        Teller(tmp_path, Output(tensorboard=True), 0, 0, {})


class Hub:
    """One repository: what was committed, and what was uploaded as a large file."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.large: dict[str, bytes] = {}
        self.private = False
        self.refuses = 0


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    """The addresses of the hub's interface that a push uses."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

        def answer(self, document: Any, status: int = 200) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def do_PUT(self) -> None:
            content = self.body()
            hub.large[hashlib.sha256(content).hexdigest()] = content
            self.answer({})

        def do_POST(self) -> None:
            given, here = self.body(), f"http://{self.headers['Host']}"
            if hub.refuses:
                return self.answer({"error": "no"}, hub.refuses)
            if self.path == "/api/validate-yaml":
                return self.answer({"errors": [], "warnings": []})
            if self.path == "/api/repos/create":
                asked = json.loads(given)
                hub.private = asked.get("private") is True or asked.get("visibility") == "private"
                return self.answer({"url": f"{here}/lab/scenes"})
            if "/preupload/" in self.path:
                modes = [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(".pth") else "regular",
                        "shouldIgnore": False,
                    }
                    for file in json.loads(given)["files"]
                ]
                return self.answer({"files": modes})
            if self.path.endswith("/info/lfs/objects/batch"):
                objects = [
                    {**thing, "actions": {"upload": {"href": f"{here}/large/{thing['oid']}"}}}
                    for thing in json.loads(given)["objects"]
                ]
                return self.answer({"transfer": "basic", "objects": objects})
            if "/commit/" in self.path:
                for line in given.splitlines():
                    entry = json.loads(line)
                    value = entry["value"]
                    if entry["key"] == "file":
                        hub.files[value["path"]] = base64.b64decode(value["content"])
                    elif entry["key"] == "lfsFile":
                        hub.files[value["path"]] = hub.large[value["oid"]]
                address = "https://huggingface.co/lab/scenes/commit/1"  # told back, never fetched
                return self.answer({"commitUrl": address, "commitOid": "1" * 40, "hookOutput": "", "success": True})
            return self.answer({}, 404)

        def do_GET(self) -> None:
            self.answer({"id": "lab/scenes", "sha": "1" * 40, "siblings": []}, hub.refuses or 200)

        do_HEAD = do_GET  # noqa: N815

    return Handler


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Hub, str]]:
    """The stand-in and its address."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    stand_in = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(stand_in))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield stand_in, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """What an export's folder holds."""
    folder = tmp_path / "export"
    folder.mkdir()
    for name in ("adapter.safetensors", "checkpoint.pth", "README.md", "training.json"):
        (folder / name).write_bytes(f"---\nlicense: other\n---\n{name}\n".encode() * 20)
    return folder


def test_the_export_arrives_on_the_hub_as_it_is(hub: tuple[Hub, str], export: Path) -> None:
    """Every file byte for byte, small and large, in a repository that is private when asked for."""
    stand_in, endpoint = hub

    address = push(export, "lab/scenes", private=True, endpoint=endpoint)

    assert address.endswith("/lab/scenes") and stand_in.private
    assert stand_in.files == {path.name: path.read_bytes() for path in export.iterdir()}
    assert len(stand_in.large) == 1


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_push_that_is_refused_leaves_the_export(hub: tuple[Hub, str], export: Path, status: int) -> None:
    """The sentence tells how to push it later; nothing on disk has changed."""
    stand_in, endpoint = hub
    stand_in.refuses = status
    before = {path.name: path.read_bytes() for path in export.iterdir()}

    with pytest.raises(BackendUnavailableError, match=r"not pushed to lab/scenes.*`hf upload lab/scenes"):
        push(export, "lab/scenes", private=True, endpoint=endpoint)

    assert {path.name: path.read_bytes() for path in export.iterdir()} == before
    with pytest.raises(BackendUnavailableError, match="not pushed"):
        push(export, "lab/scenes", private=True, endpoint="http://127.0.0.1:9")
