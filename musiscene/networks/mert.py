"""MERT (Li et al., 2023): what a pretrained music encoder hears, as time means of its hidden states.

The network is transformers' `HubertModel`, which has exactly MERT's modules and names; no remote code is run.
The encoder is walked layer by layer, so that only one state is in memory and the work can be stopped in between, and
the last state is the one after the final norm (transformers 5 reports the one before it).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import HubertConfig, HubertModel

from musiscene.errors import BackendUnavailableError, MediaError
from musiscene.networks.resample import resample
from musiscene.networks.tensor_files import TensorFiles, check_names, open_tensors
from musiscene.types import Waveform

SAMPLE_RATE = 24_000
WINDOW_S = 60.0
"""Length of music that MU-LLaMA listens to."""
MIN_S = 0.1
_VARIANCE_EPS = 1e-7

_LEGACY = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
_FOREIGN = frozenset({"model_type", "architectures", "auto_map", "torch_dtype", "dtype", "transformers_version"})
"""Fields of `config.json` that describe the file, not the network."""


@dataclass(frozen=True, slots=True)
class Mert:
    """A loaded MERT.

    Attributes:
        network: The encoder, in evaluation mode.
        identity: Which weights these are, for caches.
    """

    network: HubertModel
    identity: str = ""

    @property
    def states(self) -> int:
        """Number of hidden states: the input of the first layer and the output of each."""
        return len(self.network.encoder.layers) + 1

    @torch.no_grad()
    def pooled(self, waveforms: Tensor, on_layer: Callable[[float], None] = lambda fraction: None) -> Tensor:
        """Time means of all hidden states, `(batch, states, hidden)` float32.

        Args:
            waveforms: Mono at 24 kHz, `(batch, samples)`. One length for all: the group norm looks along time, so
                padding one clip would change what is heard in it.
            on_layer: Called after each layer with the share that is done; may raise to stop.
        """
        network = self.network
        parameter = next(network.parameters())
        values = normalised(waveforms.float()).to(parameter.device, parameter.dtype)
        features = network.feature_extractor(values).transpose(1, 2)
        on_layer(0.1)
        state = network.feature_projection(features)
        encoder = network.encoder
        state = state + encoder.pos_conv_embed(state)
        pre_norm = bool(network.config.do_stable_layer_norm)
        if not pre_norm:
            state = encoder.layer_norm(state)
        means = []
        for index, layer in enumerate(encoder.layers):
            means.append(state.float().mean(dim=1))
            state = layer(state)
            on_layer(0.1 + 0.9 * (index + 1) / len(encoder.layers))
        if pre_norm:
            state = encoder.layer_norm(state)
        means.append(state.float().mean(dim=1))
        return torch.stack(means, dim=1)


def normalised(waveforms: Tensor) -> Tensor:
    """Zero mean and unit variance per clip, as MERT's feature extractor does; `(batch, samples)`."""
    centred = waveforms - waveforms.mean(dim=-1, keepdim=True)
    return centred / torch.sqrt(waveforms.var(dim=-1, keepdim=True, correction=0) + _VARIANCE_EPS)


def prepared(waveform: Waveform, sample_rate: int) -> Waveform:
    """Sound as MU-LLaMA hears it: resampled to 24 kHz, then averaged over the channels; `(samples,)`.

    Raises:
        MediaError: It is too short to hear anything.
    """
    mono: Waveform = resample(waveform, sample_rate, SAMPLE_RATE).mean(axis=0, dtype=np.float32)
    if len(mono) < MIN_S * SAMPLE_RATE:
        raise MediaError(f"The sound lasts {len(mono) / SAMPLE_RATE:.3f} s; at least {MIN_S} s are needed.")
    return mono


