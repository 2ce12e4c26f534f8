"""Reads tempo, metre and feel from words."""

from __future__ import annotations

import re
from typing import NamedTuple

from musiscene.soundtracks._arranger.brief import FASTEST_BPM, SLOWEST_BPM
from musiscene.soundtracks._arranger.words import TEMPO_WORDS

_NUMBER = r"(\d{2,3}(?:\.\d+)?)"
_UNIT = r"(?:b\.?\s?p\.?\s?m\b\.?|beats? (?:per|a) minute|beats/min)"
_RANGES = (
    re.compile(rf"{_NUMBER}\s*(?:-|–|—|to|and|~|/)\s*{_NUMBER}\s*{_UNIT}"),
    re.compile(rf"(?:{_UNIT}|tempo)[^\d.;]{{0,24}}?{_NUMBER}\s*(?:-|–|—|to|and)\s*{_NUMBER}"),
)
_SINGLES = (
    re.compile(rf"{_NUMBER}\s*-?\s*{_UNIT}"),
    re.compile(rf"{_UNIT}\s*(?:[:=]|of|is|around|about|at)?\s*{_NUMBER}"),
    re.compile(
        rf"tempo\s*(?:[:=]|of|is|at|around|about|near|approximately|roughly|~|"
        rf"\s){{0,3}}\s*{_NUMBER}(?!\s*(?:/|s\b|sec|min|%|years))"
    ),
    re.compile(rf"[♩♪𝅘𝅥]\s*=\s*{_NUMBER}"),
)
_UNITS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL, _ROUND, _DIGIT = "|".join(_TENS + _UNITS), "|".join(_TENS), "|".join(_UNITS[1:10])
_SPELLED = re.compile(
    rf"((?:one |a |two )?hundred(?: and)?(?:[ -](?:{_SMALL})){{0,2}}|(?:{_ROUND})(?:[ -](?:{_DIGIT}))?)\s+(?:{_UNIT})"
)
_WORDS = re.compile(
    r"(?<![\w-])(" + "|".join(sorted(map(re.escape, TEMPO_WORDS), key=len, reverse=True)) + r")(?![\w-])"
)
_ABOUT_TEMPO = re.compile(
    r"^\W*(?:and \w+ |, \w+ |\w+ )?(?:tempo|pace|beat|beats|rhythm|bpm|groove|speed|tune|song|piece|music|"
    r"waltz|march|drum|drums|piano|ballad|jazz|blues|rock|melody)"
)
_METERS = re.compile(r"(?<![\d/])(12/8|9/8|7/8|6/8|5/4|7/4|4/4|3/4|2/4)(?![\d/])")


class Pace(NamedTuple):
    """What was said about time.

    Attributes:
        bpm: A number that was asked, or None.
        low, high: The range that was asked in numbers or words, or None.
        meter: A meter's name, or empty.
        feel: "half-time", "double-time", "swing" or empty.
        remark: Something to tell, or empty.
    """

    bpm: float | None
    low: float | None
    high: float | None
    meter: str
    feel: str
    remark: str


def read_pace(text: str, negated: list[tuple[int, int]]) -> Pace:
    """Read lower-case `text`; `negated` are the stretches that say what is not wanted."""
    meter = read_meter(text)
    feel = ""
    if re.search(r"\bhalf[ -]?time\b", text):
        feel = "half-time"
    elif re.search(r"\bdouble[ -]?time\b", text):
        feel = "double-time"
    elif re.search(r"\b(?:swung|shuffle|shuffled|swinging|swing feel|with swing|swing rhythm)\b", text):
        feel = "swing"
    for pattern in _RANGES:
        match = pattern.search(text)
        if match:
            low, high = sorted((float(match[1]), float(match[2])))
            if low >= SLOWEST_BPM and high <= FASTEST_BPM:
                return Pace(None, low, high, meter, feel, "")
    number = _number(text)
    if number is not None:
        kept = min(FASTEST_BPM, max(SLOWEST_BPM, number))
        remark = "" if kept == number else f"{number:g} BPM is outside what is played; it became {kept:g}."
        return Pace(kept, None, None, meter, feel, remark)
    span = _word_range(text, negated)
    low_word, high_word = span or (None, None)
    return Pace(None, low_word, high_word, meter, feel, "")


def read_meter(text: str) -> str:
    """The metre that lower-case `text` asks for, or empty."""
    match = _METERS.search(text)
    if match:
        return match[1]
    if re.search(
        r"\b(?:waltz|three[- ]four|three[- ]quarter time|triple (?:meter|metre|time)|in three\b|minuet|"
        r"ländler|mazurka)",
        text,
    ):
        return "3/4"
    if re.search(r"\b(?:six[- ]eight|compound (?:meter|metre|time)|jig|tarantella|barcarolle|lilting)\b", text):
        return "6/8"
    if re.search(r"\b(?:five[- ]four|in five)\b", text):
        return "5/4"
    if re.search(r"\b(?:seven[- ]eight|odd (?:meter|metre|time)|in seven)\b", text):
        return "7/8"
    if re.search(r"\b(?:twelve[- ]eight|slow doo-?wop)\b", text):
        return "12/8"
    return ""


def _number(text: str) -> float | None:
    for pattern in _SINGLES:
        match = pattern.search(text)
        if match:
            return float(match[1])
    spelled = _SPELLED.search(text)
    if spelled:
        return float(_spelled_number(spelled[1]))
    return None


def _spelled_number(words: str) -> int:
    total = 0
    for word in re.split(r"[ -]+", words):
        if word == "hundred":
            total = max(1, total) * 100
        elif word in _TENS:
            total += 20 + 10 * _TENS.index(word)
        elif word in _UNITS:
            total += _UNITS.index(word)
        elif word == "a":
            total = 1
    return total


def _word_range(text: str, negated: list[tuple[int, int]]) -> tuple[float, float] | None:
    """The tempo word that speaks of tempo most plainly; of equals the first."""
    best: tuple[float, tuple[float, float]] | None = None
    for order, match in enumerate(_WORDS.finditer(text)):
        if any(start <= match.start() < end for start, end in negated):
            continue
        before = text[max(0, match.start() - 12) : match.start()]
        if re.search(r"\b(?:not|isn't|never|too)\s+(?:too\s+|very\s+|so\s+)?$", before):
            continue
        after = text[match.end() : match.end() + 30]
        if match[1] in ("slow", "fast") and re.match(r"\W*(?:motion|food|forward|asleep|dissolve)", after):
            continue
        if re.match(r"\W*(?:build|crescendo|fade|growth)", after):
            continue
        if match[1] in (
            "moderate",
            "racing",
            "grave",
            "quickly",
            "rapid",
            "frantic",
            "quick",
        ) and not _ABOUT_TEMPO.match(after):
            weight = 0.5
        else:
            weight = 2.0 if _ABOUT_TEMPO.match(after) or "tempo" in match[1] or "pace" in match[1] else 1.0
        if re.search(r"\btempo (?:is|of)?\s*(?:a )?$", before):
            weight = 2.0
        score = weight - 0.01 * order
        if best is None or score > best[0]:
            best = (score, TEMPO_WORDS[match[1]])
    return best[1] if best else None
