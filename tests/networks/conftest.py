"""Shared by the tests of the networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread(one_torch_thread: None) -> None:
    """All tests of this folder."""


@pytest.fixture(scope="session")
def recipe_weights() -> Callable[[dict[str, list[int]], int], dict[str, torch.Tensor]]:
    """Random weights of given shapes from a seed, by the recipe of the parity README of the audio metrics."""

    def drawn(shapes: dict[str, list[int]], seed: int) -> dict[str, torch.Tensor]:
        random = np.random.RandomState(seed)
        weights = {}
        for name, shape in shapes.items():
            values = random.standard_normal(int(np.prod(shape))).astype(np.float32).reshape(shape)
            if len(shape) > 1 and name.endswith("weight"):
                values *= np.float32(np.sqrt(2 / np.prod(shape[1:])))
            elif name.endswith("weight"):
                values = 1 + np.float32(0.1) * values
            else:
                values *= np.float32(0.02)
            weights[name] = torch.from_numpy(values.astype(np.float32))
        return weights

    return drawn
