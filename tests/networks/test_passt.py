"""PaSST: its front end, its logits, its segments and its published file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from musiscene.errors import BackendUnavailableError
from musiscene.networks import passt
from musiscene.networks.mel import mel_triangles


@pytest.fixture(scope="module")
def facts(parity_root: Path) -> dict:
    return json.loads((parity_root / "audio_metrics" / "audio_metrics.json").read_text())


@pytest.fixture(scope="module")
def tensors(parity_root: Path) -> dict[str, torch.Tensor]:
    return load_file(parity_root / "audio_metrics" / "audio_metrics.safetensors")


@pytest.fixture(scope="module")
def tiny(facts: dict, tensors: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> passt.Passt:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    head = "passt_tiny.sd."
    save_file({name.removeprefix(head): t for name, t in tensors.items() if name.startswith(head)}, path)
    return passt.load_passt(path, heads=facts["passt_tiny"]["num_heads"])


def ten_seconds(seed: int) -> np.ndarray:
    """The wave of the parity README that is not stored."""
    time, seconds = np.arange(320_000) / 32_000, 10
    noise = np.random.RandomState(seed).standard_normal(time.size)
    phase = 2 * np.pi * (40 * time + (15_500 - 40) * time**2 / (2 * seconds))
    return ((0.3 + 0.7 * time / seconds) * (0.5 * np.sin(phase) + 0.05 * noise)).astype(np.float32)


def test_parity_mel_basis(tensors: dict[str, torch.Tensor]) -> None:
    """The mel triangles are the original's, up to its single precision."""
    found = mel_triangles(128, 1024, 32_000, 0.0, 15_000.0).T
    np.testing.assert_allclose(found, tensors["passt.mel_basis_128x513"].numpy(), atol=2e-5)


def test_parity_spectrogram(facts: dict, tensors: dict[str, torch.Tensor]) -> None:
    """The spectrogram is the original's: value by value for 1 s, in its statistics for 10 s."""
    found = passt.spectrogram(tensors["passt.wave_1s"][None])
    torch.testing.assert_close(found, tensors["passt.spec_1s"], atol=1e-4, rtol=0)
    ten = passt.spectrogram(torch.from_numpy(ten_seconds(facts["seed"] + 7))[None])
    wanted = facts["passt_spec_10s_stats"]
    assert list(ten.shape) == facts["passt_spec_10s_shape"]
    values = [ten.mean(), ten.std(), ten.flatten()[0], ten.flatten()[-1]]
    np.testing.assert_allclose(values, [wanted[k] for k in ("mean", "std", "first", "last")], atol=1e-4)


def test_parity_logits_of_a_small_network(facts: dict, tensors: dict[str, torch.Tensor], tiny: passt.Passt) -> None:
    """Logits of 1 s and of 10 s are the original's."""
    one = tiny.logits(tensors["passt.wave_1s"][None].numpy())
    np.testing.assert_allclose(one, tensors["passt_tiny.logits_1s"].numpy(), atol=1e-4)
    ten = tiny.logits(ten_seconds(facts["seed"] + 7)[None])
    np.testing.assert_allclose(ten, tensors["passt_tiny.logits_10s"].numpy(), atol=1e-4)
    assert tiny.input_s == 10


@pytest.mark.slow
def test_parity_logits_from_a_published_file(
    facts: dict, tensors: dict[str, torch.Tensor], recipe_weights: Callable, tmp_path: Path
) -> None:
    """A full-size file in the published layout loads without a key missing, and gives the original's logits."""
    path = tmp_path / "passt-s-f128-20sec-p16-s10-ap.474-swa.pt"
    torch.save(recipe_weights(facts["passt20_state_dict"], facts["seed"] + 8), path)

    loaded = passt.load_passt(path)
    found = loaded.logits(tensors["passt.wave_1s"][None].numpy())

    np.testing.assert_allclose(found, tensors["passt20.logits_1s"].numpy(), atol=1e-4)
    assert loaded.input_s == 20
    assert sum(t.numel() for t in loaded.network.state_dict().values()) == facts["passt20_params"]
    with pytest.raises(BackendUnavailableError, match="not trained"):
        passt.check_trained(loaded)


def test_names_and_shapes_are_the_published_ones(facts: dict) -> None:
    """The 20 s network has exactly the published names and shapes."""
    own = {name: list(tensor.shape) for name, tensor in passt.build(passt.PasstConfig()).state_dict().items()}
    assert own == facts["passt20_state_dict"]


def test_parity_segments(facts: dict) -> None:
    """Clips fall into the original's segments: the rest is kept unpadded, 0.15 s or less is left out."""
    for case, lengths in facts["segments"].items():
        seconds, model_s = case.split("s_win")
        found = passt.segments(round(float(seconds) * 32_000), int(model_s))
        assert [end - start for start, end in found] == lengths, case


def test_a_file_that_lacks_a_block_is_refused(tiny: passt.Passt, tmp_path: Path) -> None:
    """A missing tensor is named."""
    weights = dict(tiny.network.state_dict())
    del weights["blocks.1.attn.qkv.weight"]
    path = tmp_path / "broken.safetensors"
    save_file(weights, path)
    with pytest.raises(BackendUnavailableError, match=r"1 missing \(blocks\.1\.attn\.qkv\.weight\)"):
        passt.load_passt(path)
