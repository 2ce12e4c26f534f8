"""MU-LLaMA made ready for generating: LoRA merged, projections fused, a static cache, music as constant vectors.

The same network as `model.MuLlama` with fewer and larger operations. A step has static shapes and no branch on data,
so that on CUDA it can be captured as a graph (`generate.GraphStep`).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from musiscene.networks.mu_llama.checkpoint import Checkpoint
from musiscene.networks.mu_llama.sizes import Sizes

FUSED = {
    "qkv": ("attention.wq", "attention.wk", "attention.wv"),
    "out": ("attention.wo",),
    "gate_up": ("feed_forward.w1", "feed_forward.w3"),
    "down": ("feed_forward.w2",),
}
"""Linear maps of a layer here -> the published ones they are stacked from."""


@dataclass(frozen=True, slots=True)
class LayerTuning:
    """How one layer of a fine-tuned network differs from the loaded one: low-rank factors, biases, norms."""

    into: dict[str, Tensor]
    out_of: dict[str, Tensor]
    biases: dict[str, Tensor]
    attention_norm: Tensor
    ffn_norm: Tensor


@dataclass(frozen=True, slots=True)
class Tuning:
    """A second network that shares the loaded LLaMA: what differs, layer by layer, and the final norm.

    It is applied to some rows of a batch, so that both networks answer at once.
    """

    layers: tuple[LayerTuning, ...]
    norm: Tensor


@dataclass(frozen=True, slots=True)
class TunedRows:
    """The rows of a batch that a tuning applies to."""

    tuning: Tuning
    rows: slice


class Cache:
    """Keys and values of all layers for a fixed number of positions, `(batch, heads, positions, head_dim)` each."""

    def __init__(self, sizes: Sizes, batch: int, positions: int, like: Tensor) -> None:
        shape = (sizes.layers, batch, sizes.heads, positions, sizes.head_dim)
        # Zeros, not empty: a masked position must not hold a NaN, which a weight of 0 would not cancel.
        self.keys = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.values = torch.zeros_like(self.keys)
        frequencies = sizes.rope_theta ** (-torch.arange(0, sizes.head_dim, 2, dtype=torch.float32) / sizes.head_dim)
        angles = torch.outer(torch.arange(positions, dtype=torch.float32), frequencies).to(like.device)
        self.cosines, self.sines = angles.cos(), angles.sin()

    def first_row(self) -> Cache:
        """The first row alone, as a view: what is written to it is written here."""
        view = copy(self)
        view.keys, view.values = self.keys[:, :1], self.values[:, :1]
        return view


class DecoderLayer(nn.Module):
    """One layer with fused projections."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        dim, bias = sizes.dim, sizes.finetuned
        self.heads = sizes.heads
        self.attention_norm = nn.RMSNorm(dim, eps=sizes.norm_eps)
        self.qkv = nn.Linear(dim, 3 * dim, bias=bias)
        self.out = nn.Linear(dim, dim, bias=bias)
        self.ffn_norm = nn.RMSNorm(dim, eps=sizes.norm_eps)
        self.gate_up = nn.Linear(dim, 2 * sizes.ffn_dim, bias=bias)
        self.down = nn.Linear(sizes.ffn_dim, dim, bias=bias)

    def forward(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor],
        keys: Tensor,
        values: Tensor,
        slots: Tensor,
        limit: int,
        mask: Tensor | None,
        music: Tensor | None,
        tuned: tuple[LayerTuning, slice] | None,
    ) -> Tensor:
        """Map `(batch, length, dim)`, writing keys and values into `slots` and looking at positions below `limit`."""
        batch, length, _ = x.shape
        normed = _norm(self.attention_norm, x, tuned, "attention_norm")
        qkv = _linear(self.qkv, normed, tuned, "qkv").view(batch, length, 3, self.heads, -1)
        query, key = _rotate(qkv[:, :, :2], *rotation).unbind(2)
        keys.index_copy_(2, slots, key.transpose(1, 2))
        values.index_copy_(2, slots, qkv[:, :, 2].transpose(1, 2))
        attended = functional.scaled_dot_product_attention(
            query.transpose(1, 2),
            keys[:, :, :limit],
            values[:, :, :limit],
            attn_mask=mask,
            is_causal=mask is None and length > 1,
        )
        x = x + _linear(self.out, attended.transpose(1, 2).flatten(2), tuned, "out")
        if music is not None:
            x = x + music[:, None]
        gate, up = _linear(self.gate_up, _norm(self.ffn_norm, x, tuned, "ffn_norm"), tuned, "gate_up").chunk(2, dim=-1)
        return x + _linear(self.down, functional.silu(gate) * up, tuned, "down")


