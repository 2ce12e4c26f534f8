"""Requests and results as JSON documents, read with suspicion: whatever came over a network may be anything."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PureWindowsPath
from typing import Any

import numpy as np

from musiscene import errors
from musiscene.errors import BackendError, MusisceneError
from musiscene.types import Caption, CaptionKind, CaptionRequest, CaptionSet, Clip, ScoreRequest, Soundtrack, Waveform

LONGEST_TEXT = 20_000
LONGEST_MESSAGE = 2_000
MOST_CURVE = 200_000
MOST_REQUESTS = 64
MOST_CHANNELS = 8
HIGHEST_RATE = 192_000
LONGEST_S = 7200.0
MOST_MIDI_BYTES = 2 << 20

_ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, MusisceneError) and kind is not errors.Stopped
}


class DocumentError(Exception):
    """A document is not what it should be; the message names the field."""


# -- fields --------------------------------------------------------------------------------------------------------


def text_of(document: Mapping[str, Any], name: str, longest: int = LONGEST_TEXT) -> str:
    """A string."""
    value = document.get(name, "")
    if not isinstance(value, str) or len(value) > longest:
        raise DocumentError(f"{name} must be text of at most {longest} characters")
    return value


def number_of(document: Mapping[str, Any], name: str, low: float, high: float) -> float:
    """A finite number from `low` to `high`."""
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:  # NaN too
        raise DocumentError(f"{name} must be a number from {low:g} to {high:g}")
    return float(value)


def whole_of(document: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise DocumentError(f"{name} must be a whole number from {low} to {high}")
    return value


def table_of(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object; empty when absent."""
    value = document.get(name, {})
    if not isinstance(value, dict):
        raise DocumentError(f"{name} must be an object")
    return value


def list_of(document: Mapping[str, Any], name: str, most: int) -> list[Any]:
    """A list; empty when absent."""
    value = document.get(name, [])
    if not isinstance(value, list) or len(value) > most:
        raise DocumentError(f"{name} must be a list of at most {most}")
    return value


def kind_of(value: Any) -> CaptionKind:
    """A kind of caption."""
    try:
        return CaptionKind(value)
    except ValueError:
        raise DocumentError("there is no such kind of caption") from None


def _curve(document: Mapping[str, Any], name: str) -> tuple[float, ...]:
    values = list_of(document, name, MOST_CURVE)
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in values):
        raise DocumentError(f"{name} must be numbers")
    return tuple(float(value) for value in values)


# -- requests ------------------------------------------------------------------------------------------------------


class Files:
    """The clips of a request, each file once: they travel beside the document and are named by their number."""

    def __init__(self) -> None:
        self.clips: list[Clip] = []

    def number(self, clip: Clip | None) -> int | None:
        """The number that stands for `clip`."""
        if clip is None:
            return None
        for number, known in enumerate(self.clips):
            if known.path == clip.path:
                return number
        self.clips.append(clip)
        return len(self.clips) - 1

    def listed(self) -> list[dict[str, Any]]:
        """Names and sizes, in their order."""
        return [{"name": clip.path.name, "bytes": clip.path.stat().st_size} for clip in self.clips]


def safe_name(name: str) -> str:
    """A file's name without folders and strange characters, its suffix kept."""
    last = PureWindowsPath(name).name  # knows both kinds of slash
    plain = "".join(char if char.isprintable() and char not in '<>:"/\\|?*' else "_" for char in last)
    return plain.strip(". ")[-60:] or "clip"


def caption_document(caption: Caption) -> dict[str, Any]:
    """A caption."""
    return {"kind": caption.kind.value, **caption.as_dict(), "prompt": caption.prompt}


def read_caption(document: Any) -> Caption:
    """A caption.

    Raises:
        DocumentError: It is none.
    """
    if not isinstance(document, Mapping):
        raise DocumentError("a caption must be an object")
    return Caption(
        kind_of(document.get("kind")),
        text_of(document, "text"),
        text_of(document, "backend", 100),
        text_of(document, "prompt"),
        number_of(document, "seconds", 0, 1e6),
        table_of(document, "evidence"),
    )


def captions_wanted(request: CaptionRequest, kinds: Iterable[CaptionKind], files: Files) -> dict[str, Any]:
    """What a captioner is asked; `kinds` of it are still wanted."""
    return {
        "kinds": [kind.value for kind in CaptionKind if kind in set(kinds)],
        "video": files.number(request.video),
        "music": files.number(request.music),
        "captions": [caption_document(caption) for caption in request.captions.values()],
        "seed": request.seed,
        "prompts": {kind.value: prompt for kind, prompt in request.prompts.items()},
    }


def read_captions_wanted(document: Mapping[str, Any], clips: Sequence[Clip]) -> CaptionRequest:
    """What a captioner is asked.

    Raises:
        DocumentError: It cannot be understood.
    """
    prompts = table_of(document, "prompts")
    return CaptionRequest(
        kinds=frozenset(kind_of(kind) for kind in list_of(document, "kinds", len(CaptionKind))),
        video=_clip(document, "video", clips),
        music=_clip(document, "music", clips),
        captions=CaptionSet(read_caption(caption) for caption in list_of(document, "captions", len(CaptionKind))),
        seed=whole_of(document, "seed", -(2**63), 2**63 - 1),
        prompts={kind_of(kind): text_of(prompts, kind) for kind in prompts},
    )


