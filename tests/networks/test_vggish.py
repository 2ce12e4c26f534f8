"""VGGish: its input, its embeddings and its published file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from musiscene.errors import BackendUnavailableError
from musiscene.networks import vggish
from musiscene.networks.mel import mel_triangles


@pytest.fixture(scope="module")
def facts(parity_root: Path) -> dict:
    return json.loads((parity_root / "audio_metrics" / "audio_metrics.json").read_text())


@pytest.fixture(scope="module")
def tensors(parity_root: Path) -> dict[str, np.ndarray]:
    return {k: v.numpy() for k, v in load_file(parity_root / "audio_metrics" / "audio_metrics.safetensors").items()}


@pytest.fixture(scope="module")
def published(facts: dict, recipe_weights: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full-size file with the names and shapes of the published one."""
    path = tmp_path_factory.mktemp("weights") / "vggish-10086976.pth"
    torch.save(recipe_weights(facts["vggish_state_dict"], facts["seed"] + 3), path)
    return path


def test_parity_mel_matrix(tensors: dict[str, np.ndarray]) -> None:
    """The mel triangles are the original's."""
    found = mel_triangles(64, 512, 16_000, 125.0, 7500.0)
    np.testing.assert_allclose(found, tensors["vggish.mel_matrix_257x64"], atol=1e-6)


def test_parity_examples_side_by_side(tensors: dict[str, np.ndarray]) -> None:
    """Windows of 0.96 s without overlap are those of torchvggish."""
    found = vggish.examples_side_by_side(tensors["vggish.wave"])
    np.testing.assert_allclose(found[:, 0], tensors["vggish.examples_non_overlapping"], atol=1e-6)


def test_parity_examples_of_the_paper(tensors: dict[str, np.ndarray]) -> None:
    """Windows of 1 s every 0.5 s, with the level set by the largest positive sample, are those of Google's FAD code."""
    from musiscene.metrics import fad

    found = vggish.examples(fad.normalised(tensors["vggish.pcm16"]), window=16_000, hop=8_000)
    np.testing.assert_allclose(found[:, 0], tensors["vggish.examples_google_fad"], atol=1e-6)


@pytest.mark.slow
def test_parity_embeddings_from_a_published_file(published: Path, tensors: dict[str, np.ndarray]) -> None:
    """A full-size file in the published layout loads without a key missing, and gives the original's embeddings."""
    network = vggish.load_vggish(published)
    assert vggish.load_vggish(published.parent).source == str(published.parent)

    for examples, expected in (
        ("examples_non_overlapping", "emb_preact"),
        ("examples_google_fad", "emb_preact_google_fad"),
    ):
        found = network.embed(tensors[f"vggish.{examples}"][:, None])
        wanted = tensors[f"vggish.{expected}"]
        np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.slow
def test_a_random_file_is_recognised(published: Path) -> None:
    """Weights that do not answer Google's smoke test are refused before any score."""
    with pytest.raises(BackendUnavailableError, match="No score"):
        vggish.check_trained(vggish.load_vggish(published))


def test_names_and_shapes_are_the_published_ones(facts: dict) -> None:
    """The network has exactly the published names and shapes, in their order."""
    own = {name: list(tensor.shape) for name, tensor in vggish.build().state_dict().items()}
    assert own == facts["vggish_state_dict"]
    assert list(own) == list(facts["vggish_state_dict"])


def test_another_networks_file_is_refused(tmp_path: Path) -> None:
    """A file of another network is refused with the names that are missing and unexpected."""
    path = tmp_path / "other.safetensors"
    save_file({"layer.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(BackendUnavailableError, match=r"18 missing.*1 unexpected"):
        vggish.load_vggish(path)


@pytest.mark.parametrize(
    ("seconds", "count"), [(0.0, 0), (0.5, 0), (0.999, 0), (1.0, 1), (1.5, 2), (10.0, 19), (30.0, 59)]
)
def test_number_of_windows(seconds: float, count: int) -> None:
    """A clip of s seconds gives 1 + floor((s - 1) / 0.5) windows, and none below 1 s."""
    assert len(vggish.examples(np.zeros(round(seconds * 16_000)), window=16_000, hop=8_000)) == count


def test_overlapping_windows_share_their_frames() -> None:
    """Windows cut from one spectrogram equal windows that are each computed by themselves."""
    wave = np.random.default_rng(0).standard_normal(40_000)
    together = vggish.examples(wave, window=16_000, hop=8_000)
    alone = [vggish.examples(wave[s : s + 16_000], window=16_000, hop=8_000)[0] for s in (0, 8_000, 16_000, 24_000)]
    np.testing.assert_array_equal(together, np.stack(alone))
