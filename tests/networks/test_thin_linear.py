"""Linear layers for one word at a time."""

import pytest
import torch
from torch import nn

from musiscene.networks.thin_linear import ThinLinear, make_thin


@pytest.mark.parametrize("shape", [(1, 12), (2, 12), (1, 2, 12), (2, 2, 12), (5, 12), (3, 4, 12)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_thin_layer_gives_what_a_linear_layer_gives(shape: tuple[int, ...], bias: bool) -> None:
    """Any number of rows, with and without a bias, in the same shape."""
    plain = nn.Linear(12, 7, bias)
    holder = nn.Sequential(plain)
    make_thin(holder)
    x = torch.randn(shape)
    with torch.inference_mode():
        torch.testing.assert_close(holder(x), plain(x))


def test_parameters_stay_the_same_objects_under_the_same_names() -> None:
    """A checkpoint loads as before, and training reaches the same tensors."""
    inner = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))
    before = dict(inner.named_parameters())
    make_thin(inner)
    assert isinstance(inner[0], ThinLinear)
    assert {name: id(p) for name, p in inner.named_parameters()} == {name: id(p) for name, p in before.items()}


def test_gradients_flow_through_a_thin_layer() -> None:
    """With gradients wanted it is the plain layer."""
    thin = nn.Sequential(nn.Linear(3, 4))
    make_thin(thin)
    thin(torch.randn(2, 3)).sum().backward()
    assert thin[0].weight.grad is not None
