"""MERT on transformers' HubertModel."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import HubertConfig

from musiscene.errors import BackendUnavailableError, MediaError, Stopped
from musiscene.networks.mert import (
    Mert,
    build,
    listen,
    load_mert,
    normalised,
    parameter_count,
    prepared,
    read_config,
)
from musiscene.networks.mu_llama.tiny import write_tiny_mert

PUBLISHED = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "do_stable_layer_norm": True,
    "conv_bias": False,
    "feat_extract_norm": "group",
    "feat_proj_layer_norm": True,
    "mask_time_prob": 0.075,
}


def parity_mert(root: Path, folder: Path, style: str) -> Mert:
    """One of the reference's random MERTs, laid out as a published folder."""
    source = root / "mu_llama"
    folder.mkdir(exist_ok=True)
    shutil.copy(source / f"tiny_mert_{style}_style.safetensors", folder / "model.safetensors")
    shutil.copy(source / f"tiny_mert_{style}_style_config.json", folder / "config.json")
    return load_mert(folder)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with a tiny random MERT under the old names."""
    return write_tiny_mert(tmp_path / "mert")


@pytest.mark.parametrize("style", ["large", "base"])
def test_parity_mert_states_agree(parity_root: Path, tmp_path: Path, style: str) -> None:
    """Time means of every hidden state agree, for the pre-norm 330M style and the post-norm 95M style."""
    mert = parity_mert(parity_root, tmp_path / style, style)
    io = load_file(parity_root / "mu_llama" / "tiny_mert_io.safetensors")
    clips = [name.rpartition("_")[2] for name in io if name.startswith(f"{style}_style_pooled_")]
    assert clips
    for clip in clips:
        wave = io[f"waveform_{clip}"].reshape(1, -1)
        torch.testing.assert_close(normalised(wave)[0], io[f"input_values_{clip}"].flatten(), atol=1e-6, rtol=0)
        expected = io[f"{style}_style_pooled_{clip}"]
        torch.testing.assert_close(mert.pooled(wave)[0], expected, atol=5e-5, rtol=0)


def test_the_published_sizes_have_the_published_tensors() -> None:
    """MERT-v1-330M has 403 tensors and 315,428,992 values, 95M 211 and 94,371,712 (on the meta device)."""
    large = build(HubertConfig(**PUBLISHED))
    assert (len(large.state_dict()), parameter_count(large)) == (403, 315_428_992)
    options = {
        name: value for name, value in PUBLISHED.items() if not name.startswith(("hidden", "num", "inter", "do"))
    }
    base = build(HubertConfig(**{**options, "mask_time_prob": 0.05}))
    assert (len(base.state_dict()), parameter_count(base)) == (211, 94_371_712)


def test_clips_of_equal_length_may_share_a_batch(tiny: Path) -> None:
    """A batch gives what each clip gives alone."""
    mert = load_mert(tiny)
    waves = torch.randn(3, 12_000, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([mert.pooled(wave[None]) for wave in waves])
    torch.testing.assert_close(mert.pooled(waves), alone, atol=1e-5, rtol=1e-5)


def test_only_the_first_window_is_heard_by_default(tiny: Path) -> None:
    """As in the original, later music changes nothing; the option averages all windows by their length."""
    mert = load_mert(tiny)
    second = 24_000
    rng = np.random.default_rng(0)
    first, rest = rng.standard_normal((2, second)).astype(np.float32)
    rest = rest[: second // 2]
    track = np.concatenate([first, rest])
    torch.testing.assert_close(listen(mert, track, window_s=1.0), listen(mert, first))
    expected = (2 * listen(mert, first) + listen(mert, rest)) / 3
    torch.testing.assert_close(listen(mert, track, whole=True, window_s=1.0), expected, atol=1e-5, rtol=1e-5)


def test_listening_stops_between_layers(tiny: Path) -> None:
    """Whoever follows the progress may stop it."""
    seen: list[float] = []

    def stop(share: float) -> None:
        seen.append(share)
        if share > 0.5:
            raise Stopped

    with pytest.raises(Stopped):
        listen(load_mert(tiny), np.ones(24_000, np.float32), on_progress=stop)
    assert seen == sorted(seen)
    assert seen[-1] < 1.0


def test_digital_silence_is_heard_without_nan(tiny: Path) -> None:
    """Zeros have no variance to divide by; the states stay finite."""
    assert torch.isfinite(listen(load_mert(tiny), np.zeros(24_000, np.float32))).all()


def test_a_blink_of_sound_is_too_short() -> None:
    """Less than a tenth of a second is refused with its length."""
    with pytest.raises(MediaError, match=r"0\.010 s"):
        prepared(np.zeros((2, 441), np.float32), 44_100)


def test_a_checkpoint_in_shards_under_new_names_is_the_same(tiny: Path, tmp_path: Path) -> None:
    """Sharded safetensors with an index, today's names of the positional convolution and a head load alike."""
    tensors = load_file(tiny / "model.safetensors")
    new = {
        name.replace("conv.weight_g", "conv.parametrizations.weight.original0").replace(
            "conv.weight_v", "conv.parametrizations.weight.original1"
        ): tensor
        for name, tensor in tensors.items()
    }
    new["final_proj.weight"] = torch.zeros(2, 2)
    folder = tmp_path / "shards"
    folder.mkdir()
    names = sorted(new)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({name: new[name] for name in held}, folder / file)
    index = {"weight_map": {name: file for file, held in parts.items() for name in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    shutil.copy(tiny / "config.json", folder)
    wave = torch.randn(1, 8000)
    torch.testing.assert_close(load_mert(folder).pooled(wave), load_mert(tiny).pooled(wave))


def test_a_shard_that_is_absent_is_named(tiny: Path) -> None:
    """An index that lists a file that is not there says so."""
    (tiny / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "model-2.safetensors"}}))
    with pytest.raises(BackendUnavailableError, match=r"model-2\.safetensors"):
        load_mert(tiny)


