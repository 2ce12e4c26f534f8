"""The network with a trainable set, its loss on the answers only, and ways in past what that set leaves constant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.model import IGNORED_LABEL, GatedAttention, MuLlama, trainable_names


class TrainedAttention(GatedAttention):
    """Gated attention that computes its music term itself, inside its own layer, where sharded weights are whole.

    `heard` is `(batch, prefix_layers, dim)`: the clip's vector plus each layer's prefix. `gated` is the same after the
    value matrix and the gates; while those are frozen it is constant.
    """

    def forward(
        self, *args: Any, heard: Tensor | None = None, gated: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """As the parent, plus this layer's music term at every position."""
        output, weights = super().forward(*args, **kwargs)
        if self.slot is None or (heard is None and gated is None):
            return output, weights
        value = self.value(heard[:, self.slot]) if gated is None else gated[:, self.slot]  # type: ignore[index]
        return output + self.project(value)[:, None, :].to(output.dtype), weights

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
        for layer in self._layers():
            layer.self_attn.__class__ = TrainedAttention
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
        labels: Tensor,
        pooled: Tensor | None = None,
        gated: Tensor | None = None,
        lower: Tensor | None = None,
    ) -> Tensor:
        """Mean cross-entropy of each item's answer, `(batch,)` float32.

        Rows are padded on the right; causal attention never looks there, so no mask is needed.

        Args:
            tokens: `(batch, length)`.
            labels: `(batch, length)`, not shifted; `IGNORED_LABEL` where nothing is to be learnt.
            pooled: What MERT heard, `(batch, states, mert_dim)`.
            gated: Instead of `pooled`, the constant gated values `(batch, prefix_layers, dim)`.
            lower: Instead of running them, the constant output of the layers that hear nothing,
                `(batch, length, dim)`.
        """
        llama = self.model.llama.model
        hidden = self.lower(tokens) if lower is None else lower
        heard = None if gated is not None or pooled is None else self.heard(pooled)
        hidden = self._run(hidden, self.first_heard, self.model.sizes.layers, heard=heard, gated=gated)
        targets = labels[:, 1:]
        counted = targets != IGNORED_LABEL
        logits = self.model.llama.lm_head(llama.norm(hidden[:, :-1][counted]))  # nothing is learnt elsewhere
        losses = functional.cross_entropy(logits.float(), targets[counted], reduction="none")
        rows = counted.nonzero()[:, 0]
        sums = torch.zeros(len(tokens), device=losses.device).index_add(0, rows, losses)
        return sums / counted.sum(1).clamp(min=1)

    def lower(self, tokens: Tensor) -> Tensor:
        """Output of the layers below the first that hears the music, `(batch, length, dim)`."""
        hidden = self.model.llama.model.embed_tokens(tokens)
        return self._run(hidden, 0, self.first_heard)

    def heard(self, pooled: Tensor) -> Tensor:
        """What each layer's prefix token is, `(batch, prefix_layers, dim)`, from MERT's time means."""
        return self.model.hear(pooled)[:, None, :] + self.model.prefix[None]

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

    def _run(self, hidden: Tensor, start: int, end: int, **music: Any) -> Tensor:
        llama = self.model.llama.model
        positions = torch.arange(hidden.shape[1], device=hidden.device)[None]
        rotary = llama.rotary_emb(hidden, position_ids=positions)
        for layer in self._layers()[start:end]:
            if self.checkpointing and torch.is_grad_enabled():
                hidden = checkpoint(
                    layer,
                    hidden,
                    attention_mask=None,
                    position_ids=positions,
                    position_embeddings=rotary,
                    use_reentrant=False,
                    **music,
                )
            else:
                hidden = layer(hidden, attention_mask=None, position_ids=positions, position_embeddings=rotary, **music)
        return hidden

    def _layers(self) -> list[Any]:
        return list(cast(Iterable[Any], self.model.llama.model.layers))


def _base(linear: nn.Module) -> nn.Linear:
    return cast(nn.Linear, linear.get_submodule("base_layer") if hasattr(linear, "base_layer") else linear)
