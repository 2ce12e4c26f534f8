"""Attention of a few queries over the memory, by the kernel that suits captured steps."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from musiscene.networks.placement import gpu_computes_in_bfloat16

ALIGNED = 8
"""Rows of a mask begin at multiples of so many numbers, or the fused kernel cannot read them; PyTorch would then copy
the mask at every call, in every layer."""


@functools.cache
def _has_kernel(dtype: torch.dtype) -> bool:
    """Whether this GPU runs the memory-efficient kernel: an NVIDIA one, and for bfloat16 one that computes in it."""
    if torch.version.hip is not None:
        return False
    older = torch.cuda.is_available() and not gpu_computes_in_bfloat16()
    return dtype != torch.bfloat16 or not older


def attention(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """What the queries take from the values.

    On CUDA this is the memory-efficient kernel always, which is asked for by name. Left to itself PyTorch takes
    cuDNN's on a Hopper GPU, which makes a plan for every new length of the memory (the eager step has another at every
    step), and flash attention, which knows no mask, for a text without padding. One kernel for all lengths takes
    strides as they come, so that nothing is copied, and needs nothing prepared while a graph is captured. It leaves a
    place whose mask is -inf out, as long as one before it was seen: the first place and the first word always are.

    Args:
        query: `(rows, heads, new, head_dim)`.
        keys, values: `(rows, heads, length, head_dim)`.
        mask: `(rows, heads, new, length)` additive, its rows `ALIGNED`. Without one a single query sees everything,
            and of several each sees the places up to its own.

    Returns:
        `(rows, heads, new, head_dim)`, whose transpose to `(rows, new, heads, head_dim)` is contiguous on CUDA.
    """
    causal = mask is None and query.shape[2] > 1
    if query.device.type == "cuda" and _has_kernel(query.dtype) and query.shape[-1] % ALIGNED == 0:
        seen: Tensor = torch.ops.aten._scaled_dot_product_efficient_attention(
            query, keys, values, mask, False, 0.0, causal
        )[0]
        return seen
    return F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, is_causal=causal)
