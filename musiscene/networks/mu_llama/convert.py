"""Writing networks: the published layout, a merged one that starts quickly, and a plain Llama for one clip.

Files are written tensor by tensor, so a 13 GB model needs the memory of its largest matrix, and they appear under
their names only when they are complete.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from musiscene.errors import BackendUnavailableError, StorageError
from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.checkpoint import SCALE, Checkpoint
from musiscene.networks.mu_llama.sizes import Sizes
from musiscene.networks.mu_llama.tokenizer import TEMPLATE
from musiscene.networks.narrow_linear import quantised
from musiscene.networks.tensor_files import check_names, open_tensors

FACTS = "musiscene.json"
ADAPTER = "adapter.safetensors"
MODEL = "model.safetensors"
_FORMAT = 1
_EMBEDDING = f"{layout.ENDS['tok_embeddings']}.weight"
_DTYPES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float64: "F64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def save_published(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors under their published names: safetensors, or the pickled dict of the original for `.pth`.

    Raises:
        StorageError: The disk refused.
    """
    if path.suffix != ".pth":
        specs: dict[str, Spec] = {n: (t.dtype, tuple(t.shape), partial(_same, t)) for n, t in tensors.items()}
        write_safetensors(path, specs)
        return
    part = path.with_name(path.name + ".part")
    try:
        torch.save({"model": dict(tensors)}, part)
        part.replace(path)
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise StorageError(f"{path} could not be written: {error}.") from error


def convert(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    dtype: torch.dtype = torch.bfloat16,
    tokenizer_from: Path | None = None,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> None:
    """Write `folder` so that later starts take seconds: the adapter as safetensors, and LLaMA merged in `dtype`.

    The merged part is a plain Llama (with biases) that any program reads; it has not heard any music.

    Args:
        checkpoint: An opened published checkpoint.
        folder: Made if it is not there; `open_converted` reads it.
        dtype: Type of the merged LLaMA; the adapter keeps its own types. int8 quantises its matrices, with which only
            this program can do something; all else of it is bfloat16 then.
        tokenizer_from: A folder whose tokenizer is copied along.
        on_progress: Called with the share that is done; may raise to stop.

    Raises:
        StorageError: The disk refused, or has too little room.
    """
    sizes = checkpoint.sizes
    adapter: dict[str, Spec] = {}
    for name, shape in layout.published_shapes(sizes, with_base=False).items():
        adapter[name] = (checkpoint.tensor(name).dtype, shape, partial(checkpoint.tensor, name))
    plain = _plain_llama(checkpoint, dtype)
    total = sum(_bytes(spec) for spec in (*adapter.values(), *plain.values()))
    _make_room(folder, total)
    adapter_share = sum(_bytes(spec) for spec in adapter.values()) / total
    write_safetensors(folder / ADAPTER, adapter, lambda f: on_progress(f * adapter_share))
    write_safetensors(folder / MODEL, plain, lambda f: on_progress(adapter_share + f * (1 - adapter_share)))
    if dtype == torch.int8:
        (folder / "config.json").unlink(missing_ok=True)  # it would tell other programs that they can read this
    else:
        _write_config(folder, sizes, dtype)
    _copy_tokenizer(tokenizer_from, folder)
    # Last of all: a folder with this file is complete.
    _write_json(folder / FACTS, {"format": _FORMAT, "network": "mu-llama", "sizes": asdict(sizes)})


def is_converted(folder: Path) -> bool:
    """Whether `convert` has written this folder to the end."""
    return (folder / FACTS).is_file()


def open_converted(folder: Path) -> Checkpoint:
    """Open what `convert` wrote.

    Raises:
        BackendUnavailableError: It is not complete, or of another version.
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        sizes = Sizes(**facts["sizes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackendUnavailableError(f"{folder} is not a converted MU-LLaMA: convert it again.") from error
    if facts.get("format") != _FORMAT:
        raise BackendUnavailableError(f"{folder} was converted by another version: convert it again.")
    adapter, model = open_tensors(folder / ADAPTER), open_tensors(folder / MODEL)
    check_names(folder / ADAPTER, adapter.shapes, layout.published_shapes(sizes, with_base=False))
    base = model.renamed(_base_name)
    expected = layout.base_shapes(sizes)
    expected |= {f"{n}{SCALE}": expected[n][:1] for n in base if n in expected and f"{n}{SCALE}" in base}
    check_names(folder / MODEL, base.shapes, expected)
    return Checkpoint(sizes, adapter, base, base_in_halves=True, lora_in_base=True)


def export_for_clip(
    checkpoint: Checkpoint,
    music_terms: Tensor,
    folder: Path,
    *,
    dtype: torch.dtype = torch.bfloat16,
    tokenizer_from: Path | None = None,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> None:
    """Write a plain Llama that has heard one clip.

    What the music adds to a layer's attention output is one constant vector, so it can live in that layer's output
    bias. The result needs nothing of ours: any program that runs a Llama with biases answers questions on the clip.

    Args:
        checkpoint: The network.
        music_terms: The clip's `(prefix_layers, dim)` from `Listener.terms`.
        folder: Where `config.json` and `model.safetensors` are written.
        dtype: Type of all weights.
        tokenizer_from: A folder whose tokenizer is copied along.
        on_progress: Called with the share that is done; may raise to stop.

    Raises:
        StorageError: The disk refused, or has too little room.
    """
    sizes = checkpoint.sizes
    plain = _plain_llama(checkpoint, dtype, music_terms=music_terms.cpu())
    _make_room(folder, sum(_bytes(spec) for spec in plain.values()))
    write_safetensors(folder / MODEL, plain, on_progress)
    _write_config(folder, sizes, dtype)
    _copy_tokenizer(tokenizer_from, folder)
    (folder / "prompt.txt").write_text(TEMPLATE, encoding="utf-8")


Spec = tuple[torch.dtype, tuple[int, ...], Callable[[], Tensor]]
"""Type, shape and maker of a tensor that is about to be written."""


def write_safetensors(
    path: Path, tensors: Mapping[str, Spec], on_progress: Callable[[float], None] = lambda fraction: None
) -> None:
    """Write a safetensors file with one tensor in memory at a time.

    Raises:
        StorageError: The disk refused.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, spec in tensors.items():
        header[name] = {
            "dtype": _DTYPES[spec[0]],
            "shape": list(spec[1]),
            "data_offsets": [place, place + _bytes(spec)],
        }
        place += _bytes(spec)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(len(head).to_bytes(8, "little") + head)
            for name, (dtype, _, make) in tensors.items():
                tensor = make().detach().to("cpu", dtype).contiguous()
                file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)
                on_progress(header[name]["data_offsets"][1] / max(place, 1))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise StorageError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)


