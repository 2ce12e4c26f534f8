"""Cutting a clip: its sound as FLAC for the dataset, its picture as a small file for the video captioner."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile

from musiscene.media import iter_frames, probe, read_audio
from musiscene.networks.resample import resample
from musiscene.types import Clip, Waveform

_TICKS = 90_000
_MAX_SIDE = 480
"""Longest side of the picture that captioners look at; they work at 224 to 384 pixels."""
_TOLERANCE_S = 0.5
"""A file that is longer than the clip by no more than this is the clip."""


def window(clip: Clip, start_s: float, end_s: float, *, begins_with_clip: bool) -> tuple[float, float]:
    """The part of a file that is the clip, `(start, end)` in seconds of the file.

    A file that is no longer than the clip is the clip, wherever that lies in its video.
    """
    length = end_s - start_s
    if begins_with_clip or clip.duration_s <= length + _TOLERANCE_S:
        start_s = 0.0
    return start_s, min(start_s + length, clip.duration_s)


def sound(clip: Clip, start_s: float, end_s: float, sample_rate: int) -> Waveform:
    """The clip's sound as MERT's front end makes it, averaged over the channels and resampled; `(samples,)`.

    Both are sums, so their order changes nothing but rounding, and this one resamples a single channel.

    Raises:
        MediaError: There is no sound.
    """
    audio = read_audio(clip, start_s=start_s, duration_s=end_s - start_s)
    mono = audio.waveform.mean(axis=0, keepdims=True, dtype=np.float32)
    resampled: Waveform = resample(mono, audio.sample_rate, sample_rate)[0]
    return resampled


def flac(mono: Waveform, sample_rate: int) -> bytes:
    """A waveform as a FLAC file of 16 bits; one that is louder than full scale is made softer first."""
    peak = float(np.abs(mono).max(initial=0.0))
    buffer = io.BytesIO()
    soundfile.write(buffer, mono / max(peak, 1.0), sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def sound_name(content: bytes) -> str:
    """SHA-256 of a sound's samples, whatever the encoder writes around them."""
    samples, rate = soundfile.read(io.BytesIO(content), dtype="int16", always_2d=True)
    return hashlib.sha256(str((rate, samples.shape)).encode() + samples.tobytes()).hexdigest()


@contextmanager
def picture_clip(clip: Clip, start_s: float, end_s: float) -> Iterator[Clip]:
    """The clip's picture as a file of its own, for as long as it is looked at; the file itself if that is the clip."""
    if start_s <= 0.0 and end_s >= clip.duration_s - 1e-3:
        yield clip
        return
    with tempfile.TemporaryDirectory(prefix="musiscene-clip-") as folder:
        path = Path(folder) / "clip.mp4"
        _write_picture(clip, start_s, end_s, path)
        yield probe(path)


@contextmanager
def sound_clip(content: bytes) -> Iterator[Clip]:
    """A stored sound as a file, for as long as it is listened to."""
    with tempfile.TemporaryDirectory(prefix="musiscene-clip-") as folder:
        path = Path(folder) / "clip.flac"
        path.write_bytes(content)
        yield probe(path)


def _write_picture(clip: Clip, start_s: float, end_s: float, path: Path) -> None:
    frames = iter_frames(clip, max_side=_MAX_SIDE, start_s=start_s, end_s=end_s)
    with av.open(str(path), "w") as container:
        stream = None
        last = -1
        for seconds, image in frames:
            image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]  # 4:2:0 needs even sides
            if stream is None:
                stream = container.add_stream("libx264", rate=25, options={"crf": "20", "preset": "veryfast"})
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.time_base = Fraction(1, _TICKS)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            last = frame.pts = max(last + 1, round((seconds - start_s) * _TICKS))
            frame.time_base = Fraction(1, _TICKS)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))
