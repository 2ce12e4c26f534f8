"""The manifest of weights, and getting, checking and converting them; a real server on this machine is the hub."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from musiscene import weights
from musiscene.errors import BackendUnavailableError, ConfigError, RequestError, Stopped, StorageError
from musiscene.fetching import Remote, fetch
from musiscene.registry import discover
from musiscene.types import Job
from musiscene.weight_notes import is_commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = bytes(range(256)) * 20_000


@dataclass
class Hub:
    """A model hub with files, gates, redirects and accidents."""

    files: dict[str, bytes]
    address: str = ""
    break_after: int | None = None
    """Bytes after which the next large download is cut off; then it works."""
    ranges: bool = True
    status: int = 200
    content_type: str = "application/octet-stream"
    token_wanted: str = ""
    elsewhere: str = ""
    """Another host that files are redirected to."""
    commit: str = COMMIT
    """What its branch stands for today."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Path, Range and Authorization of every request."""


class Handler(BaseHTTPRequestHandler):
    """Answers as a hub does."""

    hub: Hub

    def log_message(self, *args: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        """One file, or the listing."""
        hub = self.hub
        start = self.headers.get("Range", "")
        hub.asked.append((self.path, start, self.headers.get("Authorization", "")))
        if hub.status != 200:
            return self._answer(hub.status, b"")
        if hub.token_wanted and self.headers.get("Authorization") != f"Bearer {hub.token_wanted}":
            return self._answer(401, b"")
        if self.path.startswith("/api/models/"):
            siblings = [
                {"rfilename": name, "size": len(data), "lfs": {"sha256": hashlib.sha256(data).hexdigest()}}
                if len(data) > 1000
                else {"rfilename": name, "size": len(data)}
                for name, data in hub.files.items()
            ]
            revision = self.path.rpartition("/revision/")[2].partition("?")[0]
            commit = revision if is_commit(revision) else hub.commit
            return self._answer(200, json.dumps({"sha": commit, "siblings": siblings}).encode())
        if hub.elsewhere:
            self.send_response(302)
            self.send_header("Location", f"{hub.elsewhere}{self.path}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        data = hub.files.get(self.path.partition("?")[0].rpartition("/")[2])
        if data is None:
            return self._answer(404, b"")
        if start and hub.ranges:
            return self._answer(206, data[int(start.removeprefix("bytes=").rstrip("-")) :])
        return self._answer(200, data)

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", self.hub.content_type)
        self.end_headers()
        cut = self.hub.break_after
        if cut is not None and len(data) > cut:
            self.hub.break_after = None
            self.wfile.write(data[:cut])
            self.wfile.flush()
            self.connection.close()
            return
        self.wfile.write(data)


def serve(hub: Hub) -> ThreadingHTTPServer:
    """A server for `hub` on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHub", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub that holds a MERT-like repository."""
    hub = Hub({"config.json": b"{}", "pytorch_model.bin": LARGE, "README.md": b"not wanted", "x.onnx": b"nor this"})
    server = serve(hub)
    yield hub
    server.shutdown()
    server.server_close()


def test_every_entry_says_what_a_person_needs() -> None:
    """A source or a hint, a licence, a size; and a page for those that are gated."""
    for name, entry in weights.MANIFEST.items():
        assert entry.name == name
        assert entry.license
        assert entry.summary.endswith(".")
        assert bool(entry.repo_id) + bool(entry.urls) + bool(entry.hint) == 1, name
        if entry.repo_id:
            assert entry.files
            assert entry.size_gb > 0
        if entry.urls:
            assert all(url.startswith("https://") for url in entry.urls)
            assert entry.size_gb > 0
        step = weights.next_step(name)
        assert name in step or "FILE" in step or entry.hint
        if entry.gated:
            assert entry.request_url in step


def test_every_backends_weights_are_in_the_manifest() -> None:
    """A backend with published weights has an entry with its repository."""
    known = {entry.repo_id for entry in weights.MANIFEST.values()}
    missing = {
        s.name: s.repo_id
        for stage in ("captions", "soundtracks")
        for s in discover(stage)
        if s.repo_id not in known | {""}
    }
    assert missing == {}


def test_a_download_takes_what_is_wanted_and_notes_what_came(hub: Hub, tmp_path: Path) -> None:
    """Only the manifest's files are fetched, at one commit; size, checksum and commit are noted."""
    seen: list[float] = []
    job = Job(lambda share, note: seen.append(share))
    assert weights.find("mert-v1-330m", tmp_path) is None
    path = weights.download("mert-v1-330m", folder=tmp_path, endpoint=hub.address, token="", job=job)
    assert path == weights.find("mert-v1-330m", tmp_path)
    assert (path / "pytorch_model.bin").read_bytes() == LARGE
    assert sorted(file.name for file in path.iterdir()) == ["config.json", "pytorch_model.bin", "weights.json"]
    assert all(COMMIT in asked for asked, _, _ in hub.asked[1:])
    status = weights.status("mert-v1-330m", tmp_path)
    assert (status.commit, status.size_bytes) == (COMMIT, len(LARGE) + 2)
    assert status.as_dict()["here"]
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    assert weights.verify("mert-v1-330m", folder=tmp_path).checked == ("config.json", "pytorch_model.bin")


def test_a_file_that_is_there_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    """A second download asks for the listing only."""
    weights.download("mert-v1-95m", folder=tmp_path, endpoint=hub.address, token="")
    before = len(hub.asked)
    weights.download("mert-v1-95m", folder=tmp_path, endpoint=hub.address, token="")
    assert len(hub.asked) == before + 1


def test_what_has_only_a_branch_stays_at_the_commit_of_the_first_time(hub: Hub, tmp_path: Path) -> None:
    """Whatever the branch stands for later; `update` moves on, with the small files that have no checksum too."""
    name, moved = "musicgen-stereo-small", "f" * 40
    hub.files = {"config.json": b"{1}", "model.safetensors": LARGE}
    assert weights.entry(name).revision == "main"
    weights.download(name, folder=tmp_path, endpoint=hub.address, token="")
    hub.commit, hub.files["config.json"] = moved, b"{2}"

    hub.asked.clear()
    path = weights.download(name, folder=tmp_path, endpoint=hub.address, token="")
    assert [asked for asked, _, _ in hub.asked] == [f"/api/models/facebook/{name}/revision/{COMMIT}?blobs=true"]
    assert weights.verify(name, folder=tmp_path).commit == COMMIT

    weights.download(name, folder=tmp_path, endpoint=hub.address, token="", update=True)
    assert (path / "config.json").read_bytes() == b"{2}"
    assert weights.verify(name, folder=tmp_path).commit == moved
    assert sorted(file.name for file in path.iterdir()) == ["config.json", "model.safetensors", "weights.json"]
    assert sum("model.safetensors" in asked for asked, _, _ in hub.asked) == 0


def test_a_download_that_was_stopped_goes_on_with_its_own_commit(hub: Hub, tmp_path: Path) -> None:
    """Though the branch has moved meanwhile."""
    stop = threading.Event()
    with pytest.raises(Stopped):
        weights.download(
            "musicgen-stereo-small",
            folder=tmp_path,
            endpoint=hub.address,
            token="",
            job=Job(lambda share, note: stop.set(), stop),
        )
    hub.commit = "f" * 40
    weights.download("musicgen-stereo-small", folder=tmp_path, endpoint=hub.address, token="")

    assert weights.status("musicgen-stereo-small", tmp_path).commit == COMMIT
    assert not any("f" * 40 in asked for asked, _, _ in hub.asked)


def test_a_broken_connection_is_taken_up_again(hub: Hub, tmp_path: Path) -> None:
    """The rest is asked for from where it broke off."""
    hub.break_after = 1_000_000
    path = weights.download("mert-v1-330m", folder=tmp_path, endpoint=hub.address, token="")
    assert (path / "pytorch_model.bin").read_bytes() == LARGE
    ranges = [asked for _, asked, _ in hub.asked if asked]
    assert ranges
    assert 0 < int(ranges[0].removeprefix("bytes=").rstrip("-")) <= 1_000_000


def test_a_server_that_cannot_go_on_starts_over(hub: Hub, tmp_path: Path) -> None:
    """Without ranges the file is whole all the same."""
    hub.break_after, hub.ranges = 1_000_000, False
    path = weights.download("mert-v1-330m", folder=tmp_path, endpoint=hub.address, token="")
    assert (path / "pytorch_model.bin").read_bytes() == LARGE


def test_a_stopped_download_goes_on_later(hub: Hub, tmp_path: Path) -> None:
    """What has come is kept as a part, nothing counts as here, and the next call fetches only the rest."""
    stop = threading.Event()

    def report(share: float, note: str) -> None:
        if share > 0.5:
            stop.set()

    with pytest.raises(Stopped):
        weights.download("mert-v1-330m", folder=tmp_path, endpoint=hub.address, token="", job=Job(report, stop))
    assert weights.find("mert-v1-330m", tmp_path) is None
    part = tmp_path / "mert-v1-330m" / "pytorch_model.bin.part"
    assert 0 < part.stat().st_size < len(LARGE)
    weights.download("mert-v1-330m", folder=tmp_path, endpoint=hub.address, token="")
    assert hub.asked[-1][1] == f"bytes={part_size(hub)}-"
    assert not part.exists()


def part_size(hub: Hub) -> int:
    """Where the last range began."""
    return int(hub.asked[-1][1].removeprefix("bytes=").rstrip("-"))


def test_a_file_that_arrives_wrong_is_thrown_away(hub: Hub, tmp_path: Path) -> None:
    """Checksum and size are those of the hub, or nothing stays."""
    remote = Remote("a/b.bin", f"{hub.address}/r/pytorch_model.bin", len(LARGE), "0" * 64)
    with pytest.raises(BackendUnavailableError, match="arrived wrong"):
        fetch(remote, tmp_path)
    assert not list(tmp_path.rglob("*.bin*"))


def test_a_gated_model_says_where_to_ask(hub: Hub, tmp_path: Path) -> None:
    """Without access the next step is named; with a token it works."""
    hub.token_wanted = "secret"
    hub.files = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": LARGE}
    with pytest.raises(BackendUnavailableError, match="hf auth login"):
        weights.download("llama-2-7b-chat-hf", folder=tmp_path, endpoint=hub.address, token="wrong")
    path = weights.download("llama-2-7b-chat-hf", folder=tmp_path, endpoint=hub.address, token="secret")
    assert (path / "model.safetensors").read_bytes() == LARGE
    assert "secret" not in (path / "weights.json").read_text()


def test_the_token_is_not_shown_to_another_host(hub: Hub, tmp_path: Path) -> None:
    """Hubs redirect to storage elsewhere; the token stays with the hub."""
    storage = Hub(dict(hub.files))
    server = serve(storage)
    try:
        hub.elsewhere = storage.address
        weights.download("mert-v1-330m", folder=tmp_path, endpoint=hub.address, token="secret")
        assert storage.asked
        assert all(authorization == "" for _, _, authorization in storage.asked)
        assert all(authorization == "Bearer secret" for _, _, authorization in hub.asked)
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "words"), [(404, "has no"), (503, "answered 503"), (403, "gives no access")])
def test_refusals_are_said_in_words(hub: Hub, tmp_path: Path, status: int, words: str) -> None:
    """Each kind has its sentence."""
    hub.status = status
    with pytest.raises(BackendUnavailableError, match=words):
        weights.download("mert-v1-330m", folder=tmp_path, endpoint=hub.address, token="")


