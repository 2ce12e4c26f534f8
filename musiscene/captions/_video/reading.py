"""One pass over the picture: per-frame signals, and the few frames that later steps look at again.

Memory stays bounded: of every frame a thumbnail of 1.7 kB is kept, and of about `KEPT` frames a picture.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect import ContentDetector, FrameTimecode

from musiscene import media
from musiscene.captions._video.flow import CameraStep, Flow, correlation, transform
from musiscene.captions._video.sampling import sample
from musiscene.errors import UnreadableMediaError
from musiscene.media.ahead import ahead
from musiscene.types import Clip, Job

KEPT = 16
"""Pictures kept for people, look, palette and strip, evenly spaced in time."""
RATES = ((90.0, 30.5), (300.0, 12.0), (np.inf, 8.0))
"""Frames a second that are read, by the length of a clip in seconds."""
MOST_STEP_S = 0.5
"""Moments farther apart tell nothing of the camera's motion."""
LONG_S = 60.0
"""Clips up to this length are always read whole."""
AHEAD = 8
"""Pictures that may wait to be measured."""
EVEN = 240
"""Moments that stand for a film of which parts were read."""
KEPT_SIDE = 480
SMALL_SIDE = 160
"""Longer side, in pixels, of what cuts and motion are measured on."""
THUMB = (32, 18)
"""Width and height of the thumbnails."""
STEP_S = 1 / 12
"""Least time between the two frames that the camera's motion is measured on."""
MOST_STEPS = 2000
GAPS_S = (0.5, 1.5)
"""Moments this far apart are compared, to tell gradual changes from motion and flashes from cuts."""
BOND_S = 0.125
"""Time between two such comparisons (longer in long clips)."""
AT_ONCE = 0.85
"""Correlation from which two moments are kin without further search."""
WORTH_COMPARING = 5.0
"""Content score (0 to 255) above which a frame is compared with the one before it, motion taken into account."""


@dataclass(frozen=True, slots=True)
class Bond:
    """Kinship of two moments once motion and light are accounted for, -1 to 1; NaN when they share too little view."""

    start_s: float
    end_s: float
    kinship: float


@dataclass(frozen=True)
class Reading:
    """What one pass over the picture leaves. Arrays have one entry for each frame read.

    Attributes:
        times_s: Time of each frame.
        thumbs: Shape (frames, 18, 32, 3) uint8 RGB.
        change: PySceneDetect's content score against the frame before (mean change of hue, saturation and value).
        kinship: Correlation with the frame before once motion and light are accounted for, -1 to 1; 1 where the
            change is too small to ask.
        steps: Camera motion, measured on pairs of neighbouring moments.
        bonds: How much moments half a second and longer apart have to do with each other.
        kept: Pictures, (h, w, 3) uint8 RGB, longer side at most 480 pixels.
        kept_s: Their times.
    """

    times_s: NDArray[np.float64]
    thumbs: NDArray[np.uint8]
    change: NDArray[np.float64]
    kinship: NDArray[np.float64]
    steps: tuple[CameraStep, ...]
    bonds: tuple[Bond, ...]
    kept: tuple[NDArray[np.uint8], ...]
    kept_s: tuple[float, ...]
    frame_s: float = 0.0
    """Time between two frames of the file where not all of them were read, else 0."""
    share: float = 1.0
    """Share of the clip's length that was looked at; the rest of a long film lies in gaps between frames."""
    moments_s: tuple[float, ...] = ()
    """Where parts were left out: moments that stand for the whole."""
    leaps_s: tuple[float, ...] = ()
    """For each part left out the moment at which the file most suggests a cut."""
    further_s: tuple[float, ...] = ()
    """More such moments in the parts left out."""
    tested_s: tuple[float, ...] = ()
    """Moments of that second kind in the parts that were looked at."""

    @property
    def even_thumbs(self) -> NDArray[np.uint8]:
        """Thumbnails that stand for the clip as a whole."""
        if not len(self.moments_s):
            return self.thumbs
        return np.asarray(self.thumbs[np.searchsorted(self.times_s, self.moments_s).clip(0, self.frames - 1)])

    @property
    def frames(self) -> int:
        """Number of frames read."""
        return len(self.times_s)


class _ChangeMeter(ContentDetector):  # type: ignore[misc]
    """PySceneDetect's measure of change, for frames from our own decoder, which reads more kinds of files."""

    def score(self, index: int, frame: NDArray[np.uint8]) -> float:
        """Mean change of hue, saturation and value against the last frame given, 0 to 255."""
        self.process_frame(FrameTimecode(index, fps=30.0), frame[..., ::-1])
        return float(self._frame_score or 0.0)


