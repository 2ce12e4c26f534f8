"""Joining clips. This is where moviepy serves: it decodes, fits sizes and encodes anew, which joining needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from musiscene.errors import BackendUnavailableError, RequestError, UnreadableMediaError
from musiscene.media.files import atomic_path
from musiscene.media.probing import probe
from musiscene.types import Limits


def concatenate(paths: Sequence[Path | str], out: Path | str, *, limits: Limits | None = None) -> Path:
    """Write the videos `paths`, one after the other, to the MP4 `out`; size and rate are those of the first.

    Args:
        paths: At least two files with a picture. Where one has no sound, there is silence.
        out: Appears when it is complete.
        limits: What is accepted; the defaults of `Limits` when not given.

    Raises:
        RequestError: There are fewer than two, or one has no picture.
        MediaError: One cannot be read.
        BackendUnavailableError: moviepy is not installed.
    """
    if len(paths) < 2:
        raise RequestError(f"Joining needs at least two videos, not {len(paths)}.")
    clips = [probe(path, limits) for path in paths]
    for clip in clips:
        if not clip.has_video:
            raise RequestError(f"{clip.path.name} has no picture, so it cannot be joined to a video.")
    if importlib.util.find_spec("moviepy") is None:
        raise BackendUnavailableError("Joining videos needs moviepy: run `pip install 'musiscene[edit]'`.")
    from moviepy import VideoFileClip, concatenate_videoclips

    width, height = clips[0].display_size or (0, 0)
    size = (width - width % 2, height - height % 2)
    opened = []
    try:
        for clip in clips:
            opened.append(VideoFileClip(str(clip.path.absolute())))
        fitted = [clip if tuple(clip.size) == size else _fitted(clip, size) for clip in opened]
        joined = concatenate_videoclips(fitted)
        with atomic_path(out) as part:
            joined.write_videofile(
                str(part),
                fps=clips[0].fps or 25,
                codec="libx264",
                audio_codec="aac",
                temp_audiofile=str(part.with_suffix(".part.m4a")),
                preset="veryfast",
                ffmpeg_params=["-map_metadata", "-1"],
                logger=None,
            )
    except (OSError, ValueError, KeyError) as error:
        names = ", ".join(clip.path.name for clip in clips)
        raise UnreadableMediaError(
            f"{names} could not be joined. Export them again as MP4 and try once more."
        ) from error
    finally:
        for clip in opened:
            clip.close()
    return Path(out)


def _fitted(clip: Any, size: tuple[int, int]) -> Any:
    """The clip as large as fits into `size`, on black."""
    from moviepy import ColorClip, CompositeVideoClip

    scale = min(size[0] / clip.w, size[1] / clip.h)
    small = clip.resized(scale).with_position("center")
    return CompositeVideoClip([ColorClip(size, color=(0, 0, 0), duration=clip.duration), small], size=size)
