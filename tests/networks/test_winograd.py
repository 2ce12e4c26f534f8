"""The quick convolution of VGGish on a CPU: its digits, its borders, and that windows do not depend on one another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from musiscene.errors import Stopped
from musiscene.networks.vggish import Vggish, VggishNetwork
from musiscene.networks.vggish_cpu import suits
from musiscene.networks.winograd import Winograd, bordered, inside


def _by_tiles(maps: Tensor, weight: Tensor, bias: Tensor, *, pool: bool) -> Tensor:
    """Maps and result `(n, channels, height, width)`."""
    images, channels, height, width = maps.shape
    room = bordered(images, height, width, channels)
    inside(room).copy_(maps.permute(0, 2, 3, 1))
    layer = Winograd(weight, bias, pool=pool)
    out = bordered(images, *layer.size_after(height, width), layer.channels[1])
    layer(room, inside(out))
    edges = out.clone()
    inside(edges).zero_()
    assert not edges.any()
    return inside(out).permute(0, 3, 1, 2)


def _exactly(maps: Tensor, weight: Tensor, bias: Tensor, *, pool: bool) -> Tensor:
    convolved = functional.conv2d(maps.double(), weight.double(), bias.double(), padding=1).relu()
    return functional.max_pool2d(convolved, 2) if pool else convolved


@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize(
    ("images", "height", "width", "ins", "outs"),
    [(1, 4, 4, 1, 1), (3, 8, 4, 5, 7), (70, 12, 8, 16, 8), (2, 48, 32, 64, 24)],
)
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_it_is_a_convolution(
    images: int, height: int, width: int, ins: int, outs: int, pool: bool, offset: float
) -> None:
    """It convolves as in float64 to within 1e-5 of the largest value, far from zero too, and leaves borders alone."""
    random = torch.Generator().manual_seed(images)
    maps = torch.randn(images, ins, height, width, generator=random) + offset
    weight, bias = torch.randn(outs, ins, 3, 3, generator=random) / (3 * ins**0.5), torch.randn(outs, generator=random)
    wanted = _exactly(maps, weight, bias, pool=pool)
    found = _by_tiles(maps, weight, bias, pool=pool)
    assert float((found - wanted).abs().max()) <= 1e-5 * max(float(wanted.abs().max()), offset)


def test_it_loses_hardly_more_digits_than_the_direct_sum() -> None:
    """Over a layer of VGGish the error of rounding is less than four times that of torch's own convolution."""
    random = torch.Generator().manual_seed(5)
    maps = torch.randn(2, 128, 24, 16, generator=random).relu()
    weight, bias = torch.randn(64, 128, 3, 3, generator=random) / 24, torch.zeros(64)
    wanted = _exactly(maps, weight, bias, pool=False)
    direct = functional.conv2d(maps, weight, bias, padding=1).relu() - wanted
    ours = _by_tiles(maps, weight, bias, pool=False) - wanted
    assert float(ours.square().mean().sqrt()) < 4 * float(direct.square().mean().sqrt())


@pytest.fixture(scope="module")
def network() -> VggishNetwork:
    """Full size, with weights that keep values of order 1."""
    torch.manual_seed(3)
    network = VggishNetwork().eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            parameter.normal_(0.0, float((2 / parameter[0].numel()) ** 0.5))
        else:
            parameter.normal_(0.0, 0.02)
    return network


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    random = np.random.default_rng(4)
    return random.normal(-1.0, 2.0, (37, 1, 96, 64)).astype(np.float32)


@pytest.mark.slow
def test_embeddings_of_a_full_size_network(network: VggishNetwork, windows: np.ndarray) -> None:
    """A full-size network gives float64's embeddings, of inputs near and far from zero, to 1e-5 of the largest."""
    exact = VggishNetwork().eval().requires_grad_(False)
    exact.load_state_dict(network.state_dict())
    exact.double()
    vggish = Vggish(network)
    for inputs in (windows[:2], windows[:2] + 50):
        wanted = exact(torch.from_numpy(inputs).double()).numpy()
        np.testing.assert_allclose(vggish.embed(inputs), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.slow
def test_a_window_does_not_depend_on_its_company(network: VggishNetwork, windows: np.ndarray) -> None:
    """A window's embedding is the same alone, among few and among many, to 1e-6 of the largest value."""
    vggish = Vggish(network)
    together = vggish.embed(windows)
    for start, end in ((0, 1), (3, 5), (30, 37)):
        np.testing.assert_allclose(
            vggish.embed(windows[start:end]), together[start:end], rtol=0, atol=1e-6 * np.abs(together).max()
        )


@pytest.mark.slow
def test_two_people_at_once(network: VggishNetwork, windows: np.ndarray) -> None:
    """Two threads that share a network get what each would get alone."""
    vggish = Vggish(network)
    alone = [vggish.embed(part) for part in (windows[:5], windows[5:12])]
    with ThreadPoolExecutor(2) as people:
        found = list(people.map(vggish.embed, (windows[:5], windows[5:12])))
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * np.abs(other).max())


@pytest.mark.slow
def test_it_stops_between_layers(network: VggishNetwork, windows: np.ndarray) -> None:
    """Whoever stops waits for one layer of 32 windows at most."""
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Stopped

    with pytest.raises(Stopped):
        Vggish(network).embed(windows, check)
    assert calls == 3


def test_only_float32_on_a_processor_is_done_by_tiles() -> None:
    """Another device, another precision and a network without memory keep torch's own convolutions."""
    assert suits(nn.Linear(2, 2), "cpu")
    assert not suits(nn.Linear(2, 2), "cuda")
    assert not suits(nn.Linear(2, 2, device="meta"), "cpu")
    assert not suits(nn.Linear(2, 2).double(), "cpu")
    assert not suits(nn.Linear(2, 2).bfloat16(), "cpu")
