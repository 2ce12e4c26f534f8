"""Keys of the sections: a middle part in a related key, and a last return that is lifted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from musiscene.soundtracks._arranger.brief import Brief
from musiscene.soundtracks._arranger.form import Phrase
from musiscene.soundtracks._arranger.styles import Style

_TRAVELS = frozenset({"cinematic", "pop", "classical", "folk", "march", "baroque", "jazz", "bossa", "latin", "soul"})
"""Harmonic vocabularies that leave their key; loops, drones and the blues stay."""
_LIFTED = frozenset({"pop", "soul", "cinematic", "march"})
_SHORTEST = 5
"""Phrases that a piece needs to leave its key and come home."""


def with_keys(plan: Sequence[Phrase], brief: Brief, style: Style, rng: random.Random) -> list[Phrase]:
    """The phrases, with the key of each. A key that was asked is left for its relative only, and kept at the end."""
    middle, lift = rng.random() < 0.75, rng.random() < 0.5
    found = list(plan)
    home = brief.mode in ("major", "minor", "harmonic minor")
    if style.vocabulary not in _TRAVELS or not home or len(plan) < _SHORTEST:
        return found
    letters = [phrase.section for phrase in plan]
    away = "C" if "C" in letters else "B"
    inside = letters.count(away) and letters[-1] != away and letters[0] != away
    if middle and inside and 2 <= letters.count(away) <= len(plan) // 2:
        shift, mode = _related(brief, style, rng)
        found = [replace(one, shift=shift, mode=mode) if one.section == away else one for one in found]
    lifts = style.vocabulary in _LIFTED and not brief.key and brief.energy > 0.45 and brief.valence > 0.2
    last = max((index for index, one in enumerate(found) if one.new_section), default=0)
    if lift and lifts and len(plan) >= 8 and found[last].section == "A" and last >= len(plan) // 2:
        found = [replace(one, shift=2, mode="") if index >= last else one for index, one in enumerate(found)]
    return found


def _related(brief: Brief, style: Style, rng: random.Random) -> tuple[int, str]:
    """Semitones up to a related key, and its mode."""
    if brief.mode != "major":
        return 3, "major"
    if brief.key or rng.random() < 0.4:
        return -3, "minor"
    if style.vocabulary in ("classical", "baroque"):
        return 7 - 12, "major"
    return 5, "major"
