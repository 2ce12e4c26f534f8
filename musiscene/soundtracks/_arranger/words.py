"""The words that the arranger understands: `words.json`, read once.

Styles, regions and eras list words separated by commas; a style's word may carry its weight after a colon (3 unless
told). Moods have a place on three axes and tempo words a range in beats per minute. "guessed" and "swapped" are the
words that spelling is forgiven for, "common" those that lie one slip away from them and are meant as they stand.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

Feeling = tuple[float, float, float]
"""Valence (-1 to 1), arousal (0 to 1), tension (0 to 1)."""

_DATA: dict[str, Any] = json.loads(resources.files(__package__).joinpath("words.json").read_text(encoding="utf-8"))


def _listed(words: str) -> list[str]:
    return [word.strip() for word in words.split(",")]


MOODS: dict[str, Feeling] = {
    word: (group["valence"], group["arousal"], group["tension"])
    for group in _DATA["moods"]
    for word in _listed(group["words"])
}
"""What moods (and a few sights) feel like."""

SIGHTS = frozenset(_DATA["sights"].split())
"""Mood words that also name something to see, and so may lead to a scene."""

SCENIC = SIGHTS | frozenset(_DATA["scenic"].split())
"""Words of styles and moods that name a place or an event as well."""

INTENSIFIERS = frozenset(_DATA["intensifiers"].split())
SOFTENERS = frozenset(_DATA["softeners"].split())

STYLE_WORDS: dict[str, list[tuple[str, float]]] = {
    style: [(word.partition(":")[0], float(word.partition(":")[2] or 3.0)) for word in _listed(words)]
    for style, words in _DATA["styles"].items()
}
"""Words that ask for a style, with their weight."""

TEMPO_WORDS: dict[str, tuple[float, float]] = {
    word: (group["low"], group["high"]) for group in _DATA["tempo"] for word in _listed(group["words"])
}
"""Slowest and fastest tempo that a word means, in beats per minute."""

REGION_WORDS: dict[str, list[str]] = {name: _listed(words) for name, words in _DATA["regions"].items()}
"""Words of a musical tradition."""

ERA_WORDS: dict[str, list[str]] = {name: _listed(era["words"]) for name, era in _DATA["eras"].items()}
"""Words of a time."""

ERA_STYLES: dict[str, dict[str, float]] = {name: era["styles"] for name, era in _DATA["eras"].items()}
"""Styles that a time suggests, with their weight."""

GUESSED: tuple[str, ...] = tuple(sorted(_DATA["guessed"].split()))
SWAPPED: tuple[str, ...] = tuple(_DATA["swapped"].split())
COMMON = frozenset(_DATA["common"].split())

STOP_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split()) for language, words in _DATA["stop_words"].items()
}
"""Frequent small words of some languages, and a few words of music."""
