"""What the pipeline tells while it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from musiscene.types import Caption, CaptionKind, Rendition, Waveform


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How far a stage is.

    Attributes:
        stage: "caption", "soundtrack" or "mux".
        kinds: What it is working on.
        fraction: 0 to 1.
        note: What it does just now, in a few words; may be empty.
        seconds_left: Estimated; None while there is nothing to estimate from.
    """

    stage: str
    kinds: frozenset[CaptionKind]
    fraction: float
    note: str = ""
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class CaptionPart:
    """The text of a caption as far as it is written; each replaces the one before."""

    kind: CaptionKind
    text: str


@dataclass(frozen=True, slots=True)
class CaptionReady:
    """A caption is finished."""

    caption: Caption


@dataclass(frozen=True, slots=True)
class KindUnavailable:
    """A caption cannot be made for this clip; `reason` says why and what would help."""

    kind: CaptionKind
    reason: str


@dataclass(frozen=True, slots=True)
class SoundPart:
    """The next piece of a soundtrack, while the rest of it is written; the level and the end are not final.

    Attributes:
        waveform: `(channels, samples)` float32.
        start_s: Where in the soundtrack it belongs.
    """

    kind: CaptionKind
    take: int
    start_s: float
    waveform: Waveform
    sample_rate: int


@dataclass(frozen=True, slots=True)
class RenditionReady:
    """A soundtrack is finished, on disk and, where there is a picture, on its clip."""

    rendition: Rendition


@dataclass(frozen=True, slots=True)
class RenditionFailed:
    """A soundtrack could not be made; `reason` says why and what would help."""

    kind: CaptionKind
    take: int
    reason: str


Event: TypeAlias = (
    StageProgress | CaptionPart | CaptionReady | KindUnavailable | SoundPart | RenditionReady | RenditionFailed
)
