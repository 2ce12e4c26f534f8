"""The embedded listener: describes music from measurements, and imagines a scene for it, without a model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from musiscene.errors import MissingStreamError
from musiscene.registry import BackendSpec
from musiscene.types import Caption, CaptionKind, CaptionRequest, Job


class SketchMusicCaptioner:
    """Writes the MUSIC and the MSI caption from one analysis of the sound."""

    def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
        """Yield the captions of `request.kinds`; both share one analysis, whose time the first one carries.

        Sound that is not music is described as what it is. Of silence no scene can be imagined; of noise, speech and
        drones the MSI caption says that they are no music and which scene their mood would suit.

        Raises:
            MissingStreamError: There is no sound, or a scene is asked of silence.
            Stopped: `job` was stopped.
        """
        from musiscene.captions._music.analysis import evidence
        from musiscene.captions._music.imagination import imagine, msi_evidence, msi_sentences
        from musiscene.captions._music.listening import listen
        from musiscene.captions._music.words import music_sentences

        began = time.perf_counter()
        if request.music is None:
            raise MissingStreamError("There is no sound to describe: add a music track, or use a clip with sound.")
        found = listen(request.music, job)
        measured = evidence(found)
        if CaptionKind.MUSIC in request.kinds:
            text = music_sentences(found, request.seed)
            yield Caption(CaptionKind.MUSIC, text, SPEC.name, seconds=time.perf_counter() - began, evidence=measured)
            began = time.perf_counter()
        if CaptionKind.MSI in request.kinds:
            job.progress(0.95, "Imagining a scene")
            scenes = imagine(found, request.seed)
            shared = ("kind_of_sound", "tempo_bpm", "key", "mood", "arousal", "valence", "tension", "texture")
            yield Caption(
                CaptionKind.MSI,
                msi_sentences(found, scenes),
                SPEC.name,
                seconds=time.perf_counter() - began,
                evidence={**msi_evidence(found, scenes), **{name: measured[name] for name in shared}},
            )
        job.progress(1.0, "Described the sound")


def _load(options: Mapping[str, Any]) -> SketchMusicCaptioner:
    return SketchMusicCaptioner()


SPEC = BackendSpec(
    name="sketch",
    load=_load,
    summary="Measures tempo, key, level, texture and mood, and imagines a scene from our own bank; no downloads.",
    produces=frozenset({CaptionKind.MUSIC, CaptionKind.MSI}),
    needs_sound=True,
)