def read(clip: Clip, job: Job) -> Reading:
    """Read the whole picture of `clip` once.

    Raises:
        UnreadableMediaError: No frame can be decoded.
        Stopped: `job` was stopped.
    """
    # Cuts are wanted to about a thirtieth of a second; more frames cost time and tell nothing more. Long clips are
    # read more thinly, so that ten minutes of full HD take well under a minute.
    rate = next(rate for longest_s, rate in RATES if clip.duration_s <= longest_s)
    wanted = rate if clip.fps is None or clip.fps > rate + 1 else None
    sampling = sample(clip, job) if clip.duration_s > LONG_S else None
    quiet = Job(stop=job.stop)
    if sampling is None:
        frames = media.iter_frames(clip, fps=wanted, max_side=KEPT_SIDE, job=quiet)
    else:
        frames = media.iter_stretches(
            clip, sampling.packets, sampling.stretches, fps=rate, max_side=KEPT_SIDE, job=quiet
        )
    with closing(ahead(_with_small(frames), AHEAD)) as pictures:
        keep = _Keep(max(clip.duration_s, 0.1)) if sampling is None else _KeepAt(sampling.moments(KEPT))
        reading = _accumulate(pictures, keep, max(clip.duration_s, 0.1), job)
    if clip.fps and (sampling is not None or wanted is not None):
        reading = replace(reading, frame_s=1.0 / clip.fps)
    if sampling is not None:
        reading = replace(
            reading,
            share=sampling.share,
            moments_s=sampling.moments(EVEN),
            leaps_s=sampling.leaps_s,
            further_s=sampling.further_s,
            tested_s=sampling.tested_s,
        )
    if not reading.frames:
        raise UnreadableMediaError(f"No frame of {clip.path.name!r} can be decoded: try to export the video again.")
    return reading


