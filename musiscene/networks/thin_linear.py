"""Linear layers for one word at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_FEW_ROWS = 4


class ThinLinear(nn.Linear):
    """A linear layer that is quicker for two to four rows on a CPU; parameters and results are those of `nn.Linear`.

    Such a product only waits for the weights to arrive from memory. From the weights' side, W xᵀ, they are read once
    and in order; as x Wᵀ they are first copied into blocks, which costs a third more (`benchmarks/swinbert.py`).
    """

    def forward(self, input: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        rows = input.numel() // self.in_features
        if input.device.type != "cpu" or not 2 <= rows <= _FEW_ROWS or torch.is_grad_enabled():
            return super().forward(input)
        columns = input.reshape(rows, self.in_features).t()
        if self.bias is None:
            product = self.weight @ columns
        else:
            product = torch.addmm(self.bias[:, None], self.weight, columns)
        return product.t().reshape(*input.shape[:-1], self.out_features)


def make_thin(network: nn.Module) -> None:
    """Let every `nn.Linear` inside `network` be a `ThinLinear` with the same parameters, in place."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                thin = ThinLinear(child.in_features, child.out_features, child.bias is not None, device="meta")
                thin.weight, thin.bias = child.weight, child.bias
                thin.train(child.training)
                setattr(parent, name, thin)
