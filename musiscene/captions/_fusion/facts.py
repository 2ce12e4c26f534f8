"""What a video caption and a music caption say, from their measurements or from their words alone.

A person's words outrank measurements: in an edited caption a number in the text is what is wanted, and the evidence
below it may be stale.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from musiscene.captions._fusion.affect import read_affect
from musiscene.types import Caption

_TEMPO = re.compile(r"(\d{2,3}(?:\.\d+)?)\s*(?:bpm\b|beats (?:per|a) minute)", re.IGNORECASE)
_KEY = re.compile(r"\b([A-G])(?:\s?(#|♯|♭|b\b|b(?=\s)|[Ss]harp|[Ff]lat))?[\s-]+([Mm]ajor|[Mm]inor)\b")
_MODE = re.compile(r"\b(major|minor)(?:\s|-)(?:key|mode|tonality|scale)\b", re.IGNORECASE)
_METERS = {"3": "3/4", "4": "4/4", "3/4": "3/4", "4/4": "4/4", "6/8": "6/8"}
"""Beats of a bar, as measured, or a written meter -> how it is written."""
_METER = re.compile(r"\b(2/4|3/4|4/4|5/4|6/8|7/8|9/8|12/8)\b")
_ACCIDENTAL = {"#": "#", "♯": "#", "sharp": "#", "♭": "b", "b": "b", "flat": "b"}
_TEMPO_WORDS = {
    "very slow": 54.0, "slow": 68.0, "mid-tempo": 100.0, "moderate": 100.0, "medium tempo": 100.0, "fast": 138.0,
    "very fast": 165.0, "upbeat": 122.0, "up-tempo": 130.0, "uptempo": 130.0,
}  # fmt: skip
INSTRUMENTS = (
    "piano", "guitar", "acoustic guitar", "electric guitar", "bass", "drums", "percussion", "strings", "violin",
    "cello", "viola", "harp", "flute", "clarinet", "oboe", "trumpet", "trombone", "horns", "brass", "saxophone",
    "organ", "synth", "synthesizer", "pads", "choir", "accordion", "banjo", "ukulele", "mandolin", "marimba",
    "vibraphone", "bells", "sitar",
)  # fmt: skip
STYLES = (
    "orchestral", "cinematic", "classical", "jazz", "blues", "rock", "metal", "pop", "folk", "country", "bluegrass",
    "funk", "soul", "reggae", "latin", "bossa nova", "salsa", "hip hop", "lo-fi", "electronic", "techno", "house",
    "trance", "synthwave", "ambient", "march", "waltz", "baroque", "trailer",
)  # fmt: skip
_OPENERS = frozenset(
    (
        "A",
        "An",
        "The",
        "In",
        "On",
        "At",
        "From",
        "There",
        "Some",
        "Many",
        "Several",
        "One",
        "Two",
        "Three",
        "It",
        "This",
    )
)
SURE = 0.35
"""A measured tempo or key with less confidence than this is not passed on as a number."""


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """The picture's side; None and empty where nothing is known."""

    source: str
    arousal: float | None = None
    valence: float | None = None
    said: str = ""
    """What is seen, in a person's or a model's words."""
    light: str = ""
    warmth: str = ""
    colours: tuple[str, ...] = ()
    motion_kind: str = ""
    motion_word: str = ""
    camera_sure: bool = True
    """Whether it could be told how the camera moves."""
    cuts: int = 0
    pace_cuts_per_min: float = 0.0
    faces: int = 0
    course: str = "even"
    curve: tuple[float, ...] = ()
    duration_s: float | None = None
    nothing: str = ""
    """Why the picture has no say: "black", "still" or empty."""
    wished: bool = False
    """A person wrote it: what they say is what they want."""


@dataclass(frozen=True, slots=True)
class MusicFacts:
    """The music's side; None and empty where nothing is known."""

    source: str
    tempo_bpm: float | None = None
    key: str = ""
    mode: str = ""
    meter: str = ""
    arousal: float | None = None
    valence: float | None = None
    words: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    texture: str = ""
    curve: tuple[float, ...] = ()
    nothing: str = ""
    """Why the sound has no say: "silence", "noise", "speech" or empty."""
    wished: bool = False
    """A person wrote it, and it says something of music."""


def picture_facts(caption: Caption) -> PictureFacts:
    """Facts of a video caption."""
    evidence = caption.evidence
    measured = "motion_kind" in evidence or "brightness" in evidence
    own_words = caption.backend == "edited" or not measured
    facts = PictureFacts("words")
    if measured:
        facts = _measured_picture(evidence)
    if own_words:
        affect = read_affect(caption.text)
        facts = replace(facts, source="words and measurements" if measured else "words", said=_clause(caption.text))
        if affect:
            facts = replace(facts, arousal=affect.arousal, valence=affect.valence)
        if facts.said:
            facts = replace(facts, nothing="", wished=caption.backend == "edited" and affect is not None)
    return facts


