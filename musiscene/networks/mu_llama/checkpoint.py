"""A MU-LLaMA on disk: the published checkpoint, the base LLaMA it needs, and a MusiScene adapter over it.

Every name and shape is compared with the published table before anything is used, so nothing stays random silently.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from musiscene.errors import BackendUnavailableError
from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.sizes import Sizes, read_sizes
from musiscene.networks.narrow_linear import widened
from musiscene.networks.tensor_files import TensorFiles, check_names, open_tensors

SCALE = "_scale"
"""Ends the name of the scales of a matrix that is stored in 8 bits."""


@dataclass(frozen=True)
class Checkpoint:
    """Tensors of a whole network by their published names, read when they are asked for.

    Attributes:
        sizes: Read from the shapes.
        adapter: The checkpoint's `model` entry, without MERT.
        base: The base LLaMA under Meta's names: from the checkpoint itself if it is there, else from the base's files.
        base_in_halves: The base's query and key rows are in transformers' rotary order.
        lora_in_base: LoRA has been added to the base's matrices already (`convert.convert` does).
        overlay: Tensors that replace the adapter's.
    """

    sizes: Sizes
    adapter: TensorFiles
    base: TensorFiles
    base_in_halves: bool = False
    lora_in_base: bool = False
    overlay: TensorFiles | None = None

    def overlaid(self, path: Path) -> Checkpoint:
        """The same network with the tensors of a fine-tuned adapter in the place of its own.

        The file holds what listens (`mu_mert_*`, prefix, gates), what is tuned in LLaMA (LoRA, biases, norms), or
        both, in the published names; each group must be whole.

        Raises:
            BackendUnavailableError: It is not such an adapter, or one of another network.
        """
        overlay = open_tensors(path, within="model").renamed(layout.published_name)
        overlay = overlay.renamed(lambda name: None if _is_base(name) else name)
        groups = (layout.music_shapes(self.sizes), layout.tuning_shapes(self.sizes))
        expected = {name: shape for group in groups if group.keys() & overlay.keys() for name, shape in group.items()}
        check_names(path, overlay.shapes, _without_unused_gates(expected, self.sizes, overlay) or groups[0])
        return replace(self, overlay=overlay)

    @property
    def quantised(self) -> bool:
        """The base's matrices are stored in 8 bits."""
        return f"output.weight{SCALE}" in self.base

    def tensor(self, published: str) -> Tensor:
        """A tensor of the adapter or an overlay, as stored; zeros for a gate that no layer uses and no file holds."""
        if self.overlay is not None and published in self.overlay:
            return self.overlay[published]
        if published not in self.adapter and published.endswith(".gate"):
            return torch.zeros(1, self.sizes.heads, 1, 1)
        return self.adapter[published]

    def base_tensor(self, name: str) -> Tensor:
        """A base tensor by Meta's name ("layers.0.attention.wq.weight"), rows in transformers' rotary order."""
        tensor = self.base[name]
        if f"{name}{SCALE}" in self.base:
            tensor = widened(tensor, self.base[f"{name}{SCALE}"])
        if not self.base_in_halves and layout.is_rotated(f".{name}"):
            tensor = layout.to_halves(tensor, self.sizes.heads)
        return tensor

    def lora(self, layer: int, projection: str) -> tuple[Tensor, Tensor] | None:
        """The two LoRA factors of a linear map, rows of the second in transformers' order; None without LoRA."""
        if not self.sizes.finetuned:
            return None
        into, out_of = (self.tensor(name) for name in layout.lora_names(layer, projection))
        return into, layout.to_halves(out_of, self.sizes.heads) if projection in layout.ROTATED else out_of

    def bias(self, layer: int, projection: str) -> Tensor | None:
        """The bias of a linear map in transformers' row order; None where there is none."""
        if not self.sizes.finetuned or projection not in layout.BIASED:
            return None
        bias = self.tensor(f"llama.layers.{layer}.{projection}.bias")
        return layout.to_halves(bias, self.sizes.heads) if projection in layout.ROTATED else bias

    def merged(self, layer: int, projection: str) -> Tensor:
        """The matrix of a linear map with LoRA added (in float32), rows in transformers' order."""
        weight = self.base_tensor(f"layers.{layer}.{projection}.weight")
        factors = self.lora(layer, projection)
        if factors is None or self.lora_in_base:
            return weight
        into, out_of = factors
        return torch.addmm(weight.float(), out_of.float(), into.float())


def open_checkpoint(adapter: Path, base: Path | None = None, *, norm_eps: float = 1e-6) -> Checkpoint:
    """Open a published MU-LLaMA checkpoint and check every name and shape.

    Args:
        adapter: `checkpoint.pth`, stripped or with the base inside, or the same tensors as safetensors.
        base: LLaMA 2 in Meta's or Hugging Face's layout; not needed when the checkpoint holds it.
        norm_eps: Epsilon of LLaMA's norms; it is stored in neither.

    Raises:
        BackendUnavailableError: A file is missing, damaged or not what it should be; the message says which and why.
    """
    opened = open_tensors(adapter, within="model").renamed(layout.published_name)
    inner = opened.renamed(lambda name: name.removeprefix("llama.") if _is_base(name) else None)
    base_in_halves = False
    if inner:
        base_files, base_path = inner, adapter
    elif base is None:
        raise BackendUnavailableError(f"{adapter} holds no base LLaMA. Name the folder of LLaMA-2-7B-chat as well.")
    else:
        raw = open_tensors(base, axis=layout.parallel_axis)
        base_in_halves = any(name.startswith("model.layers.") for name in raw)
        base_files, base_path = raw.renamed(layout.meta_name), base

    sizes = read_sizes(adapter, opened.shapes, base_files.shapes, norm_eps=norm_eps)
    expected = layout.published_shapes(sizes, with_base=bool(inner))
    check_names(adapter, opened.shapes, _without_unused_gates(expected, sizes, opened))
    if not inner:
        check_names(base_path, base_files.shapes, layout.base_shapes(sizes))
    return Checkpoint(sizes, opened, base_files, base_in_halves)


def _is_base(name: str) -> bool:
    """Whether a published name is a matrix of the base LLaMA (its norms are tuned, so they count as the adapter's)."""
    if not name.startswith("llama.") or not name.endswith(".weight") or "lora" in name:
        return False
    inner = name.removeprefix("llama.").removesuffix(".weight")
    return inner in ("tok_embeddings", "output") or inner.split(".", 2)[-1] in layout.PROJECTIONS


def _without_unused_gates(
    expected: dict[str, tuple[int, ...]], sizes: Sizes, found: TensorFiles
) -> dict[str, tuple[int, ...]]:
    """Gates of the layers that hear no music change nothing, so a file may leave them out."""
    unused = {f"llama.layers.{layer}.attention.gate" for layer in range(sizes.first_prefix_layer)}
    return {name: shape for name, shape in expected.items() if name in found or name not in unused}
