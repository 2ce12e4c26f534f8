"""PaSST (Koutini et al. 2022, "Efficient training of audio transformers with Patchout"): what AudioSet calls a sound.

The front end, the network and the names are those of the published checkpoints with patches of 16 at steps of 10. At
evaluation nothing is dropped out, so patchout itself has no part here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from musiscene.errors import BackendUnavailableError
from musiscene.networks.mel import mel_triangles
from musiscene.networks.tensor_files import TensorFiles, check_names, open_tensors

SAMPLE_RATE = 32_000
CLASSES = 527
BANDS = 128
MIN_SAMPLES = 4800
"""Segments of 0.15 s or less are not classified."""

_FFT, _HOP, _WINDOW = 1024, 320, 800
_PATCH, _STEP = 16, 10
_TIME_COLUMNS = {10: 99, 20: 200, 30: 300}
"""Length of the model's input in seconds -> columns of its table of time positions."""
_TRAINED_BELOW = -2.0


@cache
def _triangles() -> Tensor:
    weights = mel_triangles(BANDS, _FFT, SAMPLE_RATE, 0.0, 15_000.0)
    weights[-1] = 0.0
    return torch.from_numpy(weights.T.astype(np.float32))


def spectrogram(waves: Tensor, triangles: Tensor | None = None) -> Tensor:
    """The network's input `(batch, 128, frames)` from mono sound at 32 kHz, `(batch, samples)`.

    Pre-emphasis, power spectrum, mel triangles up to 15 kHz (`triangles`, where they are on the device of `waves`
    already), logarithm, and the authors' scaling.
    """
    emphasised = waves[:, 1:] - 0.97 * waves[:, :-1]
    window = torch.hann_window(_WINDOW, periodic=False, device=waves.device)
    spectrum = torch.stft(emphasised, _FFT, _HOP, _WINDOW, window, center=True, pad_mode="reflect", return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    bands = (_triangles().to(waves.device) if triangles is None else triangles) @ power
    return ((bands + 1e-5).log() + 4.5) / 5.0


@dataclass(frozen=True, slots=True)
class PasstConfig:
    """Sizes of a PaSST; those of the published ones by default.

    Attributes:
        width: Values of a token.
        depth: Number of blocks.
        heads: Attention heads of each.
        time_columns: Columns of the table of time positions.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    time_columns: int = _TIME_COLUMNS[20]

    @property
    def input_s(self) -> int:
        """Length of the segments that it classifies, in seconds: that of the published model with such a table."""
        return min(_TIME_COLUMNS, key=lambda seconds: abs(_TIME_COLUMNS[seconds] - self.time_columns))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, length, width = tokens.shape
        qkv = self.qkv(tokens).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return projected


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        changed: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return changed


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = _Mlp(width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        changed: Tensor = tokens + self.mlp(self.norm2(tokens))
        return changed


class _PatchEmbed(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, _PATCH, stride=_STEP)

    def forward(self, images: Tensor) -> Tensor:
        patches: Tensor = self.proj(images)
        return patches


class PasstNetwork(nn.Module):
    """The transformer; module names are the checkpoints'."""

    def __init__(self, config: PasstConfig) -> None:
        super().__init__()
        self.config = config
        width, rows = config.width, 1 + (BANDS - _PATCH) // _STEP
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, width))
        self.new_pos_embed = nn.Parameter(torch.zeros(1, 2, width))
        self.freq_new_pos_embed = nn.Parameter(torch.zeros(1, width, rows, 1))
        self.time_new_pos_embed = nn.Parameter(torch.zeros(1, width, 1, config.time_columns))
        self.patch_embed = _PatchEmbed(width)
        self.blocks = nn.ModuleList(_Block(width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, CLASSES))
        self.head_dist = nn.Linear(width, CLASSES)  # in the files, used in training only

    def forward(self, spectrograms: Tensor, check: Callable[[], None] = lambda: None) -> Tensor:
        """Logits `(batch, 527)` of `(batch, 128, frames)`, up to as many frames as there are time positions.

        Args:
            spectrograms: From `spectrogram`.
            check: Called between blocks; may raise to stop.
        """
        patches = self.patch_embed(spectrograms[:, None])
        columns = min(patches.shape[-1], self.config.time_columns)
        patches = patches[..., :columns] + self.time_new_pos_embed[..., :columns] + self.freq_new_pos_embed
        batch = len(patches)
        first = torch.cat([self.cls_token, self.dist_token], dim=1) + self.new_pos_embed
        tokens = torch.cat([first.expand(batch, -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        for block in self.blocks:
            check()
            tokens = block(tokens)
        tokens = self.norm(tokens)
        logits: Tensor = self.head(tokens[:, :2].mean(dim=1))
        return logits


@dataclass(frozen=True, slots=True)
class Passt:
    """A network with where its weights are from.

    Attributes:
        network: In evaluation mode.
        source: Where the weights are from; empty for random ones, whose numbers mean nothing.
        device: Where it runs.
    """

    network: PasstNetwork
    source: str = ""
    device: str = "cpu"
    _triangles: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_triangles", _triangles().to(self.device))

    @property
    def input_s(self) -> int:
        """Length of its segments, in seconds."""
        return self.network.config.input_s

    @torch.inference_mode()
    def logits(self, waves: NDArray[np.float32], check: Callable[[], None] = lambda: None) -> NDArray[np.float32]:
        """Logits `(batch, 527)` of mono sound at 32 kHz, `(batch, samples)`, all of one length above 0.15 s.

        Args:
            waves: The segments.
            check: Called between blocks; may raise to stop.
        """
        batch = torch.from_numpy(np.ascontiguousarray(waves, np.float32)).to(self.device)
        classified: NDArray[np.float32] = self.network(spectrogram(batch, self._triangles), check).float().cpu().numpy()
        return classified


def segments(samples: int, input_s: int) -> list[tuple[int, int]]:
    """Parts `(start, end)` of a clip of `samples` at 32 kHz that are classified one by one.

    They follow one another; the last one keeps its length (no padding), and 0.15 s or less is left out, as
    audiocraft's PaSST metric does.
    """
    step = input_s * SAMPLE_RATE
    parts = [(start, min(start + step, samples)) for start in range(0, samples, step)]
    return [(start, end) for start, end in parts if end - start > MIN_SAMPLES]


def build(config: PasstConfig) -> PasstNetwork:
    """The network on the meta device: names and shapes without memory."""
    with torch.device("meta"):
        network = PasstNetwork(config)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network


def load_passt(path: Path, *, heads: int | None = None, device: str = "cpu") -> Passt:
    """Load a PaSST from a file in the published layout (.pt or .safetensors), or the folder that holds it.

    The model's sizes, and its length (10, 20 or 30 s), are read from the shapes.

    Args:
        path: The file or folder.
        heads: Attention heads, which no shape tells; heads of 64 values, as published, when None.
        device: Where it shall run.

    Raises:
        BackendUnavailableError: Not there, damaged, or another network's.
    """
    files = open_tensors(path)
    network = build(_config(files, heads))
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    check_names(path, files.shapes, expected)
    network.load_state_dict({name: files[name].to(device, torch.float32) for name in expected}, assign=True)
    network.train(False)
    return Passt(network, source=str(path), device=device)


def _config(files: TensorFiles, heads: int | None) -> PasstConfig:
    shapes = files.shapes
    time = shapes.get("time_new_pos_embed", ())
    if len(time) != 4:
        return PasstConfig()  # the comparison of names will say what is wrong
    width = time[1]
    depth = len({name.split(".")[1] for name in shapes if name.startswith("blocks.")})
    return PasstConfig(width, depth, heads or max(1, width // 64), time[3])


@torch.inference_mode()
def check_trained(passt: Passt) -> None:
    """Classify a short sound and see whether most classes are called improbable.

    A clip of AudioSet has two or three of 527 labels, so the logits of any trained classifier lie far below 0 on the
    average; those of a random network lie around 0.

    Raises:
        BackendUnavailableError: The weights are not those of a trained classifier.
    """
    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    wave = 0.3 * np.sin(2 * np.pi * 440.0 * time) * (1 + np.sin(2 * np.pi * 2.0 * time)) / 2
    level = float(np.median(passt.logits(wave[None].astype(np.float32))))
    if not level < _TRAINED_BELOW:
        raise BackendUnavailableError(
            f"{passt.source or 'This PaSST'} has the layout of PaSST, and not trained weights: its median logit is "
            f"{level:.2f}, where a classifier of 527 classes lies far below {_TRAINED_BELOW:g}. "
            "No score is computed from it."
        )
