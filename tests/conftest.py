"""Media for every test: real clips from a folder, and small ones that are made while the tests run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings

# How long one example takes says more of the machine than of the code.
hypothesis_settings.register_profile("musiscene", deadline=None)
hypothesis_settings.load_profile("musiscene")

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin first: none of them is waited for alone at the end."""

    def seconds(item: pytest.Item) -> float:
        slow = item.get_closest_marker("slow")
        return float(slow.kwargs.get("seconds", 0)) if slow else 0.0

    items.sort(key=seconds, reverse=True)


@pytest.fixture(scope="session")
def parity_root() -> Path:
    """Folder of the parity data, one sub-folder for each network: MUSISCENE_PARITY, or `shared/parity` beside us."""
    return Path(os.environ.get("MUSISCENE_PARITY") or REPOSITORY.parent / "shared" / "parity")


@pytest.fixture(scope="session")
def one_torch_thread() -> Iterator[None]:
    """Tiny networks are fastest on one thread, and several threads on busy cores collapse."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def real_media() -> Path:
    """The folder of real clips: MUSISCENE_MEDIA, or `shared/media` beside the checkout."""
    folder = real_media_folder()
    if folder is None:
        pytest.skip("no real clips: set MUSISCENE_MEDIA to a folder with a manifest.json")
    return folder


def real_media_folder() -> Path | None:
    """The folder of real clips, or None."""
    folder = Path(os.environ.get("MUSISCENE_MEDIA") or REPOSITORY.parent / "shared" / "media")
    return folder if (folder / "manifest.json").is_file() else None


def tone(
    duration_s: float, sample_rate: int = 48_000, channels: int = 2, hz: float = 440.0, level_dbfs: float = -20.0
) -> np.ndarray:
    """A sine, `(channels, samples)` float32; each channel a fifth above the one before."""
    time_s = np.arange(round(duration_s * sample_rate)) / sample_rate
    gain = 10 ** (level_dbfs / 20)
    return np.stack([gain * np.sin(2 * np.pi * hz * 1.5**c * time_s) for c in range(channels)]).astype(np.float32)


def picture(number: int, width: int, height: int) -> np.ndarray:
    """Frame `number`, `(height, width, 3)` uint8: its red is its number times 4, the upper left quarter is white."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = number * 4 % 256
    image[..., 2] = np.linspace(0, 200, width).astype(np.uint8)
    image[: height // 2, : width // 2] = 255
    return image


@pytest.fixture
def make_media(tmp_path: Path) -> Callable[..., Path]:
    """A factory of small media files.

    `make_media("a.mp4", duration_s=2, fps=25, size=(64, 48), codec="libx264", pixel_format="yuv420p", rotation=0,
    audio=waveform, sample_rate=48000, audio_codec="aac", ...)`; `codec=None` leaves the picture out, `audio=None`
    the sound; `times_s` gives every picture its own time; `start_s` lets everything begin later.
    """

    def make(name: str = "clip.mp4", **options: Any) -> Path:
        return write_media(tmp_path / name, **options)

    return make


def write_media(
    path: Path,
    *,
    duration_s: float = 1.0,
    fps: float = 25.0,
    size: tuple[int, int] = (64, 48),
    codec: str | None = "libx264",
    pixel_format: str = "yuv420p",
    rotation: int = 0,
    times_s: list[float] | None = None,
    start_s: float = 0.0,
    audio: np.ndarray | None = None,
    sample_rate: int = 48_000,
    audio_codec: str = "aac",
    audio_format: str | None = None,
    layout: str | None = None,
    audio_start_s: float = 0.0,
    metadata: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    draw: Callable[[int, int, int], np.ndarray] = picture,
    colour: dict[str, int] | None = None,
) -> Path:
    """Write one small file; see `make_media`."""
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        container.metadata.update(metadata or {})
        video = sound = None
        if codec is not None:
            rate = Fraction(fps).limit_denominator(1001)
            video = container.add_stream(codec, rate=rate, options=options or {})
            video.width, video.height = size
            video.pix_fmt = pixel_format
            for key, value in (colour or {}).items():
                setattr(video.codec_context, key, value)
            if times_s is not None or start_s:
                video.codec_context.time_base = Fraction(1, 1000)
            if rotation:
                video.set_display_rotation(rotation)
        if audio is not None:
            sound = container.add_stream(audio_codec, rate=sample_rate)
            sound.layout = layout or {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[audio.shape[0]]
            if audio_format:
                sound.format = audio_format
        container.start_encoding()
        if video is not None:
            _write_pictures(container, video, duration_s, fps, size, times_s, start_s, draw)
        if sound is not None:
            _write_sound(container, sound, audio, sample_rate, start_s + audio_start_s)
    return path


def _write_pictures(container, video, duration_s, fps, size, times_s, start_s, draw) -> None:  # type: ignore[no-untyped-def]
    count = max(1, round(duration_s * fps))
    for number in range(count if times_s is None else len(times_s)):
        frame = av.VideoFrame.from_ndarray(draw(number, *size), format="rgb24")
        frame = frame.reformat(format=video.pix_fmt)
        if times_s is not None or start_s:
            seconds = start_s + (number / fps if times_s is None else times_s[number])
            frame.pts, frame.time_base = round(seconds * 1000), Fraction(1, 1000)
        else:
            frame.pts, frame.time_base = number, 1 / Fraction(fps).limit_denominator(1001)
        container.mux(video.encode(frame))
    container.mux(video.encode(None))


def _write_sound(container, sound, audio, sample_rate, start_s) -> None:  # type: ignore[no-untyped-def]
    resampler = av.AudioResampler(
        format=sound.format, layout=sound.layout, rate=sample_rate, frame_size=sound.codec_context.frame_size or None
    )
    packed = np.ascontiguousarray(audio.T, np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=sound.layout.name)
    frame.sample_rate, frame.time_base = sample_rate, Fraction(1, sample_rate)
    frame.pts = round(start_s * sample_rate)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(sound.encode(part))
    container.mux(sound.encode(None))


def small_music(duration_s: float, sample_rate: int = 44_100) -> np.ndarray:
    """Chords of A minor with a drum on every beat of 120 BPM, `(2, samples)` float32: music that is told as music."""
    time_s = np.arange(round(duration_s * sample_rate)) / sample_rate
    beat = time_s % 0.5
    roots = np.array([220.0, 174.61, 261.63, 196.0])[(time_s // 2).astype(int) % 4]
    chord = sum(np.sin(2 * np.pi * roots * ratio * time_s) / (n + 1) for n, ratio in enumerate((1, 1.5, 2, 2.4, 3)))
    drum = np.sin(2 * np.pi * 60 * beat) * np.exp(-20 * beat)
    noise = np.random.default_rng(0).standard_normal(time_s.size) * np.exp(-60 * ((time_s + 0.25) % 0.5))
    wave = 0.12 * chord * (0.4 + 0.6 * np.exp(-3 * beat)) + 0.35 * drum + 0.05 * noise
    return np.stack([wave, 0.9 * wave]).astype(np.float32)


@pytest.fixture(scope="session")
def small_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of picture with music."""
    path = tmp_path_factory.mktemp("clips") / "small.mp4"
    return write_media(path, duration_s=4.0, size=(160, 90), audio=small_music(4.0), sample_rate=44_100)


@pytest.fixture(scope="session")
def small_track(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of music without a picture."""
    path = tmp_path_factory.mktemp("clips") / "small.wav"
    return write_media(path, codec=None, audio=small_music(8.0), sample_rate=44_100, audio_codec="pcm_s16le")
