"""Choosing codes on the device: no synchronisation with the host, and a row's music depends on its own seed alone.

Randomness is a function of (seed, step, codebook, code), computed by integer mixing, instead of the state of a
generator: the same row draws the same numbers in a batch of one and in a batch of eight, on any device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from musiscene.errors import RequestError

_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Sampling:
    """How codes are drawn; the defaults are those of the authors' demo.

    Attributes:
        temperature: Divides the logits; 0 takes the most probable code.
        top_k: Only so many most probable codes can be drawn; 0 for all.
        top_p: Only the most probable codes that together have this share can be drawn; 1 for all.
        guidance: Strength of classifier-free guidance; 1 leaves it out (and halves the work).
    """

    temperature: float = 1.0
    top_k: int = 250
    top_p: float = 1.0
    guidance: float = 3.0

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise RequestError(f"The temperature is 0 or more, not {self.temperature}.")
        if self.top_k < 0:
            raise RequestError(f"top_k is 0 or more, not {self.top_k}.")
        if not 0 < self.top_p <= 1:
            raise RequestError(f"top_p is above 0 and at most 1, not {self.top_p}.")
        if not self.guidance >= 1:
            raise RequestError(f"The guidance is 1 or more, not {self.guidance}.")


def draw(logits: Tensor, sampling: Sampling, seeds: Tensor, step: Tensor) -> Tensor:
    """Draw one code for each row and codebook.

    Args:
        logits: `(rows, codebooks, codes)`, guidance already applied.
        sampling: How.
        seeds: `(rows,)` int64, one seed for each row.
        step: Int64 scalar on the device; the position that is drawn.

    Returns:
        Codes `(rows, codebooks)` int64.
    """
    return chosen(logits, sampling, gumbel(seeds, step, *logits.shape[1:]))


def chosen(logits: Tensor, sampling: Sampling, noise: Tensor | None) -> Tensor:
    """The same with the noise of the step, `(rows, codebooks, codes)`; without it the most probable codes."""
    if sampling.temperature == 0 or noise is None:
        return logits.argmax(-1)
    logits = logits.float()
    if sampling.temperature != 1:
        logits = logits / sampling.temperature
    noisy = logits + noise
    if 0 < sampling.top_k < logits.shape[-1]:
        least = logits.topk(sampling.top_k, sorted=False).values.amin(-1, keepdim=True)
        beyond = logits < least
        noisy.masked_fill_(beyond, -torch.inf)
        if sampling.top_p < 1:
            logits = logits.masked_fill(beyond, -torch.inf)
    if sampling.top_p < 1:
        ordered, order = logits.sort(-1, descending=True)
        share = ordered.softmax(-1)
        beyond = share.cumsum(-1) - share >= sampling.top_p  # the code that crosses the share still counts
        noisy.masked_fill_(beyond.scatter(-1, order, beyond), -torch.inf)
    return noisy.argmax(-1)


def gumbel(seeds: Tensor, step: Tensor, codebooks: int, codes: int) -> Tensor:
    """Standard Gumbel noise; the largest of logits plus it is a draw from their softmax.

    Args:
        seeds: `(rows,)` int64.
        step: Int64 scalar; or `(steps, 1)`, for several at once.
        codebooks: How many.
        codes: Of each.

    Returns:
        `(rows, codebooks, codes)`, or `(steps, rows, codebooks, codes)`.
    """
    index = torch.arange(codebooks * codes, device=seeds.device, dtype=torch.int64)
    key = _mixed(seeds & _MASK, (seeds >> 32) & _MASK)
    key = _mixed(key, step & _MASK)
    bits = _mixed(key[..., None], index)
    uniform = ((bits >> 9).float() + 0.5) / float(1 << 23)  # one bit more would round to 1, whose noise is infinite
    return -torch.log(-torch.log(uniform)).view(*uniform.shape[:-1], codebooks, codes)


def _mixed(a: Tensor, b: Tensor) -> Tensor:
    """A 32-bit hash of two 32-bit numbers held in int64; products wrap, and only their low bits are kept."""
    h = (a ^ (b * 0x9E3779B1 & _MASK)) & _MASK
    for multiplier in (0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F):
        h = (h ^ (h >> 16)) * multiplier & _MASK
        h = (h ^ (h >> 13)) & _MASK
    return h ^ (h >> 16)
