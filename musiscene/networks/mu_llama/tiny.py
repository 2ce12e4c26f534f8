"""A tiny random network with all its files, in the layouts of the published one: the whole chain without a download."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, normalizers, trainers
from tokenizers.models import BPE
from torch import Tensor

from musiscene.networks.mert import build
from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.sizes import Sizes
from musiscene.networks.mu_llama.tokenizer import TEMPLATE

TINY = Sizes(
    dim=32,
    layers=4,
    heads=4,
    ffn_dim=48,
    vocabulary=400,
    prefix_layers=3,
    lora_rank=4,
    mert_dim=16,
    mert_states=4,
    adapter_dim=64,
)
_TEXT = (
    TEMPLATE,
    "The music is calm and slow, played by a piano and strings. It could suit a walk in the rain at night.",
    "An upbeat electronic track with a driving beat, bright synths and a steady bass; a chase through a city.",
)


def random_tensors(sizes: Sizes = TINY, *, seed: int = 0, scale: float = 0.15) -> tuple[dict[str, Tensor], ...]:
    """A random adapter checkpoint and a random base LLaMA, under their published names (Meta's row order)."""
    generator = torch.Generator().manual_seed(seed)

    def draw(name: str, shape: tuple[int, ...]) -> Tensor:
        noise = torch.randn(shape, generator=generator)
        return 1.0 + 0.1 * noise if "norm" in name else noise * scale

    adapter = {n: draw(n, shape) for n, shape in layout.published_shapes(sizes, with_base=False).items()}
    base = {n: draw(n, shape) for n, shape in layout.base_shapes(sizes).items()}
    return adapter, base


def write_tiny(folder: Path, sizes: Sizes = TINY, *, seed: int = 0) -> dict[str, Path]:
    """Write `adapter.safetensors`, `base/` (Meta's layout with a tokenizer) and `mert/`; returns their paths."""
    adapter, base = random_tensors(sizes, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base").mkdir(exist_ok=True)
    save_file(adapter, folder / "adapter.safetensors")
    save_file(base, folder / "base" / "consolidated.00.safetensors")
    tiny_tokenizer(sizes.vocabulary).save(str(folder / "base" / "tokenizer.json"))
    write_tiny_mert(folder / "mert", sizes, seed=seed)
    return {"adapter": folder / "adapter.safetensors", "base": folder / "base", "mert": folder / "mert"}


def mert_options(sizes: Sizes = TINY, *, filters: int = 8) -> dict[str, Any]:
    """Configuration of a MERT whose states fit `sizes`, with so many filters in each layer that hears the sound."""
    return {
        "hidden_size": sizes.mert_dim,
        "num_hidden_layers": sizes.mert_states - 1,
        "num_attention_heads": 2,
        "intermediate_size": 2 * sizes.mert_dim,
        "conv_dim": [filters] * 7,
        "conv_bias": False,
        "feat_extract_norm": "group",
        "feat_proj_layer_norm": True,
        "do_stable_layer_norm": True,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
        "mask_time_prob": 0.075,
    }


def write_tiny_mert(folder: Path, sizes: Sizes = TINY, *, seed: int = 0) -> Path:
    """Write a random MERT whose states fit `sizes`, with the old names that the published files have."""
    from transformers import HubertConfig

    options = mert_options(sizes)
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, tensor in build(HubertConfig(**options)).state_dict().items():
        old = name.replace("parametrizations.weight.original0", "weight_g")
        old = old.replace("parametrizations.weight.original1", "weight_v")
        noise = torch.randn(tensor.shape, generator=generator)
        tensors[old] = 1.0 + 0.1 * noise if "norm.weight" in name or old.endswith("weight_g") else 0.3 * noise
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**options, "model_type": "mert_model", "deepnorm": False}))
    return folder


def tiny_tokenizer(vocabulary: int, texts: Iterable[str] = _TEXT) -> Tokenizer:
    """A byte-pair tokenizer built as LLaMA's, of exactly `vocabulary` tokens, trained on a few sentences."""
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = document["added_tokens"][:3]  # bytes are ordinary tokens
    known = document["model"]["vocab"]
    for number in range(vocabulary - len(known)):  # words that never come, so that the sizes agree
        known[f"▁never{number}"] = len(known)
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer
