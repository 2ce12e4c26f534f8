"""KL divergence between class probabilities."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from musiscene.metrics.divergence import kl_divergence, softmax


def test_parity_kl(parity_root: Path) -> None:
    """Every pair has audiocraft's value in both directions, and so have the means."""
    facts = json.loads((parity_root / "audio_metrics" / "audio_metrics.json").read_text())["kld"]
    tensors = load_file(parity_root / "audio_metrics" / "audio_metrics.safetensors")
    generated, target = tensors["kld.pred_probs"], tensors["kld.target_probs"]
    forward, backward = kl_divergence(target, generated), kl_divergence(generated, target)
    np.testing.assert_allclose(forward, tensors["kld.per_pair_target_given_pred"], atol=1e-5)
    np.testing.assert_allclose(backward, tensors["kld.per_pair_pred_given_target"], atol=1e-5)
    assert forward.mean() == pytest.approx(facts["kld"], abs=1e-5)
    assert backward.mean() == pytest.approx(facts["kld_qp"], abs=1e-5)
    assert (forward + backward).mean() == pytest.approx(facts["kld_both"], abs=1e-5)


def test_the_small_number_is_inside_the_logarithm() -> None:
    """Equal one-hot rows give about -1e-6, disjoint ones ln(1e6)."""
    rows = np.eye(5)
    assert kl_divergence(rows[:1], rows[:1])[0] == pytest.approx(-1e-6, abs=1e-9)
    assert kl_divergence(rows[:1], rows[1:2])[0] == pytest.approx(np.log(1e6), abs=1e-6)


def test_softmax_of_large_logits() -> None:
    """Probabilities add up to one, also where exponentials would overflow."""
    found = softmax(np.array([[1000.0, 0.0, -1000.0]], np.float32))
    np.testing.assert_allclose(found, [[1.0, 0.0, 0.0]])
