"""Sound to AAC and pictures to H.264, for the one container that every browser plays."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from musiscene.media.color import encodable, encoded_matrix
from musiscene.media.levelling import limit_true_peak
from musiscene.media.loudness import true_peak
from musiscene.media.orientation import display_matrix
from musiscene.types import Job, Waveform

AUDIO_RATE = 48_000
AUDIO_BIT_RATE = 192_000
_CHUNK = 48_000
_PICTURE_CLOCK = Fraction(1, 90_000)
_MAX_SIDE = 1920
_CRF, _PRESET = "21", "veryfast"
_ROUNDS = 3


def encode_aac(waveform: Waveform, ceiling_dbtp: float, job: Job) -> list[Packet[Any]]:
    """AAC packets of stereo sound at 48 kHz; what a decoder makes of them stays below `ceiling_dbtp`.

    Coding noise lifts peaks by a few tenths of a decibel, so the packets are decoded again, and where they exceed the
    ceiling the limiter takes that much more.

    Args:
        waveform: `(2, samples)` at 48 kHz.
        ceiling_dbtp: Highest true peak after decoding.
        job: Asked to stop between blocks.
    """
    limit_dbtp = ceiling_dbtp
    packets: list[Packet[Any]] = []
    for _ in range(_ROUNDS):
        context = _aac_encoder()
        packets = list(_encoded(context, waveform, job))
        peak = _decoded_peak(packets, bytes(context.extradata or b""), job)
        over_db = 20 * float(np.log10(max(peak, 1e-9))) - ceiling_dbtp
        if over_db <= 0:
            break
        limit_dbtp -= over_db + 0.05
        waveform = limit_true_peak(waveform, AUDIO_RATE, limit_dbtp)
    return packets


def _aac_encoder() -> AudioCodecContext:
    context: Any = av.CodecContext.create("aac", "w")
    context.sample_rate = AUDIO_RATE
    context.layout = "stereo"
    context.format = "fltp"
    context.bit_rate = AUDIO_BIT_RATE
    # A third of the time of the default search, and on music at this rate no farther from the original (docs/media.md).
    context.options = {"aac_coder": "fast"}
    context.time_base = Fraction(1, AUDIO_RATE)
    context.flags |= av.codec.context.Flags.global_header
    context.open()
    encoder: AudioCodecContext = context
    return encoder


def _encoded(context: AudioCodecContext, waveform: Waveform, job: Job) -> Iterator[Packet[Any]]:
    for start in range(0, waveform.shape[1], _CHUNK):
        job.check()
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(waveform[:, start : start + _CHUNK], np.float32), format="fltp", layout="stereo"
        )
        frame.sample_rate = AUDIO_RATE
        frame.pts = start
        frame.time_base = Fraction(1, AUDIO_RATE)
        yield from context.encode(frame)
    yield from context.encode(None)


def _decoded_peak(packets: list[Packet[Any]], extradata: bytes, job: Job) -> float:
    context: Any = av.CodecContext.create("aac", "r")
    context.extradata = extradata
    peak = 0.0
    blocks: list[Waveform] = []
    for number, packet in enumerate(packets):
        blocks.extend(frame.to_ndarray() for frame in context.decode(packet))
        if number % 512 == 511:
            job.check()
            peak = max(peak, true_peak(np.concatenate(blocks, axis=1), AUDIO_RATE))
            blocks = blocks[-1:]
    if blocks:
        peak = max(peak, true_peak(np.concatenate(blocks, axis=1), AUDIO_RATE))
    return peak


def add_h264(container: OutputContainer, source: VideoStream, first: VideoFrame, size: tuple[int, int]) -> VideoStream:
    """A video stream in `container` for `encode_h264`, with `source`'s rate and pixel shape, turned as `first` is."""
    rate = source.average_rate or source.guessed_rate or Fraction(25)
    stream: VideoStream = container.add_stream(
        "libx264", rate=rate.limit_denominator(100_000), options={"crf": _CRF, "preset": _PRESET}
    )
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = _PICTURE_CLOCK
    stream.time_base = _PICTURE_CLOCK
    context: Any = stream.codec_context
    if source.sample_aspect_ratio:
        context.sample_aspect_ratio = source.sample_aspect_ratio
    matrix = encoded_matrix(first)
    context.colorspace = matrix
    context.color_primaries = context.color_trc = 1 if matrix == 1 else 6
    context.color_range = 1
    turned = display_matrix(first)
    if turned is not None:
        stream.set_display_matrix([int(value) for value in turned])
    return stream


def even_size(width: int, height: int) -> tuple[int, int]:
    """The size a picture is encoded at: at most 1920 on its longer side, both sides even (4:2:0 needs that)."""
    scale = min(1.0, _MAX_SIDE / max(width, height))
    return max(2, 2 * round(width * scale / 2 + 0.01)), max(2, 2 * round(height * scale / 2 + 0.01))


def encode_h264(stream: VideoStream, frames: Iterator[tuple[VideoFrame, float]], end_s: float) -> Iterator[Packet[Any]]:
    """H.264 packets of `frames`, which come with their time from the first one on, in seconds.

    Every picture keeps its time, so a variable frame rate stays one; the last is shown until `end_s`.
    """
    shown_for: dict[int, int] = {}
    last_pts = -1
    end_pts = round(end_s / _PICTURE_CLOCK)
    for frame, seconds in frames:
        pts = max(last_pts + 1, round(seconds / _PICTURE_CLOCK))
        if last_pts >= 0:
            shown_for[last_pts] = pts - last_pts
        last_pts = pts
        picture = encodable(frame, stream.width, stream.height)
        picture.pts = pts
        picture.time_base = _PICTURE_CLOCK
        yield from _timed(stream.encode(picture), shown_for)
    shown_for[last_pts] = max(1, end_pts - last_pts)
    yield from _timed(stream.encode(None), shown_for)


def _timed(packets: list[Packet[Any]], shown_for: dict[int, int]) -> Iterator[Packet[Any]]:
    for packet in packets:
        if packet.pts is not None:
            packet.duration = shown_for.pop(packet.pts, packet.duration or 0)
        yield packet
