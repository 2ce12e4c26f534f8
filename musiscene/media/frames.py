"""Pictures out of a clip: a few spread over its length, or all of them in small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from musiscene.errors import RequestError, UnreadableMediaError
from musiscene.media.ahead import ahead
from musiscene.media.container import stream_start_s
from musiscene.media.decoding import economy, need_picture, opened_picture, picture_of, timed_frames
from musiscene.types import Clip, Images, Job

_SEEK_GAP_S = 3.0
"""Without an index, decoding this much is dearer than looking for a key frame."""
_WORK_PIXELS = 1920 * 1080 * 3600
"""Pixels that may be decoded to land exactly on each time; beyond that the nearest key frame stands in."""
_DECODED_AHEAD = 3
"""Decoded pictures that may wait to be converted; at 4K one takes 12 MB and more."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Pictures and when they are shown.

    Attributes:
        images: `(frames, height, width, 3)` uint8 RGB, upright.
        times_s: `(frames,)` seconds from the first picture, ascending.
    """

    images: Images
    times_s: NDArray[np.float64]


def sample_frames(
    clip: Clip,
    count: int,
    *,
    max_side: int | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    job: Job | None = None,
) -> Frames:
    """`count` pictures, evenly spaced: the one that is on screen in the middle of each of `count` equal parts.

    One pass forward: before each picture the decoder jumps to the last key frame in front of it where that saves
    decoding. Only the pictures asked for are converted, straight to their final size. Long clips with few key frames
    would take too long that way; there the nearest key frame stands in, and `times_s` says so.

    Args:
        clip: Has a picture.
        count: At least 1. Fewer different pictures than asked for are repeated.
        max_side: Longest side of the result in pixels; the stored size when None.
        start_s: Where to begin, in seconds from the first picture.
        end_s: Where to end; the end of the clip when None.
        job: Told how far it is, and asked to stop between packets.

    Raises:
        MissingStreamError: The clip has no picture.
        RequestError: `count` or the times cannot be used.
        UnreadableMediaError: Not one picture could be decoded.
        Stopped: `job` was stopped.
    """
    need_picture(clip)
    end_s = clip.duration_s if end_s is None else min(end_s, clip.duration_s)
    if count < 1:
        raise RequestError(f"At least one frame must be asked for, got {count}.")
    if not 0 <= start_s < end_s:
        raise RequestError(f"Frames between {start_s:.2f} s and {end_s:.2f} s were asked for; that is no time at all.")
    return frames_at(clip, start_s + (np.arange(count) + 0.5) * (end_s - start_s) / count, max_side=max_side, job=job)


def frames_at(
    clip: Clip, times_s: Sequence[float] | NDArray[np.float64], *, max_side: int | None = None, job: Job | None = None
) -> Frames:
    """The picture that is on screen at each of `times_s`, ascending seconds from the first picture.

    Args:
        clip: Has a picture.
        times_s: At least one; the last picture stands for all times behind it.
        max_side: Longest side of the result in pixels; the stored size when None.
        job: Told how far it is, and asked to stop between packets.

    Raises:
        MissingStreamError: The clip has no picture.
        RequestError: There are no times, or they do not ascend.
        UnreadableMediaError: Not one picture could be decoded.
        Stopped: `job` was stopped.
    """
    shown = list(iter_frames_at(clip, times_s, max_side=max_side, job=job))
    images, times = [image for _, image in shown], [time_s for time_s, _ in shown]
    size = images[0].shape
    return Frames(
        np.stack([image if image.shape == size else _resized(image, size) for image in images]), np.array(times)
    )


def iter_frames_at(
    clip: Clip, times_s: Sequence[float] | NDArray[np.float64], *, max_side: int | None = None, job: Job | None = None
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The same pictures one by one, as `(seconds, (height, width, 3) uint8 RGB)`, for those who need not keep them all.

    Raises:
        MissingStreamError: The clip has no picture.
        RequestError: There are no times, or they do not ascend.
        UnreadableMediaError: Not one picture could be decoded.
        Stopped: `job` was stopped.
    """
    job = job or Job()
    need_picture(clip)
    targets = np.asarray(times_s, dtype=np.float64)
    if not targets.size or np.any(np.diff(targets) < 0):
        raise RequestError("Frames are asked for at one or more ascending times.")
    last: tuple[float, NDArray[np.uint8]] | None = None
    with opened_picture(clip) as (container, stream):
        for number, (time_s, frame) in enumerate(_shown_at(container, stream, clip, targets, job), start=1):
            if last is None or last[0] != time_s:
                last = time_s, picture_of(frame, max_side)
            yield last
            job.progress(number / targets.size, "Looking at the picture")


