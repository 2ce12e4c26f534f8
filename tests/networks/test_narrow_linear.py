"""Linear layers with narrow matrices."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from musiscene.networks import narrow_linear
from musiscene.networks.narrow_linear import NarrowLinear, narrowed, quantised, widened

ERRORS = {torch.bfloat16: 0.006, torch.float16: 0.001, torch.int8: 0.012}
"""Largest share of the outputs' size that rounding may cost."""


@pytest.mark.parametrize("dtype", ERRORS)
@pytest.mark.parametrize("shape", [(1, 96), (3, 96), (4, 96), (8, 96), (2, 5, 96), (70, 96)])
def test_a_narrow_layer_gives_nearly_what_a_linear_layer_gives(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    """Any number of rows, more outputs than one block holds, float32 in and out."""
    plain = nn.Linear(96, 700)
    x = torch.randn(shape)
    with torch.inference_mode():
        wide, close = plain(x), narrowed(plain, dtype)(x)
    assert close.dtype == torch.float32
    assert close.shape == wide.shape
    assert (close - wide).norm() < ERRORS[dtype] * wide.norm()


@pytest.mark.parametrize("rows", [1, 8])
def test_without_the_operator_the_same_comes_out(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch without the product of 8 bits widens blocks instead."""
    layer, x = narrowed(nn.Linear(64, 300), torch.int8), torch.randn(rows, 64)
    with torch.inference_mode():
        quick = layer(x)
        monkeypatch.setattr(narrow_linear, "_INT8_PRODUCT", None)
        torch.testing.assert_close(layer(x), quick, atol=0.02, rtol=0.02)


@given(st.integers(1, 300), st.integers(1, 40), st.floats(1e-6, 1e6), st.integers(0, 2**31))
@settings(deadline=None, max_examples=30)
def test_quantising_again_changes_nothing(rows: int, columns: int, size: float, seed: int) -> None:
    """No weight is off by more than half a step and the scale's rounding, and numbers once rounded stay."""
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * size
    numbers, scales = quantised(weight)
    wide = widened(numbers, scales)
    step = weight.abs().amax(dim=1, keepdim=True) / 127
    assert ((wide - weight).abs() <= 0.77 * step + 1e-30).all()
    again, scales_again = quantised(wide)
    assert torch.equal(again, numbers)
    assert torch.equal(scales_again, scales)


def test_a_row_of_zeros_stays_zero() -> None:
    """Nothing is divided by nothing."""
    numbers, scales = quantised(torch.zeros(3, 5))
    assert torch.equal(widened(numbers, scales), torch.zeros(3, 5))


def test_narrow_layers_take_the_places_of_others_in_a_network() -> None:
    """Each takes the bytes it should, and the network gives nearly what it gave."""
    network = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.Sequential(nn.Linear(16, 4, bias=False)))
    x = torch.randn(2, 8)
    with torch.inference_mode():
        before = network(x)
        network[0], network[2][0] = narrowed(network[0], torch.int8), narrowed(network[2][0], torch.int8)
        assert (network(x) - before).norm() < 0.05 * before.norm()
    layers = [module for module in network.modules() if isinstance(module, NarrowLinear)]
    assert [layer.weight.nbytes for layer in layers] == [8 * 16, 16 * 4]
    assert "8, 16, int8" in repr(network)