def test_no_network_says_what_to_do_without(tmp_path: Path) -> None:
    """An address where nobody answers leads to `weights use`."""
    with pytest.raises(BackendUnavailableError, match="weights use"):
        weights.download("mert-v1-330m", folder=tmp_path, endpoint="http://127.0.0.1:9", token="")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///etc/hostname", "weights use NAME PATH"),
        ("ftp://127.0.0.1/x.pth", "https://example.org/file"),
        ("/home/me/x.pth", "weights use NAME PATH"),
        ("http:///x.pth", "cannot be fetched"),
        ("http://[::1/x.pth", "is no address"),
        ("http://127.0.0.1:port/x.pth", "is no address"),
        ("https://me:secret@127.0.0.1/x.pth", "holds a user name or password"),
        ("https://127.0.0.1/", "does not end with the name of a file"),
        ("https://127.0.0.1/a/%2E%2E", "does not end with the name of a file"),
    ],
)
def test_an_address_that_cannot_be_fetched_is_refused_at_once(tmp_path: Path, url: str, words: str) -> None:
    """Nothing is asked and nothing written; a password is not repeated."""
    with pytest.raises(RequestError, match=words) as refused:
        weights.download("swinbert-vatex", folder=tmp_path / "w", url=url)
    assert "secret" not in str(refused.value)
    assert not (tmp_path / "w").exists()


