"""`probe`: what a media file is, from its header and a few decoded packets."""

from __future__ import annotations

from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from musiscene.errors import MediaLimitError, UnreadableMediaError
from musiscene.media.container import opened
from musiscene.media.orientation import first_frame_rotation
from musiscene.media.silence import SoundCheck, listen
from musiscene.media.stillness import refuse_still_image
from musiscene.media.timeline import audio_length_s, picture_length_s
from musiscene.types import Clip, Limits

_PLAUSIBLE_FPS = (0.05, 300.0)


def probe(path: Path | str, limits: Limits | None = None) -> Clip:
    """The facts of a media file.

    The duration is that of the picture (of the sound, when there is no picture), measured where the header does not
    say or cannot be right. Among several tracks the container's default one is taken, then the largest picture and
    the one with the most channels. A cover picture is not video; a track without one decodable frame or sample does
    not count.

    Args:
        path: A file on this machine.
        limits: What is accepted; the defaults of `Limits` when not given.

    Raises:
        UnreadableMediaError: Not media, a still image, damaged, or nothing can be decoded from it.
        MediaLimitError: Larger, longer or wider than `limits`; found before anything is decoded.
    """
    path = Path(path)
    limits = limits or Limits()
    size_bytes = _size_bytes(path)
    if size_bytes > limits.max_bytes:
        raise MediaLimitError(
            f"{path.name} has {_megabytes(size_bytes)} MB; this installation accepts up to "
            f"{_megabytes(limits.max_bytes)} MB. Make it shorter or smaller."
        )
    refuse_still_image(path, limits)
    with opened(path, limits.max_pixels) as container:
        _check_streams(path, container, limits)
        video = _best_video(container)
        audio = _best_audio(container)
        if video is not None:
            _check_pixels(path, video, limits)
        _check_declared_duration(path, container, limits)
        rotation = None if video is None else first_frame_rotation(path, video.index, limits.max_pixels)
        if rotation is None:
            video = None
        sound = SoundCheck(decodable=False, silent=False) if audio is None else listen(path, audio.index)
        if not sound.decodable:
            audio = None
        if video is None and audio is None:
            raise UnreadableMediaError(
                f"{path.name} holds neither a picture nor a sound that can be decoded. "
                "Try to play it, or export it again."
            )
        duration_s = picture_length_s(path, container, video) if video is not None else 0.0
        if audio is not None and duration_s <= 0:
            duration_s = audio_length_s(path, container, audio)
        if duration_s <= 0:
            raise UnreadableMediaError(f"{path.name} holds no time that could be played: its length is 0 s.")
        _check_duration(path, duration_s, limits)
        return Clip(
            path=path,
            duration_s=duration_s,
            has_video=video is not None,
            has_audio=audio is not None,
            width=video.width if video is not None else None,
            height=video.height if video is not None else None,
            fps=_fps(video) if video is not None else None,
            rotation=rotation or 0,
            sample_rate=sound.sample_rate,
            channels=sound.channels,
            container=container.format.name,
            video_codec=video.codec_context.codec.canonical_name if video is not None else None,
            audio_codec=audio.codec_context.codec.canonical_name if audio is not None else None,
            pixel_format=video.pix_fmt if video is not None else None,
            video_stream=video.index if video is not None else None,
            audio_stream=audio.index if audio is not None else None,
            audio_silent=sound.silent,
            size_bytes=size_bytes,
        )


def _size_bytes(path: Path) -> int:
    try:
        if path.is_dir():
            raise UnreadableMediaError(f"{path.name} is a folder; a video or sound file is needed.")
        size = path.stat().st_size
    except OSError as error:
        raise UnreadableMediaError(f"{path.name or path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # a null byte in the name
        raise UnreadableMediaError("The name of the file cannot be used.") from error
    if not size and path.is_file():
        raise UnreadableMediaError(f"{path.name} is empty (0 bytes). Was the upload or the copy interrupted?")
    if not path.is_file():
        raise UnreadableMediaError(f"{path.name} is not a regular file; a video or sound file is needed.")
    return size


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}".removesuffix(".0")


def _check_streams(path: Path, container: InputContainer, limits: Limits) -> None:
    if len(container.streams) > limits.max_streams:
        raise MediaLimitError(
            f"{path.name} has {len(container.streams)} streams; this installation accepts up to {limits.max_streams}. "
            "Export it with one picture and one sound track."
        )


def _check_pixels(path: Path, video: VideoStream, limits: Limits) -> None:
    width, height = video.width, video.height
    if width <= 0 or height <= 0:
        raise UnreadableMediaError(
            f"The picture of {path.name} cannot be decoded: it has no size, or one above the "
            f"{limits.max_pixels / 1e6:.1f} megapixels that this installation accepts."
        )
    if width * height > limits.max_pixels:
        raise MediaLimitError(
            f"The picture of {path.name} has {width} x {height} pixels; this installation accepts up to "
            f"{limits.max_pixels / 1e6:.1f} megapixels. Export it smaller."
        )


def _check_declared_duration(path: Path, container: InputContainer, limits: Limits) -> None:
    if container.duration:
        _check_duration(path, container.duration / 1e6, limits)


def _check_duration(path: Path, duration_s: float, limits: Limits) -> None:
    if duration_s > limits.max_duration_s:
        raise MediaLimitError(
            f"{path.name} lasts {duration_s:.0f} s; this installation accepts up to {limits.max_duration_s:.0f} s. "
            "Cut out the part you need."
        )


def _best_video(container: InputContainer) -> VideoStream | None:
    not_video = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    candidates = [s for s in container.streams.video if s.codec_context is not None and not s.disposition & not_video]
    return max(
        candidates,
        key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height, -s.index),
        default=None,
    )


def _best_audio(container: InputContainer) -> AudioStream | None:
    candidates = [s for s in container.streams.audio if s.codec_context is not None]
    return max(
        candidates,
        key=lambda s: (bool(s.disposition & Disposition.default), s.codec_context.channels, -s.index),
        default=None,
    )


def _fps(video: VideoStream) -> float | None:
    low, high = _PLAUSIBLE_FPS
    for rate in (video.average_rate, video.guessed_rate, video.base_rate):
        if rate and low <= float(rate) <= high:
            return float(rate)
    return None
