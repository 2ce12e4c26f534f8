"""What the packets of a video tell before any of them is decoded: their times, sizes, and which can be left out."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import av.error
import numpy as np
from numpy.typing import NDArray

from musiscene.media.container import discard_others, opened, stream_start_s
from musiscene.media.decoding import need_picture
from musiscene.types import Clip, Job

_HD_PIXELS = 1920 * 1080
_HD_BYTES = 24_000
"""Decoding this much costs about what the pixels of one 1080p picture cost (H.264, measured with PyAV 18)."""
_CODEC_COST = {"hevc": 1.3, "vp9": 1.3, "av1": 0.6, "mpeg4": 0.55}
"""Processor time for that, beside H.264 (one 1080p film in each codec, two threads)."""
_SLICES_H264, _LEADING_HEVC = (1, 2, 3, 4, 5), 16


@dataclass(frozen=True)
class Packets:
    """The packets of a clip's picture in the order of decoding; arrays have one entry for each.

    Attributes:
        times_s: When its picture is shown, in seconds from the first one.
        sizes: Bytes.
        keys: Decoding can begin here.
        light: No other picture refers to it, so that a decoder may leave it out (told for H.264 and HEVC).
        frame_pixels: Pixels of a picture.
        codec_cost: What decoding it costs beside the same pixels and bytes in H.264.
    """

    times_s: NDArray[np.float64]
    sizes: NDArray[np.int64]
    keys: NDArray[np.bool_]
    light: NDArray[np.bool_]
    frame_pixels: int
    codec_cost: float = 1.0

    @property
    def step_s(self) -> float:
        """Mean time from one picture to the next."""
        return float(np.ptp(self.times_s)) / max(1, len(self.times_s) - 1)

    @property
    def work(self) -> NDArray[np.float64]:
        """What decoding each costs, in H.264 pictures of 1920 by 1080 without residue; nothing for the light ones."""
        cost = self.codec_cost * (self.frame_pixels / _HD_PIXELS + self.sizes / _HD_BYTES)
        return np.where(self.light, 0.0, cost)


def scan_packets(clip: Clip, job: Job | None = None) -> Packets | None:
    """Read all packets of the picture without decoding them; None where they carry no times.

    Raises:
        MissingStreamError: The clip has no picture.
        UnreadableMediaError: The file cannot be opened.
        Stopped: `job` was stopped.
    """
    job = job or Job()
    need_picture(clip)
    times: list[float] = []
    sizes: list[int] = []
    keys: list[bool] = []
    light: list[bool] = []
    with opened(clip.path) as container:
        stream: Any = container.streams[clip.video_stream or 0]
        discard_others(container, stream)
        codec, prefix = stream.codec_context.name, _length_bytes(stream.codec_context)
        time_base, origin_s = float(stream.time_base or 0), stream_start_s(stream)
        with contextlib.suppress(av.error.FFmpegError, EOFError):  # cut off: what was read until here counts
            for packet in container.demux(stream):
                job.check()
                stamp = packet.pts if packet.pts is not None else packet.dts
                if not packet.size:
                    continue
                if stamp is None:
                    return None
                times.append(stamp * time_base - origin_s)
                sizes.append(packet.size)
                keys.append(bool(packet.is_keyframe))
                light.append(_is_light(memoryview(packet), codec, prefix))
    if not times:
        return None
    pixels = (clip.width or 0) * (clip.height or 0)
    cost = _CODEC_COST.get(clip.video_codec or "", 1.0)
    return Packets(np.array(times), np.array(sizes), np.array(keys), np.array(light), pixels, cost)


def _length_bytes(context: Any) -> int:
    """Bytes of the length in front of each unit of a packet; 0 where start codes part them (ISO/IEC 14496-15)."""
    place = {"h264": 4, "hevc": 21}.get(context.name)
    extra = context.extradata or b""
    return int(extra[place] & 3) + 1 if place and len(extra) > place and extra[0] == 1 else 0


def _is_light(packet: memoryview, codec: str, prefix: int) -> bool:
    """Whether no other picture refers to the picture in `packet`, by the header of its first slice.

    H.264: nal_ref_idc is 0 (ITU-T H.264, section 7.4.1). HEVC: a sub-layer non-reference picture (ITU-T H.265, table
    7-1).
    """
    if codec not in ("h264", "hevc"):
        return False
    place = 0
    while True:
        if prefix:
            if place + prefix >= len(packet):
                return False
            length = int.from_bytes(packet[place : place + prefix], "big")
            start, following = place + prefix, place + prefix + length
        else:
            found = bytes(packet[place : place + 4096]).find(b"\0\0\1")
            if found < 0 or place + found + 3 >= len(packet):
                return False
            start = following = place + found + 3
        header = packet[start]
        if codec == "h264" and header & 31 in _SLICES_H264:
            return not header & 96
        if codec == "hevc" and header >> 1 & 63 < 32:
            kind = header >> 1 & 63
            return kind < _LEADING_HEVC and kind % 2 == 0
        place = following
