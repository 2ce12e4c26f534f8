"""Seeded randomness, one independent stream for each purpose, the same in every process."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chance:
    """Streams that depend on the words, the seed and a purpose only: adding one never disturbs another."""

    text: str
    seed: int

    def stream(self, purpose: str) -> random.Random:
        """A generator of random numbers for `purpose`, always from its beginning."""
        digest = hashlib.sha256(f"{self.seed}\n{purpose}\n{self.text}".encode()).digest()
        return random.Random(int.from_bytes(digest[:8], "big"))


def weighted(rng: random.Random, choices: Sequence[tuple[T, float]]) -> T:
    """One of `choices`, each with its weight."""
    total = sum(max(0.0, weight) for _, weight in choices)
    point = rng.random() * total
    for choice, weight in choices:
        point -= max(0.0, weight)
        if point < 0:
            return choice
    return choices[-1][0]
