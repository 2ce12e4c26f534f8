"""The headphone check holds a tone that only two ears together can hear."""

from __future__ import annotations

import numpy as np
import pytest

from musiscene.study.headphones import SAMPLE_RATE, huggins_trial

INTERVAL = SAMPLE_RATE
GAP = SAMPLE_RATE // 2


def parts(sound: np.ndarray) -> list[np.ndarray]:
    """The three intervals, without their fades."""
    starts = [number * (INTERVAL + GAP) for number in range(3)]
    return [sound[:, start + 2000 : start + INTERVAL - 2000].astype(float) for start in starts]


def band_level(signal: np.ndarray) -> float:
    """Power around 600 Hz relative to the power just beside, in dB."""
    power = np.abs(np.fft.rfft(signal)) ** 2
    hz = np.fft.rfftfreq(signal.size, 1 / SAMPLE_RATE)
    inside = power[(hz > 575) & (hz < 625)].mean()
    beside = power[((hz > 450) & (hz < 540)) | ((hz > 660) & (hz < 750))].mean()
    return float(10 * np.log10(inside / beside))


@pytest.mark.parametrize("right", [1, 2, 3])
def test_only_the_difference_of_the_ears_has_the_tone(right: int) -> None:
    """Each ear alone is plain noise; the ears differ around 600 Hz in the right interval and nowhere else."""
    intervals = parts(huggins_trial(right, 5))

    for number, ears in enumerate(intervals, start=1):
        difference = ears[0] - ears[1]
        if number == right:
            assert np.sqrt(np.mean(difference**2)) > 0.04 * np.sqrt(np.mean(ears[0] ** 2))
            assert band_level(difference) > 15
        else:
            assert np.abs(difference).max() < 1e-6
        assert abs(band_level(ears[0])) < 6 and abs(band_level(ears[1])) < 6


def test_level_and_spectrum_do_not_tell() -> None:
    """Over many trials the mean power of the ears in the right interval is that of the others."""
    ratios = []
    for seed in range(40):
        intervals = parts(huggins_trial(2, seed))
        ratios.append(np.mean(intervals[1] ** 2) / np.mean(intervals[0] ** 2))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.02)
