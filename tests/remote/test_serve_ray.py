"""Two page processes, one work folder, one database, and a real Ray Serve on this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from gradio_client import Client, handle_file

from musiscene.errors import BackendUnavailableError, Stopped
from musiscene.pipeline import Pipeline
from musiscene.registry import MusicGenerator, find_generator
from musiscene.settings import Settings
from musiscene.study.store import RatingStore, StoredRating
from musiscene.types import Caption, CaptionKind, Job, ScoreRequest, Soundtrack

sys.path.insert(0, str(Path(__file__).parents[1] / "study"))
from private_postgres import private_postgres

pytestmark = pytest.mark.slow(seconds=150)

KEY = "a long random text"
MOST_MUSIC = 6
"""Requests for music that the machine of the tests holds: 4 at work, 2 waiting."""
CLIP = Path(__file__).parents[2] / "assets" / "examples" / "shapes.mp4"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Deployment:
    """All processes, and where they are."""

    folder: Path
    environment: dict[str, str]
    backend: subprocess.Popen[bytes]
    backend_url: str
    database_url: str
    pages: list[str] = field(default_factory=list)

    def pipeline(self, **changed: Any) -> Pipeline:
        """The stages of one more page."""
        settings = Settings(
            data_dir=self.folder / "data", work_dir=self.folder / "own", backend_url=self.backend_url, backend_key=KEY
        )
        return Pipeline(replace(settings, **changed))

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """Processes of a backend."""
        found = []
        for process in psutil.Process(self.backend.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if f":{deployment}" in " ".join(process.cmdline()):
                    found.append(process)
        return found


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """A process and all that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        everything = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for each in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
    process.wait()


def wait_until(true: Callable[[], Any], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=2).status_code < 500
    return False


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, tiny_musicgen: Path) -> Iterator[Deployment]:
    """Started in a folder from which no test can be imported."""
    folder = tmp_path_factory.mktemp("deployment")
    backend_port = free_port()
    config = folder / "serving.toml"
    config.write_text(
        f'name = "the gpu room"\nport = {backend_port}\nmax_upload_mb = 20\n'
        '[ray]\ncpus = 2\nobject_store_mb = 80\nenv = { OMP_NUM_THREADS = "1" }\n'
        "[captions.sketch]\ncpus = 0.1\nat_once = 2\n"
        "[soundtracks.sketch]\ncpus = 0.1\nat_once = 2\n"
        f"[soundtracks.musicgen]\ncpus = 0.1\nbatch = 4\nwait_s = 0.5\nongoing = 4\nqueued = {MOST_MUSIC - 4}\n"
        f"options = {toml({'model': str(tiny_musicgen), 'precision': 'float32'})}\n"
    )
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "MUSISCENE_BACKEND_KEY": KEY,
        "OMP_NUM_THREADS": "1",
        "RAY_worker_niceness": "0",  # by itself Ray lets every other test go first
        "MUSISCENE_DATA_DIR": str(folder / "data"),
        "MUSISCENE_WORK_DIR": str(folder / "shared work"),
        "MUSISCENE_PROFILE": "sketch",
        "MUSISCENE_BACKEND_URL": f"http://127.0.0.1:{backend_port}",
    }
    quiet: dict[str, Any] = {"env": environment, "cwd": folder, "start_new_session": True}
    with private_postgres() as database_url, contextlib.ExitStack() as stack:
        environment["MUSISCENE_DATABASE_URL"] = database_url
        with (folder / "backend.log").open("wb") as log:
            backend = subprocess.Popen(
                [sys.executable, "-m", "musiscene.serve_ray", str(config)], stdout=log, stderr=log, **quiet
            )
        stack.callback(kill_all, backend)
        running = Deployment(folder, environment, backend, environment["MUSISCENE_BACKEND_URL"], database_url)
        said = folder / "backend.log"
        wait_until(lambda: b"Serving" in said.read_bytes() or backend.poll() is not None)
        assert backend.poll() is None, said.read_text()
        for number in range(2):
            port = free_port()
            with (folder / f"page-{number}.log").open("wb") as log:
                page = subprocess.Popen(
                    [sys.executable, "-m", "musiscene", "serve", "--port", str(port)], stdout=log, stderr=log, **quiet
                )
            stack.callback(kill_all, page)
            running.pages.append(f"http://127.0.0.1:{port}")
        wait_until(lambda: all(answers(page) for page in running.pages))
        yield running


