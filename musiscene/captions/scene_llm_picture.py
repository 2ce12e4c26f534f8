"""A scene for a silent video: imagined from the picture by a language model, and marked as such.

Music Scene Imagination hears; without sound there is nothing to hear. This gives a silent clip a scene all the same,
for who asks for it by name; its evidence says that it comes from the picture.
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


class SceneFromPicture:
    """Imagines the scene that a video caption belongs to."""

    def __init__(self, model: LanguageModel, waits: Waits | None = None) -> None:
        self._model, self._waits = model, waits

    def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
        """Yield the scene, marked as imagined from the picture.

        Raises:
            MissingCaptionError: The video caption does not exist.
            RequestError: The person's own prompt cannot be used.
            LanguageModelError: There is no usable answer; the message says why and what would help.
            Stopped: `job` was stopped.
        """
        yield write_caption(
            self._model,
            request,
            job,
            kind=CaptionKind.MSI,
            task="scene-from-picture",
            made_from=(CaptionKind.VIDEO,),
            backend=SPEC.name,
            waits=self._waits,
            evidence={"imagined_from": "the picture", "heard": False},
        )


def load(options: Mapping[str, Any]) -> SceneFromPicture:
    """Load the model, or get ready to ask its server.

    Args:
        options: "source" is the installation's `ModelSource`; "waits", if given, how patient it is (`Waits`).
    """
    return SceneFromPicture(ModelSource.of(options).get(), options.get("waits"))


SPEC = BackendSpec(
    name="llm-picture",
    load=load,
    summary="A language model imagines a scene from the picture, for clips without sound.",
    produces=frozenset({CaptionKind.MSI}),
    needs=frozenset({CaptionKind.VIDEO}),
    repo_id=DEFAULT_MODEL,
    revision=KNOWN_MODELS[DEFAULT_MODEL].revision,
    license=KNOWN_MODELS[DEFAULT_MODEL].license,
    vram_gb=9.0,
    missing_weights=why_unavailable,
)
