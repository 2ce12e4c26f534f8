"""A clip with its soundtrack: the same picture packets, the picture's length, the sound's level, nothing private."""

from __future__ import annotations

import av
import numpy as np
import pytest

from musiscene.errors import MissingStreamError, RequestError, Stopped
from musiscene.media import measure_loudness, normalize_loudness, probe, read_audio, sample_frames
from musiscene.mux import Mix, mux
from musiscene.types import Job

RATE = 48_000
_QUICK = {"libvpx-vp9": {"speed": "8"}, "libsvtav1": {"preset": "12"}}


def _music(duration_s: float, hz: float = 440.0) -> np.ndarray:
    time_s = np.arange(round(duration_s * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * hz * step * time_s) for step in (1, 1.25, 1.5)) * np.exp(-(time_s % 0.5) * 3)
    return normalize_loudness(np.stack([chord, chord]).astype(np.float32), RATE)[0]


def _packets(path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.video[0]) if packet.size]


def _length_s(path) -> float:
    with av.open(str(path)) as container:
        return container.duration / 1e6


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx-vp9"), ("a.mp4", "libsvtav1")]
)
def test_pictures_that_browsers_play_are_copied_byte_for_byte(make_media, tmp_path, name, codec):
    """Every packet of H.264 (with B-frames), VP9 and AV1 is in the result as it was, in its order."""
    source = make_media(name, duration_s=2, codec=codec, size=(128, 96), options=_QUICK.get(codec))
    result = mux(probe(source), _music(2), RATE, tmp_path / "out.mp4")
    assert result.copied
    assert _packets(result.path) == _packets(source)
    assert result.duration_s == pytest.approx(2.0, abs=0.04)


@pytest.mark.parametrize("music_s", [0.3, 2.0, 7.0])
def test_the_sound_is_fitted_to_the_picture(make_media, tmp_path, music_s):
    """Too short or too long, the file is as long as the picture, to a frame."""
    result = mux(probe(make_media(duration_s=2)), _music(music_s), RATE, tmp_path / "out.mp4")
    assert _length_s(result.path) == pytest.approx(2.0, abs=0.04)
    with av.open(str(result.path)) as container:
        sound = container.streams.audio[0]
        assert float(sound.duration * sound.time_base) == pytest.approx(2.0, abs=0.04)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "size"),
    [
        ("a.avi", "mpeg4", "yuv420p", (64, 48)),
        ("a.webm", "libvpx", "yuv420p", (64, 48)),
        ("a.mkv", "libx264", "yuv444p", (33, 17)),
        ("a.mkv", "ffv1", "yuv420p10le", (2, 2)),
        ("a.gif", "gif", "rgb8", (40, 30)),
    ],
)
def test_other_pictures_become_h264(make_media, tmp_path, name, codec, pixel_format, size):
    """What browsers do not play is encoded in 8-bit 4:2:0 with even sides, as long and as it looked."""
    source = probe(make_media(name, duration_s=1.2, fps=10, codec=codec, pixel_format=pixel_format, size=size))
    result = mux(source, _music(1), RATE, tmp_path / "out.mp4")
    assert not result.copied
    clip = probe(result.path)
    assert (clip.video_codec, clip.pixel_format) == ("h264", "yuv420p")
    assert clip.width % 2 == clip.height % 2 == 0
    assert abs(clip.width - size[0]) <= 1
    assert clip.duration_s == pytest.approx(source.duration_s, abs=0.1)
    before, after = (sample_frames(c, 2, max_side=16).images.astype(float).mean(axis=(1, 2)) for c in (source, clip))
    np.testing.assert_allclose(before, after, atol=12)


@pytest.mark.parametrize("rotation", [90, -90, 180])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mov", "mpeg4")])
def test_rotation_is_kept(make_media, tmp_path, rotation, name, codec):
    """A portrait clip stays one, copied or encoded."""
    source = probe(make_media(name, codec=codec, size=(96, 64), rotation=rotation))
    clip = probe(mux(source, _music(1), RATE, tmp_path / "out.mp4").path)
    assert clip.rotation == rotation
    assert clip.display_size == source.display_size


