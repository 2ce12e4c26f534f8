"""How much memory a MU-LLaMA takes, before any of it is read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.sizes import Sizes

_WORKING = 0.06
"""Share on top for activations, the largest matrix while it is merged, and the allocator."""
_MERT_PEAK_BYTES = 3.2e9
"""MERT 330M in float32 listening to 60 s: 1.3 GB of weights, the rest activations."""
_MERT_FULL_DIM = 1024
_WIDE = 4.0
"""Bytes of a number in float32, which a CPU computes in whatever its matrices are stored as."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes by what they are for."""

    llama: float
    music: float
    mert: float
    cache: float
    tuning: float

    @property
    def total(self) -> float:
        """All of it, with some room to work."""
        return (self.llama + self.music + self.mert + self.cache + self.tuning) * (1 + _WORKING)


def memory_need(
    sizes: Sizes,
    dtype: torch.dtype,
    *,
    bits: int = 0,
    device: str = "cuda",
    rows: int = 4,
    tokens: int = 640,
    scene_music: bool = False,
    scene_tuning: bool = False,
) -> Need:
    """Bytes that loading and answering take.

    Args:
        sizes: Of the network.
        dtype: Type of weights; of the cache too, except on a CPU.
        bits: 8 or 4 when LLaMA's layers are quantised; 0 when not.
        device: Where it runs.
        rows: Questions answered at once.
        tokens: Prompt and answer of each.
        scene_music: A second music adapter is loaded.
        scene_tuning: A second LoRA is loaded, as the difference of two.
    """
    width = dtype.itemsize
    narrow = device == "cpu" and bits != 4
    working = _WIDE if narrow else width
    base = layout.base_shapes(sizes)
    linear = sum(prod(shape) for name, shape in base.items() if name.startswith("layers.") and len(shape) == 2)
    others = sum(prod(shape) for shape in base.values()) - linear
    music = sum(prod(shape) for shape in layout.music_shapes(sizes).values())
    tuning = sum(prod(shape) for shape in layout.tuning_shapes(sizes).values())
    # 4-bit blocks of 64 carry a float32 scale each; 8 bits a scale for each output, those of bitsandbytes outliers too.
    per_weight = {0: float(width), 8: 1.001 if narrow else 1.03, 4: 0.5 + 4 / 64}[bits]
    head = sizes.vocabulary * sizes.dim
    return Need(
        llama=linear * per_weight + (others - head) * width + head * (per_weight if narrow else width),
        music=music * (per_weight if narrow else width) * (2 if scene_music else 1),
        mert=_MERT_PEAK_BYTES * (sizes.mert_dim / _MERT_FULL_DIM),
        cache=2.0 * sizes.layers * sizes.dim * rows * tokens * working,
        tuning=4.0 * tuning * working if scene_tuning else 0.0,
    )


def memory_free(device: str) -> float | None:
    """Bytes that are free on a device; None when that cannot be known."""
    if device.startswith("cuda"):
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by PyTorch, to use again
        return float(torch.cuda.mem_get_info(torch.device(device))[0] + kept)
    if device == "mps":
        return float(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    known = [free for free in (_available(), _container_room()) if free is not None]
    if known:
        return min(known)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return None


def _available() -> float | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def _container_room() -> float | None:
    """What a container (cgroup version 2) may still take; None without a limit."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = float((group / "memory.max").read_text())
        return limit - float((group / "memory.current").read_text())
    except (OSError, ValueError):  # "max" is no number
        return None