def _clip(document: Mapping[str, Any], name: str, clips: Sequence[Clip]) -> Clip | None:
    if document.get(name) is None:
        return None
    return clips[whole_of(document, name, 0, len(clips) - 1)]


def music_wanted(requests: Sequence[ScoreRequest], files: Files) -> dict[str, Any]:
    """What a music generator is asked."""
    return {
        "requests": [
            {
                "caption": caption_document(request.caption),
                "duration_s": request.duration_s,
                "seed": request.seed,
                "cuts_s": list(request.cuts_s),
                "motion": list(request.motion),
                "overrides": dict(request.overrides),
                "melody": files.number(request.melody),
            }
            for request in requests
        ]
    }


def read_music_wanted(document: Mapping[str, Any], clips: Sequence[Clip]) -> list[ScoreRequest]:
    """What a music generator is asked.

    Raises:
        DocumentError: It cannot be understood.
    """
    wanted = list_of(document, "requests", MOST_REQUESTS)
    if not wanted or not all(isinstance(request, dict) for request in wanted):
        raise DocumentError("requests must be a list of objects")
    return [
        ScoreRequest(
            caption=read_caption(request.get("caption")),
            duration_s=number_of(request, "duration_s", 0.01, LONGEST_S),
            seed=whole_of(request, "seed", 0, 2**31 - 1),
            cuts_s=_curve(request, "cuts_s"),
            motion=_curve(request, "motion"),
            overrides=table_of(request, "overrides"),
            melody=_clip(request, "melody", clips),
        )
        for request in wanted
    ]


# -- results -------------------------------------------------------------------------------------------------------


def sound_bytes(waveform: Waveform) -> memoryview:
    """`(channels, samples)` as little-endian float32, channel after channel."""
    return np.ascontiguousarray(waveform, "<f4").data.cast("B")


def read_sound(payload: bytes | bytearray, channels: int) -> Waveform:
    """`(channels, samples)` float32.

    Raises:
        DocumentError: It is not of that shape, or not all of it are numbers.
    """
    if not payload or len(payload) % (4 * channels):
        raise DocumentError("the sound has another length than was said")
    waveform = np.frombuffer(payload, "<f4").reshape(channels, -1).astype(np.float32)
    if not np.isfinite(waveform).all():
        raise DocumentError("the sound is not all numbers")
    return waveform


def soundtrack_document(number: int, made: Soundtrack) -> dict[str, Any]:
    """A soundtrack without its sound, which follows in frames of its own."""
    return {
        "number": number,
        "channels": made.waveform.shape[0],
        "samples": made.waveform.shape[1],
        "sample_rate": made.sample_rate,
        "backend": made.backend,
        "seed": made.seed,
        "seconds": round(made.seconds, 3),
        "midi": None if made.midi is None else base64.b64encode(made.midi).decode(),
        "provenance": dict(made.provenance),
    }


def read_soundtrack(document: Mapping[str, Any], sound: bytes | bytearray, request: ScoreRequest) -> Soundtrack:
    """The soundtrack for `request`.

    Raises:
        DocumentError: It is not what was asked for.
    """
    channels, samples, rate = sound_shape(document)
    waveform = read_sound(sound, channels)
    if waveform.shape[1] != samples or samples != round(request.duration_s * rate):
        raise DocumentError("the sound has another length than was asked for")
    midi = document.get("midi")
    if midi is not None:
        try:
            midi = base64.b64decode(text_of(document, "midi", 2 * MOST_MIDI_BYTES), validate=True)
        except binascii.Error:
            raise DocumentError("midi must be base64") from None
    return Soundtrack(
        waveform=waveform,
        sample_rate=rate,
        caption=request.caption,
        backend=text_of(document, "backend", 100),
        seed=whole_of(document, "seed", 0, 2**31 - 1),
        midi=midi,
        seconds=number_of(document, "seconds", 0, 1e6),
        provenance=table_of(document, "provenance"),
    )


def sound_shape(document: Mapping[str, Any]) -> tuple[int, int, int]:
    """Channels, samples and sample rate of a soundtrack to come.

    Raises:
        DocumentError: They are out of bounds.
    """
    rate = whole_of(document, "sample_rate", 1000, HIGHEST_RATE)
    channels = whole_of(document, "channels", 1, MOST_CHANNELS)
    return channels, whole_of(document, "samples", 1, round(LONGEST_S * rate)), rate


def error_document(error: MusisceneError) -> dict[str, Any]:
    """An error whose message may be shown."""
    return {"type": type(error).__name__, "message": str(error)[:LONGEST_MESSAGE]}


def read_error(document: Mapping[str, Any]) -> MusisceneError:
    """The error; of its own kind where that can be made from a message."""
    message = text_of(document, "message", LONGEST_MESSAGE)
    kind = _ERRORS.get(text_of(document, "type", 100), BackendError)
    return kind(message)
