"""Finding and loading a published MusicGen."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musiscene.errors import BackendUnavailableError
from musiscene.soundtracks._musicgen.tiers import Machine, Tier, choose_size, choose_tier, is_out_of_memory
from musiscene.weight_notes import noted_commit

_log = logging.getLogger(__name__)

LICENSE = "CC-BY-NC-4.0"
"""Of all published weights."""


_KINDS = ("musicgen", "musicgen_melody")
_TOKENIZERS = ("tokenizer.json", "spiece.model")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A MusicGen in memory.

    Attributes:
        model: transformers' `MusicgenForConditionalGeneration`, or that of the melody models, in evaluation mode.
        tokenizer: Of its text encoder.
        name: What it was asked for by.
        tier: Devices and precision, and why.
        revision: The commit of the hub that it came from; empty when that is not known.
        chroma: What its `preprocessor_config.json` says of how a melody is heard.
        reason: Why this model, where none was named.
    """

    model: Any
    tokenizer: Any
    name: str
    tier: Tier
    revision: str = ""
    chroma: dict[str, int] | None = None
    reason: str = ""


def manifest_name(name: str) -> str:
    """The name in the manifest of weights, also for one given by its repository (`facebook/musicgen-small`)."""
    from musiscene.published import MANIFEST

    by_repo = {weights.repo_id: known for known, weights in MANIFEST.items() if known.startswith("musicgen-")}
    return by_repo.get(name, name)


def locate(name: str, weights_dir: Path | None) -> Path | None:
    """The folder of some weights, without downloading anything.

    Args:
        name: A name or repository in the manifest, a folder, or `REPO` or `REPO@REVISION` in the hub's own cache.
        weights_dir: Folder of all weights.
    """
    from musiscene.published import MANIFEST
    from musiscene.weights import find

    known = manifest_name(name)
    if known in MANIFEST:
        found = find(known, weights_dir)
        return found or (_cached(name) if "/" in name else None)
    try:
        folder = Path(name).expanduser()
        if (folder / "config.json").is_file():
            return folder
    except (OSError, RuntimeError):  # too long for a name; no such person's home
        return None
    return _cached(name)


def _cached(name: str) -> Path | None:
    """What other programs of this machine have fetched from the hub."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    repo, _, revision = name.partition("@")
    if repo.count("/") != 1:
        return None
    try:
        found = try_to_load_from_cache(repo, "config.json", revision=revision or None)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def default_model(weights_dir: Path | None, machine: Machine | None = None) -> tuple[str, str]:
    """The size to use where none was named, and why."""
    from musiscene.published import MANIFEST
    from musiscene.weights import find

    here = [name for name in MANIFEST if name.startswith("musicgen-") and find(name, weights_dir)]
    return choose_size(here, machine or Machine("cpu"))


def start_token(model: Any) -> int:
    """What stands where a codebook has no code yet, as transformers' `generate` takes it; else one beyond the codes."""
    generation, codes = model.generation_config, model.decoder.config.vocab_size
    given = (generation.decoder_start_token_id, generation.bos_token_id, model.decoder.config.pad_token_id, codes)
    return next(int(token) for token in given if token is not None and 0 <= token <= codes)


def machine_here() -> Machine:
    """What this machine computes with."""
    import torch

    from musiscene.networks.mu_llama.memory import memory_free
    from musiscene.networks.musicgen.linear import int8_engine
    from musiscene.networks.placement import gpu_computes_in_bfloat16

    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    free = memory_free(device)
    return Machine(
        device=device,
        free_gb=None if free is None else free / 1e9,
        bfloat16=gpu_computes_in_bfloat16(),
        int8=int8_engine() is not None,
    )


