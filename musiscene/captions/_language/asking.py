"""Ask a language model until there is a usable answer: wait when it is busy, draw again when the answer is no good."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from musiscene.captions._language.cleaning import clean, whole_sentences
from musiscene.captions._language.guards import why_unusable
from musiscene.captions._language.model import Facts, LanguageModel, LanguageModelError, Question, Sampling
from musiscene.captions._language.prompts import Template
from musiscene.types import Job

MAX_ANSWER_CHARS = 20_000
"""An answer longer than this is no caption; the model is left."""
EXPECTED_WORDS = 128
"""Mean length of the published fusion captions; only progress is estimated from it."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How patient `ask` is.

    Attributes:
        tries: Questions at most, first one included.
        first_s: Wait before the second, in seconds; doubled each time.
        longest_s: Longest wait for one retry; a server that asks for more is left, with its wish in the message.
    """

    tries: int = 4
    first_s: float = 1.0
    longest_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A usable answer.

    Attributes:
        text: One clean paragraph.
        prompt: What was asked.
        template: With which words.
        facts: Of the model.
        sampling: How it was drawn.
        seed: Of the draw that was used.
        tries: Questions it took.
        cut: The model stopped at the bound on tokens; `text` ends with its last whole sentence.
    """

    text: str
    prompt: str
    template: Template
    facts: Facts
    sampling: Sampling
    seed: int
    tries: int
    cut: bool

    def provenance(self) -> dict[str, Any]:
        """How the answer came about, JSON-ready; no address, no key."""
        return {
            "language_model": self.facts.as_dict(),
            "prompt_name": self.template.name,
            "prompt_version": self.template.version,
            "sampling": self.sampling.as_dict(),
            "seed": self.seed,
            "tries": self.tries,
            **({"cut_at_max_tokens": True} if self.cut else {}),
        }


def ask(
    model: LanguageModel,
    template: Template,
    values: Mapping[str, str],
    *,
    sampling: Sampling | None = None,
    seed: int = 0,
    job: Job | None = None,
    partial: Callable[[str], None] | None = None,
    waits: Waits | None = None,
) -> Answer:
    """The model's answer to `template` filled with `values`, cleaned and checked.

    Args:
        model: Who is asked.
        template: The question.
        values: What its blanks are filled with.
        sampling: How the answer is drawn; as the published captions by default.
        seed: Of the first draw; an unusable answer is drawn again with another one.
        job: Told how far it is; may stop it.
        partial: Told the clean text so far, each time there is more.
        waits: How patient.

    Raises:
        LanguageModelError: There is no usable answer; the message says why and what would help.
        Stopped: `job` was stopped.
    """
    sampling, job, waits = sampling or Sampling(), job or Job(), waits or Waits()
    prompt = template.render(values)
    problem: LanguageModelError | None = None
    for attempt in range(waits.tries):
        if problem is not None:
            _wait(problem, attempt, waits, job)
        draw = (seed + attempt * 7919) % 2**31  # far from the seeds of further takes, which count up by one
        try:
            raw, finish = _listen(model, Question(prompt, sampling, draw), job, partial)
        except LanguageModelError as error:
            if not error.transient:
                raise
            problem = error
            continue
        cut = finish == "length"
        text = clean(raw, prompt)
        text = whole_sentences(text) if cut else text
        unusable = why_unusable(text, template, values.values())
        if unusable is None:
            return Answer(text, prompt, template, model.facts, sampling, draw, attempt + 1, cut)
        problem = LanguageModelError(
            f"The language model {unusable}. Try again, choose another model, or word the prompt differently.",
            transient=True,
            wait_s=0.0,
        )
        if sampling.temperature == 0:
            break  # the same words would come again
    assert problem is not None, "an attempt returns or leaves a problem"
    raise problem


def _listen(
    model: LanguageModel, question: Question, job: Job, partial: Callable[[str], None] | None
) -> tuple[str, str]:
    """The raw answer and why it ended."""
    text = shown = finish = ""
    for delta in model.stream(question, job):
        text += delta.text
        finish = delta.finish or finish
        words = text.count(" ")
        job.progress(0.95 * min(1.0, words / (words + EXPECTED_WORDS / 3)), "the language model is writing")
        if len(text) > MAX_ANSWER_CHARS:
            raise LanguageModelError(
                "The language model did not come to an end. Try again, or choose another model.", transient=True
            )
        if partial is not None and delta.text:
            now = clean(text, question.text)
            if now and now != shown:
                shown = now
                partial(now)
    if not finish:
        raise LanguageModelError(
            "The language model's answer broke off. Try again; if it happens often, its server or the connection "
            "to it is "
            "unreliable.",
            transient=True,
        )
    return text, finish


def _wait(problem: LanguageModelError, attempt: int, waits: Waits, job: Job) -> None:
    """Sleep before the next attempt: as long as the server asks, else ever longer. Too long a wish raises `problem`."""
    if problem.wait_s is not None:
        pause_s = problem.wait_s
    else:
        pause_s = waits.first_s * 2 ** (attempt - 1) * random.SystemRandom().uniform(0.8, 1.2)
    if pause_s > waits.longest_s and problem.wait_s is not None:
        raise problem
    end = time.monotonic() + min(pause_s, waits.longest_s)
    while (left := end - time.monotonic()) > 0:
        job.progress(0.0, f"the language model is busy; trying again in {max(1, round(left))} s")
        time.sleep(min(0.1, left))
    job.check()
