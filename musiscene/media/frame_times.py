"""When the pictures of a clip appear, without decoding them."""

from __future__ import annotations

import contextlib

import av.error
import numpy as np
from numpy.typing import NDArray

from musiscene.errors import MissingStreamError, RequestError
from musiscene.media.container import discard_others, opened, stream_start_s
from musiscene.types import Clip, Job

_REORDERING_S = 1.0
"""Pictures are stored at most this long before or after their place; seeking goes by the place in the file."""


def frame_times(
    clip: Clip, *, start_s: float = 0.0, end_s: float | None = None, job: Job | None = None
) -> NDArray[np.float64]:
    """Times of the pictures from `start_s` up to before `end_s`, ascending seconds from the clip's first picture.

    Read from the packets; where they carry no times, an even grid at the clip's frame rate stands in.

    Raises:
        MissingStreamError: The clip has no picture.
        RequestError: The times cannot be used.
        UnreadableMediaError: The file cannot be opened.
        Stopped: `job` was stopped.
    """
    job = job or Job()
    if not clip.has_video or clip.video_stream is None:
        raise MissingStreamError(f"{clip.path.name} has no picture; a video is needed here.")
    until_s = clip.duration_s if end_s is None else min(end_s, clip.duration_s)
    if not 0 <= start_s < until_s:
        raise RequestError(
            f"Frames between {start_s:.2f} s and {until_s:.2f} s were asked for; that is no time at all."
        )
    found = _packet_times(clip, start_s, until_s, end_s is None, job)
    if not found:
        step_s = 1.0 / (clip.fps or 25.0)
        found = list(np.arange(start_s, until_s - step_s / 2, step_s)) or [start_s]
    return np.array(sorted(set(found)))


def _packet_times(clip: Clip, start_s: float, until_s: float, to_the_end: bool, job: Job) -> list[float]:
    times: list[float] = []
    with opened(clip.path) as container:
        stream = container.streams[clip.video_stream or 0]
        discard_others(container, stream)
        time_base = float(stream.time_base or 0)
        origin_s = stream_start_s(stream)
        if start_s > 0:
            with contextlib.suppress(av.error.FFmpegError, ZeroDivisionError):  # then it is read from the beginning
                container.seek(int((origin_s + start_s - _REORDERING_S) / time_base), stream=stream)
        with contextlib.suppress(av.error.FFmpegError, EOFError):  # cut off: what was read until here counts
            for packet in container.demux(stream):
                job.check()
                stamp = packet.pts if packet.pts is not None else packet.dts
                if not packet.size or stamp is None:
                    continue
                # Packets come in decoding order, so only the decoding time tells that nothing earlier follows.
                decoded_s = (packet.dts if packet.dts is not None else stamp) * time_base - origin_s
                if decoded_s >= until_s and not to_the_end:
                    break
                time_s = stamp * time_base - origin_s
                if time_s > start_s - 1e-6 and (to_the_end or time_s < until_s - 1e-6):
                    times.append(max(0.0, time_s))
    return times