def test_missing_unexpected_and_odd_tensors_are_listed(tiny: Path) -> None:
    """Nothing stays random silently: the message names the file and what is wrong in it."""
    tensors = load_file(tiny / "model.safetensors")
    del tensors["encoder.layer_norm.bias"]
    tensors["surprise"] = torch.zeros(1)
    tensors["feature_projection.projection.bias"] = torch.zeros(3)
    save_file(tensors, tiny / "model.safetensors")
    with pytest.raises(BackendUnavailableError) as refused:
        load_mert(tiny)
    for part in (str(tiny), "1 missing (encoder.layer_norm.bias)", "1 unexpected (surprise)", "(3,), not (16,)"):
        assert part in str(refused.value)


def test_a_mert_of_another_kind_is_refused(tiny: Path) -> None:
    """Options that no published MERT uses, and folders without a configuration, are refused in words."""
    options = json.loads((tiny / "config.json").read_text())
    (tiny / "config.json").write_text(json.dumps({**options, "deepnorm": True}))
    with pytest.raises(BackendUnavailableError, match="deepnorm"):
        read_config(tiny)
    (tiny / "config.json").write_text("{")
    with pytest.raises(BackendUnavailableError, match="not readable JSON"):
        read_config(tiny)
    (tiny / "config.json").unlink()
    with pytest.raises(BackendUnavailableError, match=r"no config\.json"):
        read_config(tiny)


@pytest.mark.parametrize("content", ["[1]", '{"hidden_size": "x"}', '{"hidden_size": 30, "num_attention_heads": 7}'])
def test_a_config_of_no_mert_is_said_with_its_file(tmp_path: Path, content: str) -> None:
    """No names, a value of another type, sizes that do not fit together: one sentence each."""
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(BackendUnavailableError, match=r"config\.json describes no (MERT|network): .*\.$"):
        load_mert(tmp_path)


def test_other_weights_have_another_identity(tmp_path: Path) -> None:
    """Features kept for one MERT are never taken for another's."""
    one = load_mert(write_tiny_mert(tmp_path / "one" / "mert", seed=1))
    two = load_mert(write_tiny_mert(tmp_path / "two" / "mert", seed=2))
    assert one.identity != two.identity
