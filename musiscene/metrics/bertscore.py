"""BERTScore (Zhang et al. 2020): words of two texts are matched by what RoBERTa makes of them in their context.

The values are those of the `bert_score` package for English: roberta-large, the output of layer 17, no rescaling, no
rare-word weights. That package fails on an empty candidate under transformers 5; here it scores 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from musiscene.errors import BackendUnavailableError
from musiscene.metrics.words import Overlap

LAYER = 17
_BATCH = 64


@dataclass(frozen=True, slots=True)
class BertScorer:
    """RoBERTa as far as `LAYER`, with its tokenizer.

    Attributes:
        network: A `RobertaModel` in evaluation mode, cut after the layer that is looked at.
        tokenizer: Its tokenizer.
        source: Where the weights are from; empty for random ones, whose numbers mean nothing.
    """

    network: Any
    tokenizer: Any
    source: str = ""

    def scores(
        self,
        references: Sequence[Sequence[str]],
        candidates: Sequence[str],
        on_progress: Callable[[float], None] = lambda fraction: None,
    ) -> list[Overlap]:
        """Precision, recall and F1 of every candidate; of several references the best, part by part.

        Args:
            references: One or more texts for each candidate.
            candidates: What is scored; an empty text scores 0.
            on_progress: Called with the share that is done; may raise to stop.
        """
        pairs = [(i, r.strip(), c.strip()) for i, c in enumerate(candidates) for r in references[i]]
        best = [Overlap(0.0, 0.0, 0.0)] * len(candidates)
        # Texts of like length together: little padding.
        pairs.sort(key=lambda pair: len(pair[1]) + len(pair[2]))
        for start in range(0, len(pairs), _BATCH):
            on_progress(start / len(pairs))
            batch = [pair for pair in pairs[start : start + _BATCH] if pair[1] and pair[2]]
            if not batch:
                continue
            for (i, _, _), found in zip(batch, self._batch(batch), strict=True):
                best[i] = Overlap(
                    max(best[i].precision, found.precision), max(best[i].recall, found.recall), max(best[i].f, found.f)
                )
        on_progress(1.0)
        return best

    @torch.inference_mode()
    def _batch(self, pairs: Sequence[tuple[int, str, str]]) -> list[Overlap]:
        expected, expected_mask, expected_words = self._embed([reference for _, reference, _ in pairs])
        given, given_mask, given_words = self._embed([candidate for _, _, candidate in pairs])
        similarity = given @ expected.transpose(1, 2)
        # As in the package: padding is similar by 0, and a word may match the marks at either end of a text,
        # which are themselves not counted.
        similarity = similarity * (given_mask[:, :, None] * expected_mask[:, None, :])
        precision = (similarity.amax(dim=2) * given_words).sum(dim=1) / given_words.sum(dim=1)
        recall = (similarity.amax(dim=1) * expected_words).sum(dim=1) / expected_words.sum(dim=1)
        both = precision + recall
        f = torch.where(both == 0, torch.zeros_like(both), 2 * precision * recall / both)
        rows = zip(precision.tolist(), recall.tolist(), f.tolist(), strict=True)
        return [Overlap(*row) for row in rows]

    def _embed(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Unit vectors `(batch, tokens, width)`, which are tokens, and which of them count."""
        device = next(self.network.parameters()).device
        limit = min(self.tokenizer.model_max_length, self.network.config.max_position_embeddings - 2)
        encoded = self.tokenizer(list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt")
        ids, mask = encoded["input_ids"].to(device), encoded["attention_mask"].to(device)
        states = self.network(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        marks = (ids == self.tokenizer.cls_token_id) | (ids == self.tokenizer.sep_token_id)
        unit = states / states.norm(dim=-1, keepdim=True)
        return unit, mask.float(), mask * ~marks


def load_bert_scorer(path: Path, *, layer: int = LAYER, device: str = "cpu") -> BertScorer:
    """Load roberta-large (or another RoBERTa) with its tokenizer from a folder in Hugging Face's layout.

    Raises:
        BackendUnavailableError: The folder is incomplete, another network's, or was never trained.
    """
    from transformers import AutoTokenizer, RobertaModel

    try:
        loaded: Any = RobertaModel.from_pretrained(
            path, add_pooling_layer=False, output_loading_info=True, local_files_only=True
        )
        network, found = loaded
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, add_prefix_space=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise BackendUnavailableError(f"{path} does not hold a RoBERTa with its tokenizer.") from error
    if found["missing_keys"] or found.get("mismatched_keys"):
        names = ", ".join(sorted(found["missing_keys"])[:3])
        raise BackendUnavailableError(f"{path} lacks weights of RoBERTa ({names} …); no score is computed from it.")
    if bool((network.embeddings.LayerNorm.weight == 1).all()):
        raise BackendUnavailableError(f"{path} holds a RoBERTa that was never trained; no score is computed from it.")
    return BertScorer(cut(network, layer).to(device), tokenizer, source=str(path))


def cut(network: Any, layer: int) -> Any:
    """The network without what comes after `layer`, in evaluation mode; its output is then that of the layer."""
    if layer > len(network.encoder.layer):
        raise BackendUnavailableError(
            f"BERTScore looks at layer {layer} of roberta-large; this network has {len(network.encoder.layer)}."
        )
    network.encoder.layer = network.encoder.layer[:layer]
    network.train(False)
    return network
