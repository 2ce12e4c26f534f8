"""How the camera and the things before it move, shot by shot and over the whole clip.

The rules and thresholds are ours, set on rendered moves and real clips (`benchmarks/captions_video.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musiscene.captions._video.flow import CameraStep

UNKNOWN = "unknown"
"""The kind of motion where no two neighbouring moments could be compared."""
RESTING = 0.012
"""Camera speed, in picture widths a second, that is taken for none."""
CURVE_POINTS = 120
"""Most points of the motion curve."""
LEVELS = ((0.04, "still"), (0.18, "gentle"), (0.4, "moderate"), (0.65, "lively"), (2.0, "intense"))
"""Upper bound of the mean of the motion curve -> its word."""
PAN_SPEED = 0.02
"""Picture widths a second from which a steady shift is a pan or a tilt."""
ZOOM_SPEED = 0.03
"""Relative growth a second from which a steady change of size is a zoom."""
JITTER_SPEED = 0.02
"""Picture widths a second of unsteady camera motion from which it is called handheld."""
OWN_SPEED = 0.015
"""Picture widths a second, averaged over the textured picture, from which things move by themselves."""


@dataclass(frozen=True, slots=True)
class ShotMotion:
    """Motion within one shot: its kind and its measures (widths a second; zoom as growth a second)."""

    start_s: float
    end_s: float
    kind: str
    right: float
    down: float
    zoom: float
    jitter: float
    own: float
    moving: float
    sure: float = 0.0
    """Share of the time at which it can be told whether the camera moves."""
    seen_s: float = 0.0
    """Seconds of it in which motion was measured."""

    @property
    def length_s(self) -> float:
        """Length of the shot in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Motion:
    """Motion of a whole clip.

    Attributes:
        kind: "static", "pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out", "handheld", "action"
            (things move before a still camera), "mixed" when no kind fills half of the time, or "unknown".
        level: Mean of the curve, 0 to 1.
        word: "still", "gentle", "moderate", "lively" or "intense".
        curve: How much moves, evenly spaced over the whole clip, 0 to 1.
        shots: The same for each shot.
        subjects: Things move by themselves for much of the time.
        sure: Share of the time at which it can be told whether the camera moves, 0 to 1.
    """

    kind: str
    level: float
    word: str
    curve: tuple[float, ...]
    shots: tuple[ShotMotion, ...]
    subjects: bool
    sure: float

    def evidence(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "motion_kind": self.kind,
            "motion_confidence": round(self.sure, 3),
            "motion_level": round(self.level, 3),
            "motion_word": self.word,
            "motion_curve": [round(value, 3) for value in self.curve],
            "shot_motion": [shot.kind for shot in self.shots],
        }


def measure_motion(
    steps: tuple[CameraStep, ...], cuts_s: list[float], duration_s: float, *, in_parts: bool = False
) -> Motion:
    """Motion from the camera steps of a clip of `duration_s`, cut at `cuts_s`.

    Where a film was only read `in_parts`, each shot counts with the time that was looked at, not with its length.
    """
    edges = [0.0, *cuts_s, max(duration_s, *(step.end_s for step in steps), 1e-3) if steps else duration_s]
    shots = []
    for start_s, end_s in pairwise(edges):
        inside = [step for step in steps if step.start_s >= start_s - 0.02 and step.end_s <= end_s + 1e-6]
        shots.append(_shot(inside, start_s, end_s))
    valid = [step for step in steps if not any(step.start_s + 1e-6 < cut <= step.end_s for cut in cuts_s)]
    curve = _curve(valid, duration_s, in_parts)
    level = float(np.mean(_levels(valid) if in_parts else curve)) if curve else 0.0
    weights = [shot.seen_s if in_parts else shot.length_s for shot in shots]
    word = next(name for bound, name in LEVELS if level < bound)
    by_kind: dict[str, float] = {}
    for shot, weight in zip(shots, weights, strict=True):
        by_kind[shot.kind] = by_kind.get(shot.kind, 0.0) + weight
    total = sum(by_kind.values()) or 1.0
    top = max(by_kind, key=lambda kind: by_kind[kind])
    kind = top if by_kind[top] / total >= 0.5 else "mixed"
    by_itself = [shot.own > OWN_SPEED and shot.moving > 0.06 for shot in shots]
    own = sum(weight for weight, moves in zip(weights, by_itself, strict=True) if moves)
    sure = sum(weight * shot.sure for shot, weight in zip(shots, weights, strict=True)) / total
    return Motion(kind, level, word, curve, tuple(shots), own / total > 0.4, sure)


