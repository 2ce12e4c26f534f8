"""Learning rate and parameter groups of the original's fine-tuning script."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from torch import nn

from train.tuning.config import Optimiser


def learning_rate(optimiser: Optimiser, epoch: float) -> float:
    """Linear warm-up, then half a cosine (masked-autoencoder schedule, He et al., 2021, as MU-LLaMA uses it).

    Args:
        optimiser: What was chosen.
        epoch: Passes done so far, with the fraction of the present one; the first step has the rate 0.
    """
    if epoch < optimiser.warmup_epochs:
        return optimiser.peak_lr * epoch / optimiser.warmup_epochs
    share = (epoch - optimiser.warmup_epochs) / max(optimiser.epochs - optimiser.warmup_epochs, 1e-9)
    return optimiser.min_lr + (optimiser.peak_lr - optimiser.min_lr) * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))


def parameter_groups(named: Iterable[tuple[str, nn.Parameter]], weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: vectors and biases do not decay, everything else does (gates, prefix and aggregator too)."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in named:
        (free if parameter.ndim <= 1 or name.endswith(".bias") else decayed).append(parameter)
    groups = ({"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]
