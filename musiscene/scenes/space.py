"""From a place in the space of feelings to the scenes that lie near it."""

from __future__ import annotations

import math
import zlib

from musiscene.scenes.bank import TEXTURES, Scene, all_scenes

AROUSAL, VALENCE, TENSION = 1.0, 1.0, 0.8
"""Weights of squared distances. Tension says less than arousal and valence: it is judged worse from sound alone."""
TEMPO = 1.2
"""Weight of a squared octave outside a scene's range of tempi."""
TEXTURE = 0.25
ERA = 0.12
MODE = 0.08
WIDTH = 0.7
"""Squared distance at which the fit has fallen to 1/e."""
VARIETY = 0.08
"""How far a seed may move a scene nearer or farther, in squared distance: enough to choose between equals."""


def nearest(
    *,
    arousal: float,
    valence: float,
    tension: float,
    tempo_bpm: float | None = None,
    texture: str | float | None = None,
    era: str | None = None,
    mode: str | None = None,
    seed: int | str = 0,
    limit: int = 3,
) -> list[tuple[Scene, float]]:
    """The scenes that suit music of this character, best first, each with its fit from 0 to 1.

    Args:
        arousal: -1 (asleep) to 1 (frantic).
        valence: -1 to 1.
        tension: -1 to 1.
        tempo_bpm: Pulse of the music; None where there is none.
        texture: "solo", "sparse" or "full", or a number from 0 (one voice) to 1 (many) for what lies between.
        era: What the sound suggests; None when it suggests nothing.
        mode: "major", "minor" or None.
        seed: Another seed prefers other scenes among those that fit equally well.
        limit: How many.
    """
    fullness = TEXTURES.index(texture) / 2 if isinstance(texture, str) else texture
    ranked = []
    for one in all_scenes():
        squared = AROUSAL * (one.arousal - arousal) ** 2
        squared += VALENCE * (one.valence - valence) ** 2
        squared += TENSION * (one.tension - tension) ** 2
        if tempo_bpm is not None:
            squared += TEMPO * _octaves_outside(tempo_bpm, one.tempo_bpm) ** 2
        if fullness is not None:
            squared += TEXTURE * (TEXTURES.index(one.texture) / 2 - fullness) ** 2
        if era is not None and one.era != era:
            squared += ERA if "timeless" not in (one.era, era) else ERA / 4
        if mode is not None and one.mode not in ("either", mode):
            squared += MODE
        ranked.append((squared + VARIETY * _noise(seed, one.id), squared, one))
    ranked.sort(key=lambda item: (item[0], item[2].id))
    return [(one, round(math.exp(-squared / WIDTH), 4)) for _, squared, one in ranked[:limit]]


def _octaves_outside(tempo_bpm: float, wanted: tuple[float, float]) -> float:
    """How far a tempo lies outside a range, in octaves; half or double tempo is heard as related, so it is capped."""
    low, high = wanted
    outside = max(0.0, math.log2(low / tempo_bpm), math.log2(tempo_bpm / high))
    return min(outside, 0.6)


def _noise(seed: int | str, name: str) -> float:
    """A number from -1 to 1 that depends on the seed and the name alone, the same on every machine."""
    return zlib.crc32(f"{seed}/{name}".encode()) / 0x7FFFFFFF - 1.0
