"""Where one shot ends and the next begins.

PySceneDetect's content score proposes; a proposal counts only when the new frame cannot be the old one after motion
and a change of light (`Reading.kinship`), and when the old picture does not come back at once (a flash). Fades are
found as short blank stretches, dissolves in `dissolves.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from musiscene.captions._video.dissolves import alike, find_dissolves
from musiscene.captions._video.reading import MOST_STEP_S, Reading
from musiscene.types import Job

LEAST_CHANGE = 7.5
"""Content score below which two neighbouring frames are not taken for two shots."""
MOST_KINSHIP = 0.65
"""Motion-compensated kinship above which they are one shot."""
LONE_CHANGE, LONE_KINSHIP = 20.0, 0.85
"""The same two for a jump that stands out alone, five times as large as its neighbours."""
FLASH_S = 0.5
"""A disturbance after which the old picture is back within this time is no cut."""
SAME_COLOURS = 0.8
"""Share of the colours that two pictures have in common, from which they may be one shot before and after a flash."""
LONG_BLANK_S = 2.0
"""A blank stretch up to this long is a transition, a longer one a shot of its own."""
COLLAPSE, DIP_S = 0.35, 0.6
"""In a fade contrast falls below this share of what it was, within this time before and after."""
SHORTEST_SHOT_S = 0.2
LEAST_TESTED, TESTED_S = 4, 0.25
"""Further moments at which the file suggests cuts are believed when this many of their kind were looked at and half of
them proved to be cuts, within this time."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A change of shot: its moment (the middle of a gradual one) and its kind, "cut", "fade" or "dissolve".

    One that was not `seen` lies in a part of a long film that was left out: the pictures around that part tell that
    there is one, the file's packets where.
    """

    time_s: float
    kind: str
    seen: bool = True


def find_cuts(reading: Reading, job: Job | None = None) -> list[Cut]:
    """All changes of shot, in order of time.

    Raises:
        Stopped: `job` was stopped.
    """
    if reading.frames < 3 or float(reading.thumbs.std(axis=0).max()) < 1.0:
        return []
    finder = _Finder(reading)
    hard, flashes = finder.without_flashes(finder.hard())
    fades, hard = finder.fades(hard, flashes)
    cuts = [*(finder.cut(i) for i in hard), *fades]
    known_s = [*(cut.time_s for cut in cuts), *(float(reading.times_s[i]) for i in flashes)]
    dips = finder.dips(known_s)
    cuts, known_s = cuts + dips, known_s + [cut.time_s for cut in dips]
    fades_s = [cut.time_s for cut in cuts if cut.kind == "fade"]
    dissolves = find_dissolves(reading, finder.blank, known_s, fades_s, job or Job())
    cuts += [Cut(time_s, "dissolve") for time_s in dissolves]
    cuts += finder.further(cuts)
    return [finder.placed(cut) for cut in _spaced(sorted(cuts, key=lambda cut: cut.time_s))]


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
    def __init__(self, reading: Reading) -> None:
        self._r, self._t = reading, reading.times_s
        pixels = reading.thumbs.reshape(reading.frames, -1, 3)
        self._mean = pixels.mean(axis=1, dtype=np.float32)
        self._spread = _spread(pixels)
        bright = self._mean.max(axis=1)
        # Dark and white screens carry more coding noise than their colour shows; other colours must be truly even.
        self._at_the_end = (bright < 14) | (self._mean.min(axis=1) > 240)
        self.blank: NDArray[np.bool_] = self._spread < np.where(self._at_the_end, 5.0, 2.0)

    def hard(self) -> list[int]:
        """Frames that look like the first of a new shot."""
        r = self._r
        kinship = r.kinship.copy()
        # Two pictures of which one has no structure are compared by their colours alone.
        flat = np.minimum(self._spread[1:], self._spread[:-1]) < 10
        for i in np.flatnonzero(flat & (r.change[1:] >= LONE_CHANGE)) + 1:
            apart = np.abs(r.thumbs[i].astype(np.int16) - r.thumbs[i - 1]).mean()
            kinship[i] = 0.0 if apart > 10 else kinship[i]
        around = np.maximum(_shifted(r.change, 1), _shifted(r.change, -1))
        alone = (r.change >= LONE_CHANGE) & (r.change > 5 * around) & (kinship < LONE_KINSHIP)
        new = ((kinship < MOST_KINSHIP) & (r.change >= LEAST_CHANGE)) | alone
        return [int(i) for i in np.flatnonzero(new) if i > 0]

    def cut(self, i: int) -> Cut:
        """The cut that frame `i` is the first seen behind: in a part left out, where the file suggests it."""
        if not self._left_out(i):
            return Cut(float(self._t[i]), "cut")
        within = [time_s for time_s in self._r.leaps_s if self._t[i - 1] < time_s < self._t[i]]
        return Cut(within[-1] if within else float(self._t[i]), "cut", seen=False)

    def placed(self, cut: Cut) -> Cut:
        """A hard cut between two pictures that were read, in the middle of the time from the file's frame that followed
        the first of them: until here it lies at the second.
        """
        if cut.kind != "cut" or not cut.seen or not self._r.frame_s:
            return cut
        i = int(np.searchsorted(self._t, cut.time_s - 1e-6))
        earliest_s = min(float(self._t[i - 1]) + self._r.frame_s, cut.time_s)
        return replace(cut, time_s=(earliest_s + cut.time_s) / 2)

    def further(self, cuts: list[Cut]) -> list[Cut]:
        """More cuts in the parts left out that hold one, where the file's hints proved right in what was looked at."""
        known_s = np.array([cut.time_s for cut in cuts])
        tested = [known_s.size and np.abs(known_s - time_s).min() < TESTED_S for time_s in self._r.tested_s]
        if len(tested) < LEAST_TESTED or sum(map(bool, tested)) < len(tested) / 2:
            return []
        found = []
        for time_s in self._r.further_s:
            i = int(np.searchsorted(self._t, time_s - 1e-3))
            inside = 0 < i < self._r.frames and (known_s > self._t[i - 1]) & (known_s <= self._t[i])
            if np.any(inside):
                found.append(Cut(time_s, "cut", seen=False))
        return found

    def _left_out(self, i: int) -> bool:
        """Whether a part of the film in front of frame `i` was left out."""
        return self._r.share < 1.0 and bool(self._t[i] - self._t[i - 1] > MOST_STEP_S)

    def without_flashes(self, frames: list[int]) -> tuple[list[int], list[int]]:
        """The frames that begin a shot, and those that only begin or end a disturbance."""
        left, kept, flashes = list(frames), [], []
        while left:
            first = left.pop(0)
            last = self._end_of_flash(first)
            if last is None:
                kept.append(first)
                continue
            flashes += [first, *(i for i in left if i <= last)]
            left = [i for i in left if i > last]
        return kept, flashes

    def _end_of_flash(self, first: int) -> int | None:
        """The frame at which the picture from before `first` is back, if it comes back soon."""
        start, end = np.searchsorted(self._t, [self._t[first] - FLASH_S / 2, self._t[first] + FLASH_S])
        # In a fade the frames next to the blank one are faint and look alike: compare with a full picture.
        start = min(int(start), first - 1)
        # What lies behind a part that was left out did not come soon.
        reach = range(first + 1, min(int(end), self._r.frames - 1) + 1)
        end = next((k - 1 for k in reach if self._left_out(k)), end)
        before = start + int(np.argmax(self._spread[start:first]))
        flashed = self._mean[first].mean() - self._mean[before].mean() > 25
        for after in range(min(int(end), self._r.frames - 1), first, -1):
            if self._spread[after] < 0.6 * self._spread[before]:
                continue
            pictures = self._r.thumbs[before], self._r.thumbs[after]
            # Things that move fast are not where they were, but their colours are.
            if alike(*pictures) or (flashed and common_colours(*pictures) > SAME_COLOURS):
                return after
        return None

    def fades(self, hard: list[int], flashes: list[int]) -> tuple[list[Cut], list[int]]:
        """Transitions through a blank picture, and the hard cuts that are not part of one."""
        cuts: list[Cut] = []
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.blank, [False]]).astype(int)))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            inside = [i for i in hard if start <= i <= stop]
            if start == 0 or stop == self._r.frames:
                hard = [i for i in hard if i not in inside]
                continue
            # Before a part that was left out, the last picture that was seen ends the stretch.
            end_s = float(self._t[stop - 1 if self._left_out(stop) else stop])
            length_s = end_s - float(self._t[start])
            if length_s > LONG_BLANK_S:
                for edge in (start, stop):
                    if not any(abs(i - edge) <= 2 for i in hard):
                        cuts.append(Cut(float(self._t[edge]), "fade"))
                continue
            if not self._at_the_end[start] and inside:
                continue  # a plain coloured picture that a hard cut opens or closes
            hard = [i for i in hard if i not in inside]
            flashed = any(start <= i <= stop for i in flashes)
            if length_s > FLASH_S or not (flashed or self._returns(int(start), int(stop))):
                cuts.append(Cut((float(self._t[start]) + end_s) / 2, "fade"))
        return cuts, hard

    def dips(self, known_s: list[float]) -> list[Cut]:
        """Fades that turn back before the picture is blank: its contrast collapses and another picture comes up."""
        cuts: list[Cut] = []
        for i in np.flatnonzero(self._spread < 0.5 * np.median(self._spread)):
            time_s = float(self._t[i])
            near = slice(*np.searchsorted(self._t, [time_s - 0.25, time_s + 0.25]))
            if self._spread[i] > self._spread[near].min() or any(abs(time_s - known) < 0.5 for known in known_s):
                continue
            before, after = (int(k) for k in np.searchsorted(self._t, [time_s - DIP_S, time_s + DIP_S]))
            # Long clips are read thinly: then there is nothing between two moments to tell a fade by.
            if before == 0 or after >= self._r.frames or not before < i < after:
                continue
            rims = self._spread[before:i].max(), self._spread[i + 1 : after + 1].max()
            if self._spread[i] > COLLAPSE * min(rims) or min(rims) < 12:
                continue
            pictures = self._r.thumbs[before], self._r.thumbs[after]
            if not alike(*pictures) and common_colours(*pictures) < SAME_COLOURS:
                cuts.append(Cut(time_s, "fade"))
                known_s = [*known_s, time_s]
        return cuts

    def _returns(self, start: int, stop: int) -> bool:
        """Whether the picture before the blank stretch is the one after it."""
        first, last = np.searchsorted(self._t, [self._t[start] - FLASH_S, self._t[stop] + FLASH_S])
        first = min(int(first), start - 1)
        before = first + int(np.argmax(self._spread[first:start]))
        after = stop + int(np.argmax(self._spread[stop : max(stop + 1, int(last))]))
        pictures = self._r.thumbs[before], self._r.thumbs[after]
        return alike(*pictures) or common_colours(*pictures) > SAME_COLOURS


def common_colours(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Share of the colours, in eighths of each channel, that two thumbnails have in common, 0 to 1."""
    counts = [np.bincount(_codes(picture), minlength=512) for picture in (a, b)]
    return float(np.minimum(*counts).sum() / counts[0].sum())


def _codes(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    steps = (picture.reshape(-1, 3) >> 5).astype(np.int64)
    return steps[:, 0] * 64 + steps[:, 1] * 8 + steps[:, 2]


def _spread(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Largest standard deviation of the three channels for each frame; in parts, to spare memory."""
    parts = [part.std(axis=1, dtype=np.float32).max(axis=1) for part in np.array_split(pixels, 1 + len(pixels) // 2000)]
    return np.concatenate(parts).astype(np.float32)


def _shifted(values: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    moved = np.roll(values, by)
    if by > 0:
        moved[:by] = 0
    else:
        moved[by:] = 0
    return moved
