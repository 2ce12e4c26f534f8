"""The values that travel through the pipeline: Clip -> Caption -> Soundtrack -> Rendition.

Conventions everywhere: audio is `(channels, samples)` float32, frames are `(frames, height, width, 3)` uint8 RGB,
`sample_rate` is in Hz, and names carry their unit (`duration_s`, `loudness_lufs`, `gain_db`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from musiscene.errors import ConfigError, Stopped

Waveform: TypeAlias = NDArray[np.float32]
"""Sound, shape `(channels, samples)`, float32, full scale at ±1."""

Images: TypeAlias = NDArray[np.uint8]
"""Frames, shape `(frames, height, width, 3)`, uint8 RGB, upright (rotation applied)."""

Evidence: TypeAlias = Mapping[str, Any]
"""What was measured, JSON-ready: numbers, strings, lists and dicts of them; names carry units."""


class CaptionKind(StrEnum):
    """The four captions of the paper (section 3)."""

    VIDEO = "video"
    """What is seen."""
    MUSIC = "music"
    """What is heard."""
    FUSION = "fusion"
    """Both, merged."""
    MSI = "msi"
    """Music Scene Imagination: the scene that the sound alone evokes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a media file may be. Larger ones are refused before they are decoded."""

    max_bytes: int = 2 * 1024**3
    max_duration_s: float = 2 * 3600.0
    max_pixels: int = 8192 * 4320
    """Width times height of one frame."""
    max_streams: int = 32
    max_score_s: float = 600.0
    """Longest soundtrack that is made."""

    def __post_init__(self) -> None:
        for limit in fields(self):
            if getattr(self, limit.name) <= 0:
                raise ConfigError(f"{limit.name} must be positive, got {getattr(self, limit.name)}.")


@dataclass(frozen=True, slots=True)
class Clip:
    """A media file whose facts are known (made by `musiscene.media.probe`).

    `width` and `height` are as stored, before `rotation`; `rotation` is the display matrix in degrees, in
    (-180, 180], counter-clockwise positive, as ffprobe reports it. A cover picture is not video.
    """

    path: Path
    duration_s: float
    has_video: bool
    has_audio: bool
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    rotation: int = 0
    sample_rate: int | None = None
    channels: int | None = None
    container: str = ""
    video_codec: str | None = None
    audio_codec: str | None = None
    pixel_format: str | None = None
    video_stream: int | None = None
    """Index of the chosen video stream in the container."""
    audio_stream: int | None = None
    """Index of the chosen audio stream in the container."""
    audio_silent: bool = False
    """There is an audio track, and nothing to hear in it: digital silence, or a converter's noise below -70 dBFS."""
    size_bytes: int = 0

    @property
    def display_size(self) -> tuple[int, int] | None:
        """Width and height as a viewer sees them, rotation applied; None without video."""
        if self.width is None or self.height is None:
            return None
        return (self.height, self.width) if self.rotation % 180 else (self.width, self.height)

    @property
    def has_sound(self) -> bool:
        """Whether there is something to hear: an audio track that is not digital silence."""
        return self.has_audio and not self.audio_silent

    def as_dict(self) -> dict[str, Any]:
        """The public facts, JSON-ready, in the layout that the command line documents."""
        display = self.display_size or (None, None)
        return {
            "path": str(self.path),
            "duration_s": round(self.duration_s, 3),
            "has_video": self.has_video,
            "has_audio": self.has_audio,
            "width": self.width,
            "height": self.height,
            "fps": None if self.fps is None else round(self.fps, 3),
            "rotation": self.rotation,
            "sample_rate": self.sample_rate,
            "channels": self.channels,
            "display_width": display[0],
            "display_height": display[1],
            "container": self.container,
            "video_codec": self.video_codec,
            "audio_codec": self.audio_codec,
            "audio_silent": self.audio_silent,
            "size_bytes": self.size_bytes,
        }


@dataclass(frozen=True, slots=True)
class Caption:
    """One caption with what it was made from.

    Attributes:
        kind: Which of the four it is.
        text: One or two sentences of English.
        backend: Name of the backend that wrote it, or "edited" when a person changed it.
        prompt: What a language model was asked; empty for measured captions.
        seconds: Time it took to make.
        evidence: What was measured; JSON-ready.
    """

    kind: CaptionKind
    text: str
    backend: str
    prompt: str = ""
    seconds: float = 0.0
    evidence: Evidence = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The documented JSON layout."""
        document: dict[str, Any] = {
            "text": self.text,
            "backend": self.backend,
            "seconds": round(self.seconds, 3),
            "evidence": dict(self.evidence),
        }
        if self.prompt:
            document["prompt"] = self.prompt
        return document


class CaptionSet(Mapping[CaptionKind, Caption]):
    """Immutable captions by kind, always in the order of `CaptionKind`."""

    __slots__ = ("_captions",)

    def __init__(self, captions: Iterable[Caption] = ()) -> None:
        by_kind = {caption.kind: caption for caption in captions}
        self._captions = MappingProxyType({kind: by_kind[kind] for kind in CaptionKind if kind in by_kind})

    def __getitem__(self, kind: CaptionKind) -> Caption:
        return self._captions[kind]

    def __iter__(self) -> Iterator[CaptionKind]:
        return iter(self._captions)

    def __len__(self) -> int:
        return len(self._captions)

    def __repr__(self) -> str:
        return f"CaptionSet({', '.join(self)})"

    def __reduce__(self) -> tuple[type[CaptionSet], tuple[tuple[Caption, ...]]]:
        return CaptionSet, (tuple(self.values()),)  # a read-only view of a dictionary cannot be pickled

    def adding(self, caption: Caption) -> CaptionSet:
        """A new set with `caption` added, or put in the place of the one of its kind."""
        return CaptionSet([*self.values(), caption])


class Mix(StrEnum):
    """What becomes of the clip's own sound."""

    REPLACE = "replace"
    """Only the soundtrack is heard."""
    DUCK = "duck"
    """Both are heard; the soundtrack steps back while the clip's own sound is there."""
    BLEND = "blend"
    """Both are heard, equally loud."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a stage is given to say how far it is and to notice that it was stopped.

    One job belongs to one person's request. `stop` may be set from any thread.

    Attributes:
        report: Told the fraction that is done, and a note.
        stop: Set to end the work.
        partial: Told the text of a caption as far as it is written; a later one replaces an earlier one.
        heard: Given the sound of a soundtrack while the rest is written: the number of its request, the next piece of
            its waveform, and the sample rate. Its level and its end are not final.
    """

    report: Callable[[float, str], None] = lambda fraction, note: None
    stop: threading.Event = field(default_factory=threading.Event)
    partial: Callable[[CaptionKind, str], None] = lambda kind, text: None
    heard: Callable[[int, Waveform, int], None] = lambda number, piece, sample_rate: None

    def progress(self, fraction: float, note: str = "") -> None:
        """Report that `fraction` (0 to 1) of this stage is done, and stop here if asked to.

        Raises:
            Stopped: The person stopped this work.
        """
        self.check()
        self.report(min(1.0, max(0.0, fraction)), note)

    def check(self) -> None:
        """Raise `Stopped` if this work was stopped. Call it at least every tenth of a second of computing."""
        if self.stop.is_set():
            raise Stopped


