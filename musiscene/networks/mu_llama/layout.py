"""Names, shapes and row orders: MU-LLaMA's published layout, Meta's LLaMA and Hugging Face's.

Meta rotates neighbouring pairs (2i, 2i+1) of each head, transformers rotates (i, i + half). The rows of whatever
produces queries and keys (the matrices, the second LoRA factor, the query bias) are therefore reordered per head.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import Tensor

from musiscene.networks.mu_llama.sizes import Sizes

PROJECTIONS = {
    "attention.wq": "self_attn.q_proj",
    "attention.wk": "self_attn.k_proj",
    "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj",
}
"""The linear maps of a layer: Meta's name -> transformers'."""
NORMS = {"attention_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
ENDS = {"tok_embeddings": "model.embed_tokens", "output": "lm_head", "norm": "model.norm"}
ROTATED = ("attention.wq", "attention.wk")
BIASED = ("attention.wq", "attention.wo", "feed_forward.w1", "feed_forward.w2", "feed_forward.w3")
"""Those with a bias in the fine-tuning phase; keys and values have none."""

_ALIAS = re.compile(r"^mert_(agg|proj|norm_\d+|f[123]_\d+)(?=\.)")
_HF_LAYER = re.compile(r"^model\.layers\.(\d+)\.(.+)\.weight$")
_FROM_HF = {hf: meta for meta, hf in (PROJECTIONS | NORMS).items()}
_ENDS_FROM_HF = {f"{hf}.weight": f"{meta}.weight" for meta, hf in ENDS.items()}


def to_halves(rows: Tensor, heads: int) -> Tensor:
    """Reorder rows from Meta's neighbouring pairs to transformers' halves; the first axis is heads x head size."""
    return rows.view(heads, -1, 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def to_pairs(rows: Tensor, heads: int) -> Tensor:
    """The inverse of `to_halves`."""
    return rows.view(heads, 2, -1, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def is_rotated(published: str) -> bool:
    """Whether the rows of a published tensor depend on the rotary layout."""
    if "lora" in published:
        return published.endswith(("attention.lora_wq_l2.weight", "attention.lora_wk_l2.weight"))
    return ".attention.wq." in published or ".attention.wk." in published


def published_name(name: str) -> str | None:
    """Today's published name of a checkpoint's tensor; None for MERT's own weights, which are frozen and elsewhere.

    Accepts wrapped (`module.`), misspelt (`llma`) and mid-2023 names (`mert_agg`, `mert_f1_2`).
    """
    name = name.removeprefix("module.").replace("llma", "llama")
    if name.startswith("mert_model."):
        return None
    return _ALIAS.sub(lambda match: f"mu_mert_{match[1]}", name)


def meta_name(name: str) -> str | None:
    """Meta's name of a base LLaMA tensor given in either layout; None for buffers that hold no weights."""
    if name == "rope.freqs" or name.endswith("rotary_emb.inv_freq"):
        return None
    if name in _ENDS_FROM_HF:
        return _ENDS_FROM_HF[name]
    match = _HF_LAYER.match(name)
    if match and match[2] in _FROM_HF:
        return f"layers.{match[1]}.{_FROM_HF[match[2]]}.weight"
    return name


def parallel_axis(name: str) -> int | None:
    """The axis along which Meta cuts a base tensor into parts for several GPUs; None for norms, which each part holds.

    Matrices that come first in a block are cut by outputs, those that come last, and the embedding, by inputs.
    """
    matrix = name.removesuffix(".weight").rpartition(".")[2]
    if "norm" in matrix or matrix == "freqs":
        return None
    return 1 if matrix in ("wo", "w2", "tok_embeddings") else 0


def base_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the base LLaMA in Meta's layout."""
    square, up, down = (sizes.dim, sizes.dim), (sizes.ffn_dim, sizes.dim), (sizes.dim, sizes.ffn_dim)
    shapes: dict[str, tuple[int, ...]] = {
        "tok_embeddings.weight": (sizes.vocabulary, sizes.dim),
        "output.weight": (sizes.vocabulary, sizes.dim),
        "norm.weight": (sizes.dim,),
    }
    for layer in range(sizes.layers):
        for name in PROJECTIONS:
            shape = down if name.endswith("w2") else up if name.startswith("feed") else square
            shapes[f"layers.{layer}.{name}.weight"] = shape
        for name in NORMS:
            shapes[f"layers.{layer}.{name}.weight"] = (sizes.dim,)
    return shapes


