"""Loading everything once: device and precision decided here, memory looked at before anything is read."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from musiscene.captions._mu_llama.options import Options, Setup
from musiscene.errors import BackendUnavailableError, ConfigError
from musiscene.networks.mert import Mert, load_mert
from musiscene.networks.mu_llama.adapter import KnnBlend
from musiscene.networks.mu_llama.checkpoint import Checkpoint, open_checkpoint
from musiscene.networks.mu_llama.convert import is_converted, open_converted
from musiscene.networks.mu_llama.decoder import Decoder, Tuning, load_decoder, load_tuning
from musiscene.networks.mu_llama.listener import Listener, load_listener
from musiscene.networks.mu_llama.memory import memory_free, memory_need
from musiscene.networks.mu_llama.tokenizer import LlamaTokenizer, load_tokenizer
from musiscene.networks.narrow_linear import narrowed
from musiscene.networks.packed_linear import pack
from musiscene.networks.placement import gpu_computes_in_bfloat16
from musiscene.networks.tensor_files import open_tensors

_LOG = logging.getLogger(__name__)
_SMALL_BYTES = 4e9
"""A network that takes less than this in float32 runs in float32 on a CPU."""


@dataclass(frozen=True)
class Scenes:
    """The MusiScene network, which shares the loaded LLaMA."""

    listener: Listener
    tuning: Tuning | None


@dataclass(frozen=True)
class Loaded:
    """One LLaMA, its ear, and what scenes are imagined with (None: MU-LLaMA itself, zero-shot)."""

    checkpoint: Checkpoint
    decoder: Decoder
    listener: Listener
    scenes: Scenes | None
    tokenizer: LlamaTokenizer
    tokenizer_folder: Path
    mert: Mert
    blend: KnnBlend
    device: str
    dtype: torch.dtype
    bits: int
    weights: str

    @property
    def precision(self) -> str:
        """What matrices are stored in."""
        return f"{self.bits} bit" if self.bits else str(self.dtype).removeprefix("torch.")


def load(options: Options, setup: Setup) -> Loaded:
    """Load all weights.

    Raises:
        BackendUnavailableError: Too little memory, or a file that is damaged or another network's.
        ConfigError: A device that is not here.
    """
    checkpoint = _open(options, setup)
    scene_checkpoint = checkpoint.overlaid(setup.musiscene) if setup.musiscene else None
    overlay = scene_checkpoint.overlay if scene_checkpoint else None
    own_music = overlay is not None and "mu_mert_proj.weight" in overlay
    own_tuning = overlay is not None and "llama.norm.weight" in overlay

    device, why = _device(options.device)
    dtype = _precision(options, checkpoint, device)

    def needed(bits: int) -> float:
        own = {"scene_music": own_music, "scene_tuning": own_tuning}
        return memory_need(checkpoint.sizes, dtype, bits=bits, device=device, **own).total

    bits, free = options.bits, memory_free(device)
    free_to_choose = device == "cpu" and not bits and not options.precision
    if free_to_choose and (checkpoint.quantised or (free is not None and needed(0) > free)):
        bits = 8  # quicker, too
    need = needed(bits)
    if free is not None and need > free:
        raise BackendUnavailableError(_too_large(need, free, device, dtype, bits))
    name = f"{bits} bits" if bits else str(dtype).removeprefix("torch.")
    _LOG.info("MU-LLaMA on %s in %s, %s; needs about %.1f GB", device, name, why, need / 1e9)

    tokenizer = load_tokenizer(setup.tokenizer)
    if tokenizer.size > checkpoint.sizes.vocabulary:
        raise BackendUnavailableError(
            f"{setup.tokenizer} has {tokenizer.size} tokens and the network {checkpoint.sizes.vocabulary}: "
            "it is another model's tokenizer."
        )
    mert = load_mert(setup.mert, device=device)
    _check_ear(mert, checkpoint, setup.mert)
    narrow = device == "cpu" and bits != 4 and (bits == 8 or dtype != torch.float32)
    working = torch.float32 if narrow else dtype  # see narrow_linear
    store = narrower(bits, dtype) if narrow else quantizer(bits, dtype) if bits else None
    decoder = load_decoder(checkpoint, dtype=working, device=device, store=store)
    decoder.embedding.to(dtype)
    if free is None or 2 * need < free:
        pack(decoder)  # a second copy of its matrices: eight questions at once take half as long
    store = store if narrow else None
    listener = load_listener(checkpoint, dtype=working, device=device, store=store)
    scenes = None
    if scene_checkpoint is not None:
        like = decoder.norm.weight
        scenes = Scenes(
            load_listener(
                scene_checkpoint,
                loaded=checkpoint,
                dtype=working,
                device=device,
                shared=None if own_music else listener.music,
                store=store,
            ),
            load_tuning(checkpoint, scene_checkpoint, like) if own_tuning else None,
        )
    source = setup.merged or setup.adapter
    assert source is not None
    blend = _blend(options, device)
    return Loaded(
        checkpoint, decoder, listener, scenes, tokenizer, setup.tokenizer, mert, blend, device, dtype, bits, source.name
    )


def narrower(bits: int, dtype: torch.dtype) -> Callable[[str, torch.nn.Linear], torch.nn.Module]:
    """A function that stores a matrix in 8 bits or in `dtype`, for use in float32 on a CPU."""
    return lambda name, linear: narrowed(linear, torch.int8 if bits == 8 else dtype)


def quantizer(bits: int, dtype: torch.dtype) -> Callable[[str, torch.nn.Linear], torch.nn.Module]:
    """A function that makes a layer's matrices those of bitsandbytes, which quantises them on their way to the device.

    Raises:
        BackendUnavailableError: bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        where = "bits=4 needs" if bits == 4 else "bits=8 needs, on a GPU,"
        raise BackendUnavailableError(f"{where} bitsandbytes: run `pip install bitsandbytes`.")
    import bitsandbytes.nn as bnb

    def store(name: str, linear: torch.nn.Linear) -> torch.nn.Module:
        if name == "head":  # as bitsandbytes' own integrations leave it
            return linear
        size = (linear.in_features, linear.out_features)
        bias = linear.bias is not None
        if bits == 4:
            packed = bnb.Linear4bit(*size, bias=bias, compute_dtype=dtype, quant_type="nf4")
            packed.weight = bnb.Params4bit(linear.weight.data, requires_grad=False, quant_type="nf4")
        else:
            packed = bnb.Linear8bitLt(*size, bias=bias, has_fp16_weights=False, threshold=6.0)
            packed.weight = bnb.Int8Params(linear.weight.data, requires_grad=False, has_fp16_weights=False)
        packed.bias = linear.bias
        return cast(torch.nn.Module, packed)

    return store


