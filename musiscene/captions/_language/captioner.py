"""The captioner that asks a language model; what it is asked, and about which captions, are its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from musiscene.captions._language.asking import Waits
from musiscene.captions._language.model import LanguageModel
from musiscene.captions._language.source import DEFAULT_MODEL, KNOWN_MODELS, ModelSource, why_unavailable
from musiscene.captions._language.writing import write_caption
from musiscene.registry import BackendSpec
from musiscene.types import Caption, CaptionKind, CaptionRequest, Job


@dataclass(frozen=True, slots=True)
class LanguageTask:
    """What a language model writes.

    Attributes:
        backend: Name of the backend that it is.
        kind: Of the caption that comes of it.
        prompt: Task of the prompts' templates.
        made_from: Kinds of the captions that it reads.
        evidence: What is said beside the caption whatever it says.
    """

    backend: str
    kind: CaptionKind
    prompt: str
    made_from: tuple[CaptionKind, ...]
    evidence: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def spec(self, summary: str) -> BackendSpec:
        """The backend that does it."""
        return BackendSpec(
            name=self.backend,
            load=self.load,
            summary=summary,
            produces=frozenset({self.kind}),
            needs=frozenset(self.made_from),
            repo_id=DEFAULT_MODEL,
            revision=KNOWN_MODELS[DEFAULT_MODEL].revision,
            license=KNOWN_MODELS[DEFAULT_MODEL].license,
            vram_gb=9.0,
            missing_weights=why_unavailable,
        )

    def load(self, options: Mapping[str, Any]) -> LanguageCaptioner:
        """Load the model, or get ready to ask its server.

        Args:
            options: "source" is the installation's `ModelSource`; "waits", if given, how patient it is (`Waits`).
        """
        return LanguageCaptioner(self, ModelSource.of(options).get(), options.get("waits"))


@dataclass(frozen=True, slots=True)
class LanguageCaptioner:
    """Writes one kind of caption from others."""

    task: LanguageTask
    model: LanguageModel
    waits: Waits | None = None

    def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
        """Yield the caption.

        Raises:
            MissingCaptionError: One of the captions that it is made from does not exist.
            RequestError: The person's own prompt cannot be used.
            LanguageModelError: There is no usable answer; the message says why and what would help.
            Stopped: `job` was stopped.
        """
        yield write_caption(
            self.model,
            request,
            job,
            kind=self.task.kind,
            task=self.task.prompt,
            made_from=self.task.made_from,
            backend=self.task.backend,
            waits=self.waits,
            evidence=self.task.evidence,
        )
