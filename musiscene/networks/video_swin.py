"""Video Swin Transformer, the picture half of SwinBERT (inference only).

Liu et al., "Video Swin Transformer", CVPR 2022: a hierarchy of windowed self-attention over patches of time and space.
Names and shapes of the parameters are those of the published checkpoints, so these load as they are.

Two things are done for speed and memory, both exact:

* Windows that share a mask share one bias. In a shifted block only the last window of an axis mixes regions, so at
  most eight different masks exist, however many windows there are.
* On a CPU windows and feed-forward rows go through in pieces that stay in the cache.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

Size3: TypeAlias = tuple[int, int, int]
"""Along time, height and width."""

Watch: TypeAlias = Callable[[float], None]
"""Told how much of the work is done (0 to 1), often; may raise to end it."""

_REGION_PENALTY = -100.0
_CPU_ROWS = 2048
"""Rows of the feed-forward part, or tokens of attention, that go through at once on a CPU."""


def ignore_progress(fraction: float) -> None:
    """A `Watch` that does nothing."""


@dataclass(frozen=True, slots=True)
class VideoSwinConfig:
    """Sizes of the backbone; the defaults are Video Swin-B with the window of SwinBERT."""

    embed_dim: int = 128
    depths: tuple[int, ...] = (2, 2, 18, 2)
    num_heads: tuple[int, ...] = (4, 8, 16, 32)
    window_size: Size3 = (8, 7, 7)
    patch_size: Size3 = (2, 4, 4)
    in_chans: int = 3
    mlp_ratio: float = 4.0
    layer_norm_eps: float = 1e-5

    @property
    def out_channels(self) -> int:
        """Channels of the last stage: doubled by each merging."""
        return int(self.embed_dim * 2 ** (len(self.depths) - 1))


@dataclass(frozen=True)
class WindowPlan:
    """How one map is cut into windows.

    Attributes:
        map_size: Of the map, before padding.
        window: Size of a window, never larger than the map.
        shift: How far the windows are moved; 0 on an axis that fits into one window.
    """

    map_size: Size3
    window: Size3
    shift: Size3

    @classmethod
    def of(cls, map_size: Size3, window: Size3, *, shifted: bool) -> WindowPlan:
        """The rule of the original: where the map is not larger than the window, the window is the map, unshifted."""
        fitted = tuple(min(side, size) for side, size in zip(map_size, window, strict=True))
        shift = tuple(size // 2 if shifted and side > size else 0 for side, size in zip(map_size, window, strict=True))
        return cls(map_size, (fitted[0], fitted[1], fitted[2]), (shift[0], shift[1], shift[2]))

    @cached_property
    def counts(self) -> Size3:
        """Windows along each axis; the last ones may reach beyond the map."""
        d, h, w = (-(-side // size) for side, size in zip(self.map_size, self.window, strict=True))
        return d, h, w

    @property
    def tokens(self) -> int:
        """Tokens in one window."""
        return self.window[0] * self.window[1] * self.window[2]

    def split(self, x: Tensor) -> Tensor:
        """(batch, *map, channels) -> (batch * windows, tokens, channels), padded with zeros and shifted."""
        batch, channels = x.shape[0], x.shape[-1]
        (nd, nh, nw), (wd, wh, ww) = self.counts, self.window
        short = [count * size - side for side, size, count in zip(self.map_size, self.window, self.counts, strict=True)]
        if any(short):
            x = functional.pad(x, (0, 0, 0, short[2], 0, short[1], 0, short[0]))
        if any(self.shift):
            x = torch.roll(x, [-s for s in self.shift], (1, 2, 3))
        x = x.view(batch, nd, wd, nh, wh, nw, ww, channels).permute(0, 1, 3, 5, 2, 4, 6, 7)
        return x.reshape(-1, self.tokens, channels)

    def join(self, windows: Tensor, batch: int) -> Tensor:
        """The inverse of `split`; what lies in the padding is dropped."""
        (nd, nh, nw), (wd, wh, ww) = self.counts, self.window
        x = windows.view(batch, nd, nh, nw, wd, wh, ww, -1).permute(0, 1, 4, 2, 5, 3, 6, 7)
        x = x.reshape(batch, nd * wd, nh * wh, nw * ww, -1)
        if any(self.shift):
            x = torch.roll(x, self.shift, (1, 2, 3))
        depth, height, width = self.map_size
        return x[:, :depth, :height, :width]

    def groups(self, batch: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Windows that share a mask: (their indices, additive mask (tokens, tokens) or None where all may look).

        Rolling brings the two ends of an axis together in its last window; tokens of different ends must not meet.
        """
        edge = []  # per axis, per window: is it the last one of a shifted axis?
        for count, shift in zip(self.counts, self.shift, strict=True):
            edge.append([bool(shift) and index == count - 1 for index in range(count)])
        kinds = [kind for _ in range(batch) for kind in itertools.product(*edge)]
        for kind in sorted(set(kinds)):
            indices = torch.tensor([i for i, other in enumerate(kinds) if other == kind], device=device)
            if not any(kind):
                yield indices, None
                continue
            ends = [
                (torch.arange(size, device=device) >= size - shift * is_edge).long()
                for size, shift, is_edge in zip(self.window, self.shift, kind, strict=True)
            ]
            region = (ends[0][:, None, None] * 4 + ends[1][:, None] * 2 + ends[2]).flatten()
            yield indices, (region[:, None] != region).float() * _REGION_PENALTY


