"""Feeling words on the plane of arousal and valence (Russell, "A circumplex model of affect", 1980).

The places are our own judgement; they serve to compare a picture described in words with music described in words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_PLACES = """
0.8 0.7: joyful ecstatic euphoric exuberant thrilling triumphant exhilarating jubilant celebration celebrate party
0.7 0.5: energetic lively upbeat dance dancing festive vibrant dynamic bouncy cheering fireworks
0.6 0.3: fast driving powerful epic heroic race racing sport surfing skateboard jumping adventurous action groovy funky
0.3 0.7: happy cheerful playful fun funny bright sunny merry laughing smiling jolly optimistic children wedding
0.1 0.5: hopeful warm uplifting inspiring light proud colourful colorful sweet charming
-0.4 0.6: peaceful serene gentle tender relaxing relaxed romantic dreamy soothing cozy cosy loving content
-0.6 0.3: calm quiet slow soft mellow still tranquil ambient meditative contemplative sleepy unhurried floating lullaby
-0.4 -0.3: nostalgic wistful melancholic melancholy lonely longing bittersweet pensive reflective misty fog rainy
-0.5 -0.6: sad sorrowful mournful gloomy bleak grief funeral depressed tragic crying weeping desolate sombre somber
0.0 -0.5: dark ominous eerie mysterious uneasy haunting grim cold menacing sinister night-like shadowy
0.5 -0.5: tense suspenseful dramatic nervous anxious urgent storm danger dangerous chase fight battle war intense
0.8 -0.7: aggressive angry furious violent frantic terrifying scary horror panic explosion screaming chaotic
"""

_TURN = {"not", "no", "never", "without", "hardly", "isn't", "doesn't", "nothing", "neither"}


@dataclass(frozen=True, slots=True)
class Affect:
    """A place on the plane, each axis -1 to 1, and the words that put it there."""

    arousal: float
    valence: float
    words: tuple[str, ...] = ()


@cache
def _lexicon() -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for line in _PLACES.strip().splitlines():
        place, words = line.split(":")
        arousal, valence = (float(number) for number in place.split())
        found.update(dict.fromkeys(words.split(), (arousal, valence)))
    return found


def read_affect(text: str) -> Affect | None:
    """The mean place of the feeling words in `text`; None when there are none. "Not calm" does not count as calm."""
    words = re.findall(r"[a-z][a-z'-]*", text.lower())
    lexicon, found = _lexicon(), []
    for k, word in enumerate(words):
        place = lexicon.get(word) or lexicon.get(word.removesuffix("ly"))
        if place and not _TURN.intersection(words[max(0, k - 2) : k]):
            found.append((word, place))
    if not found:
        return None
    arousal = sum(place[0] for _, place in found) / len(found)
    valence = sum(place[1] for _, place in found) / len(found)
    return Affect(arousal, valence, tuple(dict.fromkeys(word for word, _ in found)))


_DARK, _LIGHT = -0.2, 0.25
_WORDS = (
    (0.45, ("energetic", ("tense, driving", "energetic, driving", "joyful, energetic"))),
    (0.15, ("lively", ("restless, dark", "lively, purposeful", "cheerful, lively"))),
    (-0.15, ("moderate", ("sombre, uneasy", "even, flowing", "bright, flowing"))),
    (-0.45, ("calm", ("melancholic, subdued", "relaxed, unhurried", "warm, relaxed"))),
    (-9.0, ("very calm", ("bleak, hushed", "quiet, still", "calm, tender"))),
)
"""Least arousal -> the word for that energy, and moods of dark, middle and light valence at that energy."""


def energy_word(arousal: float) -> str:
    """One word for an energy."""
    return next(word for least, (word, _) in _WORDS if arousal > least)


def describe(arousal: float, valence: float) -> str:
    """Two words for a place on the plane, in keeping with `energy_word`."""
    moods = next(moods for least, (_, moods) in _WORDS if arousal > least)
    return moods[0 if valence < _DARK else 2 if valence > _LIGHT else 1]


def tone_word(valence: float) -> str:
    """One word for how light or dark a mood is, in keeping with `describe`."""
    return "dark" if valence < _DARK else "light" if valence > _LIGHT else "neutral"