def toml(options: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in options.items()) + " }"


def score(text: str, seed: int = 1, duration_s: float = 1.0) -> ScoreRequest:
    return ScoreRequest(Caption(CaptionKind.FUSION, text, "test"), duration_s, seed)


def generator(pipeline: Pipeline, name: str = "musicgen") -> MusicGenerator:
    return pipeline.pool.generator(find_generator(name))


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Do things side by side; what each returned, or raised."""
    results: list[Any] = [None] * len(works)

    def run(number: int) -> None:
        try:
            results[number] = works[number]()
        except Exception as error:  # noqa: BLE001 - looked at by who asked
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def ratings(deployment: Deployment) -> list[StoredRating]:
    """All that are in the database."""
    store = RatingStore(deployment.database_url)
    try:
        return list(store.all())
    finally:
        store.close()


def test_keys_are_wanted_and_sizes_watched(deployment: Deployment) -> None:
    """Without the key nothing is told; what is too large, or no request of ours, is refused in words."""
    url = deployment.backend_url
    assert httpx.get(f"{url}/v1/backends", timeout=60).status_code == 401
    assert httpx.post(f"{url}/v1/captions/sketch", content=b"x" * 100, timeout=60).status_code == 401
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/vnd.musiscene.frames"}
    assert httpx.get(f"{url}/v1/backends", headers=headers, timeout=60).json()["server"] == "the gpu room"
    assert httpx.get(f"{url}/v1/elsewhere", headers=headers, timeout=60).status_code == 404
    nonsense = httpx.post(f"{url}/v1/captions/sketch", headers=headers, content=b"\x80" * 1000, timeout=60)
    assert (nonsense.status_code, "cannot be understood" in nonsense.text) == (400, True)
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.putrequest("POST", "/v1/captions/sketch")
    for name, value in {**headers, "Content-Length": str(10**9)}.items():
        connection.putheader(name, value)
    connection.endheaders(b"the beginning")  # the answer comes before the rest is sent
    large = connection.getresponse()
    assert (large.status, b"20 MB" in large.read()) == (413, True)
    connection.close()
    with pytest.raises(BackendUnavailableError, match="MUSISCENE_BACKEND_KEY"):
        generator(deployment.pipeline(backend_key="wrong"))


def test_two_pages_share_the_machine_the_files_and_the_ratings(deployment: Deployment) -> None:
    """A comparison made on one page process opens on the other by its link; nobody's rating is lost."""
    first, second = (Client(page, verbose=False) for page in deployment.pages)
    made = first.predict(handle_file(CLIP), api_name="/compare")
    token, tracks = made["token"], [each["track"] for each in made["renditions"]]

    assert len(tracks) == 4 and not made["failed"]
    for caption in made["captions"].values():
        assert caption["evidence"]["made_on"].startswith("the gpu room (MusiScene ")
    assert all("the gpu room" in str(each["provenance"]["made_on"]) for each in made["renditions"])
    assert httpx.get(f"{deployment.pages[1]}/{made['renditions'][0]['audio']}", timeout=60).content[:4] == b"RIFF"
    given = [(first, "person-one", 80), (second, "person-two", 30), (first, "person-three", 55)]
    at_once(
        *(
            lambda page=page, track=track, person=person, points=points: page.predict(
                token, track, points, person, api_name="/rate"
            )
            for page, person, points in given
            for track in tracks
        )
    )
    kept = {(each.session_id, each.rendition_id): each.score for each in ratings(deployment)}
    assert kept == {(person, track): points for _, person, points in given for track in tracks}
    state = json.loads((deployment.folder / "shared work" / token / "comparison.json").read_text("utf-8"))
    assert {person: len(scores) for person, scores in state["scores"].items()} == {person: 4 for _, person, _ in given}


