"""The network with a trainable set, its loss on the answers only, and ways in past what that set leaves constant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm

from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.model import GatedAttention, MuLlama, trainable_names
from train.tuning.packing import Group, Packing, causal_attention, rotated


class TrainedNorm(LlamaRMSNorm):  # type: ignore[misc]  # mypy does not read transformers
    """The same norm in one kernel instead of eight, whatever autocast would rather have."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """See the parent; float32 inside."""
        with torch.autocast(hidden_states.device.type, enabled=False):
            weight = self.weight.to(hidden_states.dtype)
            return functional.rms_norm(hidden_states, weight.shape, weight, self.variance_epsilon)


class MusicNorm(nn.RMSNorm):
    """The music adapter's norm, in the type of its weight: bfloat16 and a trained float32 weight have no kernel."""

    def forward(self, x: Tensor) -> Tensor:
        """See the parent."""
        return super().forward(x.to(self.weight.dtype))


class TrainedAttention(GatedAttention):
    """Gated attention over packed items, which computes what the music adds itself, where sharded weights are whole."""

    def forward(self, *args: Any, packing: Packing | None = None, **kwargs: Any) -> Any:
        """Of packed `(total, dim)` what the text alone gives, without music; else as the parent, for generation."""
        if packing is None:
            return super().forward(*args, **kwargs)
        (hidden,) = args
        shape = (len(hidden), -1, self.head_dim)
        query, key, value = (product(hidden).view(shape) for product in (self.q_proj, self.k_proj, self.v_proj))
        query, key = (rotated(part, packing.rotary).to(value.dtype) for part in (query, key))
        heard = causal_attention(query, key, value, packing.groups)
        return self.o_proj(heard)

    def value(self, heard: Tensor) -> Tensor:
        """The prefix token's gated value, `(batch, dim)`: base matrix only, no LoRA; tanh gate per head."""
        value = functional.linear(heard, _base(self.v_proj).weight)
        gate = torch.tanh(cast(Tensor, self.gate)).to(value.dtype).view(1, -1, 1)
        return (value.view(len(value), gate.shape[1], -1) * gate).flatten(1)

    def project(self, value: Tensor) -> Tensor:
        """The output projection with its LoRA and without its bias, which is added once already."""
        projection: Any = self.o_proj
        term = functional.linear(value, _base(projection).weight)
        if hasattr(projection, "lora_A"):
            term = term + projection.lora_B["default"](projection.lora_A["default"](value))
        return term


class TrainedLayer(LlamaDecoderLayer):  # type: ignore[misc]  # mypy does not read transformers
    """A layer over packed items that can be entered behind its attention, and can end with some tokens only."""

    def forward(self, hidden_states: Tensor, *args: Any, packing: Packing | None = None, **kwargs: Any) -> Tensor:
        """As the parent, for generation; or with a packing, see `_packed`."""
        if packing is None:
            unpacked: Tensor = super().forward(hidden_states, *args, **kwargs)
            return unpacked
        return self._packed(hidden_states, packing, **kwargs)

    def _packed(
        self,
        hidden: Tensor,
        packing: Packing,
        *,
        attend: bool = True,
        hear: bool = True,
        heard: Tensor | None = None,
        gated: Tensor | None = None,
        kept: Tensor | None = None,
    ) -> Tensor:
        """Attention to the text, then what the music adds, then the feed-forward part.

        Args:
            hidden: `(total, dim)`.
            packing: What belongs together.
            attend: Begin with the attention; else `hidden` is what it left.
            hear: Go on behind the attention.
            heard: The clip's vector plus each layer's prefix, `(items, prefix_layers, dim)`.
            gated: The same after the value matrix and the gates; constant while those are frozen.
            kept: Tokens that anything is wanted of afterwards; all when None.
        """
        attention: TrainedAttention = self.self_attn
        if attend:
            hidden = hidden + attention(self.input_layernorm(hidden), packing=packing)
        if not hear:
            return hidden
        slot = attention.slot
        if slot is not None and (heard is not None or gated is not None):
            value = attention.value(cast(Tensor, heard).select(1, slot)) if gated is None else gated.select(1, slot)
            term = packing.belongs @ attention.project(value).to(packing.belongs.dtype)
            hidden = hidden + term.to(hidden.dtype)
        if kept is not None:
            hidden = hidden.index_select(0, kept)
        update: Tensor = self.mlp(self.post_attention_layernorm(hidden))
        return hidden + update


