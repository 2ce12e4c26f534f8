"""VGGish on a CPU: the same values in half the time, by tiles and in parts that stay in caches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from musiscene.networks.winograd import Winograd, bordered, inside

_AT_ONCE = 32
"""Windows that go through all layers together: so many share a layer's weights, which have to come from memory."""
_FIRST_AT_ONCE = 4
"""Windows of the first layer: it only waits for its outputs to be written, so they have to fit into a cache."""


_FEWEST_ROWS = 32
"""Rows of a dense layer; fewer are summed in another order, so that a clip would depend on what is heard with it."""


def suits(network: nn.Module, device: str) -> bool:
    """Whether `network` is of the precision, and on the device, that this is for: float32, on a CPU."""
    return device == "cpu" and all(
        parameter.dtype == torch.float32 and parameter.device.type == "cpu" for parameter in network.parameters()
    )


class VggishOnCpu:
    """A VGGish whose first convolution is done directly and the others by `Winograd`.

    It holds nothing but constants, so that several threads may use one. What a window gives does not depend on what is
    heard together with it.
    """

    def __init__(self, features: nn.Sequential, embeddings: nn.Sequential) -> None:
        """Carry the weights of the convolutions over, once.

        Args:
            features: `VggishNetwork.features`.
            embeddings: `VggishNetwork.embeddings`, which are used as they are.
        """
        self._embeddings = embeddings
        layers = list(features)
        convolutions = [(place, layer) for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
        first = convolutions[0][1]
        assert first.bias is not None
        self._first = first.weight.detach().contiguous(memory_format=torch.channels_last), first.bias.detach()
        self._others = []
        for place, layer in convolutions[1:]:
            assert layer.bias is not None
            pool = place + 2 < len(layers) and isinstance(layers[place + 2], nn.MaxPool2d)
            self._others.append(Winograd(layer.weight, layer.bias, pool=pool))

    def __call__(self, inputs: Tensor, check: Callable[[], None] = lambda: None) -> Tensor:
        """Embeddings `(n, 128)` of `(n, 1, 96, 64)`.

        Args:
            inputs: Float32, on the CPU.
            check: Called before each layer; may raise to stop.
        """
        values = self.convolve(inputs, check)
        if len(values) < _FEWEST_ROWS:
            values = functional.pad(values, (0, 0, 0, _FEWEST_ROWS - len(values)))
        for layer in self._embeddings:
            check()
            values = layer(values)
        return values[: len(inputs)]

    def convolve(self, inputs: Tensor, check: Callable[[], None] = lambda: None) -> Tensor:
        """Values `(n, 12288)`, in the order time, band, channel; arguments as above."""
        count, _, height, width = inputs.shape
        most = min(_AT_ONCE, count)
        height, width = height // 2, width // 2
        rooms = [bordered(most, height, width, self._first[1].numel())]
        for layer in self._others[:-1]:
            height, width = layer.size_after(height, width)
            rooms.append(bordered(most, height, width, layer.channels[1]))
        height, width = self._others[-1].size_after(height, width)
        maps = torch.empty(count, height, width, self._others[-1].channels[1])
        for start in range(0, count, _AT_ONCE):
            size = min(_AT_ONCE, count - start)
            check()
            self._begin(inputs[start : start + size], inside(rooms[0])[:size])
            outs = [*(inside(room)[:size] for room in rooms[1:]), maps[start : start + size]]
            for layer, room, out in zip(self._others, rooms, outs, strict=True):
                check()
                layer(room[:size], out)
        return maps.flatten(1)

    def _begin(self, inputs: Tensor, out: Tensor) -> None:
        weight, bias = self._first
        for start in range(0, len(inputs), _FIRST_AT_ONCE):
            part = inputs[start : start + _FIRST_AT_ONCE]
            if len(part) < _FIRST_AT_ONCE:  # a single window would be summed in another order
                part = functional.pad(part, (0, 0, 0, 0, 0, 0, 0, _FIRST_AT_ONCE - len(part)))
            # Marked, so that channels come out innermost: with a single one the layout does not tell.
            part = part.to(memory_format=torch.channels_last)
            convolved = functional.conv2d(part, weight, bias, padding=1)
            rows = convolved.permute(0, 2, 3, 1)
            rows = torch.maximum(rows[:, ::2], rows[:, 1::2])
            pooled = torch.maximum(rows[:, :, ::2], rows[:, :, 1::2])
            to = out[start : start + _FIRST_AT_ONCE]
            torch.clamp_min(pooled[: len(to)], 0.0, out=to)
