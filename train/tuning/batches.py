"""Which items together: effective batches as the original draws them, micro-batches without padding waste.

The loss of an effective batch is the mean of its items' own means, so how its items are spread over GPUs and
micro-batches changes nothing but rounding. A micro-batch's items lie one after the other without padding
(`packing.py`), sorted by length; only attention pads, within groups of similar length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

OVERHEAD_TOKENS = 96
"""What starting one more group costs, in padded tokens that attention could have computed meanwhile."""
USEFUL = 0.95
"""At least so much of what attention computes is no padding, whatever one more group costs."""


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
    """Cut items, sorted by length, into as few micro-batches as can be, and these as even as can be.

    Args:
        items: Indices into `lengths`.
        lengths: Tokens of every item.
        tokens: Most tokens of a micro-batch; one that holds a single item may exceed it.
        rows: Most items of a micro-batch.
    """
    ordered = sorted(items, key=lambda item: (-lengths[item], item))
    best = _filled(ordered, lengths, tokens, rows)
    least, most = 1, tokens
    while least < most:  # the smallest limit that needs no more of them
        limit = (least + most) // 2
        tried = _filled(ordered, lengths, limit, rows)
        if len(tried) <= len(best):
            best, most = tried, limit
        else:
            least = limit + 1
    return best


def attention_groups(lengths: Sequence[int]) -> list[int]:
    """How many neighbours each attend as one padded block: few blocks of which at least `USEFUL` is no padding.

    Padding is weighed against the cost of one more group; where too much of it would be left, a group costs less.

    Args:
        lengths: Tokens of the items of a micro-batch, longest first (any order is right, and pads more).
    """
    overhead = float(OVERHEAD_TOKENS)
    sizes = _cheapest(lengths, overhead)
    while useful_share(sizes, lengths) < USEFUL:
        overhead *= 0.75  # near nothing, only items of one length share a group, and nothing is padded
        sizes = _cheapest(lengths, overhead)
    return sizes


def _filled(ordered: Sequence[int], lengths: Sequence[int], tokens: int, rows: int) -> list[list[int]]:
    made: list[list[int]] = []
    room = 0
    for item in ordered:
        if not made or lengths[item] > room or len(made[-1]) >= rows:
            made.append([])
            room = tokens
        made[-1].append(item)
        room -= lengths[item]
    return made


def _cheapest(lengths: Sequence[int], overhead: float) -> list[int]:
    """The cuts at the lowest cost, by dynamic programming (every prefix of the order has one best last group)."""
    best: list[tuple[float, int]] = [(0.0, 0)]  # cost of the first n items, and where their last group begins
    for end in range(1, len(lengths) + 1):
        longest, choices = 0, []
        for start in range(end - 1, -1, -1):
            longest = max(longest, lengths[start])
            choices.append((best[start][0] + longest * (end - start) + overhead, start))
        best.append(min(choices))
    sizes: list[int] = []
    end = len(lengths)
    while end:
        start = best[end][1]
        sizes.append(end - start)
        end = start
    return sizes[::-1]


def planned(
    batch: Sequence[int], lengths: Sequence[int], rank: int, ranks: int, tokens: int, rows: int, *, even: bool
) -> tuple[list[list[int]], int]:
    """Micro-batches of one process's share of a batch, and how many of them, the last ones, are to count for nothing.

    Args:
        batch: Indices into `lengths`.
        lengths: Tokens of every item.
        rank: Of the process.
        ranks: Number of processes.
        tokens: Most tokens of a micro-batch.
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


def useful_share(sizes: Sequence[int], lengths: Sequence[int]) -> float:
    """Tokens that are not padding, of all that attention computes with.

    Args:
        sizes: How many items each group has.
        lengths: Tokens of the items, in the groups' order.
    """
    padded = start = 0
    for size in sizes:
        padded += size * max(lengths[start : start + size])
        start += size
    return sum(lengths) / padded if padded else 1.0


def useful_of(micro_batches: Sequence[Sequence[int]], lengths: Sequence[int]) -> float:
    """The same over some micro-batches."""
    real, padded = 0, 0.0
    for micro_batch in micro_batches:
        inside = [lengths[item] for item in micro_batch]
        real += sum(inside)
        padded += sum(inside) / useful_share(attention_groups(inside), inside)
    return real / padded if padded else 1.0
