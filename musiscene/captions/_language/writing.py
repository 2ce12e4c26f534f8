"""From captions to a caption: the steps that every captioner with a language model shares."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from musiscene.captions._language.asking import Waits, ask
from musiscene.captions._language.brief import BRIEF_WORDS, music_brief, reading_limit
from musiscene.captions._language.model import LanguageModel, Sampling
from musiscene.captions._language.prompts import Template, edited, list_templates
from musiscene.errors import MissingCaptionError
from musiscene.types import Caption, CaptionKind, CaptionRequest, Job


def write_caption(
    model: LanguageModel,
    request: CaptionRequest,
    job: Job,
    *,
    kind: CaptionKind,
    task: str,
    made_from: tuple[CaptionKind, ...],
    backend: str,
    sampling: Sampling | None = None,
    waits: Waits | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> Caption:
    """A caption of `kind` from the captions `made_from`, with how it came about as evidence.

    The evidence holds the model, the prompt's name and version, the sampling, and for a caption longer than a music
    generator reads well `read_until` (index of a character) and `music_brief` (at most 60 words) with its author.

    Raises:
        MissingCaptionError: One of `made_from` does not exist.
        RequestError: The person's own prompt cannot be used.
        LanguageModelError: There is no usable answer.
        Stopped: `job` was stopped.
    """
    started = time.perf_counter()
    sampling = sampling or Sampling()
    values = {}
    for need in made_from:
        if need not in request.captions or not request.captions[need].text.strip():
            raise MissingCaptionError(
                f"The {kind} caption is made from the {need} caption, which is missing. Write that one first."
            )
        values[need.value] = request.captions[need].text
    template = choose_template(task, request.prompts.get(kind, ""), tuple(values))
    answer = ask(
        model,
        template,
        values,
        sampling=sampling,
        seed=request.seed,
        job=job,
        partial=lambda text: job.partial(kind, text),
        waits=waits,
    )
    found: dict[str, Any] = {**answer.provenance(), **(evidence or {}), "made_from": values}
    until = reading_limit(answer.text)
    if until is not None:
        job.progress(0.96, "the language model is writing the music brief")
        brief, author = music_brief(model, answer.text, sampling=sampling, seed=request.seed, job=job)
        found |= {"read_until": until, "music_brief": brief, "music_brief_by": author, "brief_words": BRIEF_WORDS}
    return Caption(kind, answer.text, backend, answer.prompt, time.perf_counter() - started, found)


def choose_template(task: str, wish: str, known: tuple[str, ...]) -> Template:
    """The template that a person wished for: a name, known words, or words of their own; the task's first without a
    wish.

    Raises:
        RequestError: Their own words cannot be used.
    """
    templates = list_templates(task)
    wish = wish.strip()
    if not wish:
        return templates[0]
    for template in templates:
        if wish in (template.name, template.text.strip()):
            return template
    return edited(task, wish, known)
