"""A clip's picture, opened for decoding: the frames that come out, with their times, and their upright RGB."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from musiscene.errors import MissingStreamError
from musiscene.media.color import fitted_size, to_rgb
from musiscene.media.container import DECODE_ERRORS, discard_others, opened, prepare_decoder, stream_start_s
from musiscene.media.orientation import display_matrix, upright
from musiscene.types import Clip, Job

_MAX_BAD_PACKETS = 3000
_LIGHT_PIXELS = 1920 * 1080 * 1500


def need_picture(clip: Clip) -> None:
    """Refuse a clip without a picture.

    Raises:
        MissingStreamError: It has none.
    """
    if not clip.has_video or clip.video_stream is None:
        raise MissingStreamError(f"{clip.path.name} has no picture; a video is needed here.")


@contextlib.contextmanager
def opened_picture(clip: Clip, options: dict[str, str] | None = None) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and the chosen video stream, its decoder ready with `options` (those of `economy`, or none)."""
    options = dict(options or {})
    skip_frame = options.pop("skip_frame", "DEFAULT")
    with opened(clip.path) as container:
        stream = container.streams[clip.video_stream or 0]
        prepare_decoder(stream, options)
        context: Any = stream.codec_context
        context.skip_frame = skip_frame
        discard_others(container, stream)
        assert isinstance(stream, VideoStream)
        yield container, stream


def economy(clip: Clip, length_s: float, fps: float | None) -> dict[str, str]:
    """Decoder options that leave out what an analysis of a long clip can do without.

    That is the deblocking of pictures that are made small anyway, and, where at most half of the pictures are wanted,
    those that no other refers to.
    """
    rate = clip.fps or 25.0
    pixels = length_s * rate * (clip.width or 0) * (clip.height or 0)
    if pixels <= _LIGHT_PIXELS:
        return {}
    options = {"skip_loop_filter": "all", "flags2": "+fast"}
    if fps is not None and fps <= rate / 2:
        options["skip_frame"] = "NONREF"
    return options


class FrameClock:
    """Decodes packets; each frame gets its time on the container's clock, damaged packets are left out."""

    def __init__(self, stream: VideoStream, clip: Clip) -> None:
        self._stream = stream
        self._step_s = 1.0 / (clip.fps or 25.0)
        self._time_base = float(stream.time_base or 0)
        self._last_s: float | None = None
        self._bad = 0

    @property
    def broken(self) -> bool:
        """Whether so many packets were damaged that nothing more is to be hoped for."""
        return self._bad > _MAX_BAD_PACKETS

    def decode(self, packet: Packet[Any] | None) -> list[tuple[VideoFrame, float]]:
        """The frames that come out when `packet` goes in; None empties the decoder.

        Raises:
            EOFError: The decoder has been emptied.
        """
        try:
            frames = self._stream.decode(packet)
        except EOFError:
            raise
        except DECODE_ERRORS:
            self._bad += 1
            return []
        return [(frame, self._time(frame)) for frame in frames]

    def _time(self, frame: VideoFrame) -> float:
        stamp = frame.pts if frame.pts is not None else frame.dts
        if stamp is not None:
            seconds = float(stamp * self._time_base)
        else:
            seconds = stream_start_s(self._stream) if self._last_s is None else self._last_s + self._step_s
        self._last_s = seconds
        return seconds


def timed_frames(
    container: InputContainer, stream: VideoStream, clip: Clip, job: Job
) -> Iterator[tuple[VideoFrame, float]]:
    """Decoded frames with their time on the container's clock; damaged packets are left out."""
    clock = FrameClock(stream, clip)
    for packet in container.demux(stream):
        job.check()
        try:
            yield from clock.decode(packet)
        except EOFError:
            return
        if clock.broken:
            return


def picture_of(frame: VideoFrame, max_side: int | None) -> NDArray[np.uint8]:
    """`(height, width, 3)` uint8 RGB of `frame`, upright, its longer side at most `max_side` pixels."""
    return upright(to_rgb(frame, *fitted_size(frame.width, frame.height, max_side)), display_matrix(frame))