def music_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what hears the music: the adapter, the prefix and the gates of all layers."""
    shapes: dict[str, tuple[int, ...]] = {
        "mu_mert_agg.weight": (1, sizes.mert_states, 1),
        "mu_mert_agg.bias": (1,),
        "mu_mert_proj.weight": (sizes.dim, sizes.mert_dim),
        "mu_mert_proj.bias": (sizes.dim,),
        "prefix_query.weight": (sizes.prefix_layers, sizes.dim),
    }
    for block in range(1, sizes.adapter_blocks + 1):
        shapes[f"mu_mert_norm_{block}.weight"] = (sizes.dim,)
        shapes[f"mu_mert_f1_{block}.weight"] = (sizes.adapter_dim, sizes.dim)
        shapes[f"mu_mert_f2_{block}.weight"] = (sizes.dim, sizes.adapter_dim)
        shapes[f"mu_mert_f3_{block}.weight"] = (sizes.adapter_dim, sizes.dim)
    for layer in range(sizes.layers):
        shapes[f"llama.layers.{layer}.attention.gate"] = (1, sizes.heads, 1, 1)
    return shapes


def tuning_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what fine-tuning changes in LLaMA: LoRA, biases and all norms (norms alone before it)."""
    shapes: dict[str, tuple[int, ...]] = {"llama.norm.weight": (sizes.dim,)}
    base = base_shapes(sizes)
    for layer in range(sizes.layers):
        for norm in NORMS:
            shapes[f"llama.layers.{layer}.{norm}.weight"] = (sizes.dim,)
        if not sizes.finetuned:
            continue
        for name in PROJECTIONS:
            rows, columns = base[f"layers.{layer}.{name}.weight"]
            lora = _lora(f"llama.layers.{layer}.{name}")
            shapes[f"{lora}_l1.weight"] = (sizes.lora_rank, columns)
            shapes[f"{lora}_l2.weight"] = (rows, sizes.lora_rank)
            if name in BIASED:
                shapes[f"llama.layers.{layer}.{name}.bias"] = (rows,)
    return shapes


def published_shapes(sizes: Sizes, *, with_base: bool) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a whole checkpoint's `model` entry without MERT."""
    base = {f"llama.{name}": shape for name, shape in base_shapes(sizes).items()} if with_base else {}
    return music_shapes(sizes) | tuning_shapes(sizes) | base


def lora_names(layer: int, projection: str) -> tuple[str, str]:
    """Published names of the two LoRA factors of a linear map ("attention.wq"): into the rank, and out of it."""
    lora = _lora(f"llama.layers.{layer}.{projection}")
    return f"{lora}_l1.weight", f"{lora}_l2.weight"


def module_names(sizes: Sizes, *, with_base: bool) -> Iterator[tuple[str, str]]:
    """Pairs of (published name, parameter name in `model.MuLlama`), in the order of the tables."""
    for name in published_shapes(sizes, with_base=with_base):
        yield name, module_name(name, wrapped=sizes.finetuned)


def _lora(projection: str) -> str:
    block, _, matrix = projection.rpartition(".")
    return f"{block}.lora_{matrix}"


def module_name(name: str, *, wrapped: bool = False) -> str:
    """Parameter name in `model.MuLlama` of a published name; `wrapped` when PEFT's LoRA surrounds the linear maps."""
    if name == "prefix_query.weight":
        return "prefix"
    if name.startswith("mu_mert_"):
        return "music." + re.sub(r"^mu_mert_(\w+?)_(\d+)\.", r"blocks.\2.\1.", name).removeprefix("mu_mert_")
    inner = name.removeprefix("llama.")
    if not inner.startswith("layers."):
        end, _, kind = inner.rpartition(".")
        return f"llama.{ENDS[end]}.{kind}"
    _, layer, rest = inner.split(".", 2)
    place = f"llama.model.layers.{layer}."
    if rest == "attention.gate":
        return f"{place}self_attn.gate"
    matched = re.match(r"^(attention|feed_forward)\.lora_(w\w)_l([12])\.weight$", rest)
    if matched:
        factor = "lora_A" if matched[3] == "1" else "lora_B"
        return f"{place}{PROJECTIONS[f'{matched[1]}.{matched[2]}']}.{factor}.default.weight"
    part, _, kind = rest.rpartition(".")
    if part in NORMS:
        return f"{place}{NORMS[part]}.{kind}"
    return f"{place}{PROJECTIONS[part]}{'.base_layer' if wrapped else ''}.{kind}"
