"""Where a network runs and in which precision: decided here, once, with the reason."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch

from musiscene.errors import ConfigError

_log = logging.getLogger(__name__)

_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Placement:
    """A device and a number type.

    Attributes:
        device: As torch names it: "cpu", "cuda", "mps".
        dtype: What is computed in.
        reason: Why, in a few words.
    """

    device: str
    dtype: torch.dtype
    reason: str

    @property
    def precision(self) -> str:
        """Name of the number type."""
        return str(self.dtype).removeprefix("torch.")


def place(device: str = "auto", precision: str = "auto", *, exact: bool = False) -> Placement:
    """Choose device and precision.

    Args:
        device: "auto", or what torch calls it.
        precision: "auto", "float32", "bfloat16" or "float16".
        exact: With "auto" keep float32 also where half precision would be faster.

    Raises:
        ConfigError: The device is not on this machine, or a name is unknown.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        reason = f"{device} is the fastest device here"
    else:
        reason = f"{device} was asked for"
        if not _is_here(device):
            raise ConfigError(f"There is no device {device!r} on this machine. Leave it at auto, or name cpu.")
    if precision == "auto":
        half = device.startswith("cuda") and gpu_computes_in_bfloat16() and not exact
        dtype = torch.bfloat16 if half else torch.float32
    elif precision in _PRECISIONS:
        dtype = _PRECISIONS[precision]
    else:
        raise ConfigError(f"{precision!r} is no precision: choose auto, {', '.join(_PRECISIONS)}.")
    chosen = Placement(device, dtype, reason)
    _log.info("%s in %s", reason, chosen.precision)
    return chosen


def gpu_computes_in_bfloat16() -> bool:
    """Whether the CUDA device does; older ones store it and compute in float32, without the fused kernels."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def _is_here(device: str) -> bool:
    kind, _, number = device.partition(":")
    if kind == "cuda":
        return torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count()
    return kind == "cpu" or (kind == "mps" and torch.backends.mps.is_available())