@dataclass(frozen=True, slots=True)
class CaptionRequest:
    """What a captioner is asked.

    Attributes:
        kinds: The captions wanted from this backend, a subset of what its spec produces.
        video: The clip whose picture is described; None when there is no picture.
        music: The clip whose sound is described (a reference track, else the video itself); None without sound.
        captions: What exists already; holds everything that the backend's spec `needs`.
        seed: The same request with the same seed gives the same text.
        prompts: Kind -> what a language model is to be asked, where a person chose or changed it.
    """

    kinds: frozenset[CaptionKind]
    video: Clip | None = None
    music: Clip | None = None
    captions: CaptionSet = field(default_factory=CaptionSet)
    seed: int = 0
    prompts: Mapping[CaptionKind, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What a music generator is asked.

    Attributes:
        caption: The words to make music from.
        duration_s: Exact length wanted, in seconds.
        seed: The same request with the same seed gives the same music.
        cuts_s: Times of the picture's cuts; strong beats should fall on them.
        motion: How much moves in the picture, evenly spaced over its whole length, 0 to 1; empty when unknown.
        overrides: Fields of a generator's own reading of the caption that a person edited; JSON-ready.
        melody: A clip whose tune the music is to follow, for a generator that can.
    """

    caption: Caption
    duration_s: float
    seed: int = 0
    cuts_s: tuple[float, ...] = ()
    motion: tuple[float, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    melody: Clip | None = None


@dataclass(frozen=True, slots=True)
class Soundtrack:
    """Music made from a caption.

    Attributes:
        waveform: `(channels, samples)` float32.
        sample_rate: In Hz.
        caption: What it was made from.
        backend: Name of the generator.
        seed: The seed that was used.
        loudness_lufs: Integrated loudness (ITU-R BS.1770-4); -inf for silence. Set by the loudness stage.
        true_peak_dbtp: True peak in dB relative to full scale. Set by the loudness stage.
        midi: A standard MIDI file, when the generator writes notes.
        seconds: Time it took to make.
        provenance: Model, revision, licence, the brief that was read from the caption …; JSON-ready.
    """

    waveform: Waveform
    sample_rate: int
    caption: Caption
    backend: str
    seed: int
    loudness_lufs: float = float("nan")
    true_peak_dbtp: float = float("nan")
    midi: bytes | None = None
    seconds: float = 0.0
    provenance: Evidence = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float(self.waveform.shape[-1] / self.sample_rate)


@dataclass(frozen=True, slots=True)
class Rendition:
    """A soundtrack on disk, on its clip where there is one.

    Attributes:
        kind: The caption it was made from.
        video: The clip with the soundtrack in place of, or mixed with, its own sound; None for a track alone.
        audio: The soundtrack as a WAV file.
        midi: The notes, where the generator writes them.
    """

    kind: CaptionKind
    caption: Caption
    backend: str
    seed: int
    loudness_lufs: float
    true_peak_dbtp: float
    duration_s: float
    seconds: float
    audio: Path
    video: Path | None = None
    midi: Path | None = None
    take: int = 1
    provenance: Evidence = field(default_factory=dict)

    def as_dict(self, relative_to: Path | None = None) -> dict[str, Any]:
        """The documented JSON layout; paths are relative to `relative_to` when it is given."""

        def shown(path: Path | None) -> str | None:
            if path is None:
                return None
            return path.relative_to(relative_to).as_posix() if relative_to else str(path)

        return {
            "video": shown(self.video),
            "audio": shown(self.audio),
            "midi": shown(self.midi),
            "seed": self.seed,
            "take": self.take,
            "backend": self.backend,
            "loudness_lufs": round(self.loudness_lufs, 2),
            "true_peak_dbtp": round(self.true_peak_dbtp, 2),
            "duration_s": round(self.duration_s, 3),
            "seconds": round(self.seconds, 3),
            "provenance": dict(self.provenance),
        }
