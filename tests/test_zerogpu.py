"""A GPU that is lent for one call: what crosses to its process and back, how long is asked for, what a refusal says.

The package `spaces` is the real one. Its device API is a small server here, its calls are forked, and its emulation of
CUDA takes the networks; only the GPU itself is missing, so a spawned process stands in for it.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from musiscene import errors, zerogpu
from musiscene.captions.fusion_llm import SPEC as LANGUAGE
from musiscene.captions.mu_llama import SPEC as MU_LLAMA
from musiscene.crossing import AskWork, CaptionWork, DescribeWork, Failed, ScoreWork, key_of, spec_of
from musiscene.errors import BackendUnavailableError, MediaError, Stopped
from musiscene.events import CaptionReady, KindUnavailable, RenditionFailed, RenditionReady
from musiscene.media import probe
from musiscene.pipeline import Pipeline, ScoreOptions
from musiscene.registry import Pool, discover
from musiscene.settings import Settings
from musiscene.soundtracks.musicgen import SPEC as MUSICGEN
from musiscene.sources import Sources, open_sources
from musiscene.types import Caption, CaptionKind, CaptionRequest, CaptionSet, Job, ScoreRequest
from musiscene.zerogpu import ZeroGpuPipeline, duration_s, is_zero_gpu, make_pipeline, refusal
from tests.far_side import Spawned

ROOT = Path(__file__).parents[1]
MIXED = {
    CaptionKind.VIDEO: "sketch",
    CaptionKind.MUSIC: "mu-llama",
    CaptionKind.FUSION: "sketch",
    CaptionKind.MSI: "mu-llama",
}
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, one_torch_thread: None) -> dict[str, Any]:
    """A tiny MU-LLaMA and a tiny MusicGen with random weights."""
    from musiscene.networks.mu_llama.tiny import write_tiny
    from musiscene.networks.musicgen.random_model import random_musicgen, save_with_tokenizer

    folder = tmp_path_factory.mktemp("tiny")
    mu_llama = write_tiny(folder / "mu-llama")
    return {
        "mu-llama": {**mu_llama, "weights_dir": folder / "none", "cache_dir": folder / "heard", "max_new": 16},
        "musicgen": {"model": save_with_tokenizer(random_musicgen("tiny"), folder / "musicgen")},
    }


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", work_dir=tmp_path / "work", profile="sketch")


def lent(settings: Settings, options: dict[str, Any]) -> tuple[ZeroGpuPipeline, Spawned]:
    """The pipeline of ZeroGPU with spawned processes in place of forked ones with a GPU."""
    pipeline = ZeroGpuPipeline(settings, Pool(options))
    pipeline.call = spawned = Spawned(settings, options)
    return pipeline, spawned


def captions_of(pipeline: Pipeline, sources: Sources, **chosen: Any) -> tuple[dict[CaptionKind, str], dict[str, str]]:
    events = list(pipeline.describe(sources, captioners=MIXED, seed=4, **chosen))
    ready = {event.caption.kind: event.caption.text for event in events if isinstance(event, CaptionReady)}
    return ready, {event.kind.value: event.reason for event in events if isinstance(event, KindUnavailable)}


@slow
def test_across_a_process_the_captions_are_the_same(
    settings: Settings, options: dict[str, Any], small_video: Path
) -> None:
    """All of one clip in one call, whatever is made from them included; sketch captions stay here."""
    sources = open_sources(probe(small_video))
    here, _ = captions_of(Pipeline(settings, Pool(options)), sources)
    pipeline, spawned = lent(settings, options)
    there, missing = captions_of(pipeline, sources)

    assert there == here
    assert set(there) == set(CaptionKind)
    assert missing == {}
    (call,) = spawned.calls
    assert isinstance(call, DescribeWork)
    assert call.kinds == {CaptionKind.MUSIC, CaptionKind.MSI}
    assert not pipeline._inner.pool._loaded.keys() & {id(MU_LLAMA)}, "the network was loaded on this side too"


@slow
def test_across_a_process_the_music_is_the_same(
    settings: Settings, options: dict[str, Any], small_video: Path, tmp_path: Path
) -> None:
    """All captions and takes of a comparison in one call; sound is heard on the way; no tensor crosses."""
    sources = open_sources(probe(small_video))
    captions = CaptionSet([Caption(kind, f"{kind} music", "test") for kind in CaptionKind])
    chosen = ScoreOptions(duration_s=1.5, seed=3, takes=2)

    def scored(pipeline: Pipeline, name: str) -> tuple[dict[str, bytes], int]:
        made, pieces = {}, 0
        for event in pipeline.score(sources, captions, tmp_path / name, generator="musicgen", options=chosen):
            if isinstance(event, RenditionReady):
                made[event.rendition.audio.name] = event.rendition.audio.read_bytes()
            assert not isinstance(event, RenditionFailed), event
            pieces += type(event).__name__ == "SoundPart"
        return made, pieces

    here, pieces_here = scored(Pipeline(settings, Pool(options)), "here")
    pipeline, spawned = lent(settings, options)
    there, pieces_there = scored(pipeline, "there")

    assert len(there) == 8
    assert there == here
    assert pieces_there == pieces_here > 0
    (call,) = spawned.calls
    assert isinstance(call, ScoreWork)
    assert len(call.requests) == 8
    assert not any(b"torch" in data for data in spawned.bytes)


@slow
def test_a_question_is_answered_there(settings: Settings, options: dict[str, Any], small_track: Path) -> None:
    """By the stand-in of the captioner, piece by piece, as by the captioner itself."""
    clip = probe(small_track)
    captioner: Any = Pool(options).captioner(MU_LLAMA)
    pipeline, spawned = lent(settings, options)
    stand_in: Any = pipeline.pool.captioner(MU_LLAMA)
    asked = ("What instruments do you hear?",)
    assert list(stand_in.ask(clip, *asked, seed=2)) == list(captioner.ask(clip, *asked, seed=2))
    assert [type(call) for call in spawned.calls] == [AskWork]


@slow
def test_a_stop_ends_the_work_there(settings: Settings, options: dict[str, Any]) -> None:
    """The person is free at once, and the process ends with its next message."""
    pipeline, spawned = lent(settings, options)
    stop = threading.Event()
    wanted = ScoreRequest(Caption(CaptionKind.MSI, "rain", "test"), 200.0)
    job = Job(report=lambda fraction, note: stop.set() if "written" in note else None, stop=stop)
    with pytest.raises(Stopped):
        list(pipeline.pool.generator(MUSICGEN).generate([wanted], job))
    for thread in threading.enumerate():
        if thread.name == "musiscene-far-side":
            thread.join(20)
    assert spawned.left_alive == 0
    assert not any(thread.name == "musiscene-far-side" for thread in threading.enumerate())


@slow
def test_what_goes_wrong_there_is_told_in_its_own_words(
    settings: Settings, options: dict[str, Any], small_video: Path
) -> None:
    """An error of ours comes back as itself."""
    pipeline, _ = lent(settings, options)
    wanted = [ScoreRequest(Caption(CaptionKind.MSI, "rain", "test"), 9999.0)]
    with pytest.raises(errors.RequestError, match="up to 600 seconds"):
        list(pipeline.pool.generator(MUSICGEN).generate(wanted, Job()))


def test_a_silent_clip_asks_for_no_gpu(settings: Settings, make_media: Any) -> None:
    """What cannot be made anyway is known before; a call would count against the visitor's day."""
    pipeline, spawned = lent(settings, {})
    ready, missing = captions_of(pipeline, open_sources(probe(make_media("silent.mp4"))))
    assert set(ready) == {CaptionKind.VIDEO}
    assert set(missing) == {"music", "fusion", "msi"}
    assert "silent" in missing["msi"]
    assert spawned.calls == []


