"""What kind of sound it is, so that a hum, a storm or a talk is not described as music."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

from musiscene.captions._music.beats import Beats
from musiscene.captions._music.character import Character
from musiscene.captions._music.key import Key
from musiscene.captions._music.pitch import PITCH_RATE
from musiscene.captions._music.pulse import Pulse
from musiscene.captions._music.signal import FRAME_RATE, Array, Samples

MUSIC, SILENCE, NOISE, SPEECH, DRONE = "music", "silence", "noise", "speech", "drone"

SILENCE_LUFS = -65.0
"""Quieter than this nothing is heard in a room."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind and how sure it is, 0 to 1."""

    name: str
    confidence: float


def tell_kind(
    loudness_lufs: float,
    character: Character,
    pulse: Pulse | None,
    beats: Beats | None,
    key: Key | None,
    syllables: float,
    stillness: float,
) -> Kind:
    """Silence, noise, speech, drone or music.

    The rules are ours, set on real clips and on made noise: tones leave narrow spectral peaks and noise does not; a
    drone has peaks, hardly an onset, and always the same notes; speech has onsets at the rate of syllables, peaks that
    glide, and neither a pulse nor a key.
    """
    if loudness_lufs < SILENCE_LUFS or character.sounding_share == 0:
        return Kind(SILENCE, 1.0)
    clarity = pulse.clarity if pulse else 0.0
    strength = beats.strength if beats else 0.0
    fit = key.fit if key else 0.0
    held = character.onset_density_hz < 0.25 or character.onsets <= 2
    if held and character.tonality > 0.6 and stillness > 0.9:
        return Kind(DRONE, float(np.clip(0.5 + character.tonality / 2, 0, 1)))
    noise = 4.0 * (0.62 - character.tonality) + 4.0 * (character.flatness - 0.35) + 3.0 * (0.2 - clarity)
    noise += 1.5 * max(-0.2, 0.45 - fit) + 2.0 * (0.35 - strength)
    speech = 6.0 * min(0.78 - character.tonality, 0.2) + 3.0 * (0.2 - clarity) + 2.5 * (0.55 - fit)
    speech += 3.0 * (syllables - 0.35) - 8.0 * max(0.0, 0.55 - character.tonality)
    speech -= 4.0 * max(0.0, character.flatness - 0.3) + 6.0 * max(0.0, clarity - 0.22)
    if noise > 0.5 and noise >= speech:
        return Kind(NOISE, float(np.clip(0.5 + noise / 4, 0.5, 1.0)))
    if speech > 1.0:
        return Kind(SPEECH, float(np.clip(0.4 + speech / 5, 0.4, 0.9)))
    return Kind(MUSIC, float(np.clip(0.6 + 0.4 * character.tonality - 0.2 * max(noise, speech, 0), 0.3, 1.0)))


def stillness_of(chroma: Array) -> float:
    """How much the notes stay the same, 0 to 1: mean cosine between the chroma of 1.5 s parts and that of the whole."""
    parts = max(1, int(chroma.shape[0] / (1.5 * PITCH_RATE)))
    each = np.stack([part.sum(axis=0) for part in np.array_split(chroma, parts)])
    whole = each.sum(axis=0)
    length = np.linalg.norm(each, axis=1)
    if not length.any():
        return 0.0
    cosine = each @ whole / np.maximum(length * np.linalg.norm(whole), 1e-12)
    return float(np.average(cosine, weights=length))


def syllable_rhythm(energy: Samples) -> float:
    """Share of the level's slow movement (0.5 to 20 Hz) that lies between 2.5 and 7 Hz, weighted by how deep it is.

    Speech moves at about four syllables a second (Scheirer & Slaney 1997, "4 Hz modulation energy").
    """
    level = np.sqrt(energy[:, 8:40].sum(axis=1))
    if level.size < 2 * FRAME_RATE or level.max() <= 0:
        return 0.0
    frequency, power = signal.welch(level / level.mean(), FRAME_RATE, nperseg=min(level.size, 512))
    slow = (frequency > 0.5) & (frequency < 20)
    syllable = (frequency > 2.5) & (frequency < 7)
    depth = float(np.sqrt(power[slow].sum() * frequency[1]))
    return float(power[syllable].sum() / max(1e-12, power[slow].sum())) * float(np.clip(depth / 0.6, 0, 1))