def test_what_makes_no_sense_with_a_mirror_is_refused(hub: Hub, tmp_path: Path) -> None:
    """One address for several files, a checksum that is none, and a checksum without an address."""
    url = f"{hub.address}/files/pytorch_model.bin"
    with pytest.raises(RequestError, match="several files"):
        weights.download("mert-v1-330m", folder=tmp_path, url=url)
    with pytest.raises(RequestError, match="64 digits"):
        weights.download("swinbert-vatex", folder=tmp_path, url=url, sha256="abc")
    with pytest.raises(RequestError, match="--url"):
        weights.download("vggish", folder=tmp_path, sha256="a" * 64)
    assert hub.asked == []


@pytest.mark.parametrize("leads_to", ["file:///etc/hostname#", "ftp://127.0.0.1/", "http://[::1/"])
def test_a_file_is_not_fetched_from_where_only_programs_look(hub: Hub, tmp_path: Path, leads_to: str) -> None:
    """An answer that sends on to a file, to FTP or nowhere is reported with where it comes from."""
    hub.elsewhere = leads_to
    with pytest.raises(BackendUnavailableError, match=r"127\.0\.0\.1 sends on"):
        weights.download("swinbert-vatex", folder=tmp_path, url=f"{hub.address}/files/model.bin")
    assert weights.find("swinbert-vatex", tmp_path) is None


