"""Linear layers for a few rows at a time on a CPU, which is what a decoder asks for with every word."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_MOST_ROWS = 64
_ROWS_HINT = 8
_OPERATIONS: Any = torch.ops.mkldnn if torch.backends.mkldnn.is_available() else None  # type: ignore[no-untyped-call]
# What torch's own compiler uses for frozen weights; a build without them keeps the plain product.
_CAN_PACK = hasattr(_OPERATIONS, "_reorder_linear_weight") and hasattr(_OPERATIONS, "_linear_pointwise")


def arranged(weight: Tensor) -> Tensor | None:
    """A float32 weight `(outputs, inputs)` in the processor's own order, for `product`; None where that cannot be."""
    if not _CAN_PACK or weight.device.type != "cpu" or weight.dtype != torch.float32:
        return None
    with torch.inference_mode():
        packed: Tensor = _OPERATIONS._reorder_linear_weight(weight.detach().contiguous(), _ROWS_HINT)
    return packed


def product(rows: Tensor, packed: Tensor, bias: Tensor | None = None) -> Tensor:
    """`rows` `(..., inputs)` float32 through an `arranged` weight, `(..., outputs)`."""
    return cast(Tensor, _OPERATIONS._linear_pointwise(rows, packed, bias, "none", [], ""))


class PackedLinear(nn.Linear):
    """A linear layer with a second copy of its weight in the processor's own order; parameters are `nn.Linear`'s.

    A product of few rows only waits for the weights to come from memory. The general routine rearranges them into
    blocks first, every time; arranged once, two rows take two thirds of the time and eight rows less than half. One
    row gains where two threads share a core, of which the general routine uses one; many rows gain nothing.
    """

    def __init__(self, plain: nn.Linear, packed: Tensor) -> None:
        super().__init__(plain.in_features, plain.out_features, plain.bias is not None, device="meta")
        self.weight, self.bias = plain.weight, plain.bias
        self.train(plain.training)
        self.__dict__["packed"] = packed  # not a parameter: it is neither saved nor moved

    def forward(self, input: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        rows = input.numel() // self.in_features
        if not 1 <= rows <= _MOST_ROWS or torch.is_grad_enabled() or input.dtype != torch.float32:
            return functional.linear(input, self.weight, self.bias)
        packed: Tensor = self.__dict__["packed"]
        return product(input, packed, None if self.bias is None else self.bias.detach())


def pack(network: nn.Module) -> int:
    """Give every `nn.Linear` inside `network` a packed copy, in place, for inference on a CPU in float32.

    Returns the bytes that the copies take; 0 elsewhere than on a CPU in float32, where nothing changes.
    """
    taken = 0
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if not isinstance(child, nn.Linear) or type(child) is not nn.Linear:  # a subclass computes otherwise
                continue
            packed = arranged(child.weight)
            if packed is not None:
                setattr(parent, name, PackedLinear(child, packed))
                taken += child.weight.nbytes
    return taken
