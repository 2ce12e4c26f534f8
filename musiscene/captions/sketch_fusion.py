"""The embedded fusion captioner: one brief for a composer from what is seen and what is heard, without a model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from musiscene.errors import MissingCaptionError
from musiscene.registry import BackendSpec
from musiscene.types import Caption, CaptionKind, CaptionRequest, Job


class SketchFusionCaptioner:
    """Weighs the video caption against the music caption and says what it decided."""

    def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
        """Yield the fusion caption.

        Raises:
            MissingCaptionError: The video or the music caption does not exist.
            Stopped: `job` was stopped.
        """
        from musiscene.captions._fusion.brief import brief_evidence, brief_text, decide
        from musiscene.captions._fusion.facts import music_facts, picture_facts

        if CaptionKind.FUSION not in request.kinds:
            return
        missing = [kind for kind in (CaptionKind.VIDEO, CaptionKind.MUSIC) if kind not in request.captions]
        if missing:
            raise MissingCaptionError(
                f"Fusion merges a video and a music caption; there is no {' and no '.join(missing)} caption. "
                "Make or write it first."
            )
        began = time.perf_counter()
        job.check()
        picture = picture_facts(request.captions[CaptionKind.VIDEO])
        music = music_facts(request.captions[CaptionKind.MUSIC])
        brief = decide(picture, music)
        job.progress(1.0, "Merged picture and music")
        yield Caption(
            CaptionKind.FUSION,
            brief_text(brief, picture, music),
            SPEC.name,
            seconds=time.perf_counter() - began,
            evidence=brief_evidence(brief, picture, music),
        )


def _load(options: Mapping[str, Any]) -> SketchFusionCaptioner:
    return SketchFusionCaptioner()


SPEC = BackendSpec(
    name="sketch",
    load=_load,
    summary="Merges what is seen and heard into one brief, and says who decides where they disagree; no downloads.",
    produces=frozenset({CaptionKind.FUSION}),
    needs=frozenset({CaptionKind.VIDEO, CaptionKind.MUSIC}),
)
