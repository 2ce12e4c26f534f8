"""Key and mode: which of the 24 keys explains the notes best, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musiscene.captions._music.pitch import PITCH_RATE, Pitches
from musiscene.captions._music.signal import Array

NAMES = {
    "major": ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    "minor": ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}
"""Usual spelling of each tonic, C first."""

_PROFILES = {
    # Krumhansl & Kessler (1982), as in Krumhansl (1990), "Cognitive foundations of musical pitch", p. 30
    "krumhansl": (
        (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
    ),
    # Albrecht & Shanahan (2013), "The use of large corpora to train a new type of key-finding algorithm"
    "albrecht": (
        (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
        (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052),
    ),
    # Temperley (2007), "Music and probability", chapter 6 (Kostka-Payne corpus)
    "temperley": (
        (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400),
        (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330),
    ),
    # Sha'ath (2011), "Estimation of key in digital music recordings" (KeyFinder): made for pop and dance records
    "shaath": (
        (6.6, 2.0, 3.5, 2.3, 4.6, 4.0, 2.5, 5.2, 2.4, 3.7, 2.3, 3.4),
        (6.5, 2.7, 3.5, 5.4, 2.6, 3.5, 2.5, 5.2, 4.0, 2.7, 4.3, 3.2),
    ),
}

_WEIGHTS = {
    "krumhansl": 1.5,
    "albrecht": 1.65,
    "temperley": 1.35,
    "shaath": 2.2,
    "temperley_by_frame": 0.6,
    "bass_tonic": 1.35,
    "tonic": 1.2,
    "tonic_chord": 9.0,
    "dominant_chord": 4.3,
    "subdominant_chord": 7.4,
    "sixth_chord": 7.0,
    "second_chord": 8.6,
    "first_chord": 3.2,
}
"""How much each piece of evidence counts: a multinomial logistic model, fitted on rendered music
(benchmarks/fit_music_weights.py)."""

_TEMPERATURE = 1.3
"""Scores are divided by this before they become probabilities: music outside the fit is less clear than inside."""

_CHORD_S = 0.75


@dataclass(frozen=True, slots=True)
class Key:
    """A key and how sure it is.

    Attributes:
        tonic: Pitch class, C = 0.
        mode: "major" or "minor".
        confidence: 0 to 1: how probable the key is, lowered where the notes fit no key well.
        fit: Correlation of the pitch classes with the key's profile, -1 to 1.
        other: The next likely key, by name.
        majorness: -1 where minor is certain, 1 where major is; 0 where both are as likely.
        chroma: `(12,)` the pitch classes that were judged, C first, the strongest 1.
    """

    tonic: int
    mode: str
    confidence: float
    fit: float
    other: str
    majorness: float
    chroma: Array

    @property
    def name(self) -> str:
        """As in "A minor"."""
        return f"{NAMES[self.mode][self.tonic]} {self.mode}"


def find_key(pitches: Pitches) -> Key | None:
    """The most probable key; None when no pitched sound was found.

    Evidence: correlation with four published key profiles, the tonic's share of the bass, and how much of the time the
    key's own chords sound (template matching of triads, Fujishima 1999), the first chord counting extra.
    """
    level = pitches.chroma.sum(axis=1)
    if level.size == 0 or level.max() <= 0:
        return None
    evidence, chroma = key_evidence(pitches, level)
    score = np.zeros(24)
    for name, weight in _WEIGHTS.items():
        score += weight * evidence[name]
    order = np.argsort(-score, kind="stable")
    best = int(order[0])
    probable = np.exp((score - score[best]) / _TEMPERATURE)
    fit = float(evidence["albrecht"][best])
    confidence = float(probable[best] / probable.sum()) * float(np.clip((fit - 0.2) / 0.4, 0.05, 1.0))
    majorness = float(np.tanh((score[:12].max() - score[12:].max()) / 6.0))
    return Key(best % 12, _mode(best), confidence, fit, _name(int(order[1])), majorness, chroma)


def key_evidence(pitches: Pitches, level: Array) -> tuple[dict[str, Array], Array]:
    """Evidence by name, each `(24,)`: twelve major keys, then twelve minor ones; and the chroma."""
    total = pitches.chroma.sum(axis=0)
    chroma = total / total.max()
    root = np.sqrt(chroma)
    by_frame = (pitches.chroma / (level[:, None] + 0.1 * level.max())).sum(axis=0)
    low = pitches.bass.sum(axis=0)
    low = low / max(1e-9, float(low.max()))
    keys = np.arange(24)
    tonic, major = keys % 12, keys < 12
    sounding, heard = _chords(pitches.chroma, level)
    share = heard @ sounding

    def chord(step_major: int, minor_in_major: bool, step_minor: int, minor_in_minor: bool) -> Array:
        column = np.where(
            major,
            (tonic + step_major) % 12 + 12 * minor_in_major,
            (tonic + step_minor) % 12 + 12 * minor_in_minor,
        )
        return np.asarray(share[column], np.float64)

    first = np.flatnonzero(heard > 0.3 * heard.max())[0]
    evidence = {name: _correlation(root, name) for name in _PROFILES}
    evidence |= {
        "temperley_by_frame": _correlation(by_frame / by_frame.max(), "temperley"),
        "bass_tonic": low[tonic],
        "tonic": root[tonic],
        "tonic_chord": share,
        "dominant_chord": chord(7, False, 7, False),
        "subdominant_chord": chord(5, False, 5, True),
        "sixth_chord": chord(9, True, 8, False),
        "second_chord": chord(2, True, 3, False),
        "first_chord": sounding[first : first + 2].mean(axis=0),
    }
    return evidence, chroma


def _chords(chroma: Array, level: Array) -> tuple[Array, Array]:
    """Which triads sound, `(spans, 24)` shares that add to 1, and how much each span of `_CHORD_S` counts."""
    spans = max(1, int(chroma.shape[0] / (_CHORD_S * PITCH_RATE)))
    parts = np.stack([part.sum(axis=0) for part in np.array_split(chroma, spans)])
    parts /= np.linalg.norm(parts, axis=1, keepdims=True) + 1e-9
    triads = np.zeros((24, 12))
    for root in range(12):
        triads[root, [root, (root + 4) % 12, (root + 7) % 12]] = 3**-0.5
        triads[12 + root, [root, (root + 3) % 12, (root + 7) % 12]] = 3**-0.5
    match = parts @ triads.T
    sounding = np.exp(12.0 * (match - match.max(axis=1, keepdims=True)))
    sounding /= sounding.sum(axis=1, keepdims=True)
    loud = np.array([part.sum() for part in np.array_split(level, spans)])
    loud = np.minimum(loud, np.median(loud)) + 1e-9
    return sounding, loud / loud.sum()


def _correlation(chroma: Array, profile: str) -> Array:
    """Pearson correlation of pitch classes with a profile at each of the 24 keys."""
    deviation = chroma - chroma.mean()
    deviation = deviation / (np.linalg.norm(deviation) + 1e-12)
    rows = []
    for values in _PROFILES[profile]:
        shape = np.asarray(values) - np.mean(values)
        shape = shape / np.linalg.norm(shape)
        rows += [float(deviation @ np.roll(shape, tonic)) for tonic in range(12)]
    return np.asarray(rows)


def krumhansl_key(chroma: Array) -> str:
    """The plain method, to compare with: the best correlation of `(12,)` chroma with a Krumhansl-Kessler profile."""
    return _name(int(np.argmax(_correlation(chroma, "krumhansl"))))


def _mode(key: int) -> str:
    return "major" if key < 12 else "minor"


def _name(key: int) -> str:
    return f"{NAMES[_mode(key)][key % 12]} {_mode(key)}"
