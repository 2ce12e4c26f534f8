"""Finding and loading a published MusicGen."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musiscene.errors import BackendUnavailableError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A MusicGen in memory.

    Attributes:
        model: transformers' `MusicgenForConditionalGeneration`, in evaluation mode.
        tokenizer: Of its text encoder.
        name: What it was asked for by.
        reason: Device and precision, and why.
    """

    model: Any
    tokenizer: Any
    name: str
    reason: str


def locate(name: str, weights_dir: Path | None) -> Path | None:
    """The folder of some weights: a folder itself, or a name in the manifest that is on this machine."""
    from musiscene.published import MANIFEST
    from musiscene.weights import find

    if name in MANIFEST:
        return find(name, weights_dir)
    folder = Path(name).expanduser()
    return folder if (folder / "config.json").is_file() else None


def load_model(name: str, weights_dir: Path | None = None) -> Loaded:
    """Load from a folder in the published layout.

    Raises:
        BackendUnavailableError: The folder is not complete; the message says what is wrong with it.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    folder = locate(name, weights_dir)
    if folder is None:
        raise BackendUnavailableError(f"MusicGen's weights {name} are not here.")
    device, dtype, reason = _place(torch)
    try:
        loaded: Any = MusicgenForConditionalGeneration.from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise BackendUnavailableError(
            f"The MusicGen weights in {folder} cannot be loaded ({type(error).__name__}). "
            "Run `musiscene weights verify`, or download them again."
        ) from error
    model, info = loaded
    wrong = sorted({*info["missing_keys"], *info["unexpected_keys"], *(m[0] for m in info["mismatched_keys"])})
    if wrong:
        raise BackendUnavailableError(
            f"The MusicGen weights in {folder} do not fit: {len(wrong)} names are missing, unexpected or of another "
            f"shape, as {', '.join(wrong[:4])}. Download them again."
        )
    _log.info("MusicGen %s: %s", name, reason)
    return Loaded(model.to(device).eval(), tokenizer, name, reason)


def _place(torch: Any) -> tuple[Any, Any, str]:
    """Device and precision, with the reason."""
    if torch.cuda.is_available():
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return torch.device("cuda"), dtype, f"CUDA, {dtype}"
    # On MPS EnCodec's output is garbled without a word, and moving codes between devices costs what it gains.
    return torch.device("cpu"), torch.float32, "processor, float32: no CUDA here"
