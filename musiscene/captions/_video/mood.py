"""A guess at what the picture feels like, on the plane of arousal and valence (Russell, "A circumplex model of
affect", 1980).

A heuristic of ours, not a measurement of anyone's feelings: what moves and is cut fast, is bright or strong in colour
is taken as arousing; bright, warm and colourful as pleasant, dark and cold as unpleasant. Fusion uses it to notice
when picture and music disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Mood:
    """Arousal and valence, each -1 to 1."""

    arousal: float
    valence: float


def guess_mood(
    *,
    motion_level: float,
    pace_cuts_per_min: float,
    brightness: float,
    contrast: float,
    warmth: float,
    saturation: float,
) -> Mood:
    """The heuristic; every input as in the evidence."""
    motion = 2 * float(np.clip(motion_level / 0.6, 0, 1)) - 1
    pace = 2 * float(np.clip(pace_cuts_per_min / 40, 0, 1)) - 1
    strength = 2 * float(np.clip(saturation / 0.7, 0, 1)) - 1
    arousal = 0.6 * motion + 0.25 * pace + 0.1 * strength + 0.05 * (2 * contrast - 1)
    light = 2 * float(np.clip(brightness / 0.75, 0, 1)) - 1
    valence = 0.5 * light + 0.25 * warmth * min(1.0, saturation / 0.3) + 0.25 * strength
    return Mood(float(np.clip(arousal, -1, 1)), float(np.clip(valence, -1, 1)))
