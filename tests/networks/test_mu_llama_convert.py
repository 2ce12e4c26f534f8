"""Converted and exported networks, and the memory that large files take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import LlamaForCausalLM

from musiscene.errors import BackendUnavailableError, Stopped, StorageError
from musiscene.networks.mu_llama.checkpoint import Checkpoint, open_checkpoint
from musiscene.networks.mu_llama.convert import (
    ADAPTER,
    FACTS,
    MODEL,
    convert,
    export_for_clip,
    is_converted,
    open_converted,
    write_safetensors,
)
from musiscene.networks.mu_llama.decoder import load_decoder
from musiscene.networks.mu_llama.generate import Sampling, generate
from musiscene.networks.mu_llama.listener import load_listener
from musiscene.networks.mu_llama.memory import memory_free, memory_need
from musiscene.networks.mu_llama.model import MuLlama
from musiscene.networks.mu_llama.sizes import Sizes
from musiscene.networks.mu_llama.tiny import TINY, write_tiny
from musiscene.networks.narrow_linear import narrowed

PROMPT = [1, 40, 50, 60, 70]
SAMPLING = Sampling(temperature=0.0, max_new=16)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny network on disk."""
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def checkpoint(files: dict[str, Path]) -> Checkpoint:
    """It, opened."""
    return open_checkpoint(files["adapter"], files["base"])


@pytest.fixture(scope="module")
def pooled() -> Tensor:
    """What MERT heard of one clip."""
    return torch.randn(1, TINY.mert_states, TINY.mert_dim, generator=torch.Generator().manual_seed(3))


def answer(checkpoint: Checkpoint, pooled: Tensor) -> list[list[int]]:
    """A greedy answer about the clip."""
    decoder = load_decoder(checkpoint)
    terms = load_listener(checkpoint).terms(decoder, pooled)
    return generate(decoder, [PROMPT], music_terms=terms, sampling=SAMPLING)


def test_a_converted_network_answers_alike(
    checkpoint: Checkpoint, files: dict[str, Path], pooled: Tensor, tmp_path: Path
) -> None:
    """Adapter as safetensors and a merged Llama give the same tokens; the tokenizer comes along."""
    convert(checkpoint, tmp_path, dtype=torch.float32, tokenizer_from=files["base"])
    assert is_converted(tmp_path)
    assert answer(open_converted(tmp_path), pooled) == answer(checkpoint, pooled)
    assert (tmp_path / "tokenizer.json").read_bytes() == (files["base"] / "tokenizer.json").read_bytes()
    source = load_file(files["adapter"])
    kept = load_file(tmp_path / ADAPTER)
    assert source.keys() == kept.keys()
    assert all(torch.equal(source[name], kept[name]) for name in source)


def test_the_merged_part_is_a_plain_llama(checkpoint: Checkpoint, files: dict[str, Path], tmp_path: Path) -> None:
    """Transformers reads it without us, and it says what the network says without music."""
    convert(checkpoint, tmp_path, dtype=torch.float32)
    plain = LlamaForCausalLM.from_pretrained(tmp_path)
    with torch.device("meta"):
        ours = MuLlama(checkpoint.sizes)
    ours.load(checkpoint).train(False)
    tokens = torch.tensor([PROMPT])
    with torch.no_grad():
        torch.testing.assert_close(plain(tokens).logits, ours(tokens), atol=1e-4, rtol=1e-4)


