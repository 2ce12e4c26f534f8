"""Linear layers for a few rows at a time."""

import copy

import pytest
import torch
from torch import nn

from musiscene.networks.packed_linear import PackedLinear, pack


@pytest.mark.parametrize("shape", [(1, 48), (2, 48), (1, 2, 48), (2, 3, 48), (9, 48), (70, 48)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_gives_what_a_linear_layer_gives(shape: tuple[int, ...], bias: bool) -> None:
    """Any number of rows, with and without a bias, in the same shape."""
    plain = nn.Linear(48, 33, bias)
    holder = nn.Sequential(plain)
    pack(holder)
    x = torch.randn(shape)
    with torch.inference_mode():
        torch.testing.assert_close(holder(x), plain(x))


def test_rows_that_are_not_contiguous_are_multiplied_as_they_are_read() -> None:
    """A slice of a longer sequence is no special case."""
    plain = nn.Linear(16, 8)
    holder = nn.Sequential(plain)
    pack(holder)
    x = torch.randn(3, 5, 16)[:, 1:3]
    with torch.inference_mode():
        torch.testing.assert_close(holder(x), plain(x))


def test_parameters_stay_the_same_objects_under_the_same_names() -> None:
    """A checkpoint saves and loads as before: the copies are no parameters."""
    inner = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))
    before = {name: id(p) for name, p in inner.named_parameters()}
    assert pack(inner) in (0, (3 * 4 + 4 * 2) * 4)
    assert isinstance(inner[0], PackedLinear)
    assert {name: id(p) for name, p in inner.named_parameters()} == before
    assert set(inner.state_dict()) == {"0.weight", "0.bias", "2.weight"}


def test_gradients_flow_through_a_packed_layer() -> None:
    """With gradients wanted the plain weight is used, so training sees its own changes."""
    layers = nn.Sequential(nn.Linear(3, 4))
    pack(layers)
    layers(torch.randn(2, 3)).sum().backward()
    assert layers[0].weight.grad is not None


def test_other_precisions_are_left_as_they_are() -> None:
    """Half precision keeps its plain layers."""
    layers = nn.Sequential(copy.deepcopy(nn.Linear(3, 4)).to(torch.bfloat16))
    assert pack(layers) == 0
    assert type(layers[0]) is nn.Linear
