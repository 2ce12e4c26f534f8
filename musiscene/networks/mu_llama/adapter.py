"""The music adapter: time-averaged MERT states of a clip -> one vector in LLaMA's space."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from musiscene.networks.mu_llama.sizes import Sizes

NORM_EPS = 1e-6
"""Of the adapter's own norms, whatever LLaMA's is."""
UNIT_EPS = 1e-12
INPUT_WEIGHT = 1.0 / (1.0 + 1e-6)
"""The original divides each input's weight by the sum of all weights plus 1e-6; there is one input."""


class GatedBlock(nn.Module):
    """A residual SwiGLU block behind a root-mean-square norm. `norm`, `f1`, `f2`, `f3` are its published names."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(dim, eps=NORM_EPS)
        self.f1 = nn.Linear(dim, hidden, bias=False)
        self.f2 = nn.Linear(hidden, dim, bias=False)
        self.f3 = nn.Linear(dim, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, dim)` to `(batch, dim)`."""
        normed = self.norm(x)
        update: Tensor = self.f2(functional.silu(self.f1(normed)) * self.f3(normed))
        return x + update


class MusicAdapter(nn.Module):
    """Weighted sum of MERT's states, unit norm, projection and three gated blocks (MU-LLaMA, 2023, section 3)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.agg = nn.Conv1d(sizes.mert_states, 1, 1)
        self.proj = nn.Linear(sizes.mert_dim, sizes.dim)
        self.blocks = nn.ModuleDict(
            {str(i): GatedBlock(sizes.dim, sizes.adapter_dim) for i in range(1, sizes.adapter_blocks + 1)}
        )

    def aggregate(self, pooled: Tensor) -> Tensor:
        """Weighted sum over the layers; the weights are learned and not normalised.

        Args:
            pooled: Time means of MERT's hidden states, `(batch, states, mert_dim)`.

        Returns:
            `(batch, mert_dim)`.
        """
        summed: Tensor = self.agg(pooled)
        return summed.squeeze(1)

    def forward(self, pooled: Tensor, blend: KnnBlend | None = None) -> Tensor:
        """Map time means `(batch, states, mert_dim)` to one vector per clip, `(batch, dim)`."""
        x: Tensor = functional.normalize(self.aggregate(pooled), dim=-1, eps=UNIT_EPS) * INPUT_WEIGHT
        if blend is not None:
            x = blend(x)
        x = self.proj(x)
        for block in self.blocks.values():
            x = block(x)
        return x


class KnnBlend:
    """Blends a clip's vector with its nearest neighbours among prototypes (the original's `cache_*` options).

    The original uses faiss and a public index of ImageBind vectors, which have nothing to do with MERT's space; its
    single-clip scripts use weight 0, where only a renormalisation is left. Brute force is as quick for any index that
    fits in memory, and unlike the original this works row by row in a batch.

    Args:
        prototypes: Unit vectors, `(count, mert_dim)`; not needed for weight 0.
        size: Number of neighbours (`cache_size`).
        sharpness: Factor on the similarities before the softmax (`cache_t`).
        weight: Share of the neighbours (`cache_weight`).
    """

    def __init__(
        self, prototypes: Tensor | None = None, *, size: int = 100, sharpness: float = 20.0, weight: float = 0.0
    ) -> None:
        if weight and prototypes is None:
            raise ValueError("Blending with a weight above 0 needs prototypes.")
        self.prototypes, self.size, self.sharpness, self.weight = prototypes, size, sharpness, weight

    def __call__(self, x: Tensor) -> Tensor:
        """Blend unit vectors `(batch, mert_dim)`."""
        if self.weight and self.prototypes is not None:
            prototypes = self.prototypes.to(x)
            nearest = (x @ prototypes.T).topk(min(self.size, len(prototypes)), dim=-1)
            share = torch.softmax(nearest.values * self.sharpness, dim=-1)
            mean = functional.normalize(torch.einsum("bk,bkd->bd", share, prototypes[nearest.indices]), dim=-1)
            x = (1.0 - self.weight) * x + self.weight * mean
        return functional.normalize(x, dim=-1)
