"""Questions and answers with their sound, from a dataset folder or a conversation JSON; and as tokens."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import soundfile

from musiscene.errors import MediaError
from musiscene.media import probe, read_audio
from musiscene.networks.mert import WINDOW_S, prepared
from musiscene.networks.mu_llama.generate import EOS
from musiscene.networks.mu_llama.tokenizer import BOS, TEMPLATE, LlamaTokenizer
from musiscene.types import Waveform
from train.conversations import read_conversations
from train.failures import TrainingError
from train.tuning.config import Data

SILENCE_S = 1.0
"""What the original lets an item without a sound of its own hear."""


@dataclass(frozen=True, slots=True)
class Example:
    """One item.

    Attributes:
        name: Id, for messages and samples.
        question: What is asked.
        answer: What is to be learnt.
        hear: Reads the sound as MERT gets it, `(samples,)` at 24 kHz, at most the first 60 s.
    """

    name: str
    question: str
    answer: str
    hear: Callable[[], Waveform]


@dataclass(frozen=True, slots=True)
class Tokens:
    """An item as token ids: `ids[:prompt]` is the question in its template, the rest the answer and its end."""

    ids: tuple[int, ...]
    prompt: int


def read_examples(data: Data, split: str) -> list[Example]:
    """The items of a split that have an answer and a sound.

    Args:
        data: Where they are.
        split: "train" or "validation" as `data` names them.

    Raises:
        TrainingError: There is nothing, or an item's sound is missing and `data.missing` is "stop".
    """
    if data.path.suffix == ".json":
        file = data.path if split == data.train_split else data.validation
        if file is None:
            raise TrainingError("data.validation must name a conversation JSON, since data.path is one.")
        found, missing = _conversations(file, data.audio or file.parent)
    else:
        found, missing = _parquet(data.path, split)
    if missing and data.missing == "stop":
        raise TrainingError(
            f"{len(missing)} of {len(missing) + len(found)} items of the {split} split have no sound, the first of "
            f'them {missing[0]}. Add it, or set data.missing = "skip" to train without them.'
        )
    if data.question:
        found = [Example(item.name, data.question, item.answer, item.hear) for item in found]
    if not found:
        raise TrainingError(f"The {split} split of {data.path} holds no item with a sound and an answer.")
    return found


def tokenized(tokenizer: LlamaTokenizer, example: Example, max_tokens: int) -> Tokens:
    """The prompt's tokens, the answer's and the end, cut to `max_tokens`.

    The original encodes prompt and answer as one string; the prompt ends with a colon and the answer follows without a
    space, so the tokens are taken from the whole string too, and the prompt's length from the prompt alone.
    """
    prompt = tokenizer.prompt(example.question)
    whole = [BOS, *tokenizer.encode(TEMPLATE.format(question=example.question) + example.answer), EOS]
    return Tokens(tuple(whole[:max_tokens]), min(len(prompt), max_tokens))


def check_tokenizer(tokenizer: LlamaTokenizer, vocabulary: int, folder: Path) -> None:
    """Whether this tokenizer belongs to a network with so many tokens.

    Raises:
        TrainingError: It does not.
    """
    text = "A calm piano piece: rain falls on the city at night."
    ids = tokenizer.encode(text)
    if tokenizer.size != vocabulary or tokenizer.decode(ids).strip() != text or (ids and max(ids) >= vocabulary):
        raise TrainingError(
            f"{folder} holds a tokenizer of {tokenizer.size} tokens and the network has {vocabulary}: it is another "
            "model's. Name the folder of the LLaMA that is trained in weights.tokenizer."
        )


def _parquet(folder: Path, split: str) -> tuple[list[Example], list[str]]:
    files = sorted((folder / "data").glob(f"{split}-*.parquet")) or sorted(folder.glob(f"{split}-*.parquet"))
    if not files:
        raise TrainingError(f"{folder} holds no {split}-*.parquet: build it with `python -m train.build_dataset`.")
    found: list[Example] = []
    missing: list[str] = []
    for file in files:
        try:
            table = pq.ParquetFile(file)
            for group in range(table.num_row_groups):
                columns = ["clip_id", "question", "answer", "has_audio"]
                for place, row in enumerate(table.read_row_group(group, columns=columns).to_pylist()):
                    if not row["answer"]:
                        continue
                    if not row["has_audio"]:
                        missing.append(row["clip_id"])
                        continue
                    hear = partial(_hear_row, file, group, place)
                    found.append(Example(row["clip_id"], row["question"], row["answer"], hear))
        except (OSError, ValueError, KeyError) as error:
            raise TrainingError(f"{file} is damaged or no dataset of ours: {error}.") from error
    return found, missing


def _hear_row(file: Path, group: int, place: int) -> Waveform:
    return hear_bytes(_sounds(file, group)[place].as_py()["bytes"], f"row {place} of {file.name}")


@lru_cache(maxsize=2)  # rows are heard in their order; a group is read once
def _sounds(file: Path, group: int) -> Any:
    return pq.ParquetFile(file).read_row_group(group, columns=["audio"]).column("audio")


def hear_bytes(content: bytes, name: str) -> Waveform:
    """A sound file in memory as MERT gets it.

    Raises:
        MediaError: It cannot be decoded.
    """
    try:
        waveform, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        raise MediaError(f"The sound of {name} cannot be decoded.") from error
    return _first_minute(prepared(np.ascontiguousarray(waveform.T), rate))


def _conversations(file: Path, audio: Path) -> tuple[list[Example], list[str]]:
    found: list[Example] = []
    missing: list[str] = []
    for name, question, answer in read_conversations(file):
        path = audio / name if name else None
        if path is not None and not path.is_file():
            missing.append(str(path))
            continue
        found.append(Example(name or f"text {len(found)}", question, answer, partial(_hear_file, path)))
    return found, missing


def _hear_file(path: Path | None) -> Waveform:
    if path is None:
        return np.zeros(int(SILENCE_S * 24_000), np.float32)
    audio = read_audio(probe(path), duration_s=WINDOW_S)
    return _first_minute(prepared(audio.waveform, audio.sample_rate))


def _first_minute(mono: Waveform) -> Waveform:
    return mono[: int(WINDOW_S * 24_000)]
