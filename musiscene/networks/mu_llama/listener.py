"""From what MERT heard to what each layer of the decoder adds: everything about a clip that generation needs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.adapter import KnnBlend, MusicAdapter
from musiscene.networks.mu_llama.checkpoint import Checkpoint
from musiscene.networks.mu_llama.decoder import Decoder, DecoderLayer, Tuning
from musiscene.networks.mu_llama.sizes import Sizes


class Listener(nn.Module):
    """The music adapter, the prefix, the gates, and the value LoRA, which is merged but not for the music."""

    def __init__(self, sizes: Sizes, music: MusicAdapter | None = None) -> None:
        super().__init__()
        self.sizes = sizes
        self.music = music if music is not None else MusicAdapter(sizes)
        self.prefix = nn.Parameter(torch.empty(sizes.prefix_layers, sizes.dim))
        self.gates = nn.Parameter(torch.empty(sizes.prefix_layers, sizes.heads))
        self.value_into = nn.Parameter(torch.empty(sizes.prefix_layers, sizes.lora_rank, sizes.dim))
        self.value_out_of = nn.Parameter(torch.empty(sizes.prefix_layers, sizes.dim, sizes.lora_rank))

    @torch.inference_mode()
    def terms(
        self, decoder: Decoder, pooled: Tensor, *, tuning: Tuning | None = None, blend: KnnBlend | None = None
    ) -> Tensor:
        """What the music adds after the attention of each layer that hears it, `(batch, prefix_layers, dim)`.

        Args:
            decoder: The loaded LLaMA.
            pooled: Time means of MERT's states, `(batch, states, mert_dim)`.
            tuning: The tuning whose output projection is used; the decoder's own when None.
            blend: Optional blending with neighbours.
        """
        heard = self.music(pooled.to(self.prefix), blend)
        terms = []
        for slot, prefix in enumerate(self.prefix):
            index = self.sizes.first_prefix_layer + slot
            layer = decoder.layers[index]
            assert isinstance(layer, DecoderLayer)
            music = heard + prefix
            # Only the value's third of the fused rows; the LoRA that was merged into them is taken out again.
            value = _apply(layer.qkv, music)[:, 2 * self.sizes.dim :]
            if self.sizes.finetuned:
                value = value - functional.linear(
                    functional.linear(music, self.value_into[slot]), self.value_out_of[slot]
                )
            gate = torch.tanh(self.gates[slot].float()).to(value.dtype)
            gated = (value.unflatten(1, (self.sizes.heads, -1)) * gate[:, None]).flatten(1)  # type: ignore[no-untyped-call]
            term = _apply(layer.out, gated)
            if tuning is not None:
                own = tuning.layers[index]
                term = term + functional.linear(functional.linear(gated, own.into["out"]), own.out_of["out"])
            terms.append(term)
        return torch.stack(terms, dim=1)


def load_listener(
    checkpoint: Checkpoint,
    *,
    loaded: Checkpoint | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    shared: MusicAdapter | None = None,
    store: Callable[[str, nn.Linear], nn.Module] | None = None,
) -> Listener:
    """Fill a listener from a checkpoint.

    Args:
        checkpoint: Where the music's weights are.
        loaded: What the decoder was filled from, if that is another one: its value LoRA is the merged one.
        dtype: Type of all weights.
        device: Where they go.
        shared: An adapter with the same weights that is loaded already.
        store: Turns the adapter's linear layers into those that take their places, as in `decoder.load_decoder`.
    """
    sizes = checkpoint.sizes
    with torch.device("meta"):
        listener = Listener(sizes, shared)
    if shared is None:
        _fill(listener.music.to(dtype), checkpoint, device, store)
    heard = range(sizes.first_prefix_layer, sizes.layers)
    factors = [(loaded or checkpoint).lora(index, "attention.wv") for index in heard]
    gates = [checkpoint.tensor(f"llama.layers.{index}.attention.gate").view(-1) for index in heard]
    empty = torch.empty(0)
    own = {
        "prefix": checkpoint.tensor("prefix_query.weight"),
        "gates": torch.stack(gates),
        "value_into": torch.stack([pair[0] for pair in factors if pair]) if sizes.finetuned else empty,
        "value_out_of": torch.stack([pair[1] for pair in factors if pair]) if sizes.finetuned else empty,
    }
    for name, tensor in own.items():
        setattr(listener, name, nn.Parameter(tensor.to(device, dtype)))
    listener.requires_grad_(False).train(False)
    return listener


def _fill(
    music: MusicAdapter,
    checkpoint: Checkpoint,
    device: str,
    store: Callable[[str, nn.Linear], nn.Module] | None,
) -> None:
    """Fill an adapter on the meta device, one linear layer at a time."""
    shapes = layout.music_shapes(checkpoint.sizes)
    published = {layout.module_name(name).removeprefix("music."): name for name in shapes if name.startswith("mu_mert")}
    for path, module in list(music.named_modules()):
        if not list(module.parameters(recurse=False)):
            continue
        module.to_empty(device="cpu" if store else device)
        for kind, parameter in module.named_parameters(recurse=False):
            name = published[f"{path}.{kind}"]
            parameter.data.copy_(checkpoint.tensor(name).view(shapes[name]))
        if store and isinstance(module, nn.Linear):
            parent, _, place = path.rpartition(".")
            setattr(music.get_submodule(parent), place, store(place, module))
    if store:
        music.to(device)


def _apply(linear: nn.Module, x: Tensor) -> Tensor:
    """A linear map without its bias, whatever its weights are stored as."""
    y: Tensor = linear(x)
    return y if linear.bias is None else y - linear.bias  # type: ignore[operator]
