"""Which parts of a film are looked at when decoding all of it would take too long.

A film is taken in parts that begin at key frames (here: units). Units in which something may have happened unseen are
read whole as far as a fixed amount of work allows: the next unit begins with a picture that motion cannot make of this
one's, or a packet is nearly as large as a key frame, as at a cut. Where one packet alone tells the place of the change
(`leaps.py`) decoding finds little more, so that such units come last. The others are looked at for a moment at their
beginning, and what is left of the work goes to some of them, evenly spread. The amount depends on the file alone, so
that a clip always gets the same caption. The rules and thresholds are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from musiscene import media
from musiscene.captions._video.flow import Flow
from musiscene.captions._video.leaps import CLEAR, RATIO, Leap, Leaps, further
from musiscene.media import Packets, Stretch
from musiscene.types import Clip, Job

MOST_WORK = 14_000.0
"""What may be decoded, in H.264 pictures of 1920 by 1080 without residue (see `Packets.work`)."""
LEAST_UNITS, MOST_UNITS = 12, 1000
LEAST_UNIT_S = 0.5
KEYS_DECODED, KEY_SHARE = 2, 0.5
"""Times that a unit's first picture is decoded, and the most of the work that may go into that."""
DOUBTFUL, DOUBT_SHARE = 0.3, 0.75
"""Doubt from which a unit is read whole, and the most of the work that may go into that."""
LOOK_S, LOOK_SHARE = 0.75, 0.5
"""How long the other units are looked at, and the most of what is left that may go into that."""
LONGEST_UNIT_SHARE = 0.1
"""Share of the work that one unit may take; longer ones are read up to there."""
CHANGED = 0.35
"""Doubt from which the first pictures of two units are taken for different shots."""
LIKE_A_KEY = 0.3
"""A packet that exceeds its neighbours by this share of a key frame's size may be a cut where nothing else tells so."""
EXPLAINED, SEVERAL, ALONE = 0.35, 0.25, 0.5
"""What is left of the doubt when one packet tells the place of a change; added for each further one, and for a large
packet where the first pictures do not differ."""
SCENE_CUT_TRUST = 0.6
"""Weight of the doubt about a change at a key frame that came early: the encoder itself took it for a new scene."""
SMALL_SIDE = 160


@dataclass(frozen=True)
class Sampling:
    """What is decoded of a film.

    Attributes:
        packets: All packets of its picture.
        stretches: Those that are decoded.
        share: Share of the film's length that lies in them, 0 to 1.
        leaps_s: For each part that is left out the moment at which it most likely holds a cut, if it holds one.
        further_s: More such moments in these parts.
        tested_s: Moments of that second kind in the parts that are decoded whole, where it shows what they are worth.
    """

    packets: Packets
    stretches: tuple[Stretch, ...]
    share: float
    leaps_s: tuple[float, ...]
    further_s: tuple[float, ...] = ()
    tested_s: tuple[float, ...] = ()

    def moments(self, count: int) -> tuple[float, ...]:
        """Times evenly spaced over what is seen for longer than a look: units may begin black, or at rest."""
        spans = [self._span_s(part) for part in self.stretches]
        longest = max(end_s - start_s for start_s, end_s in spans)
        spans = [span for span in spans if span[1] - span[0] >= min(2 * LOOK_S, longest / 2)]
        done = np.concatenate([[0.0], np.cumsum([end_s - start_s for start_s, end_s in spans])])
        moments = []
        for at_s in (np.arange(count) + 0.5) * done[-1] / count:
            k = min(int(np.searchsorted(done, at_s, side="right")) - 1, len(spans) - 1)
            moments.append(float(spans[k][0] + at_s - done[k]))
        return tuple(moments)

    def _span_s(self, part: Stretch) -> tuple[float, float]:
        times = self.packets.times_s[part.first : part.last]
        return float(times.min()), float(times.max()) + 1e-3


def sample(clip: Clip, job: Job) -> Sampling | None:
    """What to look at in `clip`; None when all of it can be, or must be because there are hardly any key frames.

    Raises:
        UnreadableMediaError: The file cannot be read.
        Stopped: `job` was stopped.
    """
    packets = media.scan_packets(clip, job)
    if packets is None or float(packets.work.sum()) <= MOST_WORK:
        return None
    units = _units(packets)
    if len(units) < LEAST_UNITS:
        return None
    leaps = Leaps(packets)
    in_units = [leaps.between(unit.first, unit.last) for unit in units]
    doubts = _doubts(packets, units, _kinships(clip, packets, units, job), leaps.early, in_units)
    stretches = _chosen(packets, units, doubts)
    seen_s = sum((part.last - part.first) * packets.step_s for part in stretches)
    leaps_s, further_s, tested_s = [], [], []
    for part, unit, inside in zip(stretches, units, in_units, strict=True):
        if part.last == unit.last:
            tested_s += [leap.time_s for leap in further(inside)]
        else:
            found = leaps.between(part.last - 1, unit.last)
            leaps_s += [leap.time_s for leap in found[:1]]
            further_s += [leap.time_s for leap in further(found)]
    share = min(1.0, seen_s / max(clip.duration_s, 1e-3))
    return Sampling(packets, tuple(stretches), share, tuple(leaps_s), tuple(sorted(further_s)), tuple(sorted(tested_s)))