def test_variable_frame_rates_and_late_starts_are_kept(make_media, tmp_path):
    """Every picture is shown at its time; a clip that begins at 5 s begins at 0."""
    times = [0.0, 0.1, 0.2, 1.3, 1.4, 1.5]
    source = make_media("v.mkv", times_s=times, start_s=5.0, options={"bf": "2"})
    result = mux(probe(source), _music(1), RATE, tmp_path / "out.mp4")
    with av.open(str(result.path)) as container:
        shown = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(shown, times, atol=0.003)


def test_the_decoded_sound_stays_below_the_peak(make_media, tmp_path):
    """After AAC, too, no true peak exceeds -1 dBTP, and the loudness is the soundtrack's."""
    music = normalize_loudness(_music(3), RATE, target_lufs=-9.0)[0]
    audio = read_audio(probe(mux(probe(make_media(duration_s=3)), music, RATE, tmp_path / "out.mp4").path))
    measured = measure_loudness(audio.waveform, audio.sample_rate)
    assert measured.true_peak_dbtp <= -1.0
    assert measured.integrated_lufs == pytest.approx(-9.0, abs=0.5)


@pytest.mark.parametrize("mix", [Mix.DUCK, Mix.BLEND])
def test_the_clips_own_sound_can_stay(make_media, tmp_path, mix):
    """Both sounds are heard, at -16 LUFS together; ducked music steps back while the clip's own sound is there."""
    own = np.zeros((2, RATE * 6), np.float32)
    time_s = np.arange(RATE * 2) / RATE
    own[:, RATE * 2 : RATE * 4] = 0.2 * np.sin(2 * np.pi * 1000 * time_s)
    music = np.tile(0.2 * np.sin(2 * np.pi * 300 * np.arange(RATE * 6) / RATE), (2, 1)).astype(np.float32)
    clip = probe(make_media("a.mkv", duration_s=6, audio=own, audio_codec="flac"))
    audio = read_audio(probe(mux(clip, music, RATE, tmp_path / "out.mp4", mix=mix).path))

    def level(hz: int, from_s: float) -> float:
        part = audio.waveform[0, round(from_s * RATE) : round(from_s * RATE) + RATE]
        return float(20 * np.log10(np.abs(np.fft.rfft(part))[hz] + 1e-9))

    stepped_back = level(300, 0.3) - level(300, 2.5)
    assert stepped_back > 8 if mix is Mix.DUCK else abs(stepped_back) < 2
    assert level(1000, 2.5) > level(300, 2.5) - 3
    measured = measure_loudness(audio.waveform, RATE)
    assert measured.integrated_lufs == pytest.approx(-16.0, abs=0.7)
    assert measured.true_peak_dbtp <= -1.0


def test_nothing_private_is_carried_over(make_media, tmp_path):
    """Titles, comments and places of the source are not in the result; nor is its own sound."""
    private = {"title": "SECRET-TITLE", "comment": "SECRET-COMMENT", "location": "+52.5200+013.4050/"}
    source = make_media("a.mp4", metadata=private, audio=_music(1))
    data = mux(probe(source), _music(1), RATE, tmp_path / "out.mp4").path.read_bytes()
    assert b"SECRET" not in data
    assert b"+52.52" not in data


def test_the_file_plays_while_it_loads_and_is_repeatable(make_media, tmp_path):
    """The index is in front of the data, and the same input gives the same bytes."""
    clip = probe(make_media(duration_s=1))
    first, second = (mux(clip, _music(1), RATE, tmp_path / name).path.read_bytes() for name in ("a.mp4", "b.mp4"))
    assert 0 < first.find(b"moov") < first.find(b"mdat")
    assert first == second


def test_what_cannot_be_muxed_leaves_nothing_behind(make_media, tmp_path):
    """A clip without a picture, a sound that is none, and a stop each end in words and without a file."""
    folder = tmp_path / "out"
    folder.mkdir()
    sound = probe(make_media("a.wav", codec=None, audio=_music(1), audio_codec="pcm_s16le"))
    with pytest.raises(MissingStreamError, match="no picture"):
        mux(sound, _music(1), RATE, folder / "out.mp4")
    clip = probe(make_media())
    with pytest.raises(RequestError):
        mux(clip, np.full((2, 100), np.nan, np.float32), RATE, folder / "out.mp4")
    job = Job()
    with pytest.raises(Stopped):
        mux(clip, _music(1), RATE, folder / "out.mp4", job=Job(report=lambda f, n: job.stop.set(), stop=job.stop))
    assert not list(folder.iterdir())
