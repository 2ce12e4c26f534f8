"""Sound out of a clip: aligned to the picture, at the rate and number of channels that are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import av.error
import numpy as np
from av.container import InputContainer
from av.stream import Stream
from numpy.typing import NDArray

from musiscene.errors import MissingStreamError, RequestError
from musiscene.media.container import DECODE_ERRORS, discard_others, opened, prepare_decoder, stream_start_s
from musiscene.media.samples import as_float_counted
from musiscene.types import Clip, Job, Waveform

_PREROLL_S = 0.25
"""Decoders need a little run-up after a jump."""
_SEEK_FROM_S = 1.0
_JITTER_S = 0.04
"""Containers round timestamps (Matroska to 1 ms, AVI to a frame); smaller steps are not gaps."""
_BLOCK_S = 5.0
_MAX_BAD_PACKETS = 5000
_MIN_RATE, _MAX_RATE = 1000, 768_000

_SIDE = float(np.sqrt(0.5))
_LEFT_OF = {
    "FL": 1.0, "FC": _SIDE, "SL": _SIDE, "BL": _SIDE, "FLC": 1.0, "BC": 0.5, "WL": _SIDE, "SDL": _SIDE, "DL": 1.0,
    "TFL": _SIDE, "TBL": _SIDE, "TFC": 0.5, "TC": 0.5, "TBC": 0.5, "TSL": _SIDE, "MONO": 1.0,
}  # fmt: skip
_RIGHT_OF = {
    {"FL": "FR", "SL": "SR", "BL": "BR", "FLC": "FRC", "WL": "WR", "SDL": "SDR", "DL": "DR", "TFL": "TFR",
     "TBL": "TBR", "TSL": "TSR"}.get(name, name): gain
    for name, gain in _LEFT_OF.items()
}  # fmt: skip
_DEFAULT_LAYOUTS: dict[int, tuple[str, ...]] = {
    1: ("FC",),
    2: ("FL", "FR"),
    3: ("FL", "FR", "FC"),
    4: ("FL", "FR", "BL", "BR"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound with its rate.

    Attributes:
        waveform: `(channels, samples)` float32; sample 0 is at the start of the part that was asked for.
        sample_rate: In Hz.
        not_numbers: Samples of all channels that were NaN or infinite in the file, and are 0 here.
    """

    waveform: Waveform
    sample_rate: int
    not_numbers: int = 0

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float(self.waveform.shape[-1] / self.sample_rate)


def read_audio(
    clip: Clip,
    *,
    sample_rate: int | None = None,
    mono: bool = False,
    start_s: float = 0.0,
    duration_s: float | None = None,
    stereo: bool = False,
    job: Job | None = None,
) -> Audio:
    """The clip's sound; second 0 is the first picture (the first sample, when there is no picture).

    A track that starts later than the picture is led in by silence, one that starts earlier is cut; gaps are silent.
    Blocks are mixed down and resampled while they are decoded, so that memory holds the result and little more.

    Args:
        clip: Has a sound track.
        sample_rate: In Hz; the track's own when None.
        mono: Mix down to one channel (see `downmix`).
        start_s: Where to begin, in seconds.
        duration_s: How much to read at most; to the end when None.
        stereo: Mix down (or up) to two channels.
        job: Told how far it is, and asked to stop between packets.

    Raises:
        MissingStreamError: The clip has no sound track.
        RequestError: The rate or the times cannot be used.
        Stopped: `job` was stopped.
    """
    job = job or Job()
    if not clip.has_audio or clip.audio_stream is None:
        raise MissingStreamError(f"{clip.path.name} has no sound; add a music track, or use a clip with sound.")
    if start_s < 0 or (duration_s is not None and duration_s <= 0):
        raise RequestError(f"Sound from {start_s} s, {duration_s} s long, cannot be read.")
    if sample_rate is not None and not _MIN_RATE <= sample_rate <= _MAX_RATE:
        raise RequestError(f"The sample rate must be {_MIN_RATE} to {_MAX_RATE} Hz, got {sample_rate}.")
    wanted_channels = 1 if mono else 2 if stereo else None
    with opened(clip.path) as container:
        stream = container.streams[clip.audio_stream]
        origin_s = _origin_s(container, clip, stream)
        prepare_decoder(stream)
        discard_others(container, stream)
        if start_s > _SEEK_FROM_S:
            _seek(container, stream, origin_s + start_s - _PREROLL_S)
        blocks = _Blocks(origin_s + start_s, duration_s, clip, wanted_channels, sample_rate)
        expected_s = duration_s or max(clip.duration_s - start_s, 0.1)
        for frame, seconds in _timed(container, stream, job):
            if not blocks.add(frame, seconds):
                break
            job.progress(blocks.length_s / expected_s, "Listening")
    return blocks.finish()


