"""The verbs as programs see them: names, types, words and examples, once, for the OpenAPI page and the MCP tools.

Types are those of JSON Schema (draft 2020-12).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from musiscene.types import CaptionKind, Limits, Mix
from musiscene.ui.verbs import LARGEST_INLINE_BYTES, LONGEST_TEXT

Schema: TypeAlias = Mapping[str, Any]

_KINDS = [kind.value for kind in CaptionKind]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a verb.

    Attributes:
        schema: Its type, bounds and default.
        about: One sentence.
        example: A value.
        required: Whether it has to be given.
    """

    schema: Schema
    about: str
    example: Any
    required: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that programs can ask for.

    Attributes:
        name: Of the endpoint and of the tool.
        title: A few words.
        about: What it does, in sentences.
        parameters: In the order of the endpoint.
        result: Properties of the document that comes last.
        example: Of that document, shortened.
        steps: Whether documents with `progress` come before the result.
        changes: Whether something is kept by it.
    """

    name: str
    title: str
    about: str
    parameters: Mapping[str, Parameter]
    result: Mapping[str, Schema]
    example: Mapping[str, Any] = field(default_factory=dict)
    steps: bool = True
    changes: bool = False

    def arguments(self, clip: Parameter | None = None) -> dict[str, Any]:
        """The schema of all arguments; `clip` takes the place of the endpoint's own."""
        chosen = {
            name: clip if name == "clip" and clip is not None else parameter
            for name, parameter in self.parameters.items()
        }
        return {
            "type": "object",
            "properties": {
                name: {**parameter.schema, "description": parameter.about, "examples": [parameter.example]}
                for name, parameter in chosen.items()
            },
            "required": [name for name, parameter in chosen.items() if parameter.required],
            "additionalProperties": False,
        }

    def answer(self) -> dict[str, Any]:
        """The schema of the result."""
        return {"type": "object", "properties": dict(self.result)}


_CAPTION: Schema = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "backend": {"type": "string", "description": "What wrote it."},
        "seconds": {"type": "number"},
        "evidence": {"type": "object", "description": "What was measured."},
    },
}
_CLIP = Parameter(
    {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "orig_name": {"type": "string"},
            "meta": {"type": "object", "properties": {"_type": {"const": "gradio.FileData"}}},
        },
        "required": ["path", "meta"],
    },
    "A video or a music track: the path that POST /gradio_api/upload returned.",
    {"path": "/tmp/gradio/3f…/clip.mp4", "meta": {"_type": "gradio.FileData"}},
    required=True,
)
TOOL_CLIP = Parameter(
    {"type": "string", "minLength": 1},
    "A video or a music track: the path that POST /gradio_api/upload returned; or its content as "
    f"data:video/mp4;base64,… (at most {LARGEST_INLINE_BYTES // 1024**2} MB); or the token of an earlier result.",
    "/tmp/gradio/3f…/clip.mp4",
    required=True,
)
"""How a tool is given a clip."""

_CHOSEN = Parameter(
    {"type": ["array", "null"], "items": {"enum": _KINDS}, "default": None},
    "Which captions: video (what is seen), music (what is heard), fusion (both, merged), msi (the scene that the sound "
    "alone evokes); all of them by default.",
    ["video", "msi"],
)
_SEED = Parameter(
    {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "default": 0},
    "The same request with it, the same music.",
    7,
)
_DESCRIBED: Mapping[str, Schema] = {
    "token": {"type": "string", "description": "Of this comparison; whoever has it has its files."},
    "profile": {"type": "string"},
    "clip": {"type": "object", "description": "Facts of the file: name, duration_s, width, height, fps …"},
    "captions": {"type": "object", "description": "Kind -> caption.", "additionalProperties": _CAPTION},
    "unavailable": {"type": "object", "description": "Kind -> why there is no such caption."},
}
_RENDITION: Schema = {
    "type": "object",
    "properties": {
        "kind": {"enum": _KINDS},
        "track": {"type": "string", "description": "Its id, for `rate`."},
        "prompt": {"type": "string", "description": "The caption that it was made from."},
        "video": {"type": ["string", "null"], "description": "Address of the clip with this soundtrack."},
        "audio": {"type": "string", "description": "Address of the soundtrack, WAV."},
        "midi": {"type": ["string", "null"], "description": "Address of its notes."},
        "seed": {"type": "integer"},
        "backend": {"type": "string"},
        "loudness_lufs": {"type": "number"},
        "duration_s": {"type": "number"},
    },
}
_WROTE = {
    "token": "q8mI…",
    "profile": "sketch",
    "captions": {"msi": {"text": "A calm evening by the water …", "backend": "sketch", "seconds": 0.4}},
    "unavailable": {},
}

