"""Checkpoints as they are found in the wild: layouts, ages, damage, and what is said about it."""

from __future__ import annotations

import argparse
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from musiscene.errors import BackendUnavailableError
from musiscene.networks.mu_llama.checkpoint import Checkpoint, open_checkpoint
from musiscene.networks.mu_llama.tiny import TINY, random_tensors
from musiscene.networks.tensor_files import open_tensors


@pytest.fixture(scope="module")
def tensors() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A tiny adapter and its base."""
    adapter, base = random_tensors()
    return adapter, base


def whole(adapter: dict[str, Tensor], base: dict[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint that was not stripped; its base wins over any other."""
    inner = {f"llama.{name}": tensor.half() for name, tensor in base.items()}
    return {**inner, **adapter, "mert_model.encoder.layer_norm.bias": torch.zeros(16)}


def same(one: Checkpoint, two: Checkpoint) -> bool:
    """Whether two checkpoints give the same merged matrices and music."""
    return all(
        torch.equal(one.merged(index, name), two.merged(index, name))
        for index in range(one.sizes.layers)
        for name in ("attention.wq", "attention.wv", "feed_forward.w2")
    ) and torch.equal(one.tensor("mu_mert_proj.weight"), two.tensor("mu_mert_proj.weight"))


def test_a_training_checkpoint_with_everything_in_it_opens(
    tensors: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path
) -> None:
    """The original's pickled dict with options, optimizer and base inside opens without any base on disk."""
    adapter, base = tensors
    content = {
        "model": whole(adapter, base),
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}},
        "epoch": 3,
        "scaler": {"scale": 65536.0},
        "args": argparse.Namespace(lr=1e-3, llama_type="7B"),
        "config": {"anything": 1},
    }
    torch.save(content, tmp_path / "checkpoint.pth")
    opened = open_checkpoint(tmp_path / "checkpoint.pth")
    assert opened.sizes == TINY
    half = {name: tensor.half() for name, tensor in base.items()}
    save_file(adapter, tmp_path / "adapter.safetensors")
    save_file(half, tmp_path / "base.safetensors")
    assert same(opened, open_checkpoint(tmp_path / "adapter.safetensors", tmp_path / "base.safetensors"))


def test_the_base_inside_wins_over_the_one_on_disk(
    tensors: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path
) -> None:
    """As the original copies its own base over, so a base folder is then not even looked at."""
    adapter, base = tensors
    torch.save({"model": whole(adapter, base)}, tmp_path / "c.pth")
    opened = open_checkpoint(tmp_path / "c.pth", tmp_path / "not there")
    assert torch.equal(opened.base_tensor("output.weight"), base["output.weight"].half())


