"""Writing captions with the network that is being trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from musiscene.networks.mu_llama.generate import EOS
from musiscene.networks.mu_llama.tokenizer import LlamaTokenizer
from train.tuning.network import Trainee

WRITTEN_TOGETHER = 64
"""Captions that a GPU writes at once, if their keys and values find room: alone they would take as long."""
_ROWS = 16
"""And a processor."""


@torch.no_grad()
def write(
    trainee: Trainee,
    tokenizer: LlamaTokenizer,
    prompts: Sequence[Sequence[int]],
    pooled: Sequence[Tensor],
    *,
    max_new: int,
    device: torch.device,
) -> list[str]:
    """The likeliest answers, greedily; prompts of a batch are padded on the left and masked.

    Args:
        trainee: The network, in evaluation mode.
        tokenizer: Its tokenizer.
        prompts: Token ids.
        pooled: What MERT heard of each, `(states, mert_dim)`.
        max_new: Longest answer, in tokens.
        device: Of the network.
    """
    answers: list[str] = []
    rows = _rows(trainee, max(map(len, prompts)) + max_new, device)
    for start in range(0, len(prompts), rows):
        batch = prompts[start : start + rows]
        longest = max(len(prompt) for prompt in batch)
        ids = torch.tensor([[0] * (longest - len(p)) + list(p) for p in batch], device=device)
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in batch], device=device)
        heard = torch.stack(list(pooled[start : start + rows])).to(device)
        llama: Any = trainee.model.llama  # transformers types its mixin for its own classes
        written = llama.generate(
            input_ids=ids,
            attention_mask=mask,
            music_terms=trainee.terms(heard),
            do_sample=False,
            max_new_tokens=max_new,
            eos_token_id=EOS,
            pad_token_id=0,
            use_cache=True,
        )
        answers += [tokenizer.decode(row).strip() for row in written[:, longest:].tolist()]
    return answers


def _rows(trainee: Trainee, length: int, device: torch.device) -> int:
    """So many captions at once that their keys and values fill at most half of what is free."""
    if device.type != "cuda":
        return _ROWS
    sizes = trainee.model.sizes
    free = torch.cuda.get_device_properties(device).total_memory - torch.cuda.memory_allocated(device)
    return max(1, min(WRITTEN_TOGETHER, int(free / 2 / (length * sizes.layers * sizes.dim * 2 * 4))))
