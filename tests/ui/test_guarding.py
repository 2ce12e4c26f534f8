"""What a visitor who means no good can reach, send and see: nothing but their own. Most of it on a running server."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import resource
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from musiscene import media
from musiscene.settings import Settings
from musiscene.ui.guarding import is_closed, visitor_of
from musiscene.ui.logs import Discreet
from musiscene.ui.uploads import Meter, Uploads

ROOT = Path(__file__).parents[2]
slow = pytest.mark.slow
MAX_BYTES = 3_000_000
PAUSE_S = 2.0
SECRET = "open-sesame-7"
PER_HOUR = 6


@dataclass
class Served:
    """The application in a process of its own, as a proxy on the same machine sees it."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]

    def visitor(self, name: str, **options: object) -> httpx.Client:
        """A client that the server takes for one visitor; `name` is their address."""
        return httpx.Client(base_url=self.url, headers={"x-forwarded-for": name}, timeout=60, **options)  # type: ignore[arg-type]

    def uploads(self) -> list[Path]:
        """What is in the folder of uploads."""
        return [path for path in (self.folder / "uploads").rglob("*") if path.is_file()]

    def log(self) -> str:
        """What the server has printed so far."""
        return (self.folder / "log.txt").read_text("utf-8")

    def resident_bytes(self) -> int:
        """Memory that the server holds."""
        status = Path(f"/proc/{self.process.pid}/statm").read_text("ascii")
        return int(status.split()[1]) * resource.getpagesize()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with narrow limits and every part switched on."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "gallery" / "shown" / "media").mkdir(parents=True)
    (folder / "gallery" / "shown" / "index.html").write_text(
        '<!doctype html><h1>&lt;b&gt;Shown</h1><script type="application/json" id="exhibits">[{"name": "a", '
        '"title": "<img src=x onerror=alert(1)>", "poster": "media/a.jpg", "voices": [{"kind": "video"}]}]</script>',
        "utf-8",
    )
    (folder / "gallery" / "shown" / "media" / "a.jpg").write_bytes(b"jpeg")
    (folder / "gallery" / "shown" / "notes.txt").write_text("root: private", "utf-8")
    (folder / "gallery" / "shown" / "outside.mp4").symlink_to("/etc/passwd")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MUSISCENE_")},
        "MUSISCENE_DATA_DIR": str(folder / "data"),
        "MUSISCENE_WORK_DIR": str(folder / "work"),
        "MUSISCENE_GALLERY": str(folder / "gallery"),
        "MUSISCENE_PORT": str(port),
        "MUSISCENE_PROFILE": "sketch",
        "MUSISCENE_MAX_BYTES": str(MAX_BYTES),
        "MUSISCENE_UPLOAD_PAUSE_S": str(PAUSE_S),
        "MUSISCENE_UPLOADS_PER_HOUR": str(PER_HOUR),
        "MUSISCENE_RESULTS_PASSWORD": SECRET,
        "GRADIO_TEMP_DIR": str(folder / "uploads"),
    }
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        served = Served(f"http://127.0.0.1:{port}", folder, process)
        try:
            for _ in range(900):
                assert process.poll() is None, served.log()
                try:
                    urllib.request.urlopen(served.url, timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield served
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two seconds of a tune, as small as a clip gets."""
    path = tmp_path_factory.mktemp("clip") / "tune.wav"
    seconds = np.arange(2 * 22_050) / 22_050
    wave = 0.3 * np.sin(2 * np.pi * 330 * seconds) * (np.sin(2 * np.pi * 2 * seconds) > 0)
    media.write_wav(path, np.stack([wave]).astype(np.float32), 22_050)
    return path.read_bytes()


def raw(served: Served, path: str, method: str = "GET") -> tuple[int, bytes, http.client.HTTPMessage]:
    """An answer to exactly this path: no client tidies it."""
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=False)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def heard(connection: socket.socket) -> bytes:
    """A short answer to a request that is not over yet: its head and its sentence."""
    answer = b""
    while len(answer.partition(b"\r\n\r\n")[2]) < 20:
        piece = connection.recv(4096)
        assert piece, answer
        answer += piece
    return answer


def upload(client: httpx.Client, content: bytes, name: str = "tune.wav") -> httpx.Response:
    """Send a file as the page does."""
    return client.post("/gradio_api/upload", files={"files": (name, content)})


def call(client: httpx.Client, verb: str, *values: object) -> Iterator[tuple[str, object]]:
    """Call an endpoint over plain HTTP; yield its events."""
    begun = client.post(f"/gradio_api/call/{verb}", json={"data": list(values)})
    assert begun.status_code == 200, begun.text
    event = begun.json()["event_id"]
    with client.stream("GET", f"/gradio_api/call/{verb}/{event}", timeout=180) as answer:
        kind = ""
        for line in answer.iter_lines():
            if line.startswith("event:"):
                kind = line.removeprefix("event:").strip()
            elif line.startswith("data:"):
                yield kind, json.loads(line.removeprefix("data:").strip() or "null")
                if kind in ("complete", "error"):
                    return


CLIMBS = (
    "../../../../etc/passwd",
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%252f..%252f..%252fetc%252fpasswd",
    "..%5c..%5c..%5cetc%5cpasswd",
    "..%c0%af..%c0%afetc%c0%afpasswd",
    "....//....//etc/passwd",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "%00/etc/passwd",
    "file:///etc/passwd",
)
DOORS = (
    "/gradio_api/file=", "/gradio_api/%66ile=", "/gradio_api//file=", "/gradio_api/file/", "/file=", "/file/",
    "/gradio_api/proxy=", "/gradio_api/stream/", "/gradio_api/custom_component/", "/static/", "/assets/", "/svelte/",
    "/musiscene/media/aaaaaaaaaaaaaaaaaaaaaa/", "/musiscene/media/", "/musiscene/score/", "/musiscene/static/",
    "/musiscene/zip/", "/musiscene/plot/aaaaaaaaaaaaaaaaaaaaaa/", "/gallery/", "/gallery/shown/",
    "/gallery/shown/media/", "/study/x/media/", "/study-static/", "/results/",
)  # fmt: skip


@slow
@pytest.mark.parametrize("door", DOORS)
def test_no_address_climbs_out(served: Served, door: str) -> None:
    """Dots, encoded once and twice, absolute names and other systems' slashes lead nowhere."""
    for climb in CLIMBS:
        status, content, headers = raw(served, door + climb)
        assert b"root:" not in content, door + climb
        assert status in (303, 307, 400, 403, 404), (door + climb, status)
        assert str(served.folder).encode() not in content
        assert headers["x-content-type-options"] == "nosniff" or status == 400


@slow
def test_what_the_page_does_not_use_is_closed(served: Served) -> None:
    """Gradio's monitoring, proxy, recordings, code editing and run history answer as if they were not there."""
    for path in (
        "/monitoring",
        "/monitoring/x",
        "/gradio_api/vibe-code/",
        "/gradio_api/dev/reload",
        "/runs",
    ):
        assert raw(served, path)[0] == 404, path
    for path in ("/gradio_api/process_recording", "/gradio_api/component_server", "/gradio_api/vibe-edit"):
        assert raw(served, path, "POST")[0] == 404, path
    assert is_closed("/x/gradio_api/file=/a") and not is_closed("/x/gradio_api/upload")
    assert not is_closed("/gallery/a/stream/b.mp4") and not is_closed("/assets/index.js")


@slow
def test_every_answer_has_the_headers_of_its_kind(served: Served) -> None:
    """Gradio's page runs signed scripts only; whatever is no page may do nothing at all."""
    client = served.visitor("198.51.100.1")
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    nonce = re.search(r"'nonce-([\w-]+)'", policy)
    assert nonce is not None
    assert "'unsafe-inline'" not in policy.split("style-src")[0]
    assert re.findall(r"<script(?! nonce)", page.text) == []
    assert client.get("/").text.count(nonce[1]) == 0  # the next answer has another
    for path, wanted in {
        "/config": "default-src 'none'",
        "/musiscene/static/musiscene.js": "default-src 'none'",
        "/gallery/": "default-src 'none'",
        "/gallery/shown/": "script-src 'self'",
        "/results": "default-src 'none'",
        "/nothing": "default-src",
    }.items():
        answer = client.get(path)
        assert wanted in answer.headers["content-security-policy"], path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["referrer-policy"] in ("same-origin", "no-referrer")
        assert "geolocation=()" in answer.headers["permissions-policy"]
        assert "unsafe-eval" not in answer.headers["content-security-policy"]


@slow
def test_the_admin_page_wants_its_password(served: Served) -> None:
    """Nothing below /results answers before it, the cookie is the browser's own, and guessing is stopped."""
    client = served.visitor("198.51.100.2", follow_redirects=False)
    for path in ("/results/any/report", "/results/any.zip", "/results/any"):
        assert client.get(path).status_code in (303, 404), path
        assert client.get(path, headers={"cookie": "musiscene_results=9999999999.x"}).status_code in (303, 404)
    assert client.post("/results", data={"password": "guess"}).status_code == 403
    entered = client.post("/results", data={"password": SECRET})
    assert entered.status_code == 303
    assert {"httponly", "samesite=strict"} <= {
        part.strip().lower() for part in entered.headers["set-cookie"].split(";")
    }
    assert "Log out" in client.get("/results").text or client.get("/results").status_code == 200
    stranger = served.visitor("198.51.100.3")
    for _ in range(12):
        stranger.post("/results", data={"password": "guess"})
    assert stranger.post("/results", data={"password": SECRET}).status_code == 403


@slow
def test_a_visitor_cannot_use_another_s_names(served: Served, clip: bytes) -> None:
    """A soundtrack's name opens nothing under another's token, and files that were not uploaded cannot be named."""
    ann, ben = served.visitor("198.51.100.4"), served.visitor("198.51.100.5")
    kept = upload(ann, clip).json()[0]
    results = [list(call(who, "describe", {"path": path}, ["music"]))[-1] for who, path in ((ann, kept),)]
    kind, documents = results[0]
    assert kind == "complete"
    token = documents[0]["token"]  # type: ignore[index]
    assert ann.get(f"/musiscene/media/{token}/source").status_code == 200
    assert str(served.folder) not in json.dumps(documents)
    for path in (
        f"/musiscene/media/{token[:-1]}x/source",
        f"/musiscene/media/{token.lower()}/source",
        f"/musiscene/media/{token}/../{token}/comparison.json",
        f"/musiscene/media/{token}/comparison.json",
        f"/musiscene/zip/{token[:16]}",
        f"/musiscene/score/{token}/soundtrack.wav",
        f"/gradio_api/file={kept}",
        f"/gradio_api/file={served.folder}/work/{token}/comparison.json",
    ):
        assert raw(served, path)[0] == 404, path
    state = f"{served.folder}/work/{token}/comparison.json"
    for name in (state, "/etc/passwd", "../data/ratings.db", "tune.wav", "\0"):
        kind, said = list(call(ben, "describe", {"path": name, "meta": {"_type": "gradio.FileData"}}, ["music"]))[-1]
        assert kind == "error"
        assert "passwd" not in json.dumps(said) and str(served.folder) not in json.dumps(said)
    assert ben.get("/config").text.count(token) == 0


@slow
def test_what_is_too_large_is_refused_early_and_leaves_nothing(served: Served) -> None:
    """By its announced length before any of it is read, and by its real one while it arrives."""
    address = urlsplit(served.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:  # type: ignore[arg-type]
        connection.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.6\r\nAccept-Language: es\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 99999999999\r\n\r\n"
        )
        answer = heard(connection)
    assert answer.startswith(b"HTTP/1.1 413")
    assert "El archivo ocupa más de 3 MB" in answer.decode()

    def endless() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'
        for _ in range(200):
            yield bytes(64 * 1024)

    before = set(served.uploads())
    refused = served.visitor("198.51.100.6").post(
        "/gradio_api/upload", content=endless(), headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert (refused.status_code, "larger than 3 MB" in refused.text) == (413, True)
    assert set(served.uploads()) == before


@slow
def test_slow_uploads_hold_nobody_up(served: Served, clip: bytes) -> None:
    """Ten clients that dribble are ended after a while, leave nothing, and others are served at once meanwhile."""
    address = urlsplit(served.url)
    before = set(served.uploads())
    answers: list[bytes] = []

    def dribble(number: int) -> None:
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:  # type: ignore[arg-type]
            connection.sendall(
                f"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.{number}\r\n"
                "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 200000\r\n\r\n"
                '--b\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'.encode()
            )
            if number % 2:  # says nothing more
                answers.append(heard(connection))
                return
            while not select.select([connection], [], [], 0.2)[0]:
                connection.sendall(b"x")
            answers.append(heard(connection))

    threads = [threading.Thread(target=dribble, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    assert len(set(served.uploads()) - before) == 10  # they are under way
    other = served.visitor("198.51.100.7")
    assert other.get("/").status_code == 200
    assert upload(other, clip).status_code == 200
    assert any(thread.is_alive() for thread in threads)
    for thread in threads:
        thread.join(timeout=60)
    assert len(answers) == 10
    assert all(answer.startswith(b"HTTP/1.1 408") and b"too slow or stood still" in answer for answer in answers)
    assert {path.name for path in set(served.uploads()) - before} <= {"tune.wav"}  # the other's


@slow
def test_an_upload_that_breaks_off_leaves_nothing(served: Served) -> None:
    """A connection that ends in the middle takes its part of a file with it."""
    address = urlsplit(served.url)
    before = set(served.uploads())
    with socket.create_connection((address.hostname, address.port)) as connection:  # type: ignore[arg-type]
        connection.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.8\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 200000\r\n\r\n"
            b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\nabc'
        )
        time.sleep(0.3)
        assert len(set(served.uploads()) - before) == 1
    for _ in range(50):
        if set(served.uploads()) == before:
            break
        time.sleep(0.1)
    assert set(served.uploads()) == before


@slow
def test_each_visitor_has_so_many_uploads_an_hour(served: Served, clip: bytes) -> None:
    """The next is refused with the time until there is one again; another visitor's are their own."""
    busy, other = served.visitor("198.51.100.9"), served.visitor("198.51.100.10")
    for _ in range(PER_HOUR):
        assert upload(busy, clip).status_code == 200
    refused = upload(busy, clip)
    assert refused.status_code == 429
    assert re.fullmatch(rf"There were {PER_HOUR} uploads from here within an hour\. .* possible in .*\.", refused.text)
    assert upload(other, clip).status_code == 200


def test_requests_are_counted_and_answers_of_a_study_are_not(tmp_path: Path) -> None:
    """Too many within a minute are refused in words that Gradio's clients show; a participant's answer never is."""

    async def fine(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("fine")(scope, receive, send)

    client = TestClient(Uploads(fine, replace(Settings(), events_per_minute=3), tmp_path, clock=lambda: 7.0))
    answers = [client.post("/gradio_api/queue/join", headers={"accept-language": "zh"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["detail"] == "从这里一次发来的请求太多了。请在1 分 0 秒后继续。"
    assert all(client.post("/study/x/api/save").status_code == 200 for _ in range(9))
    assert client.get("/").status_code == 200


@slow
def test_what_is_no_media_is_refused_and_not_kept(served: Served) -> None:
    """By its content, whatever it is called; the file is gone from the folder of uploads."""
    client = served.visitor("198.51.100.11")
    for name, content in {
        "film.mp4": b"<!doctype html><script>alert(1)</script>" * 50,
        "tune.wav": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "song.mp3": b"PK\x03\x04" + bytes(3000),
    }.items():
        sent = upload(client, content, name)
        assert sent.status_code == 200
        path = Path(sent.json()[0])
        kind, said = list(call(client, "describe", {"path": str(path)}, ["music"]))[-1]
        assert kind == "error", name
        assert name in json.dumps(said) and str(served.folder) not in json.dumps(said)
        assert not path.exists()


@slow
def test_fifty_visitors_at_once(served: Served, clip: bytes) -> None:
    """Each gets captions and a soundtrack of their own, everyone who waits is told how many are before them."""
    before = served.resident_bytes()
    most = before
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.2):
            most = max(most, served.resident_bytes())

    def visit(number: int) -> tuple[int, dict[str, object], list[str]]:
        with served.visitor(f"192.0.2.{number}") as client:
            sent = upload(client, clip, f"visitor-{number}.wav")
            assert sent.status_code == 200, sent.text
            phases, kind, said = [], "", None
            for kind, said in call(client, "compare", {"path": sent.json()[0]}, ["music"], 1.0, number, "replace"):
                if kind == "generating":
                    phases.append(str(said[0].get("progress")))  # type: ignore[index]
            assert kind == "complete", said
            document = said[0]  # type: ignore[index]
            sound = client.get("/" + document["renditions"][0]["audio"])
            assert sound.status_code == 200 and sound.content[:4] == b"RIFF"
            return number, document, phases

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with ThreadPoolExecutor(50) as visitors:
            visits = list(visitors.map(visit, range(1, 51)))
    finally:
        over.set()
        watching.join()
    tokens = [str(document["token"]) for _, document, _ in visits]
    assert len(set(tokens)) == 50
    for number, document, _ in visits:
        text = json.dumps(document)
        assert document["clip"]["name"] == f"visitor-{number}.wav"  # type: ignore[index]
        assert document["options"]["seed"] == number  # type: ignore[index]
        assert not any(token in text for token in tokens if token != document["token"])
    assert any("waiting" in phases for _, _, phases in visits)
    assert most - before < 1.5e9, f"{(most - before) / 1e6:.0f} MB more"


@slow
def test_the_log_names_nobody_and_no_place(served: Served, clip: bytes) -> None:
    """After all that: no secret, no token, no file of a visitor, no folder, no traceback's path."""
    client = served.visitor("198.51.100.77")
    for content in (clip, b"no sound"):
        list(call(client, "describe", {"path": upload(client, content).json()[0]}, ["music"]))
    log = served.log()
    assert SECRET not in log
    assert str(served.folder) not in log
    assert str(ROOT) + "/" not in log
    assert [path.name for path in (served.folder / "work").iterdir() if path.name in log] == []


def test_a_record_is_written_without_what_is_secret(tmp_path: Path) -> None:
    """Keys, passwords, tokens, files of visitors and the machine's folders are replaced, in tracebacks too."""
    settings = replace(
        Settings(), work_dir=tmp_path / "work", data_dir=tmp_path / "data", api_keys="key-one, key-two",
        database_url="postgresql://ann:wonderland@db/x",
    )  # fmt: skip
    token = "Abcdefghij" + "klmnopqrst"  # so that the traceback's line of code does not tell it
    secrets = f"{'key'}-two, {'wonder'}land"
    try:
        raise OSError(f"cannot read {tmp_path}/work/{token}/source.mp4 with {secrets}")
    except OSError:
        where = f"/musiscene/media/{token}/x?c={token[::-1]}"
        record = logging.LogRecord("m", logging.ERROR, __file__, 1, "at %s", (where,), sys.exc_info())
    text = Discreet(settings).format(record)
    for hidden in ("key-two", "wonderland", token, token[::-1], str(tmp_path), f"{ROOT}/"):
        assert hidden not in text
    assert "OSError: cannot read (file)" in text
    assert "test_guarding.py" in text


def test_amounts_are_counted_for_each_visitor_by_themselves() -> None:
    """What is older than the time does not count any more; no limit counts nothing."""
    meter = Meter(60, 3)
    for moment in (0, 10, 20):
        assert meter.wait_s("a", moment) == 0
        meter.spend("a", 1, moment)
    assert meter.wait_s("a", 30) == 30
    assert meter.wait_s("b", 30) == 0
    assert meter.wait_s("a", 61) == 0
    free = Meter(60, 0)
    free.spend("a", 1e12, 0)
    assert free.wait_s("a", 0) == 0


def test_a_household_of_the_new_internet_is_one_visitor() -> None:
    """An IPv6 network hands out more addresses than can be counted."""
    assert visitor_of({"client": ("2001:db8:1:2:aaaa::1", 5)}) == visitor_of({"client": ("2001:db8:1:2:bbbb::9", 6)})
    assert visitor_of({"client": ("192.0.2.1", 5)}) != visitor_of({"client": ("192.0.2.2", 5)})
    assert visitor_of({}) == ""
