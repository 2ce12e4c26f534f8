"""Windows, shifts and masks of the video backbone, and weights under torchvision's names."""

from __future__ import annotations

import itertools

import pytest
import torch

from musiscene.networks.video_swin import (
    VideoSwin,
    VideoSwinConfig,
    WindowPlan,
    from_torchvision,
    relative_position_index,
)

SIZES = [(16, 56, 56), (16, 7, 7), (8, 14, 14), (5, 9, 13), (1, 1, 1), (9, 7, 8)]
TINY = VideoSwinConfig(embed_dim=8, depths=(2, 2, 2), num_heads=(1, 2, 2), window_size=(4, 2, 2))


@pytest.mark.parametrize("map_size", SIZES)
@pytest.mark.parametrize("shifted", [False, True])
def test_windows_join_to_what_was_split(map_size: tuple[int, int, int], shifted: bool) -> None:
    """Splitting into windows, padded and shifted, and joining them again loses nothing."""
    plan = WindowPlan.of(map_size, (8, 7, 7), shifted=shifted)
    x = torch.randn(2, *map_size, 3)
    windows = plan.split(x)

    assert windows.shape[1] == plan.tokens
    assert torch.equal(plan.join(windows, 2), x)


@pytest.mark.parametrize(
    ("map_size", "window", "shift"),
    [
        ((16, 56, 56), (8, 7, 7), (4, 3, 3)),
        ((16, 7, 7), (8, 7, 7), (4, 0, 0)),
        ((8, 14, 14), (8, 7, 7), (0, 3, 3)),
        ((4, 3, 9), (4, 3, 7), (0, 0, 3)),
    ],
)
def test_small_maps_shrink_the_window_and_stop_the_shift(
    map_size: tuple[int, int, int], window: tuple[int, int, int], shift: tuple[int, int, int]
) -> None:
    """On an axis that fits into one window the window is the map and does not move."""
    plan = WindowPlan.of(map_size, (8, 7, 7), shifted=True)

    assert (plan.window, plan.shift) == (window, shift)


@pytest.mark.parametrize("map_size", [(16, 14, 14), (5, 9, 13), (16, 7, 7), (12, 8, 21)])
def test_grouped_masks_equal_the_published_rule(map_size: tuple[int, int, int]) -> None:
    """The few shared masks are those that regions labelled over the whole padded map give window by window."""
    plan = WindowPlan.of(map_size, (8, 7, 7), shifted=True)
    padded = [count * size for count, size in zip(plan.counts, plan.window, strict=True)]
    labels = torch.zeros(1, *padded, 1)
    cuts = [
        [slice(0, -w), slice(-w, -s), slice(-s, None)] if s else [slice(None)]
        for w, s in zip(plan.window, plan.shift, strict=True)
    ]
    for number, place in enumerate(itertools.product(*cuts)):
        labels[(0, *place, 0)] = number
    (nd, nh, nw), (wd, wh, ww) = plan.counts, plan.window
    regions = labels.view(nd, wd, nh, wh, nw, ww).permute(0, 2, 4, 1, 3, 5).reshape(-1, plan.tokens)
    expected = (regions[:, :, None] != regions[:, None]).float() * -100.0
    actual = torch.full_like(expected, float("nan"))
    groups = list(plan.groups(1, torch.device("cpu")))
    for windows, mask in groups:
        actual[windows] = 0.0 if mask is None else mask

    assert torch.equal(actual, expected)
    assert len(groups) <= 8


def test_relative_positions_are_counted_from_the_corner() -> None:
    """Index = time offset, row offset, column offset, each from 0, in the mixed base of the window."""
    index = relative_position_index((8, 7, 7))

    assert index.shape == (392, 392)
    assert index[0, 0] == 7 * 169 + 6 * 13 + 6
    assert (int(index.min()), int(index.max())) == (0, 15 * 13 * 13 - 1)
    assert index[1, 0] - index[0, 0] == 1
    assert index[7, 0] - index[0, 0] == 13
    assert index[49, 0] - index[0, 0] == 169


def test_clips_of_a_batch_do_not_meet() -> None:
    """Features of a clip are the same alone and beside others."""
    torch.manual_seed(0)
    backbone = VideoSwin(TINY).eval()
    video = torch.randn(3, 3, 10, 28, 36)
    with torch.inference_mode():
        together = backbone(video)
        for clip in range(3):
            torch.testing.assert_close(backbone(video[clip : clip + 1])[0], together[clip], atol=1e-5, rtol=0)

    assert together.shape == (3, 5, 2, 3, TINY.out_channels)


def test_weights_under_the_names_of_torchvision_load() -> None:
    """What torchvision's swin3d models call their tensors maps to ours, completely; the classifier is left out."""
    torch.manual_seed(0)
    ours = VideoSwin(TINY).state_dict()
    theirs = {"head.weight": torch.zeros(400, 32), "head.bias": torch.zeros(400)}
    for name, tensor in ours.items():
        parts = name.split(".")
        if parts[0] == "layers" and parts[2] == "blocks":
            rest = ".".join(parts[4:]).replace("mlp.fc1", "mlp.0").replace("mlp.fc2", "mlp.3")
            theirs[f"features.{2 * int(parts[1])}.{parts[3]}.{rest}"] = tensor
            if rest == "attn.qkv.weight":
                theirs[f"features.{2 * int(parts[1])}.{parts[3]}.attn.relative_position_index"] = torch.zeros(256)
        elif parts[0] == "layers":
            theirs[f"features.{2 * int(parts[1]) + 1}.{'.'.join(parts[3:])}"] = tensor
        else:
            theirs[name] = tensor
    backbone = VideoSwin(TINY)
    backbone.load_state_dict(from_torchvision(theirs), strict=True)

    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, ours[name]), name
