"""Whatever the file, and however damaged: a result or one of our errors, never anything else."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from musiscene.errors import MusisceneError
from musiscene.media import probe, read_audio, sample_frames
from musiscene.mux import mux

_VIDEO = {
    ".mp4": ["libx264", "mpeg4"],
    ".mkv": ["libx264", "ffv1", "mpeg4"],
    ".avi": ["mpeg4", "mjpeg"],
    ".ts": ["libx264", "mpeg2video"],
    ".webm": ["libvpx"],
    ".flv": ["libx264"],
}
_AUDIO = {".mp4": "aac", ".mkv": "flac", ".avi": "libmp3lame", ".ts": "mp2", ".webm": "libopus", ".flv": "aac"}
_settings = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@st.composite
def recipes(draw):
    """How to write one small file."""
    suffix = draw(st.sampled_from(sorted(_VIDEO)))
    codec = draw(st.sampled_from([*_VIDEO[suffix], None]))
    channels = draw(st.sampled_from([0, 1, 2])) if codec else draw(st.sampled_from([1, 2]))
    rate = 48_000 if suffix == ".webm" else draw(st.sampled_from([32_000, 44_100, 48_000]))
    fps = 25 if codec == "mpeg2video" else draw(st.sampled_from([5, 12.5, 25, 29.97, 60]))
    size = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    even = (size[0] * 2, size[1] * 2)
    pixel_format = {"mjpeg": "yuvj420p"}.get(codec or "", "yuv420p")
    return {
        "suffix": suffix,
        "codec": codec,
        "size": even,
        "fps": fps,
        "duration_s": draw(st.floats(0.2, 1.5)),
        "pixel_format": pixel_format,
        "audio": None if not channels else np.full((channels, rate // 2), 0.1, np.float32),
        "sample_rate": rate,
        "audio_codec": _AUDIO[suffix],
    }


def _written(folder: Path, recipe: dict) -> Path:
    import sys

    write_media = sys.modules["conftest"].write_media if "conftest" in sys.modules else _write_media()
    options = {key: value for key, value in recipe.items() if key != "suffix"}
    return write_media(folder / f"clip{recipe['suffix']}", **options)


def _write_media():
    import importlib.util

    spec = importlib.util.spec_from_file_location("media_fixtures", Path(__file__).resolve().parents[1] / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_media


def _everything(path: Path, *, whole: bool = True) -> None:
    """Read and mux; of a damaged file the output need not be as long as the index said, but it must be a clip."""
    clip = probe(path)
    if clip.has_video:
        images = sample_frames(clip, 3, max_side=32).images
        assert images.shape[0] == 3 or not whole
    if clip.has_audio:
        assert np.isfinite(read_audio(clip, sample_rate=16_000, mono=True, duration_s=2.0).waveform).all()
    if clip.has_video:
        result = mux(clip, np.full((1, 4800), 0.1, np.float32), 48_000, path.with_name("out.mp4"))
        muxed = probe(result.path)
        assert muxed.has_video and muxed.has_audio
        assert not whole or abs(muxed.duration_s - clip.duration_s) <= 1 / (clip.fps or 25) + 0.01


@_settings
@given(recipes())
def test_any_combination_is_read_and_muxed(recipe):
    """Containers, codecs, sizes, rates and channels mixed at random all work."""
    with tempfile.TemporaryDirectory() as folder:
        _everything(_written(Path(folder), recipe))


@_settings
@given(recipes(), st.floats(0.0, 1.0))
def test_any_truncation_gives_a_result_or_a_sentence(recipe, kept):
    """A file cut off anywhere never raises anything but our errors, and leaves no output behind."""
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), recipe)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * kept)])
        with contextlib.suppress(MusisceneError):
            _everything(path)
        assert {entry.name for entry in Path(folder).iterdir()} <= {path.name, "out.mp4"}


@_settings
@given(recipes(), st.lists(st.tuples(st.floats(0, 0.9999), st.integers(0, 255)), min_size=1, max_size=40))
def test_any_damage_gives_a_result_or_a_sentence(recipe, damage):
    """Bytes overwritten anywhere never raise anything but our errors."""
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), recipe)
        data = bytearray(path.read_bytes())
        for place, value in damage:
            data[int(place * len(data))] = value
        path.write_bytes(data)
        with contextlib.suppress(MusisceneError):
            _everything(path, whole=False)
        assert {entry.name for entry in Path(folder).iterdir()} <= {path.name, "out.mp4"}