def test_a_web_page_is_no_file(hub: Hub, tmp_path: Path) -> None:
    """A page to log in, or about the file, is not kept in its place."""
    hub.content_type = "text/html; charset=utf-8"
    with pytest.raises(BackendUnavailableError, match="answered with a web page"):
        weights.download("swinbert-vatex", folder=tmp_path, url=f" {hub.address}/files/pytorch_model.bin ")
    assert not list(tmp_path.rglob("*.bin*"))


def test_another_mirror_takes_the_place_of_the_first(hub: Hub, tmp_path: Path) -> None:
    """A file of the same name is not taken for the new one, nor its beginning gone on with; the same address is."""
    first, second = (f"{hub.address}/{place}/pytorch_model.bin" for place in ("first", "second"))
    hub.break_after = 3_000_000
    hub.ranges = False
    stop = threading.Event()
    job = Job(report=lambda fraction, note: stop.set(), stop=stop)
    with pytest.raises(Stopped):
        weights.download("swinbert-vatex", folder=tmp_path, url=first, job=job)
    assert list(tmp_path.rglob("*.part"))

    hub.files["pytorch_model.bin"] = LARGE[::-1]
    hub.ranges = True
    path = weights.download("swinbert-vatex", folder=tmp_path, url=second)
    assert (path / "pytorch_model.bin").read_bytes() == LARGE[::-1]
    assert "" in [start for asked, start, _ in hub.asked if asked.startswith("/second")]

    asked = len(hub.asked)
    weights.download("swinbert-vatex", folder=tmp_path, url=second)
    assert len(hub.asked) == asked
    hub.files["pytorch_model.bin"] = LARGE
    weights.download("swinbert-vatex", folder=tmp_path, url=first)
    assert (path / "pytorch_model.bin").read_bytes() == LARGE


@pytest.mark.parametrize(
    ("name", "step"), [("mert-v1-330m", "mert-v1-330m --update"), ("musicgen-small", "weights use musicgen-small PATH")]
)
def test_a_commit_that_is_gone_has_a_next_step(hub: Hub, tmp_path: Path, name: str, step: str) -> None:
    """Where a branch is known --update asks for it anew; where a commit is all that is known, a copy is named."""
    hub.files = {"config.json": b"{}", "model.safetensors": LARGE, "pytorch_model.bin": LARGE}
    weights.download(name, folder=tmp_path, endpoint=hub.address, token="")
    hub.status = 404
    with pytest.raises(BackendUnavailableError, match=step):
        weights.download(name, folder=tmp_path, endpoint=hub.address, token="")
    hub.status = 200
    assert weights.download(name, folder=tmp_path, endpoint=hub.address, token="", update=True)