def _shot(steps: list[CameraStep], start_s: float, end_s: float) -> ShotMotion:
    if not steps:
        return ShotMotion(start_s, end_s, UNKNOWN, 0, 0, 0, 0, 0, 0)
    # Steps in which nothing can be told of the camera count as its rest, with little weight.
    weight = np.array([max(step.trust, 0.05) for step in steps])
    weight /= weight.sum()
    path = np.array([[step.right, step.down, step.zoom] for step in steps])
    mean = weight @ path
    steady = np.abs(mean) / (weight @ np.abs(path) + 1e-9)
    # What is left of the path after its own slow course: the tremble of a hand.
    smooth = np.stack([_smooth(path[:, axis], 5) for axis in range(2)], axis=1)
    jitter = float(np.sqrt(weight @ np.square(path[:, :2] - smooth).sum(axis=1)))
    wander = float(weight @ np.hypot(path[:, 0], path[:, 1]))
    own = float(np.mean([step.own for step in steps]))
    moving = float(np.mean([step.moving for step in steps]))
    # A camera at rest is at rest most of the time; a hand never is.
    resting = float(np.mean(np.hypot(path[:, 0], path[:, 1]) + np.abs(path[:, 2]) / 3 < RESTING))
    kind = _kind(mean, steady, wander, resting, own, moving)
    right, down, zoom = (float(v) for v in mean)
    sure = float(np.mean([step.trust > 0 for step in steps]))
    seen_s = sum(step.end_s - step.start_s for step in steps)
    return ShotMotion(start_s, end_s, kind, right, down, zoom, jitter, own, moving, sure, seen_s)


def _kind(
    mean: NDArray[np.float64], steady: NDArray[np.float64], wander: float, resting: float, own: float, moving: float
) -> str:
    right, down, zoom = (float(v) for v in mean)
    # A zoom moves the rim of the picture by half its rate: compare it with shifts on that footing.
    candidates = []
    if abs(right) >= PAN_SPEED and steady[0] > 0.6:
        candidates.append((abs(right), "pan right" if right > 0 else "pan left"))
    if abs(down) >= PAN_SPEED and steady[1] > 0.6:
        candidates.append((abs(down), "tilt down" if down > 0 else "tilt up"))
    if abs(zoom) >= ZOOM_SPEED and steady[2] > 0.6:
        candidates.append((abs(zoom) / 3, "zoom in" if zoom > 0 else "zoom out"))
    if candidates and resting < 0.6:
        return max(candidates)[1]
    if wander > JITTER_SPEED and resting < 0.4:
        return "handheld"
    return "action" if own > OWN_SPEED and moving > 0.06 else "static"


def _smooth(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    if len(values) < width:
        return np.full_like(values, values.mean())
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, np.ones(width) / width, mode="valid")


def _levels(steps: list[CameraStep]) -> NDArray[np.float64]:
    """Share 1 - exp(-speed / 0.2 widths a second): 0 for a still picture, 0.5 for 0.14 widths a second."""
    speed = np.array([max(0.0, max(step.speed, step.own) - 0.006) for step in steps])
    return np.asarray(1.0 - np.exp(-speed / 0.2))


def _curve(steps: list[CameraStep], duration_s: float, in_parts: bool) -> tuple[float, ...]:
    """Mean level at points evenly spaced over the clip; points at which little or nothing was seen are filled in."""
    if not steps or duration_s <= 0:
        return ()
    points = int(np.clip(round(duration_s * 4), 2, CURVE_POINTS))
    times = np.array([(step.start_s + step.end_s) / 2 for step in steps])
    level = _levels(steps)
    bins = np.minimum((times / duration_s * points).astype(int), points - 1)
    total = np.bincount(bins, weights=level, minlength=points)
    count = np.bincount(bins, minlength=points)
    centres = np.flatnonzero(count > (count.max() / 3 if in_parts else 0))
    filled = np.interp(np.arange(points), centres, total[centres] / count[centres])
    return tuple(float(v) for v in np.clip(filled, 0, 1))