def load_model(name: str = "", weights_dir: Path | None = None, precision: str = "auto") -> Loaded:
    """Load from a folder in the published layout.

    Args:
        name: A name or repository in the manifest, a folder, or `REPO@REVISION`; chosen by the free memory when empty.
        weights_dir: Folder of all weights.
        precision: One of `tiers.PRECISIONS`.

    Raises:
        BackendUnavailableError: The folder is not complete; the message says what is wrong with it.
        ConfigError: The precision cannot be had here.
    """
    import torch

    machine = machine_here()
    tier = choose_tier(machine, precision)
    reason = ""
    if not name:
        name, reason = default_model(weights_dir, machine)
    folder = locate(name, weights_dir)
    if folder is None:
        raise BackendUnavailableError(f"MusicGen's weights {name} are not here.")
    dtype = getattr(torch, tier.precision if tier.precision != "int8" else "float32")
    kind = _checked_kind(folder)
    try:
        model, tokenizer = _read(folder, kind, dtype)
        model = model.to(tier.device).eval()
    except BackendUnavailableError:
        raise
    except Exception as error:  # what a library makes of files that are no good is of any kind
        if is_out_of_memory(error):
            raise BackendUnavailableError(
                f"There is not enough memory to load {name}. Use a smaller model, or close what else takes memory."
            ) from error
        raise BackendUnavailableError(
            f"The MusicGen weights in {folder} cannot be loaded ({type(error).__name__}). "
            "Run `musiscene weights verify`, or download them again."
        ) from error
    _log.info("MusicGen %s: %s%s", name, tier.reason, f"; {reason}" if reason else "")
    return Loaded(model, tokenizer, name, tier, _revision(folder), _chroma(folder), reason)


def _read(folder: Path, kind: str, dtype: Any) -> tuple[Any, Any]:
    """The network, all of whose weights were there, and its tokenizer."""
    import transformers

    network: Any = (
        transformers.MusicgenMelodyForConditionalGeneration
        if kind == "musicgen_melody"
        else transformers.MusicgenForConditionalGeneration
    )
    with _without_false_alarm():
        loaded: Any = network.from_pretrained(folder, dtype=dtype, local_files_only=True, output_loading_info=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model, info = loaded
    wrong = sorted({*info["missing_keys"], *info["unexpected_keys"], *(m[0] for m in info["mismatched_keys"])})
    if wrong:
        raise BackendUnavailableError(
            f"The MusicGen weights in {folder} do not fit: {len(wrong)} names are missing, unexpected or of another "
            f"shape, as {', '.join(wrong[:4])}. Download them again."
        )
    _check_depth(folder, model)
    return model, tokenizer


def _check_depth(folder: Path, model: Any) -> None:
    """Transformers passes in silence over layers and codebooks that are in the files and not in the config."""
    from musiscene.networks.tensor_files import open_tensors

    names = [name for file in folder.glob("*.safetensors") for name in open_tensors(file)]
    config = model.decoder.config
    for word, part, said in (
        ("layers", r"model\.decoder\.layers", config.num_hidden_layers),
        ("codebooks", "lm_heads", config.num_codebooks),
    ):
        numbers = [int(found[1]) for name in names if (found := re.match(rf"decoder\.{part}\.(\d+)\.", name))]
        if (has := max(numbers, default=-1) + 1) > said:
            raise BackendUnavailableError(
                f"The MusicGen weights in {folder} do not fit: they have {has} {word} and config.json says {said}. "
                "Download both again."
            )


@contextmanager
def _without_false_alarm() -> Iterator[None]:
    """The padding of every MusicGen stands one beyond its codes, which transformers warns of at each loading."""

    def wanted(record: logging.LogRecord) -> bool:
        return "_token_id must be" not in record.getMessage()

    logger = logging.getLogger("transformers.configuration_utils")
    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)


def _checked_kind(folder: Path) -> str:
    """Which of `_KINDS`; what transformers would make up or report at length (another network, no tokenizer) raises."""
    try:
        kind = str(json.loads((folder / "config.json").read_text("utf-8")).get("model_type"))
    except (OSError, ValueError, AttributeError) as error:
        raise BackendUnavailableError(
            f"{folder / 'config.json'} cannot be read, so nobody knows what it is for. Download the weights again."
        ) from error
    if kind not in _KINDS:
        raise BackendUnavailableError(
            f"{folder} holds a network of the kind {kind!r}, not a MusicGen in transformers' layout "
            f"({' or '.join(_KINDS)}). Name another folder."
        )
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise BackendUnavailableError(
            f"{folder} has no tokenizer ({' or '.join(_TOKENIZERS)}) to read a text with. Download the weights again."
        )
    return kind


def _revision(folder: Path) -> str:
    """The commit that was noted when the weights came."""
    if folder.parent.name == "snapshots":  # the hub's own cache names folders by commit
        return folder.name
    return noted_commit(folder)


def _chroma(folder: Path) -> dict[str, int] | None:
    try:
        given = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
        names = {"sampling_rate": "sample_rate", "n_fft": "fft", "hop_length": "hop", "num_chroma": "classes"}
        return {ours: int(given[theirs]) for theirs, ours in names.items() if theirs in given}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
