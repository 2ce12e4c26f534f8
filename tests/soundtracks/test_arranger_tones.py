"""A SoundFont's samples at a pitch: looped, filtered and resampled once, then repeated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import fftconvolve

from musiscene.soundtracks._arranger.remembered import Remembered
from musiscene.soundtracks._arranger.sampler import HALF_RATE, SAMPLE_RATE, PlayedNote, Sampler
from musiscene.soundtracks._arranger.soundfont import SoundFont, Zone
from musiscene.soundtracks._arranger.tones import WHOLE, extent, make_tone
from musiscene.soundtracks.sketch import default_soundfont

RATE = SAMPLE_RATE


def zone(*, period: int = 100, loops: int = 10, cutoff_hz: float = 20000.0, opens_cents: float = 0.0) -> Zone:
    """A sine of one period a loop, recorded at 22,050 Hz, its root at key 60."""
    data = np.sin(2 * np.pi * np.arange(period * loops) / period) * 16000
    root = 69.0 + 12.0 * np.log2(22050 / period / 440.0)
    return Zone(
        keys=(0, 127),
        velocities=(0, 127),
        source=(0, period * loops),
        data=data.astype(np.int16),
        loop=(period * (loops - 2), period * (loops - 1)),
        loop_until_release=False,
        sample_rate=22050,
        root_cents=100.0 * root,
        cents_per_key=100.0,
        pan=0.0,
        gain=1.0,
        cutoff_hz=cutoff_hz,
        opens_cents=opens_cents,
        open_delay_s=0.0,
        open_attack_s=0.0,
        open_hold_s=0.0,
        open_decay_s=2.0,
        open_sustain=0.0,
        delay_s=0.0,
        attack_s=0.0,
        hold_s=0.0,
        decay_s=0.0,
        sustain_db=0.0,
        release_s=0.1,
        exclusive=0,
    )


def frequency(wave: np.ndarray) -> float:
    """Of a sine, from its phase over the whole length."""
    analytic = wave * np.exp(-2j * np.pi * np.arange(len(wave)) * 440.0 / RATE)
    smooth = fftconvolve(analytic, np.hanning(2001) / 1000.0, "valid")
    turns = np.unwrap(np.angle(smooth)) / (2 * np.pi)
    return 440.0 + float(np.polyfit(np.arange(len(turns)) / RATE, turns, 1)[0])


@pytest.mark.parametrize("period", [41, 100, 733])
@pytest.mark.parametrize("opens_cents", [0.0, 2400.0])
def test_a_tone_stays_in_tune_and_goes_on_without_a_click(period: int, opens_cents: float) -> None:
    """Ten seconds of a looped sine at A4: within a cent of 440 Hz, and no step between its rounds, filtered or not."""
    tone = make_tone(zone(period=period, cutoff_hz=4000.0, opens_cents=opens_cents), 69, 127, WHOLE, RATE)
    wave = tone.first(10 * RATE)
    level = np.abs(wave[RATE:]).max()
    steepest = 2 * np.pi * 440.0 / RATE * level

    assert len(wave) == 10 * RATE
    assert abs(1200 * np.log2(frequency(wave[RATE : 8 * RATE]) / 440.0)) < 1.0
    assert np.abs(np.diff(wave[2000:])).max() < 1.15 * steepest


def test_a_tone_that_lasts_begins_as_a_short_one_does() -> None:
    """Where the loop is copied and where it is computed, the sound is the same."""
    for one in (zone(), zone(cutoff_hz=2000.0, opens_cents=2400.0)):
        lasting = make_tone(one, 64, 100, WHOLE, RATE).first(RATE)
        computed = make_tone(one, 64, 100, RATE, RATE).first(RATE)

        assert np.sqrt(np.mean((lasting - computed) ** 2)) < 0.03 * np.sqrt(np.mean(computed**2))


def test_a_sample_without_a_loop_ends() -> None:
    """It is no longer than it sounds, and fades out."""
    tone = make_tone(replace(zone(), loop=None), 60, 127, 3 * RATE, RATE)

    assert len(tone.first(3 * RATE)) < RATE
    assert abs(tone.head[-1]) < 1e-6


def test_notes_of_similar_lengths_share_a_tone() -> None:
    """What is made depends on what is asked for and on nothing else."""
    long = zone(loops=2000)

    assert extent(long, 60, 3000, RATE) == extent(long, 60, 20000, RATE) < extent(long, 60, 40000, RATE)
    assert extent(zone(), 60, 30000, RATE) == WHOLE


def test_dark_instruments_are_played_at_half_the_rate_and_sound_the_same() -> None:
    """A cello loses nothing; a hi-hat would, and keeps the whole rate."""
    path = default_soundfont()
    assert path is not None
    sampler = Sampler(SoundFont(path))
    note = [PlayedNote(0.1, 1.0, 50, 100)]
    whole = sampler.render(note, 42, 2 * RATE)
    half = sampler.render(note, 42, 2 * HALF_RATE, rate=HALF_RATE)
    power = np.abs(np.fft.rfft(whole.mean(axis=0))) ** 2

    assert sampler.rate(42, [50]) == HALF_RATE and sampler.rate(0, [42], drums=True) == SAMPLE_RATE
    assert power[len(power) // 2 :].sum() < 1e-3 * power.sum()
    assert np.sqrt(np.mean(half**2)) == pytest.approx(np.sqrt(np.mean(whole**2)), rel=0.02)


def test_what_is_remembered_stays_within_its_bound() -> None:
    """The values used last are kept, and made once."""
    made: list[int] = []

    def make(number: int) -> bytes:
        made.append(number)
        return bytes(10)

    remembered: Remembered[bytes] = Remembered(25, len)
    for number in (1, 2, 1, 3, 1, 2):
        remembered.get(number, lambda number=number: make(number))  # type: ignore[misc]

    assert made == [1, 2, 3, 2]
