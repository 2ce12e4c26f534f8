"""A question about the music, and its answer as far as it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from musiscene.errors import MusisceneError

State: TypeAlias = Literal["waiting", "starting", "writing", "done", "stopped", "failed"]


@dataclass
class Exchange:
    """One question and its answer.

    Attributes:
        question: As it was asked.
        backend: Who answers.
        seed: Of the answer: the same question gets the same one again.
        answer: As far as it is written.
        state: What it is at.
        ahead: How many pieces of work are before it.
        error: Why there is no answer, or no more of it.
    """

    question: str
    backend: str
    seed: int = 0
    answer: str = ""
    state: State = "waiting"
    ahead: int = 0
    error: MusisceneError | str = field(default="", repr=False)

    @property
    def busy(self) -> bool:
        """Whether it is still being answered."""
        return self.state in ("waiting", "starting", "writing")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, for the comparison's file and the manifest."""
        return {
            "question": self.question,
            "answer": self.answer,
            "backend": self.backend,
            "seed": self.seed,
            "state": "stopped" if self.busy else self.state,
        }

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Exchange:
        """The exchange that `as_dict` wrote."""
        return cls(value["question"], value["backend"], value["seed"], value["answer"], value["state"])
