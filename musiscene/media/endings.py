"""How much of a sound is lacking at its end: what its header promises, against what there is."""

from __future__ import annotations

from pathlib import Path

from av.container import InputContainer
from av.stream import Stream

from musiscene.media.container import opened, stream_start_s
from musiscene.types import Clip

_TOLERANCE_S = {"wav": 0.01, "aiff": 0.01, "flac": 0.01}
"""Sound that is stored sample by sample is promised exactly."""
_CODED_TOLERANCE_S = 0.25
"""Codecs lead in and out with up to a few frames that some containers count and others do not."""
_PLACEHOLDER_BYTES = 0x7FFF0000
"""Programs that write to a pipe cannot know a WAV's length, and promise as much as fits into the field."""
_XING_WITHIN_BYTES = 256


def missing_end_s(clip: Clip, heard_s: float) -> float:
    """Seconds that the header of a file promises beyond the sound that was read from it; 0.0 when nothing is lacking.

    Formats whose length is only estimated (raw streams, MP3 without a Xing header, sound beside a picture in Matroska)
    promise nothing.

    Args:
        clip: Has sound.
        heard_s: End of all its sound, as `read_audio` gives it.
    """
    if clip.audio_stream is None:
        return 0.0
    with opened(clip.path) as container:
        promised_s = _promised_end_s(clip, container, container.streams[clip.audio_stream])
    lacking = promised_s - heard_s
    return lacking if lacking > _TOLERANCE_S.get(clip.container, _CODED_TOLERANCE_S) else 0.0


def _promised_end_s(clip: Clip, container: InputContainer, stream: Stream) -> float:
    """On the clock of `read_audio`, whose second 0 is the first picture where there is one."""
    kind = container.format.name
    if kind == "wav":
        return _wav_s(clip)
    if kind == "matroska,webm" and len(container.streams) == 1:
        return (container.duration or 0) / 1e6
    exact = kind in ("aiff", "flac") or kind.startswith("mov") or (kind == "mp3" and _has_xing(clip.path))
    if not exact or not stream.duration or not stream.time_base:
        return 0.0
    end_s = float(stream.duration * stream.time_base)
    if clip.has_video and clip.video_stream is not None:
        end_s += stream_start_s(stream) - stream_start_s(container.streams[clip.video_stream])
    return end_s


def _wav_s(clip: Clip) -> float:
    """Length that the chunks of a RIFF file promise (FFmpeg gives what is there); 0.0 where they do not say.

    After Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991).
    """
    if not clip.sample_rate or not (clip.audio_codec or "").startswith("pcm_"):
        return 0.0
    step = 0
    with clip.path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return 0.0
        file.seek(12)
        while len(head := file.read(8)) == 8:
            size = int.from_bytes(head[4:], "little")
            if head[:4] == b"data":
                return size / step / clip.sample_rate if step and size < _PLACEHOLDER_BYTES else 0.0
            if head[:4] == b"fmt ":
                step = int.from_bytes(file.read(14)[12:], "little")
                size -= 14
            file.seek(size + size % 2, 1)
    return 0.0


def _has_xing(path: Path) -> bool:
    """Whether the first frame of an MP3 counts the frames that follow."""
    with path.open("rb") as file:
        head = file.read(10)
        tag = 0
        if head[:3] == b"ID3":
            for seven_bits in head[6:10]:
                tag = tag << 7 | seven_bits
            tag += 10
        file.seek(tag)
        first = file.read(_XING_WITHIN_BYTES)
    return b"Xing" in first or b"Info" in first
