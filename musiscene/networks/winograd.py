"""3x3 convolution on a CPU with a quarter of the multiplications: Winograd's minimal filtering, four by four outputs.

F(4x4, 3x3) of Lavin & Gray (2016, "Fast algorithms for convolutional neural networks", sections 3 and 4): a tile of
6x6 inputs is carried over into 36 values, in which the convolution is a product of matrices over the channels, and 36
values are carried back into 4x4 outputs. The points of the underlying interpolation are 0, ±1/√2, ±√2 and infinity;
points that are one another's negative and reciprocal lose the fewest digits (Alam et al. 2022, "Winograd convolution
for deep neural networks: efficient point selection"). Measured: twice the rounding error of the direct sum, a quarter
of that of the customary points 0, ±1, ±2.

Maps are `(images, height, width, channels)` with a border of one zero, so that a layer writes what the next one reads.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TILE = 4
"""Sides of the maps are multiples of it."""

_IN = TILE + 2
_VALUES, _OUTPUTS = _IN * _IN, TILE * TILE
_POINTS = (0.0, math.sqrt(0.5), -math.sqrt(0.5), math.sqrt(2.0), -math.sqrt(2.0))
_COLUMNS = 1 << 13
"""Columns that a thread carries over at once: 36 rows of them stay in a cache."""
_TILES = 192
"""Tiles that go through one product with a layer's weights, which have to come from memory for it."""


def _matrices() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """One-dimensional transforms of inputs (6, 6), weights (6, 3) and outputs (4, 6): Toom-Cook, transposed."""
    inputs, weights, outputs = np.zeros((_IN, _IN)), np.zeros((_IN, 3)), np.zeros((TILE, _IN))
    for row, point in enumerate(_POINTS):
        others = [other for other in _POINTS if other != point]
        inputs[row, : _IN - 1] = np.poly(others)[::-1]
        weights[row] = point ** np.arange(3) / np.prod([point - other for other in others])
        outputs[:, row] = point ** np.arange(TILE)
    inputs[-1] = np.poly(_POINTS)[::-1]
    weights[-1, -1] = outputs[-1, -1] = 1.0
    return inputs, weights, outputs


def _float(matrix: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(matrix, np.float32))


def _step(columns: int) -> int:
    """Images of so many columns that are carried over at once."""
    return max(1, _COLUMNS * torch.get_num_threads() // columns)


def bordered(images: int, height: int, width: int, channels: int) -> Tensor:
    """Room for maps with a border of zeros."""
    return torch.zeros(images, height + 2, width + 2, channels)


def inside(maps: Tensor) -> Tensor:
    """Maps without their border."""
    return maps[:, 1:-1, 1:-1]


class Winograd:
    """A convolution of 3x3 with stride 1 and padding 1, its bias and a ReLU, and 2x2 maximum pooling where asked for.

    It holds nothing but constants, so that several threads may use one.
    """

    def __init__(self, weight: Tensor, bias: Tensor, *, pool: bool) -> None:
        """Carry weights `(outputs, inputs, 3, 3)` over, once.

        Args:
            weight: Float32, on the CPU.
            bias: `(outputs,)`.
            pool: Whether maxima of 2x2 are taken.
        """
        inputs, weights, outputs = _matrices()
        self._before = _float(np.kron(inputs, inputs))
        # A row of its own for the bias, which so costs no pass over the outputs.
        self._after = _float(np.hstack([np.kron(outputs, outputs), np.ones((_OUTPUTS, 1))]))
        kernels = weight.detach().double().flatten(2).permute(2, 1, 0).reshape(9, -1)
        carried = torch.from_numpy(np.kron(weights, weights)) @ kernels
        self.channels = weight.shape[1], weight.shape[0]
        self._weights = carried.view(_VALUES, *self.channels).float()
        self._bias = bias.detach()
        self._pool = pool

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what becomes of maps of a height and width."""
        return (height // 2, width // 2) if self._pool else (height, width)

    def __call__(self, maps: Tensor, out: Tensor) -> None:
        """Convolve `maps` `(n, h + 2, w + 2, inputs)`, whose border is 0, into `out`.

        Args:
            maps: Height and width are multiples of 4.
            out: `(n, h, w, outputs)`, or half of each side when pooled; may be a view of larger maps.
        """
        high, wide = (maps.shape[1] - 2) // TILE, (maps.shape[2] - 2) // TILE
        step = max(1, _TILES // (high * wide))
        ins, outs = self.channels
        tiles = min(step, len(maps)) * high * wide
        carried = torch.empty(_VALUES, tiles, ins)
        products = torch.empty(_VALUES + 1, tiles, outs)
        products[-1] = self._bias
        for start in range(0, len(maps), step):
            part = maps[start : start + step]
            tiles = len(part) * high * wide
            self._carry_over(part, carried[:, :tiles])
            torch.bmm(carried[:, :tiles], self._weights, out=products[:-1, :tiles])
            self._carry_back(products[:, :tiles], out[start : start + step], high, wide)

    def _carry_over(self, maps: Tensor, carried: Tensor) -> None:
        """Tiles of 6x6, every fourth place, into `carried` `(36, tiles, channels)`."""
        images, _, width, channels = maps.shape
        high, wide = (maps.shape[1] - 2) // TILE, (width - 2) // TILE
        image, row, column, _ = maps.stride()
        step = _step(high * wide * channels)
        room = torch.empty(_IN, _IN, min(step, images), high, wide, channels)
        for start in range(0, images, step):
            count = min(step, images - start)
            tiles = maps[start:].as_strided(
                (_IN, _IN, count, high, wide, channels), (row, column, image, TILE * row, TILE * column, 1)
            )
            held = room if count == room.shape[2] else room.flatten()[: tiles.numel()].view(tiles.shape)
            held.copy_(tiles)
            begin = start * high * wide
            to = carried[:, begin : begin + count * high * wide].flatten(1)
            torch.mm(self._before, held.view(_VALUES, -1), out=to)

    def _carry_back(self, products: Tensor, out: Tensor, high: int, wide: int) -> None:
        """Products `(37, tiles, channels)` into outputs."""
        images, channels = len(out), products.shape[2]
        step = _step(high * wide * channels)
        for start in range(0, images, step):
            count = min(step, images - start)
            begin = start * high * wide
            block = products[:, begin : begin + count * high * wide].flatten(1)
            outputs = torch.mm(self._after, block).view(TILE, TILE, count, high, wide, channels)
            if self._pool:
                outputs = outputs.view(2, 2, TILE, count, high, wide, channels)
                outputs = torch.maximum(outputs[:, 0], outputs[:, 1])
                outputs = outputs.view(2, 2, 2, count, high, wide, channels)
                outputs = torch.maximum(outputs[:, :, 0], outputs[:, :, 1])
            side = outputs.shape[0]
            to = out[start : start + count].view(count, high, side, wide, side, channels)
            torch.clamp_min(outputs.permute(2, 3, 0, 4, 1, 5), 0.0, out=to)
