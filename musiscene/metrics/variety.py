"""Do all captions say the same? Distinct n-grams, self-BLEU, and length: what scores against references cannot show."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_ORDER = 4


def words(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


@dataclass(frozen=True, slots=True)
class Variety:
    """How varied the captions of one system are.

    Attributes:
        distinct_1: Different words over all words (Li et al. 2016); falls with the amount of text, so compare systems
            on the same clips only.
        distinct_2: The same of pairs of words.
        unique_share: Captions that no other caption repeats word for word, over all captions.
        self_bleu: Mean BLEU of each caption against all others (Zhu et al. 2018); 1 when all are alike.
        mean_words: Mean length in words.
        deviation_words: Its standard deviation.
    """

    distinct_1: float
    distinct_2: float
    unique_share: float
    self_bleu: float
    mean_words: float
    deviation_words: float


def measure_variety(texts: Sequence[str]) -> Variety:
    """The variety of a system's captions; nan where there are too few."""
    tokens = [words(text) for text in texts]
    lengths = np.array([len(t) for t in tokens], np.float64)
    counts = Counter(tuple(t) for t in tokens)
    return Variety(
        distinct_1=distinct(tokens, 1),
        distinct_2=distinct(tokens, 2),
        unique_share=sum(n == 1 for n in counts.values()) / len(texts) if texts else float("nan"),
        self_bleu=self_bleu(tokens),
        mean_words=float(lengths.mean()) if texts else float("nan"),
        deviation_words=float(lengths.std()) if texts else float("nan"),
    )


def distinct(tokens: Sequence[Sequence[str]], n: int) -> float:
    """Different n-grams over all n-grams; nan when there is none."""
    found = Counter(gram for sentence in tokens for gram in _grams(sentence, n))
    return len(found) / found.total() if found else float("nan")


def self_bleu(tokens: Sequence[Sequence[str]]) -> float:
    """Mean BLEU-4 of each caption with all others as its references, over words; nan with fewer than two.

    Exact over all captions in one pass: of every n-gram only the two highest counts matter, as the highest count
    among the *others* is one of them. Captions shorter than four words are scored with the orders they have; empty
    ones are left out.
    """
    tokens = [sentence for sentence in tokens if sentence]
    if len(tokens) < 2:
        return float("nan")
    matches = np.zeros((len(tokens), _ORDER))
    totals = np.zeros((len(tokens), _ORDER))
    for n in range(1, _ORDER + 1):
        counted = [Counter(_grams(sentence, n)) for sentence in tokens]
        highest: dict[tuple[str, ...], tuple[int, int, int]] = {}  # count, whose, second highest count
        for owner, grams in enumerate(counted):
            for gram, count in grams.items():
                top, whose, second = highest.get(gram, (0, -1, 0))
                highest[gram] = (count, owner, top) if count > top else (top, whose, max(second, count))
        for owner, grams in enumerate(counted):
            totals[owner, n - 1] = grams.total()
            for gram, count in grams.items():
                top, whose, second = highest[gram]
                matches[owner, n - 1] += min(count, second if whose == owner else top)
    lengths = sorted(len(sentence) for sentence in tokens)
    scores = [_bleu(m, t, len(s), _closest(lengths, len(s))) for m, t, s in zip(matches, totals, tokens, strict=True)]
    return float(np.mean(scores))


def _bleu(matches: np.ndarray, totals: np.ndarray, length: int, reference: int) -> float:
    orders = totals > 0
    if (matches[orders] == 0).any():
        return 0.0
    brevity = 1.0 if length >= reference else float(np.exp(1 - reference / length))
    return brevity * float(np.exp(np.log(matches[orders] / totals[orders]).mean()))


def _closest(lengths: Sequence[int], own: int) -> int:
    """Length of the closest other caption; `lengths` is sorted and holds `own`."""
    at = bisect_left(lengths, own)
    neighbours = [*lengths[max(0, at - 1) : at], *lengths[at + 1 : at + 2]]
    return min(neighbours, key=lambda length: (abs(length - own), length))


def _grams(sentence: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(sentence[i:] for i in range(n)), strict=False))