def test_a_refusal_keeps_what_is_finished(settings: Settings, small_video: Path) -> None:
    """The sketch captions are there; the others say why not and what still works, those made from them too."""
    pipeline, _ = lent(settings, {})

    def refused(work: Any) -> Iterator[Any]:
        raise error_of_spaces("ZeroGPU queue timeout", "No GPU was available after 60s. Retry later")
        yield

    pipeline.call = refused
    ready, missing = captions_of(pipeline, open_sources(probe(small_video)))
    assert set(ready) == {CaptionKind.VIDEO}
    assert missing["music"].startswith("No GPU was free within a minute.")
    assert "sketch profile" in missing["msi"]
    assert missing["fusion"] == "The fusion caption is made from the music caption, which is missing."


def error_of_spaces(title: str, message: str) -> Exception:
    """As the package makes it."""
    import gradio as gr

    return gr.Error(message, title=title, print_exception=False)


@pytest.mark.parametrize(
    ("title", "message", "words"),
    [
        (
            "ZeroGPU quota exceeded",
            "You have exceeded your free ZeroGPU quota (60s requested vs. 12s left). Try again in 3:12:05. Subscribe",
            "Your GPU time of today is used up (60 s are needed, 12 s left; it is free again in 3:12:05 hours).",
        ),
        ("ZeroGPU quota exceeded", "Space app has reached its GPU limit. Try re-running", "without an account"),
        ("ZeroGPU quota exceeded", "You have exceeded your ZeroGPU runs limit. ", "as often as one may today"),
        ("ZeroGPU quota exceeded", "No GPU was available after 60s. Try re-running", "No GPU was free"),
        ("ZeroGPU client error", "No GPU was available", "No GPU was free within a minute"),
        (
            "ZeroGPU illegal duration",
            "The requested GPU duration (400s) is larger than the maximum allowed",
            "This wants 400 s of GPU at once",
        ),
        ("ZeroGPU pending credits exceeded", "You have too many ZeroGPU credits allocated", "when it is done"),
        ("ZeroGPU worker error", "GPU task aborted", "what was finished is kept"),
        ("ZeroGPU worker error", "OutOfMemoryError", "The GPU that was lent failed"),
        ("ZeroGPU client error", "Expired ZeroGPU proxy token", "Reload it"),
    ],
)
def test_every_refusal_is_a_sentence_with_what_still_works(title: str, message: str, words: str) -> None:
    """Of all that the package raises; addresses to subscribe at are left out."""
    said = refusal(error_of_spaces(title, message))
    assert isinstance(said, BackendUnavailableError)
    assert words in str(said)
    assert "http" not in str(said)
    assert "sketch profile needs no GPU" in str(said) or "Reload" in str(said)


