"""What is checked before a Space is pushed, and what is pushed, up to the network."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from musiscene.errors import ConfigError
from musiscene.space import KEYS, files_to_push, front_matter, problems

ROOT = Path(__file__).parents[1]


@pytest.fixture
def hub() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A server in the Hub's place that takes note of every request and refuses the first that writes."""
    asked: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((self.path, self.rfile.read(int(self.headers.get("content-length") or 0))))
            self.send_response(403)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_POST  # noqa: N815 - names of the base class

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_this_repository_is_a_space() -> None:
    """Its front matter has documented keys only, and versions that are written twice agree."""
    assert problems(ROOT) == []


def test_mistakes_are_named(tmp_path: Path) -> None:
    """An undocumented key, a colour that is none, a missing file, another Python."""
    for name in ("requirements.txt", "pyproject.toml", "pre-requirements.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".python-version").write_text("3.13\n")
    (tmp_path / "README.md").write_text(
        "---\ntitle: T\nemoji: x\nsdk: gradio\nsdk_version: 6.31.0\npython_version: '3.12'\napp_file: none.py\n"
        "colorFrom: mauve\nlicense: mit\nshort_description: s\nsuggested_storage: small\n---\n"
    )
    found = " ".join(problems(tmp_path))
    for words in ("suggested_storage", "mauve", "none.py", "3.13"):
        assert words in found
    (tmp_path / ".python-version").unlink()
    assert ".python-version says nothing, README.md says 3.12." in problems(tmp_path)
    with pytest.raises(ConfigError, match="no front matter"):
        front_matter("# T\n")


def test_a_space_gets_the_app_and_nothing_else() -> None:
    """Neither tests nor secrets; torch only with a GPU; the thumbnail as an address."""
    plain, gpu = files_to_push(ROOT, "ann/films"), files_to_push(ROOT, gpu=True)
    assert {"app.py", "README.md", "requirements.txt", "musiscene/ui/app.py"} <= plain.keys()
    assert not [name for name in plain if name.startswith(("tests/", ".env", ".venv", "train/"))]
    assert "pre-requirements.txt" in gpu.keys() - plain.keys()
    assert b"transformers" in gpu["requirements.txt"]  # type: ignore[operator]
    keys = front_matter(gpu["README.md"].decode())  # type: ignore[union-attr]
    assert keys["preload_from_hub"] == keys["models"] == ["facebook/musicgen-small", "Qwen/Qwen3-4B-Instruct-2507"]
    assert keys.keys() <= KEYS.keys()
    assert keys["suggested_hardware"] == "zero-a10g"
    assert front_matter(plain["README.md"].decode())["thumbnail"].startswith(  # type: ignore[union-attr]
        "https://huggingface.co/spaces/ann/films/resolve/main/assets/"
    )


def test_a_space_gets_the_gallery_that_was_made(tmp_path: Path) -> None:
    """Though git ignores it; what it was made from, hidden files and links to elsewhere stay here."""
    for name in ("README.md", "pyproject.toml", "requirements.txt", ".gitignore"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for name in ("examples/index.html", "examples/media/01/msi.mp4", ".made/clip/manifest.json"):
        (tmp_path / "gallery" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "gallery" / name).write_bytes(b"x")
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "gallery" / "examples" / "link.mp4").symlink_to(tmp_path / "secret")
    pushed = [name for name in files_to_push(tmp_path) if name.startswith("gallery")]
    assert pushed == ["gallery/examples/index.html", "gallery/examples/media/01/msi.mp4"]


def test_a_refusal_of_the_hub_is_one_sentence(hub: tuple[str, list[tuple[str, bytes]]]) -> None:
    """The Space is asked for under its name; a 403 says what to do; a name that is none is not sent."""
    address, asked = hub
    environment = {"HF_ENDPOINT": address, "HF_TOKEN": "hf_secret", "PATH": "/usr/bin:/bin", "HOME": str(ROOT / "none")}
    command = [sys.executable, "-m", "musiscene.space_cli", "push"]
    done = subprocess.run([*command, "ann/films"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "hf auth login" in done.stderr
    assert "hf_secret" not in done.stderr
    (body,) = [body for path, body in asked if path == "/api/repos/create"]
    assert json.loads(body)["name"] == "films"
    before = len(asked)
    wrong = subprocess.run([*command, "films"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "OWNER/NAME" in wrong.stderr
    assert len(asked) == before
