"""Gradual changes from one picture to another.

In a dissolve every frame is a weighted mean of the last picture of one shot and the first of the next, the weight
runs from one to the other, and the contrast of details dips in between because they are mixed (the two properties
that published detectors rest on; see Lienhart, "Reliable Transition Detection in Videos", 2001). Moving shots break
the first property in small pictures and less so in tiny, blurred ones; but each shot stays akin to itself along its
own motion, and the two are not akin to each other. A logistic model weighs all of it; it was fitted on rendered
montages and on real clips of things that move (`benchmarks/captions_video.py` measures on other seeds).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from musiscene.captions._video.reading import Reading
from musiscene.types import Job

LENGTHS_S = (0.4, 0.6, 0.9, 1.3, 1.8)
"""Lengths of time over which dissolves are looked for."""
STEP_S = 0.15
UNRELATED = 0.5
"""Kinship below which two moments that lie half a second or more apart are two pictures."""
TINY = (8, 6)
"""Width and height of the blurred pictures, in which motion matters little."""
LEAST_FINE, LEAST_COARSE = 0.3, 0.5
"""Share of the change of small and of tiny pictures that mixing must explain; below it is no dissolve."""
LEAST_SCORE = 1.75
"""Log-odds from which a change is called a dissolve."""
FROM_CUT_S, FROM_FADE_S, FROM_BLANK_S = 0.1, 0.5, 0.4
"""Least time between a dissolve and a cut, a fade or a blank picture: near those, ramps of light look alike."""
APART_S = 1.0
"""Least time between the middles of two dissolves."""
_UNKNOWN = {"across": 0.7, "far_across": 0.5, "before": 0.7, "after": 0.7}
"""Kinships that are taken where none could be measured."""

_WEIGHTS = {
    "coarse": 4.98,
    "fine": 5.139,
    "towards": 0.766,
    "across": -2.815,
    "far_across": -1.902,
    "before": 1.643,
    "after": 0.772,
    "changed": 3.071,
    "alike": -1.706,
    "leap": -6.713,
    "back": -8.556,
    "dip": 1.977,
    "structure": -0.9,
    "length": 0.289,
}
"""Evidence -> its weight: shares explained by mixing in tiny and in small pictures; how much the tiny ones change
(in 40 levels); kinship across the middle over half a second and over one and a half; kinship within the shots before
and after; share of the picture that changes; likeness of both ends up to a shift; largest step and largest step back
of the mix; dip in detail; structure (in 15 levels); length (logarithm of seconds)."""
_BIAS = -6.695


def find_dissolves(
    reading: Reading, blank: NDArray[np.bool_], known_s: list[float], fades_s: list[float], job: Job
) -> list[float]:
    """Times of the middles of dissolves.

    Args:
        reading: The pass over the picture.
        blank: For each frame, whether it is of one colour.
        known_s: Times of other cuts, fades and flashes.
        fades_s: Those of them that are fades.
        job: May stop the work.

    Raises:
        Stopped: `job` was stopped.
    """
    finder = _Finder(reading, blank, known_s, fades_s)
    found: list[tuple[float, float]] = []
    for stretch in finder.suspects():
        job.check()
        found += finder.scored(stretch)
    kept: list[float] = []
    for _, time_s in sorted(found, reverse=True):
        if all(abs(time_s - other) > APART_S for other in kept):
            kept.append(time_s)
    return sorted(kept)


class _Finder:
    def __init__(self, reading: Reading, blank: NDArray[np.bool_], known_s: list[float], fades_s: list[float]) -> None:
        self._r, self._blank, self._t = reading, blank, reading.times_s
        self._known, self._fades = np.array(known_s), np.array(fades_s)
        self._blank_s = reading.times_s[blank]
        self._small = reading.thumbs.reshape(reading.frames, -1)
        self._tiny: dict[int, NDArray[np.float32]] = {}
        bonds = [bond for bond in reading.bonds if bond.kinship == bond.kinship]
        self._from = np.array([bond.start_s for bond in bonds])
        self._to = np.array([bond.end_s for bond in bonds])
        self._kin = np.array([bond.kinship for bond in bonds])
        self._short = self._to - self._from < 0.8

    def suspects(self) -> list[tuple[float, float]]:
        """Stretches of time over which the picture becomes another one without a known cut."""
        apart = []
        for bond in self._r.bonds:
            inside = bool(np.any((self._known >= bond.start_s - 0.05) & (self._known <= bond.end_s + 0.05)))
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

    def scored(self, stretch: tuple[float, float]) -> list[tuple[float, float]]:
        """Explanations of a stretch as a dissolve that are good enough: log-odds and middle in seconds of each."""
        found = []
        for middle in np.arange(stretch[0] + 0.1, stretch[1] - 0.05, STEP_S):
            for length_s in LENGTHS_S:
                if self._clear(float(middle), length_s):
                    score = self._score(float(middle), length_s)
                    if score > LEAST_SCORE:
                        found.append((score, float(middle)))
        return found

    def _clear(self, middle: float, length_s: float) -> bool:
        """Whether no cut, fade or blank picture is too near."""
        limits = ((self._known, FROM_CUT_S), (self._fades, FROM_FADE_S), (self._blank_s, FROM_BLANK_S))
        return all(not len(at) or float(np.abs(at - middle).min()) - length_s / 2 > least for at, least in limits)

    def _score(self, middle: float, length_s: float) -> float:
        """Log-odds that there is a dissolve of this length around `middle`; -inf where it cannot be."""
        a, b = self._at(middle - length_s / 2), self._at(middle + length_s / 2)
        if b - a < 4:
            return -np.inf
        between = np.unique(np.linspace(a, b, 9).astype(int))[1:-1]
        first, last = self._small[a].astype(np.float32), self._small[b].astype(np.float32)
        fine, back, _, _ = _mixture(first, last, self._small[between].astype(np.float32))
        if fine < LEAST_FINE:
            return -np.inf
        tiny = np.stack([self._tiny_at(int(k)) for k in between])
        coarse, _, leap, towards = _mixture(self._tiny_at(a), self._tiny_at(b), tiny)
        if coarse < LEAST_COARSE:
            return -np.inf
        ends = self._r.thumbs[a], self._r.thumbs[b]
        evidence = {
            "coarse": coarse,
            "fine": fine,
            "towards": min(towards / 40.0, 1.2),
            "alike": likeness(*ends),
            "leap": min(leap, 0.8),
            "back": float(np.clip(back, -0.3, 0.1)),
            "dip": self._dip(middle),
            "structure": min(1.0, min(_structure(end) for end in ends) / 15.0),
            "length": float(np.log(length_s)),
            **self._kinships(middle, length_s),
        }
        score = _BIAS + sum(_WEIGHTS[name] * value for name, value in evidence.items())
        # What has changed is dear to measure, and a share of at most 1: spared where even that would not suffice.
        if score + _WEIGHTS["changed"] <= LEAST_SCORE:
            return -np.inf
        return score + _WEIGHTS["changed"] * _changed(first, last)

    def _kinships(self, middle: float, length_s: float) -> dict[str, float]:
        """Kinship across the middle, over a short and a long time, and within what lies before and after."""
        first, last = middle - length_s / 2, middle + length_s / 2
        chosen = {
            "across": self._short & (self._from < middle - 0.1) & (self._to > middle + 0.1),
            "far_across": ~self._short & (self._from < middle - 0.3) & (self._to > middle + 0.3),
            "before": self._short & (self._to > first - 1.0) & (self._to <= first + 0.15),
            "after": self._short & (self._from >= last - 0.15) & (self._from < last + 1.0),
        }
        return {name: float(self._kin[of].mean()) if of.any() else _UNKNOWN[name] for name, of in chosen.items()}

    def _at(self, time_s: float) -> int:
        return min(int(np.searchsorted(self._t, time_s)), self._r.frames - 1)

    def _tiny_at(self, index: int) -> NDArray[np.float32]:
        """Frame `index`, blurred and tiny, flattened."""
        if index not in self._tiny:
            blurred = cv2.GaussianBlur(self._r.thumbs[index].astype(np.float32), (0, 0), 2.5)
            self._tiny[index] = np.asarray(cv2.resize(blurred, TINY, interpolation=cv2.INTER_AREA).reshape(-1))
        return self._tiny[index]

    def _dip(self, time_s: float) -> float:
        """How much less detail there is around `time_s` than half a second before and after, as a share."""
        ends = (self._detail(time_s - 0.5) + self._detail(time_s + 0.5)) / 2
        middle = float(np.median([self._detail(time_s + by) for by in (-0.04, 0.0, 0.04)]))
        return float(np.clip(1 - middle / ends, -0.5, 0.5)) if ends > 1e-6 else 0.0

    def _detail(self, time_s: float) -> float:
        grey = self._r.thumbs[self._at(time_s)].astype(np.float32).mean(axis=2)
        return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())


def _mixture(
    first: NDArray[np.float32], last: NDArray[np.float32], between: NDArray[np.float32]
) -> tuple[float, float, float, float]:
    """Whether the pictures `between` are mixtures of `first` and `last`, all flattened.

    Returns:
        Share of the change that mixing explains; the least and the largest step of the mix, which runs from 0 to 1;
        and how far apart the ends are, in levels.
    """
    towards = last - first
    size = float(towards @ towards)
    if size / len(towards) < 1.0:
        return 0.0, 0.0, 9.0, 0.0
    offset = between - first
    weight = offset @ towards / size
    left = np.sqrt(np.square(offset - weight[:, None] * towards).sum(axis=1) / size)
    steps = np.diff(np.concatenate([[0.0], weight, [1.0]]))
    return 1.0 - float(left.mean()), float(steps.min()), float(steps.max()), float(np.sqrt(size / len(towards)))


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
    return likeness(a, b) >= least


def likeness(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Correlation of two thumbnails at the small shift that suits them best, -1 to 1."""
    height, width = a.shape[:2]
    inner = a[2 : height - 2, 4 : width - 4]
    return float(cv2.matchTemplate(b, inner, cv2.TM_CCOEFF_NORMED).max())
