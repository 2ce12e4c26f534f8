"""Which items together: nothing is left out, and little of what is computed is padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.tuning.batches import (
    USEFUL,
    attention_groups,
    effective_batches,
    micro_batches,
    planned,
    share_of_rank,
    useful_of,
    useful_share,
)


def published_lengths(count: int, seed: int) -> list[int]:
    """Tokens of items whose answers spread as the published scene targets do: 80 to 540 beside a prompt of 75."""
    answers = np.random.default_rng(seed).lognormal(np.log(175), 0.32, count)
    return [75 + int(answer) for answer in np.clip(answers, 80, 540)]


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_at_least_95_percent_of_what_is_computed_is_useful(ranks: int) -> None:
    """Over epochs of 32 items a step, on one GPU as on several: matrices see no padding, and attention little."""
    lengths = published_lengths(640, seed=ranks)
    blocks = 0
    for batch in effective_batches(len(lengths), 32, 0, 0, drop_incomplete=False):
        for rank in range(ranks):
            mine = share_of_rank(batch, lengths, rank, ranks)
            made = micro_batches(mine, lengths, 16384, 64)
            assert [sorted(group) for group in made] == [sorted(mine)]  # one pass for all of them
            assert useful_of(made, lengths) >= USEFUL
            blocks += len(attention_groups([lengths[index] for index in made[0]]))
    assert blocks <= 0.6 * len(lengths)  # and yet items attend together


@given(st.lists(st.integers(2, 512), max_size=40), st.integers(64, 4096), st.integers(1, 16))
def test_every_item_is_in_one_micro_batch_within_the_limits(lengths: list[int], tokens: int, rows: int) -> None:
    """Whatever the lengths are; only an item alone may be longer than the limit."""
    made = micro_batches(range(len(lengths)), lengths, tokens, rows)

    assert sorted(index for group in made for index in group) == list(range(len(lengths)))
    for group in made:
        inside = [lengths[index] for index in group]
        assert len(group) <= rows and inside == sorted(inside, reverse=True)
        assert len(group) == 1 or sum(inside) <= tokens
        assert sum(attention_groups(inside)) == len(group)
        assert useful_share(attention_groups(inside), inside) >= USEFUL


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
