"""How the MU-LLaMA captioner is set up: where its weights lie, and what a deployment may choose. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from musiscene.errors import BackendUnavailableError, ConfigError
from musiscene.settings import Settings
from musiscene.weights import find, next_step

_PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8", "int4")
_BITS = {"int8": 8, "int4": 4}
_TOKENIZERS = ("tokenizer.json", "tokenizer.model")


@dataclass(frozen=True, slots=True)
class Options:
    """What the `Pool` may be told about this backend. Paths that are not given are looked up in the weights folder.

    Attributes:
        weights_dir: Folder of all weights; that of the settings when None.
        merged: A folder that `weights convert mu-llama` wrote; it is preferred, as it loads quickest.
        adapter: MU-LLaMA's checkpoint, stripped or with its LLaMA inside.
        base: LLaMA 2 7B chat in either layout; not needed when the checkpoint holds it.
        mert: Folder of MERT.
        musiscene: A MusiScene adapter in the published layout: a file, a folder, or a repository of the hub that was
            fetched ("owner/name"); None describes scenes zero-shot.
        tokenizer: Folder of LLaMA's tokenizer; beside the base or the checkpoint when None.
        device: "cuda", "mps" or "cpu"; the best there is when empty.
        precision: "float32", "bfloat16" or "float16"; "int8" and "int4" are another way to say `bits`; by device, and
            on a CPU by the free memory, when "auto" or empty.
        bits: 8 or 4 quantises LLaMA's layers; 0 does not. 8 on a CPU needs nothing more, all else needs bitsandbytes.
        norm_eps: Epsilon of LLaMA's norms.
        whole_track: Listen to all of a track in windows of 60 s; by default to its first 60 s, as the original.
        temperature: See `generate.Sampling`.
        top_p: See `generate.Sampling`.
        max_new: Longest answer, in tokens.
        knn: A safetensors or npy file of unit vectors to blend with; needs `knn_weight` above 0.
        knn_weight: The original's `cache_weight`.
        knn_size: Its `cache_size`.
        knn_sharpness: Its `cache_t`.
        cache_dir: Folder for what MERT heard; in the data folder when None.
    """

    weights_dir: Path | None = None
    merged: Path | None = None
    adapter: Path | None = None
    base: Path | None = None
    mert: Path | None = None
    musiscene: Path | None = None
    tokenizer: Path | None = None
    device: str = ""
    precision: str = ""
    bits: int = 0
    norm_eps: float = 1e-6
    whole_track: bool = False
    temperature: float = 0.6
    top_p: float = 0.8
    max_new: int = 512
    knn: Path | None = None
    knn_weight: float = 0.0
    knn_size: int = 100
    knn_sharpness: float = 20.0
    cache_dir: Path | None = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Options:
        """Check and complete what the `Pool` was given.

        Raises:
            ConfigError: A name or value that means nothing here.
        """
        known = {field.name: field for field in fields(cls)}
        unknown = given.keys() - known.keys()
        if unknown:
            raise ConfigError(
                f"mu-llama has no option {', '.join(sorted(unknown))}. It knows: {', '.join(sorted(known))}."
            )
        values: dict[str, Any] = {
            name: Path(value).expanduser() if value is not None and str(known[name].type).startswith("Path") else value
            for name, value in given.items()
        }
        options = cls(**values)
        if (options.precision or "auto") not in _PRECISIONS:
            raise ConfigError(f"mu-llama's precision must be {', '.join(_PRECISIONS)}, got {options.precision!r}.")
        if options.precision in _BITS:
            if options.bits not in (0, _BITS[options.precision]):
                raise ConfigError(f"precision {options.precision} and bits {options.bits} contradict each other.")
            options = replace(options, precision="", bits=_BITS[options.precision])
        elif options.precision == "auto":
            options = replace(options, precision="")
        if options.bits not in (0, 4, 8):
            raise ConfigError(f"bits must be 0, 4 or 8, got {options.bits!r}.")
        if options.temperature < 0 or not 0 <= options.top_p <= 1 or options.max_new < 1:
            raise ConfigError("temperature must be 0 or more, top_p between 0 and 1, max_new at least 1.")
        if options.knn_weight and options.knn is None:
            raise ConfigError("knn_weight needs knn: the file of vectors to blend with.")
        return options


@dataclass(frozen=True, slots=True)
class Setup:
    """Where everything lies. `merged` or `adapter` is given."""

    mert: Path
    tokenizer: Path
    merged: Path | None
    adapter: Path | None
    base: Path | None
    musiscene: Path | None


def locate(options: Options) -> Setup:
    """Find all weights, without opening any.

    Raises:
        BackendUnavailableError: Some are not here; the message says which and what to do.
    """
    folder = options.weights_dir

    def there(given: Path | None, *names: str) -> Path | None:
        if given is not None:
            if not given.exists() and names == ("musiscene",):
                given = _fetched_adapter(given)
            if not given.exists():
                raise BackendUnavailableError(f"mu-llama was told of {given}, which does not exist.")
            return given
        return next((path for name in names if (path := find(name, folder)) is not None), None)

    adapter = there(options.adapter, "mu-llama")
    merged = there(options.merged) if options.adapter else there(options.merged, "mu-llama-merged")
    base = there(options.base, "llama-2-7b-chat-hf", "llama-2-7b-chat")
    mert = there(options.mert, "mert-v1-330m")
    missing = []
    if merged is None and adapter is None:
        missing.append(f"MU-LLaMA's checkpoint: {next_step('mu-llama')}")
    if mert is None:
        missing.append(f"MERT: {next_step('mert-v1-330m')}")
    tokenizer = options.tokenizer or next(
        (place for place in _folders(merged, base, adapter) if any((place / name).is_file() for name in _TOKENIZERS)),
        None,
    )
    if tokenizer is None and merged is None:
        missing.append(f"LLaMA 2 with its tokenizer: {next_step('llama-2-7b-chat-hf')}")
    elif tokenizer is None:
        missing.append(f"LLaMA's tokenizer: put tokenizer.json or tokenizer.model into {merged}.")
    if missing:
        raise BackendUnavailableError("mu-llama needs weights that are not here. " + " ".join(missing))
    assert mert is not None and tokenizer is not None
    return Setup(mert, tokenizer, merged, adapter, base, there(options.musiscene, "musiscene"))


def feature_folder(options: Options) -> Path:
    """Where what MERT heard is kept."""
    return options.cache_dir or Settings.from_env().data_dir / "cache" / "mert"


def _fetched_adapter(given: Path) -> Path:
    """An adapter's repository on the hub ("owner/name"), where it was fetched to; nothing is fetched unasked."""
    repo_id = given.as_posix().removeprefix("./")
    if repo_id.count("/") != 1 or given.is_absolute():
        return given
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    name, _, revision = repo_id.partition("@")
    try:
        found = try_to_load_from_cache(name, "adapter.safetensors", revision=revision or None)
    except HFValidationError:
        return given
    if not isinstance(found, str):
        raise BackendUnavailableError(
            f"The adapter {repo_id} is not on this machine: run `hf download {name}`, or give the path of its file."
        )
    return Path(found)


def _folders(*paths: Path | None) -> list[Path]:
    return [path if path.is_dir() else path.parent for path in paths if path is not None]
