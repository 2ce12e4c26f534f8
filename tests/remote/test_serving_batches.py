"""Requests of several people in one batch, and a backend that serves them, without Ray."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from musiscene.errors import RequestError
from musiscene.media import probe
from musiscene.registry import Pool, find_captioner, find_generator
from musiscene.remote import documents
from musiscene.remote.documents import Files
from musiscene.remote.frames import PROTOCOL, FrameReader
from musiscene.serving.batches import Batches, Results, Ticket, batch_job, run_together
from musiscene.serving.config import Served
from musiscene.serving.replica import Model
from musiscene.types import Caption, CaptionKind, CaptionRequest, Job, ScoreRequest

Told = list[tuple[str | None, Any]]
Frame = tuple[dict[str, Any], bytes]


def ticket(told: Told, asked: Any = "x", rows: int = 1, alike: Any = "same") -> Ticket:
    return Ticket(asked, rows, alike, lambda event, value: told.append((event, value)), "working")


def results(told: Told) -> list[Any]:
    return [value for event, value in told if event == "result"]


class Worker:
    """Notes the batches it is given; what is asked decides how it goes."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.go = threading.Event()

    def __call__(self, tickets: Sequence[Ticket]) -> None:
        run_together(tickets, self.together)

    def together(self, tickets: Sequence[Ticket]) -> Results:
        self.batches.append([each.asked for each in tickets])
        job = batch_job(tickets, lambda row: (tickets[row], 0))
        while not self.go.wait(0.01):
            job.check()
        for each in tickets:
            if each.asked == "wrong":
                raise RequestError("That cannot be made.")
            if each.asked == "defect":
                raise ValueError("a path: /secret")
            yield each, "result", each.asked


def wait_for_end(*lists: Told) -> None:
    end = time.monotonic() + 10
    while not all(told and told[-1] == (None, None) for told in lists) and time.monotonic() < end:
        time.sleep(0.01)


def test_those_who_come_together_are_one_batch() -> None:
    """As many as fit and are alike; the others are next, in their order."""
    worker = Worker()
    batches = Batches(worker, most=3, wait_s=0.3, at_once=1)
    told: list[Told] = [[] for _ in range(5)]
    for number, (rows, alike) in enumerate([(1, "a"), (1, "b"), (1, "a"), (2, "a"), (5, "c")]):
        batches.put(ticket(told[number], number, rows, alike))
    worker.go.set()
    wait_for_end(*told)
    assert worker.batches == [[0, 2], [1], [3], [4]]
    assert [results(each) for each in told] == [[0], [1], [2], [3], [4]]
    assert batches.healthy


def test_nobody_pays_for_anothers_mistake() -> None:
    """A batch that fails is done again, each alone; a defect is told under an id, without its words."""
    worker = Worker()
    worker.go.set()
    batches = Batches(worker, most=4, wait_s=0.3, at_once=1)
    told: list[Told] = [[], [], []]
    for each, asked in zip(told, ["fine", "wrong", "defect"], strict=True):
        batches.put(ticket(each, asked))
    wait_for_end(*told)
    assert worker.batches == [["fine", "wrong", "defect"], ["fine"], ["wrong"], ["defect"]]
    assert results(told[0]) == ["fine"]
    errors = [str(value) for each in told for event, value in each if event == "error"]
    assert errors[0] == "That cannot be made." and "in the log under" in errors[1] and "secret" not in errors[1]


def test_a_batch_ends_when_all_of_it_are_gone() -> None:
    """One who is gone stops nobody else; who is gone before the work begins is never worked for."""
    worker = Worker()
    batches = Batches(worker, most=2, wait_s=0.3, at_once=1)
    told: list[Told] = [[], [], []]
    first, second, third = (ticket(each, number) for number, each in enumerate(told))
    for each in (first, second, third):
        batches.put(each)
    while not worker.batches:
        time.sleep(0.01)
    third.stop.set()
    first.stop.set()
    time.sleep(0.1)
    assert not told[1]
    second.stop.set()
    wait_for_end(*told)
    assert worker.batches == [[0, 1]] and not any(results(each) for each in told)


async def asked_of(model: Model, what: str, document: dict[str, Any], files: Files) -> list[Frame]:
    """All that a model tells."""
    head = {**document, "protocol": PROTOCOL, "files": files.listed()}
    reader, frames = FrameReader(), []
    async for chunk in model.work(what, head, [clip.path.read_bytes() for clip in files.clips]):
        frames += list(reader.push(chunk))
    return frames


def music_of(model: Model, *requests: list[ScoreRequest]) -> list[list[Frame]]:
    async def all_at_once() -> Any:
        files = Files()
        return await asyncio.gather(
            *(asked_of(model, "soundtracks", documents.music_wanted(each, files), files) for each in requests)
        )

    return asyncio.run(all_at_once())


def score(text: str, seed: int, duration_s: float = 0.5) -> ScoreRequest:
    return ScoreRequest(Caption(CaptionKind.FUSION, text, "test"), duration_s, seed)


