"""Sound out of every kind of track: at its place, its level and its pitch."""

from __future__ import annotations

import numpy as np
import pytest

from musiscene.errors import MissingStreamError, RequestError, Stopped
from musiscene.media import downmix, probe, read_audio
from musiscene.types import Job


def _sine(hz: float, duration_s: float, rate: int, channels: int = 1, level: float = 0.25) -> np.ndarray:
    time_s = np.arange(round(duration_s * rate)) / rate
    return np.tile(level * np.sin(2 * np.pi * hz * time_s), (channels, 1)).astype(np.float32)


def _pitch_hz(sound: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size)))
    return float(spectrum.argmax() * rate / sound.size)


@pytest.mark.parametrize(
    ("name", "codec", "format_", "rate"),
    [
        ("a.wav", "pcm_s16le", None, 8_000),
        ("a.wav", "pcm_u8", None, 11_025),
        ("a.wav", "pcm_s24le", None, 96_000),
        ("a.wav", "pcm_f32le", None, 192_000),
        ("a.wav", "pcm_f64le", None, 44_100),
        ("a.flac", "flac", "s16", 44_100),
        ("a.mp3", "libmp3lame", None, 32_000),
        ("a.ogg", "libopus", None, 48_000),
        ("a.m4a", "aac", None, 44_100),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_levels_and_pitch_survive_every_coding(make_media, name, codec, format_, rate, channels):
    """A sine keeps its pitch, its level and its length, whatever it is stored as."""
    sound = _sine(440, 1.0, rate, channels)
    path = make_media(name, codec=None, audio=sound, sample_rate=rate, audio_codec=codec, audio_format=format_)
    audio = read_audio(probe(path))
    assert audio.sample_rate == rate
    assert audio.waveform.dtype == np.float32
    assert audio.waveform.shape[0] == channels
    assert audio.duration_s == pytest.approx(1.0, abs=0.06)
    middle = audio.waveform[:, rate // 4 : rate * 3 // 4]
    assert _pitch_hz(middle[0], rate) == pytest.approx(440, abs=4)
    assert np.sqrt(np.square(middle).mean()) == pytest.approx(0.25 / np.sqrt(2), rel=0.07)


@pytest.mark.parametrize("channels", [6, 8])
def test_surround_keeps_its_channels_and_mixes_down_whole(make_media, channels):
    """5.1 and 7.1 come as they are, or as a mono mix with every full-range channel in it."""
    rate = 48_000
    sound = np.concatenate([_sine(300 + 100 * c, 1.0, rate) for c in range(channels)])
    clip = probe(
        make_media("s.flac", codec=None, audio=sound, sample_rate=rate, audio_codec="flac", audio_format="s16")
    )
    assert read_audio(clip).waveform.shape[0] == channels
    mono = read_audio(clip, mono=True).waveform
    assert mono.shape[0] == 1
    spectrum = np.abs(np.fft.rfft(mono[0, :rate]))
    heard = [spectrum[300 + 100 * c] > 300 for c in range(channels)]
    assert heard == [c != 3 for c in range(channels)]  # the low-frequency channel is left out


def test_downmix_uses_the_coefficients_of_bs_775():
    """Left is L + 0.707 C + 0.707 Ls, scaled to full scale; nothing of the right side is in it."""
    channels = np.eye(6, dtype=np.float32)
    left, right = downmix(channels, 2, ("FL", "FR", "FC", "LFE", "SL", "SR"))
    total = 1 + 2 * np.sqrt(0.5)
    np.testing.assert_allclose(left, [1 / total, 0, 0.7071 / total, 0, 0.7071 / total, 0], atol=1e-4)
    np.testing.assert_allclose(right, [0, 1 / total, 0.7071 / total, 0, 0, 0.7071 / total], atol=1e-4)


@pytest.mark.parametrize("given", range(1, 17))
def test_downmix_takes_any_number_of_channels(given):
    """An arrangement nobody knows is mixed equally, and never louder than full scale."""
    mixed = downmix(np.ones((given, 10), np.float32), 1, ("?",) * given)
    np.testing.assert_allclose(mixed, 1.0, atol=1e-5)


def test_resampling_keeps_pitch_level_and_length(make_media):
    """From 44.1 to 16 kHz and up to 48 kHz, mono, the sine is the same sine."""
    clip = probe(
        make_media("a.wav", codec=None, audio=_sine(440, 12.0, 44_100, 2), sample_rate=44_100, audio_codec="pcm_s16le")
    )
    for rate in (16_000, 48_000):
        audio = read_audio(clip, sample_rate=rate, mono=True)
        assert abs(audio.waveform.shape[1] - 12 * rate) <= 1
        part = audio.waveform[0, rate * 4 : rate * 7]
        assert _pitch_hz(part, rate) == pytest.approx(440, abs=1)
        assert np.sqrt(np.square(part).mean()) == pytest.approx(0.25 / np.sqrt(2), rel=0.01)


def test_a_part_is_the_same_as_that_part_of_the_whole(make_media):
    """Reading from a time by seeking gives the samples that are there."""
    rate = 22_050
    sound = np.random.default_rng(2).uniform(-0.5, 0.5, (1, rate * 8)).astype(np.float32)
    clip = probe(
        make_media("a.flac", codec=None, audio=sound, sample_rate=rate, audio_codec="flac", audio_format="s16")
    )
    whole = read_audio(clip).waveform
    part = read_audio(clip, start_s=5.0, duration_s=1.5)
    assert part.waveform.shape == (1, round(1.5 * rate))
    np.testing.assert_allclose(part.waveform, whole[:, 5 * rate : 5 * rate + part.waveform.shape[1]], atol=1e-6)


def test_a_late_track_is_led_in_by_silence(make_media):
    """Sound that starts half a second after the picture is heard half a second after it."""
    rate = 48_000
    path = make_media(
        "l.mkv", duration_s=2, start_s=1.0, audio=_sine(440, 1.0, rate), audio_codec="flac", audio_start_s=0.5
    )
    sound = read_audio(probe(path)).waveform[0]
    assert not sound[: round(0.45 * rate)].any()
    assert np.abs(sound[round(0.55 * rate) : round(0.6 * rate)]).max() > 0.2


def test_not_a_number_becomes_silence(make_media):
    """NaN and infinity in a float file are zeros, and the rest is as it was."""
    sound = _sine(440, 1.0, 48_000)
    clip_sound = sound.copy()
    clip_sound[:, 1000:1010] = np.nan
    clip_sound[:, 2000] = np.inf
    path = make_media("a.wav", codec=None, audio=clip_sound, audio_codec="pcm_f32le")
    read = read_audio(probe(path)).waveform
    assert np.isfinite(read).all()
    assert not read[:, 1000:1010].any()
    np.testing.assert_allclose(read[:, 3000:4000], sound[:, 3000:4000], atol=1e-6)


def test_a_long_file_is_not_decoded_beyond_what_was_asked(make_media):
    """A second of a twenty-minute track reports progress for one second's worth of packets only."""
    rate = 8000
    clip = probe(
        make_media(
            "l.flac", codec=None, audio=np.full((1, rate * 1200), 0.1, np.float32), sample_rate=rate, audio_codec="flac"
        )
    )
    reports: list[float] = []
    audio = read_audio(clip, duration_s=1.0, job=Job(report=lambda fraction, note: reports.append(fraction)))
    assert audio.waveform.shape[1] == rate
    assert len(reports) < 50


def test_what_cannot_be_read_is_refused(make_media):
    """No track, no time and no rate are each told in one sentence; a stop stops."""
    silent = probe(make_media())
    with pytest.raises(MissingStreamError, match="no sound"):
        read_audio(silent)
    clip = probe(make_media("a.wav", codec=None, audio=_sine(440, 1, 48_000), audio_codec="pcm_s16le"))
    for wrong in ({"sample_rate": 0}, {"start_s": -1.0}, {"duration_s": 0.0}):
        with pytest.raises(RequestError):
            read_audio(clip, **wrong)
    job = Job()
    job.stop.set()
    with pytest.raises(Stopped):
        read_audio(clip, job=job)
