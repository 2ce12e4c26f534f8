"""SwinBERT against what the original computed (MUSISCENE_PARITY/swinbert; its README names every tensor)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from musiscene import media
from musiscene.networks.swinbert import (
    CachedSteps,
    ReencodingSteps,
    SwinBert,
    SwinBertConfig,
    Vocabulary,
    build,
    frame_indices,
    generate,
    penalties,
    prepare,
    read_weights,
    stored_frame_indices,
)
from musiscene.networks.video_swin import VideoSwin


@dataclass(frozen=True)
class Parity:
    folder: Path
    inputs: dict[str, Tensor]
    expected: dict[str, Tensor]
    texts: dict[str, list[str]]
    config: SwinBertConfig
    document: dict[str, Any]
    model: SwinBert
    vocabulary: Vocabulary

    def variant(self, **changes: Any) -> SwinBert:
        """The same weights with another configuration."""
        config = replace(self.config, **changes)
        return build(config, read_weights(self.folder / "tiny_checkpoint.safetensors"), Path("the parity checkpoint"))


@pytest.fixture(scope="module")
def parity(parity_root: Path) -> Parity:
    folder = parity_root / "swinbert"
    if not folder.is_dir():
        pytest.skip(f"there is no parity data at {folder}")
    document = json.loads((folder / "tiny_config.json").read_text())
    config = SwinBertConfig.from_dict(document)
    checkpoint = folder / "tiny_checkpoint.safetensors"
    return Parity(
        folder=folder,
        inputs=load_file(folder / "tiny_inputs.safetensors"),
        expected=load_file(folder / "tiny_expected.safetensors"),
        texts=document["expected_text"],
        config=config,
        document=document,
        model=build(config, read_weights(checkpoint), checkpoint),
        vocabulary=Vocabulary.read(folder / "tiny_vocab.txt", config),
    )


@pytest.fixture(scope="module")
def visual_tokens(parity: Parity) -> Tensor:
    with torch.inference_mode():
        return parity.model.visual_tokens(parity.inputs["frames"])


def close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(actual, expected.to(actual.dtype), atol=tolerance, rtol=0.0)


def test_parity_preprocessing_is_exact(parity: Parity) -> None:
    """Raw frames of two aspect ratios, and one for 224 pixels, become exactly the original's input."""
    for clip in range(len(parity.inputs["frames"])):
        raw = parity.inputs[f"raw_frames_{clip}"].permute(0, 2, 3, 1).numpy()
        close(prepare(raw, parity.config.img_res), parity.inputs["frames"][clip], 0.0)
    large = parity.inputs["prep224.raw_frames"].permute(0, 2, 3, 1).numpy()
    close(prepare(large, 224), parity.expected["prep224.frames"], 0.0)


def test_parity_frame_choice_is_exact(parity: Parity) -> None:
    """Both rules choose the original's frames, also where single and double precision differ."""
    rules: dict[str, Callable[[int, int], list[int]]] = {
        "decoded": frame_indices,
        "preextracted": stored_frame_indices,
    }
    cases = [name for name in {**parity.inputs, **parity.expected} if name.startswith("sample.")]
    assert cases
    for name in cases:
        _, rule, numbers = name.split(".")
        available, wanted = (int(number) for number in numbers.split("to"))
        assert rules[rule](available, wanted) == {**parity.inputs, **parity.expected}[name].tolist(), name


def test_parity_frames_of_a_video_file(parity: Parity) -> None:
    """Read through the media layer by the online rule, a file gives the original's frames within two grey levels."""
    clip = media.probe(parity.folder / "tiny_video.mp4")
    expected = parity.expected["video.frames"].permute(0, 2, 3, 1).numpy().astype(int)
    times = media.frame_times(clip)
    frames = media.frames_at(clip, times[frame_indices(len(times), len(expected))])

    assert np.abs(frames.images.astype(int) - expected).max() <= 2


def channel_last(features: Tensor) -> Tensor:
    return features.permute(0, 2, 3, 4, 1)


def test_parity_backbone_features(parity: Parity) -> None:
    """The backbone gives the original's features at the model's own geometry."""
    with torch.inference_mode():
        features = parity.model.features(parity.inputs["frames"])
    close(features, channel_last(parity.expected["swin_features"]).flatten(1, 3), 1e-5)


@pytest.mark.parametrize("case", ["geom_pad", "geom_clamp"])
def test_parity_backbone_geometry(parity: Parity, case: str) -> None:
    """Sizes that need padding everywhere, and maps smaller than the window, give the original's features too."""
    backbone: VideoSwin = parity.model.swin.backbone
    with torch.inference_mode():
        features = backbone(parity.inputs[f"{case}.video"])
    close(features, channel_last(parity.expected[f"{case}.swin_features"]), 1e-5)


def test_parity_visual_tokens(parity: Parity, visual_tokens: Tensor) -> None:
    """Both projections of the features are the original's."""
    with torch.inference_mode():
        projected = parity.model.fc(parity.model.features(parity.inputs["frames"]))
    close(projected, parity.expected["fc_features"], 1e-5)
    close(visual_tokens, parity.expected["visual_tokens"], 1e-5)


def test_parity_masks(parity: Parity) -> None:
    """The soft, the hard and the full mask are the original's."""
    text = parity.expected["attention_mask"].shape[-1] - parity.config.visual_tokens
    soft = parity.model.visibility(text)
    for clip in parity.expected["attention_mask"]:
        close(soft, clip, 1e-6)
    hard = parity.variant(sparse_mask_soft2hard=True).video_visibility()
    close(hard, parity.expected["hard_mask.attention_mask"], 0.0)
    full = parity.variant(learn_mask_enabled=False).visibility(text)
    close(full, parity.expected["no_learned_mask.attention_mask"][0], 0.0)


