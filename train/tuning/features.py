"""What MERT hears, once per clip: by content of the sound and by weights of the listener."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from musiscene.errors import MusisceneError, Stopped, StorageError
from musiscene.networks.mert import Mert
from musiscene.types import Waveform
from train.failures import TrainingError
from train.naming import digest
from train.tuning.examples import Example
from train.tuning.stores import TensorStore

_GPU_ROWS = 16
"""Clips of one length that a GPU listens to at once; a CPU gains nothing from more than one."""


def feature_name(mono: Waveform, mert_identity: str) -> str:
    """Name of what this MERT hears in this sound."""
    return digest("mert", mert_identity, np.ascontiguousarray(mono, np.float32).tobytes())


def listen_to_all(
    examples: Sequence[Example],
    mert: Mert,
    store: TensorStore,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Have MERT hear every example that it has not heard yet; returns the name of each example's features.

    The same sound under two names is heard once.

    Args:
        examples: The items.
        mert: The encoder.
        store: Where the features, `(states, mert_dim)`, are kept.
        on_progress: Called with how many are done.

    Raises:
        TrainingError: A sound cannot be read, or is too short to be heard.
        StorageError: The disk refused.
    """
    device = next(mert.network.parameters()).device
    rows = _GPU_ROWS if device.type == "cuda" else 1
    waiting: dict[int, dict[str, Waveform]] = defaultdict(dict)  # by length: padding would change what is heard
    names: list[str] = []

    def flush(length: int) -> None:
        batch = waiting.pop(length, {})
        if batch:
            with _named(examples[names.index(next(iter(batch)))]):
                heard = mert.pooled(torch.from_numpy(np.stack(list(batch.values()))))
            for name, features in zip(batch, heard.cpu(), strict=True):
                store.put(name, features)

    for number, example in enumerate(examples):
        with _named(example):
            mono = example.hear()
        name = feature_name(mono, mert.identity)
        names.append(name)
        if name not in store and name not in waiting[len(mono)]:
            waiting[len(mono)][name] = mono
            if len(waiting[len(mono)]) >= rows:
                flush(len(mono))
        on_progress(number + 1, len(examples))
    for length in list(waiting):
        flush(length)
    return names


@contextmanager
def _named(example: Example) -> Iterator[None]:
    """What is wrong with a sound is told with the item that it belongs to."""
    try:
        yield
    except MusisceneError as error:
        if isinstance(error, Stopped | StorageError):
            raise
        raise TrainingError(
            f"The item {example.name} cannot be heard: {error} Mend its sound, or take it out."
        ) from error
