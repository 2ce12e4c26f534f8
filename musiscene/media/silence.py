"""Whether an audio track can be decoded at all, and whether there is anything in it to hear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.stream import Stream

from musiscene.media.container import DECODE_ERRORS, discard_others, opened, prepare_decoder
from musiscene.media.samples import as_float

_SILENT_MEAN_DBFS = -70.0
"""The absolute gate of BS.1770: what lies below counts as silence in every loudness measurement."""
_AUDIBLE_PEAK_DBFS = -30.0
"""A single sample above this is heard, however quiet the rest is."""
_LISTEN_WHOLE_S = 600.0
_SPOTS = 96
_FRAMES_PER_SPOT = 4
_MAX_BAD_PACKETS = 2000


@dataclass(frozen=True, slots=True)
class SoundCheck:
    """What listening to a track told."""

    decodable: bool
    silent: bool
    sample_rate: int | None = None
    channels: int | None = None


def listen(path: Path, stream_index: int) -> SoundCheck:
    """Decode until something audible is heard; the whole track up to ten minutes, spots of longer ones.

    A track is silent when its mean level is below -70 dBFS and no sample exceeds -30 dBFS: digital silence, or the
    noise of a converter without a signal. Sound that lies entirely between the spots of an hours-long silent
    track is missed.
    """
    energy = 0.0
    samples = 0
    facts: tuple[int, int] | None = None
    with opened(path) as container:
        stream = container.streams[stream_index]
        prepare_decoder(stream)
        discard_others(container, stream)
        length_s = _length_s(container, stream)
        enough: float | None = None
        for frame in _frames(container, stream, length_s):
            if not frame.samples:
                continue
            block = as_float(frame)
            if facts is None:
                facts = (frame.sample_rate, block.shape[0])
                if length_s:
                    enough = 10 ** (_SILENT_MEAN_DBFS / 10) * length_s * frame.sample_rate * block.shape[0]
            peak = float(np.abs(block).max(initial=0.0))
            energy += float(np.square(block, dtype=np.float64).sum())
            samples += block.size
            if peak > 10 ** (_AUDIBLE_PEAK_DBFS / 20) or (enough is not None and energy > enough):
                return SoundCheck(True, False, *facts)
    if facts is None:
        return SoundCheck(decodable=False, silent=False)
    silent = energy <= 10 ** (_SILENT_MEAN_DBFS / 10) * samples
    return SoundCheck(True, silent, *facts)


def _length_s(container: InputContainer, stream: Stream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1e6


def _frames(container: InputContainer, stream: Stream, length_s: float) -> Iterator[AudioFrame]:
    heard_s = 0.0
    for frame in decoded(container, stream):
        yield frame
        heard_s += frame.samples / max(1, frame.sample_rate)
        if heard_s > _LISTEN_WHOLE_S / 10 and length_s > _LISTEN_WHOLE_S:
            break
        if heard_s > _LISTEN_WHOLE_S:
            break
    else:
        return
    start = stream.start_time or 0
    for spot in range(_SPOTS):
        at_s = length_s * (spot + 0.5) / _SPOTS
        try:
            container.seek(start + int(at_s / (stream.time_base or 1)), stream=stream)
        except av.error.FFmpegError:
            return
        for number, frame in enumerate(decoded(container, stream)):
            yield frame
            if number + 1 >= _FRAMES_PER_SPOT:
                break


def decoded(container: InputContainer, stream: Stream) -> Iterator[Any]:
    """The frames of a stream; packets that cannot be decoded are left out."""
    bad = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except EOFError:
            return
        except DECODE_ERRORS:
            bad += 1
            if bad > _MAX_BAD_PACKETS:
                return
            continue
        yield from frames
