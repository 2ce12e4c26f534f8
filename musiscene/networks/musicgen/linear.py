"""Linear layers of the step, whose weights may be kept in eight bits, or in the processor's own order."""

from __future__ import annotations

import warnings
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from musiscene.networks.packed_linear import product

_ENGINES = ("x86", "fbgemm", "qnnpack")


class Int8Weight:
    """A weight in eight bits, one scale for each output; what goes in is quantised as it comes.

    Each row of the input is brought to a largest value of 1 first, and a row that reaches from -1 to 1 goes along. So
    the scale that the library finds for the whole batch is the same whatever rows are in it, and a row's result does
    not depend on the others.

    Args:
        weight: `(out, in)` float.

    Raises:
        RuntimeError: This build of PyTorch has no integer kernels for the processor.
    """

    def __init__(self, weight: Tensor) -> None:
        if int8_engine() is None:
            raise RuntimeError("this PyTorch has no integer kernels")
        weight = weight.detach().float().cpu()
        scales = (weight.abs().amax(1) / 127).clamp_min(1e-12).double()
        zeros = torch.zeros(weight.shape[0], dtype=torch.int64)
        with warnings.catch_warnings():  # announced to go from a PyTorch beyond the versions that we accept
            warnings.simplefilter("ignore", UserWarning)
            quantised = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        self.out_features, self.in_features = weight.shape
        self._packed: Any = torch.ops.quantized.linear_prepack(quantised, None)

    def __call__(self, x: Tensor) -> Tensor:
        """`x` `(..., in)` times the weight, `(..., out)` float32."""
        rows = x.reshape(-1, self.in_features).float()
        largest = rows.abs().amax(1, keepdim=True).clamp_min(1e-12)
        span = rows.new_zeros(1, self.in_features)
        span[0, 0], span[0, 1] = 1.0, -1.0
        # Seven bits for what goes in: with eight, processors without VNNI add up two products past 16 bits.
        y: Tensor = torch.ops.quantized.linear_dynamic(torch.cat([rows / largest, span]), self._packed, True)
        return (y[:-1] * largest).view(*x.shape[:-1], self.out_features)


class PackedWeight:
    """A float32 weight in the processor's own order, instead of the plain one.

    Args:
        packed: What `packed_linear.arranged` gave.
    """

    def __init__(self, packed: Tensor) -> None:
        self._packed = packed

    def __call__(self, x: Tensor) -> Tensor:
        """`x` `(..., in)` times the weight, `(..., out)`."""
        return product(x, self._packed)


Weight: TypeAlias = Tensor | Int8Weight | PackedWeight


def linear(x: Tensor, weight: Weight) -> Tensor:
    """`x` `(..., in)` through a layer without bias."""
    return F.linear(x, weight) if isinstance(weight, Tensor) else weight(x)


def add_linear(x: Tensor, y: Tensor, weight: Weight) -> None:
    """Add `y` `(rows, in)`, through a layer without bias, to `x` `(rows, out)` in place: on a GPU it is one kernel."""
    if isinstance(weight, Tensor):
        x.addmm_(y, weight.t())
    else:
        x.add_(weight(y))


def int8_engine() -> str | None:
    """The integer kernels that PyTorch uses on this processor; None when it has none."""
    engine = str(torch.backends.quantized.engine)
    return engine if engine in _ENGINES else None
