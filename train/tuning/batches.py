"""Which items together: effective batches as the original draws them, micro-batches without padding waste.

The loss of an effective batch is the mean of its items' own means, so how its items are spread over GPUs and
micro-batches changes nothing but rounding. Within it items are sorted by length and cut into micro-batches with little
padding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

OVERHEAD_TOKENS = 96
"""What starting one more micro-batch costs, in tokens that could have been computed meanwhile."""
USEFUL = 0.95
"""At least so much of what is computed is no padding, whatever one more micro-batch costs."""


def effective_batches(count: int, size: int, seed: int, epoch: int, *, drop_incomplete: bool) -> list[list[int]]:
    """An epoch's items in random order, cut into batches of `size`; the same seed and epoch give the same.

    Args:
        count: Number of items.
        size: Items per batch.
        seed: Of the run.
        epoch: Counts from 0.
        drop_incomplete: Leave out a last batch that is smaller.
    """
    order = np.random.default_rng([seed, epoch]).permutation(count).tolist()
    batches = [order[start : start + size] for start in range(0, count, size)]
    if drop_incomplete and len(batches) > 1 and len(batches[-1]) < size:
        batches.pop()
    return batches


def share_of_rank(batch: Sequence[int], lengths: Sequence[int], rank: int, ranks: int) -> list[int]:
    """The items of a batch that one of several processes works on: every rank gets as many long ones as the others."""
    ordered = sorted(batch, key=lambda item: (-lengths[item], item))
    return ordered[rank::ranks]


def micro_batches(items: Sequence[int], lengths: Sequence[int], tokens: int, rows: int) -> list[list[int]]:
    """Cut items, sorted by length, into few groups of which at least `USEFUL` is no padding.

    Padding is weighed against the cost of one more group; where too much of it would be left, a group costs less. A
    group of one may exceed `tokens`.

    Args:
        items: Indices into `lengths`.
        lengths: Tokens of every item.
        tokens: Most tokens of a group, padding included.
        rows: Most items of a group.
    """
    ordered = sorted(items, key=lambda item: (-lengths[item], item))
    overhead = float(OVERHEAD_TOKENS)
    groups = _cheapest(ordered, lengths, tokens, rows, overhead)
    while useful_share(groups, lengths) < USEFUL:
        overhead *= 0.75  # near nothing, only items of one length share a group, and nothing is padded
        groups = _cheapest(ordered, lengths, tokens, rows, overhead)
    return groups


def _cheapest(
    ordered: Sequence[int], lengths: Sequence[int], tokens: int, rows: int, overhead: float
) -> list[list[int]]:
    """The cuts at the lowest cost, by dynamic programming (every prefix of the order has one best last group)."""
    best: list[tuple[float, int]] = [(0.0, 0)]  # cost of the first n items, and where their last group begins
    for end in range(1, len(ordered) + 1):
        choices = []
        for start in range(end - 1, max(-1, end - 1 - rows), -1):
            padded = lengths[ordered[start]] * (end - start)
            if padded > tokens and end - start > 1:
                break
            choices.append((best[start][0] + padded + overhead, start))
        best.append(min(choices))
    groups: list[list[int]] = []
    end = len(ordered)
    while end:
        start = best[end][1]
        groups.append(list(ordered[start:end]))
        end = start
    return groups[::-1]


def planned(
    batch: Sequence[int], lengths: Sequence[int], rank: int, ranks: int, tokens: int, rows: int, *, even: bool
) -> tuple[list[list[int]], int]:
    """Micro-batches of one process's share of a batch, and how many of them, the last ones, are to count for nothing.

    Args:
        batch: Indices into `lengths`.
        lengths: Tokens of every item.
        rank: Of the process.
        ranks: Number of processes.
        tokens: Most tokens of a micro-batch, padding included.
        rows: Most items of a micro-batch.
        even: Every process gets as many micro-batches as the others, as it must where weights are gathered from all
            of them for each: larger ones are split, and who has no more items computes one without counting it.
    """
    groups = micro_batches(share_of_rank(batch, lengths, rank, ranks), lengths, tokens, rows)
    if not even:
        return groups, 0
    others = (micro_batches(share_of_rank(batch, lengths, one, ranks), lengths, tokens, rows) for one in range(ranks))
    most = max(len(other) for other in others)
    while len(groups) < most and any(len(group) > 1 for group in groups):
        widest = max(range(len(groups)), key=lambda index: len(groups[index]))
        half = len(groups[widest]) // 2
        groups[widest : widest + 1] = [groups[widest][:half], groups[widest][half:]]
    idle = most - len(groups)
    return groups + [[min(batch, key=lambda item: lengths[item])]] * idle, idle


def useful_share(groups: Sequence[Sequence[int]], lengths: Sequence[int]) -> float:
    """Tokens that are not padding, of all that are computed."""
    real = sum(lengths[item] for group in groups for item in group)
    padded = sum(len(group) * max(lengths[item] for item in group) for group in groups if group)
    return real / padded if padded else 1.0
