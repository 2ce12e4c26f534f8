"""How a clip goes on from its beginning to its end: motion, light and pace in thirds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

CLEAR_MOTION = 0.12
"""Difference of mean motion between two thirds from which it is told."""


@dataclass(frozen=True, slots=True)
class Development:
    """Mean motion (0 to 1), brightness (0 to 1) and number of cuts in the first, second and last third.

    Attributes:
        word: "building", "calming", "swelling" (most in the middle), "dipping", "quickening", "slowing" or "even".
    """

    motion: tuple[float, float, float]
    brightness: tuple[float, float, float]
    cuts: tuple[int, int, int]
    word: str

    def evidence(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "development": {
                "word": self.word,
                "motion_thirds": [round(v, 3) for v in self.motion],
                "brightness_thirds": [round(v, 3) for v in self.brightness],
                "cuts_thirds": list(self.cuts),
            }
        }


def measure_development(
    curve: tuple[float, ...], brightness: tuple[float, float, float], cuts_s: list[float], duration_s: float
) -> Development:
    """Development of a clip from its motion curve, its brightness in thirds and its cuts."""
    parts = [float(np.mean(part)) if part.size else 0.0 for part in np.array_split(np.array(curve), 3)]
    edges = np.linspace(0, max(duration_s, 1e-6), 4)
    counts = np.histogram(np.clip(cuts_s, 0, duration_s), bins=edges)[0] if cuts_s else np.zeros(3, int)
    motion, cuts = (parts[0], parts[1], parts[2]), (int(counts[0]), int(counts[1]), int(counts[2]))
    return Development(motion, brightness, cuts, _word(motion, cuts, duration_s))


def _word(motion: tuple[float, float, float], cuts: tuple[int, int, int], duration_s: float) -> str:
    first, middle, last = motion
    if duration_s < 3:
        return "even"
    if last - first > CLEAR_MOTION and middle >= first - 0.05:
        return "building"
    if first - last > CLEAR_MOTION and middle <= first + 0.05:
        return "calming"
    if middle - max(first, last) > CLEAR_MOTION:
        return "swelling"
    if min(first, last) - middle > CLEAR_MOTION:
        return "dipping"
    if sum(cuts) >= 6 and cuts[2] >= 2 * max(1, cuts[0]):
        return "quickening"
    if sum(cuts) >= 6 and cuts[0] >= 2 * max(1, cuts[2]):
        return "slowing"
    return "even"
