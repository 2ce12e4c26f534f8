"""Where one shot ends and the next begins.

PySceneDetect's content score proposes; a proposal counts only when the new frame cannot be the old one after motion
and a change of light (`Reading.kinship`), and when the old picture does not come back at once (a flash). Fades are
found as short blank stretches, dissolves by their definition: every frame is a weighted mean of the last picture of
one shot and the first of the next (Lienhart, "Reliable Transition Detection in Videos", 2001, surveys such models).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from musiscene.captions._video.reading import Reading
from musiscene.types import Job

LEAST_CHANGE = 8.0
"""Content score below which two neighbouring frames are not taken for two shots."""
MOST_KINSHIP = 0.65
"""Motion-compensated correlation above which they are one shot."""
FLASH_S = 0.5
"""A disturbance after which the old picture is back within this time is no cut."""
BLANK_SPREAD = 6.0
"""Standard deviation, in levels, below which a picture is blank (one colour)."""
LONG_BLANK_S = 2.0
"""A blank stretch up to this long is a transition, a longer one a shot of its own."""
DISSOLVE_S = (0.25, 0.5, 0.8, 1.2, 2.0)
"""Lengths of time over which dissolves are looked for."""
SHORTEST_SHOT_S = 0.2


@dataclass(frozen=True, slots=True)
class Cut:
    """A change of shot: its moment (the middle of a gradual one) and its kind, "cut", "fade" or "dissolve"."""

    time_s: float
    kind: str


def find_cuts(reading: Reading, job: Job | None = None) -> list[Cut]:
    """All changes of shot, in order of time.

    Raises:
        Stopped: `job` was stopped.
    """
    if reading.frames < 3:
        return []
    finder = _Finder(reading, job or Job())
    hard = finder.without_flashes(finder.hard())
    fades, hard = finder.fades(hard)
    cuts = [*(Cut(float(reading.times_s[i]), "cut") for i in hard), *fades]
    cuts += finder.dissolves([cut.time_s for cut in cuts])
    return _spaced(sorted(cuts, key=lambda cut: cut.time_s))


def _spaced(cuts: list[Cut]) -> list[Cut]:
    """Cuts closer together than the shortest shot become one: the first hard one, else the first."""
    kept: list[Cut] = []
    for cut in cuts:
        if kept and cut.time_s - kept[-1].time_s < SHORTEST_SHOT_S:
            if kept[-1].kind != "cut" and cut.kind == "cut":
                kept[-1] = cut
            continue
        kept.append(cut)
    return kept


class _Finder:
    def __init__(self, reading: Reading, job: Job) -> None:
        self._job = job
        self._r = reading
        self._t = reading.times_s
        pixels = reading.thumbs.reshape(reading.frames, -1, 3).astype(np.float32)
        self._mean = pixels.mean(axis=1)
        self._spread = pixels.std(axis=1).max(axis=1)
        self._blank = self._spread < BLANK_SPREAD
        self._pixels = reading.thumbs.reshape(reading.frames, -1)

    def hard(self) -> list[int]:
        """Frames that look like the first of a new shot."""
        r = self._r
        kinship = r.kinship.copy()
        # Two pictures without structure are compared by colour alone.
        apart = np.zeros(r.frames)
        apart[1:] = np.abs(np.diff(self._mean, axis=0)).max(axis=1)
        flat = np.zeros(r.frames, dtype=bool)
        flat[1:] = (self._spread[1:] < 10) | (self._spread[:-1] < 10)
        kinship[flat & (apart > 25)] = 0.0
        return [int(i) for i in np.flatnonzero((kinship < MOST_KINSHIP) & (r.change >= LEAST_CHANGE)) if i > 0]

    def without_flashes(self, frames: list[int]) -> list[int]:
        """Drop what begins and ends a disturbance after which the old picture is back."""
        left, kept = list(frames), []
        while left:
            first = left.pop(0)
            last = self._end_of_flash(first)
            if last is None:
                kept.append(first)
            else:
                left = [i for i in left if i > last]
        return kept

    def _end_of_flash(self, first: int) -> int | None:
        before = first - 1
        end = int(np.searchsorted(self._t, self._t[first] + FLASH_S, side="right"))
        for after in range(min(end, self._r.frames) - 1, first, -1):
            if self._blank[after] and not self._blank[before]:
                continue
            if alike(self._r.thumbs[before], self._r.thumbs[after]):
                return after
        return None

    def fades(self, hard: list[int]) -> tuple[list[Cut], list[int]]:
        """Transitions through a blank picture, and the hard cuts that are not part of one."""
        cuts: list[Cut] = []
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self._blank, [False]]).astype(int)))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            inside = [i for i in hard if start <= i <= stop]
            if start == 0 or stop == self._r.frames:
                hard = [i for i in hard if i not in inside]
                continue
            length_s = float(self._t[stop] - self._t[start])
            if length_s > LONG_BLANK_S:
                for edge in (start, stop):
                    if not any(abs(i - edge) <= 2 for i in hard):
                        cuts.append(Cut(float(self._t[edge]), "fade"))
                continue
            hard = [i for i in hard if i not in inside]
            if length_s <= FLASH_S and self._returns(start, stop):
                continue
            cuts.append(Cut(float(self._t[start] + self._t[stop]) / 2, "fade"))
        return cuts, hard

    def _returns(self, start: int, stop: int) -> bool:
        """Whether the picture before the blank stretch is the one after it."""
        before = self._r.thumbs[max(0, start - 2)]
        for after in range(stop, min(stop + 8, self._r.frames)):
            if alike(before, self._r.thumbs[after]):
                return True
        return False

    def dissolves(self, known_s: list[float]) -> list[Cut]:
        """Gradual changes from one picture to another, away from the cuts at `known_s`."""
        found: list[tuple[float, float, float]] = []
        for length_s in DISSOLVE_S:
            stride = max(1, int(length_s / 8 / max(1e-3, float(np.median(np.diff(self._t))))))
            for a in range(0, self._r.frames - 2, stride):
                if a % 64 == 0:
                    self._job.check()
                b = int(np.searchsorted(self._t, self._t[a] + length_s))
                if b >= self._r.frames:
                    break
                if b - a < 4 or any(self._t[a] - 0.05 <= k <= self._t[b] + 0.05 for k in known_s):
                    continue
                score, middle = self._mix(a, b)
                if score > 0:
                    found.append((score, float(self._t[a] + middle * (self._t[b] - self._t[a])), length_s))
        found.sort(reverse=True)
        kept: list[tuple[float, float]] = []
        for score, time_s, length_s in found:
            if all(abs(time_s - other) > max(0.5, length_s / 2) for _, other in kept):
                kept.append((score, time_s))
        return [Cut(time_s, "dissolve") for _, time_s in kept]

    def _mix(self, a: int, b: int) -> tuple[float, float]:
        """How well the frames between `a` and `b` are mixtures of these two; 0 when they are no two pictures."""
        first, last = self._pixels[a].astype(np.float32), self._pixels[b].astype(np.float32)
        towards = last - first
        size = float(towards @ towards)
        if size / len(towards) < 12.0**2 or self._blank[a] or self._blank[b]:
            return 0.0, 0.0
        if alike(self._r.thumbs[a], self._r.thumbs[b], least=0.55):
            return 0.0, 0.0
        between = np.unique(np.linspace(a, b, 11).astype(int))[1:-1]
        offset = self._pixels[between].astype(np.float32) - first
        share = offset @ towards / size
        left = np.sqrt(np.square(offset - share[:, None] * towards).sum(axis=1) / size)
        if share.min() < -0.15 or share.max() > 1.15 or np.diff(share).min() < -0.1:
            return 0.0, 0.0
        # A jump is a hard cut that was judged before; a dissolve has frames truly in between.
        if float(np.diff(np.concatenate([[0], share, [1]])).max()) > 0.6:
            return 0.0, 0.0
        halfway = np.interp(
            0.5, np.maximum.accumulate(share), (self._t[between] - self._t[a]) / (self._t[b] - self._t[a])
        )
        worst = float(np.sort(left)[-2:].mean())
        return max(0.0, 0.25 - worst), float(halfway)


def alike(a: NDArray[np.uint8], b: NDArray[np.uint8], least: float = 0.8) -> bool:
    """Whether two thumbnails show the same picture, up to a small shift and a change of light."""
    height, width = a.shape[:2]
    inner = a[2 : height - 2, 4 : width - 4]
    return float(cv2.matchTemplate(b, inner, cv2.TM_CCOEFF_NORMED).max()) >= least