def test_a_defect_has_an_id_and_no_details() -> None:
    """What is not told in our words is in the log."""
    assert "in the log under" in str(refusal(RuntimeError("ZeroGPU API /schedule error: 500")))
    assert Failed.of(KeyError("secret")).error == "BackendError"
    assert "secret" not in Failed.of(KeyError("secret")).words
    assert isinstance(Failed.of(errors.UnreadableMediaError("x")).raised(), MediaError)


def test_longer_work_asks_for_longer(make_media: Any) -> None:
    """In every direction; always whole seconds, never nothing, never endless."""

    def music(seconds: float, count: int) -> int:
        caption = Caption(CaptionKind.MSI, "x", "test")
        return duration_s(ScoreWork(key_of(MUSICGEN), (ScoreRequest(caption, seconds),) * count))

    assert zerogpu.LEAST_S <= music(1, 1) < music(30, 1) < music(30, 16) < music(120, 16) <= zerogpu.MOST_S
    assert music(600, 64) == zerogpu.MOST_S
    sources = open_sources(probe(make_media("a.mp4", duration_s=1.0)))
    paper = {
        CaptionKind.VIDEO: "swinbert",
        CaptionKind.MUSIC: "mu-llama",
        CaptionKind.FUSION: "llm",
        CaptionKind.MSI: "mu-llama",
    }
    one = duration_s(DescribeWork(sources, frozenset({CaptionKind.MUSIC}), paper, CaptionSet()))
    assert isinstance(one, int)
    assert one < duration_s(DescribeWork(sources, frozenset(CaptionKind), paper, CaptionSet()))
    assert duration_s(AskWork(key_of(MU_LLAMA), sources.main, "What?")) >= zerogpu.LEAST_S
    assert duration_s(CaptionWork(key_of(LANGUAGE), CaptionRequest(frozenset({CaptionKind.FUSION})))) > zerogpu.LEAST_S