def relative_position_index(window: Size3) -> Tensor:
    """Row of the bias table for each pair of tokens in a window, shape (tokens, tokens), int64."""
    axes = torch.meshgrid(*(torch.arange(size) for size in window), indexing="ij")
    places = torch.stack([axis.flatten() for axis in axes])
    offsets = places[:, :, None] - places[:, None, :]
    d, h, w = (offsets[axis] + window[axis] - 1 for axis in range(3))
    return (d * (2 * window[1] - 1) + h) * (2 * window[2] - 1) + w


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows, with a learned bias for each relative position."""

    def __init__(self, channels: int, heads: int, window: Size3) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        offsets = (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(offsets, heads))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def position_bias(self, index: Tensor, tokens: int) -> Tensor:
        """Bias of shape (heads, tokens, tokens).

        In a window cut down to a small map the top-left part of the index is not the geometrically right one, but it
        is what the published weights were trained with.
        """
        rows = index[:tokens, :tokens].flatten()
        return self.relative_position_bias_table.t().index_select(1, rows).view(self.heads, tokens, tokens)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Attend within each of `x` (windows, tokens, channels); `bias` is (heads, tokens, tokens)."""
        windows, tokens, channels = x.shape
        qkv = self.qkv(x).view(windows, tokens, 3, self.heads, channels // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.expand(windows, -1, -1, -1))
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(windows, tokens, channels))
        return out