@pytest.mark.parametrize("step", ["step00", "step03"])
def test_parity_one_step(parity: Parity, visual_tokens: Tensor, step: str) -> None:
    """Text embeddings, additive mask, last states and logits of a whole pass are the original's."""
    ids = parity.expected[f"{step}.input_ids"]
    length = ids.shape[1]
    with torch.inference_mode():
        close(parity.model.embed_words(ids), parity.expected[f"{step}.text_embeddings"], 1e-5)
        states = parity.model(ids, visual_tokens)
        logits = parity.model.word_logits(states[:, :length])
    additive = penalties(parity.model.visibility(length))
    for clip in parity.expected[f"{step}.additive_mask"]:
        close(additive, clip[0], 1e-2)  # single precision near 1 is 6e-8, ten thousand times that in the mask
    close(states, parity.expected[f"{step}.last_hidden_state"], 1e-4)
    close(logits, parity.expected[f"{step}.logits"], 1e-4)


@pytest.mark.parametrize("scheme", [CachedSteps, ReencodingSteps])
def test_parity_logits_of_every_word(parity: Parity, visual_tokens: Tensor, scheme: Any) -> None:
    """With the cache and without it, the logits of each of the greedy steps are the original's."""
    ids = parity.expected["greedy.ids"][:, 0]
    expected = parity.expected["step_logits"]
    ended = torch.zeros(len(ids), dtype=torch.bool)
    fed = ids[:, :1]
    with torch.inference_mode():
        steps = scheme(parity.model, visual_tokens)
        for step, wanted in enumerate(expected):
            logits = steps.next_logits(fed)
            close(logits, wanted, 1e-4)
            word = torch.where(ended, parity.config.pad_id, logits.argmax(-1))
            ended |= word == parity.config.sep_id
            fed = torch.cat([fed, word[:, None]], dim=1)
            assert step == len(expected) - 1 or torch.equal(fed[:, step + 1], ids[:, step + 1])


@pytest.mark.parametrize("cached", [True, False])
def test_parity_greedy(parity: Parity, visual_tokens: Tensor, cached: bool) -> None:
    """Greedy ids, scores and sentences are the original's; one clip ends by itself, the other at the limit."""
    with torch.inference_mode():
        found = generate(parity.model, visual_tokens, beams=1, cached=cached)
    assert torch.equal(found.ids, parity.expected["greedy.ids"][:, 0])
    close(found.log_probability, parity.expected["greedy.logprob"][:, 0], 1e-5)
    close(found.log_probability.exp(), parity.expected["greedy.confidence"][:, 0], 1e-5)
    assert [parity.vocabulary.decode(ids) for ids in found.ids.tolist()] == parity.texts["greedy"]


@pytest.mark.parametrize("cached", [True, False])
def test_parity_beam_search(parity: Parity, visual_tokens: Tensor, cached: bool) -> None:
    """Three beams give the original's ids, scores and sentences."""
    with torch.inference_mode():
        found = generate(parity.model, visual_tokens, beams=3, cached=cached)
    assert torch.equal(found.ids, parity.expected["beam3.ids"][:, 0])
    close(found.log_probability, parity.expected["beam3.logprob"][:, 0], 1e-5)
    assert [parity.vocabulary.decode(ids) for ids in found.ids.tolist()] == parity.texts["beam3"]


@pytest.mark.parametrize(
    ("case", "changes"),
    [("hard_mask", {"sparse_mask_soft2hard": True}), ("no_learned_mask", {"learn_mask_enabled": False})],
)
def test_parity_mask_variants(parity: Parity, visual_tokens: Tensor, case: str, changes: dict[str, bool]) -> None:
    """With the hard mask, and without a learned one, the ids, scores and first logits are the original's."""
    model = parity.variant(**changes)
    with torch.inference_mode():
        found = generate(model, visual_tokens, beams=1)
        first = CachedSteps(model, visual_tokens).next_logits(found.ids[:, :1])
    assert torch.equal(found.ids, parity.expected[f"{case}.greedy_ids"][:, 0])
    close(found.log_probability, parity.expected[f"{case}.logprob"][:, 0], 1e-5)
    close(first, parity.expected[f"{case}.step0_logits"], 1e-4)
    assert [parity.vocabulary.decode(ids) for ids in found.ids.tolist()] == parity.texts[case]


def test_parity_sizes_are_read_from_the_weights(parity: Parity) -> None:
    """Without a configuration the shapes tell every size but the heads, the frames and their side."""
    from musiscene.networks.swinbert.config import from_weights

    inferred = from_weights(read_weights(parity.folder / "tiny_checkpoint.safetensors").shapes)
    assert inferred.swin == parity.config.swin
    assert replace(inferred.bert, num_attention_heads=parity.config.bert.num_attention_heads) == parity.config.bert
    assert inferred.img_feature_dim == parity.config.img_feature_dim


def test_parity_float16_checkpoint(parity: Parity) -> None:
    """A checkpoint stored in half precision runs in single precision."""
    weights = read_weights(parity.folder / "tiny_checkpoint.safetensors")
    halved = {name: t.half() if t.is_floating_point() else t for name, t in weights.items()}
    model = build(parity.config, halved, Path("half"))
    with torch.inference_mode():
        tokens = model.visual_tokens(parity.inputs["frames"])
        found = generate(model, tokens)
    assert tokens.dtype == torch.float32
    assert np.isfinite(found.log_probability.numpy()).all()
    close(tokens, parity.expected["visual_tokens"], 0.05)
