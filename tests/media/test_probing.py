"""What `probe` says about files, and what it refuses."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from musiscene.errors import MediaLimitError, UnreadableMediaError
from musiscene.media import content_hash, probe
from musiscene.media.container import opened
from musiscene.types import Limits


def _tone(duration_s: float, sample_rate: int = 48_000, channels: int = 2) -> np.ndarray:
    time_s = np.arange(round(duration_s * sample_rate)) / sample_rate
    return np.tile(0.1 * np.sin(2 * np.pi * 440 * time_s), (channels, 1)).astype(np.float32)


def test_a_clip_tells_picture_and_sound(make_media):
    """Size, rate, length, codecs and channels are those the file was written with."""
    clip = probe(make_media(duration_s=2, fps=25, size=(96, 64), audio=_tone(2)))
    assert (clip.width, clip.height, clip.fps) == (96, 64, 25.0)
    assert clip.duration_s == pytest.approx(2.0, abs=0.01)
    assert (clip.video_codec, clip.audio_codec, clip.pixel_format) == ("h264", "aac", "yuv420p")
    assert (clip.sample_rate, clip.channels, clip.audio_silent, clip.has_sound) == (48_000, 2, False, True)


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_rotation_is_the_display_matrix(make_media, rotation):
    """A turned clip keeps its stored size and says by how much it is turned, counter-clockwise."""
    clip = probe(make_media(size=(96, 64), rotation=rotation))
    assert (clip.width, clip.height, clip.rotation) == (96, 64, rotation)
    assert clip.display_size == ((96, 64) if rotation == 180 else (64, 96))


@pytest.mark.parametrize(
    ("name", "codec", "audio_codec"),
    [
        ("a.mkv", "libx264", "flac"),
        ("a.webm", "libvpx-vp9", "libopus"),
        ("a.avi", "mpeg4", "libmp3lame"),
        ("a.mov", "libx264", "pcm_s16le"),
        ("a.ts", "libx264", "aac"),
        ("a.flv", "libx264", "aac"),
        ("a.mpg", "mpeg2video", "mp2"),
    ],
)
def test_every_container_says_how_long_the_picture_is(make_media, name, codec, audio_codec):
    """The length is right to a frame or so, whether the header holds it or not."""
    options = {"speed": "8"} if codec.startswith("libvpx") else None
    clip = probe(make_media(name, duration_s=2, codec=codec, audio=_tone(2), audio_codec=audio_codec, options=options))
    assert clip.duration_s == pytest.approx(2.0, abs=0.09)
    assert clip.has_video
    assert clip.has_audio


def test_a_webm_without_a_duration_is_measured(make_media):
    """A live recording, whose header has no duration, still gets one."""
    path = make_media("live.webm", duration_s=2, codec="libvpx", container_options={"live": "1"})
    assert probe(path).duration_s == pytest.approx(2.0, abs=0.09)


def test_a_truncated_file_is_as_long_as_what_is_left(make_media):
    """A file cut off in transfer is measured by the packets it still has, not by its header."""
    noise = np.random.default_rng(0)
    path = make_media(
        "cut.mp4",
        duration_s=4,
        container_options={"movflags": "+faststart"},
        draw=lambda number, width, height: noise.integers(0, 255, (height, width, 3), np.uint8),
    )
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert 1.0 < probe(path).duration_s < 3.0


def test_sound_longer_than_the_picture_does_not_make_the_clip_longer(make_media):
    """The duration of a video is that of its picture."""
    assert probe(make_media(duration_s=1, audio=_tone(3))).duration_s == pytest.approx(1.0, abs=0.02)


def test_digital_silence_is_said_to_be_silent(make_media):
    """A track of zeros is a track, and it is silent; a quiet one is not."""
    silent = probe(make_media("silent.mkv", audio=np.zeros((2, 48_000), np.float32), audio_codec="flac"))
    quiet = probe(make_media("quiet.mkv", audio=_tone(1) * 0.01, audio_codec="flac"))
    assert silent.has_audio
    assert silent.audio_silent
    assert not silent.has_sound
    assert not quiet.audio_silent


@pytest.mark.slow(seconds=2)
def test_hours_of_silence_are_listened_to_in_spots(make_media):
    """A long silent track is not decoded to its end, and sound that begins after the first minute is heard."""
    rate = 8000
    long_silence = np.zeros((1, rate * 900), np.float32)
    assert probe(
        make_media("s.flac", codec=None, audio=long_silence, sample_rate=rate, audio_codec="flac")
    ).audio_silent
    long_silence[:, rate * 400 :] = 0.1
    path = make_media("l.flac", codec=None, audio=long_silence, sample_rate=rate, audio_codec="flac")
    assert not probe(path).audio_silent


def test_a_gif_animation_is_video(make_media):
    """GIF animations are clips."""
    clip = probe(make_media("a.gif", codec="gif", pixel_format="rgb8", fps=10, duration_s=1))
    assert clip.has_video
    assert clip.duration_s == pytest.approx(1.0, abs=0.11)


@pytest.mark.parametrize(
    ("name", "data", "word"),
    [
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"this is a letter, not a film\n" * 20, "not a video"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 64, 64) + b"\0" * 40, "still image"),
        ("a.jpg", b"\xff\xd8\xff\xe0" + b"\0" * 64, "still image"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "not a video"),
        ("concat.txt", b"ffconcat version 1.0\nfile 'other.mp4'\n", "not a video"),
    ],
)
def test_what_is_not_media_is_refused_in_words(tmp_path, name, data, word):
    """Empty files, text, pictures and playlists that would open other files get one sentence."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UnreadableMediaError, match=word):
        probe(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    """Neither a name without a file nor a folder is media."""
    with pytest.raises(UnreadableMediaError):
        probe(tmp_path / "nothing.mp4")
    with pytest.raises(UnreadableMediaError, match="folder"):
        probe(tmp_path)


def test_a_header_without_samples_is_refused(tmp_path):
    """A WAV file that has a header only holds nothing."""
    path = tmp_path / "header.wav"
    path.write_bytes(
        b"RIFF"
        + struct.pack("<I", 36)
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
        + b"data\0\0\0\0"
    )
    with pytest.raises(UnreadableMediaError):
        probe(path)


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (Limits(max_bytes=1000), "MB"),
        (Limits(max_duration_s=0.5), "lasts"),
        (Limits(max_pixels=1000), "pixels"),
        (Limits(max_streams=1), "streams"),
    ],
)
def test_limits_are_told_with_both_numbers(make_media, limits, word):
    """What exceeds a limit is refused, and the sentence says what was found and what is accepted."""
    with pytest.raises(MediaLimitError, match=word) as refused:
        probe(make_media(size=(64, 48), audio=_tone(1)), limits)
    assert "accepts" in str(refused.value)


