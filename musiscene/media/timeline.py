"""How long a picture or a sound really lasts, when the header does not say or cannot be right."""

from __future__ import annotations

from pathlib import Path

import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from musiscene.media.container import discard_others, opened, stream_start_s
from musiscene.media.silence import decoded

_TAIL_S = 20.0
_DEFAULT_FRAME_S = 0.04


def picture_length_s(path: Path, container: InputContainer, stream: VideoStream) -> float:
    """From the first picture's time to the end of the last one's, in seconds."""
    indexed = _indexed_length_s(container, stream, path.stat().st_size)
    if indexed:
        return indexed
    end_s = _last_packet_end_s(path, stream, (container.duration or 0) / 1e6)
    length_s = end_s - stream_start_s(stream)
    if length_s > 0:
        return length_s
    return _declared_s(container, stream)


def audio_length_s(path: Path, container: InputContainer, stream: AudioStream) -> float:
    """Length of the sound in seconds; decoded and counted when neither header nor packets say."""
    size = path.stat().st_size
    indexed = _indexed_length_s(container, stream, size)
    if indexed:
        return indexed
    declared_s = _declared_s(container, stream)
    end_s = _last_packet_end_s(path, stream, declared_s)
    length_s = end_s - stream_start_s(stream)
    if length_s > 0:
        return min(length_s, declared_s) if 0 < declared_s - length_s < 0.1 else length_s
    if declared_s > 0:
        return declared_s
    with opened(path) as again:
        sound = again.streams[stream.index]
        discard_others(again, sound)
        return float(sum(f.samples / f.sample_rate for f in decoded(again, sound) if f.sample_rate))


def _declared_s(container: InputContainer, stream: Stream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return max(0.0, (container.duration or 0) / 1e6)


def _indexed_length_s(container: InputContainer, stream: Stream, size_bytes: int) -> float | None:
    """The declared length of an MP4 track whose index agrees with the size of the file; shorter when cut off."""
    if not container.format.name.startswith("mov") or not stream.duration or not stream.time_base:
        return None
    index = stream.index_entries
    count = len(index)
    if not count or not stream.frames:
        return None
    for number in range(count - 1, -1, -1):
        entry = index[number]
        if entry.pos + entry.size <= size_bytes:
            if number == count - 1:
                return float(stream.duration * stream.time_base)
            return float((index[number + 1].timestamp - index[0].timestamp) * stream.time_base)
    return None


def _last_packet_end_s(path: Path, stream: Stream, declared_s: float) -> float:
    """End of the latest packet on the container's clock: read from near the end, from the start if that finds none."""
    time_base = stream.time_base
    if not time_base:
        return 0.0
    for from_s in (declared_s - _TAIL_S, 0.0):
        if from_s <= 0 < declared_s - _TAIL_S:
            from_s = 0.0
        with opened(path) as container:
            again = container.streams[stream.index]
            discard_others(container, again)
            if from_s > 0:
                try:
                    container.seek(int((from_s + stream_start_s(stream)) / time_base), stream=again)
                except av.error.FFmpegError:
                    continue
            end_s = _read_to_end(container, again)
        if end_s > 0:
            return end_s
    return 0.0


def _read_to_end(container: InputContainer, stream: Stream) -> float:
    time_base = float(stream.time_base or 0)
    rate = getattr(stream, "guessed_rate", None)
    frame_s = float(1 / rate) if rate else _DEFAULT_FRAME_S
    end_s = 0.0
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            at = packet.pts if packet.pts is not None else packet.dts
            if at is None:
                continue
            length_s = (packet.duration or 0) * time_base
            if not length_s and stream.type == "video":
                length_s = frame_s
            end_s = max(end_s, at * time_base + length_s)
    except (av.error.FFmpegError, EOFError):
        pass
    return end_s
