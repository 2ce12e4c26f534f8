"""Music Scene Imagination by a language model: the scene that the music caption suggests.

It reads the music caption, it does not hear the music; the paper's scene model does.
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


class SceneFromMusic:
    """Imagines a scene for a music caption."""

    def __init__(self, model: LanguageModel, waits: Waits | None = None) -> None:
        self._model, self._waits = model, waits

    def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
        """Yield the scene.

        Raises:
            MissingCaptionError: The music caption does not exist.
            RequestError: The person's own prompt cannot be used.
            LanguageModelError: There is no usable answer; the message says why and what would help.
            Stopped: `job` was stopped.
        """
        yield write_caption(
            self._model,
            request,
            job,
            kind=CaptionKind.MSI,
            task="scene-from-music",
            made_from=(CaptionKind.MUSIC,),
            backend=SPEC.name,
            waits=self._waits,
            evidence={"imagined_from": "the music caption"},
        )


def load(options: Mapping[str, Any]) -> SceneFromMusic:
    """Load the model, or get ready to ask its server.

    Args:
        options: "source" is the installation's `ModelSource`; "waits", if given, how patient it is (`Waits`).
    """
    return SceneFromMusic(ModelSource.of(options).get(), options.get("waits"))


SPEC = BackendSpec(
    name="llm",
    load=load,
    summary="A language model imagines the scene that the music caption suggests.",
    produces=frozenset({CaptionKind.MSI}),
    needs=frozenset({CaptionKind.MUSIC}),
    repo_id=DEFAULT_MODEL,
    revision=KNOWN_MODELS[DEFAULT_MODEL].revision,
    license=KNOWN_MODELS[DEFAULT_MODEL].license,
    vram_gb=9.0,
    missing_weights=why_unavailable,
)