def test_a_full_disk_is_seen_before_anything_is_fetched(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room that is missing is named."""
    monkeypatch.setattr("musiscene.fetching.shutil.disk_usage", lambda folder: type("Usage", (), {"free": 1000})())
    with pytest.raises(StorageError, match=r"0\.0 GB are free"):
        weights.download("mert-v1-330m", folder=tmp_path, endpoint=hub.address, token="")
    assert len(hub.asked) == 1


def test_a_listing_cannot_write_outside_its_folder(hub: Hub, tmp_path: Path) -> None:
    """A file name that climbs out is refused."""
    with pytest.raises(BackendUnavailableError, match="outside"):
        fetch(Remote("../../evil", f"{hub.address}/r/config.json"), tmp_path / "weights")
    assert not (tmp_path / "evil").exists()


def test_what_is_published_nowhere_says_how_to_get_it(tmp_path: Path) -> None:
    """Weights without a source are not looked for on a hub; a mirror may be named."""
    with pytest.raises(BackendUnavailableError, match="weights use swinbert-vatex"):
        weights.download("swinbert-vatex", folder=tmp_path)


def test_a_mirror_with_a_checksum_is_taken(hub: Hub, tmp_path: Path) -> None:
    """One file from any address, if it is what it should be."""
    url = f"{hub.address}/files/pytorch_model.bin?download=1"
    digest = hashlib.sha256(LARGE).hexdigest()
    path = weights.download("swinbert-vatex", folder=tmp_path, url=url, sha256=digest)
    assert (path / "pytorch_model.bin").read_bytes() == LARGE
    with pytest.raises(BackendUnavailableError, match="arrived wrong"):
        weights.download("swinbert-msvd", folder=tmp_path, url=url, sha256="f" * 64)


def test_weights_elsewhere_on_this_machine_are_used_where_they_lie(tmp_path: Path) -> None:
    """They are neither copied nor changed, and gone when they are gone."""
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"x" * 100)
    weights.use("musiscene", mine, tmp_path / "w")
    assert weights.find("musiscene", tmp_path / "w") == mine
    assert weights.status("musiscene", tmp_path / "w").size_bytes == 100
    mine.unlink()
    assert weights.find("musiscene", tmp_path / "w") is None
    with pytest.raises(ConfigError, match="no file or folder"):
        weights.use("musiscene", mine, tmp_path / "w")


def test_a_changed_or_lost_file_is_found(hub: Hub, tmp_path: Path) -> None:
    """`verify` compares every file with what arrived."""
    path = weights.download("mert-v1-330m", folder=tmp_path, endpoint=hub.address, token="")
    (path / "pytorch_model.bin").write_bytes(LARGE[:-1] + b"!")
    (path / "config.json").unlink()
    verification = weights.verify("mert-v1-330m", folder=tmp_path)
    assert not verification.ok
    assert verification.problems == ("config.json is gone", "pytorch_model.bin has changed since it came")


def test_verify_looks_into_the_networks_it_knows(tmp_path: Path) -> None:
    """A complete tiny MU-LLaMA passes; one with a missing tensor is named."""
    from safetensors.torch import load_file, save_file

    from musiscene.networks.mu_llama.tiny import write_tiny

    files = write_tiny(tmp_path / "tiny")
    for name, part in (("mu-llama", "adapter"), ("llama-2-7b-chat", "base"), ("mert-v1-330m", "mert")):
        weights.use(name, files[part], tmp_path / "w")
        if name != "mu-llama":
            assert weights.verify(name, folder=tmp_path / "w").ok
    assert weights.verify("mu-llama", folder=tmp_path / "w").ok
    tensors = load_file(files["adapter"])
    del tensors["prefix_query.weight"]
    save_file(tensors, files["adapter"])
    (problem,) = weights.verify("mu-llama", folder=tmp_path / "w").problems
    assert "prefix_query.weight" in problem


def test_conversion_is_noted_and_found(tmp_path: Path) -> None:
    """`convert` makes the merged model; what needs none says so; progress ends at 1."""
    from musiscene.networks.mu_llama.tiny import write_tiny

    files = write_tiny(tmp_path / "tiny")
    folder = tmp_path / "w"
    weights.use("mu-llama", files["adapter"], folder)
    weights.use("llama-2-7b-chat", files["base"], folder)
    weights.use("mert-v1-330m", files["mert"], folder)
    seen: list[float] = []
    merged = weights.convert("mu-llama", folder=folder, job=Job(lambda share, note: seen.append(share)))
    assert weights.find("mu-llama-merged", folder) == merged
    assert weights.verify("mu-llama-merged", folder=folder).ok
    other = write_tiny(tmp_path / "other", seed=1)
    weights.use("mu-llama", other["adapter"], folder)
    assert weights.find("mu-llama-merged", folder) is None  # it was made from others
    weights.use("mu-llama", files["adapter"], folder)
    assert weights.find("mu-llama-merged", folder) == merged
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    with pytest.raises(BackendUnavailableError, match="nothing to convert"):
        weights.convert("mert-v1-330m", folder=folder)
    with pytest.raises(ConfigError, match="no precision"):
        weights.convert("mu-llama", folder=folder, dtype="int64")
    with pytest.raises(BackendUnavailableError, match="not here"):
        weights.convert("mu-llama", folder=tmp_path / "empty")


def test_names_that_there_are_not_are_answered_with_those_there_are(tmp_path: Path) -> None:
    """A typing error lists the names."""
    with pytest.raises(ConfigError, match="mert-v1-330m"):
        weights.find("mert", tmp_path)


def test_the_folder_is_that_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without being told, weights lie in the data folder."""
    monkeypatch.setenv("MUSISCENE_DATA_DIR", str(tmp_path))
    assert weights.weights_dir() == tmp_path / "weights"


def test_listing_imports_no_torch() -> None:
    """The command line lists weights at once."""
    code = (
        "import sys; from musiscene.weights import list_all; list(list_all('nowhere')); "
        "print([m for m in ('torch', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
