"""Forgives slips of the finger in the words that matter most.

Only a short list of words is ever guessed: without a dictionary of everyday English, a longer one would turn "strong"
into "string" and "likely" into "lively".
"""

from __future__ import annotations

import re
from functools import cache

from musiscene.scenes.distance import distance
from musiscene.soundtracks._arranger.words import COMMON, GUESSED, SWAPPED


@cache
def _by_initial() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for word in GUESSED:
        found.setdefault(word[0], []).append(word)
    return {initial: tuple(words) for initial, words in found.items()}


def corrected(text: str) -> str:
    """Lower-case `text` with each misspelt word of the list in its usual spelling."""
    memory: dict[str, str] = {}

    def repair(match: re.Match[str]) -> str:
        word = match[0]
        if word not in memory:
            memory[word] = _repair(word) if len(memory) < 1500 else word
        return memory[word]

    return re.sub(r"[a-z]{4,}", repair, text)


def _repair(word: str) -> str:
    if len(word) == 4:  # too short to guess at, but a swap of neighbours is plain
        swaps = (word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(3))
        return next((swap for swap in swaps if swap in SWAPPED), word) if word not in SWAPPED else word
    if word in GUESSED or word in COMMON or _is_derived(word):
        return word
    allowed = 1 if len(word) < 8 else 2
    best: tuple[int, str] | None = None
    for initial in dict.fromkeys((word[0], word[1])):
        for candidate in _by_initial().get(initial, ()):
            if candidate[0] != word[0] and candidate[:2] != word[1::-1]:
                continue
            far = distance(word, candidate, allowed)
            if far <= allowed and (best is None or far < best[0]):
                best = (far, candidate)
    return best[1] if best else word


def _is_derived(word: str) -> bool:
    """Whether it is a known word with another ending ("pianist", "violinists"): spelt as meant."""
    return any(len(known) >= 5 and word.startswith(known) for known in _by_initial().get(word[0], ()))
