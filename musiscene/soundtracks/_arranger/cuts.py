"""Which of the picture's cuts matter most: the music's sections and accents go to those first."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median

import numpy as np

_AROUND_S = 1.5
"""Motion is compared over this long before and after a cut."""


def importance(cuts_s: tuple[float, ...], motion: tuple[float, ...], duration_s: float) -> tuple[float, ...]:
    """How much each cut (ascending) matters, 0 to 1: most where a long shot begins or ends and the motion changes."""
    if not cuts_s:
        return ()
    edges = (0.0, *cuts_s, duration_s)
    shots = [max(0.0, after - before) for before, after in pairwise(edges)]
    usual = max(median(shots), 1e-3)
    found = []
    for index, cut in enumerate(cuts_s):
        longer = max(shots[index], shots[index + 1]) / usual
        weight = 0.35 + 0.35 * min(1.0, max(0.0, longer - 1.0) / 1.5)
        found.append(weight + 0.3 * _change(cut, motion, duration_s))
    return tuple(found)


def _change(cut: float, motion: tuple[float, ...], duration_s: float) -> float:
    """How differently things move before and after, 0 to 1."""
    if len(motion) < 8 or duration_s <= 0:
        return 0.0
    values = np.clip(np.nan_to_num(np.asarray(motion, dtype=np.float64)), 0.0, 1.0)
    spread = float(values.max() - values.min())
    at = cut / duration_s * len(values)
    width = max(1, math.ceil(_AROUND_S / duration_s * len(values)))
    before, after = values[max(0, int(at) - width) : int(at)], values[int(at) : int(at) + width]
    if spread < 0.05 or not len(before) or not len(after):
        return 0.0
    return float(min(1.0, abs(after.mean() - before.mean()) / spread))