def _open(options: Options, setup: Setup) -> Checkpoint:
    if setup.merged is not None:
        return open_converted(setup.merged)
    assert setup.adapter is not None
    if setup.adapter.is_dir() and is_converted(setup.adapter):
        return open_converted(setup.adapter)
    return open_checkpoint(setup.adapter, setup.base, norm_eps=options.norm_eps)


def _device(asked: str) -> tuple[str, str]:
    """The device and why it was taken."""
    if asked:
        there: dict[str, Callable[[], bool]] = {
            "cuda": torch.cuda.is_available,
            "mps": torch.backends.mps.is_available,
            "cpu": lambda: True,
        }
        kind = asked.partition(":")[0]
        if kind not in there:
            raise ConfigError(f"device must be cuda, mps or cpu, got {asked!r}.")
        if not there[kind]():
            raise ConfigError(f"This machine has no {kind} device that PyTorch can use. Leave device empty.")
        return asked, "as it was asked for"
    if torch.cuda.is_available():
        return "cuda", "because there is a GPU"
    if torch.backends.mps.is_available():
        return "mps", "because there is an Apple GPU"
    return "cpu", "because there is no GPU"


def _precision(options: Options, checkpoint: Checkpoint, device: str) -> torch.dtype:
    if options.precision:
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[options.precision]
    if device.startswith("cuda"):
        return torch.bfloat16 if gpu_computes_in_bfloat16() else torch.float16
    if device == "mps":
        return torch.float16
    small = memory_need(checkpoint.sizes, torch.float32).llama < _SMALL_BYTES
    return torch.float32 if small else torch.bfloat16


def _too_large(need: float, free: float, device: str, dtype: torch.dtype, bits: int) -> str:
    where = "in this machine's memory" if device == "cpu" else f"on {device}"
    how = f"in {bits} bits" if bits else f"in {str(dtype).removeprefix('torch.')}"
    smaller = ""
    if device == "cpu" and bits != 8:
        smaller = " Set its precision to int8, which takes least on a processor."
    elif dtype == torch.float32 and not bits:
        smaller = " Set its precision to bfloat16, which takes half."
    elif bits != 4 and device.startswith("cuda"):
        smaller = f" Set its precision to int{4 if bits == 8 else 8} (needs bitsandbytes)."
    return (
        f"MU-LLaMA needs about {need / 1e9:.1f} GB {how}, and {free / 1e9:.1f} GB are free {where}."
        f"{smaller} The sketch profile needs none of it."
    )


def _check_ear(mert: Mert, checkpoint: Checkpoint, path: Path) -> None:
    sizes = checkpoint.sizes
    hidden = int(mert.network.config.hidden_size)
    if (mert.states, hidden) != (sizes.mert_states, sizes.mert_dim):
        raise BackendUnavailableError(
            f"{path} gives {mert.states} states of {hidden} values, and this MU-LLaMA listens to {sizes.mert_states} "
            f"of {sizes.mert_dim}: it needs the MERT that it was trained with (MERT-v1-330M for the published one)."
        )


def _blend(options: Options, device: str) -> KnnBlend:
    """The scripts of both papers blend with weight 0, which only normalises once more."""
    prototypes = None
    if options.knn is not None and options.knn_weight:
        if options.knn.suffix == ".npy":
            prototypes = torch.from_numpy(np.load(options.knn, allow_pickle=False))
        else:
            prototypes = next(iter(open_tensors(options.knn).values()))
        prototypes = torch.nn.functional.normalize(prototypes.float(), dim=-1).to(device)
    return KnnBlend(prototypes, size=options.knn_size, sharpness=options.knn_sharpness, weight=options.knn_weight)