def downmix(waveform: Waveform, channels: int, layout: Sequence[str] | None = None) -> Waveform:
    """`waveform` with one or two channels.

    Left = L + 0.707 C + 0.707 Ls, right alike (ITU-R BS.775-3, annex 4), scaled so that full scale in every channel
    stays at full scale; the low-frequency channel is left out, as there. Mono is the mean of left and right.
    A layout that does not fit the number of channels is replaced by the usual one for that number.

    Args:
        waveform: `(channels, samples)`.
        channels: 1 or 2.
        layout: FFmpeg's name of each channel ("FL", "FR", "FC", "LFE" …).
    """
    given = waveform.shape[0]
    if given == channels:
        return waveform
    if given == 1:
        return np.repeat(waveform, channels, axis=0)
    return np.asarray(_matrix(given, channels, tuple(layout or ())) @ waveform, np.float32)


def _matrix(given: int, channels: int, layout: tuple[str, ...]) -> NDArray[np.float32]:
    names = layout if len(layout) == given and set(layout) & set(_LEFT_OF) else _DEFAULT_LAYOUTS.get(given, ())
    left = np.array([_LEFT_OF.get(name, 0.0) for name in names])
    right = np.array([_RIGHT_OF.get(name, 0.0) for name in names])
    if not names or not left.any() or not right.any():  # unknown arrangement: everything equally
        left = right = np.ones(given)
    matrix = np.stack([left / left.sum(), right / right.sum()])
    return np.asarray(matrix.mean(axis=0, keepdims=True) if channels == 1 else matrix, np.float32)


def _origin_s(container: InputContainer, clip: Clip, stream: Stream) -> float:
    """The clip's second 0 on the container's clock."""
    if clip.has_video and clip.video_stream is not None:
        return stream_start_s(container.streams[clip.video_stream])
    return stream_start_s(stream)


def _seek(container: InputContainer, stream: Stream, seconds: float) -> None:
    try:
        container.seek(int(max(0.0, seconds) / float(stream.time_base or 1)), stream=stream)
    except av.error.FFmpegError:
        container.seek(0)


def _timed(container: InputContainer, stream: Stream, job: Job) -> Iterator[tuple[Any, float | None]]:
    time_base = float(stream.time_base or 0)
    bad = 0
    for packet in container.demux(stream):
        job.check()
        try:
            frames = packet.decode()
        except EOFError:
            return
        except DECODE_ERRORS:
            bad += 1
            if bad > _MAX_BAD_PACKETS:
                return
            continue
        frame: Any
        for frame in frames:
            if frame.samples and frame.sample_rate:
                yield frame, None if frame.pts is None else frame.pts * float(frame.time_base or time_base)


