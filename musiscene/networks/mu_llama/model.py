"""MU-LLaMA for training and comparison: transformers' LLaMA, PEFT's LoRA, and the gated music term.

A single prefix token gets the whole attention weight of its own softmax, so the music enters a layer as one constant
vector per clip (`MuLlama.music_terms`). It is an ordinary argument of `forward`: safe with threads, beams and gradient
checkpointing. `decoder.Decoder` is the same network with everything merged, for generating quickly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.llama.modeling_llama import LlamaAttention

from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.adapter import KnnBlend, MusicAdapter
from musiscene.networks.mu_llama.checkpoint import Checkpoint
from musiscene.networks.mu_llama.sizes import Sizes

IGNORED_LABEL = 0
"""Label of positions that do not count (the original's choice; a genuine `<unk>` is therefore ignored too)."""


class GatedAttention(LlamaAttention):  # type: ignore[misc]  # mypy does not read transformers
    """Self-attention whose output also gets the clip's music term, at every position."""

    slot: int | None = None
    """Row of `music_terms` for this layer; None where no music is heard."""

    def forward(self, *args: Any, music_terms: Tensor | None = None, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """As the parent, plus `music_terms[:, slot]`; `music_terms` is `(batch, prefix_layers, dim)`."""
        output, weights = super().forward(*args, **kwargs)
        if music_terms is not None and self.slot is not None:
            output = output + music_terms[:, self.slot, None, :].to(output.dtype)
        return output, weights


class GatedLlama(LlamaForCausalLM):  # type: ignore[misc]  # mypy does not read transformers
    """LLaMA whose generation and forward know the argument `music_terms`."""

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        music_terms: Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """As the parent; `music_terms` is named because generation refuses arguments it cannot see."""
        return cast(
            CausalLMOutputWithPast,
            super().forward(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                inputs_embeds=inputs_embeds,
                labels=labels,
                use_cache=use_cache,
                logits_to_keep=logits_to_keep,
                music_terms=music_terms,
                **kwargs,
            ),
        )


def llama_config(sizes: Sizes) -> LlamaConfig:
    """Configuration of the base LLaMA in transformers' terms."""
    return LlamaConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.dim,
        intermediate_size=sizes.ffn_dim,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        rms_norm_eps=sizes.norm_eps,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": sizes.rope_theta},
        bos_token_id=1,
        eos_token_id=2,
    )


class MuLlama(nn.Module):
    """The whole network without MERT, with LoRA apart so that it can be trained.

    Build it under `torch.device("meta")` and fill it with `load`, or let it be random.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.music = MusicAdapter(sizes)
        self.prefix = nn.Parameter(torch.zeros(sizes.prefix_layers, sizes.dim))
        self.llama = GatedLlama(llama_config(sizes))
        for index, layer in enumerate(self._layers()):
            attention = layer.self_attn
            attention.__class__ = GatedAttention  # the same modules; only `forward` gets one more argument
            attention.gate = nn.Parameter(torch.zeros(1, sizes.heads, 1, 1))
            if index >= sizes.first_prefix_layer:
                attention.slot = index - sizes.first_prefix_layer
            if sizes.finetuned:
                for name in layout.BIASED:
                    linear = layer.get_submodule(layout.PROJECTIONS[name])
                    linear.bias = nn.Parameter(torch.zeros(linear.out_features))
        if sizes.finetuned:
            lora = LoraConfig(
                r=sizes.lora_rank,
                lora_alpha=sizes.lora_rank,
                lora_dropout=0.0,
                target_modules=[path.rpartition(".")[2] for path in layout.PROJECTIONS.values()],
            )
            inject_adapter_in_model(lora, self.llama)
        for parameter in self.parameters():
            parameter.requires_grad_(True)

    def load(self, checkpoint: Checkpoint, *, dtype: torch.dtype | None = None, device: str = "cpu") -> MuLlama:
        """Take all weights from `checkpoint`, converted to `dtype` (as stored when None)."""
        heads = self.sizes.heads
        weights: dict[str, Tensor] = {}
        for published, name in layout.module_names(self.sizes, with_base=True):
            inner = published.removeprefix("llama.")
            if published.startswith("llama.") and inner in checkpoint.base and not _is_norm(inner):
                tensor = checkpoint.base_tensor(inner)
            else:
                tensor = checkpoint.tensor(published)
                tensor = layout.to_halves(tensor, heads) if layout.is_rotated(published) else tensor
            weights[name] = tensor.to(device, dtype or tensor.dtype).contiguous()
        result = self.load_state_dict(weights, strict=False, assign=True)
        if result.missing_keys or result.unexpected_keys:  # the tables and the modules are both ours
            raise AssertionError(f"missing {result.missing_keys}, unexpected {result.unexpected_keys}")
        rotary = self.llama.model.rotary_emb
        self.llama.model.rotary_emb = type(rotary)(self.llama.config).to(device)  # its buffers are in no file
        return self

    def published(self, *, with_base: bool = False) -> dict[str, Tensor]:
        """The weights under their published names and row orders."""
        parameters = dict(self.named_parameters())
        state: dict[str, Tensor] = {}
        for published, name in layout.module_names(self.sizes, with_base=with_base):
            tensor = parameters[name].detach()
            state[published] = (
                layout.to_pairs(tensor, self.sizes.heads) if layout.is_rotated(published) else tensor
            ).contiguous()
        return state

    def hear(self, pooled: Tensor, blend: KnnBlend | None = None) -> Tensor:
        """The clip's vector, `(batch, dim)`, from time means of MERT's states `(batch, states, mert_dim)`."""
        vector: Tensor = self.music(pooled, blend)
        return vector

    def music_terms(self, heard: Tensor) -> Tensor:
        """What the music adds to the attention output of each layer that hears it, `(batch, prefix_layers, dim)`.

        With one prefix token its value `v = W_v (a + p)`, scaled per head by `tanh(gate)`, is added before the output
        projection; v knows nothing of LoRA, the projection does, and the projection's bias is added only once.
        """
        terms = []
        for layer, prefix in zip(list(self._layers())[self.sizes.first_prefix_layer :], self.prefix, strict=True):
            attention = layer.self_attn
            value = functional.linear(heard + prefix, _base(attention.v_proj).weight)
            gate = torch.tanh(attention.gate.to(value.dtype)).view(1, -1, 1)
            gated = (value.view(len(value), self.sizes.heads, -1) * gate).flatten(1)
            term = functional.linear(gated, _base(attention.o_proj).weight)
            if self.sizes.finetuned:
                term = term + attention.o_proj.lora_B["default"](attention.o_proj.lora_A["default"](gated))
            terms.append(term)
        return torch.stack(terms, dim=1)

    def forward(
        self, input_ids: Tensor, pooled: Tensor | None = None, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> Tensor:
        """Logits `(batch, length, vocabulary)` of tokens `(batch, length)` given each row's music."""
        terms = None if pooled is None else self.music_terms(self.hear(pooled))
        output = self.llama(input_ids=input_ids, attention_mask=attention_mask, music_terms=terms, **kwargs)
        return cast(Tensor, output.logits)

    def _layers(self) -> Iterator[Any]:
        return iter(self.llama.model.layers)


def answer_loss(logits: Tensor, labels: Tensor, *, per_item: bool = False) -> Tensor:
    """Cross-entropy of each position against the next label; `IGNORED_LABEL` does not count.

    Args:
        logits: `(batch, length, vocabulary)`.
        labels: `(batch, length)`, not yet shifted.
        per_item: Average each row's own mean, as an effective batch of micro-batches of one does; else over all tokens.

    Returns:
        The mean, or `(batch,)` of row means.
    """
    targets = labels[:, 1:]
    losses = functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), targets, ignore_index=IGNORED_LABEL, reduction="none"
    )
    counted = targets != IGNORED_LABEL
    if per_item:
        return losses.sum(1) / counted.sum(1).clamp(min=1)
    return losses.sum() / counted.sum().clamp(min=1)


def trainable_names(sizes: Sizes, which: str) -> set[str]:
    """Published names of what is trained: "adapter" (music, prefix, gates), "lora" (LoRA, biases, norms) or "both".

    Raises:
        ValueError: Another word.
    """
    sets = {"adapter": set(layout.music_shapes(sizes)), "lora": set(layout.tuning_shapes(sizes))}
    sets["both"] = sets["adapter"] | sets["lora"]
    if which not in sets:
        raise ValueError(f"There is no trainable set {which!r}: choose adapter, lora or both.")
    return sets[which]


def _base(linear: nn.Module) -> nn.Linear:
    return cast(nn.Linear, linear.get_submodule("base_layer") if hasattr(linear, "base_layer") else linear)


def _is_norm(inner: str) -> bool:
    return inner == "norm.weight" or inner.endswith("_norm.weight")
