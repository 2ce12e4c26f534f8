"""VGGish (Hershey et al. 2017, "CNN architectures for large-scale audio classification"): 128 numbers for a second.

The input, the network and the published checkpoint's names are those of `vggish-10086976.pth`, the PyTorch conversion
of Google's AudioSet release. Principal components and quantisation, which that release puts after the network, are no
part of a Fréchet audio distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor, nn

from musiscene.errors import BackendUnavailableError
from musiscene.networks.mel import mel_triangles
from musiscene.networks.tensor_files import check_names, open_tensors
from musiscene.networks.vggish_cpu import VggishOnCpu, suits

SAMPLE_RATE = 16_000
HOP = 160
"""Samples between two frames (10 ms)."""
FRAMES, BANDS = 96, 64
"""Size of the network's input: 0.96 s."""
EMBEDDING = 128

_WINDOW, _FFT = 400, 512
_BLOCK = 4096
_LOG_OFFSET = 0.01
_CHANNELS = (64, 128, 256, 256, 512, 512)
_POOL_AFTER = (0, 1, 3, 5)

_SINE_MEAN, _SINE_DEVIATION = 0.00066, 0.343
"""Embedding of 3 s of a full-scale sine of 1 kHz by the published weights (Google's own smoke test)."""


@cache
def _triangles() -> NDArray[np.float64]:
    return mel_triangles(BANDS, _FFT, SAMPLE_RATE, 125.0, 7500.0)


@cache
def _hann() -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)


def log_mel(mono: NDArray[np.floating]) -> NDArray[np.float32]:
    """Log-mel magnitudes of sound at 16 kHz, `(frames, 64)`; no padding, so under 25 ms there are none.

    Args:
        mono: `(samples,)`.
    """
    if mono.size < _WINDOW:
        return np.zeros((0, BANDS), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(mono, np.float64), _WINDOW)[::HOP]
    frames = np.empty((len(windows), BANDS), np.float32)
    for start in range(0, len(windows), _BLOCK):  # bounds the memory of long files
        magnitude = np.abs(fft.rfft(windows[start : start + _BLOCK] * _hann(), _FFT, axis=1))
        frames[start : start + _BLOCK] = np.log(magnitude @ _triangles() + _LOG_OFFSET)
    return frames


def examples(mono: NDArray[np.floating], *, window: int, hop: int) -> NDArray[np.float32]:
    """The network's input, `(n, 1, 96, 64)`: the first 96 frames of every whole window of `window` samples.

    Windows that start on a frame share their frames, so that what overlaps is computed once.

    Args:
        mono: `(samples,)` at 16 kHz.
        window: Length of a window, in samples; what is left over at the end is dropped.
        hop: Samples from one window to the next; a multiple of 160.

    Raises:
        ValueError: `hop` is not a multiple of 160, or the window holds fewer than 96 frames.
    """
    if hop % HOP or window < (FRAMES - 1) * HOP + _WINDOW:
        raise ValueError(f"Windows of {window} samples every {hop} do not fall on VGGish's frames.")
    count = 1 + (mono.size - window) // hop if mono.size >= window else 0
    return _cut(log_mel(mono), count, hop // HOP)


def examples_side_by_side(mono: NDArray[np.floating]) -> NDArray[np.float32]:
    """The network's input, `(n, 1, 96, 64)`, as `torchvggish` cuts it: 96 frames after 96 frames, no overlap."""
    frames = log_mel(mono)
    return _cut(frames, len(frames) // FRAMES, FRAMES)


def _cut(frames: NDArray[np.float32], count: int, step: int) -> NDArray[np.float32]:
    if not count:
        return np.zeros((0, 1, FRAMES, BANDS), np.float32)
    views = np.lib.stride_tricks.sliding_window_view(frames, FRAMES, axis=0)[::step][:count]
    return np.array(views.transpose(0, 2, 1)[:, None], order="C")


class VggishNetwork(nn.Module):
    """Six convolutions and three dense layers, without a last ReLU; module names are the checkpoint's."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for index, channels in enumerate(_CHANNELS):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
            if index in _POOL_AFTER:
                layers.append(nn.MaxPool2d(2, 2))
            before = channels
        self.features = nn.Sequential(*layers)
        flat = before * (FRAMES // 16) * (BANDS // 16)
        self.embeddings = nn.Sequential(
            nn.Linear(flat, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, EMBEDDING),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Embeddings `(n, 128)` of `(n, 1, 96, 64)`."""
        maps: Tensor = self.features(inputs)
        # TensorFlow's order: time, band, channel.
        embedded: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return embedded


@dataclass(frozen=True, slots=True)
class Vggish:
    """A network with where its weights are from.

    Attributes:
        network: In evaluation mode.
        source: Where the weights are from; empty for random ones, whose numbers mean nothing.
        device: Where it runs.
    """

    network: VggishNetwork
    source: str = ""
    device: str = "cpu"
    _on_cpu: VggishOnCpu | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if type(self.network) is VggishNetwork and suits(self.network, self.device):  # a subclass computes otherwise
            object.__setattr__(self, "_on_cpu", VggishOnCpu(self.network.features, self.network.embeddings))
        else:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def embed(self, inputs: NDArray[np.float32], check: Callable[[], None] = lambda: None) -> NDArray[np.float32]:
        """Embeddings `(n, 128)` of examples `(n, 1, 96, 64)`, before any ReLU.

        Args:
            inputs: The examples.
            check: Called between layers on a CPU, at the beginning elsewhere; may raise to stop.
        """
        if not len(inputs):
            return np.zeros((0, EMBEDDING), np.float32)
        batch = torch.from_numpy(inputs)
        if self._on_cpu is not None:
            return self._on_cpu(batch, check).numpy()
        check()
        embedded: NDArray[np.float32] = self.network(batch.to(self.device)).float().cpu().numpy()
        return embedded


def build() -> VggishNetwork:
    """The network on the meta device: names and shapes without memory."""
    with torch.device("meta"):
        network = VggishNetwork()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network


def load_vggish(path: Path, *, device: str = "cpu") -> Vggish:
    """Load VGGish from a file in the published layout (.pth or .safetensors), or the folder that holds it.

    Raises:
        BackendUnavailableError: Not there, damaged, or another network's.
    """
    files = open_tensors(path)
    network = build()
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    check_names(path, files.shapes, expected)
    network.load_state_dict({name: files[name].to(device, torch.float32) for name in expected}, assign=True)
    network.train(False)
    return Vggish(network, source=str(path), device=device)


def check_trained(vggish: Vggish) -> None:
    """Embed the sine of Google's smoke test and compare.

    Raises:
        BackendUnavailableError: The weights are not the published ones; numbers made with them would mean nothing.
    """
    sine = np.sin(2 * np.pi * 1000.0 * np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE)
    embedded = vggish.embed(examples_side_by_side(sine))
    mean, deviation = float(embedded.mean()), float(embedded.std())
    if not (math.isclose(deviation, _SINE_DEVIATION, rel_tol=0.1) and abs(mean - _SINE_MEAN) < 0.01):
        raise BackendUnavailableError(
            f"{vggish.source or 'This VGGish'} has the layout of VGGish, and not its published weights: a 1 kHz sine "
            f"gives embeddings of mean {mean:.4f} and deviation {deviation:.3f} in place of {_SINE_MEAN} and "
            f"{_SINE_DEVIATION}. No score is computed from it."
        )
