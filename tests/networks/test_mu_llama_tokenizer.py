"""LLaMA's tokenizer and prompt."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musiscene.errors import BackendUnavailableError
from musiscene.networks.mu_llama.tiny import tiny_tokenizer
from musiscene.networks.mu_llama.tokenizer import TEMPLATE, LlamaTokenizer, TextStream, load_tokenizer

TOKENIZER = LlamaTokenizer(tiny_tokenizer(400))


def varint(value: int) -> bytes:
    """A protocol-buffer integer."""
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def sentencepiece(pieces: list[tuple[str, float, int]]) -> bytes:
    """A SentencePiece model file with these pieces (text, score, kind) and the other parts of such a file."""
    model = b""
    for text, score, kind in pieces:
        data = text.encode()
        body = b"\x0a" + varint(len(data)) + data + b"\x15" + struct.pack("<f", score)
        body += b"\x18" + varint(kind) if kind != 1 else b""
        model += b"\x0a" + varint(len(body)) + body
    trainer = b"\x0a\x05input\x18\x02"
    return model + b"\x12" + varint(len(trainer)) + trainer


def pieces() -> list[tuple[str, float, int]]:
    """A small vocabulary in LLaMA's order: specials, bytes, merges by score, characters."""
    special = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    special += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
    merges = ["▁t", "he", "▁the", "in", "▁m", "us", "▁mus", "ic", "▁music", "ing"]
    characters = list("▁themusicng.?")
    return [*special, *[(text, -float(i), 1) for i, text in enumerate(merges + characters)]]


def test_the_prompt_is_the_one_the_weights_expect() -> None:
    """Beginning-of-sequence, then the template with its odd input field; nothing after the last colon."""
    ids = TOKENIZER.prompt("What do you hear?")
    assert ids[0] == 1
    text = TOKENIZER.decode(ids)
    assert text == TEMPLATE.format(question="What do you hear?")
    assert text.endswith("### Input:\n<built-in function input>\n\n### Response:")
    assert "\n\n### Instruction:\nWhat do you hear?\n\n" in text


@given(st.text(max_size=40))
def test_any_text_survives(text: str) -> None:
    """Characters the vocabulary lacks are spelt in bytes; special tokens in a text are text."""
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@pytest.mark.parametrize("text", ["</s>", "<s> hello", "a <unk> b"])
def test_a_question_cannot_smuggle_in_special_tokens(text: str) -> None:
    """They are spelt out, as SentencePiece does."""
    assert not {1, 2} & set(TOKENIZER.encode(text))
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(st.text(max_size=30))
def test_streamed_text_is_the_whole_text(text: str) -> None:
    """Pieces add up to the answer, and no half character is ever shown."""
    stream = TextStream(TOKENIZER)
    pieces = [stream.add(token) for token in TOKENIZER.encode(text)]
    assert "".join(pieces) == text.rstrip("\ufffd")
    if "\ufffd" not in text:
        assert all("\ufffd" not in piece for piece in pieces)


def test_metas_tokenizer_file_is_read_without_sentencepiece(tmp_path: Path) -> None:
    """Vocabulary and scores give the merges: the best-scored piece is made first."""
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece(pieces()))
    tokenizer = load_tokenizer(tmp_path)
    names = {index: text for index, (text, _, _) in enumerate(pieces())}
    assert [names[i] for i in tokenizer.encode("the music")] == ["▁the", "▁music"]
    assert [names[i] for i in tokenizer.encode("thing")] == ["▁t", "h", "ing"]
    assert [names[i] for i in tokenizer.encode("é")] == ["▁", "<0xC3>", "<0xA9>"]
    assert tokenizer.decode(tokenizer.encode("the  music? é\n")) == "the  music? é\n"
    assert tokenizer.size == len(pieces())


def test_a_tokenizer_that_is_absent_or_damaged_is_said(tmp_path: Path) -> None:
    """Each case names the file and, where it helps, the next step."""
    with pytest.raises(BackendUnavailableError, match="neither"):
        load_tokenizer(tmp_path)
    for data in (sentencepiece(pieces())[:-3], b"\xff" * 20, b"", sentencepiece([("a", 0.0, 1)])):
        (tmp_path / "tokenizer.model").write_bytes(data)
        with pytest.raises(BackendUnavailableError, match=r"tokenizer\.model"):
            load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BackendUnavailableError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)
