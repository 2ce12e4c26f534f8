"""How the music feels: arousal, valence and tension, and words for where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musiscene.captions._music.beats import Beats
from musiscene.captions._music.character import Character
from musiscene.captions._music.key import Key

WORDS = {
    "joyful": ("joyful", "cheerful", "sunny", "bright-hearted"),
    "exuberant": ("exuberant", "euphoric", "lively", "high-spirited"),
    "energetic": ("energetic", "urgent", "forceful", "charged"),
    "tense": ("tense", "agitated", "restless", "fierce"),
    "dark": ("dark", "uneasy", "gloomy", "brooding"),
    "melancholic": ("melancholic", "sad", "wistful", "sombre"),
    "still": ("still", "subdued", "hushed", "drifting"),
    "serene": ("serene", "calm", "peaceful", "tender"),
    "neutral": ("even-tempered", "matter-of-fact", "balanced", "unhurried"),
}
"""Mood -> words for it. Eight of them lie 45 degrees apart on the circumplex, from pleasant through aroused."""

_AROUND = ("joyful", "exuberant", "energetic", "tense", "dark", "melancholic", "still", "serene")


@dataclass(frozen=True, slots=True)
class Mood:
    """Where the music lies, each axis from -1 to 1, and the mood's name."""

    arousal: float
    valence: float
    tension: float
    name: str


def tell_mood(character: Character, beats: Beats | None, key: Key | None) -> Mood:
    """Arousal and valence from measured features, the mood from their angle.

    Published: the plane itself and the order of moods around it (Russell 1980, "A circumplex model of affect"); which
    feature pulls which way (Gabrielsson & Lindström 2010, "The role of structure in the musical expression of
    emotions": fast tempo, high density, bright and percussive sound raise arousal; major mode, fast tempo and regular
    rhythm raise valence; minor mode and dissonance raise tension; Eerola & Vuoskoski 2011 for tension as a third
    axis). Ours: the weights below, set so that the middle of a varied collection lies near 0. Absolute level is left
    out on purpose: the same music turned down is the same music.
    """
    tempo = np.log2(beats.tempo_bpm / 105.0) if beats else -0.5
    steady = beats.steadiness * beats.strength if beats else 0.0
    busy = np.log2((character.onset_density_hz + 0.4) / 3.0)
    bright = np.log2(max(200.0, character.brightness_hz) / 1350.0)
    struck = character.percussive_share - 0.3
    major = _majorness(key)
    rough = 0.75 - (key.fit if key else 0.3)
    arousal = 0.55 * tempo + 0.45 * busy + 0.55 * bright + 0.9 * struck + 0.7 * (character.fullness - 0.5)
    arousal -= 0.02 * (character.loudness_range_lu - 4.0)
    valence = 0.75 * major + 0.35 * tempo + 0.5 * (steady - 0.3) - 0.6 * max(0.0, rough) - 0.1 * abs(bright)
    tension = 0.45 * arousal - 0.45 * major + 0.9 * max(-0.2, rough) - 0.3 * (steady - 0.3)
    arousal, valence, tension = (float(np.tanh(value)) for value in (0.8 * arousal, valence, 0.9 * tension))
    return Mood(arousal, valence, tension, mood_name(arousal, valence))


def mood_name(arousal: float, valence: float) -> str:
    """The nearest of eight moods around the circumplex, or "neutral" near its centre."""
    if np.hypot(arousal, valence) < 0.16:
        return "neutral"
    return _AROUND[int(np.rint(np.degrees(np.arctan2(arousal, valence)) / 45.0)) % 8]


def _majorness(key: Key | None) -> float:
    """-1 for clearly minor, 1 for clearly major, near 0 where both are as likely."""
    return 0.0 if key is None else key.majorness
