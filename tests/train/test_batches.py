"""Which items together: nothing is left out, and little of what is computed is padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.tuning.batches import USEFUL, effective_batches, micro_batches, planned, share_of_rank, useful_share


def published_lengths(count: int, seed: int) -> list[int]:
    """Tokens of items whose answers spread as the published scene targets do: 80 to 540 beside a prompt of 75."""
    answers = np.random.default_rng(seed).lognormal(np.log(175), 0.32, count)
    return [75 + int(answer) for answer in np.clip(answers, 80, 540)]


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_at_least_95_percent_of_what_is_computed_is_useful(ranks: int) -> None:
    """Over epochs of 32 items a step, on one GPU as on several, where each has few items to choose from."""
    lengths = published_lengths(640, seed=ranks)
    real = padded = batches = 0
    for batch in effective_batches(len(lengths), 32, 0, 0, drop_incomplete=False):
        for rank in range(ranks):
            mine = share_of_rank(batch, lengths, rank, ranks)
            groups = micro_batches(mine, lengths, 8192, 64)
            assert sorted(index for group in groups for index in group) == sorted(mine)
            assert useful_share(groups, lengths) >= USEFUL
            real += sum(lengths[index] for index in mine)
            padded += sum(len(group) * max(lengths[index] for index in group) for group in groups)
            batches += len(groups)
    assert real / padded >= 0.95
    assert batches <= 0.6 * len(lengths)  # and yet items are computed together


@given(st.lists(st.integers(2, 512), max_size=40), st.integers(64, 4096), st.integers(1, 16))
def test_every_item_is_in_one_group_within_the_limits(lengths: list[int], tokens: int, rows: int) -> None:
    """Whatever the lengths are; only an item alone may be longer than the limit."""
    groups = micro_batches(range(len(lengths)), lengths, tokens, rows)

    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) <= rows
        assert len(group) == 1 or len(group) * max(lengths[index] for index in group) <= tokens
    assert useful_share(groups, lengths) >= USEFUL


@given(st.lists(st.integers(2, 512), min_size=4, max_size=40), st.integers(1, 4), st.integers(64, 2048))
def test_processes_whose_weights_lie_in_shards_have_as_many_micro_batches(
    lengths: list[int], ranks: int, tokens: int
) -> None:
    """Each gathers the weights as often as the others, and every item counts once over all of them."""
    batch = list(range(len(lengths)))
    plans = [planned(batch, lengths, rank, ranks, tokens, 8, even=True) for rank in range(ranks)]

    assert len({len(groups) for groups, _ in plans}) == 1
    counted = [index for groups, idle in plans for group in groups[: len(groups) - idle] for index in group]
    assert sorted(counted) == batch
