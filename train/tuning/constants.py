"""What stays constant while a set is trained, computed once per item and kept by content.

`adapter`: the layers below the first that hears the music, and that one's attention to the text, are frozen and hear
nothing, so what they leave depends on the tokens alone. `lora`: the adapter, the gates and the base's value matrices
are frozen, so the gated values depend on the sound alone. `both`: neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from musiscene.networks.mu_llama import layout
from train.naming import digest
from train.tuning.batches import micro_batches
from train.tuning.examples import Tokens
from train.tuning.network import Trainee
from train.tuning.packing import moved, pack
from train.tuning.stores import TensorStore, identity


@dataclass(frozen=True, slots=True)
class Item:
    """An item ready for training: tokens, and the names of what is known of it."""

    tokens: Tokens
    features: str
    lower: str
    gated: str


class Constants:
    """Makes batches for a trainee, with all that is constant taken from a store.

    Args:
        trainee: The network.
        items: The items, with the names that `name` gave them.
        store: Where everything is kept.
        device: Where batches go.
        use: Take constants from the store; else everything is computed each time.
    """

    def __init__(
        self, trainee: Trainee, store: TensorStore, device: torch.device, *, precision: str, use: bool
    ) -> None:
        self.trainee, self.store, self.device = trainee, store, device
        self.keeps_lower = use and trainee.which == "adapter"
        self.keeps_gated = use and trainee.which == "lora"
        state = dict(trainee.model.named_parameters())
        sizes = trainee.model.sizes
        first = sizes.first_prefix_layer
        low = [
            tensor
            for name, tensor in state.items()
            if "embed_tokens" in name
            or _layer_of(name) in range(first)
            or (_layer_of(name) == first and ("proj" in name or "input_layernorm" in name) and "mlp" not in name)
        ]
        heard = {layout.module_name(name, wrapped=sizes.finetuned) for name in layout.music_shapes(sizes)}
        values = [t for n, t in state.items() if n in heard or ("v_proj" in n and "lora" not in n)]
        self._lower_id = digest(identity(low), precision, str(sizes.norm_eps)) if self.keeps_lower else ""
        self._gated_id = digest(identity(values), precision) if self.keeps_gated else ""

    def item(self, tokens: Tokens, features: str) -> Item:
        """An item with the names of its constants."""
        ids = torch.tensor(tokens.ids).numpy().tobytes()
        lower = digest("attended", self._lower_id, ids) if self.keeps_lower else ""
        gated = digest("gated", self._gated_id, features) if self.keeps_gated else ""
        return Item(tokens, features, lower, gated)

    @torch.no_grad()
    def prepare(
        self,
        items: Sequence[Item],
        *,
        tokens: int,
        rows: int,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Compute the constants that are not in the store yet.

        Raises:
            StorageError: The disk refused.
        """
        if self.keeps_lower:
            todo = list({item.lower: item for item in items if item.lower not in self.store}.values())
            lengths = [len(item.tokens.ids) for item in todo]
            done = 0
            for group in micro_batches(range(len(todo)), lengths, tokens, rows):
                batch = [todo[index] for index in group]
                packed = pack([item.tokens for item in batch], self.device)
                del packed["learnt"], packed["targets"]
                hidden = torch.split(self.trainee.lower(**packed), [len(item.tokens.ids) for item in batch])
                for item, row in zip(batch, hidden, strict=True):
                    self.store.put(item.lower, row)
                done += len(batch)
                on_progress(done, len(todo))
        if self.keeps_gated:
            todo = list({item.gated: item for item in items if item.gated not in self.store}.values())
            for start in range(0, len(todo), rows):
                batch = todo[start : start + rows]
                values = self.trainee.gated(self._features(batch))
                for item, row in zip(batch, values, strict=True):
                    self.store.put(item.gated, row)
                on_progress(start + len(batch), len(todo))

    def batch(self, items: Sequence[Item]) -> dict[str, Any]:
        """Arguments of the trainee's forward for some items."""
        made = pack([item.tokens for item in items], self.device)
        if self.keeps_gated:
            made["gated"] = moved(torch.stack([self._there(item.gated) for item in items]), self.device)
        else:
            made["pooled"] = self._features(items)
        if self.keeps_lower:
            made["lower"] = moved(torch.cat([self._there(item.lower) for item in items]), self.device)
        return made

    def _features(self, items: Sequence[Item]) -> Tensor:
        return moved(torch.stack([self._there(item.features) for item in items]), self.device)

    def _there(self, name: str) -> Tensor:
        tensor = self.store.get(name)
        if tensor is None:
            from train.failures import TrainingError

            raise TrainingError(
                f"The cache in {self.store.folder} has lost what it held of an item. Run again: it is computed anew, "
                "and the last checkpoint is intact."
            )
        return tensor


def _layer_of(name: str) -> int:
    _, _, rest = name.partition(".layers.")
    number = rest.partition(".")[0]
    return int(number) if number.isdigit() else -1
