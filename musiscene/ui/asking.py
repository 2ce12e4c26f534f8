"""Questions about the music, put to a captioner that can answer them; each answer streams into its comparison."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from musiscene.errors import MusisceneError, Stopped, StorageError, explain
from musiscene.pipeline import Pipeline
from musiscene.registry import BackendSpec
from musiscene.types import Job
from musiscene.ui.availability import Availability
from musiscene.ui.comparison import Comparison
from musiscene.ui.comparison_file import save
from musiscene.ui.exchange import Exchange, State
from musiscene.ui.texts import PageError
from musiscene.ui.turnstile import Turnstile

_log = logging.getLogger(__name__)

TOLD_EVERY_S = 0.1
KEPT_AT_MOST = 50
"""Questions that one comparison remembers."""


@dataclass
class Asker:
    """Answers questions in the background, one at a time for each comparison."""

    pipeline: Pipeline
    turnstile: Turnstile
    availability: Availability

    def ask(self, comparison: Comparison, question: str, person: str) -> None:
        """Begin to answer `question`; the answer appears in `comparison.questions`.

        Raises:
            RequestError: It cannot be asked: empty, another one is being answered, no sound, nobody who answers.
        """
        question = " ".join(question.split())
        if not question:
            raise PageError("ask_empty")
        spec, lacks = self.availability.answerer()
        if spec is None or lacks:
            raise PageError("ask_missing", after=lacks)
        if comparison.sources.sound is None:
            raise PageError("ask_silent")
        if not comparison.revealed_to(person):
            raise PageError("ask_hidden")
        with comparison.changing():
            if any(exchange.busy for exchange in comparison.questions):
                raise PageError("ask_busy")
            same = sum(exchange.question == question for exchange in comparison.questions)
            exchange = Exchange(question, spec.name, seed=same)  # asked again, it is answered anew
            comparison.questions = [*comparison.questions[1 - KEPT_AT_MOST :], exchange]
            comparison.stop_asking = threading.Event()
        threading.Thread(
            target=copy_context().run,  # with the visitor's request, for whoever lends a GPU
            args=(self._answer, comparison, exchange, spec),
            name=f"musiscene-ask-{comparison.token[:4]}",
            daemon=True,
        ).start()

    def _answer(self, comparison: Comparison, exchange: Exchange, spec: BackendSpec) -> None:
        stop = comparison.stop_asking
        state: State = "done"
        error: MusisceneError | str = ""

        def waiting(ahead: int) -> None:
            with comparison.changing():
                exchange.ahead = ahead

        try:
            with self.turnstile.turn(stop, waiting):
                with comparison.changing():
                    exchange.state, exchange.ahead = "starting", 0
                captioner: Any = self.pipeline.pool.captioner(spec)
                sound = comparison.sources.sound
                _write(
                    comparison,
                    exchange,
                    captioner.ask(sound, exchange.question, seed=exchange.seed, job=Job(stop=stop)),
                )
        except Stopped:
            state = "stopped"
        except Exception as problem:  # noqa: BLE001 - whatever happens in this thread has to reach the page in words
            state, error = "failed", explain(problem, "answering the question")
        with comparison.changing():
            exchange.state, exchange.error = state, error
        try:
            save(comparison)
        except StorageError as problem:
            _log.warning("%s", problem)


def _write(comparison: Comparison, exchange: Exchange, pieces: Iterator[str]) -> None:
    """Take the answer over as it comes, told at most ten times a second."""
    text, told = "", 0.0
    for piece in pieces:
        text += piece
        now = time.monotonic()
        if now - told >= TOLD_EVERY_S:
            told = now
            with comparison.changing():
                exchange.state, exchange.answer = "writing", text
    with comparison.changing():
        exchange.answer = text