def test_names_of_2023_and_the_old_file_format_open(
    tensors: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path
) -> None:
    """A bare dict under old names, saved as torch did before 2020, is the same network."""
    adapter, base = tensors
    old = {name.replace("mu_mert_", "mert_").replace("llama.", "llma."): tensor for name, tensor in adapter.items()}
    torch.save(old, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(adapter, tmp_path / "new.safetensors")
    save_file(base, tmp_path / "base.safetensors")
    one = open_checkpoint(tmp_path / "old.pth", tmp_path / "base.safetensors")
    assert same(one, open_checkpoint(tmp_path / "new.safetensors", tmp_path / "base.safetensors"))


def test_gates_that_no_layer_uses_may_be_absent(
    tensors: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path
) -> None:
    """The first layers hear no music; the gates of those that do must be there."""
    adapter, base = tensors
    save_file(base, tmp_path / "base.safetensors")
    save_file({n: t for n, t in adapter.items() if n != "llama.layers.0.attention.gate"}, tmp_path / "a.safetensors")
    opened = open_checkpoint(tmp_path / "a.safetensors", tmp_path / "base.safetensors")
    assert not opened.tensor("llama.layers.0.attention.gate").any()
    save_file({n: t for n, t in adapter.items() if n != "llama.layers.2.attention.gate"}, tmp_path / "b.safetensors")
    with pytest.raises(BackendUnavailableError, match=r"b\.safetensors.*layers\.2\.attention\.gate"):
        open_checkpoint(tmp_path / "b.safetensors", tmp_path / "base.safetensors")


@pytest.mark.parametrize(
    "lost",
    [
        "prefix_query.weight",
        "mu_mert_f2_3.weight",
        "mu_mert_norm_3.weight",
        "llama.layers.0.attention.lora_wq_l1.weight",
        "llama.layers.1.attention.wq.bias",
        "llama.layers.3.attention.gate",
        "llama.norm.weight",
    ],
)
def test_a_missing_tensor_is_named_with_its_file(
    tensors: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path, lost: str
) -> None:
    """What the original would leave random is an error that says which tensor and which file."""
    adapter, base = tensors
    save_file({n: t for n, t in adapter.items() if n != lost}, tmp_path / "adapter.safetensors")
    save_file(base, tmp_path / "base.safetensors")
    with pytest.raises(BackendUnavailableError) as refused:
        open_checkpoint(tmp_path / "adapter.safetensors", tmp_path / "base.safetensors")
    assert lost in str(refused.value)
    assert "adapter.safetensors" in str(refused.value)


def test_many_missing_tensors_are_counted_and_some_named(
    tensors: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path
) -> None:
    """A long list is cut; the base's file is blamed when it is the base that is wrong."""
    adapter, base = tensors
    save_file(adapter, tmp_path / "adapter.safetensors")
    kept = {n: t for n, t in base.items() if ".w3." not in n and ".wo." not in n and ".wk." not in n}
    save_file({**kept, "extra": torch.zeros(1)}, tmp_path / "base.safetensors")
    with pytest.raises(BackendUnavailableError) as refused:
        open_checkpoint(tmp_path / "adapter.safetensors", tmp_path / "base.safetensors")
    message = str(refused.value)
    assert "base.safetensors" in message
    assert "12 missing" in message
    assert "and 4 more" in message
    assert "1 unexpected (extra)" in message


def test_a_stripped_checkpoint_needs_a_base(
    tensors: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path
) -> None:
    """Without any base the next step is named."""
    save_file(tensors[0], tmp_path / "adapter.safetensors")
    with pytest.raises(BackendUnavailableError, match="LLaMA-2-7B-chat"):
        open_checkpoint(tmp_path / "adapter.safetensors")


class _Bomb:
    """Runs a command when it is unpickled by a careless loader."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_carries_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    """Only tensors and options are let through."""
    trap = tmp_path / "sprung"
    content = {"model": {"prefix_query.weight": torch.zeros(2, 2)}, "args": _Bomb(trap)}
    torch.save(content, tmp_path / "bad.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(BackendUnavailableError, match=r"bad\.pth was refused"):
        open_checkpoint(tmp_path / "bad.pth")
    assert not trap.exists()


def test_damaged_and_foreign_files_are_named(tmp_path: Path) -> None:
    """Truncated, empty, wrongly named or foreign files give one sentence."""
    torch.save({"model": {"a": torch.zeros(1000)}}, tmp_path / "cut.pth")
    data = (tmp_path / "cut.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "list.pth").write_bytes(pickle.dumps([1, 2]))
    (tmp_path / "folder").mkdir()
    for name in ("cut.pth", "empty.safetensors", "text.pth", "list.pth", "folder", "absent.pth"):
        with pytest.raises(BackendUnavailableError, match=name.replace(".", r"\.")):
            open_tensors(tmp_path / name)
    torch.save({"model": {"a": "text"}}, tmp_path / "odd.pth")
    with pytest.raises(BackendUnavailableError, match="str under 'a'"):
        open_tensors(tmp_path / "odd.pth", within="model")


def test_something_else_than_mu_llama_is_recognised(tmp_path: Path) -> None:
    """A checkpoint of another network says what is missing first."""
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(BackendUnavailableError, match=r"other\.safetensors"):
        open_checkpoint(tmp_path / "other.safetensors", tmp_path / "other.safetensors")


@pytest.mark.parametrize("parts", [2, 4])
def test_model_parallel_parts_are_put_together(
    tensors: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path, parts: int
) -> None:
    """Meta's layout for several GPUs, whose files hold slices of each matrix, is the same network."""
    adapter, base = tensors
    (tmp_path / "base").mkdir()
    for part in range(parts):
        slices = {"rope.freqs": torch.ones(4)}
        for name, tensor in base.items():
            by_inputs = name.endswith(("wo.weight", "w2.weight")) or name.startswith("tok_embeddings")
            slices[name] = tensor if "norm" in name else tensor.chunk(parts, dim=int(by_inputs))[part].clone()
        torch.save(slices, tmp_path / "base" / f"consolidated.{part:02d}.pth")
    save_file(adapter, tmp_path / "adapter.safetensors")
    save_file(base, tmp_path / "base.safetensors")
    joined = open_checkpoint(tmp_path / "adapter.safetensors", tmp_path / "base")
    assert same(joined, open_checkpoint(tmp_path / "adapter.safetensors", tmp_path / "base.safetensors"))
    assert all(torch.equal(joined.base[name], tensor) for name, tensor in base.items())


def test_a_matrix_twice_is_said_not_misread(
    tensors: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path
) -> None:
    """Parts that are not slices of one network, such as the same file twice or a rest of another, are refused."""
    adapter, base = tensors
    (tmp_path / "base").mkdir()
    save_file(adapter, tmp_path / "adapter.safetensors")
    torch.save(base, tmp_path / "base" / "consolidated.00.pth")
    torch.save(dict(list(base.items())[:3]), tmp_path / "base" / "consolidated.01.pth")
    with pytest.raises(BackendUnavailableError, match="both hold"):
        open_checkpoint(tmp_path / "adapter.safetensors", tmp_path / "base")
    torch.save(base, tmp_path / "base" / "consolidated.01.pth")
    with pytest.raises(BackendUnavailableError, match="of another shape"):
        open_checkpoint(tmp_path / "adapter.safetensors", tmp_path / "base")


def test_a_folder_with_metas_own_files_is_a_base(
    tensors: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path
) -> None:
    """Meta's folder has other files beside the weights, and a buffer that is no weight."""
    (tmp_path / "base").mkdir()
    torch.save({**tensors[1], "rope.freqs": torch.zeros(4)}, tmp_path / "base" / "consolidated.00.pth")
    (tmp_path / "base" / "params.json").write_text(json.dumps({"dim": 32, "norm_eps": 1e-5}))
    (tmp_path / "base" / "tokenizer.model").write_bytes(b"")
    save_file(tensors[0], tmp_path / "adapter.safetensors")
    assert open_checkpoint(tmp_path / "adapter.safetensors", tmp_path / "base").sizes.norm_eps == 1e-6


def test_an_overlay_must_be_whole_and_of_the_same_network(
    tensors: tuple[dict[str, Tensor], dict[str, Tensor]], tmp_path: Path
) -> None:
    """An adapter may replace what listens, what is tuned, or both; half of either is refused."""
    adapter, base = tensors
    save_file(adapter, tmp_path / "adapter.safetensors")
    save_file(base, tmp_path / "base.safetensors")
    checkpoint = open_checkpoint(tmp_path / "adapter.safetensors", tmp_path / "base.safetensors")
    music = {n: t + 1 for n, t in adapter.items() if n.startswith(("mu_mert", "prefix")) or n.endswith("gate")}
    save_file(music, tmp_path / "music.safetensors")
    over = checkpoint.overlaid(tmp_path / "music.safetensors")
    assert torch.equal(over.tensor("mu_mert_proj.bias"), adapter["mu_mert_proj.bias"] + 1)
    assert torch.equal(over.tensor("llama.norm.weight"), adapter["llama.norm.weight"])

    music.pop("mu_mert_proj.bias")
    save_file(music, tmp_path / "half.safetensors")
    with pytest.raises(BackendUnavailableError, match=r"half\.safetensors.*mu_mert_proj\.bias"):
        checkpoint.overlaid(tmp_path / "half.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "none.safetensors")
    with pytest.raises(BackendUnavailableError, match=r"none\.safetensors"):
        checkpoint.overlaid(tmp_path / "none.safetensors")
