"""How near a written caption is to its reference."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+")


def rouge_l(written: str, reference: str) -> float:
    """ROUGE-L F1 over lower-case words without stemming (Lin, 2004, "ROUGE", section 3.1 with beta 1)."""
    one, other = (_WORD.findall(text.lower()) for text in (written, reference))
    common = _longest_common(one, other)
    if not common:
        return 0.0
    precision, recall = common / len(one), common / len(other)
    return 2 * precision * recall / (precision + recall)


def mean_rouge_l(pairs: Sequence[tuple[str, str]]) -> float:
    """Mean of `rouge_l` over (written, reference) pairs."""
    return sum(rouge_l(*pair) for pair in pairs) / max(len(pairs), 1)


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, in one row of memory."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for place, against in enumerate(other, start=1):
            before, row[place] = row[place], before + 1 if word == against else max(row[place], row[place - 1])
    return row[-1]
