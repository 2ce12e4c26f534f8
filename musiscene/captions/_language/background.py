"""A language model's answer is followed while it is written, and given up when it takes too long."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TypeAlias

from musiscene import following
from musiscene.captions._language.model import Delta, LanguageModelError
from musiscene.types import Job

Produce: TypeAlias = following.Produce[Delta]


def follow(produce: Produce, job: Job, silence_s: float = math.inf, longest_s: float = math.inf) -> Iterator[Delta]:
    """Yield what `produce` hands on in its thread.

    It is left when `job` is stopped, when nothing comes for `silence_s`, or when there is no end after `longest_s`:
    signs of life alone are no answer.

    Raises:
        LanguageModelError: It took too long, or `produce` raised it.
        Stopped: `job` was stopped.
    """
    began = time.monotonic()

    def check() -> None:
        job.check()
        if time.monotonic() - began > longest_s:
            raise LanguageModelError(
                f"The language model has come to no end in {longest_s:g} seconds. Try again later, or choose a smaller "
                "model."
            )

    def silent(seconds: float) -> None:
        if seconds > silence_s:
            raise LanguageModelError(
                f"The language model has not answered for {silence_s:g} seconds. Try again later, choose a smaller "
                "model, or raise MUSISCENE_LLM_TIMEOUT_S."
            )

    return following.follow(produce, "musiscene-language-model", check, silent)
