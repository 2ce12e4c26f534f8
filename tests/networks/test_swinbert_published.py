"""Every key and shape of the published SwinBERT checkpoints, on the meta device."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from musiscene.networks.swinbert import SwinBert, SwinBertConfig
from musiscene.networks.swinbert.checkpoint import published_shapes
from musiscene.networks.swinbert.config import from_weights

DEPTHS, HEADS, CHANNELS = (2, 2, 18, 2), (4, 8, 16, 32), (128, 256, 512, 1024)
UNUSED = ("trans_encoder.bert.pooler.", "trans_encoder.cls_img_feat.")


def published_table(frames: int = 32) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the authors' model.bin, 567 of them."""
    table: dict[str, tuple[int, ...]] = {}

    def linear(name: str, rows: int, columns: int, *, bias: bool = True) -> None:
        table[f"{name}.weight"] = (rows, columns)
        if bias:
            table[f"{name}.bias"] = (rows,)

    def norm(name: str, size: int) -> None:
        table[f"{name}.weight"] = table[f"{name}.bias"] = (size,)

    swin = "swin.backbone"
    table[f"{swin}.patch_embed.proj.weight"] = (128, 3, 2, 4, 4)
    table[f"{swin}.patch_embed.proj.bias"] = (128,)
    norm(f"{swin}.patch_embed.norm", 128)
    for stage, (depth, heads, size) in enumerate(zip(DEPTHS, HEADS, CHANNELS, strict=True)):
        for block in range(depth):
            here = f"{swin}.layers.{stage}.blocks.{block}"
            norm(f"{here}.norm1", size)
            norm(f"{here}.norm2", size)
            table[f"{here}.attn.relative_position_bias_table"] = (2535, heads)
            table[f"{here}.attn.relative_position_index"] = (392, 392)
            linear(f"{here}.attn.qkv", 3 * size, size)
            linear(f"{here}.attn.proj", size, size)
            linear(f"{here}.mlp.fc1", 4 * size, size)
            linear(f"{here}.mlp.fc2", size, 4 * size)
        if stage < 3:
            linear(f"{swin}.layers.{stage}.downsample.reduction", 2 * size, 4 * size, bias=False)
            norm(f"{swin}.layers.{stage}.downsample.norm", 4 * size)
    norm(f"{swin}.norm", 1024)
    linear("fc", 512, 1024)
    tokens = frames // 2 * 49
    table["learn_vid_att.weight"] = (tokens * tokens, 1)
    bert = "trans_encoder.bert"
    for kind, rows in (("word", 30522), ("position", 512), ("token_type", 2)):
        table[f"{bert}.embeddings.{kind}_embeddings.weight"] = (rows, 768)
    norm(f"{bert}.embeddings.LayerNorm", 768)
    linear(f"{bert}.img_embedding", 768, 512)
    for layer in range(12):
        here = f"{bert}.encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{here}.attention.{part}", 768, 768)
        norm(f"{here}.attention.output.LayerNorm", 768)
        linear(f"{here}.intermediate.dense", 3072, 768)
        linear(f"{here}.output.dense", 768, 3072)
        norm(f"{here}.output.LayerNorm", 768)
    linear(f"{bert}.pooler.dense", 768, 768)
    for head in ("cls.predictions", "cls_img_feat"):
        linear(f"trans_encoder.{head}.transform.dense", 768, 768)
        norm(f"trans_encoder.{head}.transform.LayerNorm", 768)
    table["trans_encoder.cls.predictions.decoder.weight"] = (30522, 768)
    table["trans_encoder.cls.predictions.bias"] = (30522,)
    table["trans_encoder.cls_img_feat.decoder.weight"] = (2048, 768)
    table["trans_encoder.cls_img_feat.bias"] = (2048,)
    return table


@pytest.mark.parametrize("frames", [32, 64])
def test_every_published_tensor_has_its_place(frames: int) -> None:
    """The full-size network has exactly the published names and shapes, but the index and the unused heads."""
    table = published_table(frames)
    with torch.device("meta"):
        model = SwinBert(replace(SwinBertConfig(), max_num_frames=frames))
    used = {
        name: shape
        for name, shape in table.items()
        if not name.startswith(UNUSED) and not name.endswith("relative_position_index")
    }

    assert len(table) == 567
    assert published_shapes(model) == used
    parameters = sum(tensor.numel() for tensor in model.parameters())
    unused = 590_592 + 2_167_040
    assert parameters + unused == {32: 224_885_250, 64: 226_729_218}[frames]


@pytest.mark.parametrize("frames", [32, 64])
def test_published_shapes_tell_the_configuration(frames: int) -> None:
    """From the published shapes alone come the published sizes and the number of frames."""
    assert from_weights(published_table(frames)) == replace(SwinBertConfig(), max_num_frames=frames)