class Decoder(nn.Module):
    """The merged network; build it with `load_decoder`."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.embedding = nn.Embedding(sizes.vocabulary, sizes.dim)
        self.layers = nn.ModuleList([DecoderLayer(sizes) for _ in range(sizes.layers)])
        self.norm = nn.RMSNorm(sizes.dim, eps=sizes.norm_eps)
        self.head = nn.Linear(sizes.dim, sizes.vocabulary, bias=False)

    def new_cache(self, batch: int, positions: int) -> Cache:
        """Room for `positions` tokens of each row."""
        return Cache(self.sizes, batch, positions, self.norm.weight)

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        cache: Cache,
        slots: Tensor,
        limit: int,
        mask: Tensor | None = None,
        music_terms: Tensor | None = None,
        tuned: TunedRows | None = None,
    ) -> Tensor:
        """Logits of the last position, `(batch, vocabulary)` float32.

        Args:
            tokens: `(batch, length)`.
            positions: Their rotary positions, `(batch, length)`.
            cache: Where keys and values are kept; written in place.
            slots: Where in the cache these tokens go, `(length,)`.
            limit: Number of cache positions that are looked at.
            mask: `(batch, 1, length, limit)`, True where a token may look; None for plain causal order.
            music_terms: `(batch, prefix_layers, dim)`; None without music.
            tuned: Rows that answer by another tuning.
        """
        x = self.embedding(tokens)
        rotation = (cache.cosines[positions][:, :, None, None], cache.sines[positions][:, :, None, None])
        first = self.sizes.first_prefix_layer
        for index, layer in enumerate(self.layers):
            music = music_terms[:, index - first] if music_terms is not None and index >= first else None
            layer_tuned = (tuned.tuning.layers[index], tuned.rows) if tuned else None
            keys, values = cache.keys[index], cache.values[index]
            x = layer(x, rotation, keys, values, slots, limit, mask, music, layer_tuned)
        last = x[:, -1]
        normed = self.norm(last)
        if tuned:
            normed[tuned.rows] = functional.rms_norm(
                last[tuned.rows], (self.sizes.dim,), tuned.tuning.norm, self.sizes.norm_eps
            )
        # A few rows against a very wide matrix: on a CPU the transposed product is up to twice as quick.
        logits: Tensor = (self.head.weight @ normed.T).T if normed.device.type == "cpu" else self.head(normed)
        return logits.float()


def load_decoder(
    checkpoint: Checkpoint,
    *,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    finish: Callable[[nn.Module], None] | None = None,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Decoder:
    """Fill a decoder from a checkpoint, one matrix at a time: beyond the result it costs two matrices of memory.

    Args:
        checkpoint: Where the weights are.
        dtype: Type of all weights.
        device: Where they go.
        finish: Called with each layer, still on the CPU, to store it otherwise (quantised) and move it to `device`.
        on_progress: Called after each layer with the share that is done; may raise to stop.
    """
    sizes = checkpoint.sizes
    with torch.device("meta"):
        decoder = Decoder(sizes)
    decoder = decoder.to(dtype).requires_grad_(False)
    for end in (decoder.embedding, decoder.norm, decoder.head):
        end.to_empty(device=device)
    decoder.embedding.weight.copy_(checkpoint.base_tensor("tok_embeddings.weight"))
    decoder.head.weight.copy_(checkpoint.base_tensor("output.weight"))
    decoder.norm.weight.copy_(checkpoint.tensor("llama.norm.weight"))
    for index, layer in enumerate(decoder.layers):
        assert isinstance(layer, DecoderLayer)
        layer.to_empty(device="cpu" if finish else device)
        prefix = f"llama.layers.{index}"
        layer.attention_norm.weight.copy_(checkpoint.tensor(f"{prefix}.attention_norm.weight"))
        layer.ffn_norm.weight.copy_(checkpoint.tensor(f"{prefix}.ffn_norm.weight"))
        for fused, parts in FUSED.items():
            linear = layer.get_submodule(fused)
            assert isinstance(linear, nn.Linear)
            rows = linear.weight.shape[0] // len(parts)
            for place, part in enumerate(parts):
                linear.weight[place * rows : (place + 1) * rows].copy_(checkpoint.merged(index, part))
                if linear.bias is not None:
                    bias = checkpoint.bias(index, part)
                    target = linear.bias[place * rows : (place + 1) * rows]
                    target.zero_() if bias is None else target.copy_(bias)
        if finish:
            finish(layer)
        on_progress((index + 1) / sizes.layers)
    decoder.train(False)
    return decoder


def load_tuning(loaded: Checkpoint, tuned: Checkpoint, like: Tensor) -> Tuning:
    """What makes `tuned` out of the network that was loaded from `loaded`.

    Both are low-rank on one base, so their difference has twice the rank: `l2' l1' - l2 l1`.

    Args:
        loaded: What the decoder was filled from.
        tuned: The same with an overlay.
        like: A weight of the decoder, for its type and device.
    """
    layers = []
    for index in range(loaded.sizes.layers):
        into: dict[str, Tensor] = {}
        out_of: dict[str, Tensor] = {}
        biases: dict[str, Tensor] = {}
        for fused, parts in FUSED.items():
            blocks, downs, shifts = [], [], []
            for part in parts:
                old, new = loaded.lora(index, part), tuned.lora(index, part)
                assert old is not None and new is not None  # overlays have the names of the fine-tuning phase
                downs.append(torch.cat([new[0].float(), old[0].float()]))
                blocks.append(torch.cat([new[1].float(), -old[1].float()], dim=1))
                new_bias, old_bias = tuned.bias(index, part), loaded.bias(index, part)
                shifts.append(
                    torch.zeros(len(new[1]))
                    if new_bias is None or old_bias is None
                    else new_bias.float() - old_bias.float()
                )
            into[fused] = torch.cat(downs).to(like)
            out_of[fused] = torch.block_diag(*blocks).to(like)  # type: ignore[no-untyped-call]
            biases[fused] = torch.cat(shifts).to(like)
        prefix = f"llama.layers.{index}"
        layers.append(
            LayerTuning(
                into,
                out_of,
                biases,
                tuned.tensor(f"{prefix}.attention_norm.weight").to(like),
                tuned.tensor(f"{prefix}.ffn_norm.weight").to(like),
            )
        )
    return Tuning(tuple(layers), tuned.tensor("llama.norm.weight").to(like))


def _linear(linear: nn.Module, x: Tensor, tuned: tuple[LayerTuning, slice] | None, name: str) -> Tensor:
    y: Tensor = linear(x)
    if tuned is not None:
        tuning, rows = tuned
        y[rows] += functional.linear(
            functional.linear(x[rows], tuning.into[name]), tuning.out_of[name], tuning.biases[name]
        )
    return y


def _norm(norm: nn.RMSNorm, x: Tensor, tuned: tuple[LayerTuning, slice] | None, name: str) -> Tensor:
    y: Tensor = norm(x)
    if tuned is not None:
        tuning, rows = tuned
        y[rows] = functional.rms_norm(x[rows], norm.normalized_shape, getattr(tuning, name), norm.eps)
    return y


def _rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary positions in float32 on `(..., head_dim)`, halves rotated against each other."""
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat((first * cosines - second * sines, second * cosines + first * sines), dim=-1).to(x.dtype)
