"""The sizes of a MU-LLaMA, read from the shapes of its own tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from musiscene.errors import BackendUnavailableError

_LAYER = re.compile(r"^llama\.layers\.(\d+)\.")
_BLOCK = re.compile(r"^mu_mert_(?:norm|f[123])_(\d+)\.")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the network; the defaults are the published ones (Liu et al., "Music Understanding LLaMA", 2023).

    Attributes:
        lora_rank: 0 in the pretraining phase, which has neither LoRA nor biases.
        norm_eps: Of LLaMA's norms. The original ran with 1e-6; later releases of LLaMA 2 state 1e-5.
    """

    dim: int = 4096
    layers: int = 32
    heads: int = 32
    ffn_dim: int = 11008
    vocabulary: int = 32000
    prefix_layers: int = 20
    lora_rank: int = 16
    mert_dim: int = 1024
    mert_states: int = 25
    adapter_dim: int = 16384
    adapter_blocks: int = 3
    norm_eps: float = 1e-6
    rope_theta: float = 10000.0

    @property
    def head_dim(self) -> int:
        """Size of one attention head."""
        return self.dim // self.heads

    @property
    def first_prefix_layer(self) -> int:
        """Index of the first layer that hears the music."""
        return self.layers - self.prefix_layers

    @property
    def finetuned(self) -> bool:
        """Whether LoRA and biases are there."""
        return self.lora_rank > 0


def read_sizes(
    path: Path,
    adapter: Mapping[str, tuple[int, ...]],
    base: Mapping[str, tuple[int, ...]],
    *,
    norm_eps: float = 1e-6,
    rope_theta: float = 10000.0,
) -> Sizes:
    """Read the sizes from tensor shapes under their published names.

    Args:
        path: The adapter's file, for messages.
        adapter: Shapes of the adapter checkpoint.
        base: Shapes of the base LLaMA in Meta's names without `llama.`; may be those inside the checkpoint.
        norm_eps: Not stored in either file.
        rope_theta: Not stored in either file.

    Raises:
        BackendUnavailableError: A tensor that tells a size is not there.
    """

    def shape(table: Mapping[str, tuple[int, ...]], name: str, rank: int) -> tuple[int, ...]:
        found = table.get(name)
        if found is None or len(found) != rank:
            raise BackendUnavailableError(
                f"{path} is not a MU-LLaMA checkpoint: {name!r} is missing"
                + ("." if found is None else f" or has the shape {found}.")
            )
        return found

    prefix_layers, dim = shape(adapter, "prefix_query.weight", 2)
    gates = [name for name in adapter if name.startswith("llama.layers.") and name.endswith(".attention.gate")]
    if not gates:
        raise BackendUnavailableError(f"{path} is not a MU-LLaMA checkpoint: it has no gates (attention.gate).")
    heads = shape(adapter, gates[0], 4)[1]
    # From all names, so that one that is missing is missed and not taken for the end.
    layers = 1 + max(int(match[1]) for name in adapter if (match := _LAYER.match(name)))
    lora = next((size for name, size in adapter.items() if name.endswith("_l1.weight") and ".lora_w" in name), (0,))
    blocks = [int(match[1]) for name in adapter if (match := _BLOCK.match(name))]
    if dim % heads or prefix_layers > layers:
        raise BackendUnavailableError(
            f"{path} does not fit together: {heads} heads, {layers} layers, a prefix of {prefix_layers}x{dim}."
        )
    return Sizes(
        dim=dim,
        layers=layers,
        heads=heads,
        ffn_dim=shape(base, "layers.0.feed_forward.w1.weight", 2)[0],
        vocabulary=shape(base, "tok_embeddings.weight", 2)[0],
        prefix_layers=prefix_layers,
        lora_rank=lora[0],
        mert_dim=shape(adapter, "mu_mert_proj.weight", 2)[1],
        mert_states=shape(adapter, "mu_mert_agg.weight", 3)[1],
        adapter_dim=shape(adapter, "mu_mert_f1_1.weight", 2)[0],
        adapter_blocks=max(blocks, default=0),
        norm_eps=norm_eps,
        rope_theta=rope_theta,
    )