class Trainee(nn.Module):
    """MU-LLaMA with a trainable set; its forward is the loss of each item.

    Args:
        model: The loaded network.
        which: "adapter", "lora" or "both".
        checkpointing: Recompute each layer in the backward pass.
    """

    def __init__(self, model: MuLlama, which: str, *, checkpointing: bool = False) -> None:
        super().__init__()
        self.model, self.which, self.checkpointing = model, which, checkpointing
        for layer in self._layers():  # the same modules and weights; only `forward` differs
            layer.__class__, layer.self_attn.__class__ = TrainedLayer, TrainedAttention
        for module in model.modules():
            if isinstance(module, LlamaRMSNorm):
                module.__class__ = TrainedNorm
            elif isinstance(module, nn.RMSNorm):
                module.__class__ = MusicNorm
        if which == "adapter" and model.sizes.finetuned:
            self._add_lora_to_matrices()
        wanted = set(self.trained_names().values())
        for name, parameter in model.named_parameters():
            trained = name in wanted
            parameter.requires_grad_(trained)
            if trained:
                # a copy: what was read may be mapped from the file, and others may read it too
                parameter.data = parameter.data.float().clone()

    @property
    def first_heard(self) -> int:
        """Index of the first layer that hears the music."""
        return self.model.sizes.first_prefix_layer

    def trained_names(self) -> dict[str, str]:
        """Published name -> parameter name in the network of all that is trained.

        Gates of layers that hear no music belong to the set but change nothing and get no gradient: they are left out.
        """
        wanted = trainable_names(self.model.sizes, self.which)
        silent = {f"llama.layers.{layer}.attention.gate" for layer in range(self.first_heard)}
        return {
            published: name
            for published, name in layout.module_names(self.model.sizes, with_base=False)
            if published in wanted - silent
        }

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        owners: Tensor,
        learnt: Tensor,
        targets: Tensor,
        groups: Sequence[Group],
        items: int,
        pooled: Tensor | None = None,
        gated: Tensor | None = None,
        lower: Tensor | None = None,
    ) -> Tensor:
        """Mean cross-entropy of each item's answer, `(items,)` float32. `packing.pack` makes all but what is heard.

        Args:
            tokens: All items' tokens, `(total,)`.
            positions: Of each token in its item.
            owners: The item of each token.
            learnt: Indices of the tokens whose next one is to be learnt.
            targets: These next ones.
            groups: What attends together.
            items: Number of items.
            pooled: What MERT heard, `(items, states, mert_dim)`.
            gated: Instead of `pooled`, the constant gated values `(items, prefix_layers, dim)`.
            lower: What `lower` gives, where it is constant: `(total, dim)`.
        """
        embedded = self.model.llama.model.embed_tokens(tokens) if lower is None else lower
        packing = self._packing(embedded, positions, owners, groups, items)
        hidden = self._lower(embedded, packing) if lower is None else lower
        heard = None if gated is not None or pooled is None else self.heard(pooled)
        layers = self.model.sizes.layers
        for index in range(self.first_heard, layers):
            hidden = self._layer(
                index,
                hidden,
                packing,
                attend=index > self.first_heard,
                heard=heard,
                gated=gated,
                kept=learnt if index + 1 == layers else None,  # nothing is learnt from the others
            )
        logits = self.model.llama.lm_head(self.model.llama.model.norm(hidden))
        losses = functional.cross_entropy(logits.float(), targets, reduction="none")
        counted = owners.index_select(0, learnt) == torch.arange(items, device=owners.device).unsqueeze(1)
        return torch.where(counted, losses, 0.0).sum(1) / counted.sum(1).clamp(min=1)

    def lower(self, tokens: Tensor, positions: Tensor, owners: Tensor, groups: Sequence[Group], items: int) -> Tensor:
        """All that comes before the music is first heard, `(total, dim)`: the attention of the first layer that hears
        it included.
        """
        embedded = self.model.llama.model.embed_tokens(tokens)
        return self._lower(embedded, self._packing(embedded, positions, owners, groups, items))

    def heard(self, pooled: Tensor) -> Tensor:
        """What each layer's prefix token is, `(batch, prefix_layers, dim)`, from MERT's time means."""
        return self.model.hear(pooled).unsqueeze(1) + self.model.prefix

    def gated(self, pooled: Tensor) -> Tensor:
        """The gated values of all layers that hear, `(batch, prefix_layers, dim)`."""
        heard = self.heard(pooled)
        layers = self._layers()[self.first_heard :]
        return torch.stack([layer.self_attn.value(heard[:, slot]) for slot, layer in enumerate(layers)], dim=1)

    def terms(self, pooled: Tensor) -> Tensor:
        """What is added to the attention's output of each layer that hears, for generation."""
        gated = self.gated(pooled)
        layers = self._layers()[self.first_heard :]
        return torch.stack([layer.self_attn.project(gated[:, slot]) for slot, layer in enumerate(layers)], dim=1)

    @torch.no_grad()
    def _add_lora_to_matrices(self) -> None:
        """Where LoRA is constant, one product with `W + BA` does the work of three, as in generation.

        The value matrices of layers that hear the music stay apart: the music passes the base's alone.
        """
        for index, layer in enumerate(self._layers()):
            for path in layout.PROJECTIONS.values():
                if path.endswith("v_proj") and index >= self.first_heard:
                    continue
                parent, _, name = path.rpartition(".")
                wrapped = layer.get_submodule(path)
                delta = wrapped.lora_B["default"].weight.float() @ wrapped.lora_A["default"].weight.float()
                base = wrapped.base_layer
                base.weight = nn.Parameter((base.weight.float() + delta).to(base.weight.dtype))
                setattr(layer.get_submodule(parent), name, base)

    def _packing(
        self, hidden: Tensor, positions: Tensor, owners: Tensor, groups: Sequence[Group], items: int
    ) -> Packing:
        angles = positions.unsqueeze(1) * self.model.llama.model.rotary_emb.inv_freq.float()
        rotary = (angles.cos().unsqueeze(1).to(hidden.dtype), angles.sin().unsqueeze(1).to(hidden.dtype))
        belongs = owners.unsqueeze(1) == torch.arange(items, device=owners.device)
        return Packing(groups, rotary, belongs.to(hidden.dtype))

    def _lower(self, hidden: Tensor, packing: Packing) -> Tensor:
        for index in range(self.first_heard + 1):
            hidden = self._layer(index, hidden, packing, hear=index < self.first_heard)
        return hidden

    def _layer(self, index: int, hidden: Tensor, packing: Packing, **how: Any) -> Tensor:
        layer = self._layers()[index]
        if self.checkpointing and torch.is_grad_enabled():
            return cast(Tensor, checkpoint(layer, hidden, packing=packing, use_reentrant=False, **how))
        return cast(Tensor, layer(hidden, packing=packing, **how))

    def _layers(self) -> list[Any]:
        return list(cast(Iterable[Any], self.model.llama.model.layers))


def _base(linear: nn.Module) -> nn.Linear:
    return cast(nn.Linear, linear.get_submodule("base_layer") if hasattr(linear, "base_layer") else linear)