def shrunk(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """`picture` with its longer side at most `side` pixels."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1.0:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


_Sizes = tuple[float, NDArray[np.uint8], NDArray[np.uint8]]
"""Time, picture, and the same picture small."""


def _with_small(frames: Iterator[tuple[float, NDArray[np.uint8]]]) -> Iterator[_Sizes]:
    """The frames with their small versions, made in the thread that decodes: it has the lighter load."""
    for time_s, picture in frames:
        yield time_s, picture, shrunk(picture, SMALL_SIDE)


def _accumulate(frames: Iterator[_Sizes], keep: _Keep | _KeepAt, length_s: float, job: Job) -> Reading:
    meter, flow = _ChangeMeter(), Flow()
    times: list[float] = []
    thumbs: list[NDArray[np.uint8]] = []
    change: list[float] = []
    kinship: list[float] = []
    steps: list[CameraStep] = []
    pause_s = max(0.0, length_s / MOST_STEPS - STEP_S)
    grey: NDArray[np.uint8] | None = None
    anchor: tuple[float, NDArray[np.uint8]] | None = None
    rest_until_s = -np.inf
    binder = _Binder(flow, max(BOND_S, length_s / MOST_STEPS), isinstance(keep, _KeepAt))
    for index, (time_s, picture, small) in enumerate(frames):
        if index % 8 == 0:
            job.progress(time_s / length_s, "Looking at the picture")
        grey_before = grey
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        score = meter.score(index, small)
        times.append(time_s)
        thumbs.append(np.asarray(cv2.resize(small, THUMB, interpolation=cv2.INTER_AREA), dtype=np.uint8))
        change.append(score)
        worth = grey_before is not None and score >= WORTH_COMPARING
        kinship.append(flow.kinship(grey_before, grey) if worth and grey_before is not None else 1.0)
        keep.offer(time_s, picture)
        if anchor is not None and time_s - anchor[0] >= STEP_S - 1e-3:
            if time_s - anchor[0] <= MOST_STEP_S:
                steps.append(flow.step(anchor[1], grey, anchor[0], time_s))
                binder.follow(steps[-1])
            anchor, rest_until_s = None, time_s + pause_s
        if anchor is None and time_s >= rest_until_s:
            anchor = (time_s, grey)
        binder.offer(time_s, grey)
    return Reading(
        np.array(times),
        np.array(thumbs, dtype=np.uint8).reshape(len(times), THUMB[1], THUMB[0], 3),
        np.array(change),
        np.array(kinship),
        tuple(steps),
        tuple(binder.bonds),
        *keep.chosen(),
    )


class _Binder:
    """Compares the present with what was half a second and longer ago, seen from where the camera is now."""

    def __init__(self, flow: Flow, every_s: float, in_parts: bool) -> None:
        self._flow, self._every_s, self._in_parts = flow, every_s, in_parts
        self._past: deque[tuple[float, NDArray[np.uint8]]] = deque()
        self._steps: deque[CameraStep] = deque()
        self._due_s = -np.inf
        self._rounds = 0
        self.bonds: list[Bond] = []

    def follow(self, step: CameraStep) -> None:
        """Take note of how the camera moved."""
        self._steps.append(step)
        while self._steps[0].end_s < step.end_s - GAPS_S[-1] - 0.5:
            self._steps.popleft()

    def offer(self, time_s: float, grey: NDArray[np.uint8]) -> None:
        """Compare `grey`, taken at `time_s`, when it is time to."""
        if self._in_parts and self._past and time_s - self._past[-1][0] > self._every_s + MOST_STEP_S:
            self._past.clear()  # a part was left out: nothing is known of the way from there
        if time_s < self._due_s - 1e-3:
            return
        self._due_s = time_s + self._every_s
        self._rounds += 1
        while self._past and self._past[0][0] < time_s - GAPS_S[-1] - 2 * self._every_s:
            self._past.popleft()
        # The longer gap says little that is new from one round to the next.
        for gap_s in GAPS_S if self._rounds % 3 == 0 else GAPS_S[:1]:
            earlier = [past for past in self._past if past[0] <= time_s - gap_s + 0.02]
            if earlier:
                self.bonds.append(self._bond(*earlier[-1], time_s, grey))
        self._past.append((time_s, grey))

    def _bond(self, then_s: float, then: NDArray[np.uint8], time_s: float, grey: NDArray[np.uint8]) -> Bond:
        height, width = grey.shape
        path = np.eye(3)
        for step in self._steps:
            if step.start_s >= then_s - 0.02:
                path = transform(step, width, height) @ path
        there = cv2.warpAffine(np.full_like(then, 255), path[:2], (width, height), flags=cv2.INTER_NEAREST) > 0
        # Too little of the old view is left when the camera has moved on: nothing can be said.
        if float(there.mean()) < 0.3:
            return Bond(then_s, time_s, float("nan"))
        moved = np.where(there, cv2.warpAffine(then, path[:2], (width, height)), grey).astype(np.uint8)
        # Where the camera's path alone explains the present, the slow search for how things moved is spared.
        plain = correlation(moved[there], grey[there])
        if plain > AT_ONCE:
            return Bond(then_s, time_s, plain)
        return Bond(then_s, time_s, self._flow.kinship(moved, grey, there))


class _Keep:
    """Keeps pictures evenly spaced in time without knowing for sure how long the clip is."""

    def __init__(self, length_s: float) -> None:
        self._every_s = length_s / KEPT
        self._due_s = -np.inf
        self._kept: list[tuple[float, NDArray[np.uint8]]] = []

    def offer(self, time_s: float, picture: NDArray[np.uint8]) -> None:
        """Keep `picture` when one is due."""
        if time_s < self._due_s - 1e-6:
            return
        # The first picture is taken half a step late: clips often begin black or in a fade.
        late = self._every_s / 2 if not self._kept and self._due_s == -np.inf else 0.0
        if late:
            self._first = (time_s, picture)
            self._due_s = time_s + late
            return
        self._kept.append((time_s, picture.copy()))
        self._due_s = time_s + self._every_s
        if len(self._kept) > 2 * KEPT:  # longer than it said
            self._kept = self._kept[::2]
            self._every_s *= 2

    def chosen(self) -> tuple[tuple[NDArray[np.uint8], ...], tuple[float, ...]]:
        """Pictures and their times; at least one when any was offered."""
        kept = self._kept or ([self._first] if self._due_s != -np.inf else [])
        return tuple(picture for _, picture in kept), tuple(time_s for time_s, _ in kept)


class _KeepAt:
    """Keeps the pictures at given moments."""

    def __init__(self, moments_s: tuple[float, ...]) -> None:
        self._due = deque(moments_s)
        self._kept: list[tuple[float, NDArray[np.uint8]]] = []
        self._last: tuple[float, NDArray[np.uint8]] | None = None

    def offer(self, time_s: float, picture: NDArray[np.uint8]) -> None:
        """Keep `picture` when one is due."""
        self._last = time_s, picture
        if self._due and time_s >= self._due[0] - 1e-6:
            self._kept.append((time_s, picture.copy()))
            while self._due and self._due[0] <= time_s + 1e-6:
                self._due.popleft()

    def chosen(self) -> tuple[tuple[NDArray[np.uint8], ...], tuple[float, ...]]:
        """Pictures and their times; at least one when any was offered."""
        kept = self._kept or ([self._last] if self._last else [])
        return tuple(picture for _, picture in kept), tuple(time_s for time_s, _ in kept)
