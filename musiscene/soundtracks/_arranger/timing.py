"""Tempo and bars on the clock: an ending at the exact end, and strong beats on the picture's cuts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from musiscene.soundtracks._arranger.brief import Brief
from musiscene.soundtracks._arranger.cuts import importance
from musiscene.soundtracks._arranger.piece import Clock, Meter

TOLERANCE = 0.06
"""How far the tempo may leave the brief's to meet the picture."""

CLOSE_S = 0.08
"""A cut this close to a beat is on it."""

_SHIFTS_S = (-0.05, 0.0, 0.05)
_REACH = 5
_MOST_CUTS = 300


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the bars are.

    Attributes:
        meter: The time signature.
        clock: Beats to seconds; beat 0 is the first downbeat.
        bars: Whole bars before the final chord, which falls on the next downbeat and rings until the end.
        pickup: Beats before the first downbeat.
        duration_s: Exact length.
        cut_beats: The beats that lie on cuts.
        cut_weights: How much each of those cuts matters, 0 to 1.
    """

    meter: Meter
    clock: Clock
    bars: int
    pickup: float
    duration_s: float
    cut_beats: tuple[float, ...]
    cut_weights: tuple[float, ...] = ()

    @property
    def final_beat(self) -> float:
        """Where the final chord falls."""
        return float(self.bars * self.meter.beats)

    @property
    def end_beat(self) -> float:
        """Where the sound ends."""
        return self.clock.beat_at(self.duration_s)


def plan(
    brief: Brief,
    meter: Meter,
    duration_s: float,
    cuts_s: tuple[float, ...],
    motion: tuple[float, ...] = (),
    slows: float = 0.0,
) -> Frame:
    """Choose tempo, offset and number of bars.

    Args:
        brief: Its tempo and how far that may move.
        meter: The time signature.
        duration_s: Exact length.
        cuts_s: The picture's cuts; with any, the tempo serves them to the end.
        motion: How much moves in the picture, evenly spaced.
        slows: How much longer the last beat before the final chord is, in the free tempo.
    """
    cuts = _usable(cuts_s, duration_s)
    if cuts:
        return _to_cuts(brief, meter, duration_s, cuts, importance(cuts, motion, duration_s))
    return _free(brief, meter, duration_s, slows)


def _ring(duration_s: float, bar_s: float) -> tuple[float, float, float]:
    """Shortest, best and longest time for the last chord to ring, in seconds."""
    shortest = min(1.1, 0.3 * duration_s)
    best = min(max(2.0, 0.75 * bar_s), 0.45 * duration_s)
    return shortest, best, max(best + 1.0, shortest + bar_s)


def _slowing(bars: int, meter: Meter, slows: float) -> list[float]:
    """Length of each of the last beats, in beats: the ritardando, over one bar or two."""
    if slows <= 0.0 or bars < 6:
        return []
    count = meter.beats * (2 if bars >= 16 and meter.beats <= 4 else 1)
    return [1.0 + slows * ((index + 1) / count) ** 1.5 for index in range(count)]


def _free(brief: Brief, meter: Meter, duration_s: float, slows: float) -> Frame:
    low, high = brief.tempo_range
    tempi = {brief.tempo_bpm}
    if not brief.tempo_asked or high > low:
        tempi |= {low + (high - low) * step / 40 for step in range(41)}
    else:
        tempi |= {brief.tempo_bpm * (1 + step / 400) for step in range(-6, 7)}
    best: tuple[float, float, int, int] | None = None
    for tempo in sorted(tempi):
        beat_s = 60.0 / tempo
        bar_s = beat_s * meter.beats
        shortest, ideal, longest = _ring(duration_s, bar_s)
        short = duration_s < 2.5 * bar_s
        for pickup in range(meter.beats if short else 1):
            most = int((duration_s - pickup * beat_s - shortest) / bar_s)
            for bars in range(max(0, most - 2), max(0, most) + 1):
                slower = _slowing(bars, meter, slows)
                ring = duration_s - (pickup + sum(slower) - len(slower)) * beat_s - bars * bar_s
                if ring < min(shortest, duration_s * 0.3):
                    continue
                cost = abs(math.log(tempo / brief.tempo_bpm)) * (60.0 if brief.tempo_asked else 30.0)
                cost += abs(ring - ideal) / max(1.0, bar_s) * 1.5 + 4.0 * max(0.0, ring - longest)
                cost += (0.0, 0.9, 0.35, 0.9)[bars % 4] if bars >= 4 else 0.0
                cost += 0.1 * (meter.beats - pickup) if short and bars == 0 else 0.05 * pickup
                if best is None or cost < best[0]:
                    best = (cost, tempo, bars, pickup)
    if best is None:
        best = (0.0, brief.tempo_bpm, 0, 0)
    _, tempo, bars, pickup = best
    beat_s = 60.0 / tempo
    beats, seconds = ([-float(pickup), 0.0], [0.0, pickup * beat_s]) if pickup else ([0.0], [0.0])
    slower = _slowing(bars, meter, slows)
    for index, length in enumerate(slower):
        if index == 0:
            beats.append(float(bars * meter.beats - len(slower)))
            seconds.append((pickup + beats[-1]) * beat_s)
        beats.append(beats[-1] + 1.0)
        seconds.append(seconds[-1] + length * beat_s)
    return Frame(meter, Clock(tuple(beats), tuple(seconds), tempo), bars, float(pickup), duration_s, ())


def _usable(cuts_s: tuple[float, ...], duration_s: float) -> tuple[float, ...]:
    kept: list[float] = []
    for cut in sorted(float(cut) for cut in cuts_s if math.isfinite(cut)):
        if 0.25 <= cut <= duration_s - 0.25 and (not kept or cut - kept[-1] >= 0.15):
            kept.append(cut)
    if len(kept) > _MOST_CUTS:
        step = len(kept) / _MOST_CUTS
        kept = [kept[int(index * step)] for index in range(_MOST_CUTS)]
    return tuple(kept)


def _to_cuts(
    brief: Brief, meter: Meter, duration_s: float, cuts: tuple[float, ...], weights: tuple[float, ...]
) -> Frame:
    tempi = _tempi(brief)
    steady_hits, tempo, offset = _steadiest(tempi, brief.tempo_bpm, np.asarray(cuts))
    beats: list[float]
    times: list[float]
    if steady_hits >= 0.85:
        beats, times = [0.0], [offset]
        last_tempo = tempo
    else:
        nominal = brief.tempo_range if not brief.tempo_asked else (brief.tempo_bpm, brief.tempo_bpm)
        options = sorted({brief.tempo_bpm, tempo, *np.linspace(nominal[0], nominal[1], 7).tolist()})
        options = [option for option in options if nominal[0] <= option <= nominal[1]] or [brief.tempo_bpm]
        anchors, last_tempo = max(
            ((_bend(option, cuts), option) for option in options),
            key=lambda found: (found[0][0], -abs(found[1] - brief.tempo_bpm)),
        )
        _, times, beats = anchors
        if not beats:
            beats, times = [0.0], [offset]
    return _frame(meter, duration_s, cuts, weights, beats, times, last_tempo)


def _tempi(brief: Brief) -> list[float]:
    low, high = brief.tempo_range
    if brief.tempo_asked:
        low, high = brief.tempo_bpm * (1 - TOLERANCE), brief.tempo_bpm * (1 + TOLERANCE)
    return [low + (high - low) * step / 60 for step in range(61)]


def _steadiest(tempi: list[float], wish: float, cuts: np.ndarray) -> tuple[float, float, float]:
    """The share of cuts on a beat, the tempo and the first beat of the best constant tempo."""
    best = (-1.0, -1.0, wish, 0.0)
    for tempo in tempi:
        beat_s = 60.0 / tempo
        offsets = np.arange(0.0, beat_s, 0.02)
        phase = (cuts[None, :] - offsets[:, None]) / beat_s
        distance = np.abs(phase - np.round(phase)) * beat_s
        hits = (distance <= CLOSE_S - 0.01).mean(axis=1)
        score = (
            hits - 0.3 * distance.mean(axis=1) / beat_s - 0.2 * abs(math.log(tempo / wish)) - 0.02 * (offsets > 0.02)
        )
        index = int(np.argmax(score))
        if score[index] > best[0]:
            best = (float(score[index]), float(hits[index]), tempo, float(offsets[index]))
    return best[1], best[2], best[3]


def _bend(tempo: float, cuts: tuple[float, ...]) -> tuple[float, list[float], list[float]]:
    """Choose cuts to land on with small changes of tempo between them (dynamic programming over the cuts).

    Returns the share of cuts on a beat (less a little for restlessness), then the times and beats of the anchors.
    """
    times = [(cut + shift, index) for index, cut in enumerate(cuts) for shift in _SHIFTS_S]
    width = len(_SHIFTS_S)
    value = [1.0 - 0.02 * (abs(time - cuts[index]) > 0.01) for time, index in times]
    came_from = [-1] * len(times)
    came_beats = [0] * len(times)
    gained = list(value)
    for here, (time, index) in enumerate(times):
        for back in range(1, _REACH + 1):
            if index - back < 0:
                break
            for there in range((index - back) * width, (index - back + 1) * width):
                gap = time - times[there][0]
                count = round(gap * tempo / 60.0)
                if gap <= 0 or count < 1:
                    continue
                local = 60.0 * count / gap
                strain = abs(local / tempo - 1.0)
                if strain > TOLERANCE:
                    continue
                lucky = sum(_near(cuts[skipped], times[there][0], local) for skipped in range(index - back + 1, index))
                total = gained[there] + value[here] + lucky - 0.1 * (strain / TOLERANCE) ** 2
                if total > value[here] and total > gained[here]:
                    gained[here], came_from[here], came_beats[here] = total, there, count
    at = max(range(len(times)), key=lambda index: gained[index])
    score = gained[at] / len(cuts)
    chain: list[tuple[float, int]] = []
    while at >= 0:
        chain.append((times[at][0], came_beats[at]))
        at = came_from[at]
    chain.reverse()
    beats = [0.0]
    for _, count in chain[1:]:
        beats.append(beats[-1] + count)
    anchor_times = [time for time, _ in chain]
    lead = anchor_times[0] * tempo / 60.0
    whole = round(lead)
    if whole >= 1 and abs(whole / lead - 1.0) <= TOLERANCE:
        return score, [0.0, *anchor_times], [0.0, *(beat + whole for beat in beats)]
    whole = int(lead)
    first = anchor_times[0] - whole * 60.0 / tempo
    if whole == 0:
        return score, anchor_times, beats
    return score, [first, *anchor_times], [0.0, *(beat + whole for beat in beats)]


def _near(time: float, anchor: float, tempo: float) -> float:
    phase = (time - anchor) * tempo / 60.0
    return 1.0 if abs(phase - round(phase)) * 60.0 / tempo <= CLOSE_S - 0.01 else 0.0


def _frame(
    meter: Meter,
    duration_s: float,
    cuts: tuple[float, ...],
    weights: tuple[float, ...],
    beats: list[float],
    times: list[float],
    tempo: float,
) -> Frame:
    """Put the downbeats on the cuts that matter most, and count the bars."""
    clock = Clock(tuple(beats), tuple(times), tempo)
    on: dict[int, float] = {}
    for cut, weight in zip(cuts, weights, strict=True):
        beat = round(clock.beat_at(cut))
        if abs(clock.at(beat) - cut) <= CLOSE_S:
            on[beat] = max(weight, on.get(beat, 0.0))
    first = round(beats[0])
    phases = range(meter.beats)
    half = meter.beats // 2
    hits = [sum(w for beat, w in on.items() if (beat - first - phase) % meter.beats == 0) for phase in phases]
    middle = [sum(w for beat, w in on.items() if (beat - first - phase) % meter.beats == half) for phase in phases]
    shift = max(phases, key=lambda phase: (hits[phase] + 0.3 * middle[phase] - 0.2 * (phase > 0), -phase))
    moved = Clock(tuple(beat - first - shift for beat in beats), tuple(times), tempo)
    bar_s = meter.beats * 60.0 / tempo
    shortest, _, _ = _ring(duration_s, bar_s)
    bars = max(0, int(moved.beat_at(duration_s - shortest) / meter.beats))
    met = sorted((float(beat - first - shift), weight) for beat, weight in on.items())
    return Frame(
        meter,
        moved,
        bars,
        float(shift),
        duration_s,
        tuple(beat for beat, _ in met),
        tuple(weight for _, weight in met),
    )


def share_on_beats(clock: Clock, cuts_s: tuple[float, ...]) -> float:
    """The share of cuts within `CLOSE_S` of a beat; 1 without cuts."""
    if not cuts_s:
        return 1.0
    hits = sum(abs(clock.at(round(clock.beat_at(cut))) - cut) <= CLOSE_S for cut in cuts_s)
    return hits / len(cuts_s)


def restlessness(clock: Clock) -> float:
    """The largest relative change between neighbouring tempi."""
    tempi = [tempo for _, tempo in clock.tempi()]
    return max((abs(b / a - 1.0) for a, b in pairwise(tempi)), default=0.0)
