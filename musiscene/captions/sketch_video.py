"""The embedded video captioner: says what can be measured of a picture, without a model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from musiscene.errors import MissingStreamError
from musiscene.registry import BackendSpec
from musiscene.types import Caption, CaptionKind, CaptionRequest, Job


class SketchVideoCaptioner:
    """Describes shots, motion, light, colour, faces and look of a clip."""

    def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
        """Yield the video caption.

        Raises:
            MissingStreamError: There is no picture.
            UnreadableMediaError: No frame can be decoded.
            Stopped: `job` was stopped.
        """
        from musiscene.captions._video.analysis import analyse
        from musiscene.captions._video.words import caption_text

        if CaptionKind.VIDEO not in request.kinds:
            return
        if request.video is None or not request.video.has_video:
            raise MissingStreamError("There is no picture to describe: choose a video file.")
        began = time.perf_counter()
        picture = analyse(request.video, job)
        job.progress(1.0, "Described the picture")
        yield Caption(
            CaptionKind.VIDEO,
            caption_text(picture),
            SPEC.name,
            seconds=time.perf_counter() - began,
            evidence=picture.evidence(),
        )


def _load(options: Mapping[str, Any]) -> SketchVideoCaptioner:
    return SketchVideoCaptioner()


SPEC = BackendSpec(
    name="sketch",
    load=_load,
    summary="Measures shots, motion, light, colours, faces and look; no downloads.",
    produces=frozenset({CaptionKind.VIDEO}),
    needs_picture=True,
)
