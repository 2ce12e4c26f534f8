"""Questions about the music: who answers, how the answer arrives, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from musiscene.errors import BackendError, RequestError
from musiscene.registry import BackendSpec, Pool
from musiscene.types import CaptionKind, Clip, Job
from musiscene.ui.ask_view import ask_view
from musiscene.ui.choices import Choices
from musiscene.ui.comparison import Comparison
from musiscene.ui.comparison_file import open_folder
from musiscene.ui.desk import Desk
from musiscene.ui.texts import LANGUAGES

PERSON = "0123456789abcdef"


class Listener:
    """Answers in as many words as it is told to, and waits for leave before the last."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.asked: list[tuple[Clip, str, int]] = []
        self.problem: Exception | None = None

    def ask(self, clip: Clip, question: str, *, seed: int = 0, job: Job | None = None) -> Iterator[str]:
        """Yield an answer."""
        assert job is not None
        self.asked.append((clip, question, seed))
        yield "A piano"
        while not self.go_on.wait(0.01):
            job.check()
        if self.problem:
            raise self.problem
        yield " and a cello."


@pytest.fixture
def listener(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Listener:
    """A captioner that answers, installed in this desk alone."""
    made = Listener()
    kinds = frozenset({CaptionKind.MUSIC})
    spec = BackendSpec("listener", lambda options: made, "Answers.", produces=kinds, needs_sound=True, answers=True)
    monkeypatch.setattr(desk.availability, "answerer", lambda: (spec, ""))
    loaded = Pool.captioner
    # The pool is shared by all tests and would keep the first listener for the others.
    monkeypatch.setattr(Pool, "captioner", lambda pool, wanted: made if wanted is spec else loaded(pool, wanted))
    return made


def finished(desk: Desk, comparison: Comparison) -> Comparison:
    """Follow until nothing changes any more."""
    for _ in desk.follow(comparison, 0.01):
        pass
    return comparison


def shown(desk: Desk, comparison: Comparison, **options: Any) -> dict[str, Any]:
    """What the browser is told."""
    return ask_view(comparison, PERSON, desk.availability.answerer(), **options)


def test_an_answer_arrives_word_by_word_and_is_kept(desk: Desk, clip_path: Path, listener: Listener) -> None:
    """The first words are there before the last are written; the exchange is saved with the comparison."""
    comparison = desk.open_file(clip_path, "clip.mp4")
    desk.asker.ask(comparison, "  Which  instruments? ", PERSON)
    for _ in desk.follow(comparison, 0.01):
        if comparison.questions[0].answer:
            break
    (exchange,) = shown(desk, comparison)["exchanges"]
    assert (exchange["question"], exchange["answer"], exchange["busy"]) == ("Which instruments?", "A piano", True)

    listener.go_on.set()
    finished(desk, comparison)

    (exchange,) = shown(desk, comparison)["exchanges"]
    assert (exchange["answer"], exchange["busy"]) == ("A piano and a cello.", False)
    assert exchange["by"] == "listener, seed 0"
    again = open_folder(comparison.folder, desk.pipeline.probe)
    assert [each.answer for each in again.questions] == ["A piano and a cello."]


def test_the_same_question_asked_again_is_answered_anew(desk: Desk, clip_path: Path, listener: Listener) -> None:
    """Each time with another seed, so that a person can ask for a second opinion."""
    listener.go_on.set()
    comparison = desk.open_file(clip_path, "clip.mp4")
    for _ in range(2):
        desk.asker.ask(comparison, "And now?", PERSON)
        finished(desk, comparison)

    assert [seed for _, _, seed in listener.asked] == [0, 1]


def test_an_answer_can_be_stopped_and_what_is_written_stays(desk: Desk, clip_path: Path, listener: Listener) -> None:
    """Stopping ends the answer, not the comparison; a second question waits for it."""
    comparison = desk.open_file(clip_path, "clip.mp4")
    desk.asker.ask(comparison, "Which instruments?", PERSON)
    for _ in desk.follow(comparison, 0.01):
        if comparison.questions[0].answer:
            break
    with pytest.raises(RequestError, match="One question at a time"):
        desk.asker.ask(comparison, "And the tempo?", PERSON)

    comparison.stop_asking.set()
    finished(desk, comparison)

    (exchange,) = shown(desk, comparison)["exchanges"]
    assert (exchange["answer"], exchange["status"]) == ("A piano", "Stopped here.")


def test_a_problem_stands_under_its_question(desk: Desk, clip_path: Path, listener: Listener) -> None:
    """The reason is told in the answer's place."""
    listener.problem = BackendError("The network fell silent. Ask again.")
    listener.go_on.set()
    comparison = desk.open_file(clip_path, "clip.mp4")
    desk.asker.ask(comparison, "Which instruments?", PERSON)
    finished(desk, comparison)

    assert shown(desk, comparison)["exchanges"][0]["error"] == "The network fell silent. Ask again."


def test_what_cannot_be_asked_is_refused_in_words(
    desk: Desk, clip_path: Path, silent_clip_path: Path, listener: Listener
) -> None:
    """No question, no sound, a blind comparison: each has its sentence, in the reader's language."""
    comparison = desk.open_file(clip_path, "clip.mp4")
    with pytest.raises(RequestError, match="Ask something"):
        desk.asker.ask(comparison, "  ", PERSON)
    with pytest.raises(RequestError, match="no sound"):
        desk.asker.ask(desk.open_file(silent_clip_path, "silent.mp4"), "What?", PERSON)
    comparison.blind = True
    with pytest.raises(RequestError, match="all are rated"):
        desk.asker.ask(comparison, "What?", PERSON)

    view = shown(desk, comparison, texts=LANGUAGES["es"])
    assert not view["open"] and view["why"].startswith("Las respuestas")


def test_without_a_listener_the_next_step_is_told(desk: Desk, clip_path: Path) -> None:
    """The panel is not offered; what is lacking and how to get it is."""
    comparison = desk.open_file(clip_path, "clip.mp4")

    view = shown(desk, comparison)

    assert not view["ready"]
    assert "musiscene weights" in view["lacks"] or "pip install" in view["lacks"]
    with pytest.raises(RequestError, match="Nothing on this machine"):
        desk.asker.ask(comparison, "What?", PERSON)


def test_a_scene_from_the_picture_leaves_the_rest_alone(desk: Desk, silent_clip_path: Path) -> None:
    """On a silent clip its card offers it, or says what is lacking; asking without a model is refused in words."""
    from musiscene.ui.caption_view import captions_view

    comparison = desk.start(
        desk.open_file(silent_clip_path, "silent.mp4"), Choices(profile="sketch"), describe=True, score=False
    )
    finished(desk, comparison)

    offered = captions_view(comparison, PERSON, painter=desk.availability.scene_painter())["cards"]["msi"]["imagine"]
    assert offered["by"] == "llm-picture" and not offered["ready"] and offered["lacks"]
    with pytest.raises(RequestError, match="none is set up here"):
        desk.imagine(comparison)
    assert CaptionKind.VIDEO in comparison.captions
