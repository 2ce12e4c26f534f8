"""Rhythm against cuts, energy against motion."""

from __future__ import annotations

import numpy as np
import pytest

from musiscene.metrics.picture_music import (
    cut_alignment,
    energy_motion_correlation,
    level_curve,
    pool_alignments,
    pool_correlations,
)

BEATS = [0.5 * k for k in range(1, 60)]


def test_cuts_on_beats() -> None:
    """Cuts that all lie on beats are told from chance, which is the share of time near a beat."""
    found = cut_alignment([2.0, 5.5, 9.05, 14.0, 20.5, 25.0], BEATS, 30.0)
    assert found is not None
    assert (found.share, found.hits, found.cuts) == (1.0, 6, 6)
    assert found.chance == pytest.approx(59 * 0.16 / 30)
    assert found.p == pytest.approx(found.chance**6)


def test_cuts_between_beats() -> None:
    """Cuts 81 ms and more from any beat do not count, those at 80 ms do."""
    found = cut_alignment([2.081, 4.25, 6.42, 8.08], BEATS, 30.0)
    assert found is not None
    assert found.hits == 2 - 1 + 1  # 6.42 and 8.08
    assert found.p > 0.2


def test_random_cuts_are_chance() -> None:
    """Cuts without relation to the beats are met as often as by chance, and p does not cry wolf."""
    rng = np.random.default_rng(0)
    found = [cut_alignment(rng.uniform(0, 30, 8), BEATS, 30.0) for _ in range(60)]
    pooled = pool_alignments([alignment for alignment in found if alignment])
    assert pooled is not None
    assert pooled.share.value == pytest.approx(pooled.chance, abs=0.06)
    assert pooled.p > 0.01
    assert (pooled.clips, pooled.cuts) == (60, 480)


def test_nothing_to_align() -> None:
    """Without cuts, beats or length there is no alignment; a cut at the very end is none."""
    assert cut_alignment([], BEATS, 30.0) is None
    assert cut_alignment([3.0], [], 30.0) is None
    assert cut_alignment([30.0], BEATS, 30.0) is None
    assert pool_alignments([]) is None


def test_energy_that_follows_motion() -> None:
    """A curve and its louder version correlate fully, with its mirror image negatively, at any spacing."""
    rng = np.random.default_rng(1)
    motion = np.cumsum(rng.standard_normal(120))
    same = energy_motion_correlation(3 * motion + 2, motion, 60.0)
    against = energy_motion_correlation(-motion, np.repeat(motion, 3), 60.0)
    assert same is not None and against is not None
    assert (same.rho, same.steps) == (pytest.approx(1.0), 120)
    assert same.p < 0.02
    assert against.rho < -0.99
    pooled = pool_correlations([same, against])
    assert pooled is not None
    assert pooled.value == pytest.approx(0.0, abs=0.01)


def test_nothing_to_correlate() -> None:
    """A still picture, a steady tone and a clip under 4 s have no correlation."""
    curve = list(range(50))
    assert energy_motion_correlation([1.0] * 50, curve, 30.0) is None
    assert energy_motion_correlation(curve, [0.0] * 50, 30.0) is None
    assert energy_motion_correlation(curve, curve, 3.0) is None


def test_level_curve() -> None:
    """Levels are in dB below the loudest half second; silence lies at the floor."""
    rate = 8000
    wave = np.concatenate([np.full(rate, 0.5), np.full(rate, 0.05), np.zeros(rate)]).astype(np.float32)
    np.testing.assert_allclose(level_curve(wave, rate), [0, 0, -20, -20, -60, -60], atol=1e-3)
    np.testing.assert_allclose(level_curve(np.zeros(rate, np.float32), rate), [-60, -60])
