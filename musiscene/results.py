"""What the verbs return, and the JSON layout of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from musiscene.types import CaptionKind, CaptionSet, Clip, Rendition


@dataclass(frozen=True, slots=True)
class Description:
    """A clip and its captions.

    Attributes:
        clip: What was described.
        track: The reference music, where one was given.
        captions: Those that could be made.
        unavailable: Kind -> why that caption could not be made.
        profile: Name of the profile.
    """

    clip: Clip
    captions: CaptionSet
    unavailable: Mapping[CaptionKind, str]
    profile: str
    track: Clip | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON layout of `musiscene caption --json`."""
        document: dict[str, Any] = {
            "clip": self.clip.as_dict(),
            "captions": {kind.value: caption.as_dict() for kind, caption in self.captions.items()},
            "unavailable": {kind.value: reason for kind, reason in self.unavailable.items()},
            "profile": self.profile,
        }
        if self.track is not None:
            document["track"] = self.track.as_dict()
        return document


@dataclass(frozen=True, slots=True)
class Comparison:
    """A description, and a soundtrack from each of its captions.

    Attributes:
        description: Clip and captions.
        renditions: In the order they were asked for: every kind of the first take, then of the next.
        failed: Kind -> why it has no soundtrack.
        folder: Where the files are.
    """

    description: Description
    renditions: tuple[Rendition, ...]
    folder: Path
    failed: Mapping[CaptionKind, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The JSON layout of `musiscene compare --json` and of `manifest.json`; paths are relative to the folder."""
        document = self.description.as_dict()
        first = {r.kind: r for r in reversed(self.renditions) if r.take == 1}
        document["renditions"] = {k.value: first[k].as_dict(self.folder) for k in CaptionKind if k in first}
        if any(rendition.take > 1 for rendition in self.renditions):
            document["takes"] = {
                kind.value: [r.as_dict(self.folder) for r in self.renditions if r.kind == kind]
                for kind in CaptionKind
                if kind in first
            }
        if self.failed:
            document["failed"] = {kind.value: reason for kind, reason in self.failed.items()}
        return document


@dataclass(frozen=True, slots=True)
class Score:
    """A soundtrack made from words alone.

    Attributes:
        text: The words.
        brief: What the generator read from them; JSON-ready.
        provenance: Everything that is known of how it was made, the model's licence included; JSON-ready.
    """

    text: str
    audio: Path
    midi: Path | None
    seed: int
    backend: str
    loudness_lufs: float
    true_peak_dbtp: float
    duration_s: float
    seconds: float
    brief: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The JSON layout of `musiscene score --json`."""
        return {
            "text": self.text,
            "audio": str(self.audio),
            "midi": None if self.midi is None else str(self.midi),
            "seed": self.seed,
            "backend": self.backend,
            "loudness_lufs": round(self.loudness_lufs, 2),
            "true_peak_dbtp": round(self.true_peak_dbtp, 2),
            "duration_s": round(self.duration_s, 3),
            "seconds": round(self.seconds, 3),
            "brief": dict(self.brief),
            "provenance": {name: value for name, value in self.provenance.items() if name != "brief"},
        }
