"""The language model of MusicGen as one step over a static cache.

What the generic implementation does again at every step is done once here: keys and values of the text, the fusion of
the query, key and value projections, the masks, the positions. The rows without text, which classifier-free guidance
needs, get nothing from cross-attention (their text is zero and the projections have no bias), so it is left out there.

The melody models have no cross-attention: text and melody stand before the codes, as a prefix that is read once.

On a GPU a step waits less for its weights than for its many small kernels, some 2 microseconds each even in a captured
graph. So their number is kept down: what a layer adds to its input is added by the product itself, in place and only
where there is text; keys and values are written at once; a layer is 13 kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from musiscene.networks.musicgen.attention import ALIGNED, attention
from musiscene.networks.musicgen.linear import Int8Weight, PackedWeight, Weight, add_linear, linear
from musiscene.networks.packed_linear import arranged


@dataclass(slots=True)
class _Cross:
    """Weights with which a layer looks at the text."""

    q: Weight
    kv: Tensor
    out: Weight
    norm: tuple[Tensor, Tensor]


@dataclass(slots=True)
class _Layer:
    """Weights of one layer, each as `nn.Linear` keeps them: (out, in)."""

    qkv: Weight
    self_out: Weight
    self_norm: tuple[Tensor, Tensor]
    cross: _Cross | None
    fc1: Weight
    fc2: Weight
    final_norm: tuple[Tensor, Tensor]


@dataclass(slots=True)
class Memory:
    """What a batch carries from step to step.

    Attributes:
        past: `(layers, 2, rows, heads, length, head_dim)`, keys and values of the codes so far; rows with text first,
            then the same rows without it when there is guidance.
        unwritten: `(length,)`, -inf where nothing is written yet and 0 elsewhere.
        text: `(layers, 2, texts, heads, words, head_dim)`, keys and values of the words, computed once.
        text_mask: `(texts, heads, 1, words)`, 0 for words and -inf for padding.
        texts: Rows that look at a text; 0 in the melody models, whose text stands in the prefix.
    """

    past: Tensor
    unwritten: Tensor
    text: Tensor
    text_mask: Tensor
    texts: int

    @property
    def rows(self) -> int:
        """Rows of the batch, those for guidance included."""
        return int(self.past.shape[2])

    @property
    def length(self) -> int:
        """Positions that there is room for."""
        return int(self.past.shape[4])


class MusicgenDecoder:
    """The decoder of a `MusicgenForCausalLM`, for generation only.

    Args:
        model: transformers' module; its weights are shared where they need not be rearranged.
        dtype: What to compute in; the model's own by default.
        int8: Keep the large weights in eight bits; on a processor only.
        packed: Keep them in the processor's own order where that can be: two rows and more take half as long.
        pad: The token of places without a code; the config's by default.
    """

    def __init__(
        self,
        model: Any,
        dtype: torch.dtype | None = None,
        *,
        int8: bool = False,
        packed: bool = False,
        pad: int | None = None,
    ) -> None:
        config = model.config
        self.config = config
        self.codebooks: int = config.num_codebooks
        self.channels: int = config.audio_channels
        self.codes: int = config.vocab_size
        self.pad: int = config.pad_token_id if pad is None else pad
        self.heads: int = config.num_attention_heads
        self.width: int = config.hidden_size
        decoder = model.model.decoder
        self.activation: Callable[[Tensor], Tensor] = decoder.layers[0].activation_fn
        self.dtype = dtype or decoder.layer_norm.weight.dtype
        self.device: torch.device = decoder.layer_norm.weight.device
        self._positions = decoder.embed_positions

        def cast(weight: Tensor) -> Tensor:
            return weight.detach().to(self.dtype)

        def large(weight: Tensor) -> Weight:
            if int8:
                return Int8Weight(weight)
            plain = cast(weight)
            ordered = arranged(plain) if packed else None
            return plain if ordered is None else PackedWeight(ordered)

        def norm(module: Any) -> tuple[Tensor, Tensor]:
            return cast(module.weight), cast(module.bias)

        # One table for all codebooks: row k * (codes + 1) + code.
        self._embedding = torch.cat([cast(table.weight) for table in decoder.embed_tokens])
        rows = [table.weight.shape[0] for table in decoder.embed_tokens]
        offsets = torch.tensor([sum(rows[:k]) for k in range(self.codebooks)], device=self.device)
        self._offsets = offsets[None, :, None]
        self._heads_out = large(torch.cat([head.weight for head in model.lm_heads]))
        self._final_norm = norm(decoder.layer_norm)

        def joined(attention: Any, names: str) -> Tensor:
            return torch.cat([attention.get_submodule(f"{name}_proj").weight for name in names])

        def cross(layer: Any) -> _Cross | None:
            if not hasattr(layer, "encoder_attn"):
                return None
            attention = layer.encoder_attn
            return _Cross(
                q=large(attention.q_proj.weight),
                kv=cast(joined(attention, "kv")),
                out=large(attention.out_proj.weight),
                norm=norm(layer.encoder_attn_layer_norm),
            )

        self._layers = [
            _Layer(
                qkv=large(joined(layer.self_attn, "qkv")),
                self_out=large(layer.self_attn.out_proj.weight),
                self_norm=norm(layer.self_attn_layer_norm),
                cross=cross(layer),
                fc1=large(layer.fc1.weight),
                fc2=large(layer.fc2.weight),
                final_norm=norm(layer.final_layer_norm),
            )
            for layer in decoder.layers
        ]

    @property
    def looks_at_text(self) -> bool:
        """Whether the layers look at the text; in the melody models it stands in the prefix instead."""
        return self._layers[0].cross is not None

    def bytes_per_row(self, length: int) -> int:
        """What one row of the memory takes for `length` positions."""
        return 2 * len(self._layers) * self.width * length * self.dtype.itemsize

    def memory(self, text: Tensor, mask: Tensor, length: int, *, guidance: bool) -> Memory:
        """Memory for a batch.

        Args:
            text: `(texts, words, width)` states of the text encoder, projected to the decoder's width. Without
                cross-attention only the number of texts counts.
            mask: `(texts, words)`, 1 for words and 0 for padding.
            length: Positions that will be written at most; the memory may have room for a few more.
            guidance: Whether each row is followed, after all of them, by one without text.
        """
        texts, words, _ = text.shape
        padding = -words % ALIGNED
        text, mask = F.pad(text, (0, 0, 0, padding)), F.pad(mask, (0, padding))
        length += -length % ALIGNED
        rows = 2 * texts if guidance else texts
        shape = (len(self._layers), 2, rows, self.heads, length, self.width // self.heads)
        text = (text * mask[..., None]).to(self.dtype)
        crosses = [layer.cross for layer in self._layers if layer.cross]
        if crosses:
            projected = [F.linear(text, cross.kv).view(*mask.shape, 2, self.heads, -1) for cross in crosses]
            text = torch.stack(projected).permute(0, 3, 1, 4, 2, 5).contiguous()
        else:
            text = text.new_zeros(len(self._layers), 0)
        text_mask = torch.zeros(texts, 1, 1, words + padding, dtype=self.dtype, device=self.device)
        # A text of padding alone would make every weight -inf; its values are zero anyway.
        empty = (mask.sum(-1, keepdim=True) == 0)[:, None, None]
        text_mask.masked_fill_((mask == 0)[:, None, None] & ~empty, -torch.inf)
        return Memory(
            past=torch.zeros(shape, dtype=self.dtype, device=self.device),
            unwritten=torch.full((length,), -torch.inf, dtype=self.dtype, device=self.device),
            text=text,
            text_mask=text_mask.expand(-1, self.heads, -1, -1),
            texts=texts if crosses else 0,
        )

    def positions(self, length: int) -> Tensor:
        """Sinusoidal position vectors `(length, width)`."""
        table: Tensor = self._positions.get_embedding(length, self.width)
        return table.to(self.device, self.dtype)

    def embedded(self, tokens: Tensor) -> Tensor:
        """Sum of the codebooks' vectors `(rows, new, width)` of `tokens` `(rows, codebooks, new)`.

        `scale_embedding` of the config changes nothing, as in transformers, which reads it and does not use it.
        """
        return F.embedding(tokens + self._offsets, self._embedding).sum(1)

    def step(
        self, tokens: Tensor, position: Tensor, vectors: Tensor, memory: Memory, reach: int, *, masked: bool
    ) -> Tensor:
        """Write `tokens` `(rows, codebooks, new)` into the memory; return the logits after the last of them.

        The rest is as in `read`.
        """
        return self.read(self.embedded(tokens), position, vectors, memory, reach, masked=masked)

    def read(self, x: Tensor, position: Tensor, vectors: Tensor, memory: Memory, reach: int, *, masked: bool) -> Tensor:
        """Write `x` into the memory; return the logits after the last of it.

        Shapes do not depend on values, and nothing is read back by the host, so that a step with a fixed `reach` can be
        captured as a graph.

        Args:
            x: `(rows, new, width)`, without positions; where the rows with text are given alone, those without it are
                the same.
            position: `(new,)` int64, where it stands: one place, or all from 0 on.
            vectors: `(length, width)` from `positions`.
            memory: Changed in place.
            reach: How much of the memory is looked at; at least the last position plus one.
            masked: Whether `reach` goes beyond what is written by now. For one new position only; of several each
                looks at those up to its own.

        Returns:
            `(rows, codebooks, codes)`.
        """
        rows, texts, new, width = memory.rows, memory.texts, x.shape[1], x.shape[2]
        placed = x.expand(rows // x.shape[0], *x.shape) + vectors.index_select(0, position)
        memory.unwritten.index_fill_(0, position, 0.0)
        mask = memory.unwritten[:reach].expand(rows, self.heads, 1, -1) if masked else None
        text_mask = memory.text_mask.expand(-1, -1, new, -1)
        x = placed.view(rows * new, width)
        told = x[: texts * new]
        pasts, seen = memory.past.unbind(), memory.past[..., :reach, :].unbind()
        for layer, past, (keys, values), text in zip(self._layers, pasts, seen, memory.text, strict=True):
            normed = F.layer_norm(x, (width,), *layer.self_norm)
            fused = linear(normed, layer.qkv).view(rows, new, 3, self.heads, -1)
            past.index_copy_(3, position, fused[:, :, 1:].permute(2, 0, 3, 1, 4))
            heard = attention(fused[:, :, 0].transpose(1, 2), keys, values, mask)
            add_linear(x, heard.transpose(1, 2).reshape(rows * new, width), layer.self_out)
            cross = layer.cross
            if cross is not None:
                normed = F.layer_norm(told, (width,), *cross.norm)
                query = linear(normed, cross.q).view(texts, new, self.heads, -1).transpose(1, 2)
                words = attention(query, text[0], text[1], text_mask)
                add_linear(told, words.transpose(1, 2).reshape(texts * new, width), cross.out)
            normed = F.layer_norm(x, (width,), *layer.final_norm)
            add_linear(x, self.activation(linear(normed, layer.fc1)), layer.fc2)
        last = F.layer_norm(x.view(rows, new, width)[:, -1], (width,), *self._final_norm)
        return linear(last, self._heads_out).view(rows, self.codebooks, -1)