VERBS: tuple[Verb, ...] = (
    Verb(
        "describe",
        "Describe a clip",
        "Write up to four captions of a video or a music track: what is seen, what is heard, both merged, and the "
        "scene that the sound evokes. Each says what it was made from.",
        MappingProxyType({"clip": _CLIP, "kinds": _CHOSEN}),
        MappingProxyType(_DESCRIBED),
        MappingProxyType(_WROTE),
    ),
    Verb(
        "score",
        "Make a soundtrack from words",
        "Compose and render music from a description: a mood, a scene, or plain musical terms such as tempo, key, "
        "metre and instruments. Returns the address of a WAV file, and of MIDI where the generator writes notes.",
        MappingProxyType(
            {
                "text": Parameter(
                    {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT},
                    "Words for the music, a mood, or a scene.",
                    "a calm waltz in D minor, starts quietly",
                    required=True,
                ),
                "duration_s": Parameter(
                    {"type": "number", "minimum": 1, "maximum": Limits().max_score_s, "default": 30.0},
                    "Length in seconds.",
                    12,
                ),
                "seed": _SEED,
            }
        ),
        MappingProxyType(
            {
                "text": {"type": "string"},
                "seed": {"type": "integer"},
                "backend": {"type": "string"},
                "duration_s": {"type": "number"},
                "loudness_lufs": {"type": ["number", "null"]},
                "audio": {"type": "string", "description": "Address of the WAV file."},
                "midi": {"type": ["string", "null"], "description": "Address of the notes."},
                "brief": {"type": "object", "description": "What was read from the words."},
            }
        ),
        MappingProxyType(
            {
                "text": "a calm waltz in D minor, starts quietly",
                "seed": 7,
                "backend": "sketch",
                "duration_s": 12.0,
                "loudness_lufs": -16.0,
                "audio": "musiscene/score/…/soundtrack.wav",
                "midi": "musiscene/score/…/soundtrack.mid",
            }
        ),
    ),
    Verb(
        "compare",
        "Compare soundtracks for a clip",
        "Write the captions of a clip, make a soundtrack from each caption, and put each on the clip, equally loud. "
        "Returns captions and addresses of the videos and sounds.",
        MappingProxyType(
            {
                "clip": _CLIP,
                "kinds": _CHOSEN,
                "duration_s": Parameter(
                    {"type": ["number", "null"], "minimum": 1, "maximum": Limits().max_score_s, "default": None},
                    "Length of the music in seconds; the clip's own by default.",
                    12,
                ),
                "seed": _SEED,
                "mix": Parameter(
                    {"enum": [mix.value for mix in Mix], "default": Mix.REPLACE.value},
                    "What becomes of the clip's own sound: replace, duck (the music steps back while it is there), or "
                    "blend.",
                    "duck",
                ),
            }
        ),
        MappingProxyType(
            {
                **_DESCRIBED,
                "renditions": {"type": "array", "items": _RENDITION},
                "failed": {"type": "object", "description": "Kind -> why there is no soundtrack from it."},
            }
        ),
        MappingProxyType(
            {
                **_WROTE,
                "renditions": [
                    {
                        "kind": "msi",
                        "track": "t1",
                        "video": "musiscene/media/q8mI…/t1.mp4",
                        "audio": "musiscene/media/q8mI…/t1.wav",
                        "loudness_lufs": -16.0,
                    }
                ],
                "failed": {},
            }
        ),
    ),
    Verb(
        "rate",
        "Rate a soundtrack",
        "Keep what a person thinks of one soundtrack of a comparison. A second rating by the same person replaces the "
        "first.",
        MappingProxyType(
            {
                "token": Parameter({"type": "string"}, "Of the comparison, as compare returned it.", "q8mI…", True),
                "track": Parameter({"type": "string"}, "The soundtrack's id, as compare returned it.", "t1", True),
                "score": Parameter(
                    {"type": "number", "minimum": 0, "maximum": 100}, "0 (bad) to 100 (excellent).", 80, True
                ),
                "person": Parameter(
                    {"type": "string", "pattern": "^[A-Za-z0-9-]{8,64}$"},
                    "A random name of 8 to 64 letters, digits and dashes; no real one.",
                    "my-random-name",
                    True,
                ),
                "comment": Parameter({"type": "string", "default": ""}, "A line in the person's own words.", "Fits."),
            }
        ),
        MappingProxyType({"token": {"type": "string"}, "track": {"type": "string"}, "score": {"type": "number"}}),
        MappingProxyType({"token": "q8mI…", "track": "t1", "score": 80.0}),
        steps=False,
        changes=True,
    ),
)
"""All there are."""
