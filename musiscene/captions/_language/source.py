"""Which language model this installation asks, and that it is loaded once."""

from __future__ import annotations

import importlib.util
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from musiscene import weights
from musiscene.captions._language.model import LanguageModel
from musiscene.errors import BackendUnavailableError, ConfigError
from musiscene.published import MANIFEST, next_step

PROVIDERS = ("local", "hf", "openai")


@dataclass(frozen=True, slots=True)
class KnownModel:
    """An instruct model that was chosen and pinned.

    Attributes:
        revision: Commit of its weights.
        license: Of its weights.
        wrapping: How its training marks a turn, where the published captions were made without its chat template.
    """

    revision: str
    license: str
    wrapping: str = ""


DEFAULT_MODEL = "Qwen/Qwen3-4B-Instruct-2507"
PAPER_MODEL = "mistralai/Mixtral-8x7B-Instruct-v0.1"

KNOWN_MODELS: Mapping[str, KnownModel] = {
    DEFAULT_MODEL: KnownModel("cdbee75f17c01a7cc42f958dc650907174af0554", "Apache-2.0"),
    "Qwen/Qwen3-1.7B": KnownModel("70d244cc86ccca08cf5af4e1e306ecf908b1ad5e", "Apache-2.0"),
    PAPER_MODEL: KnownModel(
        "41bd4c9e7e4fb318ca40e721131d4933966c2cc1", "Apache-2.0", wrapping="[INST] {text} [/INST]\n    "
    ),
}
"""Local models by id. docs/language-models.md says why these."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How a language model is reached. Checked once; its text form never shows the key or the address.

    Attributes:
        provider: "local", "hf" or "openai"; empty for "openai" when there is an address, else "local".
        model: Id of the model, its name in `musiscene weights list`, or a folder with its weights (local); a commit may
            follow an id after "@".
        url: Base address of a server (openai), or of an endpoint of one's own (hf).
        api_key: What the server wants to be shown.
        timeout_s: Longest silence of a server, in seconds.
        weights_dir: Where `musiscene weights download` puts weights; that of the settings when None.
    """

    provider: str = ""
    model: str = ""
    url: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    timeout_s: float = 60.0
    weights_dir: Path | None = None

    def __post_init__(self) -> None:
        provider = self.provider.strip().lower() or ("openai" if self.url else "local")
        if provider not in PROVIDERS:
            raise ConfigError(
                f"There is no kind of language model named {self.provider!r}. Set MUSISCENE_LLM_PROVIDER to one of: "
                f"{', '.join(PROVIDERS)}."
            )
        object.__setattr__(self, "provider", provider)
        if not self.model and provider != "openai":
            object.__setattr__(self, "model", DEFAULT_MODEL)
        if self.model in MANIFEST and MANIFEST[self.model].repo_id:
            object.__setattr__(self, "model", MANIFEST[self.model].repo_id)
        if self.url:
            _check_address(self.url)
        if self.api_key and not re.fullmatch(r"[!-~]+", self.api_key):
            raise ConfigError(
                "MUSISCENE_LLM_API_KEY holds a space or a character that no key has. Copy the key again, without "
                "quotes."
            )
        if not 0 < self.timeout_s < float("inf"):
            raise ConfigError(f"MUSISCENE_LLM_TIMEOUT_S must be a positive number of seconds, got {self.timeout_s}.")

    @property
    def repo_id(self) -> str:
        """The model's id without a commit."""
        return self.model if Path(self.model).is_dir() else self.model.partition("@")[0]

    @property
    def revision(self) -> str | None:
        """The commit asked for, or the one that is pinned; None for a folder or a model of one's own choice."""
        if Path(self.model).is_dir():
            return None
        _, _, asked = self.model.partition("@")
        known = KNOWN_MODELS.get(self.repo_id)
        return asked or (known.revision if known else None)

    def why_unavailable(self) -> str | None:
        """What is lacking, and the next step; None when nothing is. Cheap: nothing is loaded or asked."""
        if self.provider == "openai":
            if not self.url:
                return "Set MUSISCENE_LLM_URL to the address of a language model, as http://127.0.0.1:11434/v1."
            if not self.model:
                return "Set MUSISCENE_LLM_MODEL to the name that the language model has at MUSISCENE_LLM_URL."
            return None
        if self.provider == "hf":
            if not self.url and not self.api_key:
                return "Set MUSISCENE_LLM_API_KEY to a Hugging Face token that may use inference providers."
            return None
        return self._why_not_local()

    def _why_not_local(self) -> str | None:
        missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
        if missing:
            return (
                f"A language model here needs {' and '.join(missing)}: run `pip install 'musiscene[models]'`. "
                "Or set MUSISCENE_LLM_URL to a server that has one."
            )
        folder = self.weights()
        if folder is None:
            return f"{self._how_to_get()} Or set MUSISCENE_LLM_URL to a server that has a language model."
        needed_gb, memory_gb = _size_gb(folder), _memory_gb()
        if memory_gb and needed_gb > memory_gb and not _has_accelerator():
            return (
                f"{self.repo_id} needs {needed_gb:.0f} GB of memory, this machine has {memory_gb:.0f} GB. "
                "Choose a smaller MUSISCENE_LLM_MODEL, or set MUSISCENE_LLM_URL to a server that has it."
            )
        return None

    def _how_to_get(self) -> str:
        name = _manifest_name(self.repo_id)
        if name and "@" not in self.model:
            return f"The weights of {self.repo_id} are not here. {next_step(name)}"
        pinned = f" --revision {self.revision}" if self.revision else ""
        return f"The weights of {self.repo_id} are not here: run `hf download {self.repo_id}{pinned}`."

    def weights(self) -> Path | None:
        """The folder with the weights; None when they are not on this machine. Nothing is downloaded."""
        if Path(self.model).is_dir():
            return _complete(Path(self.model))
        name = _manifest_name(self.repo_id)
        if name and "@" not in self.model and (folder := weights.find(name, self.weights_dir)):
            return _complete(folder)
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        try:
            found = try_to_load_from_cache(self.repo_id, "config.json", revision=self.revision)
        except HFValidationError:  # neither a folder nor an id
            return None
        return _complete(Path(found).parent) if isinstance(found, str) else None


