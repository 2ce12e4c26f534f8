"""What a page does when the other machine is absent, busy, slow, lost or strange. The other machine is acted here."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from musiscene.errors import BackendError, BackendUnavailableError, ConfigError, MediaLimitError, RequestError, Stopped
from musiscene.machine import examine
from musiscene.media import probe
from musiscene.pipeline import Pipeline
from musiscene.registry import find_captioner, find_generator
from musiscene.remote import calls, catalogue, documents
from musiscene.remote.frames import CONTENT_TYPE, FrameReader, frame
from musiscene.serve_ray import catalogue as catalogue_of
from musiscene.serving.config import Served, Serving
from musiscene.settings import Settings
from musiscene.types import Caption, CaptionKind, CaptionRequest, Job, ScoreRequest, Soundtrack

RATE = 8000
WORDS = Caption(CaptionKind.FUSION, "calm piano", "test")


class Actor:
    """Plays the other machine: `acts` says what it does with each request, in turn; the last one stays."""

    def __init__(self, *, upload_mb: int = 5) -> None:
        served = (Served("soundtracks", "musicgen"), Served("soundtracks", "sketch"), Served("captions", "mu-llama"))
        self.catalogue: dict[str, Any] = catalogue_of(
            Serving(name="the gpu room", backends=served, max_upload_mb=upload_mb)
        )
        self.acts: list[Callable[[Any, dict[str, Any]], None]] = [make_music]
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        actor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                actor.keys.append(self.headers.get("Authorization", ""))
                body = json.dumps(actor.catalogue).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                document, _ = next(FrameReader().push(body))
                act = actor.acts[min(len(actor.asked), len(actor.acts) - 1)]
                actor.asked.append(document)
                act(self, document)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def begin(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", CONTENT_TYPE)
    handler.end_headers()


def tell(handler: Any, event: str, payload: bytes = b"", **rest: Any) -> None:
    handler.wfile.write(frame({"event": event, **rest}, payload))


def soundtrack(handler: Any, number: int, request: dict[str, Any], **changed: Any) -> None:
    samples = round(request["duration_s"] * RATE)
    made = Soundtrack(np.full((1, samples), 0.1 * (1 + request["seed"]), np.float32), RATE, WORDS, "musicgen", 0)
    tell(handler, "soundtrack", **{**documents.soundtrack_document(number, made), **changed})
    tell(handler, "sound", bytes(documents.sound_bytes(made.waveform)))


def make_music(handler: Any, document: dict[str, Any]) -> None:
    """All that was asked for."""
    begin(handler)
    tell(handler, "progress", fraction=0.5, note="half")
    for number, request in enumerate(document["requests"]):
        soundtrack(handler, number, request)
    tell(handler, "end")


def make_one_and_die(handler: Any, document: dict[str, Any]) -> None:
    """The first is finished; of the second a beginning was heard."""
    begin(handler)
    soundtrack(handler, 0, document["requests"][0])
    piece = bytes(documents.sound_bytes(np.ones((1, 100), np.float32)))
    tell(handler, "heard", piece, number=1, channels=1, sample_rate=RATE)


def refuse(status: int) -> Callable[[Any, dict[str, Any]], None]:
    def act(handler: Any, document: dict[str, Any]) -> None:
        handler.send_response(status)
        handler.end_headers()
        handler.wfile.write(b"so it is")

    return act


def say(event: str, **rest: Any) -> Callable[[Any, dict[str, Any]], None]:
    def act(handler: Any, document: dict[str, Any]) -> None:
        begin(handler)
        tell(handler, event, **rest)

    return act


@pytest.fixture
def actor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Actor]:
    """The other machine; a second try comes at once."""
    monkeypatch.setattr(calls, "RETRY_AFTER_S", 0.01)
    acting = Actor()
    yield acting
    acting.close()


def page(url: str, folder: Path, **settings: Any) -> Pipeline:
    """The stages of a page that has another machine."""
    return Pipeline(Settings(data_dir=folder, work_dir=folder, backend_url=url, **settings))


def asked(*durations: float) -> list[ScoreRequest]:
    return [ScoreRequest(WORDS, duration, seed) for seed, duration in enumerate(durations)]


def music(pipeline: Pipeline, requests: list[ScoreRequest], job: Job | None = None, name: str = "musicgen") -> Any:
    return list(pipeline.pool.generator(find_generator(name)).generate(requests, job or Job()))


def test_what_the_other_machine_has_can_be_used_here(actor: Actor, tmp_path: Path) -> None:
    """Without weights here; results say where they came from, progress is told, the key is shown."""
    pipeline = page(actor.url, tmp_path, backend_key="secret")
    notes: list[str] = []
    made = music(pipeline, asked(1.0, 0.5), Job(report=lambda fraction, note: notes.append(note)))

    assert [track.waveform.shape for track in made] == [(1, 8000), (1, 4000)]
    np.testing.assert_allclose(made[1].waveform, 0.2)
    assert made[0].provenance["made_on"].startswith("the gpu room (MusiScene ")
    assert "half" in notes and "Bearer secret" in actor.keys
    assert pipeline.pool.why_unavailable(find_generator("musicgen")) is None
    assert pipeline.pool.why_unavailable(find_captioner(CaptionKind.VIDEO, "swinbert")) is not None
    checks = {check.name: check for check in examine(pipeline.settings).checks}
    assert checks["Backend server"].ok and "musicgen" in checks["Backend server"].detail
    assert "secret" not in str(checks)


def test_the_paper_is_chosen_where_the_other_machine_has_its_networks(actor: Actor, tmp_path: Path) -> None:
    """By `auto`, with its reason, also where PyTorch is not installed."""
    names = [("captions", "swinbert"), ("captions", "mu-llama"), ("captions", "llm"), ("soundtracks", "musicgen")]
    actor.catalogue = catalogue_of(Serving(backends=tuple(Served(stage, name) for stage, name in names)))
    assert page(actor.url, tmp_path).profile.reason == "paper, because another machine has its networks"


def test_what_is_lost_in_the_middle_is_asked_for_once_more(actor: Actor, tmp_path: Path) -> None:
    """Only what is missing; what was heard is not told twice."""
    actor.acts = [make_one_and_die, make_one_and_die, make_music]
    heard: list[tuple[int, int]] = []
    job = Job(heard=lambda number, piece, rate: heard.append((number, piece.shape[1])))
    pipeline = page(actor.url, tmp_path)
    made = music(pipeline, asked(1.0, 0.5), job)

    assert [track.waveform.shape[1] for track in made] == [8000, 4000]
    assert [len(document["requests"]) for document in actor.asked] == [2, 1]
    assert heard == [(1, 100)]


@pytest.mark.parametrize("act", [say("lost"), say("alive"), refuse(500), make_one_and_die])
def test_lost_twice_is_a_sentence(actor: Actor, tmp_path: Path, act: Any) -> None:
    """With what still works; the sketch does it here."""
    actor.acts = [act]
    pipeline = page(actor.url, tmp_path)
    with pytest.raises(BackendUnavailableError, match=r"musicgen could not finish.*tried twice.*sketch profile"):
        music(pipeline, asked(1.0, 1.0, 1.0))
    assert len(actor.asked) == 2
    actor.acts = [say("lost")]
    (sketched,) = music(pipeline, asked(1.0), name="sketch")
    assert "made_on" not in sketched.provenance


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (say("busy"), "busy.*Try again in a minute, or choose the sketch"),
        (refuse(503), "busy"),
        (refuse(401), "MUSISCENE_BACKEND_KEY"),
        (say("late", limit_s=5), "within the 5 s"),
        (say("error", type="RequestError", message="Music can be so long."), "^Music can be so long.$"),
        (say("error", type="SystemExit", message="no class of ours"), "no class of ours"),
        (say("progress", fraction="half", note=""), "does not understand"),
        (lambda h, d: (begin(h), soundtrack(h, 0, {"duration_s": 0.2, "seed": 0})), "does not understand"),
        (lambda h, d: (begin(h), soundtrack(h, 0, d["requests"][0], samples=2**40)), "does not understand"),
        (lambda h, d: (begin(h), tell(h, "sound", b"1234")), "does not understand"),
        (lambda h, d: (begin(h), tell(h, "end")), "does not understand"),
    ],
)
def test_other_answers_are_no_reason_to_try_again(actor: Actor, tmp_path: Path, act: Any, words: str) -> None:
    """Refusals and nonsense are told at once, in a sentence."""
    actor.acts = [act]
    with pytest.raises((BackendError, RequestError), match=words):
        music(page(actor.url, tmp_path), asked(1.0))
    assert len(actor.asked) == 1


def test_sound_that_is_not_all_numbers_is_refused(actor: Actor, tmp_path: Path) -> None:
    """NaN would go on into the mix."""

    def act(handler: Any, document: dict[str, Any]) -> None:
        begin(handler)
        made = Soundtrack(np.full((1, RATE), np.nan, np.float32), RATE, WORDS, "musicgen", 0)
        tell(handler, "soundtrack", **documents.soundtrack_document(0, made))
        tell(handler, "sound", bytes(documents.sound_bytes(made.waveform)))

    actor.acts = [act]
    with pytest.raises(BackendError, match="not all numbers"):
        music(page(actor.url, tmp_path), asked(1.0))


@pytest.mark.slow(seconds=2)
def test_silence_is_taken_for_loss(actor: Actor, tmp_path: Path) -> None:
    """After the time of the settings; signs of life are none."""

    def living(handler: Any, document: dict[str, Any]) -> None:
        begin(handler)
        for _ in range(6):
            tell(handler, "alive")
            time.sleep(0.1)
        soundtrack(handler, 0, document["requests"][0])
        tell(handler, "end")

    actor.acts = [living]
    pipeline = page(actor.url, tmp_path, backend_timeout_s=0.4)
    assert len(music(pipeline, asked(1.0))) == 1
    actor.acts = [lambda handler, document: (begin(handler), handler.wfile.flush(), time.sleep(2))]
    with pytest.raises(BackendUnavailableError, match=r"silent for 0\.4 s"):
        music(pipeline, asked(1.0))


def test_stop_leaves_at_once_and_hangs_up(actor: Actor, tmp_path: Path) -> None:
    """The other machine sees the connection close, which is how it learns of it."""
    closed = threading.Event()

    def working(handler: Any, document: dict[str, Any]) -> None:
        begin(handler)
        try:
            while True:
                tell(handler, "progress", fraction=0.1, note="at work")
                time.sleep(0.02)
        except OSError:
            closed.set()

    actor.acts = [working]
    stop = threading.Event()
    with pytest.raises(Stopped):
        music(page(actor.url, tmp_path), asked(1.0), Job(report=lambda *_: stop.set(), stop=stop))
    assert closed.wait(5)


def test_captions_travel_with_their_clips(actor: Actor, tmp_path: Path, small_track: Path) -> None:
    """The file goes along once; after a loss only the missing caption is asked for."""
    caption = {"text": "A tune.", "backend": "mu-llama", "prompt": "", "seconds": 1.0, "evidence": {"seed": 3}}
    actor.acts = [say("caption", kind="music", **caption), say("caption", kind="msi", **caption)]
    spec = find_captioner(CaptionKind.MUSIC, "mu-llama")
    clip = probe(small_track)
    request = CaptionRequest(spec.produces, clip, clip, seed=3)
    pipeline = page(actor.url, tmp_path)
    described = pipeline.pool.captioner(spec).describe(request, Job())
    captions = [next(described), next(described)]

    assert [each.kind for each in captions] == [CaptionKind.MUSIC, CaptionKind.MSI]
    assert captions[0].evidence["made_on"].startswith("the gpu room") and captions[0].evidence["seed"] == 3
    assert [document["kinds"] for document in actor.asked] == [["music", "msi"], ["msi"]]
    assert actor.asked[0]["files"] == [{"name": clip.path.name, "bytes": clip.size_bytes}]
    assert actor.asked[0]["video"] == actor.asked[0]["music"] == 0


def test_questions_are_answered_piece_by_piece(actor: Actor, tmp_path: Path, small_track: Path) -> None:
    """After a loss the answer goes on where it was."""

    def answering(*words: str) -> Any:
        def act(handler: Any, document: dict[str, Any]) -> None:
            say("begin")(handler, document)
            for word in words:
                tell(handler, "piece", text=word)
            if len(words) == 3:
                tell(handler, "end")

        return act

    actor.acts = [answering("A ", "slow "), answering("A ", "slow ", "waltz.")]
    captioner: Any = page(actor.url, tmp_path).pool.captioner(find_captioner(CaptionKind.MUSIC, "mu-llama"))
    assert list(captioner.ask(probe(small_track), "What is it?", seed=4)) == ["A ", "slow ", "waltz."]
    assert (actor.asked[0]["question"], actor.asked[0]["seed"]) == ("What is it?", 4)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\a.wav", "a.wav"),
        ("..", "clip"),
        ("a\0b\n.mp4", "a_b_.mp4"),
        ("🎵" * 200 + ".mp4", "🎵" * 56 + ".mp4"),
    ],
)
def test_a_files_name_leads_nowhere(sent: str, kept: str) -> None:
    """Folders and strange characters are cut off; its suffix stays."""
    assert documents.safe_name(sent) == kept


def test_files_that_are_too_large_do_not_leave(actor: Actor, tmp_path: Path, small_track: Path) -> None:
    """The other machine has said what it takes."""
    actor.catalogue["max_upload_bytes"] = 1_000_000
    clip = probe(small_track)
    spec = find_captioner(CaptionKind.MUSIC, "mu-llama")
    with pytest.raises(MediaLimitError, match="takes files of 1 MB, and these have 1 MB"):
        list(page(actor.url, tmp_path).pool.captioner(spec).describe(CaptionRequest(spec.produces, None, clip), Job()))
    assert not actor.asked


def test_an_absent_machine_leaves_the_sketch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would have had says so, with the next step; a look is not waited for again and again."""
    monkeypatch.setattr(catalogue, "LOOK_AGAIN_SOON_S", 60.0)
    pipeline = page("http://127.0.0.1:9", tmp_path)
    reason = pipeline.pool.why_unavailable(find_generator("musicgen"))
    assert reason is not None and reason.startswith("The machine at MUSISCENE_BACKEND_URL does not answer. MusicGen's")
    assert pipeline.profile.name == "sketch"
    assert len(music(pipeline, asked(1.0), name="sketch")) == 1
    checks = {check.name: check for check in examine(pipeline.settings).checks}
    assert checks["Backend server"].ok is False and checks["Backend server"].todo


def test_another_protocol_and_another_server_are_told(actor: Actor, tmp_path: Path) -> None:
    """Each with what to do."""
    actor.catalogue["protocol"] = 99
    assert "another version" in str(page(actor.url, tmp_path).pool.why_unavailable(find_generator("musicgen")))
    actor.catalogue = {"hello": "world"}
    assert "check the address" in str(page(actor.url, tmp_path).pool.why_unavailable(find_generator("musicgen")))


@pytest.mark.parametrize("url", ["gpu:8900", "ftp://gpu", "http://me:hush@gpu", "http://gpu:nonsense", "http://"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    """Without repeating what may be a secret in it."""
    with pytest.raises(ConfigError, match="MUSISCENE_BACKEND_URL") as caught:
        page(url, tmp_path)
    assert "hush" not in str(caught.value)
