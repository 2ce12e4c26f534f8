"""The small interface that every language model is reached through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

from musiscene.errors import BackendError, ConfigError
from musiscene.types import Job


class LanguageModelError(BackendError):
    """A language model gave no usable answer; the message says why and what would help.

    Attributes:
        transient: The same question may well be answered a little later.
        wait_s: How long the server asks to wait before that, in seconds; None when it does not say.
    """

    def __init__(self, message: str, *, transient: bool = False, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.transient = transient
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Sampling:
    """How words are drawn.

    The defaults are those of the published captions: Mixtral-8x7B-Instruct with temperature 0.7, top-p 0.95, top-k
    40 and at most 512 new tokens (repository of MusiScene, 2025).

    Attributes:
        temperature: 0 takes the likeliest word every time.
        top_p: Words are drawn from the smallest set whose probability reaches this.
        top_k: And from at most so many; 0 for no such bound.
        max_tokens: Longest answer, in the model's own tokens.
    """

    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 40
    max_tokens: int = 512

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 5:
            raise ConfigError(f"temperature is a number from 0 to 5, got {self.temperature}.")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is a number above 0 and at most 1, got {self.top_p}.")
        if self.top_k < 0 or self.max_tokens < 1:
            raise ConfigError(
                f"top_k is at least 0 and max_tokens at least 1, got top_k {self.top_k} and max_tokens "
                f"{self.max_tokens}."
            )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Delta:
    """What arrived of an answer.

    Attributes:
        text: The next piece of it; may be empty (a sign of life).
        finish: Why the answer ended, in its last piece: "stop", "length" (the bound on tokens), or what the server
            says.
    """

    text: str = ""
    finish: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model, for evidence and provenance. Holds no address and no key.

    Attributes:
        provider: "local", "hf" or "openai".
        model: Its id, or the name of its folder.
        revision: Its pinned revision; empty when unknown.
        license: Of its weights; empty when unknown.
    """

    provider: str
    model: str
    revision: str = ""
    license: str = ""

    def as_dict(self) -> dict[str, str]:
        """JSON-ready, without what is unknown."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked, in one turn.

    Attributes:
        text: The words.
        sampling: How the answer is drawn.
        seed: The same question with the same seed gives the same answer, where the model allows it.
    """

    text: str
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0


@runtime_checkable
class LanguageModel(Protocol):
    """Answers a question, piece by piece."""

    @property
    def facts(self) -> Facts:
        """What is known of the model."""
        ...

    def stream(self, question: Question, job: Job) -> Iterator[Delta]:
        """Yield the answer as it arrives; one of the last pieces says why it ended.

        An answer in which no piece has a `finish` broke off.

        Raises:
            LanguageModelError: It cannot be asked; `transient` errors may be tried again.
            Stopped: `job` was stopped, within a tenth of a second, whatever the model is doing.
        """
        ...