def listen(
    mert: Mert,
    mono: Waveform,
    *,
    whole: bool = False,
    window_s: float = WINDOW_S,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Tensor:
    """What one clip sounds like to MERT, `(1, states, hidden)`.

    Args:
        mert: The encoder.
        mono: From `prepared`.
        whole: Average windows over the whole clip, each weighed by its length. By default only the first 60 s
            are heard: the published weights were trained and evaluated that way, as the original's loop over windows
            ends after the first for anything shorter than an hour.
        window_s: Length of a window, in seconds.
        on_progress: Called with the share that is done; may raise to stop.
    """
    step = int(window_s * SAMPLE_RATE)
    windows = [mono[start : start + step] for start in range(0, len(mono) if whole else 1, step)]
    windows = [window for window in windows if len(window) >= MIN_S * SAMPLE_RATE]
    total = sum(len(window) for window in windows)
    heard: Tensor | None = None
    for index, window in enumerate(windows):
        pooled = mert.pooled(
            torch.from_numpy(np.array(window, dtype=np.float32))[None],
            lambda fraction, index=index: on_progress((index + fraction) / len(windows)),  # type: ignore[misc]
        ) * (len(window) / total)
        heard = pooled if heard is None else heard + pooled
    assert heard is not None
    return heard


def load_mert(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Mert:
    """Load MERT-v1-95M or 330M from a folder with `config.json` and its weights, in any published layout.

    Raises:
        BackendUnavailableError: The folder is incomplete, damaged, or another network's.
    """
    config = read_config(path)
    try:
        network = build(config)
    except Exception as error:  # transformers raises nothing narrower for sizes that do not fit together
        raise BackendUnavailableError(f"{path / 'config.json'} describes no MERT: {_first_line(error)}") from error
    files = open_tensors(path).renamed(_module_name)
    expected = {name: tuple(parameter.shape) for name, parameter in network.state_dict().items()}
    check_names(path, files.shapes, expected)
    network.load_state_dict({name: files[name].to(device, dtype) for name in expected}, assign=True)
    network.train(False)
    return Mert(network, identity=_identity(path, files))


def build(config: HubertConfig) -> HubertModel:
    """The network on the meta device: shapes without memory."""
    with torch.device("meta"):
        network = HubertModel(config)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network


def read_config(path: Path) -> HubertConfig:
    """MERT's `config.json` as `HubertModel`'s.

    Raises:
        BackendUnavailableError: It is not there, or describes a MERT that differs from the published ones.
    """
    file = path / "config.json"
    try:
        options: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BackendUnavailableError(f"{path} holds no config.json: name the folder of MERT's files.") from error
    except ValueError as error:
        raise BackendUnavailableError(f"{file} is not readable JSON.") from error
    if not isinstance(options, dict):
        raise BackendUnavailableError(f"{file} describes no network: it holds no names with values.")
    for option in ("deepnorm", "feature_extractor_cqt"):
        if options.get(option):
            raise BackendUnavailableError(f"{file} asks for {option}, which no published MERT uses.")
    known = {name: value for name, value in options.items() if name not in _FOREIGN}
    try:
        config = HubertConfig(**known)
    except Exception as error:  # as above
        raise BackendUnavailableError(f"{file} describes no MERT: {_first_line(error)}") from error
    config._attn_implementation = "sdpa"  # the only public way is an argument of from_pretrained
    return config


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") + "."


def _module_name(name: str) -> str | None:
    name = name.removeprefix("module.").removeprefix("hubert.")
    if name.startswith("final_proj.") or name == "label_embs_concat":
        return None  # heads of the training objective
    return re.sub(r"(?<=pos_conv_embed\.conv\.)(weight_[gv])$", lambda match: _LEGACY[match[1]], name)


def _identity(path: Path, files: TensorFiles) -> str:
    """Short name of these very weights: the shapes' count and a few values of the first layer."""
    digest = hashlib.sha256(str(len(files)).encode())
    for name in sorted(files)[:: max(1, len(files) // 16)]:
        tensor = files[name].flatten()[:64].float()
        digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return f"{path.name}-{digest.hexdigest()[:16]}"


def parameter_count(network: nn.Module) -> int:
    """Number of values in a network's tensors."""
    return sum(tensor.numel() for tensor in network.state_dict().values())
