"""Stage 4, out: a clip gets a soundtrack. The picture is copied, packet by packet, wherever browsers play it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from musiscene.errors import MissingStreamError, RequestError, UnreadableMediaError
from musiscene.media.audio import downmix, read_audio, resample
from musiscene.media.container import DECODE_ERRORS, discard_others, opened, prepare_decoder
from musiscene.media.encoding import AUDIO_BIT_RATE, AUDIO_RATE, add_h264, encode_aac, encode_h264, even_size
from musiscene.media.files import atomic_path
from musiscene.media.mixing import MAX_TRUE_PEAK_DBTP, blend, duck, limited
from musiscene.media.probing import probe
from musiscene.media.waveforms import fit_duration
from musiscene.types import Clip, Job, Mix, Waveform

__all__ = ["Mix", "MuxResult", "browsers_play", "mux", "picture_only", "playable"]

_FADE_OUT_S = 0.3
_COPIED_FROM = ("mov", "matroska", "mpegts", "flv")
"""Containers that give every packet its time of display; AVI and raw streams do not."""
_CONTAINER_OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact"}
_AHEAD_S = 0.5
_MAX_REORDERED = 32


@dataclass(frozen=True, slots=True)
class MuxResult:
    """A video with its soundtrack.

    Attributes:
        path: The MP4 file.
        duration_s: Length of the picture, and of the file.
        video_codec: How the picture is coded in it.
        copied: The picture's packets are those of the source, byte for byte.
    """

    path: Path
    duration_s: float
    video_codec: str
    copied: bool


def mux(
    clip: Clip,
    waveform: Waveform,
    sample_rate: int,
    out: Path | str,
    *,
    mix: Mix = Mix.REPLACE,
    music_gain_db: float = 0.0,
    picture: Clip | None = None,
    job: Job | None = None,
) -> MuxResult:
    """Write `clip` with `waveform` as its soundtrack to `out`, an MP4 that browsers play while it loads.

    The soundtrack is fitted to the picture: cut with a short fade, or led out by silence. Titles, places and comments
    of the source are left behind.

    Args:
        clip: Has a picture.
        waveform: `(channels, samples)` float32.
        sample_rate: Of `waveform`, in Hz.
        out: Appears when it is complete; an older file is replaced.
        mix: What becomes of the clip's own sound, if it has any.
        music_gain_db: Makes the music louder or softer than its own level (`REPLACE`) or than the clip's sound.
        picture: What `playable` made of the clip: its picture is used, so that it is encoded once for many soundtracks.
        job: Told how far it is, and asked to stop.

    Raises:
        MissingStreamError: The clip has no picture.
        RequestError: The sound cannot be used.
        UnreadableMediaError: The picture cannot be read any more.
        StorageError: The file cannot be written.
        Stopped: `job` was stopped.
    """
    job = job or Job()
    if not clip.has_video or clip.video_stream is None:
        raise MissingStreamError(f"{clip.path.name} has no picture to put the music on; a video is needed.")
    sound = encode_aac(_soundtrack(clip, waveform, sample_rate, Mix(mix), music_gain_db, job), MAX_TRUE_PEAK_DBTP, job)
    job.progress(0.3, "Putting the music on the picture")
    seen = picture or clip
    with atomic_path(out) as temporary:
        fits = browsers_play(seen) and _write_copy(seen, clip, sound, temporary, job)
        if not fits:
            _write_encoded(clip, sound, temporary, job)
    copied = fits and seen is clip
    return MuxResult(Path(out), clip.duration_s, (clip.video_codec or "h264") if copied else "h264", copied)


def playable(clip: Clip, folder: Path, job: Job | None = None) -> Clip:
    """The clip itself where its picture can be copied; else a silent H.264 encoding of it in `folder`.

    Raises:
        UnreadableMediaError: The picture cannot be read.
        StorageError: The file cannot be written.
        Stopped: `job` was stopped.
    """
    if browsers_play(clip):
        return clip
    path = folder / f".picture-{secrets.token_hex(8)}.mp4"
    with atomic_path(path) as temporary:
        _write_encoded(clip, [], temporary, job or Job())
    return probe(path)


def picture_only(clip: Clip, out: Path | str, job: Job | None = None) -> None:
    """Write the clip's picture without any sound to `out`, an MP4 that browsers play, free of the source's tags.

    Raises:
        MissingStreamError: The clip has no picture.
        UnreadableMediaError: The picture cannot be read.
        StorageError: The file cannot be written.
        Stopped: `job` was stopped.
    """
    if not clip.has_video or clip.video_stream is None:
        raise MissingStreamError(f"{clip.path.name} has no picture.")
    with atomic_path(out) as temporary:
        job = job or Job()
        if not (browsers_play(clip) and _write_copy(clip, clip, [], temporary, job)):
            _write_encoded(clip, [], temporary, job)


def browsers_play(clip: Clip) -> bool:
    """Whether the picture can go into an MP4 as it is: 8-bit 4:2:0 H.264, VP9 or AV1 from a container with times.

    HEVC is decoded by some machines only, VP8 and Theora are not allowed in MP4, MPEG-4 part 2, H.263 and the rest
    are not decoded by browsers at all.
    """
    if not clip.container.startswith(_COPIED_FROM):
        return False
    if clip.video_codec == "h264":
        return clip.pixel_format in {"yuv420p", "yuvj420p"}
    if clip.video_codec == "vp9":
        return clip.pixel_format in {"yuv420p", "yuv420p10le"}
    if clip.video_codec == "av1":
        return clip.pixel_format in {"yuv420p", "yuvj420p", "yuv420p10le", "gray"}
    return False


def _soundtrack(clip: Clip, waveform: Waveform, sample_rate: int, mix: Mix, music_gain_db: float, job: Job) -> Waveform:
    waveform = np.atleast_2d(np.asarray(waveform, np.float32))
    if sample_rate <= 0 or waveform.ndim != 2 or not np.isfinite(waveform).all() or not np.isfinite(music_gain_db):
        raise RequestError("The soundtrack cannot be used: it needs (channels, samples) of finite numbers and a rate.")
    music = resample(downmix(waveform, 2), sample_rate, AUDIO_RATE)
    # Rounding up here would make the sound outlast the picture.
    length_s = int(clip.duration_s * AUDIO_RATE) / AUDIO_RATE
    music = fit_duration(music, AUDIO_RATE, length_s, fade_out_s=_FADE_OUT_S)
    job.check()
    if mix is Mix.REPLACE or not clip.has_sound:
        return limited(music, AUDIO_RATE, music_gain_db) if music_gain_db else music
    own = read_audio(clip, sample_rate=AUDIO_RATE, stereo=True, duration_s=max(length_s, 0.01), job=Job(stop=job.stop))
    own_sound = fit_duration(own.waveform, AUDIO_RATE, length_s)
    together = duck if mix is Mix.DUCK else blend
    return together(music, own_sound, AUDIO_RATE, music_gain_db)


def _write_copy(seen: Clip, clip: Clip, sound: list[Packet[Any]], path: Path, job: Job) -> bool:
    """Copy the picture of `seen`; False when the muxer cannot take its packets, and it must be encoded."""
    try:
        with opened(seen.path) as source, _output(path) as container:
            stream = _video_of(source, seen)
            video: VideoStream = container.add_stream_from_template(stream, opaque=True)
            _write(container, video, _copied(source, stream, video, seen), sound, clip, job)
    except (av.error.FFmpegError, ValueError, UnreadableMediaError):
        return False
    return _length_is_right(path, clip)


def _length_is_right(path: Path, clip: Clip) -> bool:
    with opened(path) as container:
        video = container.streams.video[0]
        length_s = float((video.duration or 0) * (video.time_base or 0))
    return abs(length_s - clip.duration_s) <= 1.0 / (clip.fps or 25.0) + 0.002


def _copied(source: InputContainer, stream: VideoStream, video: VideoStream, clip: Clip) -> Iterator[Packet[Any]]:
    start = stream.start_time
    frame_ticks = max(1, round(1 / (clip.fps or 25.0) / float(stream.time_base or 1)))
    discard_others(source, stream)
    for packet in _with_decoding_times(source, stream, frame_ticks):
        if packet.pts is None or packet.dts is None:
            raise ValueError("a packet without a time")
        start = packet.pts if start is None else start
        packet.pts -= start
        packet.dts -= start
        if not packet.duration:
            packet.duration = frame_ticks
        packet.stream = video
        yield packet


def _with_decoding_times(source: InputContainer, stream: VideoStream, frame_ticks: int) -> Iterator[Packet[Any]]:
    """The packets; Matroska tells no decoding time for the first ones of a stream with B-frames, so count backwards."""
    waiting: list[Packet[Any]] = []
    for packet in source.demux(stream):
        if not packet.size:
            continue
        if packet.dts is None and len(waiting) < _MAX_REORDERED:
            waiting.append(packet)
            continue
        for back, early in enumerate(reversed(waiting), start=1):
            if packet.dts is not None:
                early.dts = min(packet.dts - back * frame_ticks, early.pts if early.pts is not None else packet.dts)
        yield from waiting
        waiting = []
        yield packet
    for early in waiting:  # fewer pictures than the decoder could reorder
        early.dts = early.pts
    yield from waiting


def _write_encoded(clip: Clip, sound: list[Packet[Any]], path: Path, job: Job) -> None:
    with opened(clip.path) as source, _output(path) as container:
        stream = _video_of(source, clip)
        prepare_decoder(stream)
        discard_others(source, stream)
        frames = _decoded(source, stream, clip)
        first = next(frames, None)
        if first is None:
            raise UnreadableMediaError(f"No picture of {clip.path.name} could be decoded.")
        size = even_size(clip.width or first[0].width, clip.height or first[0].height)
        video = add_h264(container, stream, first[0], size)

        def again() -> Iterator[tuple[VideoFrame, float]]:
            yield first
            yield from frames

        _write(container, video, encode_h264(video, again(), clip.duration_s), sound, clip, job)


def _decoded(source: InputContainer, stream: VideoStream, clip: Clip) -> Iterator[tuple[VideoFrame, float]]:
    time_base = float(stream.time_base or 0)
    start_s: float | None = None
    last_s = -1.0
    for packet in source.demux(stream):
        try:
            frames = packet.decode()
        except EOFError:
            return
        except DECODE_ERRORS:
            continue
        for frame in frames:
            assert isinstance(frame, VideoFrame)
            stamp = frame.pts if frame.pts is not None else frame.dts
            seconds = stamp * time_base if stamp is not None else last_s + 1.0 / (clip.fps or 25.0) + (start_s or 0.0)
            start_s = seconds if start_s is None else start_s
            if seconds - start_s <= last_s or seconds - start_s >= clip.duration_s:
                continue
            last_s = seconds - start_s
            yield frame, last_s


def _video_of(source: InputContainer, clip: Clip) -> VideoStream:
    stream = source.streams[clip.video_stream or 0]
    if not isinstance(stream, VideoStream):
        raise UnreadableMediaError(f"{clip.path.name} has changed since it was read; open it again.")
    return stream


def _output(path: Path) -> OutputContainer:
    return av.open(f"file:{path.absolute()}", "w", format="mp4", container_options=_CONTAINER_OPTIONS)


def _write(
    container: OutputContainer,
    video: VideoStream,
    pictures: Iterator[Packet[Any]],
    sound: list[Packet[Any]],
    clip: Clip,
    job: Job,
) -> None:
    """Interleave both by time, so that a player never has to look far ahead."""
    audio: Any = None
    if sound:
        audio = container.add_stream("aac", rate=AUDIO_RATE, bit_rate=AUDIO_BIT_RATE)
        audio.layout = "stereo"
    waiting = iter(sound)
    next_sound = next(waiting, None)
    for packet in pictures:
        job.check()
        now_s = float((packet.dts or 0) * (packet.time_base or 0))
        while next_sound is not None and float((next_sound.pts or 0) / AUDIO_RATE) <= now_s + _AHEAD_S:
            next_sound.stream = audio
            container.mux(next_sound)
            next_sound = next(waiting, None)
        container.mux(packet)
        job.progress(0.3 + 0.7 * now_s / clip.duration_s, "Putting the music on the picture")
    while next_sound is not None:
        next_sound.stream = audio
        container.mux(next_sound)
        next_sound = next(waiting, None)
