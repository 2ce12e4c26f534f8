"""Gradual changes from one picture to another.

In a dissolve every frame is a weighted mean of the last picture of one shot and the first of the next, the weight
runs from one to the other, and the contrast of details dips in between because they are mixed (the two properties
that published detectors rest on; see Lienhart, "Reliable Transition Detection in Videos", 2001). Motion breaks the
first property only gently at the size of thumbnails. Both count together here; the weights are ours.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from musiscene.captions._video.reading import Reading
from musiscene.types import Job

LENGTHS_S = (0.25, 0.4, 0.6, 0.9, 1.3, 2.0)
"""Lengths of time over which dissolves are looked for."""
UNRELATED = 0.5
"""Kinship below which two moments that lie half a second or more apart are two pictures."""
LEAST_MIXED = 0.65
"""Share of the difference of two pictures that their mixtures must explain."""
LEAST_SCORE = 0.76
"""That share plus half the dip in detail."""
MOST_BOND = 0.7
"""Kinship across the middle of a dissolve, at most."""
LEAST_CHANGED = 0.45
"""Share of the picture that must change: a dissolve is everywhere, a thing that passes is not."""
LEAST_STRUCTURE = 6.0
"""Standard deviation of brightness, in levels, that both pictures must have."""
APART_S = 0.5
"""Least time between a dissolve and another change."""


def find_dissolves(reading: Reading, blank: NDArray[np.bool_], known_s: list[float], job: Job) -> list[float]:
    """Times of the middles of dissolves.

    Args:
        blank: For each frame, whether it is of one colour.
        known_s: Times of other cuts, fades and flashes.

    Raises:
        Stopped: `job` was stopped.
    """
    finder = _Finder(reading, blank)
    found: list[tuple[float, float]] = []
    for stretch in finder.suspects(known_s):
        job.check()
        score, time_s = finder.best(stretch)
        if score >= LEAST_SCORE and all(abs(time_s - known) >= APART_S for known in known_s):
            found.append((score, time_s))
    kept: list[float] = []
    for _, time_s in sorted(found, reverse=True):
        if all(abs(time_s - other) > 0.8 for other in kept):
            kept.append(time_s)
    return sorted(kept)


class _Finder:
    def __init__(self, reading: Reading, blank: NDArray[np.bool_]) -> None:
        self._r, self._blank = reading, blank
        self._t = reading.times_s
        self._pixels = reading.thumbs.reshape(reading.frames, -1)
        self._short = [bond for bond in reading.bonds if bond.end_s - bond.start_s < 0.8]

    def suspects(self, known_s: list[float]) -> list[tuple[float, float]]:
        """Stretches of time over which the picture becomes another one without a known cut."""
        apart = []
        for bond in self._r.bonds:
            inside = any(bond.start_s - 0.05 <= known <= bond.end_s + 0.05 for known in known_s)
            ends_blank = self._blank[self._at(bond.start_s)] or self._blank[self._at(bond.end_s)]
            if bond.kinship < UNRELATED and not inside and not ends_blank:
                apart.append((bond.start_s, bond.end_s))
        runs: list[tuple[float, float]] = []
        for start, end in sorted(apart):
            if runs and start < runs[-1][1] and end - runs[-1][0] < 4.0:
                runs[-1] = runs[-1][0], max(end, runs[-1][1])
            else:
                runs.append((start, end))
        return runs

    def best(self, stretch: tuple[float, float]) -> tuple[float, float]:
        """The best explanation of a stretch as a dissolve: its score (0 is none) and its middle in seconds."""
        mixed, time_s = 0.0, 0.0
        for length_s in LENGTHS_S:
            for middle in np.arange(stretch[0] + 0.1, stretch[1] - 0.05, 0.1):
                a, b = self._at(float(middle) - length_s / 2), self._at(float(middle) + length_s / 2)
                if b - a < 4:
                    continue
                share, halfway = self._mixture(a, b)
                if share > mixed:
                    mixed, time_s = share, float(self._t[a] + halfway * (self._t[b] - self._t[a]))
        if mixed < LEAST_MIXED or self._bond_across(time_s) > MOST_BOND:
            return 0.0, 0.0
        return mixed + self._dip(time_s) / 2, time_s

    def _at(self, time_s: float) -> int:
        return min(int(np.searchsorted(self._t, time_s)), self._r.frames - 1)

    def _bond_across(self, time_s: float) -> float:
        """Mean kinship of moments on both sides of `time_s`, half a second apart."""
        across = [b.kinship for b in self._short if b.start_s < time_s - 0.1 and b.end_s > time_s + 0.1]
        across = [kinship for kinship in across if kinship == kinship]
        return float(np.mean(across)) if across else 0.0

    def _dip(self, time_s: float) -> float:
        """How much less detail there is around `time_s` than half a second before and after, as a share."""
        ends = (self._detail(time_s - 0.5) + self._detail(time_s + 0.5)) / 2
        middle = float(np.median([self._detail(time_s + by) for by in (-0.04, 0.0, 0.04)]))
        return float(np.clip(1 - middle / ends, -0.5, 0.5)) if ends > 1e-6 else 0.0

    def _detail(self, time_s: float) -> float:
        grey = self._r.thumbs[self._at(time_s)].astype(np.float32).mean(axis=2)
        return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())

    def _mixture(self, a: int, b: int) -> tuple[float, float]:
        """Share of the change from frame `a` to frame `b` that mixing them explains, and where the mix is half."""
        first, last = self._pixels[a].astype(np.float32), self._pixels[b].astype(np.float32)
        towards = last - first
        size = float(towards @ towards)
        if size / len(towards) < 8.0**2 or self._blank[a] or self._blank[b]:
            return 0.0, 0.0
        # A fade in from the dark, or something that comes before a plain ground, is no second picture.
        if min(_structure(self._r.thumbs[a]), _structure(self._r.thumbs[b])) < LEAST_STRUCTURE:
            return 0.0, 0.0
        if alike(self._r.thumbs[a], self._r.thumbs[b], least=0.6):
            return 0.0, 0.0
        between = np.unique(np.linspace(a, b, 9).astype(int))[1:-1]
        offset = self._pixels[between].astype(np.float32) - first
        weight = offset @ towards / size
        left = np.sqrt(np.square(offset - weight[:, None] * towards).sum(axis=1) / size)
        if weight.min() < -0.15 or weight.max() > 1.15 or np.diff(weight).min() < -0.1:
            return 0.0, 0.0
        # A jump is a hard cut that was judged before; a dissolve has frames truly in between.
        if float(np.diff(np.concatenate([[0], weight, [1]])).max()) > 0.6:
            return 0.0, 0.0
        mixed = 1.0 - float(left.mean())
        if mixed < LEAST_MIXED or _changed(first, last) < LEAST_CHANGED:
            return 0.0, 0.0
        times = (self._t[between] - self._t[a]) / (self._t[b] - self._t[a])
        return mixed, float(np.interp(0.5, np.maximum.accumulate(weight), times))


def _changed(first: NDArray[np.float32], last: NDArray[np.float32]) -> float:
    """Share of two flattened thumbnails that differs by more than a change of light (gain and offset) explains."""
    x, y = first.reshape(-1, 3), last.reshape(-1, 3)
    apart = np.zeros(len(x), dtype=np.float32)
    for channel in range(3):
        a, b = x[:, channel], y[:, channel]
        kept = np.ones(len(a), dtype=bool)
        for _ in range(3):  # least squares on the six tenths that fit best
            centre_a, centre_b = a[kept].mean(), b[kept].mean()
            spread = float(np.square(a[kept] - centre_a).sum())
            gain = float(((a[kept] - centre_a) * (b[kept] - centre_b)).sum()) / spread if spread > 1 else 1.0
            left = np.abs(b - centre_b - np.clip(gain, 0.5, 2.0) * (a - centre_a))
            kept = left <= np.quantile(left, 0.6)
        apart = np.maximum(apart, left)
    return float((apart > 10).mean())


def _structure(thumb: NDArray[np.uint8]) -> float:
    """Standard deviation of the brightness of a thumbnail, in levels."""
    return float(thumb.mean(axis=2).std())


def alike(a: NDArray[np.uint8], b: NDArray[np.uint8], least: float = 0.8) -> bool:
    """Whether two thumbnails show the same picture, up to a small shift and a change of light."""
    height, width = a.shape[:2]
    inner = a[2 : height - 2, 4 : width - 4]
    return float(cv2.matchTemplate(b, inner, cv2.TM_CCOEFF_NORMED).max()) >= least
