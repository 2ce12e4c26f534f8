"""Opening a container safely: local files only, known formats only, no picture larger than allowed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from musiscene.errors import MediaError, UnreadableMediaError
from musiscene.types import Limits

# Playlists (HLS, DASH, concat), image sequences and devices are formats too; a file of ours must not make the demuxer
# open other files or addresses, so what is read is listed.
_FORMATS = (
    "3gp aac ac3 aiff amr ape asf asf_o au avi caf dirac dts dv eac3 flac flv gif h264 hevc ivf m4v matroska,webm "
    "matroska mjpeg mov,mp4,m4a,3gp,3g2,mj2 mov mp2 mp3 mpc mpc8 mpeg mpegts mpegvideo mxf nut obu ogg opus rm swf tak "
    "tta voc w64 wav webm wv wtv xmv y4m yuv4mpegpipe"
)
_FORMAT_WHITELIST = ",".join(dict.fromkeys(_FORMATS.replace(",", " ").split()))

MAX_PIXELS = Limits().max_pixels
"""Decoders refuse larger frames by themselves, so that a lie in the header costs nothing."""

_WAV = {"max_probe_packets": "8"}
"""What calls itself PCM in a WAV file may be DTS. FFmpeg looks for it in 32 packets at every opening, which takes
longer than decoding a clip; 8 packets, 32 KiB, hold eight frames of DTS and more, of which four tell."""

_TIMEOUT_S = 8.0
_MAX_DECODER_THREADS = 8

DECODE_ERRORS = (av.error.FFmpegError, EOFError, ValueError, OverflowError, MemoryError)
"""What a damaged packet may raise while it is decoded."""


@contextlib.contextmanager
def opened(path: Path, max_pixels: int = MAX_PIXELS) -> Iterator[InputContainer]:
    """The container of `path`, closed afterwards; FFmpeg's errors become one sentence.

    Raises:
        UnreadableMediaError: The file is not media that can be read.
    """
    try:
        # "file:" and an absolute path keep a name such as "http:x" or "-x" from meaning something else.
        container = av.open(
            f"file:{path.absolute()}",
            options={"max_pixels": str(max_pixels)},
            container_options={
                "format_whitelist": _FORMAT_WHITELIST,
                "protocol_whitelist": "file",
                **(_WAV if path.suffix.lower() == ".wav" else {}),
            },
            metadata_errors="replace",
            timeout=(_TIMEOUT_S, _TIMEOUT_S),
        )
    except FileNotFoundError as error:
        raise UnreadableMediaError(f"There is no file {path.name}.") from error
    except PermissionError as error:
        raise UnreadableMediaError(f"{path.name} may not be read: permission denied.") from error
    except DECODE_ERRORS as error:
        raise _unreadable(path) from error
    try:
        yield container
    except MediaError:
        raise
    except av.error.FFmpegError as error:
        raise _unreadable(path) from error
    finally:
        container.close()


def _unreadable(path: Path) -> UnreadableMediaError:
    return UnreadableMediaError(
        f"{path.name} is not a video or sound file that can be read, or it is damaged or incomplete. "
        "Try to play it, or export it again (MP4, WebM, MP3 and WAV are safe choices)."
    )


def prepare_decoder(stream: Stream, options: dict[str, str] | None = None, *, max_pixels: int = MAX_PIXELS) -> None:
    """Set the threads, the limits and the options of a stream's decoder; call it before the first packet."""
    context: Any = stream.codec_context
    context.options = {"max_pixels": str(max_pixels), **(options or {})}
    if isinstance(stream, VideoStream):
        context.thread_type = "AUTO"
        context.thread_count = min(_MAX_DECODER_THREADS, _cores())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def discard_others(container: InputContainer, stream: Stream) -> None:
    """Let the demuxer skip the packets of all other streams."""
    for other in container.streams:
        if other.index != stream.index:
            other.discard = av.stream.Discard.all


def stream_start_s(stream: Stream) -> float:
    """Time of the first sample or frame on the container's clock; 0 when the container does not say."""
    if stream.start_time is None or not stream.time_base:
        return 0.0
    return float(stream.start_time * stream.time_base)