def test_a_picture_that_claims_to_be_huge_is_refused_before_decoding(tmp_path):
    """A 30000 x 30000 PNG is refused by its header."""
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 30_000, 30_000) + b"\x01\0\0\0\0" + b"\0" * 40
    )
    with pytest.raises(MediaLimitError, match="30000 x 30000"):
        probe(path)


def test_awkward_names_are_only_names(make_media):
    """Dashes, spaces, quotes, percent signs and other scripts in a name change nothing."""
    for name in ("-i.mp4", "a 'b' \"c\".mp4", "50%d.mp4", "http:x.mp4", "日本語 🎬.mp4", "concat:a.mp4"):
        assert probe(make_media(name)).has_video


def test_the_hash_is_the_content_not_the_name(tmp_path):
    """Two files with the same bytes have one hash; it is SHA-256."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert content_hash(tmp_path / "a") == content_hash(Path(tmp_path / "b")) == expected


def test_dts_in_a_wav_file_is_told_from_pcm(tmp_path: Path) -> None:
    """A WAV file that says PCM and holds DTS is known for what it is after its first frames."""
    start = [(0x7FFE8001, 32), (1, 1), (31, 5), (0, 1), (15, 7), (4095, 14), (2, 6), (8, 4), (24, 5)]
    fields = [*start, (0, 13), (1, 1), (7, 4)]  # a core frame's header (ETSI TS 102 114, 5.3)
    bits = "".join(f"{value:0{width}b}" for value, width in fields).ljust(128, "0")
    random = np.random.default_rng(0)
    frames = [int(bits, 2).to_bytes(16, "big") + random.bytes(4080) for _ in range(40)]
    path = tmp_path / "surround.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 44_100, 0, "NONE", ""))
        file.writeframes(b"".join(frames))
    with opened(path) as container:
        assert container.streams[0].codec_context.name == "dca"