class _Blocks:
    """Puts decoded frames on the time line, mixes and resamples them block by block."""

    def __init__(
        self, start_s: float, duration_s: float | None, clip: Clip, channels: int | None, sample_rate: int | None
    ) -> None:
        self._start_s = start_s
        self._duration_s = duration_s
        self._channels = channels
        self._wanted_rate = sample_rate
        self._rate = clip.sample_rate or 0
        self._given = clip.channels or 0
        self._waiting: list[Waveform] = []
        self._waiting_samples = 0
        self._done: list[Waveform] = []
        self._position = 0  # samples placed so far, at the track's own rate
        self._resampler: Any = None
        self._not_numbers = 0

    @property
    def length_s(self) -> float:
        return self._position / self._rate if self._rate else 0.0

    def add(self, frame: Any, seconds: float | None) -> bool:
        """Place one frame; False when the part that was asked for is complete."""
        block, strange = as_float_counted(frame)
        self._not_numbers += strange
        if not self._rate:
            self._rate = frame.sample_rate
        if frame.sample_rate != self._rate:
            block = resample(block, frame.sample_rate, self._rate)
        block = self._mixed(block, frame)
        if seconds is not None:
            block = self._aligned(block, seconds)
        limit = None if self._duration_s is None else round(self._duration_s * self._rate)
        if limit is not None and self._position + block.shape[1] >= limit:
            self._push(block[:, : limit - self._position])
            return False
        self._push(block)
        return True

    def _mixed(self, block: Waveform, frame: Any) -> Waveform:
        layout = tuple(channel.name for channel in frame.layout.channels)
        if self._channels is not None:
            return downmix(block, self._channels, layout)
        if not self._given:
            self._given = block.shape[0]
        if block.shape[0] == self._given:
            return block
        return np.resize(downmix(block, min(2, self._given), layout), (self._given, block.shape[1]))

    def _aligned(self, block: Waveform, seconds: float) -> Waveform:
        place = round((seconds - self._start_s) * self._rate)
        late = place - self._position
        if self._position > 0 and abs(late) <= _JITTER_S * self._rate:
            return block
        if late < 0:
            return block[:, min(-late, block.shape[1]) :]
        if late > 0:
            if self._duration_s is not None:
                late = min(late, max(0, round(self._duration_s * self._rate) - self._position))
            self._push(np.zeros((block.shape[0], late), np.float32))
        return block

    def _push(self, block: Waveform) -> None:
        if not block.shape[1]:
            return
        self._waiting.append(block)
        self._waiting_samples += block.shape[1]
        self._position += block.shape[1]
        if self._waiting_samples >= _BLOCK_S * self._rate:
            self._flush(last=False)

    def _flush(self, *, last: bool) -> None:
        channels = self._channels or self._given or 1
        block = np.concatenate(self._waiting, axis=1) if self._waiting else np.zeros((channels, 0), np.float32)
        self._waiting, self._waiting_samples = [], 0
        if self._wanted_rate and self._rate and self._wanted_rate != self._rate:
            block = self._resampled(block, last)
        if block.shape[1]:
            self._done.append(block)

    def _resampled(self, block: Waveform, last: bool) -> Waveform:
        import soxr

        if self._resampler is None:
            if last:
                return resample(block, self._rate, self._wanted_rate or self._rate)
            self._resampler = soxr.ResampleStream(
                self._rate, self._wanted_rate, block.shape[0], dtype="float32", quality="HQ"
            )
        mixed = self._resampler.resample_chunk(np.ascontiguousarray(block.T), last=last)
        return np.ascontiguousarray(mixed.reshape(-1, block.shape[0]).T)

    def finish(self) -> Audio:
        self._flush(last=True)
        channels = self._channels or self._given or 1
        waveform = np.concatenate(self._done, axis=1) if self._done else np.zeros((channels, 0), np.float32)
        self._done = []
        rate = self._wanted_rate or self._rate or 44_100
        return Audio(np.ascontiguousarray(waveform), rate, self._not_numbers)


def resample(waveform: Waveform, from_rate: int, to_rate: int) -> Waveform:
    """`waveform` at another rate (soxr, high quality)."""
    import soxr

    if not waveform.shape[1] or from_rate == to_rate:
        return waveform
    return np.ascontiguousarray(soxr.resample(waveform.T, from_rate, to_rate, quality="HQ").T, dtype=np.float32)