@dataclass
class ModelSource:
    """The language model of one installation: made when it is first asked for, once, whoever asks.

    Several backends share one source, so that the weights are in memory once.
    """

    connection: Connection = field(default_factory=Connection)
    _model: LanguageModel | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self) -> LanguageModel:
        """The model, ready to be asked.

        Raises:
            BackendUnavailableError: It cannot be used here; the message says what to do.
        """
        with self._lock:
            if self._model is None:
                reason = self.connection.why_unavailable()
                if reason:
                    raise BackendUnavailableError(reason)
                self._model = _open(self.connection)
            return self._model

    @staticmethod
    def of(options: Mapping[str, Any]) -> ModelSource:
        """The source in a backend's options; one with the default connection when there is none."""
        source = options.get("source")
        return source if isinstance(source, ModelSource) else ModelSource()


def why_unavailable(options: Mapping[str, Any]) -> str | None:
    """What the language model of these backend options lacks; None when nothing."""
    return ModelSource.of(options).connection.why_unavailable()


def _open(connection: Connection) -> LanguageModel:
    if connection.provider == "openai":
        from musiscene.captions._language.server import OpenAIServer

        return OpenAIServer(connection)
    if connection.provider == "hf":
        from musiscene.captions._language.hub import HubClient

        return HubClient(connection)
    from musiscene.captions._language.local import LocalModel

    return LocalModel.load(connection)


def _check_address(url: str) -> None:
    """An address without secrets in it: libraries write addresses into their logs.

    Raises:
        ConfigError: It is none. The message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("MUSISCENE_LLM_URL is no web address. It looks like http://127.0.0.1:11434/v1.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            "MUSISCENE_LLM_URL must have no name, password, ? or # in it. Put the key into MUSISCENE_LLM_API_KEY."
        )


def _manifest_name(repo_id: str) -> str:
    """The name under which `musiscene weights` knows a model; empty when it does not."""
    return next((name for name, entry in MANIFEST.items() if entry.repo_id == repo_id), "")


def _complete(folder: Path) -> Path | None:
    """The folder, if there is a model in it."""
    there = (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))
    return folder if there else None


def _size_gb(folder: Path) -> float:
    return sum(part.stat().st_size for part in folder.glob("*.safetensors")) / 1e9


def _memory_gb() -> float:
    """Main memory in 10⁹ bytes; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, ValueError, OSError):
        return 0.0


def _has_accelerator() -> bool:
    """Whether there may be a GPU, without importing torch."""
    return Path("/proc/driver/nvidia").exists() or Path("/dev/kfd").exists()
