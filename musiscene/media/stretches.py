"""Parts of a long clip's picture, read in one pass: packets outside them are not decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from musiscene.errors import UnreadableMediaError
from musiscene.media.ahead import ahead
from musiscene.media.container import stream_start_s
from musiscene.media.decoding import FrameClock, economy, need_picture, opened_picture, picture_of
from musiscene.media.packets import Packets
from musiscene.types import Clip, Job

_DECODED_AHEAD = 3


@dataclass(frozen=True, slots=True)
class Stretch:
    """Packets `first` up to before `last` of a clip's picture, in decoding order; `first` is a key frame's."""

    first: int
    last: int


def iter_stretches(
    clip: Clip,
    packets: Packets,
    stretches: Sequence[Stretch],
    *,
    fps: float,
    max_side: int | None = None,
    job: Job | None = None,
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The pictures in `stretches`, as `(seconds, (height, width, 3) uint8 RGB)`, in order.

    For analysis, like `iter_frames`, whose economies it shares. The first picture of each stretch always comes.

    Args:
        clip: Has a picture.
        packets: What `scan_packets` found in it.
        stretches: In order and without overlap; the file is read once, whatever lies between.
        fps: At most this many pictures a second.
        max_side: Longest side of the result in pixels; the stored size when None.
        job: Told how far it is, and asked to stop between packets.

    Raises:
        MissingStreamError: The clip has no picture.
        UnreadableMediaError: Not one picture could be decoded.
        Stopped: `job` was stopped.
    """
    job = job or Job()
    need_picture(clip)
    shown = False
    with opened_picture(clip, economy(clip, clip.duration_s, fps)) as (container, stream):
        decoded = _on_grid(_decoded(container, stream, clip, packets, stretches, job), 1.0 / fps)
        with closing(ahead(decoded, _DECODED_AHEAD)) as pictures:
            for time_s, frame in pictures:
                shown = True
                yield max(0.0, time_s), picture_of(frame, max_side)
                job.progress(time_s / max(clip.duration_s, 1e-3), "Watching the picture")
    if not shown:
        raise UnreadableMediaError(f"No picture of {clip.path.name} could be decoded in the parts that were chosen.")


def _on_grid(frames: Iterator[tuple[int, float, VideoFrame]], step_s: float) -> Iterator[tuple[float, VideoFrame]]:
    """Of `frames` (each with the number of its stretch) those about `step_s` apart."""
    next_s, now = -np.inf, -1
    for number, time_s, frame in frames:
        if number == now and time_s < next_s - 1e-6:
            continue
        yield time_s, frame
        next_s = max(next_s + step_s, time_s + step_s / 2) if number == now else time_s + step_s
        now = number


def _decoded(
    container: InputContainer,
    stream: VideoStream,
    clip: Clip,
    packets: Packets,
    stretches: Sequence[Stretch],
    job: Job,
) -> Iterator[tuple[int, float, VideoFrame]]:
    """Number of the stretch, seconds from the clip's first picture, and frame."""
    clock, origin_s = FrameClock(stream, clip), stream_start_s(stream)
    context: Any = stream.codec_context
    waiting = deque(enumerate(_joined(stretches)))
    number, now = -1, Stretch(0, 0)

    def timed(frames: list[tuple[VideoFrame, float]]) -> Iterator[tuple[int, float, VideoFrame]]:
        # Pictures that are shown before the key frame may refer to what was not decoded.
        least_s = packets.times_s[now.first] - 1e-6
        for frame, seconds in frames:
            if seconds - origin_s >= least_s:
                yield number, seconds - origin_s, frame

    inside = False
    for index, packet in enumerate(packet for packet in container.demux(stream) if packet.size):
        job.check()
        if inside and index >= now.last:
            inside = False
            yield from timed(clock.decode(None))
            context.flush_buffers()
        if not inside and waiting and index >= waiting[0][1].first:
            number, now = waiting.popleft()
            inside = True
        if inside:
            yield from timed(clock.decode(packet))
        if clock.broken or not (inside or waiting):
            return
    if inside:
        yield from timed(clock.decode(None))


def _joined(stretches: Sequence[Stretch]) -> list[Stretch]:
    """`stretches`, those that touch made one."""
    joined: list[Stretch] = []
    for stretch in stretches:
        if joined and stretch.first <= joined[-1].last:
            joined[-1] = Stretch(joined[-1].first, max(stretch.last, joined[-1].last))
        else:
            joined.append(stretch)
    return joined
