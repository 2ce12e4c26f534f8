"""A short run on a tiny network, and what it told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from musiscene.networks.mu_llama.tiny import write_tiny

ITEMS = 10
FILES = {"adapter": "adapter.safetensors", "base": "base", "mert": "mert"}


def tiny_home(folder: Path, write_chirp: Callable[..., Path]) -> Path:
    """Conversations over sounds in `folder`, and a tiny network whose tokenizer has its size."""
    write_tiny(folder / "tiny")
    entries = []
    for number in range(ITEMS):
        write_chirp(folder / "audio" / f"{number}.wav", 150.0 + 60 * number, seconds=1.0)
        answer = "A calm walk in the rain at night. " * (1 + number % 3)
        turns = [{"from": "human", "value": "What scene?"}, {"from": "gpt", "value": answer.strip()}]
        entries.append({"audio_name": f"{number}.wav", "conversation": turns})
    (folder / "learn.json").write_text(json.dumps(entries[:8]))
    (folder / "validate.json").write_text(json.dumps(entries[8:]))
    return folder


def experiment(home: Path, out: Path, **change: Any) -> dict[str, Any]:
    """A short run."""
    document: dict[str, Any] = {
        "out": str(out),
        "trainable": "adapter",
        "data": {
            "path": str(home / "learn.json"),
            "validation": str(home / "validate.json"),
            "audio": str(home / "audio"),
        },
        "weights": {name: str(home / "tiny" / file) for name, file in FILES.items()},
        "optimiser": {"epochs": 3, "effective_batch": 3, "lr": 1e-3},
        "validation": {"captions": 2, "max_new": 8},
        "output": {"tensorboard": False, "save_every": 2},
    }
    for name, value in change.items():
        document[name] = {**document[name], **value} if isinstance(document.get(name), dict) else value
    return document


def told_lines(out: Path, kind: str) -> list[dict[str, Any]]:
    """Lines of the log of one kind."""
    return [line for line in map(json.loads, (out / "log.jsonl").read_text().splitlines()) if line["kind"] == kind]


def curve(out: Path) -> list[tuple[int, float, float]]:
    """Step, loss and learning rate of every step."""
    return [(line["step"], line["loss"], line["lr"]) for line in told_lines(out, "step")]