def test_work_can_be_pickled_and_backends_found_again(make_media: Any) -> None:
    """Paths, captions and numbers cross; every backend is found by its key."""
    sources = open_sources(probe(make_media("a.mp4")))
    known = CaptionSet([Caption(CaptionKind.VIDEO, "A red bus.", "test", evidence={"cuts_s": [1.0]})])
    work = DescribeWork(sources, frozenset(CaptionKind), MIXED, known, 7, {CaptionKind.MSI: "Imagine."})
    back = pickle.loads(pickle.dumps(work))
    assert back.known[CaptionKind.VIDEO] == known[CaptionKind.VIDEO]
    assert (back.sources, back.kinds, back.seed) == (work.sources, work.kinds, 7)
    for stage in ("captions", "soundtracks"):
        for spec in discover(stage):
            assert spec_of(key_of(spec)) is spec


def test_elsewhere_it_is_the_plain_pipeline(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this runs on any other machine."""
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert type(make_pipeline(settings)) is Pipeline
    assert [is_zero_gpu({"SPACES_ZERO_GPU": value}) for value in ("true", "1", "T", "false", "")] == [
        *(True, True, True), *(False, False),
    ]  # fmt: skip


def test_what_is_not_on_the_gpu_stays_here(settings: Settings) -> None:
    """Sketch, a language model on a server, and what computes in an environment of its own."""
    from dataclasses import replace

    from musiscene.backend_options import backend_options

    server = replace(settings, llm_url="http://127.0.0.1:1/v1", llm_model="m")
    far = ZeroGpuPipeline(settings, Pool(backend_options(settings)))
    with_server = ZeroGpuPipeline(server, Pool(backend_options(server)))
    here = {spec.name for stage in ("captions", "soundtracks") for spec in discover(stage) if not far.is_far(spec)}
    assert here == {"sketch", "audiocraft"}
    assert far.is_far(LANGUAGE)
    assert not with_server.is_far(LANGUAGE)


# -- with the package `spaces` -----------------------------------------------------------------------------------------


class DeviceApi:
    """The platform's side: lends a GPU, or refuses by what the visitor's token says."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                parts = urlsplit(self.path)
                given = {name: values[0] for name, values in parse_qs(parts.query).items()}
                api.asked.append((parts.path, given))
                if parts.path == "/schedule":
                    self._schedule(given.get("token", ""))
                else:
                    self._answer(200, b"")

            def _schedule(self, token: str) -> None:
                if token == "used-up":
                    self._answer(429, b'{"left": 5, "wait": "PT2H"}')
                elif token == "too-long":
                    self._answer(429, b'{"left": 5, "wait": "-PT1S"}')
                elif token == "busy":
                    self._answer(503, b"")
                elif token == "waited":
                    self._answer(200, b"event: failed\n\n", kind="text/event-stream")
                else:
                    lent = {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "a"}
                    self._answer(200, json.dumps(lent).encode())

            def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def called(self, path: str) -> list[dict[str, str]]:
        return [given for asked, given in self.asked if asked == path]


@pytest.fixture
def device_api() -> Iterator[DeviceApi]:
    api = DeviceApi()
    yield api
    api.server.shutdown()
    api.server.server_close()


def on_zero_gpu(script: str, device_api: DeviceApi, folder: Path, *arguments: str) -> Any:
    """What a script prints, as JSON, in a process that takes itself for a ZeroGPU Space."""
    (folder / "cgroup").write_text("0::/kubepods/space\n")
    environment = {
        **os.environ, "SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": device_api.url, "OMP_NUM_THREADS": "1",
        "ZEROGPU_PROC_SELF_CGROUP_PATH": str(folder / "cgroup"), "GRADIO_ANALYTICS_ENABLED": "False",
        "ZEROGPU_OFFLOAD_DIR": str(folder / "offloaded"), "MUSISCENE_PROFILE": "sketch",
        "MUSISCENE_DATA_DIR": str(folder / "data"), "MUSISCENE_WORK_DIR": str(folder / "work"),
    }  # fmt: skip
    command = [sys.executable, "-W", "ignore", "-c", script, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("{")]  # the package prints lines of its own
    return json.loads(line)


FORKED = """
import json, os, sys
class NoTorch:                                  # without it, the package forks and asks, and moves nothing to a GPU
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("not here", name=name)
sys.meta_path.insert(0, NoTorch())
import spaces; sys.meta_path[:] = [each for each in sys.meta_path if type(each).__name__ != "NoTorch"]
from pathlib import Path
from types import SimpleNamespace
from gradio.context import LocalContext
from musiscene import zerogpu
from musiscene.media import probe
from musiscene.sources import open_sources
from musiscene.settings import Settings
from musiscene.types import CaptionSet

zerogpu.ZeroGpuPipeline.is_far = lambda self, spec: spec.name == "sketch"   # it stands in for the networks
class Headers(dict):
    pass
pipeline = zerogpu.make_pipeline(Settings.from_env())
pipeline._inner.pool.generator(pipeline.profile.specs()[-1])
sources = open_sources(probe(Path(sys.argv[1])))
told = {}
for token in ["visitor", "used-up", "too-long", "busy", "waited"]:
    LocalContext.request.set(SimpleNamespace(headers=Headers({"x-ip-token": token})))
    captions, lines = CaptionSet(), []
    for event in pipeline.describe(sources):
        name = type(event).__name__
        if name == "CaptionReady":
            captions = captions.adding(event.caption)
        elif name == "KindUnavailable":
            lines.append(event.reason)
    out = Path(sys.argv[2]) / token
    made = []
    if captions:
        for event in pipeline.score(sources, captions, out):
            if type(event).__name__ == "RenditionReady":
                made.append(event.rendition.audio.name)
            elif type(event).__name__ == "RenditionFailed":
                lines.append(event.reason)
    told[token] = {"captions": [kind.value for kind in captions], "made": sorted(made), "lines": lines}
print(json.dumps(told))
"""


@slow
def test_a_comparison_is_two_calls_of_the_package(device_api: DeviceApi, small_video: Path, tmp_path: Path) -> None:
    """One for all captions, one for all soundtracks, each forked, with its length and the visitor's token."""
    told = on_zero_gpu(FORKED, device_api, tmp_path, str(small_video), str(tmp_path / "out"))

    assert told["visitor"] == {
        "captions": ["video", "music", "fusion", "msi"],
        "made": ["fusion.wav", "msi.wav", "music.wav", "video.wav"],
        "lines": [],
    }
    schedules = device_api.called("/schedule")
    assert [call["token"] for call in schedules[:2]] == ["visitor", "visitor"]
    assert all(int(call["durationSeconds"]) >= zerogpu.LEAST_S for call in schedules)
    assert len(device_api.called("/allow")) == 2, "each call has a process of its own"
    assert len({call["pid"] for call in device_api.called("/allow")}) == 2
    assert [call["fail"] for call in device_api.called("/release")] == ["false", "false"]
    assert len(schedules) == 2 + 4, "what was refused is not asked for again"

    asked_s = schedules[2]["durationSeconds"]
    assert set(told["used-up"]["lines"]) == {
        f"Your GPU time of today is used up ({asked_s} s are needed, 5 s left; it is free again in 2:00:00 hours). "
        + zerogpu.SKETCH
    }
    assert told["too-long"]["lines"][0].startswith(f"This wants {schedules[3]['durationSeconds']} s of GPU at once")
    assert told["busy"]["lines"][0].startswith("No GPU was free")
    assert told["waited"]["lines"][0].startswith("No GPU was free")


SERVED = """
import json, sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("not here", name=name)
sys.meta_path.insert(0, NoTorch())
import spaces; sys.meta_path[:] = [each for each in sys.meta_path if type(each).__name__ != "NoTorch"]
from dataclasses import replace
from gradio_client import Client, handle_file
from musiscene import zerogpu
from musiscene.settings import Settings
from musiscene.ui import launch_app

zerogpu.ZeroGpuPipeline.is_far = lambda self, spec: spec.name == "sketch"
app = launch_app(replace(Settings.from_env(), port=int(sys.argv[2]), api_per_hour=0), block=False)
visitor = Client(app.local_url, verbose=False, headers={"x-ip-token": "visitor"})
result = visitor.predict(handle_file(sys.argv[1]), ["music", "msi"], 2, api_name="/compare")
made = {"captions": sorted(result["captions"]), "music": sorted(each["kind"] for each in result["renditions"])}
made["words"] = visitor.predict("calm", 1, 0, api_name="/score")["backend"]
other = Client(app.local_url, verbose=False, headers={"x-ip-token": "used-up"})
made["refused"] = other.predict(handle_file(sys.argv[1]), ["music"], api_name="/describe")["unavailable"]
print(json.dumps(made))
app.close()
"""


@slow
def test_a_program_uses_its_own_quota(device_api: DeviceApi, small_video: Path, tmp_path: Path) -> None:
    """The token of the request reaches the platform from the threads that do the work, through the running page."""
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        port = probe_socket.getsockname()[1]
    told = on_zero_gpu(SERVED, device_api, tmp_path, str(small_video), str(port))
    assert (told["captions"], told["music"], told["words"]) == (["msi", "music"], ["msi", "music"], "sketch")
    # The page warms the sketch backends up in nobody's name.
    tokens = [call["token"] for call in device_api.called("/schedule") if "token" in call]
    assert tokens == ["visitor", "visitor", "visitor", "used-up"]
    assert "GPU time of today is used up" in told["refused"]["music"]
    assert len(device_api.called("/startup-report")) == 1


PLACED = """
import json, sys, threading
import torch                                    # a build without CUDA lacks what the package looks for
torch.version.cuda = "12.8"
torch._C._cuda_init = lambda: None
torch.cuda._exchange_device = lambda device: device
torch.cuda._is_in_bad_fork = bool
import spaces; sys.meta_path[:] = [each for each in sys.meta_path if type(each).__name__ != "NoTorch"]
from spaces.zero.torch import patching
from pathlib import Path
from musiscene.networks.mu_llama.tiny import write_tiny
from musiscene.networks.musicgen.random_model import random_musicgen, save_with_tokenizer
from musiscene.registry import Pool
from musiscene.settings import Settings
from musiscene.zerogpu import ZeroGpuPipeline

folder = Path(sys.argv[1])
options = {
    "mu-llama": {**write_tiny(folder / "mu"), "weights_dir": folder / "none", "cache_dir": folder / "heard"},
    "musicgen": {"model": save_with_tokenizer(random_musicgen("tiny"), folder / "musicgen")},
}
pipeline = ZeroGpuPipeline(Settings.from_env(), Pool(options))
pipeline.place()
loaded = list(pipeline._inner.pool._loaded.values())
names = sorted(type(each).__name__ for each in loaded)
music = next(each for each in loaded if type(each).__name__ == "MusicgenGenerator")
words = next(each for each in loaded if type(each).__name__ == "MuLlamaCaptioner")
held = patching._total_unpacked_size()
packed = patching.pack()
print(json.dumps({
    "names": names, "music": str(music.decoder.device), "codec": str(next(music.codec.parameters()).device),
    "words": words.loaded.device, "precision": words.loaded.precision, "held": held, "packed": packed,
    "inner": sorted(type(each).__name__ for each in pipeline.inner().pool._loaded.values()),
    "compiled": "torch._dynamo.eval_frame" in sys.modules and bool(torch._dynamo.utils.compilation_time_metrics),
}))
"""


@slow
def test_networks_are_placed_before_the_page_is_served(device_api: DeviceApi, tmp_path: Path) -> None:
    """On the package's emulated CUDA, in half precision, nothing compiled; the package takes their weights over."""
    told = on_zero_gpu(PLACED, device_api, tmp_path, str(tmp_path))
    assert told["names"] == ["MuLlamaCaptioner", "MusicgenGenerator"]
    assert (told["music"], told["codec"], told["words"]) == ("cuda:0", "cuda:0", "cuda")
    assert told["precision"] == "bfloat16"
    assert told["packed"] == told["held"] > 10_000
    assert told["inner"] == told["names"]
    assert not told["compiled"]
