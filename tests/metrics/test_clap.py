"""CLAP scores on a tiny random CLAP: repeatable, for any length, and never from untrained weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoTokenizer, ClapConfig, ClapFeatureExtractor, ClapModel

from musiscene.errors import BackendUnavailableError
from musiscene.metrics import clap


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clap")
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(["slow piano in the rain"] * 3, vocab_size=300,
                            special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])  # fmt: skip
    bpe.save_model(str(path))
    torch.manual_seed(0)
    config = ClapConfig(
        text_config={"vocab_size": 300, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                     "intermediate_size": 32, "max_position_embeddings": 90, "projection_dim": 16},
        audio_config={"patch_embeds_hidden_size": 8, "hidden_size": 64, "depths": [1, 1, 1, 1],
                      "num_attention_heads": [1, 1, 2, 2], "projection_dim": 16},
        projection_dim=16,
    )  # fmt: skip
    network = ClapModel(config)
    network.logit_scale_a.data += 1.0
    network.save_pretrained(path)
    ClapFeatureExtractor(truncation="rand_trunc").save_pretrained(path)
    AutoTokenizer.from_pretrained(path, tokenizer_type="roberta").save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def loaded(folder: Path) -> clap.Clap:
    return clap.load_clap(folder)


@pytest.mark.parametrize(
    ("seconds", "lengths"),
    [(0.3, [0.3]), (9.0, [9.0]), (10.0, [10.0]), (10.9, [10.0]), (11.0, [10.0, 1.0]), (25.0, [10.0, 10.0, 5.0])],
)
def test_windows(seconds: float, lengths: list[float]) -> None:
    """Windows of 10 s follow one another; a rest below 1 s is left out unless it is all."""
    found = clap.windows(np.zeros(round(seconds * clap.SAMPLE_RATE), np.float32))
    assert [part.size / clap.SAMPLE_RATE for part in found] == pytest.approx(lengths)


def test_a_score_can_be_repeated(loaded: clap.Clap) -> None:
    """A clip of 12 s, which the libraries cut at random, has one score."""
    wave = np.random.default_rng(0).standard_normal(12 * clap.SAMPLE_RATE).astype(np.float32) * 0.1
    words = loaded.embed_texts(["slow piano in the rain"])[0]
    scores = [clap.similarity(loaded.embed_windows(clap.windows(wave)), words) for _ in range(2)]
    assert scores[0] == scores[1]
    assert -1.0 <= scores[0] <= 1.0


def test_untrained_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    """A CLAP as it is initialised gives no score."""
    ClapModel(ClapConfig.from_pretrained(folder)).save_pretrained(tmp_path)
    ClapFeatureExtractor().save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    with pytest.raises(BackendUnavailableError, match="never trained"):
        clap.load_clap(tmp_path)
