"""BERTScore against the package that defined it, on a tiny RoBERTa with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoTokenizer, RobertaConfig, RobertaModel

from musiscene.errors import BackendUnavailableError
from musiscene.metrics.bertscore import BertScorer, cut, load_bert_scorer

REFERENCES = ["A widow reads old letters by candlelight.", "Rain.", "Two dancers cross a square at dawn, slowly."]
CANDIDATES = ["A cello plays while a widow looks at letters.", "It rains on the roof all night long", "Dancers"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("roberta")
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        REFERENCES + CANDIDATES, vocab_size=320, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    )
    bpe.save_model(str(path))
    torch.manual_seed(0)
    config = RobertaConfig(vocab_size=400, hidden_size=32, num_hidden_layers=3, num_attention_heads=2,
                           intermediate_size=64, max_position_embeddings=130, pad_token_id=1)  # fmt: skip
    network = RobertaModel(config, add_pooling_layer=False)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    network.save_pretrained(path)
    AutoTokenizer.from_pretrained(path).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def scorer(folder: Path) -> BertScorer:
    return load_bert_scorer(folder, layer=2)


def test_parity_bertscore_package(folder: Path, scorer: BertScorer) -> None:
    """Precision, recall and F1 are those of the bert_score package at the same layer."""
    from bert_score.utils import bert_cos_score_idf

    tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    tokenizer.model_max_length = 128
    network = cut(RobertaModel.from_pretrained(folder, add_pooling_layer=False), 2)
    weights = dict.fromkeys(range(400), 1.0)
    weights[tokenizer.sep_token_id] = weights[tokenizer.cls_token_id] = 0.0
    wanted = bert_cos_score_idf(network, REFERENCES, CANDIDATES, tokenizer, weights, device="cpu").numpy()

    found = scorer.scores([[reference] for reference in REFERENCES], CANDIDATES)

    np.testing.assert_allclose([[s.precision, s.recall, s.f] for s in found], wanted, atol=1e-5)


def test_an_empty_candidate_scores_nothing(scorer: BertScorer) -> None:
    """Empty and blank captions score 0, whatever is beside them in a batch."""
    found = scorer.scores([["Rain."], ["Rain."], ["Rain."]], ["", "   ", "Rain."])
    assert [score.f for score in found[:2]] == [0.0, 0.0]
    assert found[2].f == pytest.approx(1.0, abs=1e-5)


def test_order_does_not_matter(scorer: BertScorer) -> None:
    """A caption's score does not depend on the captions that are scored with it."""
    together = scorer.scores([[reference] for reference in REFERENCES], CANDIDATES)
    alone = [scorer.scores([[r]], [c])[0] for r, c in zip(REFERENCES, CANDIDATES, strict=True)]
    np.testing.assert_allclose([s.f for s in together], [s.f for s in alone], atol=1e-5)


def test_untrained_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    """A RoBERTa as it is initialised gives no score."""
    config = RobertaConfig.from_pretrained(folder)
    RobertaModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    with pytest.raises(BackendUnavailableError, match="never trained"):
        load_bert_scorer(tmp_path, layer=2)


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    """An empty folder is told in words."""
    with pytest.raises(BackendUnavailableError, match="does not hold a RoBERTa"):
        load_bert_scorer(tmp_path)
