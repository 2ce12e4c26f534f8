"""Memory and time of a run before any is spent, from sizes and token counts alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import torch

from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.model import trainable_names
from musiscene.networks.mu_llama.sizes import Sizes
from train.tuning.batches import effective_batches, micro_batches, share_of_rank, useful_share
from train.tuning.config import Finetune

PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "4090": 165e12, "A10G": 70e12, "L4": 121e12}
"""Dense bfloat16 products per second of the matrix units, from the vendors' data sheets."""
REACHED = 0.4
"""Share of that peak that training commonly reaches; `benchmarks/finetune.py` measures it."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run takes. Sizes in bytes per GPU (or in main memory), times in seconds.

    Attributes:
        frozen: Weights that do not change.
        trained: Trained weights with gradients and AdamW's two moments, in float32.
        activations: Largest micro-batch, forward and backward.
        cache: On disk, all of it.
        tokens: Per epoch, without padding.
        useful: Share of tokens that are not padding.
        steps: Optimiser steps of the run.
        products: Floating-point operations of the run.
        seconds: Of all epochs, without validation; at `speed`.
        speed: Floating-point operations per second that are counted on.
        speed_from: Where that figure comes from.
    """

    frozen: float
    trained: float
    activations: float
    cache: float
    tokens: int
    useful: float
    steps: int
    products: float
    seconds: float
    speed: float
    speed_from: str

    @property
    def memory(self) -> float:
        """All of it, with a twelfth for the allocator."""
        return (self.frozen + self.trained + self.activations) * (1 + 1 / 12)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "memory": self.memory}


def estimate(
    config: Finetune, sizes: Sizes, lengths: Sequence[int], answers: Sequence[int], device: torch.device, ranks: int
) -> Estimate:
    """What a run would take.

    Args:
        config: The experiment.
        sizes: Of the network.
        lengths: Tokens of each item.
        answers: Tokens of each item that are learnt.
        device: Where it would run.
        ranks: Processes that share the work.
    """
    half = precision(config, device) == "bf16"
    width = 2 if half else 4
    shapes = layout.published_shapes(sizes, with_base=True)
    counts = {name: prod(shape) for name, shape in shapes.items()}
    trained = sum(counts[name] for name in trainable_names(sizes, config.trainable))
    matrices = sum(
        count for name, count in counts.items() if name.startswith("llama.layers.0.") and len(shapes[name]) == 2
    )
    skipped = sizes.first_prefix_layer if config.memory.cache and config.trainable == "adapter" else 0
    layers = sizes.layers - skipped

    batches = effective_batches(len(lengths), config.optimiser.effective_batch, config.seed, 0, drop_incomplete=False)
    groups = [
        group
        for batch in batches
        for rank in range(ranks)
        for group in micro_batches(
            share_of_rank(batch, lengths, rank, ranks), lengths, config.batches.tokens, config.batches.rows
        )
    ]
    padded = [len(group) * max(lengths[item] for item in group) for group in groups]
    learnt = [sum(answers[item] for item in group) for group in groups]
    widest = max(padded)
    inside = (8 * sizes.dim + 4 * sizes.ffn_dim) * width
    kept = sizes.dim * width if config.memory.gradient_checkpointing else inside
    activations = widest * (layers * kept + inside) + max(learnt) * sizes.vocabulary * (width + 8)

    # Forward, and the same again for the gradient of what flows through; frozen matrices need no gradient of their own.
    passes = 2 + config.memory.gradient_checkpointing
    per_token = 2.0 * layers * matrices * passes
    head = 2.0 * 2 * sizes.dim * sizes.vocabulary
    music = 6.0 * sum(counts[name] for name in layout.music_shapes(sizes)) if config.trainable != "lora" else 0.0
    # MERT and layers below are computed once; 330 M weights on 75 frames a second are little beside the rest
    per_epoch = sum(padded) * per_token + sum(learnt) * head + len(lengths) * music
    products = per_epoch * config.optimiser.epochs
    speed, source = _speed(device, half)
    return Estimate(
        frozen=(sum(counts.values()) - trained) * width,
        trained=trained * 16.0,
        activations=float(activations),
        cache=_cache_bytes(config, sizes, lengths, width),
        tokens=sum(lengths),
        useful=useful_share(groups, lengths),
        steps=len(batches) * config.optimiser.epochs,
        products=products,
        seconds=products / (speed * ranks),
        speed=speed,
        speed_from=source,
    )


def precision(config: Finetune, device: torch.device) -> str:
    """Either "bf16" or "float32"."""
    if config.memory.precision != "auto":
        return config.memory.precision
    return "bf16" if device.type == "cuda" else "float32"


def report(estimate: Estimate, config: Finetune, free: float | None, items: int, ranks: int) -> str:
    """An estimate in words."""
    gb = 1e9
    lines = [
        f"trainable set     {config.trainable}, {estimate.trained / 16 / 1e6:.1f} M values",
        f"items             {items}, {estimate.tokens / max(items, 1):.0f} tokens each on average",
        f"steps             {estimate.steps} of {config.optimiser.effective_batch} items, "
        f"{100 * estimate.useful:.1f} % of the tokens useful",
        f"memory per device {estimate.memory / gb:.2f} GB: {estimate.frozen / gb:.2f} frozen, "
        f"{estimate.trained / gb:.2f} trained with AdamW, {estimate.activations / gb:.2f} activations",
        f"cache on disk     {estimate.cache / gb:.2f} GB",
        f"time              {_duration(estimate.seconds)} for {config.optimiser.epochs} epochs on {ranks} device(s), "
        f"at {estimate.speed / 1e12:.2f} TFLOP/s each ({estimate.speed_from})",
    ]
    if free is not None:
        fits = "fits" if estimate.memory <= free else "does NOT fit"
        lines.append(f"free here         {free / gb:.1f} GB: the run {fits}")
    return "\n".join(lines)


def _cache_bytes(config: Finetune, sizes: Sizes, lengths: Sequence[int], width: int) -> float:
    total = len(lengths) * sizes.mert_states * sizes.mert_dim * 4.0
    if config.memory.cache and config.trainable == "adapter":
        total += sum(lengths) * sizes.dim * width
    if config.memory.cache and config.trainable == "lora":
        total += len(lengths) * sizes.prefix_layers * sizes.dim * width
    return total


def _speed(device: torch.device, half: bool) -> tuple[float, str]:
    """Operations per second to count on: of a known GPU, else as measured on a product of matrices."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for known, peak in PEAKS.items():
            if known in name and half:
                return peak * REACHED, f"{100 * REACHED:.0f} % of the peak of {known}"
    size = 4096 if device.type == "cuda" else 512
    matrix = torch.randn(size, size, device=device, dtype=torch.bfloat16 if half else torch.float32)
    matrix @ matrix
    runs, began = 5, time.perf_counter()
    for _ in range(runs):
        product = matrix @ matrix
    float(product[0, 0])  # waits for a GPU
    return 2.0 * size**3 * runs / (time.perf_counter() - began) * 0.5, "half of a measured product of matrices"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
