"""Names, shapes and row orders of the published layout."""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.decoder import Decoder
from musiscene.networks.mu_llama.listener import Listener
from musiscene.networks.mu_llama.model import MuLlama
from musiscene.networks.mu_llama.sizes import Sizes

rows = st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 4))


@given(rows)
def test_the_permutation_and_its_inverse_cancel(shape: tuple[int, int, int]) -> None:
    """Pairs to halves and back, or halves to pairs and back, changes nothing."""
    heads, half, columns = shape
    matrix = torch.arange(heads * half * 2 * columns).view(-1, columns)
    assert torch.equal(layout.to_pairs(layout.to_halves(matrix, heads), heads), matrix)
    assert torch.equal(layout.to_halves(layout.to_pairs(matrix, heads), heads), matrix)


@given(rows)
def test_row_i_of_a_head_comes_from_row_2i(shape: tuple[int, int, int]) -> None:
    """New row i is old row 2i and new row half + i is old row 2i + 1, head by head; vectors like matrices."""
    heads, half, _ = shape
    vector = torch.arange(heads * half * 2)
    moved = layout.to_halves(vector, heads).view(heads, 2, half)
    old = vector.view(heads, 2 * half)
    for i in range(half):
        assert torch.equal(moved[:, 0, i], old[:, 2 * i])
        assert torch.equal(moved[:, 1, i], old[:, 2 * i + 1])
    assert torch.equal(moved.flatten(), layout.to_halves(vector[:, None], heads)[:, 0])


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 40))
def test_rotating_pairs_and_rotating_halves_are_the_same(heads: int, half: int, position: int) -> None:
    """A query permuted and rotated by halves is the query rotated by pairs and permuted."""
    vector = torch.randn(heads * 2 * half, dtype=torch.float64, generator=torch.Generator().manual_seed(position))
    angles = position * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    pairs = torch.view_as_complex(vector.view(heads, half, 2)) * torch.polar(torch.ones_like(angles), angles)
    by_pairs = torch.view_as_real(pairs).flatten()
    first, second = layout.to_halves(vector, heads).view(heads, 2, half).unbind(1)
    by_halves = torch.cat(
        (first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()), dim=1
    ).flatten()
    torch.testing.assert_close(layout.to_halves(by_pairs, heads), by_halves)


def test_the_published_tables_are_complete() -> None:
    """A whole checkpoint has 948 entries without MERT, one of the pretraining phase 340, with the published sizes."""
    sizes = Sizes()
    whole = layout.published_shapes(sizes, with_base=True)
    assert len(whole) == 948
    assert len(layout.published_shapes(Sizes(lora_rank=0), with_base=True)) == 340

    def values(part: str) -> int:
        return sum(prod(shape) for name, shape in whole.items() if part in name)

    assert values(".lora_") == 39_976_960
    assert sum(prod(s) for n, s in whole.items() if n.startswith("llama.") and n.endswith(".bias")) == 1_097_728
    assert sum(prod(s) for n, s in whole.items() if n.startswith("llama.") and "norm" in n) == 266_240
    assert values(".gate") == 1_024
    assert values("prefix_query") == 81_920
    assert round(values("mu_mert_") / 1e6, 1) == 608.2
    assert whole["llama.layers.31.feed_forward.lora_w2_l1.weight"] == (16, 11008)
    assert whole["llama.layers.0.attention.lora_wv_l2.weight"] == (4096, 16)
    assert "llama.layers.0.attention.wk.bias" not in whole
    assert "llama.layers.0.attention.wv.bias" not in whole


def test_a_full_size_network_has_exactly_the_published_tensors() -> None:
    """On the meta device: every published key and shape is a parameter of ours, and none of ours is left over."""
    sizes = Sizes()
    with torch.device("meta"):
        model = MuLlama(sizes)
    parameters = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    names = dict(layout.module_names(sizes, with_base=True))
    shapes = layout.published_shapes(sizes, with_base=True)
    assert {names[published]: shape for published, shape in shapes.items()} == parameters
    adapter = sum(prod(s) for n, s in layout.music_shapes(sizes).items())
    assert adapter == 608_273_434


def test_the_merged_network_holds_every_value_once() -> None:
    """On the meta device: the decoder has the base and all biases (zeros for keys and values), nothing else."""
    sizes = Sizes()
    with torch.device("meta"):
        decoder, listener = Decoder(sizes), Listener(sizes)
    base = sum(prod(shape) for shape in layout.base_shapes(sizes).values())
    zeros = 32 * 2 * 4096
    assert sum(p.numel() for p in decoder.parameters()) == base + 1_097_728 + zeros
    value_lora = 20 * 16 * 2 * 4096
    music = 608_273_434 - 12 * 32  # gates of the 12 layers that hear nothing
    assert sum(p.numel() for p in listener.parameters()) == music + value_lora


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mert_agg.weight", "mu_mert_agg.weight"),
        ("mert_f1_2.weight", "mu_mert_f1_2.weight"),
        ("mert_norm_3.weight", "mu_mert_norm_3.weight"),
        ("mert_proj.bias", "mu_mert_proj.bias"),
        ("llma.layers.0.attention.gate", "llama.layers.0.attention.gate"),
        ("module.prefix_query.weight", "prefix_query.weight"),
        ("mu_mert_proj.weight", "mu_mert_proj.weight"),
        ("mert_model.encoder.layers.0.attention.k_proj.bias", None),
    ],
)
def test_names_of_every_age_are_understood(old: str, new: str | None) -> None:
    """Mid-2023 names, a misspelling and wrapped names become today's; MERT's own weights are left out."""
    assert layout.published_name(old) == new
