"""Reads key and mode from words, and does not mistake "a minor inconvenience" for A minor."""

from __future__ import annotations

import re

_MODE_NAMES = {
    "major": "major",
    "maj": "major",
    "ionian": "major",
    "minor": "minor",
    "min": "minor",
    "aeolian": "minor",
    "natural minor": "minor",
    "melodic minor": "minor",
    "harmonic minor": "harmonic minor",
    "dorian": "dorian",
    "phrygian": "phrygian",
    "lydian": "lydian",
    "mixolydian": "mixolydian",
    "locrian": "locrian",
    "phrygian dominant": "phrygian dominant",
    "spanish phrygian": "phrygian dominant",
    "freygish": "phrygian dominant",
    "hijaz": "phrygian dominant",
}
_MODE = "|".join(sorted(map(re.escape, _MODE_NAMES), key=len, reverse=True))
_NOTE = r"(?P<letter>[A-Ga-g])(?:\s*(?P<sign>[#♯♭]|b(?![a-z]))|[\s-]*(?P<word>sharp|flat))?"
_KEY = re.compile(rf"(?<![\w'’#]){_NOTE}[\s-]+(?P<mode>{_MODE})\b(?P<rest>.{{0,24}})", re.IGNORECASE)
_KEY_OF = re.compile(
    rf"\b(?:key|scale|tonality)\s*(?:of|is|:|=)?\s*(?:in\s+)?{_NOTE}(?![\w'’])(?:[\s,-]*(?P<mode>{_MODE})\b)?",
    re.IGNORECASE,
)
_SHORT = re.compile(r"(?<![\w'’])(?P<letter>[A-G])(?P<sign>[#♯b♭])?(?P<minor>m)(?![\w'’])")
_BARE = re.compile(
    r"\bin (?P<letter>[A-G])(?P<sign>[#♯♭]|b(?![a-z]))?(?:[\s-]*(?P<word>sharp|flat))?(?=\s*(?:[,.;:!?)]|$|"
    r"at \d|with\b))"
)
_MODE_ALONE = re.compile(
    rf"\b(?P<mode>{_MODE})\b(?=[\s-]*(?:key|keys|mode|scale|tonality|harmony|harmonies|chord|chords|mood|"
    rf"feel|feeling|tones?|sounding|\W*$))"
    rf"|\b(?:in|in a|in the)\s+(?P<mode2>{_MODE})\b(?!\s+(?:league|role|part|way|city))"
    r"|\b(?P<mode3>dorian|phrygian dominant|phrygian|lydian|mixolydian|locrian|aeolian|ionian|"
    r"harmonic minor|hijaz)\b",
    re.IGNORECASE,
)
# What may follow "a minor" when it names a key; anything else makes it an ordinary adjective.
_AFTER_A = re.compile(
    r"^\s*(?:$|[,.;:!?)(/—–-]|and\b|at\b|with\b|for\b|in\b|on\b|but\b|then\b|that\b|which\b|using\b|"
    r"played\b|by\b|over\b|as\b|"
    r"piano|guitar|waltz|ballad|march|prelude|sonata|concerto|fugue|tune|song|arpeggio|riff|blues|jazz|rock|"
    r"theme|\d|tempo|bpm|,)",
    re.IGNORECASE,
)
_BEFORE_KEY = re.compile(r"(?:\b(?:in|key|of|is|scale|to|from|into|:)|[:=(,])\s*$", re.IGNORECASE)


def read_key(text: str) -> tuple[str, str]:
    """Tonic ("F#", or empty) and mode (or empty) that `text` (in its own case) asks for."""
    for match in _KEY.finditer(text):
        if _is_key(match, text):
            return _tonic(match), _MODE_NAMES[_plain(match["mode"])]
    named = _KEY_OF.search(text)
    if named is not None and not (named["letter"] == "a" and named["mode"] is None):
        return _tonic(named), _MODE_NAMES[_plain(named["mode"])] if named["mode"] else read_mode(text)
    short = _SHORT.search(text)
    if short is not None and (short["sign"] or _BEFORE_KEY.search(text[: short.start()])):
        return _tonic(short), "minor"
    bare = _BARE.search(text)
    if bare is not None:
        return _tonic(bare), read_mode(text)
    return "", read_mode(text)


def read_mode(text: str) -> str:
    """The mode that is named without a tonic ("in a minor key", "Dorian"); empty when none is."""
    found = [
        (match["mode"] or match["mode2"] or match["mode3"])
        for match in _MODE_ALONE.finditer(text)
        if not re.search(r"\b(?:not|no|without|avoid)\W+(?:\w+\W+){0,2}$", text[: match.start()], re.IGNORECASE)
    ]
    return _MODE_NAMES[_plain(found[0])] if found else ""


def _is_key(match: re.Match[str], text: str) -> bool:
    before, rest = text[: match.start()], match["rest"]
    if match["letter"] not in "aA" or match["sign"] or match["word"]:
        if match["letter"].isupper() or match["sign"] or match["word"]:
            return True
        return bool(_BEFORE_KEY.search(before)) or bool(_AFTER_A.match(rest))
    if re.match(r"\s*(?:key|keys|mode|scale|tonality|chord|chords|mood)\b", rest, re.IGNORECASE):
        # "in a minor key" names no tonic; "the A minor scale" does.
        return match["letter"] == "A" and bool(re.search(r"\b(?:the|an|in)\s*$", before, re.IGNORECASE))
    if not _AFTER_A.match(rest):
        return False
    if match["letter"] == "A":
        return (
            bool(before.strip())
            or not re.match(r"\s*[a-z]", rest)
            or len(rest.split()) <= 1
            or bool(re.match(r"\s*(?:at|piano|waltz|blues|with|and)", rest))
        )
    return bool(_BEFORE_KEY.search(before)) or not before.strip()


def _tonic(match: re.Match[str]) -> str:
    groups = match.groupdict()
    sign = groups.get("sign") or ""
    word = (groups.get("word") or "").lower()
    accidental = "#" if sign in ("#", "♯") or word == "sharp" else ("b" if sign or word == "flat" else "")
    return match["letter"].upper() + accidental


def _plain(mode: str) -> str:
    return re.sub(r"\s+", " ", mode.lower())
