"""Noticing a stop inside the long calls of networks that are not ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import StoppingCriteria


@contextmanager
def watching(layers: Iterable[nn.Module], check: Callable[[], None]) -> Iterator[None]:
    """Call `check` after every run of each of `layers`; what it raises ends the network's call.

    It also sees the runs that another thread makes of the same layers: let one thread at a time in.
    """

    def after(*_: Any) -> None:
        check()

    handles = [layer.register_forward_hook(after) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class WordWatch(StoppingCriteria):  # type: ignore[misc]  # mypy does not read transformers
    """Tells `watch` after every word how many of at most `limit` there are; never stops by itself."""

    def __init__(self, watch: Callable[[float], None], limit: int) -> None:
        self._watch, self._limit, self._words = watch, limit, 0

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Any:
        """Called by `generate`, which expects one truth value per row."""
        self._words += 1
        self._watch(min(1.0, self._words / self._limit))
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
