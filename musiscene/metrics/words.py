"""Scores of one caption against its references, as the two protocols define them.

`paper` is what MU-LLaMA's evaluation script computes, on which the paper's table 2 most likely rests: BLEU over
characters (its strings were never split into words), and the recall of ROUGE-L and of BERTScore. `standard` is what
today's captioning papers report.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from musiscene.metrics.intervals import Array

BLEU = (0.25, 0.25, 0.25, 0.25)
BLEU_4 = (0.0, 0.0, 0.0, 1.0)
_ORDER = 4


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of one text is in another."""

    precision: float
    recall: float
    f: float


def character_bleu(references: Sequence[str], candidate: str, weights: Sequence[float] = BLEU) -> float:
    """NLTK's sentence BLEU of raw strings, so over characters; case and punctuation count, nothing is smoothed.

    Args:
        references: One or more texts.
        candidate: The text that is scored.
        weights: Of the 1- to 4-grams: `BLEU`, or `BLEU_4` for 4-grams alone.
    """
    from nltk.translate.bleu_score import sentence_bleu

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a precision is zero: it is, and the value says so
        return float(sentence_bleu(list(references), candidate, weights=tuple(weights)))


def meteor(references: Sequence[str], candidate: str, wordnet: Any) -> float:
    """METEOR (Lavie & Agarwal 2007) by NLTK with its defaults, on tokens of `wordpunct_tokenize`.

    Args:
        references: One or more texts; the best counts.
        candidate: The text that is scored.
        wordnet: From `wordnet.find_wordnet`.
    """
    from nltk.tokenize import wordpunct_tokenize
    from nltk.translate.meteor_score import meteor_score

    tokens = wordpunct_tokenize(candidate)
    if not tokens:
        return 0.0
    return float(meteor_score([wordpunct_tokenize(text) for text in references], tokens, wordnet=wordnet))


def rouge_l(references: Sequence[str], candidate: str) -> Overlap:
    """ROUGE-L (Lin 2004) by `rouge_score` with Porter stems; of several references the best, part by part."""
    scores = [_scorer().score(reference, candidate)["rougeL"] for reference in references]
    return Overlap(
        max(float(score.precision) for score in scores),
        max(float(score.recall) for score in scores),
        max(float(score.fmeasure) for score in scores),
    )


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


@cache
def _bleu() -> Any:
    from sacrebleu.metrics import bleu

    return bleu.BLEU()


def bleu_signature() -> str:
    """How sacreBLEU was run, in its own notation."""
    import sacrebleu

    return f"nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"


def bleu_counts(references: Sequence[str], candidate: str) -> Array:
    """What a caption adds to a corpus BLEU: matches and n-grams of each order, its length, the reference's, `(10,)`."""
    score = _bleu().corpus_score([candidate], [[reference] for reference in references])
    return np.array([*score.counts, *score.totals, score.sys_len, score.ref_len], np.float64)


def corpus_bleu(sums: Array) -> Array:
    """Corpus BLEU (Papineni et al. 2002; Post 2018) from sums of `bleu_counts`, `(draws, 10)` -> `(draws,)`, 0 to 1.

    Zero precisions are halved away as in sacreBLEU's default ("exp" smoothing, from mteval-v13a).
    """
    correct, total = sums[:, :_ORDER], sums[:, _ORDER : 2 * _ORDER]
    sys_len, ref_len = sums[:, -2], sums[:, -1]
    zeros = np.cumsum(correct == 0, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(correct > 0, correct / total, 1.0 / (2.0**zeros * total))
        brevity = np.where(sys_len < ref_len, np.exp(1 - ref_len / sys_len), 1.0)
        value = brevity * np.exp(np.log(precision).mean(axis=1))
    # Where there are no n-grams of some order at all, or nothing matches, the score is 0.
    usable = (total > 0).all(axis=1) & (correct > 0).any(axis=1) & (sys_len > 0)
    return np.where(usable, value, 0.0)
