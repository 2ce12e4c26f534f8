"""Linear layers for a few rows at a time."""

import copy

import pytest
import torch
from torch import nn

from musiscene.networks.musicgen.decoder import MusicgenDecoder
from musiscene.networks.musicgen.random_model import random_musicgen
from musiscene.networks.packed_linear import PackedLinear, arranged, pack, product


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


def test_a_row_is_the_same_alone_and_among_others_bit_for_bit() -> None:
    """So what one person gets does not depend on who asks at the same moment."""
    packed = arranged(torch.randn(96, 80))
    if packed is None:
        pytest.skip("this processor has no order of its own")
    rows = torch.randn(12, 80)
    with torch.inference_mode():
        together = product(rows, packed)
        for first, count in ((0, 1), (3, 1), (3, 2), (5, 7)):
            assert torch.equal(product(rows[first : first + count], packed), together[first : first + count])


def test_musicgen_says_the_same_with_packed_weights() -> None:
    """Logits of one step are those of the plain weights, for several texts at once."""
    torch.manual_seed(3)
    model = random_musicgen()
    tokens, states = torch.randint(0, 64, (3, 4, 1)), torch.randn(3, 6, model.config.text_encoder.d_model)
    mask = torch.ones(3, 6, dtype=torch.long)

    def logits(decoder: MusicgenDecoder) -> torch.Tensor:
        with torch.inference_mode():
            seen = model.enc_to_dec_proj(states) if hasattr(model, "enc_to_dec_proj") else states
            memory = decoder.memory(seen, mask, 4, guidance=False)
            return decoder.step(tokens, torch.tensor([0]), decoder.positions(4), memory, 1, masked=False)

    plain = logits(MusicgenDecoder(model.decoder))
    torch.testing.assert_close(logits(MusicgenDecoder(model.decoder, packed=True)), plain, rtol=1e-4, atol=1e-4)
