"""What people complain of in such answers: echoed prompts, endless repetition, "the input", nothing at all."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

_PROMPT_MARKS = ("###", "Below is an instruction", "<built-in function", "completes the request")
_ABOUT_ITSELF = re.compile(
    r"\b(?:the|this|your|given|provided) (?:input|prompt|instruction)\b"
    r"|\bas an? (?:ai|language model|artificial)\b|\bi(?:'m| am) (?:sorry|unable|not able)\b|\bi can(?:no|')t\b"
    r"|\bbuilt-in function\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*\s*")
_WORD = re.compile(r"\w+(?:['’]\w+)?")

_MANY = 3
"""Times that a sentence, or four words in a row, may come before it counts as repetition."""
_LOOP_TOKENS, _LOOP_PERIOD = 60, 20


def trouble(text: str, question: str) -> str:
    """What is wrong with an answer, as the end of a sentence about it; empty when nothing is."""
    if not _WORD.search(text):
        return "is empty"
    if any(mark in text for mark in _PROMPT_MARKS) or _echoes(text, question):
        return "repeats the question"
    if repeats(text):
        return "repeats itself"
    if _ABOUT_ITSELF.search(text):
        return "is about the input and not about the music"
    return ""


def repeats(text: str) -> bool:
    """Whether an answer goes round in circles: a sentence or a run of four words too often, or hardly any news."""
    sentences = [_plain(sentence) for sentence in _SENTENCE.findall(text)]
    if any(len(s.split()) > 1 and sentences.count(s) >= _MANY for s in set(sentences)):
        return True
    words = _plain(text).split()
    runs = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    if any(runs.count(run) > _MANY for run in set(runs)):
        return True
    if any(words[i : i + 5] == words[i : i + 1] * 5 for i in range(len(words) - 4)):
        return True
    data = text.encode()
    return len(data) > 200 and len(zlib.compress(data)) / len(data) < 0.25


def is_looping(tokens: Sequence[int]) -> bool:
    """Whether the last tokens repeat with a short period: going on would only cost time."""
    if len(tokens) < _LOOP_TOKENS:
        return False
    tail = list(tokens[-_LOOP_TOKENS:])
    return any(tail[period:] == tail[:-period] for period in range(1, _LOOP_PERIOD + 1))


def cleaned(text: str, question: str) -> str:
    """The usable part of an answer: without prompt marks, an echoed question, and repeated sentences; may be empty."""
    for mark in _PROMPT_MARKS:
        text = text.split(mark, 1)[0]
    text = printable(text)
    if _echoes(text, question):
        text = text[_end_of(question, text) :].lstrip(" ?.:,;")
    kept: list[str] = []
    seen: set[str] = set()
    for sentence in _SENTENCE.findall(text):
        plain = _plain(sentence)
        if plain not in seen:
            kept.append(sentence)
        seen.add(plain)
    text = "".join(kept).strip()
    return _without_tail(text) if repeats(text) else text


def printable(text: str) -> str:
    """Single spaces, and no control or replacement characters, which broken bytes of an answer leave."""
    return " ".join("".join(c if c.isprintable() and c != "\ufffd" else " " for c in text).split())


def finished(text: str) -> str:
    """An answer that was cut off, ended at its last whole sentence if there is one."""
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s|$)", text)]
    return text[: ends[-1]] if ends else text


def _without_tail(text: str) -> str:
    """The words before the first run of four words that has come already."""
    words = text.split()
    seen: set[tuple[str, ...]] = set()
    for index in range(len(words) - 3):
        run = tuple(_plain(" ".join(words[index : index + 4])).split())
        if run in seen:
            return " ".join(words[:index]).rstrip(",;:- ")
        seen.add(run)
    return text


def _echoes(text: str, question: str) -> bool:
    asked = _plain(question)
    return len(asked.split()) > 2 and _plain(text).startswith(asked)


def _end_of(question: str, text: str) -> int:
    """Where in `text` the echoed question ends."""
    count = len(_WORD.findall(question))
    return [match.end() for match in _WORD.finditer(text)][count - 1]


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))
