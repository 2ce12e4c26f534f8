"""CLAP (Wu et al. 2023): how well sound and words go together, by transformers' `ClapModel`.

Both libraries cut clips over 10 s at a random place. Here a clip is cut into windows of 10 s, the last one kept if it
has at least 1 s, and the windows' embeddings are averaged, so that a score can be repeated. The value depends on the
checkpoint, whose name belongs beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from musiscene.errors import BackendUnavailableError

SAMPLE_RATE = 48_000
WINDOW_S = 10
MIN_LAST_S = 1.0
_MAX_TOKENS = 77


@dataclass(frozen=True, slots=True)
class Clap:
    """A loaded CLAP.

    Attributes:
        network: A `ClapModel` in evaluation mode.
        hearing: Its feature extractor.
        tokenizer: Its tokenizer.
        source: Where the weights are from; empty for random ones, whose numbers mean nothing.
        device: Where it runs.
    """

    network: Any
    hearing: Any
    tokenizer: Any
    source: str = ""
    device: str = "cpu"

    @torch.inference_mode()
    def embed_windows(self, windows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Embeddings `(n, width)` of windows at 48 kHz of up to 10 s each; shorter ones are repeated, then padded."""
        features = self.hearing(
            [np.asarray(window, np.float32) for window in windows], sampling_rate=SAMPLE_RATE, return_tensors="pt"
        )
        found = self.network.get_audio_features(
            input_features=features["input_features"].to(self.device), is_longer=features["is_longer"].to(self.device)
        )
        return _array(found)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings `(n, width)` of texts, each cut to 77 tokens."""
        tokens = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt"
        )  # fmt: skip
        found = self.network.get_text_features(
            input_ids=tokens["input_ids"].to(self.device), attention_mask=tokens["attention_mask"].to(self.device)
        )
        return _array(found)


def _array(found: Any) -> NDArray[np.float32]:
    tensor = found if isinstance(found, torch.Tensor) else found.pooler_output
    array: NDArray[np.float32] = tensor.float().cpu().numpy()
    return array


def windows(mono: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """A clip at 48 kHz in windows of 10 s; a rest of less than 1 s is left out, unless it is all there is."""
    step = WINDOW_S * SAMPLE_RATE
    parts = [mono[start : start + step] for start in range(0, mono.size, step)]
    if len(parts) > 1 and parts[-1].size < MIN_LAST_S * SAMPLE_RATE:
        parts.pop()
    return [part for part in parts if part.size]


def similarity(sound: NDArray[np.floating], text: NDArray[np.floating]) -> float:
    """Cosine of a clip, given by its windows' embeddings `(n, width)`, and a text's `(width,)`."""
    clip = np.asarray(sound, np.float64).mean(axis=0)
    words = np.asarray(text, np.float64)
    return float(clip @ words / max(np.linalg.norm(clip) * np.linalg.norm(words), 1e-12))


def load_clap(path: Path, *, device: str = "cpu") -> Clap:
    """Load a CLAP without fusion from a folder in Hugging Face's layout.

    Raises:
        BackendUnavailableError: The folder is incomplete, another network's, or was never trained.
    """
    from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel

    try:
        loaded: Any = ClapModel.from_pretrained(path, output_loading_info=True, local_files_only=True)
        network, found = loaded
        hearing = ClapFeatureExtractor.from_pretrained(path, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise BackendUnavailableError(f"{path} does not hold a CLAP with tokenizer and feature extractor.") from error
    if found["missing_keys"] or found.get("mismatched_keys"):
        names = ", ".join(sorted(found["missing_keys"])[:3])
        raise BackendUnavailableError(f"{path} lacks weights of CLAP ({names} …); no score is computed from it.")
    if network.config.audio_config.enable_fusion:
        raise BackendUnavailableError(f"{path} is a CLAP with fusion, which cuts clips at random. Use one without.")
    untrained = math.log(network.config.logit_scale_init_value)
    if math.isclose(network.logit_scale_a.item(), untrained, abs_tol=1e-6):
        raise BackendUnavailableError(f"{path} holds a CLAP that was never trained; no score is computed from it.")
    network.train(False)
    return Clap(network.to(device), hearing, tokenizer, source=str(path), device=device)
