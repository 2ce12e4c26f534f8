"""A language model's answer -> one clean paragraph of plain words.

The published captions were cleaned by keeping what follows `[/INST]`, removing line ends and `</s>`, and collapsing
white space (repository of MusiScene, 2025). This does the same, except that a line end becomes a space (removing it
glued sentences together), and takes off what chat models put around an answer: thoughts, marks of turns, Markdown,
labels, "Here is …:", "Let me know …", quotes.
"""

from __future__ import annotations

import re
import unicodedata

_THOUGHTS = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHTS_END = re.compile(r"\A.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
_TURN_END = re.compile(r"<\|(?:im_end|eot_id|end|endoftext|end_of_text|eom_id)\|>|</s>|<end_of_turn>", re.IGNORECASE)
_MARK = re.compile(r"<\|[^<>|\n]{0,40}\|>|</?s>|\[/?INST\]|<(?:bos|eos|pad|unk|(?:start|end)_of_turn)>", re.IGNORECASE)

_FENCE = re.compile(r"^\s*```\w*\s*$", re.MULTILINE)
_HEADING = re.compile(r"^\s*#{1,6}\s+.*$", re.MULTILINE)
_BULLET = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s+(\S.*)$")
_LINK = re.compile(r"\[([^\[\]\n]+)\]\([^()\s]*\)")
_EMPHASIS = re.compile(r"(\*\*|__|`)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_STAR = re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]+)(?<=[^\s*])\*(?![\w*])")

_INTRO = re.compile(
    r"\A(?:(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|great|no problem)\s*[!,.:]\s+)"
    r"|\A(?:here(?:'s|’s| is| are)|below is|the following is|this is)\b[^.:!?]{0,140}:\s+",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"\A(?:(?:merged|combined|final|music|video|audio|fusion|scene|film|short)\s+)?"
    r"(?:caption|description|answer|response|output|summary|brief|scene|music|video)\s*:\s+",
    re.IGNORECASE,
)
_OUTRO = re.compile(
    r"(?<=[.!?\"'”])\s+(?:i hope (?:this|that|it)|(?:please )?let me know|(?:please )?feel free|"
    r"if you(?:'d| would)? (?:like|need|want|have)|is there anything|would you like)\b.*\Z",
    re.IGNORECASE | re.DOTALL,
)
_QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’", "«": "»"}
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*(?=\s|\Z)")


def clean(answer: str, prompt: str = "") -> str:
    """One paragraph: no line ends, control characters, marks of turns, thoughts, Markdown, labels, greetings or quotes.

    Cleaning twice changes nothing. Plain sentences stay as they are.

    Args:
        answer: What the model wrote, or has written so far.
        prompt: What it was asked; an answer that begins by repeating all of it loses that part.
    """
    text = _visible(answer)
    while True:  # ends: every round that changes something shortens the text or removes a line end
        cleaned = _unwrap(_one_line(_without_marks(text)), prompt)
        if cleaned == text:
            return cleaned
        text = cleaned


def whole_sentences(text: str) -> str:
    """`text` up to its last finished sentence; an answer that was cut off in its first one gets an ellipsis."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    if ends:
        return text[: ends[-1]]
    return text.rstrip(" ,;:-–") + "…" if text else text


def split_sentences(text: str) -> list[str]:
    """The sentences of one paragraph, each with its full stop."""
    starts = [0, *(match.end() for match in _SENTENCE_END.finditer(text))]
    pieces = [text[a:b].strip() for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    return [piece for piece in pieces if piece]


def _visible(text: str) -> str:
    """Without what no one can see or no file can hold: controls, formats, lone surrogates, unassigned codes."""
    lines = re.sub(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text)
    return "".join(
        char if char == "\n" or not unicodedata.category(char).startswith("C") else " " * (char == "\t")
        for char in lines
    )


def _without_marks(text: str) -> str:
    text = _THOUGHTS.sub(" ", text)
    text = _THOUGHTS_END.sub(" ", text)
    text = text.rpartition("[/INST]")[2]
    before, *_ = _TURN_END.split(text.lstrip(), maxsplit=1)
    return _MARK.sub(" ", before if before.strip() else text)


def _one_line(text: str) -> str:
    """Markdown and line ends away; an item of a list becomes a sentence."""
    text = _HEADING.sub("", _FENCE.sub("", text))
    text = _LINK.sub(r"\1", text)
    text = _EMPHASIS.sub(r"\2", text)
    text = _STAR.sub(r"\1", text)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    items = [_BULLET.match(line) for line in lines]
    several = sum(item is not None for item in items) > 1
    said = [_sentence(item[1]) if item and several else line for line, item in zip(lines, items, strict=True)]
    return " ".join(" ".join(said).split())


def _sentence(item: str) -> str:
    return item if item.endswith((".", "!", "?", "…", ":", ";", ",")) else f"{item}."


def _unwrap(text: str, prompt: str) -> str:
    """Without the repeated prompt, greeting, label, closing words and quotes around the whole."""
    flat_prompt = " ".join(prompt.split())
    if flat_prompt and text.startswith(flat_prompt):
        text = text[len(flat_prompt) :].lstrip()
    text = _INTRO.sub("", text)
    text = _LABEL.sub("", text)
    text = _OUTRO.sub("", text)
    close = _QUOTES.get(text[:1])
    if close and len(text) > 2 and text.endswith(close) and not {text[0], close} & set(text[1:-1]):
        text = text[1:-1]
    return text.strip()