def sound_in(frames: list[Frame], number: int = 0) -> np.ndarray:
    heads = [document for document, _ in frames if document["event"] == "soundtrack"]
    samples = [np.frombuffer(payload, "<f4") for document, payload in frames if document["event"] == "sound"]
    return np.concatenate(samples).reshape(len(heads), -1)[number]


@pytest.mark.slow
def test_music_of_two_people_in_one_batch_is_what_each_gets_alone(tiny_musicgen: Path, one_torch_thread: None) -> None:
    """By a real MusicGen of tiny size: texts of different lengths, seeds of their own; what is heard early too."""
    options = {"model": str(tiny_musicgen), "precision": "float32"}
    model = Model(Served("soundtracks", "musicgen", batch=4, wait_s=0.5, options=options))
    first, second = [score("rain", 3)], [score("a storm at sea with thunder", 4), score("sun", 5)]
    together = music_of(model, first, second)
    facts = [document["provenance"] for document, _ in together[1] if document["event"] == "soundtrack"]

    assert [each["requests_in_batch"] for each in facts] == [2, 2]
    assert together[0][-1][0]["event"] == together[1][-1][0]["event"] == "end"
    assert any(document["event"] == "heard" for document, _ in together[0])
    generator = Pool({"musicgen": options}).generator(find_generator("musicgen"))
    for requests, frames in zip((first, second), together, strict=True):
        for number, request in enumerate(requests):
            (alone,) = generator.generate([request], Job())
            np.testing.assert_allclose(sound_in(frames, number), alone.waveform[0], atol=1e-5)


@pytest.mark.slow
def test_captions_of_two_people_in_one_batch_are_what_each_gets_alone(
    tiny_mu_llama: dict[str, Any], small_track: Path, small_video: Path, one_torch_thread: None
) -> None:
    """By a real MU-LLaMA of tiny size: each hears its own clip and has its own seed; a silent clip spoils nothing."""
    spec = find_captioner(CaptionKind.MUSIC, "mu-llama")
    captioner: Any = Pool({"mu-llama": tiny_mu_llama}).captioner(spec)
    both = [
        CaptionRequest(spec.produces, None, probe(small_track), seed=1),
        CaptionRequest(frozenset({CaptionKind.MUSIC}), None, probe(small_video), seed=2),
    ]
    alone = [{caption.kind: caption.text for caption in captioner.describe(each, Job())} for each in both]
    together: list[dict[CaptionKind, str]] = [{}, {}]
    for number, caption in captioner.describe_many(both, Job()):
        together[number][caption.kind] = caption.text
    assert together == alone and alone[0][CaptionKind.MUSIC] != alone[1][CaptionKind.MUSIC]

    async def all_at_once() -> Any:
        given = []
        for request in both:
            files = Files()
            given.append((documents.captions_wanted(request, request.kinds, files), files))
        given.append((documents.captions_wanted(CaptionRequest(spec.produces), spec.produces, Files()), Files()))
        return await asyncio.gather(*(asked_of(model, "captions", *each) for each in given))

    model = Model(Served("captions", "mu-llama", batch=4, wait_s=0.5, options=tiny_mu_llama))
    told = asyncio.run(all_at_once())
    for frames, texts in zip(told, alone, strict=False):
        captions = [document for document, _ in frames if document["event"] == "caption"]
        assert {CaptionKind(each["kind"]): each["text"] for each in captions} == texts
    assert [document["type"] for document, _ in told[2] if document["event"] == "error"] == ["MissingStreamError"]


@pytest.mark.slow
def test_a_question_is_answered_as_it_is_here(
    tiny_mu_llama: dict[str, Any], small_track: Path, one_torch_thread: None
) -> None:
    """Piece by piece, by a backend that answers; the others say that they do not."""
    spec = find_captioner(CaptionKind.MUSIC, "mu-llama")
    captioner: Any = Pool({"mu-llama": tiny_mu_llama}).captioner(spec)
    clip, files = probe(small_track), Files()
    document = {"question": "What is heard?", "seed": 2, "music": files.number(clip)}
    model = Model(Served("captions", "mu-llama", options=tiny_mu_llama))
    told = [each for each, _ in asyncio.run(asked_of(model, "questions", document, files))]
    pieces = [each["text"] for each in told if each["event"] == "piece"]
    assert "".join(pieces) == "".join(captioner.ask(clip, "What is heard?", seed=2, job=Job()))
    silent = asyncio.run(asked_of(Model(Served("captions", "sketch")), "questions", document, files))
    assert "does no questions" in silent[-1][0]["message"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"requests": []}, "requests must be"),
        ({"requests": [{"caption": {}}]}, "no such kind"),
        ({"files": [{"name": "x", "bytes": 3}]}, "files are missing"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(changed: dict[str, Any], words: str) -> None:
    """In words, before any work."""
    model = Model(Served("soundtracks", "sketch"))
    document = {**documents.music_wanted([score("calm", 1)], Files()), "files": [], **changed}

    async def ask() -> list[Frame]:
        reader = FrameReader()
        return [each async for chunk in model.work("soundtracks", document, []) for each in reader.push(chunk)]

    ((told, _),) = asyncio.run(ask())
    assert told["event"] == "error" and words in told["message"]
