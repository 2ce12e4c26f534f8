"""MU-LLaMA's original scheme of inference, written plainly from its description: the yardstick, not a backend.

Meta's pairwise rotation with complex numbers, LoRA as separate products, and the gated prefix computed again for every
token and layer. One clip at a time. Rotations and the attention's softmax are in float32 whatever the weights are in.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from musiscene.networks.mu_llama.sizes import Sizes


class PlainMuLlama:
    """The network over tensors under their published names, with a key/value cache."""

    def __init__(
        self,
        sizes: Sizes,
        adapter: Mapping[str, Tensor],
        base: Mapping[str, Tensor],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.sizes, self.dtype = sizes, dtype
        tensors = {f"llama.{name}": tensor for name, tensor in base.items()} | dict(adapter)
        self.weights = {name: tensor.to(dtype) for name, tensor in tensors.items()}

    @property
    def bytes_per_token(self) -> int:
        """Bytes of weights that one token reads: all but the embedding, and the value matrices for the music again."""
        again = range(self.sizes.first_prefix_layer, self.sizes.layers)
        read = [w for name, w in self.weights.items() if name.startswith("llama.") and "tok_embeddings" not in name]
        read += [self.weights[f"llama.layers.{layer}.attention.wv.weight"] for layer in again]
        return sum(w.nbytes for w in read)

    @torch.inference_mode()
    def hear(self, pooled: Tensor) -> Tensor:
        """The clip's vector, `(1, dim)`, from `(1, states, mert_dim)`."""
        w = self.weights
        x = functional.conv1d(pooled.to(self.dtype), w["mu_mert_agg.weight"], w["mu_mert_agg.bias"])[:, 0]
        x = functional.normalize(x, dim=-1) / (1 + 1e-6)
        x = functional.linear(x, w["mu_mert_proj.weight"], w["mu_mert_proj.bias"])
        for i in range(1, self.sizes.adapter_blocks + 1):
            n = _norm(x, w[f"mu_mert_norm_{i}.weight"], 1e-6)
            gate = functional.silu(functional.linear(n, w[f"mu_mert_f1_{i}.weight"]))
            x = x + functional.linear(
                gate * functional.linear(n, w[f"mu_mert_f3_{i}.weight"]), w[f"mu_mert_f2_{i}.weight"]
            )
        return x

    @torch.inference_mode()
    def greedy(self, prompt: list[int], heard: Tensor | None, count: int, eos: int | None = 2) -> list[int]:
        """The likeliest `count` tokens after `prompt`."""
        total = len(prompt) + count
        half = self.sizes.head_dim // 2
        frequencies = self.sizes.rope_theta ** (-torch.arange(half).float() * 2 / self.sizes.head_dim)
        angles = torch.outer(torch.arange(total).float(), frequencies)
        self._turns = torch.polar(torch.ones_like(angles), angles)
        shape = (self.sizes.layers, total, self.sizes.heads, self.sizes.head_dim)
        self._keys, self._values = torch.zeros(shape, dtype=self.dtype), torch.zeros(shape, dtype=self.dtype)
        tokens, start, answer = torch.tensor(prompt), 0, []
        for _ in range(count):
            chosen = int(self._forward(tokens, start, heard).argmax())
            if chosen == eos:
                break
            answer.append(chosen)
            start += len(tokens)
            tokens = torch.tensor([chosen])
        return answer

    def _forward(self, tokens: Tensor, start: int, heard: Tensor | None) -> Tensor:
        w, sizes = self.weights, self.sizes
        x = w["llama.tok_embeddings.weight"][tokens]
        for layer in range(sizes.layers):
            name = f"llama.layers.{layer}"
            normed = _norm(x, w[f"{name}.attention_norm.weight"], sizes.norm_eps)
            x = x + self._attention(layer, normed, start, heard)
            normed = _norm(x, w[f"{name}.ffn_norm.weight"], sizes.norm_eps)
            gate = functional.silu(self._linear(f"{name}.feed_forward", "w1", normed))
            x = x + self._linear(
                f"{name}.feed_forward", "w2", gate * self._linear(f"{name}.feed_forward", "w3", normed)
            )
        last = _norm(x[-1], w["llama.norm.weight"], sizes.norm_eps)
        return functional.linear(last, w["llama.output.weight"])

    def _attention(self, layer: int, x: Tensor, start: int, heard: Tensor | None) -> Tensor:
        sizes, name = self.sizes, f"llama.layers.{layer}.attention"
        length = len(x)
        query, key, value = (self._linear(name, m, x).view(length, sizes.heads, -1) for m in ("wq", "wk", "wv"))
        turns = self._turns[start : start + length, None]
        end = start + length
        self._keys[layer, start:end] = _turn(key, turns)
        self._values[layer, start:end] = value
        keys, values = self._keys[layer, :end], self._values[layer, :end]
        scores = torch.einsum("qhd,khd->hqk", _turn(query, turns), keys) / sizes.head_dim**0.5
        hidden = torch.arange(end)[None] > torch.arange(start, end)[:, None]
        scores = scores.masked_fill(hidden, float("-inf")).float().softmax(dim=-1).to(self.dtype)
        output = torch.einsum("hqk,khd->qhd", scores, values)
        if heard is not None and layer >= sizes.first_prefix_layer:
            prefix = self.weights["prefix_query.weight"][layer - sizes.first_prefix_layer]
            music = functional.linear(heard + prefix, self.weights[f"{name}.wv.weight"]).view(1, sizes.heads, -1)
            output = output + torch.tanh(self.weights[f"{name}.gate"].view(1, -1, 1)) * music
        return self._linear(name, "wo", output.reshape(length, -1))

    def _linear(self, block: str, matrix: str, x: Tensor) -> Tensor:
        w = self.weights
        y = functional.linear(x, w[f"{block}.{matrix}.weight"], w.get(f"{block}.{matrix}.bias"))
        into = w.get(f"{block}.lora_{matrix}_l1.weight")
        if into is None:
            return y
        return y + functional.linear(functional.linear(x, into), w[f"{block}.lora_{matrix}_l2.weight"])


def _norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + eps) * weight


def _turn(x: Tensor, turns: Tensor) -> Tensor:
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)
