"""Linear layers whose matrices are stored narrow (bfloat16, float16 or 8 bits) and used on a CPU in float32.

A decoder's step on a CPU waits for its matrices to come from memory, so half the bytes are nearly half the time. What
is not a matrix (activations, norms, biases, keys and values) is small and stays in float32: processors without
arithmetic for half precision are slow at everything else in it, and rounding is then that of the matrices alone.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_BLOCK = 256
"""Outputs that are widened at a time: such a block of a large matrix stays in the processor's cache."""
_INT8_LARGEST = 127
_INT8_ROWS = 8
"""The operator reads the matrix again for every few rows; above this, widened blocks are quicker."""
_HALF_ROWS = 3
_INT8_PRODUCT = getattr(torch, "_weight_int8pack_mm", None)
"""Rows in bfloat16 times int8 with one scale for each output; what torch's own quantisation uses. May be absent."""


def computes_in_bfloat16() -> bool:
    """Whether this processor multiplies matrices of bfloat16 itself (AVX-512 BF16, AMX, Arm's BF16)."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(supported()) if supported is not None else False


class NarrowLinear(nn.Module):
    """`nn.Linear` for float32 inputs over a narrow matrix; inference on a CPU only.

    Args:
        weight: `(outputs, inputs)` in bfloat16, float16 or int8.
        scale: For int8: what one step of an output's weights means, `(outputs,)` bfloat16.
        bias: `(outputs,)` float32, or None.
    """

    weight: Tensor
    scale: Tensor | None
    bias: Tensor | None

    def __init__(self, weight: Tensor, scale: Tensor | None = None, bias: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.register_buffer("weight", weight.detach())
        self.register_buffer("scale", None if scale is None else scale.detach())
        self.register_buffer("bias", None if bias is None else bias.detach().float())
        self._native = weight.dtype == torch.bfloat16 and computes_in_bfloat16()

    def forward(self, input: Tensor) -> Tensor:
        """(..., inputs) float32 -> (..., outputs) float32."""
        rows = input.reshape(-1, self.in_features)
        y = self._few(rows) if self._takes(len(rows)) else self._many(rows)
        if self.bias is not None:
            y += self.bias
        return y.view(*input.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """Sizes and type, for `print`."""
        return f"{self.in_features}, {self.out_features}, {str(self.weight.dtype).removeprefix('torch.')}"

    def _takes(self, rows: int) -> bool:
        """Whether torch's own product is the quickest for so many rows."""
        if self.scale is None:
            return self._native or rows <= _HALF_ROWS
        return _INT8_PRODUCT is not None and rows <= _INT8_ROWS

    def _few(self, rows: Tensor) -> Tensor:
        if self.scale is None:
            return functional.linear(rows.to(self.weight.dtype), self.weight).float()
        assert _INT8_PRODUCT is not None
        return cast(Tensor, _INT8_PRODUCT(rows.to(self.scale.dtype), self.weight, self.scale)).float()

    def _many(self, rows: Tensor) -> Tensor:
        """Block by block in float32: the matrix is widened once and never stands in memory as a whole."""
        y = rows.new_empty(len(rows), self.out_features, dtype=torch.float32)
        block = torch.empty(_BLOCK, self.in_features, device=rows.device)
        for start in range(0, self.out_features, _BLOCK):
            narrow = self.weight[start : start + _BLOCK]
            wide = block[: len(narrow)].copy_(narrow)
            y[:, start : start + _BLOCK] = functional.linear(rows, wide)
        if self.scale is not None:
            y *= self.scale.float()
        return y


def narrowed(linear: nn.Linear, dtype: torch.dtype) -> NarrowLinear:
    """A linear layer with its matrix in `dtype`: bfloat16, float16, or int8 with one scale for each output."""
    weight, scale = linear.weight.detach(), None
    if dtype == torch.int8:
        weight, scale = quantised(weight)
    return NarrowLinear(weight.to(dtype), scale, linear.bias)


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a matrix to int8, symmetrically, with one scale for each output (row).

    The largest weight of a row becomes 127 or -127. The scale is rounded to bfloat16 first, so that its rounding costs
    nothing; and quantising what `widened` gives back changes nothing.

    Returns:
        The matrix as int8, and the scales, `(outputs,)` bfloat16.
    """
    numbers = torch.empty(weight.shape, dtype=torch.int8)
    scales = torch.empty(len(weight), dtype=torch.bfloat16)
    for start in range(0, len(weight), _BLOCK):  # a whole matrix of 7B in float32 would be 360 MB more
        rows = weight[start : start + _BLOCK].float()
        scale = (rows.abs().amax(dim=1) / _INT8_LARGEST).to(torch.bfloat16)
        scales[start : start + _BLOCK] = scale
        steps = rows / scale.float().clamp(min=torch.finfo(torch.float32).tiny)[:, None]
        numbers[start : start + _BLOCK] = steps.round_().clamp_(-_INT8_LARGEST, _INT8_LARGEST)
    return numbers, scales


def widened(numbers: Tensor, scales: Tensor) -> Tensor:
    """The float32 matrix that `quantised` made int8 of, as nearly as it is known."""
    return numbers.float() * scales.float()[:, None]