def _units(packets: Packets) -> list[Stretch]:
    """The film in parts that begin at key frames, as short as the work for their first pictures allows."""
    times, keys = packets.times_s, np.flatnonzero(packets.keys)
    least_s = max(LEAST_UNIT_S, float(np.ptp(times)) / MOST_UNITS)
    while True:
        firsts: list[int] = []
        for key in keys:
            if not firsts or times[key] - times[firsts[-1]] >= least_s:
                firsts.append(int(key))
        if KEYS_DECODED * float(packets.work[firsts].sum()) <= KEY_SHARE * MOST_WORK or len(firsts) < LEAST_UNITS:
            return [Stretch(a, b) for a, b in zip(firsts, [*firsts[1:], len(times)], strict=True)]
        least_s *= 1.5


def _kinships(clip: Clip, packets: Packets, units: Sequence[Stretch], job: Job) -> NDArray[np.float64]:
    """For each unit, how well its first picture explains that of the next one, -1 to 1; NaN where none can tell."""
    looks = [Stretch(unit.first, unit.first + 1) for unit in units]
    firsts: dict[int, NDArray[np.uint8]] = {}
    begin_s = packets.times_s[[unit.first for unit in units]]
    quiet = Job(stop=job.stop)
    for time_s, picture in media.iter_stretches(clip, packets, looks, fps=1.0, max_side=SMALL_SIDE, job=quiet):
        firsts[int(np.abs(begin_s - time_s).argmin())] = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        job.check()
    flow, found = Flow(), np.full(len(units), np.nan)
    for k in range(len(units) - 1):
        job.check()
        now, then = firsts.get(k), firsts.get(k + 1)
        if now is not None and then is not None and now.shape == then.shape and min(now.std(), then.std()) > 3.0:
            found[k] = flow.kinship(now, then)
    return found


def _doubts(
    packets: Packets,
    units: Sequence[Stretch],
    kinships: NDArray[np.float64],
    early: NDArray[np.bool_],
    in_units: Sequence[Sequence[Leap]],
) -> NDArray[np.float64]:
    """How much may have happened unseen in each unit, 0 (nothing) to about 1.5."""
    doubts = np.where(np.isnan(kinships), 0.5, 1.0 - np.clip(kinships, 0.0, 1.0))
    large = LIKE_A_KEY * float(np.median(packets.sizes[packets.keys]))
    for k, (unit, leaps) in enumerate(zip(units, in_units, strict=True)):
        changed = doubts[k] > CHANGED
        if unit.last < len(early) and early[unit.last]:
            doubts[k] *= SCENE_CUT_TRUST
        found = [leap for leap in leaps if leap.ratio >= RATIO]
        clear = [leap for leap in found if leap.excess >= CLEAR * found[0].excess]
        if not changed:
            doubts[k] += ALONE * any(leap.excess >= large for leap in clear)
        elif len(clear) == 1:
            doubts[k] *= EXPLAINED
        else:
            doubts[k] += SEVERAL * max(0, len(clear) - 1)
    return doubts


def _chosen(packets: Packets, units: Sequence[Stretch], doubts: NDArray[np.float64]) -> list[Stretch]:
    """The stretches to decode, at least one picture of every unit."""
    done = np.concatenate([[0.0], np.cumsum(packets.work)])
    spread = _evenly(len(units))
    lasts = np.array([unit.first + 1 for unit in units])
    left = MOST_WORK - KEYS_DECODED * sum(float(packets.work[unit.first]) for unit in units)

    def extend(order: NDArray[np.int64], limits: NDArray[np.int64], work: float) -> float:
        for k in order:
            cost = done[limits[k]] - done[lasts[k]]
            if 0 < cost <= work:
                lasts[k], work = limits[k], work - cost
        return work

    looks = np.array([_until(packets, unit, LOOK_S) for unit in units])
    wholes = np.array(
        [
            int(np.clip(np.searchsorted(done, done[unit.first] + LONGEST_UNIT_SHARE * MOST_WORK), look, unit.last))
            for unit, look in zip(units, looks, strict=True)
        ]
    )
    rank = np.empty(len(units))
    rank[spread] = np.arange(len(units))
    doubtful = np.lexsort((rank, -np.round(doubts, 1)))
    for order, limits, share in (
        (doubtful[doubts[doubtful] >= DOUBTFUL], wholes, DOUBT_SHARE),
        (spread, looks, LOOK_SHARE),
        (spread, wholes, 1.0),
    ):
        left -= share * left - extend(order, limits, share * left)
    return [Stretch(unit.first, int(last)) for unit, last in zip(units, lasts, strict=True)]


def _until(packets: Packets, unit: Stretch, seconds: float) -> int:
    """The packet after the last one that the first `seconds` of a unit need."""
    times = packets.times_s[unit.first : unit.last]
    return unit.first + 1 + int(np.flatnonzero(times < times[0] + seconds)[-1])


def _evenly(count: int) -> NDArray[np.int64]:
    """0 to `count` - 1, so ordered that any beginning of it is spread evenly (van der Corput, 1935)."""
    bits = max(1, int(count - 1).bit_length())
    reversed_bits = [int(format(k, f"0{bits}b")[::-1], 2) for k in range(2**bits)]
    return np.array([k for k in reversed_bits if k < count], dtype=np.int64)
