"""LLaMA's tokenizer from `tokenizer.json` or Meta's `tokenizer.model`, and the prompt that the weights expect.

Meta's file is a SentencePiece model. Its vocabulary and scores are read directly, so neither the sentencepiece package
nor protobuf is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, normalizers
from tokenizers.models import BPE

from musiscene.errors import BackendUnavailableError

BOS = 1
_SPECIAL = frozenset({0, 1, 2})
"""Unknown, beginning and end of sequence: they have no text."""
UNKNOWN = "<unk>"

# The "Input" field holds the text of a Python builtin by a mistake in the original's code. The weights were trained
# and evaluated behind it, so it stays. The answer follows the last colon directly.
TEMPLATE = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{question}\n\n### Input:\n<built-in function input>\n\n### Response:"
)

_NORMAL = 1
_SPACE = "▁"


class LlamaTokenizer:
    """Text to token ids and back."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.encode_special_tokens = True  # "</s>" in a person's question is text, as for SentencePiece
        self._tokenizer = tokenizer

    @property
    def size(self) -> int:
        """Number of tokens."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=False))

    def prompt(self, question: str) -> list[int]:
        """Token ids of a question in the template, behind the beginning-of-sequence token."""
        return [BOS, *self.encode(TEMPLATE.format(question=question))]

    def encode(self, text: str) -> list[int]:
        """Token ids without any special token."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of an answer."""
        return str(self._tokenizer.decode([token for token in tokens if token not in _SPECIAL]))


class TextStream:
    """Token ids in, text out as soon as it is certain: bytes of an unfinished character are held back."""

    def __init__(self, tokenizer: LlamaTokenizer) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._given = ""

    def add(self, token: int) -> str:
        """The text that `token` completes; often empty."""
        self._tokens.append(token)
        text = self._tokenizer.decode(self._tokens).rstrip("\ufffd")
        fresh = text[len(self._given) :] if text.startswith(self._given) else ""
        self._given += fresh
        return fresh


def load_tokenizer(folder: Path) -> LlamaTokenizer:
    """Read `tokenizer.json` or, if that is absent, `tokenizer.model` of a folder.

    Raises:
        BackendUnavailableError: Neither is there, or it is damaged.
    """
    fast, meta = folder / "tokenizer.json", folder / "tokenizer.model"
    if fast.is_file():
        try:
            return LlamaTokenizer(Tokenizer.from_file(str(fast)))
        except Exception as error:  # the Rust library raises nothing narrower
            raise BackendUnavailableError(f"{fast} is damaged or not a tokenizer: {error}.") from error
    if meta.is_file():
        return LlamaTokenizer(from_sentencepiece(meta))
    raise BackendUnavailableError(
        f"{folder} holds neither tokenizer.json nor tokenizer.model: copy LLaMA 2's there, or name its folder."
    )


def from_sentencepiece(path: Path) -> Tokenizer:
    """A byte-pair tokenizer from a SentencePiece model with byte fallback, as LLaMA 1 and 2 have.

    Raises:
        BackendUnavailableError: The file is damaged or not such a model.
    """
    try:
        pieces = [_piece(field) for number, field in _fields(path.read_bytes()) if number == 1]
        vocabulary = {text: index for index, (text, _, _) in enumerate(pieces)}
        if UNKNOWN not in vocabulary or len(vocabulary) != len(pieces):
            raise ValueError("its vocabulary is not LLaMA's")
        scores = {text: score for text, score, kind in pieces if kind == _NORMAL}
        tokenizer = Tokenizer(
            BPE(vocab=vocabulary, merges=list(_merges(scores)), unk_token=UNKNOWN, fuse_unk=True, byte_fallback=True)
        )
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise BackendUnavailableError(f"{path} is damaged or not LLaMA's SentencePiece model: {error}.") from error
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), normalizers.Replace(" ", _SPACE)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def _merges(scores: dict[str, float]) -> Iterator[tuple[str, str]]:
    """Pairs to merge, best score first: SentencePiece merges whichever neighbours make the best-scored piece."""
    found: list[tuple[float, int, str, str]] = []
    for text, score in scores.items():
        for cut in range(1, len(text)):
            left, right = text[:cut], text[cut:]
            if left in scores and right in scores:
                found.append((-score, len(found), left, right))
    for _, _, left, right in sorted(found):
        yield left, right


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a protocol-buffer message: number and raw content."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        wire = tag & 7
        if wire == 0:
            start = place
            _, place = _varint(data, place)
            yield tag >> 3, data[start:place]
            continue
        if wire == 2:
            size, place = _varint(data, place)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"unknown wire type {wire}")
        if place + size > len(data):
            raise ValueError("it ends too early")
        yield tag >> 3, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


def _piece(data: bytes) -> tuple[str, float, int]:
    """Text, score and kind of one vocabulary entry."""
    text, score, kind = "", 0.0, _NORMAL
    for number, content in _fields(data):
        if number == 1:
            text = content.decode("utf-8")
        elif number == 2:
            (score,) = struct.unpack("<f", content)
        elif number == 3:
            kind, _ = _varint(content, 0)
    return text, score, kind