class FeedForward(nn.Module):
    """Two linear layers around a GELU."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class SwinBlock(nn.Module):
    """Windowed attention and a feed-forward part, each behind a LayerNorm and added to what came in."""

    def __init__(self, channels: int, heads: int, config: VideoSwinConfig, *, shifted: bool) -> None:
        super().__init__()
        self.shifted = shifted
        self.window = config.window_size
        self.norm1 = nn.LayerNorm(channels, config.layer_norm_eps)
        self.attn = WindowAttention(channels, heads, config.window_size)
        self.norm2 = nn.LayerNorm(channels, config.layer_norm_eps)
        self.mlp = FeedForward(channels, int(channels * config.mlp_ratio))

    def forward(self, x: Tensor, index: Tensor, tick: Callable[[], None]) -> Tensor:
        """(batch, *map, channels) -> the same; `index` is the window's relative position index.

        `tick` is called after every piece of work, on a CPU several times a second.
        """
        batch, depth, height, width, channels = x.shape
        plan = WindowPlan.of((depth, height, width), self.window, shifted=self.shifted)
        windows = plan.split(self.norm1(x))
        bias = self.attn.position_bias(index, plan.tokens)
        limit = max(1, _CPU_ROWS // plan.tokens) if x.device.type == "cpu" else len(windows)
        for group, mask in plan.groups(batch, x.device):
            group_bias = bias if mask is None else bias + mask.to(bias.dtype)
            for piece in torch.split(group, limit):
                windows[piece] = self.attn(windows[piece], group_bias)
                tick()
        x = x + plan.join(windows, batch)
        rows = x.view(-1, channels)
        for part in torch.split(rows, _CPU_ROWS if x.device.type == "cpu" else len(rows)):
            part += self.mlp(self.norm2(part))
            tick()
        return x


class PatchMerging(nn.Module):
    """Halves height and width: four neighbours side by side, then a linear layer to twice the channels."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels, eps)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, depth, height, width, channels) -> (batch, depth, ⌈height/2⌉, ⌈width/2⌉, 2 channels)."""
        x = functional.pad(x, (0, 0, 0, x.shape[3] % 2, 0, x.shape[2] % 2))
        corners = [x[:, :, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        out: Tensor = self.reduction(self.norm(torch.cat(corners, -1)))
        return out


class SwinStage(nn.Module):
    """Blocks at one resolution, and the merging that leads to the next."""

    def __init__(self, config: VideoSwinConfig, stage: int) -> None:
        super().__init__()
        channels = config.embed_dim * 2**stage
        self.blocks = nn.ModuleList(
            SwinBlock(channels, config.num_heads[stage], config, shifted=block % 2 == 1)
            for block in range(config.depths[stage])
        )
        is_last = stage == len(config.depths) - 1
        self.downsample = None if is_last else PatchMerging(channels, config.layer_norm_eps)


class PatchEmbed(nn.Module):
    """Cuts the clip into patches of time and space and maps each to a vector."""

    def __init__(self, config: VideoSwinConfig) -> None:
        super().__init__()
        self.patch = config.patch_size
        self.proj = nn.Conv3d(config.in_chans, config.embed_dim, config.patch_size, config.patch_size)
        self.norm = nn.LayerNorm(config.embed_dim, config.layer_norm_eps)

    def forward(self, video: Tensor) -> Tensor:
        """(batch, colour, frames, height, width) -> (batch, depth, rows, columns, channels)."""
        frames, height, width = video.shape[2:]
        d, h, w = self.patch
        video = functional.pad(video, (0, -width % w, 0, -height % h, 0, -frames % d))
        out: Tensor = self.norm(self.proj(video).permute(0, 2, 3, 4, 1).contiguous())
        return out


class VideoSwin(nn.Module):
    """Video Swin Transformer without a head."""

    relative_position_index: Tensor

    def __init__(self, config: VideoSwinConfig | None = None) -> None:
        super().__init__()
        self.config = config or VideoSwinConfig()
        self.patch_embed = PatchEmbed(self.config)
        self.layers = nn.ModuleList(SwinStage(self.config, stage) for stage in range(len(self.config.depths)))
        self.norm = nn.LayerNorm(self.config.out_channels, self.config.layer_norm_eps)
        with torch.device("cpu"):  # computed, not loaded: it must exist also when the rest is laid out on "meta"
            index = relative_position_index(self.config.window_size)
        self.register_buffer("relative_position_index", index, persistent=False)

    def forward(self, video: Tensor, watch: Watch = ignore_progress) -> Tensor:
        """(batch, colour, frames, height, width) -> features (batch, depth, rows, columns, channels)."""
        x = self.patch_embed(video)
        total, done = sum(self.config.depths), 0

        def tick() -> None:
            watch(done / total)

        for stage in self.layers:
            assert isinstance(stage, SwinStage)
            for block in stage.blocks:
                x = block(x, self.relative_position_index, tick)
                done += 1
            if stage.downsample is not None:
                x = stage.downsample(x)
        out: Tensor = self.norm(x)
        watch(1.0)
        return out


def from_torchvision(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of torchvision's `SwinTransformer3d` (`swin3d_b` …) under our names; its classifier is left out.

    Load the result with `strict=True`: torchvision's features are then equal to ours.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        top, _, rest = name.partition(".")
        if top == "head" or name.endswith("relative_position_index"):
            continue
        if top == "features":
            position, _, rest = rest.partition(".")
            stage, is_merging = divmod(int(position), 2)
            place = f"layers.{stage}.downsample." if is_merging else f"layers.{stage}.blocks."
            name = place + rest.replace("mlp.0.", "mlp.fc1.").replace("mlp.3.", "mlp.fc2.")
        renamed[name] = tensor
    return renamed
