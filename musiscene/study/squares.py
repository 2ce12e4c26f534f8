"""Balanced orders: Williams squares for conditions, cyclic blocks for items.

Sources: E. J. Williams, Australian Journal of Scientific Research A 2 (1949), 149-168, for squares in which every
condition follows every other equally often; R. C. Bose, Annals of Eugenics 9 (1939), 353-399, for blocks that are
developed from one initial block, in which every item stands equally often, and every pair as equally as can be.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, islice
from math import comb

import numpy as np

_TRY_ALL = 200_000
_TRIES = 400


@lru_cache(maxsize=32)
def williams(conditions: int) -> tuple[tuple[int, ...], ...]:
    """Rows of orders of `conditions` things: as many rows as things for an even number, twice as many for an odd.

    In all rows together each thing stands equally often at each place and follows each other thing equally often.
    """
    first: list[int] = []
    low, high = 0, conditions - 1
    while len(first) < conditions:  # 0, n-1, 1, n-2, …: the differences of neighbours are all different
        first.append(low)
        if len(first) < conditions:
            first.append(high)
        low, high = low + 1, high - 1
    rows = [tuple((value + shift) % conditions for value in first) for shift in range(conditions)]
    if conditions % 2 and conditions > 1:
        rows += [tuple(reversed(row)) for row in rows]
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Which items stand together.

    Attributes:
        blocks: Sorted item numbers, one block for each of the items; a single block where all are seen.
        pair_low: How often the rarest pair of items stands together.
        pair_high: How often the most frequent pair does; equal to `pair_low` in a balanced incomplete block design.
    """

    blocks: tuple[tuple[int, ...], ...]
    pair_low: int
    pair_high: int

    @property
    def balanced(self) -> bool:
        """Every pair of items is in equally many blocks."""
        return self.pair_low == self.pair_high


@lru_cache(maxsize=64)
def blocks(items: int, size: int) -> Blocks:
    """Blocks of `size` out of `items`: each item is in `size` of the `items` blocks, pairs as even as can be found.

    15 items in blocks of 8 give the balanced design (15, 15, 8, 8, 4). Where no initial block is balanced, the most
    even one is taken, out of all of them or out of some hundreds improved by exchange when there are too many.
    """
    if size >= items:
        return Blocks((tuple(range(items)),), 1, 1)
    if size == 1:
        return Blocks(tuple((item,) for item in range(items)), 0, 0)
    if comb(items - 1, size - 1) <= _TRY_ALL:
        candidates = ((0, *rest) for rest in combinations(range(1, items), size - 1))
        best = _most_even(items, candidates)
    else:
        best = _searched(items, size)
    made = tuple(tuple(sorted((value + shift) % items for value in best)) for shift in range(items))
    pairs = Counter(pair for block in made for pair in combinations(block, 2))
    counts = [pairs.get(pair, 0) for pair in combinations(range(items), 2)]
    return Blocks(made, min(counts), max(counts))


def _unevenness(items: int, block: tuple[int, ...]) -> int:
    counts = [0] * items
    for one in block:
        for other in block:
            counts[(one - other) % items] += 1
    return sum(count * count for count in counts[1:])


def _most_even(items: int, candidates: object) -> tuple[int, ...]:
    best: tuple[int, ...] = ()
    least = 0
    for candidate in islice(candidates, _TRY_ALL):  # type: ignore[call-overload]
        value = _unevenness(items, candidate)
        if not best or value < least:
            best, least = candidate, value
            size = len(candidate)
            if size * (size - 1) % (items - 1) == 0 and value == (size * (size - 1)) ** 2 // (items - 1):
                break  # a difference set: it cannot be more even
    return best


def _searched(items: int, size: int) -> tuple[int, ...]:
    generator = np.random.default_rng(items * 1000 + size)
    best: tuple[int, ...] = tuple(range(size))
    least = _unevenness(items, best)
    for _ in range(_TRIES // 8):
        block = [int(value) for value in generator.permutation(items)[:size]]
        value = _unevenness(items, tuple(block))
        for _ in range(_TRIES):
            place = int(generator.integers(size))
            other = int(generator.integers(items))
            if other in block:
                continue
            changed = [*block[:place], other, *block[place + 1 :]]
            worth = _unevenness(items, tuple(changed))
            if worth <= value:
                block, value = changed, worth
        if value < least:
            best, least = tuple(block), value
    return best
