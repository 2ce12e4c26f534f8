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
from train.tuning.batches import effective_batches, micro_batches, share_of_rank, useful_of
from train.tuning.config import Finetune
from train.tuning.writing import WRITTEN_TOGETHER

PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "4090": 165e12, "A10G": 70e12, "L4": 121e12}
"""Dense bfloat16 products per second of the matrix units, from the vendors' data sheets."""
MEMORY = {"H200": 141e9, "H100": 80e9, "A100": 40e9, "4090": 24e9, "A10G": 24e9, "L4": 24e9}
"""Bytes of their memory; of a kind that is sold with more, the least."""
WORD_S = 0.03
"""What one word of all captions that are written at once takes a GPU, which waits for Python; assumed."""
REACHED = 0.4
"""Share of that peak that training commonly reaches; `benchmarks/finetune.py` measures it."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run takes. Sizes in bytes per GPU (or in main memory), times in seconds.

    Attributes:
        frozen: Weights that do not change.
        trained: Trained weights with gradients and AdamW's two moments, in float32, and in bfloat16 a copy.
        per_value: Bytes of that for each value.
        activations: Largest micro-batch, forward and backward.
        cache: On disk, all of it.
        checkpoints: On disk: those that are kept, the best weights and the export.
        captions: Seconds that writing validation captions takes over all epochs; 0 when unknown.
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
    per_value: float
    activations: float
    cache: float
    checkpoints: float
    captions: float
    tokens: int
    useful: float
    steps: int
    products: float
    seconds: float
    speed: float
    speed_from: str

    @property
    def values(self) -> float:
        """How many are trained."""
        return self.trained / self.per_value

    @property
    def memory(self) -> float:
        """All of it, with a twelfth for the allocator."""
        return (self.frozen + self.trained + self.activations) * (1 + 1 / 12)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "memory": self.memory}


def estimate(
    config: Finetune,
    sizes: Sizes,
    lengths: Sequence[int],
    answers: Sequence[int],
    device: torch.device,
    ranks: int,
    gpu: str = "",
) -> Estimate:
    """What a run would take.

    Args:
        config: The experiment.
        sizes: Of the network.
        lengths: Tokens of each item.
        answers: Tokens of each item that are learnt.
        device: Where it would run.
        ranks: Processes that share the work.
        gpu: A kind of GPU that `PEAKS` knows, when the run is to be on one that is not here.
    """
    half = precision(config, device) == "bf16"
    width = 2 if half else 4
    shapes = layout.published_shapes(sizes, with_base=True)
    counts = {name: prod(shape) for name, shape in shapes.items()}
    trained = sum(counts[name] for name in trainable_names(sizes, config.trainable))
    batches = effective_batches(len(lengths), config.optimiser.effective_batch, config.seed, 0, drop_incomplete=False)
    groups = [
        group
        for batch in batches
        for rank in range(ranks)
        for group in micro_batches(
            share_of_rank(batch, lengths, rank, ranks), lengths, config.batches.tokens, config.batches.rows
        )
    ]
    tokens = max(sum(lengths[item] for item in group) for group in groups)
    learnt = max(sum(answers[item] for item in group) for group in groups)
    recomputed = config.memory.gradient_checkpointing
    layers = sizes.layers - (sizes.first_prefix_layer if config.memory.cache and config.trainable == "adapter" else 0)
    inside = kept_per_token(sizes, config.trainable) * width
    between = sizes.dim * width
    # with recomputation one layer is whole at a time; logits are there as such, in float32, as shares, as gradient
    activations = tokens * (layers * between + inside if recomputed else layers * inside)
    activations += learnt * sizes.vocabulary * (2 * width + 8)
    products = config.optimiser.epochs * products_of(
        sizes, config.trainable, lengths, answers, cached=config.memory.cache, recomputed=recomputed
    )
    speed, source = _speed(device, half, gpu)
    per_value = 18.0 if half else 16.0  # products are computed with a copy in bfloat16
    chosen = config.validation
    together = -(-chosen.captions // (ranks * WRITTEN_TOGETHER))
    return Estimate(
        frozen=(sum(counts.values()) - trained) * width,
        trained=trained * per_value,
        per_value=per_value,
        activations=float(activations),
        cache=_cache_bytes(config, sizes, lengths, width),
        checkpoints=trained * (12.0 * config.output.keep + 4.0 + 8.0),
        captions=config.optimiser.epochs * together * chosen.max_new * WORD_S if device.type == "cuda" else 0.0,
        tokens=sum(lengths),
        useful=useful_of(groups, lengths),
        steps=len(batches) * config.optimiser.epochs,
        products=products,
        seconds=products / (speed * ranks),
        speed=speed,
        speed_from=source,
    )


def products_of(
    sizes: Sizes, which: str, lengths: Sequence[int], answers: Sequence[int], *, cached: bool, recomputed: bool
) -> float:
    """Floating-point operations of one pass over some items, forward and backward.

    Frozen matrices need no gradient of their own, so the way back costs as much as the way there: 4 operations for each
    value of a matrix and token. MERT and what is constant are computed once and not counted.

    Args:
        sizes: Of the network.
        which: The trainable set.
        lengths: Tokens of each item.
        answers: Tokens of each item that are learnt.
        cached: The layers that hear nothing are not run (for "adapter").
        recomputed: Each layer is computed again on the way back.
    """
    attention, feed_forward = 4.0 * sizes.dim**2, 3.0 * sizes.dim * sizes.ffn_dim
    heard = sizes.prefix_layers if cached and which == "adapter" else sizes.layers
    passes = 6.0 if recomputed else 4.0
    matrices = heard * (attention + feed_forward) - (attention if heard < sizes.layers else 0.0)
    total = passes * matrices * sum(lengths)
    total -= passes * feed_forward * (sum(lengths) - sum(answers))  # the last layer ends with what is learnt
    # scores and their values over half a square: 2 products there, 5 back (they are computed again)
    total += (passes + 3.0) * heard * sizes.dim * sum(length**2 for length in lengths)
    total += 4.0 * sizes.dim * sizes.vocabulary * sum(answers)
    trained = layout.music_shapes(sizes) if which != "lora" else {}
    total += 6.0 * sum(prod(shape) for shape in trained.values()) * len(lengths)
    if which != "adapter":
        tuned = layout.tuning_shapes(sizes)
        total += (passes + 2.0) * sum(prod(shape) for shape in tuned.values()) * sum(lengths)
    return total


def kept_per_token(sizes: Sizes, which: str) -> float:
    """Values that one layer keeps for the way back, for each token.

    Two norms keep their input; attention keeps queries, keys, values and what it gave, most of it padded as well; the
    feed-forward part keeps the gate before and after its bend, and what it is multiplied with. LoRA keeps what it is
    multiplied with, once for each matrix. A test compares these counts with PyTorch's own.
    """
    values = 11.0 * sizes.dim + 3.0 * sizes.ffn_dim
    if which != "adapter":
        values += 8.0 * sizes.dim + sizes.ffn_dim
    return values


def precision(config: Finetune, device: torch.device) -> str:
    """Either "bf16" or "float32"."""
    if config.memory.precision != "auto":
        return config.memory.precision
    return "bf16" if device.type == "cuda" else "float32"


def report(estimate: Estimate, config: Finetune, free: float | None, items: int, ranks: int) -> str:
    """An estimate in words."""
    gb = 1e9
    lines = [
        f"trainable set     {config.trainable}, {estimate.values / 1e6:.1f} M values",
        f"items             {items}, {estimate.tokens / max(items, 1):.0f} tokens each on average",
        f"steps             {estimate.steps} of {config.optimiser.effective_batch} items, "
        f"no padding but in attention ({100 * estimate.useful:.1f} % useful there)",
        f"memory per device {estimate.memory / gb:.2f} GB: {estimate.frozen / gb:.2f} frozen, "
        f"{estimate.trained / gb:.2f} trained with AdamW, {estimate.activations / gb:.2f} activations",
        f"disk              {estimate.cache / gb:.2f} GB of cache, {estimate.checkpoints / gb:.2f} GB of checkpoints",
        f"time              {_duration(estimate.seconds)} for {config.optimiser.epochs} epochs on {ranks} device(s), "
        f"at {estimate.speed / 1e12:.2f} TFLOP/s each ({estimate.speed_from}): "
        f"{estimate.tokens * config.optimiser.epochs / max(estimate.seconds, 1e-9):,.0f} tokens a second",
    ]
    if estimate.captions:
        lines.append(
            f"captions          {_duration(estimate.captions)} more for {config.validation.captions} after each epoch, "
            f"at {1000 * WORD_S:.0f} ms a word for all that are written at once"
        )
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


def _speed(device: torch.device, half: bool, gpu: str) -> tuple[float, str]:
    """Operations per second to count on: of a known GPU, else as measured on a product of matrices."""
    if device.type == "cuda":
        name = gpu or torch.cuda.get_device_name(device)
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
