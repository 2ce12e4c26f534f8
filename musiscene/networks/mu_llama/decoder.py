"""MU-LLaMA made ready for generating: LoRA merged, projections fused, a static cache, music as constant vectors.

The same network as `model.MuLlama` with fewer and larger operations. A step has static shapes and no branch on data,
so that on CUDA it can be captured as a graph (`generate.GraphStep`).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

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
    """Keys and values of all layers for a fixed number of positions, and the rotations of these positions.

    Attributes:
        pairs: Keys, then values, of each layer: `(layers, 2, batch, heads, positions, head_dim)`.
        cosines: For queries, keys and values alike, `(positions, 3, 1, head_dim)` float32; values are turned by 0.
        sines: The same, negative for a head's first half.
    """

    def __init__(self, sizes: Sizes, batch: int, positions: int, like: Tensor) -> None:
        # Zeros, not empty: a masked position must not hold a NaN, which a weight of 0 would not cancel.
        shape = (sizes.layers, 2, batch, sizes.heads, positions, sizes.head_dim)
        self.pairs = torch.zeros(shape, dtype=like.dtype, device=like.device)
        real: dict[str, Any] = {"dtype": torch.float32, "device": like.device}
        frequencies = sizes.rope_theta ** (-torch.arange(0, sizes.head_dim, 2, **real) / sizes.head_dim)
        angles = torch.outer(torch.arange(positions, **real), frequencies)
        cosine, sine = torch.cat((angles.cos(), angles.cos()), dim=-1), torch.cat((-angles.sin(), angles.sin()), dim=-1)
        still, none = torch.ones_like(cosine), torch.zeros_like(sine)
        self.cosines = torch.stack((cosine, cosine, still), dim=1)[:, :, None]
        self.sines = torch.stack((sine, sine, none), dim=1)[:, :, None]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and positions."""
        return self.pairs.shape[2], self.pairs.shape[4]

    def first_row(self) -> Cache:
        """The first row alone, as a view: what is written to it is written here."""
        view = copy(self)
        view.pairs = self.pairs[:, :, :1]
        return view

    def spread(self, length: int) -> None:
        """Copy the first positions of the first row to all others."""
        self.pairs[:, :, 1:, :, :length] = self.pairs[:, :, :1, :, :length]


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
        pairs: Tensor,
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
        qkv = _rotate(qkv, *rotation)
        pairs.index_copy_(3, slots, qkv[:, :, 1:].permute(2, 0, 3, 1, 4))
        attended = functional.scaled_dot_product_attention(
            qkv[:, :, 0].transpose(1, 2),
            pairs[0, :, :, :limit],
            pairs[1, :, :, :limit],
            attn_mask=mask,
            is_causal=mask is None and length > 1,
        )
        x = x + _linear(self.out, attended.transpose(1, 2).flatten(2), tuned, "out")
        if music is not None:
            x += music[:, None]
        gate, up = _linear(self.gate_up, _norm(self.ffn_norm, x, tuned, "ffn_norm"), tuned, "gate_up").chunk(2, dim=-1)
        return _linear(self.down, functional.silu(gate).mul_(up), tuned, "down").add_(x)


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
            mask: `(batch, 1, length, limit)`, added to the attention's scores (`hidden`); None for plain causal order.
            music_terms: `(batch, prefix_layers, dim)`; None without music.
            tuned: Rows that answer by another tuning.
        """
        x = self.embedding(tokens).to(self.norm.weight.dtype)
        rotation = (cache.cosines[positions], cache.sines[positions])
        first = self.sizes.first_prefix_layer
        for index, layer in enumerate(self.layers):
            music = music_terms[:, index - first] if music_terms is not None and index >= first else None
            layer_tuned = (tuned.tuning.layers[index], tuned.rows) if tuned else None
            x = layer(x, rotation, cache.pairs[index], slots, limit, mask, music, layer_tuned)
        last = x[:, -1]
        normed = self.norm(last)
        if tuned:
            normed[tuned.rows] = functional.rms_norm(
                last[tuned.rows], (self.sizes.dim,), tuned.tuning.norm, self.sizes.norm_eps
            )
        # A few rows against a very wide plain matrix: on a CPU the transposed product is up to twice as quick.
        transposed = normed.device.type == "cpu" and type(self.head) is nn.Linear
        logits: Tensor = (self.head.weight @ normed.T).T if transposed else self.head(normed)
        return logits.float()


def hidden(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to attention scores: 0 where a token may look, minus infinity elsewhere.

    One mask serves all layers; given as True and False, each layer would make this of it again.

    Args:
        seen: True where a token may look; any shape.
        dtype: Of the decoder's activations.
    """
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))


def load_decoder(
    checkpoint: Checkpoint,
    *,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    store: Callable[[str, nn.Linear], nn.Module] | None = None,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Decoder:
    """Fill a decoder from a checkpoint, one matrix at a time: beyond the result it costs two matrices of memory.

    Args:
        checkpoint: Where the weights are.
        dtype: Type of all weights.
        device: Where they go.
        store: Given the name ("qkv", "head") and each filled linear layer, still on the CPU; what it returns takes the
            layer's place, so that no more than one matrix at a time is there as it was before it was quantised.
        on_progress: Called after each layer with the share that is done; may raise to stop.
    """
    sizes = checkpoint.sizes
    with torch.device("meta"):
        decoder = Decoder(sizes)
    decoder = decoder.to(dtype).requires_grad_(False)
    filled_on = "cpu" if store else device
    for end in (decoder.embedding, decoder.norm, decoder.head):
        end.to_empty(device=filled_on if end is decoder.head else device)
    decoder.embedding.weight.copy_(checkpoint.base_tensor("tok_embeddings.weight"))
    decoder.head.weight.copy_(checkpoint.base_tensor("output.weight"))
    decoder.norm.weight.copy_(checkpoint.tensor("llama.norm.weight"))
    if store:
        setattr(decoder, "head", store("head", decoder.head).to(device))  # noqa: B010  (its type may be another)
    for index, layer in enumerate(decoder.layers):
        assert isinstance(layer, DecoderLayer)
        prefix = f"llama.layers.{index}"
        for norm in ("attention_norm", "ffn_norm"):
            layer.get_submodule(norm).to_empty(device=device)
            layer.get_parameter(f"{norm}.weight").copy_(checkpoint.tensor(f"{prefix}.{norm}.weight"))
        for fused, parts in FUSED.items():
            linear = layer.get_submodule(fused).to_empty(device=filled_on)
            assert isinstance(linear, nn.Linear)
            rows = linear.weight.shape[0] // len(parts)
            for place, part in enumerate(parts):
                linear.weight[place * rows : (place + 1) * rows].copy_(checkpoint.merged(index, part))
                if linear.bias is not None:
                    bias = checkpoint.bias(index, part)
                    target = linear.bias[place * rows : (place + 1) * rows]
                    target.zero_() if bias is None else target.copy_(bias)
            if store:
                setattr(layer, fused, store(fused, linear).to(device))
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


def _rotate(qkv: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary positions in float32 on `(batch, length, 3, heads, head_dim)`, halves rotated against each other.

    Values are turned by an angle of 0, so that everything is done at once.
    """
    swapped = torch.roll(qkv, qkv.shape[-1] // 2, dims=-1)
    return torch.addcmul(qkv * cosines, swapped, sines, out=qkv)
