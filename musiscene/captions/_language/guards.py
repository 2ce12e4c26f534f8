"""Is an answer usable? Refusals, repeated questions, copies and loops are not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from musiscene.captions._language.prompts import Template

MIN_WORDS = 4
_ECHO_WORDS = 8
"""So many words of the instructions in a row are no coincidence."""
_PHRASE_WORDS, _PHRASE_TIMES, _PHRASE_SHARE = 5, 4, 1 / 3
_SENTENCE_WORDS, _SENTENCE_TIMES = 10, 3
"""A phrase that comes four times is a loop when it fills a third of the answer ("to create a sense of" is liked by all
models); ten words in a row that come three times always are."""
_REFUSAL_WITHIN = 80
"""A refusal comes in the first characters; later on, someone in the scene may be sorry."""

_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able|afraid)\b"
    r"|i apologi[sz]e\b|my apologies\b"
    r"|i (?:cannot|can't|can not|couldn't|could not|won't|will not) (?:\w+ )?"
    r"(?:help|assist|provide|describe|fulfill?|comply|create|generate|see|watch|hear|listen|access|view|do|answer|write)\b"
    r"|as an? (?:\w+ )?(?:ai|(?:large )?language model|assistant)\b"
    r"|i (?:don't|do not) have (?:the ability|access|enough)\b)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def why_unusable(text: str, template: Template, made_from: Iterable[str] = ()) -> str | None:
    """Why a cleaned answer cannot be used, as the end of "The language model …"; None when it can.

    Args:
        text: The cleaned answer.
        template: What was asked, with its blanks.
        made_from: What was put into the blanks.
    """
    text = text.replace("’", "'")
    words = _words(text)
    if len(words) < MIN_WORDS:
        return "gave an empty answer" if not words else "answered with next to nothing"
    if any(match.start() < _REFUSAL_WITHIN for match in _REFUSAL.finditer(text)):
        return "refused to answer"
    if _echoes(words, template):
        return "repeated the question instead of answering it"
    inputs = [_words(value.replace("’", "'")) for value in made_from]
    if words in inputs or (len(inputs) > 1 and words == [word for value in inputs for word in value]):
        return "copied what it was given instead of answering"
    if _loops(text, words):
        return "repeated itself over and over"
    return None


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _echoes(words: list[str], template: Template) -> bool:
    said = " ".join(words)
    for part in re.split(r"\{[a-z_]+\}|\n", template.text):
        asked = _words(part)
        for start in range(len(asked) - _ECHO_WORDS + 1):
            if " ".join(asked[start : start + _ECHO_WORDS]) in said:
                return True
    return said.startswith(("video caption", "music caption")) and "video caption" in said and "music caption" in said


def _loops(text: str, words: list[str]) -> bool:
    if any(len(run) > 60 for run in text.split()):
        return True
    phrase = _most_frequent(words, _PHRASE_WORDS)
    fills = phrase * _PHRASE_WORDS / max(1, len(words))
    return (phrase >= _PHRASE_TIMES and fills >= _PHRASE_SHARE) or (
        _most_frequent(words, _SENTENCE_WORDS) >= _SENTENCE_TIMES
    )


def _most_frequent(words: list[str], length: int) -> int:
    """How often the most frequent run of `length` words comes."""
    runs = Counter(tuple(words[start : start + length]) for start in range(len(words) - length + 1))
    return max(runs.values(), default=0)
