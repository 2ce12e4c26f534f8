"""Loudness and true peak against the cases of EBU Tech 3341 and 3342, and the way to a target."""

from __future__ import annotations

import math

import numpy as np
import pytest

from musiscene.media import Loudness, measure_loudness, normalize_loudness


def _sine(hz: float, dbfs: float, duration_s: float, rate: int = 48_000, channels: int = 2, phase: float = 0.0):
    time_s = np.arange(round(duration_s * rate)) / rate
    return np.tile(10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * time_s + phase), (channels, 1)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_ebu_case_1_and_2_hold_at_every_rate(rate):
    """A stereo sine of 1 kHz at -23 dBFS measures -23 LUFS, one at -33 dBFS -33 (EBU Tech 3341, cases 1 and 2)."""
    for level in (-23.0, -33.0):
        measured = measure_loudness(_sine(1000, level, 4, rate), rate).integrated_lufs
        assert measured == pytest.approx(level, abs=0.1)


def test_ebu_case_3_gates_the_quiet_parts():
    """10 s at -36, 60 s at -23, 10 s at -36 dBFS measure -23 LUFS (case 3)."""
    parts = [_sine(1000, level, length) for level, length in ((-36, 10), (-23, 60), (-36, 10))]
    assert measure_loudness(np.concatenate(parts, 1), 48_000).integrated_lufs == pytest.approx(-23.0, abs=0.1)


def test_ebu_case_4_gates_absolutely_too():
    """The same with -72 dBFS outermost: below the absolute gate (case 4)."""
    levels = ((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10))
    sound = np.concatenate([_sine(1000, level, length) for level, length in levels], 1)
    assert measure_loudness(sound, 48_000).integrated_lufs == pytest.approx(-23.0, abs=0.1)


def test_ebu_case_5_gates_relatively():
    """20 s at -26, 20.1 s at -20, 20 s at -26 dBFS measure -23 LUFS (case 5)."""
    parts = [_sine(1000, level, length) for level, length in ((-26, 20), (-20, 20.1), (-26, 20))]
    assert measure_loudness(np.concatenate(parts, 1), 48_000).integrated_lufs == pytest.approx(-23.0, abs=0.1)


def test_ebu_case_6_weighs_surround_channels():
    """5.0 sound with -28 left and right, -24 centre, -30 surround measures -23 LUFS (case 6)."""
    sound = np.concatenate([_sine(1000, level, 20, channels=1) for level in (-28, -28, -24, -30, -30)])
    assert measure_loudness(sound, 48_000).integrated_lufs == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize(("divisor", "phase_deg", "expected"), [(4, 0, -6), (4, 45, -6), (6, 60, -6), (8, 67.5, -6)])
def test_true_peaks_between_samples_are_seen(divisor, phase_deg, expected):
    """A sine of half scale peaks at -6 dBTP, wherever its samples lie (EBU Tech 3341, cases 15 to 18: +0.2/-0.4)."""
    sound = _sine(48_000 / divisor, 20 * math.log10(0.5), 1, phase=math.radians(phase_deg))
    fade = np.clip(np.arange(48_000) / 4800, 0, 1) * np.clip(np.arange(48_000)[::-1] / 4800, 0, 1)
    measured = measure_loudness((sound * fade).astype(np.float32), 48_000).true_peak_dbtp
    assert expected - 0.4 <= measured <= expected + 0.2


def test_silence_and_nothing_have_no_loudness():
    """Silence measures -inf, as does a sound without samples, and normalising leaves it silent."""
    for sound in (np.zeros((2, 48_000), np.float32), np.zeros((2, 0), np.float32)):
        assert measure_loudness(sound, 48_000) == Loudness(-math.inf, -math.inf)
        louder, _ = normalize_loudness(sound, 48_000)
        assert not louder.any()


def _music(kind: str, rate: int) -> np.ndarray:
    generator = np.random.default_rng(5)
    samples = rate * 6
    beat = np.arange(samples) % rate
    if kind == "woodblock":
        sound = 0.8 * np.sin(2 * np.pi * 1800 * beat / rate) * np.exp(-beat / (0.012 * rate))
    elif kind == "kick over hiss":
        sound = np.sin(2 * np.pi * 55 * beat / rate) * np.exp(-beat / (0.06 * rate))
        sound = sound + 0.001 * generator.standard_normal(samples)
    elif kind == "hi-hat":
        sound = 0.05 * np.diff(generator.standard_normal(samples + 1)) * np.exp(-(beat % (rate // 4)) / (0.004 * rate))
    elif kind == "loud master":
        sound = np.clip(2 * generator.standard_normal(samples), -1, 1)
    else:
        sound = 2e-4 * np.sin(2 * np.pi * 220 * np.arange(samples) / rate)
    return np.stack([sound, 0.7 * sound]).astype(np.float32)


@pytest.mark.parametrize("rate", [32_000, 44_100])
@pytest.mark.parametrize("kind", ["woodblock", "kick over hiss", "hi-hat", "loud master", "faint hum"])
def test_any_music_reaches_the_target_below_the_peak(kind, rate):
    """-16 LUFS within half a unit and at most -1 dBTP, also for sparse percussion with a high crest factor."""
    louder, said = normalize_loudness(_music(kind, rate), rate)
    measured = measure_loudness(louder, rate)
    assert measured.integrated_lufs == pytest.approx(-16.0, abs=0.3)
    assert measured.true_peak_dbtp <= -1.0
    assert said.integrated_lufs == pytest.approx(measured.integrated_lufs, abs=0.05)
    assert said.true_peak_dbtp == pytest.approx(measured.true_peak_dbtp, abs=0.05)


def test_the_limiter_leaves_quiet_music_alone():
    """Music that only needs a gain keeps its shape to the last bit of precision."""
    music = _sine(440, -30, 3)
    louder, _ = normalize_loudness(music, 48_000)
    gain = louder[0, 1000] / music[0, 1000]
    np.testing.assert_allclose(louder, music * gain, rtol=1e-5, atol=1e-7)


def test_short_sounds_are_levelled_as_one_block():
    """A fifth of a second has no gated block, and is levelled all the same."""
    louder, said = normalize_loudness(_sine(440, -40, 0.2), 48_000)
    assert said.integrated_lufs == pytest.approx(-16.0, abs=0.1)
    assert np.abs(louder).max() < 1.0


def test_a_single_click_comes_as_close_as_its_peak_allows():
    """Where the target cannot be had, the peak limit still holds and the measured value is told."""
    click = np.zeros((2, 96_000), np.float32)
    click[:, 48_000] = 0.5
    louder, said = normalize_loudness(click, 48_000)
    assert measure_loudness(louder, 48_000).true_peak_dbtp <= -1.0
    assert said.integrated_lufs < -16.5
