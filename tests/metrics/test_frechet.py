"""The Fréchet distance: the original's values, and what must hold for any sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from musiscene.errors import RequestError
from musiscene.metrics.frechet import (
    Gaussian,
    Groups,
    distance_between,
    frechet_distance,
    frechet_distance_of_sets,
    load_statistics,
    save_statistics,
)


def gaussian(vectors: np.ndarray, batch: int = 1_000_000) -> Gaussian:
    found = Gaussian(vectors.shape[1])
    for start in range(0, len(vectors), batch):
        found.add(vectors[start : start + batch])
    return found


def random_set(seed: int, n: int, dimensions: int = 16, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dimensions)) * np.linspace(0.2, 2, dimensions) + shift


def test_parity_frechet(parity_root: Path) -> None:
    """Both routes give the reference's exact values, also where covariances lack full rank."""
    facts = json.loads((parity_root / "audio_metrics" / "audio_metrics.json").read_text())
    tensors = load_file(parity_root / "audio_metrics" / "audio_metrics.safetensors")
    for case in facts["frechet"]:
        x, y = tensors[f"frechet.{case['case']}.x"], tensors[f"frechet.{case['case']}.y"]
        streamed = frechet_distance(gaussian(x, 7), gaussian(y, 50))
        assert streamed == pytest.approx(case["exact_nuclear"], abs=2e-5), case["case"]
        assert frechet_distance_of_sets(x, y) == pytest.approx(case["exact_nuclear"], abs=2e-5), case["case"]


@settings(max_examples=20, deadline=None)
@given(n=st.integers(2, 40), m=st.integers(2, 40), seed=st.integers(0, 1000))
def test_swapping_the_sets_changes_nothing(n: int, m: int, seed: int) -> None:
    """The distance is symmetric, never negative, and the same by both routes, for full and for deficient rank."""
    x, y = random_set(seed, n), random_set(seed + 1, m, shift=0.5)
    there, back = frechet_distance(gaussian(x), gaussian(y)), frechet_distance(gaussian(y), gaussian(x))
    assert there == pytest.approx(back, abs=1e-5)
    assert there >= 0
    assert there == pytest.approx(frechet_distance_of_sets(x, y), abs=1e-5)


@pytest.mark.parametrize("n", [1, 2, 5, 300])
def test_identical_sets_give_zero(n: int) -> None:
    """A set is at no distance from itself, in any order of its vectors."""
    x = random_set(3, n)
    assert frechet_distance(gaussian(x), gaussian(x)) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(gaussian(x, 3), gaussian(x[::-1].copy(), 4)) == pytest.approx(0.0, abs=1e-6)


def test_only_the_mean_differs() -> None:
    """Of two sets that differ by a shift the distance is the squared length of the shift."""
    x = random_set(5, 200, 8)
    assert frechet_distance(gaussian(x), gaussian(x + 2.0)) == pytest.approx(8 * 4.0, abs=1e-6)


def test_batches_do_not_matter() -> None:
    """Mean and covariance do not depend on how the vectors came, and have the divisor n - 1."""
    x = random_set(1, 101)
    for batch in (1, 7, 101):
        found = gaussian(x, batch)
        np.testing.assert_allclose(found.covariance, np.cov(x.T), atol=1e-12)
        np.testing.assert_allclose(found.mean, x.mean(axis=0), atol=1e-12)
    merged = gaussian(x[:30])
    merged.merge(gaussian(x[30:]))
    np.testing.assert_allclose(merged.covariance, np.cov(x.T), atol=1e-12)


def test_order_of_clips_does_not_matter() -> None:
    """Distance and interval are the same in any order of the clips."""
    clips = {f"clip{i}": random_set(i, 5) for i in range(60)}
    values = []
    for order in (list(clips), list(clips)[::-1]):
        one, other = Groups(16), Groups(16)
        for name in order:
            one.add(name, clips[name])
            other.add(name, clips[name] * 1.2 + 0.3)
        found = distance_between(one, other)
        values.append((found.value, found.low, found.high))
        assert found.low < found.value < found.high
        assert found.n == found.n_reference == 300
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6)


def test_statistics_survive_a_file(tmp_path: Path) -> None:
    """A saved background gives the same distance, and says how it was made."""
    x, y = random_set(1, 50), random_set(2, 60)
    save_statistics(tmp_path / "b.npz", gaussian(y), {"recipe": "paper"})
    loaded, facts = load_statistics(tmp_path / "b.npz")
    assert frechet_distance(gaussian(x), loaded) == pytest.approx(frechet_distance(gaussian(x), gaussian(y)), abs=1e-9)
    assert (loaded.n, facts) == (60, {"recipe": "paper"})


def test_another_file_is_no_background(tmp_path: Path) -> None:
    """A file without statistics is refused in words."""
    path = tmp_path / "b.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(RequestError, match="holds no statistics"):
        load_statistics(path)