def _plain_llama(checkpoint: Checkpoint, dtype: torch.dtype, music_terms: Tensor | None = None) -> dict[str, Spec]:
    """The tensors of a merged Llama under transformers' names."""
    sizes = checkpoint.sizes
    base = layout.base_shapes(sizes)
    specs: dict[str, Spec] = {}
    wide = torch.bfloat16 if dtype == torch.int8 else dtype

    def add(name: str, shape: tuple[int, ...], make: Callable[[], Tensor]) -> None:
        if dtype == torch.int8 and len(shape) == 2 and name != _EMBEDDING:
            numbers, scales = _quantising(make)
            specs[name] = (torch.int8, shape, numbers)
            specs[f"{name}{SCALE}"] = (torch.bfloat16, shape[:1], scales)
        else:
            specs[name] = (wide, shape, make)

    for meta, end in layout.ENDS.items():
        make = partial(checkpoint.tensor, "llama.norm.weight")
        if meta != "norm":
            make = partial(checkpoint.base_tensor, f"{meta}.weight")
        add(f"{end}.weight", base[f"{meta}.weight"], make)
    for index in range(sizes.layers):
        place = f"model.layers.{index}"
        for meta, inner in layout.NORMS.items():
            make = partial(checkpoint.tensor, f"llama.layers.{index}.{meta}.weight")
            add(f"{place}.{inner}.weight", (sizes.dim,), make)
        for meta, inner in layout.PROJECTIONS.items():
            shape = base[f"layers.{index}.{meta}.weight"]
            add(f"{place}.{inner}.weight", shape, partial(checkpoint.merged, index, meta))
            bias = partial(_bias, checkpoint, index, meta, shape[0], music_terms)
            add(f"{place}.{inner}.bias", shape[:1], bias)
    return specs


def _quantising(make: Callable[[], Tensor]) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
    """Makers of a matrix in 8 bits and of its scales; asked for one after the other, it is merged once."""
    held: list[Tensor] = []

    def numbers() -> Tensor:
        held[:] = quantised(make())
        return held[0]

    def scales() -> Tensor:
        found = held[1] if held else quantised(make())[1]
        held.clear()
        return found

    return numbers, scales


def _base_name(name: str) -> str | None:
    """Meta's name of a tensor of a merged LLaMA, or of its scales; None for biases, which are the adapter's."""
    if name.endswith(".bias"):
        return None
    meta = layout.meta_name(name.removesuffix(SCALE))
    return f"{meta}{SCALE}" if name.endswith(SCALE) else meta


def _bias(checkpoint: Checkpoint, index: int, projection: str, size: int, music_terms: Tensor | None) -> Tensor:
    bias = checkpoint.bias(index, projection)
    total = torch.zeros(size) if bias is None else bias.float()
    slot = index - checkpoint.sizes.first_prefix_layer
    if music_terms is not None and projection == "attention.wo" and slot >= 0:
        total = total + music_terms[slot].float()
    return total


def _write_config(folder: Path, sizes: Sizes, dtype: torch.dtype) -> None:
    from musiscene.networks.mu_llama.model import llama_config  # transformers takes a second to import

    config = llama_config(sizes).to_dict()
    config |= {"architectures": ["LlamaForCausalLM"], "attention_bias": True, "mlp_bias": True}
    _write_json(folder / "config.json", config | {"dtype": str(dtype).removeprefix("torch.")})


def _copy_tokenizer(source: Path | None, folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json"):
        if source and (source / name).is_file() and source.resolve() != folder.resolve():
            shutil.copyfile(source / name, folder / name)


def _write_json(path: Path, document: dict[str, Any]) -> None:
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(json.dumps(document, indent=1, default=str) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StorageError(f"{path} could not be written: {error.strerror or error}.") from error


def _make_room(folder: Path, size: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FACTS).unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}.") from error
    if free < size:
        raise StorageError(f"{folder} needs {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free. Make room there.")


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _bytes(spec: Spec) -> int:
    size = spec[0].itemsize
    for length in spec[1]:
        size *= length
    return size