def test_an_exported_clip_is_a_plain_llama_that_has_heard_it(
    checkpoint: Checkpoint, pooled: Tensor, tmp_path: Path
) -> None:
    """The music lives in output biases: any program that runs a Llama with biases answers about the clip."""
    terms = load_listener(checkpoint).terms(load_decoder(checkpoint), pooled)
    export_for_clip(checkpoint, terms[0], tmp_path, dtype=torch.float32)
    plain = LlamaForCausalLM.from_pretrained(tmp_path)
    with torch.device("meta"):
        ours = MuLlama(checkpoint.sizes)
    ours.load(checkpoint).train(False)
    tokens = torch.tensor([PROMPT])
    with torch.no_grad():
        expected = ours(tokens, pooled)
        torch.testing.assert_close(plain(tokens).logits, expected, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(expected, ours(tokens), atol=1e-2)


def test_a_conversion_that_was_stopped_is_not_taken_for_done(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Neither a half-written file nor a folder without its last one is used."""

    def stop(share: float) -> None:
        if share > 0.6:
            raise Stopped

    with pytest.raises(Stopped):
        convert(checkpoint, tmp_path, on_progress=stop)
    assert not is_converted(tmp_path)
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(BackendUnavailableError, match="convert it again"):
        open_converted(tmp_path)


def test_a_converted_folder_of_another_kind_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A missing part or a note of another version is said with the next step."""
    convert(checkpoint, tmp_path)
    (tmp_path / FACTS).write_text((tmp_path / FACTS).read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(BackendUnavailableError, match="another version"):
        open_converted(tmp_path)
    convert(checkpoint, tmp_path)
    (tmp_path / MODEL).unlink()
    with pytest.raises(BackendUnavailableError, match=r"model\.safetensors"):
        open_converted(tmp_path)


def test_writing_one_tensor_at_a_time_gives_a_common_file(tmp_path: Path) -> None:
    """Any reader of safetensors reads it; scalars, empty tensors and all types survive."""
    tensors = {
        "matrix": torch.randn(3, 5),
        "half": torch.randn(7).half(),
        "brain": torch.randn(2, 2, 2).bfloat16(),
        "scalar": torch.tensor(4),
        "none": torch.zeros(0, 3),
        "flags": torch.tensor([True, False, True]),
    }
    write_safetensors(tmp_path / "x.safetensors", {n: (t.dtype, tuple(t.shape), t.clone) for n, t in tensors.items()})
    again = load_file(tmp_path / "x.safetensors")
    assert again.keys() == tensors.keys()
    assert all(
        torch.equal(again[name], tensor) and again[name].dtype == tensor.dtype for name, tensor in tensors.items()
    )


def test_a_folder_that_cannot_be_written_is_said(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A file in the way of the folder gives one sentence."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="taken"):
        convert(checkpoint, tmp_path / "taken")


def test_memory_is_known_before_loading() -> None:
    """The published sizes need what their tensors take; half precision and quantising need less."""
    need = memory_need(Sizes(), torch.bfloat16)
    assert need.llama == pytest.approx(13.48e9, rel=0.001)
    assert need.music == pytest.approx(1.217e9, rel=0.001)
    totals = [
        memory_need(Sizes(), torch.float32).total,
        need.total,
        memory_need(Sizes(), torch.bfloat16, bits=8).total,
        memory_need(Sizes(), torch.bfloat16, bits=4).total,
    ]
    assert totals == sorted(totals, reverse=True)
    assert totals[2] < 16e9
    on_cpu = memory_need(Sizes(), torch.bfloat16, bits=8, device="cpu")
    assert on_cpu.llama == pytest.approx(6.88e9, rel=0.001)
    assert on_cpu.total < 15e9
    more = memory_need(Sizes(), torch.bfloat16, scene_music=True, scene_tuning=True)
    assert more.total > need.total + 1.2e9
    free = memory_free("cpu")
    assert free is not None
    assert free > 1e8


LARGE = """
import argparse, sys
from pathlib import Path
import torch
from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.sizes import Sizes
from musiscene.networks.mu_llama.checkpoint import open_checkpoint

torch.set_num_threads(1)
path = Path(sys.argv[1])
sizes = Sizes()
half = {f"llama.{name}" for name in layout.base_shapes(sizes) if "norm" not in name}
# Structure without values: memory that is never touched costs nothing, and no bytes of it are written.
model = {
    name: torch.empty(shape, dtype=torch.float16 if name in half or name.endswith("gate") else torch.float32)
    for name, shape in layout.published_shapes(sizes, with_base=True).items()
}
with torch.serialization.skip_data():
    torch.save({"model": model, "epoch": 1, "args": argparse.Namespace(lr=1.0)}, path)
del model

def anonymous():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024

before = anonymous()
checkpoint = open_checkpoint(path)
opened = anonymous() - before
peak = 0
for name in ("attention.wq", "feed_forward.w2"):
    merged = checkpoint.merged(31, name)
    peak = max(peak, anonymous() - before)
    del merged
print(path.stat().st_size, opened, peak, checkpoint.sizes == sizes)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's memory from /proc")
def test_a_checkpoint_of_17_gb_opens_in_bounded_memory(tmp_path: Path) -> None:
    """The published structure at full size (a sparse file) costs a few hundred megabytes, whatever its length."""
    path = tmp_path / "checkpoint.pth"
    done = subprocess.run(
        [sys.executable, "-c", LARGE, str(path)], capture_output=True, text=True, check=True, env=os.environ.copy()
    )
    size, opened, peak, right = done.stdout.split()
    assert int(size) > 15.9e9
    assert int(opened) < 50e6
    assert int(peak) < 800e6
    assert right == "True"


def test_a_network_stored_in_8_bits_is_the_one_that_is_quantised_while_loading(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    """Quantising what was quantised changes nothing, so both say the same; the file is about half as large."""
    convert(checkpoint, tmp_path / "half")
    convert(checkpoint, tmp_path / "eighth", dtype=torch.int8)
    opened = open_converted(tmp_path / "eighth")
    assert opened.quantised
    assert not (tmp_path / "eighth" / "config.json").exists()
    assert (tmp_path / "eighth" / MODEL).stat().st_size < 0.8 * (tmp_path / "half" / MODEL).stat().st_size
    logits = []
    for source in (checkpoint, opened):
        decoder = load_decoder(source, store=lambda name, linear: narrowed(linear, torch.int8))
        decoder.embedding.to(torch.bfloat16)
        slots = torch.arange(4)
        with torch.inference_mode():
            logits.append(decoder(torch.tensor([[1, 5, 6, 7]]), slots[None], decoder.new_cache(1, 4), slots, 4))
    torch.testing.assert_close(logits[0], logits[1], atol=0.01, rtol=0.01)  # norms and biases are rounded in the file