def _measured_picture(evidence: Mapping[str, Any]) -> PictureFacts:
    palette = evidence.get("palette") or ()
    development = evidence.get("development") or {}
    nothing = "black" if evidence.get("light") == "black" else "still" if _still(evidence) else ""
    return PictureFacts(
        "measurements",
        arousal=_number(evidence.get("arousal")),
        valence=_number(evidence.get("valence")),
        light=str(evidence.get("light", "")),
        warmth=str(evidence.get("warmth_word", "")),
        colours=tuple(str(swatch.get("name", "")) for swatch in palette[:2]),
        motion_kind=str(evidence.get("motion_kind", "")),
        motion_word=str(evidence.get("motion_word", "")),
        camera_sure=(sure := _number(evidence.get("motion_confidence"))) is None or sure > 0.5,
        cuts=len(evidence.get("cuts_s") or ()),
        pace_cuts_per_min=_number(evidence.get("pace_cuts_per_min")) or 0.0,
        faces=int(_number(evidence.get("faces")) or 0),
        course=str(development.get("word", "even")) if isinstance(development, Mapping) else str(development),
        curve=_curve(evidence.get("motion_curve")),
        duration_s=_number(evidence.get("duration_s")),
        nothing=nothing,
    )


def _still(evidence: Mapping[str, Any]) -> bool:
    return bool(evidence.get("frozen")) or evidence.get("frames") == 1


def music_facts(caption: Caption) -> MusicFacts:
    """Facts of a music caption."""
    evidence = caption.evidence
    facts = _measured_music(evidence) if evidence else MusicFacts("words")
    if caption.backend != "edited" and "tempo_bpm" in evidence:
        return facts
    told = _told_music(caption.text)
    given = {name: value for name, value in told.items() if value}
    if "key" in given or "mode" in given:
        given.setdefault("key", "")
        given.setdefault("mode", "")
    source = "words and measurements" if "tempo_bpm" in evidence else "words"
    wished = caption.backend == "edited" and bool(given)
    return replace(facts, source=source, **given, nothing="" if given else facts.nothing, wished=wished)


def _measured_music(evidence: Mapping[str, Any]) -> MusicFacts:
    kind = str(evidence.get("kind_of_sound", "music")).lower()
    nothing = next((name for name in ("silen", "noise", "speech") if name in kind), "")
    if nothing:
        return MusicFacts("measurements", nothing={"silen": "silence"}.get(nothing, nothing))
    tempo, key = _number(evidence.get("tempo_bpm")), str(evidence.get("key") or "")
    mood = evidence.get("mood") or ()
    return MusicFacts(
        "measurements",
        tempo_bpm=tempo if tempo and (_number(evidence.get("tempo_confidence")) or 1.0) >= SURE else None,
        key=key if (_number(evidence.get("key_confidence")) or 1.0) >= SURE else "",
        mode=str(evidence.get("mode") or (key.split()[-1] if " " in key else "")),
        meter=_METERS.get(str(evidence.get("meter")), ""),
        arousal=_number(evidence.get("arousal")),
        valence=_number(evidence.get("valence")),
        words=(mood,) if isinstance(mood, str) else tuple(str(word) for word in mood),
        texture=str(evidence.get("texture") or ""),
        curve=_curve(evidence.get("energy_curve")),
    )


def _told_music(text: str) -> dict[str, Any]:
    """What the words of a music caption give; empty values where they say nothing."""
    lower = text.lower()
    tempo, key, mode, meter = _TEMPO.search(text), _KEY.search(text), _MODE.search(text), _METER.search(text)
    bpm = float(tempo.group(1)) if tempo else None
    if bpm is None:
        spoken = [word for word in _TEMPO_WORDS if re.search(rf"\b{word}\b", lower)]
        bpm = _TEMPO_WORDS[max(spoken, key=len)] if spoken else None
    affect = read_affect(text)
    key_text = ""
    if key:
        sign = _ACCIDENTAL.get((key.group(2) or "").lower(), "")
        key_text = f"{key.group(1)}{sign} {key.group(3).lower()}"
    return {
        "tempo_bpm": bpm,
        "key": key_text,
        "mode": key_text.split()[-1] if key_text else mode.group(1).lower() if mode else "",
        "meter": meter.group(1) if meter else "",
        "arousal": affect.arousal if affect else None,
        "valence": affect.valence if affect else None,
        "words": affect.words if affect else (),
        "instruments": _named(lower, INSTRUMENTS),
        "styles": _named(lower, STYLES),
    }


def _named(text: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names that occur in `text`, the longest reading of each place only."""
    found: list[str] = []
    for name in sorted(names, key=len, reverse=True):
        match = re.search(rf"\b{re.escape(name)}s?\b", text)
        if match:
            found.append(name)
            text = text[: match.start()] + " " * (match.end() - match.start()) + text[match.end() :]
    return tuple(name for name in names if name in found)


def _clause(text: str) -> str:
    """What is seen, to be put after "for this picture:": at most two sentences, without their last full stop."""
    text = " ".join(text.split())
    sentences = re.split(r"(?<=[.!?])\s+", text)
    clause = ""
    for sentence in sentences[:2]:
        if clause and len(clause) + len(sentence) > 240:
            break
        clause = f"{clause} {sentence}".strip()
    clause = clause[:400].rstrip(" .!?;,")
    # Only words that are no names are put in lower case.
    return clause[0].lower() + clause[1:] if clause.split(" ", 1)[0] in _OPENERS else clause


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value == value else None


def _curve(values: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in values) if isinstance(values, list | tuple) else ()