def test_two_visitors_in_one_batch_get_what_each_gets_alone(deployment: Deployment) -> None:
    """Each page's request has its own words and seed."""
    one, two = deployment.pipeline(), deployment.pipeline()
    (alone,) = generator(one).generate([score("rain", 3)], Job())
    together = at_once(
        lambda: list(generator(one).generate([score("rain", 3)], Job())),
        lambda: list(generator(two).generate([score("storm at sea", 4), score("sun", 5)], Job())),
    )
    assert together[0][0].provenance["requests_in_batch"] == 2
    np.testing.assert_allclose(together[0][0].waveform, alone.waveform, atol=1e-5)


def test_stop_stops_over_there(deployment: Deployment) -> None:
    """Ten minutes of music are left at once, and the replica is free again."""
    stop, told = threading.Event(), threading.Event()
    job = Job(report=lambda fraction, note: told.set(), stop=stop)
    music = generator(deployment.pipeline())
    working = threading.Thread(target=lambda: told.wait(30) and stop.set())
    working.start()
    with pytest.raises(Stopped):
        list(music.generate([score("long", duration_s=600.0)], job))
    working.join()
    (made,) = music.generate([score("short")], Job())  # it would have to wait for minutes
    assert made.provenance["requests_in_batch"] == 1


def test_more_than_it_takes_is_told_at_once(deployment: Deployment) -> None:
    """Those who came before are worked for; the next is told what works meanwhile."""
    pipeline, stop = deployment.pipeline(), threading.Event()
    refused: list[str] = []

    def ask(number: int) -> None:
        try:
            list(generator(pipeline).generate([score(f"long {number}", duration_s=500.0 + number)], Job(stop=stop)))
        except BackendUnavailableError as error:
            refused.append(str(error))
        except Stopped:
            pass

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(MOST_MUSIC + 4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: refused, 30)
    assert "busy" in refused[0] and "sketch profile" in refused[0]
    (sketched,) = generator(pipeline, "sketch").generate([score("calm")], Job())
    assert sketched.provenance["made_on"]
    stop.set()
    for thread in threads:
        thread.join()
    assert len(refused) < len(threads)


def test_a_replica_killed_in_the_middle_is_tried_once_more(deployment: Deployment) -> None:
    """The visitor gets the same music, a little later, and is told why it takes longer."""
    music = generator(deployment.pipeline())
    (expected,) = music.generate([score("rain", 3, 10.0)], Job())
    killed, notes = threading.Event(), list[str]()

    def report(fraction: float, note: str) -> None:
        notes.append(note)
        if fraction > 0.05 and not killed.is_set():
            killed.set()
            for process in deployment.replicas("soundtracks-musicgen"):
                process.kill()

    made: list[Soundtrack] = list(music.generate([score("rain", 3, 10.0)], Job(report=report)))
    np.testing.assert_allclose(made[0].waveform, expected.waveform, atol=1e-5)
    assert any("once more" in note for note in notes)


def test_without_the_machine_pages_go_on(deployment: Deployment) -> None:
    """Killed in the middle of a comparison: it ends in results made here; networks' music in a sentence."""
    page = Client(deployment.pages[0], verbose=False)
    music = generator(deployment.pipeline())
    work = page.submit(handle_file(CLIP), api_name="/compare")
    wait_until(lambda: work.outputs() or work.done())
    kill_all(deployment.backend)
    made = work.result(timeout=120)

    assert len(made["renditions"]) == 4 and not made["failed"]
    page.predict(made["token"], made["renditions"][0]["track"], 70, "person-four", api_name="/rate")
    assert "person-four" in {each.session_id for each in ratings(deployment)}
    with pytest.raises(BackendUnavailableError, match=r"does not answer.*sketch profile"):
        list(music.generate([score("rain")], Job()))
