"""Fusion by a language model: the video and the music caption merged into one, as in the paper (section 3).

Which model is asked is a setting of the installation (docs/language-models.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from musiscene.captions._language.asking import Waits
from musiscene.captions._language.model import LanguageModel
from musiscene.captions._language.source import DEFAULT_MODEL, KNOWN_MODELS, ModelSource, why_unavailable
from musiscene.captions._language.writing import write_caption
from musiscene.registry import BackendSpec
from musiscene.types import Caption, CaptionKind, CaptionRequest, Job


class LanguageFusion:
    """Merges two captions."""

    def __init__(self, model: LanguageModel, waits: Waits | None = None) -> None:
        self._model, self._waits = model, waits

    def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
        """Yield the fusion caption.

        Raises:
            MissingCaptionError: The video or the music caption does not exist.
            RequestError: The person's own prompt cannot be used.
            LanguageModelError: There is no usable answer; the message says why and what would help.
            Stopped: `job` was stopped.
        """
        yield write_caption(
            self._model,
            request,
            job,
            kind=CaptionKind.FUSION,
            task="fusion",
            made_from=(CaptionKind.VIDEO, CaptionKind.MUSIC),
            backend=SPEC.name,
            waits=self._waits,
        )


def load(options: Mapping[str, Any]) -> LanguageFusion:
    """Load the model, or get ready to ask its server.

    Args:
        options: "source" is the installation's `ModelSource`; "waits", if given, how patient it is (`Waits`).
    """
    return LanguageFusion(ModelSource.of(options).get(), options.get("waits"))


SPEC = BackendSpec(
    name="llm",
    load=load,
    summary="A language model merges the video and the music caption, as in the paper.",
    produces=frozenset({CaptionKind.FUSION}),
    needs=frozenset({CaptionKind.VIDEO, CaptionKind.MUSIC}),
    repo_id=DEFAULT_MODEL,
    revision=KNOWN_MODELS[DEFAULT_MODEL].revision,
    license=KNOWN_MODELS[DEFAULT_MODEL].license,
    vram_gb=9.0,
    missing_weights=why_unavailable,
)
