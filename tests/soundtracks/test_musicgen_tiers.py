"""Which MusicGen runs where: decided by free memory, and said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from musiscene.errors import ConfigError
from musiscene.soundtracks._musicgen.loading import locate, manifest_name
from musiscene.soundtracks._musicgen.tiers import Machine, choose_size, choose_tier, is_out_of_memory, rows_at_once

ALL = ("musicgen-small", "musicgen-medium", "musicgen-large", "musicgen-melody")


@pytest.mark.parametrize(
    ("machine", "here", "size"),
    [
        (Machine("cpu", 60.0), ALL, "musicgen-small"),
        (Machine("cpu", 60.0), ("musicgen-large",), "musicgen-large"),
        (Machine("cuda", 78.0), ALL, "musicgen-large"),
        (Machine("cuda", 8.0), ALL, "musicgen-medium"),
        (Machine("cuda", 4.0), ALL, "musicgen-small"),
        (Machine("cuda", 1.0), ("musicgen-medium",), "musicgen-medium"),
        (Machine("cuda", None), ALL, "musicgen-large"),
        (Machine("cuda", 78.0), (), "musicgen-small"),
    ],
)
def test_the_size_is_the_largest_that_fits(machine: Machine, here: tuple[str, ...], size: str) -> None:
    """On a GPU; on a processor the quickest. The reason names the size."""
    chosen, reason = choose_size(here, machine)

    assert chosen == size
    assert reason.startswith(size.removeprefix("musicgen-")) or not here


@pytest.mark.parametrize(
    ("machine", "asked", "device", "codec", "precision"),
    [
        (Machine("cuda", bfloat16=True), "auto", "cuda", "cuda", "bfloat16"),
        (Machine("cuda"), "auto", "cuda", "cuda", "float16"),
        (Machine("cuda", bfloat16=True), "float32", "cuda", "cuda", "float32"),
        (Machine("mps", int8=True), "auto", "mps", "cpu", "float32"),
        (Machine("mps", int8=True), "int8", "cpu", "cpu", "int8"),
        (Machine("cpu"), "auto", "cpu", "cpu", "float32"),
        (Machine("cpu"), "bfloat16", "cpu", "cpu", "bfloat16"),
        (Machine("cpu", int8=True), "int8", "cpu", "cpu", "int8"),
    ],
)
def test_the_precision_follows_the_device(
    machine: Machine, asked: str, device: str, codec: str, precision: str
) -> None:
    """Half on GPUs, full on processors unless asked; EnCodec never runs on MPS, and the reason says so."""
    tier = choose_tier(machine, asked)

    assert (tier.device, tier.codec_device, tier.precision) == (device, codec, precision)
    assert "garbled" in tier.reason or tier.device != "mps"


@pytest.mark.parametrize(
    ("machine", "asked"),
    [(Machine("cuda"), "int8"), (Machine("cpu"), "int8"), (Machine("cpu"), "float16"), (Machine("cpu"), "four bits")],
)
def test_a_precision_that_cannot_be_had_is_refused(machine: Machine, asked: str) -> None:
    """In words, before weights are loaded."""
    with pytest.raises(ConfigError):
        choose_tier(machine, asked)


def test_as_many_at_once_as_fit() -> None:
    """At least one, at most what is wanted; the reason names the memory."""
    assert rows_at_once(None, 1e9, 8) == (8, "")
    assert rows_at_once(64e9, 1e9, 8) == (8, "")
    few, reason = rows_at_once(4e9, 1e9, 8)
    assert few == 2
    assert "4.0 GB" in reason
    assert rows_at_once(1e6, 1e9, 8)[0] == 1


def test_weights_are_found_by_repository_and_in_the_hubs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`facebook/musicgen-small` is the manifest's; another repository is found where the hub's own client put it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    commit = "0123456789abcdef0123456789abcdef01234567"
    kept = tmp_path / "hub" / "models--someone--tuned-musicgen"
    (kept / "snapshots" / commit).mkdir(parents=True)
    (kept / "snapshots" / commit / "config.json").write_text("{}")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)

    assert manifest_name("facebook/musicgen-small") == "musicgen-small"
    assert locate("facebook/musicgen-small", tmp_path) is None
    assert locate("someone/tuned-musicgen", tmp_path) == kept / "snapshots" / commit
    assert locate(f"someone/tuned-musicgen@{commit}", tmp_path) == kept / "snapshots" / commit
    assert locate("someone/else", tmp_path) is None
    assert locate(str(tmp_path / "nowhere"), tmp_path) is None


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.0 GB)"),
    ],
)
def test_a_lack_of_memory_is_known_in_whatever_words_it_comes(error: Exception) -> None:
    """Linux, Windows, CUDA and its libraries, MPS."""
    assert is_out_of_memory(error)


def test_another_error_is_no_lack_of_memory() -> None:
    """Nor is one of another kind that speaks of memory."""
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))
