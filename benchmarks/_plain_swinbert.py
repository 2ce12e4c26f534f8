"""SwinBERT's original scheme of inference, written plainly from its description: the yardstick, not a backend.

Whole maps at once through windowed attention with every score and every mask written out, and for every word all words
and all video tokens through all layers again. It runs on the parameters of our network, so both say the same.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional

from musiscene.networks.swinbert import SwinBert
from musiscene.networks.video_swin import SwinBlock, VideoSwin, WindowPlan


def shift_mask(plan: WindowPlan) -> Tensor:
    """Additive mask (windows, tokens, tokens) from regions labelled over the whole padded map."""
    labels = torch.zeros(1, *(count * size for count, size in zip(plan.counts, plan.window, strict=True)), 1)
    cuts = [
        [slice(0, -w), slice(-w, -s), slice(-s, None)] if s else [slice(None)]
        for w, s in zip(plan.window, plan.shift, strict=True)
    ]
    for number, place in enumerate(itertools.product(*cuts)):
        labels[(0, *place, 0)] = number
    (nd, nh, nw), (wd, wh, ww) = plan.counts, plan.window
    regions = labels.view(nd, wd, nh, wh, nw, ww).permute(0, 2, 4, 1, 3, 5).reshape(-1, plan.tokens)
    return (regions[:, :, None] != regions[:, None]).float() * -100.0


def run_block(block: SwinBlock, x: Tensor, index: Tensor) -> Tensor:
    """One block: attention scores of all windows and heads at once."""
    batch, depth, height, width, channels = x.shape
    plan = WindowPlan.of((depth, height, width), block.window, shifted=block.shifted)
    windows = plan.split(block.norm1(x))
    count, tokens, _ = windows.shape
    heads, size = block.attn.heads, channels // block.attn.heads
    query, key, value = block.attn.qkv(windows).view(count, tokens, 3, heads, size).permute(2, 0, 3, 1, 4)
    scores = (query * size**-0.5) @ key.transpose(-2, -1)
    table = block.attn.relative_position_bias_table[index[:tokens, :tokens].reshape(-1)]
    scores = scores + table.view(tokens, tokens, heads).permute(2, 0, 1)
    if any(plan.shift):
        mask = shift_mask(plan).to(scores)
        scores = scores.view(batch, len(mask), heads, tokens, tokens) + mask[None, :, None]
        scores = scores.view(count, heads, tokens, tokens)
    mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(count, tokens, channels)
    x = x + plan.join(block.attn.proj(mixed), batch)
    return x + block.mlp.fc2(functional.gelu(block.mlp.fc1(block.norm2(x))))


def run_backbone(backbone: VideoSwin, video: Tensor) -> Tensor:
    """(batch, colour, frames, height, width) -> (batch, tokens, channels)."""
    x = backbone.patch_embed(video)
    for stage in backbone.layers:
        for block in stage.blocks:
            x = run_block(block, x, backbone.relative_position_index)
        if stage.downsample is not None:
            x = stage.downsample(x)
    return backbone.norm(x).flatten(1, 3)


def visual_tokens(model: SwinBert, frames: Tensor) -> Tensor:
    """Prepared frames -> video tokens."""
    features = run_backbone(model.swin.backbone, frames.to(model.device, model.dtype).transpose(1, 2))
    return model.bert.img_embedding(model.fc(features))


def greedy(model: SwinBert, tokens: Tensor) -> Tensor:
    """Ids of the captions, everything encoded again for every word."""
    config = model.config
    ids = torch.full((len(tokens), 1), config.cls_id, device=model.device)
    finished = torch.zeros(len(tokens), dtype=torch.bool, device=model.device)
    while ids.shape[1] < config.max_gen_length and not finished.all():
        probe = torch.cat([ids, torch.full_like(ids[:, :1], config.mask_id)], dim=1)
        logits = model.word_logits(model(probe, tokens)[:, : probe.shape[1]])  # of every place, as the original
        word = torch.where(finished, config.pad_id, logits[:, -1].argmax(-1))
        finished |= word == config.sep_id
        ids = torch.cat([ids, word[:, None]], dim=1)
    ids[:, -1] = torch.where(finished, ids[:, -1], config.sep_id)
    return functional.pad(ids, (0, config.max_gen_length - ids.shape[1]), value=config.pad_id)
