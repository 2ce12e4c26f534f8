"""What stays constant while a set is trained, computed once per item and kept by content.

`adapter`: the layers below the first that hears the music are frozen and hear nothing, so their output depends on the
tokens alone. `lora`: the adapter, the gates and the base's value matrices are frozen, so the gated values depend on the
sound alone. `both`: neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.model import IGNORED_LABEL
from train.naming import digest
from train.tuning.batches import micro_batches
from train.tuning.examples import Tokens
from train.tuning.network import Trainee
from train.tuning.stores import TensorStore, identity, stacked


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
        self.keeps_lower = use and trainee.which == "adapter" and trainee.first_heard > 0
        self.keeps_gated = use and trainee.which == "lora"
        state = dict(trainee.model.named_parameters())
        sizes = trainee.model.sizes
        low = [t for n, t in state.items() if "embed_tokens" in n or _layer_of(n) in range(sizes.first_prefix_layer)]
        heard = {layout.module_name(name, wrapped=sizes.finetuned) for name in layout.music_shapes(sizes)}
        values = [t for n, t in state.items() if n in heard or ("v_proj" in n and "lora" not in n)]
        self._lower_id = digest(identity(low), precision, str(sizes.norm_eps)) if self.keeps_lower else ""
        self._gated_id = digest(identity(values), precision) if self.keeps_gated else ""

    def item(self, tokens: Tokens, features: str) -> Item:
        """An item with the names of its constants."""
        ids = torch.tensor(tokens.ids).numpy().tobytes()
        lower = digest("lower", self._lower_id, ids) if self.keeps_lower else ""
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
                hidden = self.trainee.lower(self._padded([item.tokens.ids for item in batch]))
                for item, row in zip(batch, hidden, strict=True):
                    self.store.put(item.lower, row[: len(item.tokens.ids)])
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

    def batch(self, items: Sequence[Item]) -> dict[str, Tensor]:
        """Arguments of the trainee's forward for some items, padded to the longest of them."""
        labels = [[IGNORED_LABEL] * item.tokens.prompt + list(item.tokens.ids[item.tokens.prompt :]) for item in items]
        made = {
            "tokens": self._padded([item.tokens.ids for item in items]),
            "labels": self._padded(labels),
        }
        if self.keeps_gated:
            made["gated"] = stacked([self._there(item.gated) for item in items], self.device)
        else:
            made["pooled"] = self._features(items)
        if self.keeps_lower:
            rows = [self._there(item.lower) for item in items]
            hidden = rows[0].new_zeros(len(rows), max(len(row) for row in rows), rows[0].shape[-1])
            for place, row in zip(hidden, rows, strict=True):
                place[: len(row)] = row
            made["lower"] = hidden.to(self.device, non_blocking=True)
        return made

    def _features(self, items: Sequence[Item]) -> Tensor:
        return stacked([self._there(item.features) for item in items], self.device)

    def _there(self, name: str) -> Tensor:
        tensor = self.store.get(name)
        if tensor is None:
            from train.failures import TrainingError

            raise TrainingError(
                f"The cache in {self.store.folder} has lost what it held of an item. Run again: it is computed anew, "
                "and the last checkpoint is intact."
            )
        return tensor

    def _padded(self, rows: Sequence[Sequence[int]]) -> Tensor:
        length = max(len(row) for row in rows)
        padded = torch.tensor([list(row) + [IGNORED_LABEL] * (length - len(row)) for row in rows])
        return padded.to(self.device, non_blocking=True)


def _layer_of(name: str) -> int:
    _, _, rest = name.partition(".layers.")
    number = rest.partition(".")[0]
    return int(number) if number.isdigit() else -1
