"""Conversation files of MusicQA's kind: questions and answers on pieces of music."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train.failures import TrainingError


def read_conversations(file: Path) -> Iterator[tuple[str, str, str]]:
    """Sound file (may be empty), question and answer of each entry of a MusicQA JSON; only its first two turns count.

    Raises:
        TrainingError: It is not such a file.
    """
    try:
        entries: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        for number, entry in enumerate(entries):
            turns = entry["conversation"]
            if len(turns) < 2 or turns[0]["from"] != "human" or turns[1]["from"] != "gpt":
                raise TrainingError(f"{file}: the conversation {number} is not a question of a human and an answer.")
            yield str(entry.get("audio_name") or ""), str(turns[0]["value"]), str(turns[1]["value"])
    except OSError as error:
        raise TrainingError(f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f'{file} is no list of {{"audio_name": …, "conversation": […]}} entries ({type(error).__name__}).'
        ) from error
