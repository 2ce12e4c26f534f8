"""From words to scenes: a small search that forgives case, plurals and slips of the finger."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache

from musiscene.scenes.bank import Scene, all_scenes
from musiscene.scenes.distance import distance

KEYWORD, SETTING, ACTION, FEELING = 1.0, 0.75, 0.4, 0.5
"""How much a word counts by where it stands in a scene: a keyword is what the scene is about."""

MIN_SCORE = 0.3
"""A lone common word of an action or a feeling is no match."""

TYPO = 0.7
"""A word that is one slip away counts this much of the word itself."""

_STOP_WORDS = """
a about above across after all along also am an and any are as at away back be been before behind being below
between both but by can could did do does down each every few first for from get gets getting go goes going had has
have he her hers him his how i if in into is it its just last let like long make makes many me more most much my
near never new no nobody not nothing now of off on once one only or other our out over own part people person place
really same say see seen several she should shown shows side sit sits small so some somebody someone something stand
stands stay such suitable take takes than that the their them then there these they thing things this those three
through time to too towards turn turns two under until up very walk walks want was way we well were what when where
which while who whole whose will with without would you young your music song sound soundtrack track tune melody
piece scene scenes mood feeling feel tempo bpm key major minor beat rhythm instrument instrumental video clip film
movie style genre background image camera picture shot caption piano strings string bass synth vocal vocals man
woman men women boy girl slow fast quick loud soft low high big large little
"""
_STOP = frozenset(_STOP_WORDS.split())
"""Words that join others, that speak of music itself, or that every scene could hold."""


def find(text: str, limit: int = 3) -> list[tuple[Scene, float]]:
    """The scenes that `text` speaks of, best first, with a score from 0 to 1.

    Case, plurals, verb endings and single typing slips are forgiven. Rare words count more than common ones (inverse
    document frequency, Spärck Jones 1972). Nothing is returned when no word of `text` belongs to a scene.
    """
    index = _index()
    scores: dict[int, float] = {}
    known = 0.0  # what a scene that holds every known word at its best place would score
    for word in dict.fromkeys(_words(text)):
        matches = index.lookup(word)
        if not matches:
            continue
        known += max(matches.values())
        for number, weight in matches.items():
            scores[number] = scores.get(number, 0.0) + weight
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]
    bound = max(known, KEYWORD)
    return [(index.scenes[number], round(min(1.0, score / bound), 4)) for number, score in best if score >= MIN_SCORE]


@dataclass(frozen=True, slots=True)
class _Index:
    scenes: tuple[Scene, ...]
    places: dict[str, dict[int, float]]
    """Stem -> number of scene -> weight of the place where it stands, times the stem's rarity."""
    by_initial: dict[str, tuple[str, ...]]
    """First letter -> the words (not stems) of all scenes that begin with it."""

    def lookup(self, word: str) -> dict[int, float]:
        """Scenes that hold `word`, or else the words that it most likely was meant to be."""
        exact = self.places.get(_stem(word))
        if exact is not None or len(word) < 5:
            return exact or {}
        found: dict[int, float] = {}
        for known in (*self.by_initial.get(word[0], ()), *self.by_initial.get(word[1], ())):
            # People rarely miss the first letter, but may swap it with the second.
            if known[0] != word[0] and known[:2] != word[1::-1]:
                continue
            slips = 1 if min(len(word), len(known)) < 9 else 2
            if len(known) >= 4 and distance(word, known, slips) <= slips:
                for number, weight in self.places[_stem(known)].items():
                    found[number] = max(found.get(number, 0.0), TYPO * weight)
        return found


@cache
def _index() -> _Index:
    scenes = all_scenes()
    raw: dict[str, dict[int, float]] = {}
    initials: dict[str, set[str]] = {}
    for number, one in enumerate(scenes):
        parts = (
            (" ".join([*one.keywords, *one.id.split("-")]), KEYWORD),
            (one.setting, SETTING),
            (one.feeling, FEELING),
            (one.action, ACTION),
        )
        for text, weight in parts:
            for word in _words(text):
                initials.setdefault(word[0], set()).add(word)
                held = raw.setdefault(_stem(word), {})
                held[number] = max(held.get(number, 0.0), weight)
    rarity = {stem: math.log((len(scenes) + 1) / (len(held) + 0.5)) for stem, held in raw.items()}
    typical = sorted(rarity.values())[len(rarity) // 2]
    return _Index(
        scenes=scenes,
        places={
            stem: {number: weight * (rarity[stem] / typical) ** 1.5 for number, weight in held.items()}
            for stem, held in raw.items()
        },
        by_initial={initial: tuple(sorted(words)) for initial, words in initials.items()},
    )


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[^\W\d_]+", text.lower()) if word not in _STOP and len(word) > 2]


_IRREGULAR = {
    "children": "child",
    "wolves": "wolf",
    "knives": "knife",
    "thieves": "thief",
    "died": "death",
    "dead": "death",
    "dying": "death",
    "fought": "fight",
    "ran": "run",
    "running": "run",
    "runner": "run",
    "rode": "ride",
    "raining": "rain",
    "rainy": "rain",
    "snowy": "snow",
    "stormy": "storm",
    "foggy": "fog",
    "married": "wedding",
    "marry": "wedding",
    "cars": "car",
    "loving": "love",
    "lovers": "love",
    "horses": "horse",
}


def _stem(word: str) -> str:
    """Strip plural and verb endings; a light version of what Porter (1980) does, enough to join plural and singular."""
    word = _IRREGULAR.get(word, word)
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            word = word[: -len(ending)]
            if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 4 else word
