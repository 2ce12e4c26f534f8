"""Sound that ends before its header says."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from musiscene import media

RATE = 22_050


def missing_s(path: Path) -> float:
    clip = media.probe(path)
    return media.missing_end_s(clip, media.read_audio(clip, mono=True).duration_s)


def halved(path: Path) -> Path:
    """A copy without the second half of its bytes."""
    half = path.with_name(f"half-{path.name}")
    half.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return half


@pytest.fixture
def noise() -> np.ndarray:
    """4 s, `(samples, 1)`."""
    return np.random.default_rng(0).uniform(-0.3, 0.3, (4 * RATE, 1))


@pytest.mark.parametrize("ending", ["wav", "aiff", "flac"])
def test_uncompressed_files(tmp_path: Path, noise: np.ndarray, ending: str) -> None:
    """A file that is cut in half lacks half of its sound; the whole one lacks nothing."""
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, noise, RATE)
    assert missing_s(path) == 0.0
    assert missing_s(halved(path)) == pytest.approx(2.0, abs=0.25)


@pytest.mark.parametrize(("name", "codec"), [("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.mka", "aac")])
def test_coded_files(tmp_path: Path, noise: np.ndarray, name: str, codec: str) -> None:
    """The same for codecs whose container counts or times what it holds, in spite of their lead-in and lead-out."""
    path = tmp_path / name
    with av.open(str(path), "w", options={"movflags": "faststart"} if name == "a.m4a" else {}) as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise.T.astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler("fltp", "mono", RATE, stream.codec_context.frame_size)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    assert missing_s(path) == 0.0
    assert missing_s(halved(path)) == pytest.approx(2.0, abs=0.25)


@pytest.mark.parametrize("size", [b"\xff\xff\xff\xff", b"\x00\xf0\xff\x7f", bytes(4)])
def test_a_file_that_was_piped_promises_nothing(tmp_path: Path, noise: np.ndarray, size: bytes) -> None:
    """Programs that write a WAV to a pipe leave a placeholder for its length, which is no promise."""
    path = tmp_path / "a.wav"
    soundfile.write(path, noise, RATE)
    written = path.read_bytes()
    at = written.index(b"data") + 4
    path.write_bytes(written[:at] + size + written[at + 4 :])
    assert missing_s(path) == 0.0


def test_samples_that_are_no_numbers_are_counted(tmp_path: Path, noise: np.ndarray) -> None:
    """NaN and infinity are 0 in what is read, and how many there were is said."""
    noise[[5, 9], 0] = np.nan, -np.inf
    soundfile.write(tmp_path / "a.wav", noise, RATE, subtype="FLOAT")
    audio = media.read_audio(media.probe(tmp_path / "a.wav"))
    assert audio.not_numbers == 2
    assert not audio.waveform[0, [5, 9]].any()