def iter_frames(
    clip: Clip,
    *,
    fps: float | None = None,
    max_side: int | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    job: Job | None = None,
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The clip's pictures in order, as `(seconds, (height, width, 3) uint8 RGB)`.

    For analysis, not for show: of long or large clips the pictures that no other one refers to are left out, so the
    steps between times vary. Where even that is too much, `iter_stretches` looks at parts.

    Args:
        clip: Has a picture.
        fps: At most this many pictures a second; all of them when None.
        max_side: Longest side of the result in pixels; the stored size when None.
        start_s: Where to begin, in seconds from the first picture.
        end_s: Where to end; the end of the clip when None.
        job: Told how far it is, and asked to stop between packets.

    Raises:
        MissingStreamError: The clip has no picture.
        RequestError: The times cannot be used.
        UnreadableMediaError: Not one picture could be decoded.
        Stopped: `job` was stopped.
    """
    job = job or Job()
    need_picture(clip)
    end_s = clip.duration_s if end_s is None else min(end_s, clip.duration_s)
    if not 0 <= start_s < end_s or (fps is not None and fps <= 0):
        raise RequestError(f"Frames between {start_s:.2f} s and {end_s:.2f} s at {fps} a second cannot be had.")
    step_s = 0.0 if fps is None else 1.0 / fps
    shown = False
    with opened_picture(clip, economy(clip, end_s - start_s, fps)) as (container, stream):
        origin_s = stream_start_s(stream)
        if start_s > _SEEK_GAP_S:
            _seek(container, stream, origin_s + start_s)
        decoded = ((seconds - origin_s, frame) for frame, seconds in timed_frames(container, stream, clip, job))
        # Decoding and converting take about as long as each other where pictures are large: they share the work.
        with closing(ahead(_on_grid(decoded, start_s, end_s, step_s), _DECODED_AHEAD)) as pictures:
            for time_s, frame in pictures:
                shown = True
                yield max(0.0, time_s), picture_of(frame, max_side)
                job.progress((time_s - start_s) / (end_s - start_s), "Watching the picture")
    if not shown:
        raise UnreadableMediaError(f"No picture of {clip.path.name} could be decoded in the part that was asked for.")


def _on_grid(
    frames: Iterator[tuple[float, VideoFrame]], start_s: float, end_s: float, step_s: float
) -> Iterator[tuple[float, VideoFrame]]:
    """Of `frames` those from `start_s` to before `end_s`, about `step_s` apart."""
    next_s = start_s
    for time_s, frame in frames:
        if time_s >= end_s:
            return
        if time_s < next_s - 1e-6:
            continue
        yield time_s, frame
        # Stay on the grid, so that rounding never halves the rate; skip what a gap left out.
        next_s = max(next_s + step_s, time_s + step_s / 2) if step_s else 0.0


def _shown_at(
    container: InputContainer, stream: VideoStream, clip: Clip, targets: NDArray[np.float64], job: Job
) -> Iterator[tuple[float, VideoFrame]]:
    """For each target the picture on screen at that time, with the time at which it appeared."""
    origin_s = stream_start_s(stream)
    plan = _KeyFrames(stream, clip)
    exact = plan.work_pixels(targets, origin_s) <= _WORK_PIXELS
    held: tuple[VideoFrame, float] | None = None
    pending: tuple[VideoFrame, float] | None = None
    frames = timed_frames(container, stream, clip, job)
    position_s = origin_s
    done = 0
    for target in targets:
        wanted_s = origin_s + float(target) + 1e-6
        if not exact:
            wanted_s = plan.nearest(wanted_s)
        key_s = plan.before(wanted_s)
        if key_s is None:
            jump = wanted_s - position_s > _SEEK_GAP_S
        else:
            jump = key_s > position_s + 1e-3
        if jump and _seek(container, stream, wanted_s):
            frames = timed_frames(container, stream, clip, job)
            held = pending = None
        while pending is None or pending[1] <= wanted_s:
            if pending is not None:
                held = pending
            pending = next(frames, None)
            if pending is None:
                break
            position_s = pending[1]
        shown = held or pending
        if shown is None:
            continue
        done += 1
        yield max(0.0, shown[1] - origin_s), shown[0]
    if not done:
        raise UnreadableMediaError(f"No picture of {clip.path.name} could be decoded.")


class _KeyFrames:
    """Times of the key frames that the container's index knows."""

    def __init__(self, stream: VideoStream, clip: Clip) -> None:
        time_base = float(stream.time_base or 0)
        keys = [entry.timestamp * time_base for entry in stream.index_entries if entry.is_keyframe]
        self._times = np.array(sorted(keys))
        known_s = self._times[-1] if len(keys) else 0.0
        if known_s < clip.duration_s / 2 and len(keys) < 3:
            self._times = self._times[:0]  # an index that is only built while reading says nothing yet
        self._frame_pixels = (clip.width or 0) * (clip.height or 0)
        self._fps = clip.fps or 25.0

    def before(self, seconds: float) -> float | None:
        """The last key frame at or before; None when there is no index."""
        if not self._times.size:
            return None
        place = int(np.searchsorted(self._times, seconds + 1e-4, side="right"))
        return float(self._times[max(0, place - 1)])

    def nearest(self, seconds: float) -> float:
        """The key frame closest in time; `seconds` itself when there is no index."""
        if not self._times.size:
            return seconds
        return float(self._times[np.abs(self._times - seconds).argmin()]) + 1e-4

    def work_pixels(self, targets: NDArray[np.float64], origin_s: float) -> float:
        """How many pixels are decoded to reach every target from the key frame in front of it."""
        position_s = origin_s
        total_s = 0.0
        for target in targets:
            wanted_s = origin_s + float(target)
            key_s = self.before(wanted_s)
            from_s = position_s if key_s is None else max(position_s, key_s)
            total_s += max(0.0, wanted_s - from_s)
            position_s = wanted_s
        return total_s * self._fps * self._frame_pixels


def _seek(container: InputContainer, stream: VideoStream, seconds: float) -> bool:
    try:
        container.seek(int(seconds / float(stream.time_base or 1)), stream=stream)
    except av.error.FFmpegError:
        return False
    return True


def _resized(image: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """For clips that change their size on the way: nearest pixels in the size of the first picture."""
    rows = np.arange(shape[0]) * image.shape[0] // shape[0]
    columns = np.arange(shape[1]) * image.shape[1] // shape[1]
    return np.ascontiguousarray(image[rows][:, columns])
