"""Where a film's packets suggest cuts, before any of them is decoded.

A picture that can be made of none before it costs about as many bytes as a key frame. What its packet has more than
those around it therefore ranks the places of possible cuts: of the packets between two pictures that differ, the one
that exceeds its neighbours most lies at the cut in three to nine of ten cases, by encoder (rendered montages). Rule and
thresholds are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musiscene.media import Packets

AROUND = 4
"""Packets before and after one that it is compared with."""
MOST = 4
"""Leaps that are told of one part."""
APART_S = 0.6
"""Leaps closer together than this are one event: a flash has two, an encoder may need several packets for a cut."""
CLEAR, RATIO = 0.5, 3.0
"""A further leap counts with this share of the largest one's excess, and as many times as large as its neighbours."""
REGULAR = 0.98
"""A key frame sooner after the last one than this share of the longest interval was set for what is seen."""


@dataclass(frozen=True, slots=True)
class Leap:
    """A packet that stands out: when its picture begins, bytes above its neighbours, and times their size."""

    time_s: float
    excess: float
    ratio: float


class Leaps:
    """What stands out among the packets of one film."""

    def __init__(self, packets: Packets) -> None:
        self._packets = packets
        times = packets.times_s
        self._step_s = packets.step_s
        self._shown_s: NDArray[np.float64] = np.maximum.accumulate(times)
        keys = np.flatnonzero(packets.keys)
        gaps = np.diff(keys)
        self.early: NDArray[np.bool_] = np.zeros(len(times), dtype=bool)
        """Key frames that came sooner than they had to: the encoder took them for a new scene."""
        if len(gaps):
            self.early[keys[1:]] = gaps < REGULAR * gaps.max()

    def between(self, first: int, last: int) -> list[Leap]:
        """The packets behind `first` up to `last` that stand out from their neighbours, the clearest first."""
        packets = self._packets
        span = np.arange(first + 1, min(last + 1, len(packets.times_s)))
        inside = span[(~packets.light & (~packets.keys | self.early))[span]]
        if len(inside) < 3:
            return []
        sizes = packets.sizes[inside].astype(np.float64)
        padded = np.pad(sizes, AROUND, mode="reflect" if len(sizes) > AROUND else "edge")
        around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND + 1), axis=1)
        excess = sizes - around
        found: list[Leap] = []
        for k in np.argsort(-excess, kind="stable"):
            if excess[k] <= 0 or len(found) == MOST:
                break
            time_s = self._moment(int(inside[k]))
            if all(abs(time_s - leap.time_s) >= APART_S for leap in found):
                found.append(Leap(time_s, float(excess[k]), float(sizes[k] / max(1.0, around[k]))))
        return found

    def _moment(self, index: int) -> float:
        """When what is new in packet `index` is first seen: pictures that are shown before it may come after it."""
        time_s = float(self._packets.times_s[index])
        if self._packets.keys[index]:
            return time_s
        earliest_s = min(float(self._shown_s[index - 1]) + self._step_s, time_s)
        return (earliest_s + time_s) / 2


def further(found: list[Leap]) -> list[Leap]:
    """Of the leaps of one part those beside the clearest that may be cuts too."""
    return [leap for leap in found[1:] if leap.excess >= CLEAR * found[0].excess and leap.ratio >= RATIO]
