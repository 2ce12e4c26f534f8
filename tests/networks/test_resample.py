"""Resampling by a windowed sinc."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from musiscene.networks.resample import resample

RATES = [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000]


def test_parity_resample_agrees_at_every_rate(parity_root: Path) -> None:
    """Resampling to 24 kHz and then averaging the channels gives the reference's samples."""
    reference = load_file(parity_root / "mu_llama" / "resample.safetensors")
    waves = {name: wave for name, wave in reference.items() if name.startswith("wave_")}
    assert waves
    for name, wave in waves.items():
        rate = int(name.removeprefix("wave_"))
        ours = resample(wave, rate, 24000).mean(axis=0)
        expected = reference[f"mono24k_{rate}"]
        assert ours.shape == expected.shape
        np.testing.assert_allclose(ours, expected, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(RATES), st.sampled_from(RATES), st.integers(1, 800), st.integers(1, 3))
def test_the_length_is_rounded_up_and_channels_stay_apart(old: int, new: int, samples: int, channels: int) -> None:
    """Each channel is resampled as if it were alone, to ceil(samples x new / old)."""
    wave = np.random.default_rng(samples).standard_normal((channels, samples)).astype(np.float32)
    resampled = resample(wave, old, new)
    assert resampled.shape == (channels, -(-samples * new // old))
    assert resampled.dtype == np.float32
    np.testing.assert_allclose(resampled[:1], resample(wave[:1], old, new), atol=1e-6)


@pytest.mark.parametrize(("old", "new"), [(44100, 24000), (16000, 24000), (44101, 24000), (192000, 24000)])
def test_a_tone_keeps_its_pitch_and_level(old: int, new: int) -> None:
    """A 1 kHz tone is the same tone at the new rate, also for rates with no common divisor."""
    old_time, new_time = np.arange(old // 2) / old, np.arange(new // 2) / new
    tone = np.sin(2 * np.pi * 1000 * old_time, dtype=np.float64).astype(np.float32)[None]
    resampled = resample(tone, old, new)[0]
    middle = slice(new // 10, -new // 10)
    np.testing.assert_allclose(resampled[middle], np.sin(2 * np.pi * 1000 * new_time)[middle], atol=2e-3)


def test_what_the_new_rate_cannot_hold_is_removed() -> None:
    """A tone above the new Nyquist frequency does not fold back."""
    tone = np.sin(2 * np.pi * 15000 * np.arange(44100) / 44100).astype(np.float32)[None]
    assert np.abs(resample(tone, 44100, 24000)[0, 1000:-1000]).max() < 0.01


def test_a_rate_that_is_none_is_refused() -> None:
    """Rates must be positive."""
    with pytest.raises(ValueError, match="positive"):
        resample(np.zeros((1, 10), np.float32), 0, 24000)
